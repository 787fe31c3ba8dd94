// The page: which view is open, what the last state was, and what is above all views.

import { ask, tell } from "./api.js";
import { attempt } from "./actions.js";
import { compareDialog } from "./compare.js";
import { attribute, button, h, icon, shown, words } from "./dom.js";
import { inboxPicker } from "./inboxes.js";
import { Live } from "./live.js";
import * as notices from "./notices.js";
import { nowView } from "./now.js";
import { resultsView } from "./results.js";
import { settingsView } from "./settings.js";
import { showSheet } from "./sheets.js";
import { stylePicker, stylesView } from "./styles.js";
import { dropAnywhere, uploads } from "./uploads.js";
import { headline, nameOf, title } from "./words.js";

const LOCAL = new Set(["localhost", "127.0.0.1", "[::1]"]);
const LOOK_AGAIN = 1000; // ms

let state = null;
let view = null;
let cameFromView = false;
let styles = [];
let looking = 0; // the timer until the styles are asked for again
let settings = { folders: [], presets: [] };
let version = "";

// ── what the views may ask of the page ─────────────────────────────────────────────────────────────────

const app = {
  isLocal: LOCAL.has(location.hostname),
  view: () => view,
  styles: () => styles,
  presets: () => settings.presets,
  inboxes: () => settings.folders.map((folder) => folder.inbox),
  hasSheets: () => state?.sheets !== undefined,
  chosenStyle: () => picker.value(),
  chosenInbox: () => ({ inbox: inboxes.value() }),
  nameOfInbox: () => inboxes.name(),
  useStyle(name) {
    picker.set(name);
    notices.say(`Photos that you add here are painted in ${name}.`);
  },
  choosePhotos: () => photoInput.click(),
  chooseStyle: () => styleInput.click(),
  async readStyles() {
    try {
      const answer = await ask("/styles");
      styles = answer.styles;
      views.styles.render();
      // The others are named already; what they look like comes by and by.
      if (answer.unread > 0) lookAgain();
    } catch (error) {
      if (error.status !== 0 && error.status !== 401) notices.refuse(error);
    }
  },
  arrived(route, answer) {
    if (route === "/styles") app.readStyles();
    if (route === "/sheets") showSheet(answer.id);
  },
  order: () => (view === "results" ? views.results.order() : (state?.recent.map((job) => job.job) ?? [])),
  currentOf: (id) => state?.current.find((each) => each.job.job === id) ?? null,
  jobOf(id) {
    if (state === null) return undefined;
    const all = [...state.current.map((each) => each.job), ...state.waiting, ...state.held, ...state.failed, ...state.recent];
    return all.find((job) => job.job === id) ?? views.results.get(id);
  },
  showJob(id) {
    history.replaceState(null, "", `#job/${id}`);
    route();
  },
  leaveJob() {
    if (cameFromView) history.back();
    else {
      history.replaceState(null, "", `#${view}`);
      route();
    }
  },
};

/** Ask for the styles once more, soon, but while the tab is hidden not at all. */
function lookAgain() {
  clearTimeout(looking);
  looking = setTimeout(() => (document.hidden ? lookAgain() : app.readStyles()), LOOK_AGAIN);
}

// ── above all views ────────────────────────────────────────────────────────────────────────────────────

const photoInput = fileInput((files) => sending.photos(files));
const styleInput = fileInput((files) => sending.style(files));
const picker = stylePicker(app, { none: "As the settings say" });
const inboxes = inboxPicker();
const pause = button("Pause", { sign: "pause", kind: "pause", onclick: () => attempt(() => tell(state?.is_paused ? "/resume" : "/pause")) });
const signs = { play: icon("play"), pause: pause.firstElementChild };
const status = document.querySelector(".status");
const lost = h("div", { class: "lost", role: "alert", hidden: true });
const badge = document.querySelector(".badge");

const views = {
  now: nowView(app),
  results: resultsView(),
  styles: stylesView(app),
  settings: settingsView((read) => {
    settings = read;
    inboxes.render(settings.folders);
    if (state !== null) views.now.render(state);
  }),
};

