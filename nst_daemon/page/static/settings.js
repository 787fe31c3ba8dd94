// The view "Settings": what the next photos get, in plain words. They are changed in config.yaml alone.

import { ask } from "./api.js";
import { h } from "./dom.js";
import { refuse } from "./notices.js";

/** Return the view: `element` and `enter()`, which reads it anew; what it read goes to `onRead`. */
export function settingsView(onRead) {
  const folders = h("div", { class: "folders" });
  const hint = h("p", { class: "facts" }, "To change them edit config.yaml: what is saved holds at once. A sidecar beside a photo, or a keyword in it, says otherwise for that photo.");
  const element = h("section", { class: "view settings", "aria-label": "Settings" }, h("div", { class: "view-head" }, h("h2", {}, "The next photos")), folders, hint);

  async function enter() {
    try {
      const settings = await ask("/settings");
      folders.replaceChildren(...settings.folders.map((folder) => folderOf(folder, settings.folders.length > 1)));
      onRead(settings);
    } catch (error) {
      if (error.status !== 0 && error.status !== 401) refuse(error); // those two are said above everything
    }
  }

  return { element, enter };
}

function folderOf(folder, isOneOfMany) {
  const rows = [
    ["Inbox", folder.inbox],
    ["Outbox", folder.outbox],
  ];
  const heading = isOneOfMany && h("h3", { dir: "auto" }, folder.name);
  const said = h("ul", { class: "sentences" }, folder.words.map((sentence) => h("li", {}, sentence)));
  const places = h("dl", { class: "places" }, rows.flatMap(([key, value]) => [h("dt", {}, key), h("dd", { dir: "auto" }, value)]));
  return h("section", { class: "folder" }, heading, said, places);
}
