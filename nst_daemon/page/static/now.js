// The view "Now": what needs somebody, what is painted, what is next, and what was painted last.

import { actionButton, attempt, takes } from "./actions.js";
import { bestOf, pictureOf, tell } from "./api.js";
import { attribute, button, h, icon, keyed, load, picture, shown, words } from "./dom.js";
import { queueSection } from "./queue.js";
import { sheetsSection } from "./sheets.js";
import { renewThumb, renewTile, thumb, tile } from "./tiles.js";
import { moment, nameOf, progressOf, reasonOf } from "./words.js";

const LATEST = 12;
const IS_TOUCHED = matchMedia("(pointer: coarse)").matches; // nothing is dropped by a finger

/** Return the view: `element`, and `render(state)`. */
export function nowView(app) {
  const needs = attention();
  const easels = h("div", { class: "easels" });
  const rest = restful(app);
  const queue = queueSection();
  const sheets = sheetsSection(app);
  const latest = h("ul", { class: "tiles strip" });
  const lately = h("section", { class: "lately" }, h("h2", {}, "Painted last"), latest);
  const stage = h("div", { class: "stage" }, easels, rest.element);
  const element = h("section", { class: "view now", "aria-label": "Now" }, needs.element, h("div", { class: "studio" }, stage, queue.element), sheets.element, lately);
  return {
    element,
    render(state) {
      needs.render(state);
      keyed(easels, state.current, (each) => each.job.job, easel, renewEasel);
      attribute(easels, "data-count", state.current.length);
      shown(easels, state.current.length > 0);
      rest.render(state);
      queue.render(state);
      sheets.render(state);
      // What the stage shows when nothing is painted is not shown twice.
      const recent = state.current.length > 0 ? state.recent : state.recent.slice(1);
      keyed(latest, recent.slice(0, LATEST), (job) => job.job, tile, renewTile);
      shown(lately, recent.length > 0);
      attribute(element, "data-queue", state.waiting.length > 0);
    },
  };
}

// ── what is painted ────────────────────────────────────────────────────────────────────────────────────

function easel() {
  let job = null;
  const image = picture({ class: "easel-picture", width: 1280, height: 960 });
  const link = h("a", { class: "easel-link" }, image);
  const name = h("strong", { dir: "auto" });
  const style = h("span", { class: "easel-style" });
  const percent = h("span", { class: "easel-percent" });
  const bar = h("progress", { max: 100, value: 0 });
  const facts = h("p", { class: "facts" });
  const cancel = actionButton("cancel", () => job, { kind: "quiet" });
  const title = h("div", { class: "easel-title" }, h("h2", {}, name, " ", style), percent);
  const caption = h("figcaption", {}, title, bar, h("div", { class: "easel-below" }, facts, cancel));
  const element = h("figure", { class: "easel" }, link, caption);
  const remember = (next) => (job = next);
  return Object.assign(element, { parts: { image, link, name, style, percent, bar, facts, cancel, remember } });
}

function renewEasel(element, current) {
  const { job } = current;
  const { image, link, name, style, percent, bar, facts, cancel, remember } = element.parts;
  remember(job);
  load(image, pictureOf(job, "preview", 1280) ?? pictureOf(job, "photo", 1280));
  attribute(element, "data-bare", !job.versions?.preview);
  attribute(link, "href", `#job/${job.job}`);
  attribute(link, "aria-label", `Compare ${nameOf(job)} with its painting so far`);
  words(name, nameOf(job));
  words(style, `in ${job.style}`);
  words(percent, `${current.percent} %`);
  bar.value = current.percent;
  attribute(bar, "aria-label", `${nameOf(job)} is painted`);
  keyed(facts, progressOf(current), (fact) => fact.replace(/[\d.]+/g, ""), () => h("span"), words);
  shown(cancel, takes(job, "cancel"));
}

// ── while nothing is painted ───────────────────────────────────────────────────────────────────────────

