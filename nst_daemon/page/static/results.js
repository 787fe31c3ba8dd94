// The view "Results": all that was painted, newest first, by day; asked for in pages as they come into sight.

import { ask } from "./api.js";
import { refuse } from "./notices.js";
import { h, keyed, shown, words } from "./dom.js";
import { renewTile, tile } from "./tiles.js";
import { count, day } from "./words.js";

/** Return the view: `element`, `render(state)`, `enter()`, and `order()`: the ids as they are shown. */
export function resultsView() {
  const known = new Map(); // id -> job
  let oldest = null; // the id that the next page begins before
  let isBusy = false;
  let isWhole = false;
  let hasFailed = false;
  let drawn = "";
  const total = h("p", { class: "facts" });
  const days = h("div", { class: "days" });
  const end = h("div", { class: "end", "aria-hidden": "true" });
  const empty = h("div", { class: "empty" }, h("h2", {}, "Nothing painted yet"), h("p", {}, "Add a photo. What is painted from it is kept here, beside it."));
  const head = h("div", { class: "view-head" }, h("h2", {}, "Results"), total);
  const element = h("section", { class: "view results", "aria-label": "Results" }, head, days, empty, end);

  new IntersectionObserver((entries) => entries.some((each) => each.isIntersecting) && more(), { rootMargin: "1200px" }).observe(end);

  async function more() {
    if (isBusy || isWhole || hasFailed) return;
    isBusy = true;
    try {
      const page = await ask(`/jobs?state=done${oldest === null ? "" : `&before=${oldest}`}`);
      for (const job of page.jobs) known.set(job.job, job);
      oldest = page.jobs.at(-1)?.job ?? oldest;
      isWhole = !page.more;
      draw();
    } catch (error) {
      hasFailed = true; // until the view is entered anew
      if (error.status !== 401) refuse(error);
    }
    isBusy = false;
    const isNear = end.offsetParent !== null && end.getBoundingClientRect().top < innerHeight + 1200;
    if (isNear) more();
  }

  function order() {
    return [...known.keys()].sort((one, other) => other - one);
  }

  function draw() {
    const groups = new Map();
    for (const id of order()) {
      const date = day(known.get(id).finished);
      groups.set(date, [...(groups.get(date) ?? []), known.get(id)]);
    }
    keyed(days, [...groups], ([date]) => date, ([date]) => dayOf(date), (group, [, jobs]) => {
      keyed(group.parts.list, jobs, (job) => job.job, tile, renewTile);
    });
    shown(empty, isWhole && known.size === 0);
  }

  return {
    element,
    order,
    get: (id) => known.get(id),
    enter() {
      hasFailed = false;
      if (oldest === null) more();
    },
    render(state) {
      words(total, state.counts.done ? count(state.counts.done, "painting") : "");
      for (const id of gone(state)) known.delete(id);
      for (const job of state.recent) known.set(job.job, job);
      const now = state.recent.map((job) => `${job.job} ${job.versions?.result}`).join();
      if (now === drawn) return;
      drawn = now;
      draw();
    },
  };

  /** Return those that are being painted anew, as far as the state tells. */
  function gone(state) {
    const again = [...state.current.map((each) => each.job), ...state.waiting, ...state.failed, ...state.held];
    return again.map((job) => job.job).filter((id) => known.has(id));
  }
}

function dayOf(date) {
  const list = h("ul", { class: "tiles" });
  return Object.assign(h("section", {}, h("h3", {}, date), list), { parts: { list } });
}