function fileInput(onFiles) {
  const input = h("input", { type: "file", accept: "image/*,.heic,.heif,.avif,.tif,.tiff,.dng", multiple: true, hidden: true });
  input.addEventListener("change", () => {
    onFiles([...input.files]);
    input.value = "";
  });
  return input;
}

function build() {
  const add = button("Add photos", { sign: "add", kind: "main", onclick: app.choosePhotos });
  document.querySelector(".tools").append(inboxes.element, picker.element, add, pause, photoInput, styleInput);
  document.querySelector("main").append(lost, ...Object.values(views).map((each) => each.element));
  notices.begin();
}

// ── which view ─────────────────────────────────────────────────────────────────────────────────────────

function route() {
  const [name, id] = location.hash.slice(1).split("/");
  if (name === "job" && Number(id)) {
    if (view === null) enter("now");
    dialog.open(Number(id));
    return;
  }
  dialog.close();
  cameFromView = true;
  enter(name in views ? name : "now");
}

function enter(name) {
  const isOther = name !== view && view !== null;
  view = name;
  for (const link of document.querySelectorAll("nav a")) attribute(link, "aria-current", link.dataset.view === view && "page");
  for (const [each, { element }] of Object.entries(views)) shown(element, each === view);
  if (isOther) scrollTo(0, 0);
  views[view].enter?.();
  if (state !== null) views[view].render?.(state);
}

// ── what arrives ───────────────────────────────────────────────────────────────────────────────────────

function onState(next) {
  const before = state;
  state = next;
  if (version && version !== next.version && next.version) location.reload(); // the page of the new version
  version ||= next.version;
  shown(lost, !next.is_running);
  if (!next.is_running) say("nst-daemon is not running.", "Start it: nst-daemon start. What waits is painted then, and this page goes on by itself.");
  words(status, headline(next));
  attribute(document.body, "data-status", next.status);
  document.title = title(next);
  renewPause(next);
  const needs = next.problems.length + next.counts.held + next.counts.failed;
  shown(words(badge, String(needs)), needs > 0);
  attribute(badge, "aria-label", `${needs} need you`);
  views.now.render(next);
  if (view === "results") views.results.render(next);
  dialog.render(next);
  narrate(before, next);
  document.documentElement.dataset.ready = "";
}

function renewPause(next) {
  const name = next.is_paused ? "play" : "pause";
  words(pause.lastElementChild, next.is_paused ? "Resume" : "Pause");
  if (pause.firstElementChild !== signs[name]) pause.firstElementChild.replaceWith(signs[name]);
  pause.disabled = !next.is_running;
}

function onLost(code, answer) {
  document.title = "Not connected – nst-daemon";
  words(status, code === 401 ? "Locked" : "Not connected");
  shown(lost, true);
  if (code === 401) say("This page is locked.", "Open it again from the tray, or with: nst-daemon page");
  else if (answer.error) say(answer.error, answer.remedy ?? "");
  else say("The connection to nst-daemon is lost.", "If it was stopped: nst-daemon start. This page comes back by itself.");
  notices.announce(lost.textContent);
}

function say(what, remedy) {
  if (lost.firstElementChild?.textContent === what) return;
  lost.replaceChildren(h("strong", {}, what), h("p", {}, remedy));
}

/** Say what has happened, not how many percent it is. */
function narrate(before, next) {
  if (before === null) return;
  const known = new Set(before.recent.map((job) => job.job));
  const done = next.recent.filter((job) => !known.has(job.job)).map(nameOf);
  const parts = done.length > 0 ? [`${done.join(", ")} ${done.length > 1 ? "are" : "is"} painted.`] : [];
  if (next.counts.failed > before.counts.failed) parts.push("A photo could not be painted.");
  if (next.counts.held > before.counts.held) parts.push("A photo is held.");
  if (headline(before) !== headline(next)) parts.push(`${headline(next)}.`);
  if (parts.length > 0) notices.announce(parts.join(" "));
}

// ── begin ──────────────────────────────────────────────────────────────────────────────────────────────

const sending = uploads(app);
const dialog = compareDialog(app);
build();
dropAnywhere(app, sending);
addEventListener("hashchange", route);
route();
new Live(onState, onLost);
views.settings.enter();
app.readStyles();
