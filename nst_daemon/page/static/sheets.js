// Sheets: one photo small in every style, to see which suits it. A tile fills as it is painted; a click orders the painting.

import { attempt } from "./actions.js";
import { tell } from "./api.js";
import { attribute, button, h, keyed, picture, shown, words } from "./dom.js";
import { say } from "./notices.js";
import { nameOf } from "./words.js";

const SHOWN = 3; // the newest
const ENDS = ["done", "failed", "cancelled"];

/** Return the section: `element`, and `render(state)`. */
export function sheetsSection(app) {
  const element = h("div", { class: "sheets" });
  return {
    element,
    render(state) {
      const sheets = (state.sheets ?? []).slice(0, SHOWN);
      shown(element, sheets.length > 0);
      keyed(element, sheets, (sheet) => sheet.id, (sheet) => sheetOf(app, sheet), renewSheet);
    },
  };
}

/** Order a sheet of a job's photo, and show it. */
export function orderSheet(app, job) {
  return attempt(async () => {
    const { id } = await tell("/sheets", { job: job.job, ...app.chosenInbox() });
    showSheet(id);
  });
}

/** Go to where a sheet is, as soon as it is there. */
export function showSheet(id) {
  location.hash = "#now";
  const name = `sheet-${id}`;
  const seen = new MutationObserver(look);
  seen.observe(document.querySelector(".sheets"), { childList: true });
  look();

  function look() {
    const sheet = document.getElementById(name);
    if (sheet === null) return;
    seen.disconnect();
    requestAnimationFrame(() => sheet.scrollIntoView({ block: "start" }));
  }
}

function sheetOf(app, sheet) {
  const heading = h("h2", { dir: "auto" });
  const facts = h("p", { class: "facts" });
  const cancel = button("Cancel", { sign: "close", kind: "quiet", onclick: () => attempt(() => tell(`/sheets/${sheet.id}/cancel`)) });
  const list = h("ul", { class: "tiles" });
  const head = h("div", { class: "view-head" }, heading, facts, cancel);
  const order = (tile, choose) => orderPainting(sheet, tile, choose, app.chosenInbox());
  const element = h("section", { class: "sheet", id: `sheet-${sheet.id}` }, head, list);
  return Object.assign(element, { parts: { heading, facts, cancel, list, order } });
}

function renewSheet(element, sheet) {
  const { heading, facts, cancel, list, order } = element.parts;
  const ended = sheet.tiles.filter((tile) => ENDS.includes(tile.state)).length;
  const isOver = ended === sheet.tiles.length;
  words(heading, `${nameOf(sheet)} in every style`);
  const painted = sheet.tiles.filter((tile) => tile.state === "done").length;
  words(facts, isOver ? "Choose one, and it is painted in full" : `${painted} of ${sheet.tiles.length} are painted, small`);
  shown(cancel, !isOver);
  keyed(list, sheet.tiles, (tile) => tile.style, (tile) => tileOf(sheet, tile, order), renewTile);
}

function tileOf(sheet, tile, order) {
  const image = picture({ class: "tile-picture", loading: "lazy" });
  const name = h("span", { class: "tile-name" }, tile.style);
  const state = h("span", { class: "tile-style" });
  const choose = h("button", { type: "button", class: "tile-choose", onclick: () => order(tile, choose) }, h("span", { class: "tile-frame" }, image), h("span", { class: "tile-words" }, name, state));
  attribute(choose, "aria-label", `Paint ${nameOf(sheet)} in ${tile.style}`);
  return Object.assign(h("li", { class: "tile" }, choose), { parts: { image, state, choose } });
}

function renewTile(element, tile) {
  const { image, state, choose } = element.parts;
  attribute(image, "src", tile.version && `/jobs/${tile.job}/result?size=320&v=${tile.version}`);
  const suits = tile.suits === null || tile.suits === undefined ? "" : `suits ${Math.round(100 * tile.suits)} %`;
  words(state, tile.state === "done" ? suits : tile.state === "running" ? "is painted" : tile.state === "queued" ? "waits" : tile.state);
  choose.disabled = tile.job === null;
}

async function orderPainting(sheet, tile, choose, inbox) {
  choose.disabled = true;
  const isDone = await attempt(() => tell(`/sheets/${sheet.id}/paint`, { style: tile.style, ...inbox }));
  choose.disabled = false;
  if (isDone) say(`${nameOf(sheet)} is painted in ${tile.style}.`);
}
