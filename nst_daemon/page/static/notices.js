// What is said once: by a line that goes again, and by a voice that does not talk all the time.

import { button, h, words } from "./dom.js";

const STAYS = 8000; // ms, of a line that asks for nothing
const QUIET = 10_000; // ms between two sentences that are read aloud

const list = h("section", { class: "notices", "aria-label": "Notices" });
const voice = h("div", { class: "unseen", role: "status", "aria-live": "polite" });
let lastSaid = -QUIET;
let waiting = 0;
let next = "";

/** Put the places of both into the page. */
export function begin() {
  document.body.append(list, voice);
}

/** Show a line for a few seconds. */
export function say(text) {
  const notice = h("p", { class: "notice", role: "status" }, text);
  list.append(notice);
  setTimeout(() => notice.remove(), STAYS);
}

/** Show why something was not done, and the way out, until it is closed. */
export function refuse(error) {
  const close = button("Close", { sign: "close", isBare: true, onclick: () => notice.remove() });
  const inner = h("div", {}, h("strong", {}, error.message), error.remedy && h("p", {}, error.remedy));
  const notice = h("div", { class: "notice bad", role: "alert" }, inner, close);
  list.append(notice);
}

/** Have a sentence read aloud, at most one each ten seconds; of those between the last counts. */
export function announce(sentence) {
  next = sentence;
  if (waiting) return;
  waiting = setTimeout(speak, Math.max(0, lastSaid + QUIET - performance.now()));
}

function speak() {
  waiting = 0;
  lastSaid = performance.now();
  words(voice, next);
}
