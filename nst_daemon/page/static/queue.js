// What is next: the jobs that wait, and their order, which is changed by dragging a row or by the arrow keys.

import { actionButton, attempt, takes } from "./actions.js";
import { pictureOf, tell } from "./api.js";
import { attribute, button, h, keyed, shown, words } from "./dom.js";
import { renewThumb, thumb } from "./tiles.js";
import { count, nameOf } from "./words.js";

const BEGINS = 6; // px that a pointer moves before it drags
const EDGE = 48; // px from the end of a list that scrolls by itself
const SCROLL = 12; // px, at each movement of a pointer there

/** Return the section: `element`, and `render(state)`. */
export function queueSection() {
  let state = null;
  let asked = 0; // requests under way: meanwhile the order is what was asked for
  const heading = h("h2", {}, "Next");
  const list = h("ol", { class: "rows" });
  const more = h("p", { class: "facts" });
  const voice = h("p", { class: "unseen", role: "status" });
  const element = h("section", { class: "queue" }, heading, list, more, voice);
  const drag = dragging(list, move);

  /** Put a row behind another, or first behind null; the daemon is asked for it. */
  async function move(row, behind) {
    if (row.previousElementSibling === behind) return;
    const { job, grip } = row.parts.known();
    const had = row.contains(document.activeElement);
    const isThere = behind === null || behind.isConnected; // else it has begun meanwhile: the daemon knows the place
    if (isThere) list.insertBefore(row, behind === null ? list.firstElementChild : behind.nextElementSibling);
    if (had) grip.focus(); // an element that is moved loses it
    const place = isThere ? `number ${[...list.children].indexOf(row) + 1} of ${state.counts.queued}` : "moved";
    asked += 1;
    const other = behind?.parts.known().job.job;
    const isDone = await attempt(() => (behind === null ? tell(`/jobs/${job.job}/next`) : tell(`/jobs/${job.job}/behind`, { job: other })));
    asked -= 1;
    if (isDone) words(voice, `${nameOf(job)} is ${place}.`);
    else render(state);
  }

  function render(next) {
    state = next;
    const all = state.counts.queued;
    shown(element, state.waiting.length > 0);
    words(heading, `Next (${all.toLocaleString("en")})`);
    if (asked === 0) keyed(list, state.waiting, (job) => job.job, (job) => queueRow(job, move), renewQueueRow);
    drag.renew();
    [...list.children].forEach((row, index) => row.parts.placed(index, list.childElementCount));
    const hidden = all - state.waiting.length;
    words(more, hidden > 0 ? `and ${count(hidden, "photo")} more` : "");
  }

  return { element, render };
}

function queueRow(first, move) {
  let job = first;
  const small = thumb();
  const name = h("strong", { dir: "auto" });
  const style = h("span", { class: "row-style" });
  const grip = button("Move", { sign: "grip", isBare: true, kind: "grip", "aria-keyshortcuts": "ArrowUp ArrowDown" });
  const next = actionButton("next", () => job, { isBare: true });
  const cancel = actionButton("cancel", () => job, { isBare: true });
  const element = h("li", { class: "row" }, grip, small, h("span", { class: "row-words" }, name, style), next, cancel);
  element.addEventListener("keydown", (event) => {
    if (event.target !== grip && !event.altKey) return;
    const neighbour = { ArrowUp: element.previousElementSibling, ArrowDown: element.nextElementSibling }[event.key];
    if (neighbour === undefined) return;
    event.preventDefault();
    if (neighbour !== null) move(element, event.key === "ArrowUp" ? neighbour.previousElementSibling : neighbour);
  });
  const placed = (index, length) => {
    shown(next, index > 0 && takes(job, "next"));
    shown(grip, length > 1 && takes(job, "next"));
  };
  const parts = { small, name, style, grip, next, cancel, placed, known: () => ({ job, grip }), remember: (each) => (job = each) };
  return Object.assign(element, { parts });
}

function renewQueueRow(element, job) {
  const { small, name, style, grip, next, cancel, remember } = element.parts;
  remember(job);
  renewThumb(small, pictureOf(job, "photo", 320));
  words(name, nameOf(job));
  words(style, job.style ?? "");
  label(grip, `Move ${nameOf(job)}`, "Drag it, or use the arrow keys");
  label(next, `Paint ${nameOf(job)} next`);
  label(cancel, `Cancel ${nameOf(job)}`);
  shown(cancel, takes(job, "cancel"));
}

function label(element, text, title = text) {
  attribute(element, "aria-label", text);
  attribute(element, "title", title);
}

/**
 * Let the rows of a list be dragged: anywhere by a mouse, by their grip with a finger.
 *
 * The list stays as it is until a row is dropped, so that it may be renewed meanwhile; `renew` gives up a drag
 * whose row has gone. `move(row, behind)` is told where it was dropped.
 */
function dragging(list, move) {
  let drag = null; // {row, from, isOn, behind}

  list.addEventListener("pointerdown", (event) => {
    const row = event.target.closest(".row");
    const isGrip = event.target.closest(".grip") !== null;
    if (row === null || event.button > 0 || !event.isPrimary || list.childElementCount < 2) return;
    if (!isGrip && (event.pointerType !== "mouse" || event.target.closest("button"))) return;
    drag = { row, from: event.clientY + scrolled(), isOn: false, behind: row.previousElementSibling };
    for (const [name, hear] of Object.entries(HEARD)) addEventListener(name, hear);
  });

  const HEARD = {
    pointermove(event) {
      const by = event.clientY + scrolled() - drag.from;
      if (!drag.isOn && Math.abs(by) < BEGINS) return;
      drag.isOn = true;
      getSelection()?.removeAllRanges();
      scroll(event.clientY);
      drag.row.style.transform = `translateY(${event.clientY + scrolled() - drag.from}px)`;
      attribute(drag.row, "data-dragged", true);
      const others = [...list.children].filter((row) => row !== drag.row);
      const above = others.filter((row) => middleOf(row) < event.clientY);
      drag.behind = above.at(-1) ?? null;
      others.forEach((row, index) => attribute(row, "data-gap", row === drag.behind ? "below" : drag.behind === null && index === 0 ? "above" : null));
    },
    pointerup() {
      const { row, behind, isOn } = drag;
      end();
      if (isOn) move(row, behind);
    },
    pointercancel: end,
    keydown(event) {
      if (event.key === "Escape") end();
    },
  };

  function end() {
    for (const [name, hear] of Object.entries(HEARD)) removeEventListener(name, hear);
    drag.row.style.transform = "";
    for (const row of [drag.row, ...list.children]) {
      attribute(row, "data-dragged", null);
      attribute(row, "data-gap", null);
    }
    drag = null;
  }

  function scrolled() {
    return list.parentElement.scrollTop + scrollY;
  }

  function scroll(y) {
    const box = list.parentElement.getBoundingClientRect();
    if (y < box.top + EDGE) list.parentElement.scrollBy(0, -SCROLL);
    else if (y > Math.min(box.bottom, innerHeight) - EDGE) list.parentElement.scrollBy(0, SCROLL);
  }

  return {
    renew() {
      if (drag !== null && !drag.row.isConnected) end();
    },
  };
}

function middleOf(row) {
  const box = row.getBoundingClientRect();
  return box.top + box.height / 2;
}