function restful(app) {
  const image = picture({ class: "easel-picture", width: 1280, height: 960 });
  const link = h("a", { class: "easel-link" }, image);
  const name = h("strong", { dir: "auto" });
  const when = h("p", { class: "facts" });
  const last = h("figure", { class: "easel last" }, link, h("figcaption", {}, h("h2", {}, name), when));
  const choose = button("Choose photos", { sign: "add", kind: "main", onclick: app.choosePhotos });
  const folders = h("p", { class: "facts" });
  const ways = IS_TOUCHED ? "Choose photos, or put them into the inbox." : "Drop photos anywhere on this page, paste one, or put them into the inbox.";
  const heading = h("h2", {}, IS_TOUCHED ? "Add a photo" : "Drop a photo here");
  const empty = h("div", { class: "empty" }, icon("add"), heading, h("p", {}, `${ways} Each comes back as a painting.`), choose, folders);
  const element = h("div", {}, last, empty);
  return {
    element,
    render(state) {
      const job = state.recent[0];
      shown(element, state.current.length === 0);
      shown(last, Boolean(job));
      shown(empty, !job);
      words(folders, app.inboxes().length > 0 ? `Inbox: ${app.inboxes().join(", ")}` : "");
      if (!job) return;
      load(image, bestOf(job, 1280));
      attribute(link, "href", `#job/${job.job}`);
      attribute(link, "aria-label", `Compare ${nameOf(job)} with its photo`);
      words(name, nameOf(job));
      words(when, `Painted last, in ${job.style}, ${moment(job.finished)}.${IS_TOUCHED ? "" : " Drop the next photo anywhere."}`);
    },
  };
}

// ── what needs somebody ────────────────────────────────────────────────────────────────────────────────

function attention() {
  const problems = h("ul", { class: "needs-list" });
  const jobs = h("ul", { class: "rows needs-list" });
  const all = button("Try all again", { sign: "retry", onclick: () => attempt(() => tell("/retry-failed")) });
  const heading = h("h2", {}, "Needs you");
  const element = h("section", { class: "needs" }, h("div", { class: "needs-head" }, heading, all), problems, jobs);
  return {
    element,
    render(state) {
      const wrong = [...state.held, ...state.failed];
      const number = state.problems.length + state.counts.held + state.counts.failed;
      shown(element, number > 0);
      words(heading, `Needs you (${number.toLocaleString("en")})`);
      shown(all, state.counts.failed > 1);
      keyed(problems, state.problems, (each) => `${each.code} ${each.message}`, problemItem, () => {});
      keyed(jobs, wrong, (job) => job.job, wrongRow, renewWrongRow);
      shown(problems, state.problems.length > 0);
      shown(jobs, wrong.length > 0);
    },
  };
}

function problemItem(problem) {
  return h("li", { class: "problem" }, h("strong", {}, problem.message), h("p", {}, problem.remedy));
}

function wrongRow() {
  let job = null;
  const small = thumb();
  const state = h("span", { class: "mark" });
  const name = h("strong", { dir: "auto" });
  const reason = h("p", { class: "reason" });
  const remedy = h("p", { class: "remedy" });
  const retry = actionButton("retry", () => job);
  const cancel = actionButton("cancel", () => job, { kind: "quiet" });
  const inner = h("div", { class: "row-words" }, h("p", {}, state, " ", name), reason, remedy);
  const element = h("li", { class: "row" }, small, inner, h("div", { class: "row-actions" }, retry, cancel));
  const remember = (each) => (job = each);
  return Object.assign(element, { parts: { small, state, name, reason, remedy, retry, cancel, remember } });
}

function renewWrongRow(element, job) {
  const { small, state, name, reason, remedy, retry, cancel, remember } = element.parts;
  remember(job);
  renewThumb(small, pictureOf(job, "photo", 320));
  const why = reasonOf(job);
  words(state, job.state);
  attribute(state, "data-state", job.state);
  words(name, nameOf(job));
  words(reason, why.reason);
  words(remedy, why.remedy);
  shown(remedy, why.remedy !== "");
  shown(retry, takes(job, "retry"));
  shown(cancel, takes(job, "cancel"));
}
