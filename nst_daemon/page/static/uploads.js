// Photos and styles on their way to the daemon: dropped anywhere, pasted or chosen, three at a time.

import { send, styleAddress } from "./api.js";
import { button, h, icon, picture, shown, words } from "./dom.js";

const AT_ONCE = 3;
const STAYS = 8000; // ms, of a file that has arrived

/** Return `photos(files, style)` and `style(files)`; `app` knows what is chosen and which view is open. */
export function uploads(app) {
  const pending = [];
  let busy = 0;
  const list = h("ul", {});
  document.body.append(h("section", { class: "uploads", "aria-label": "Uploads" }, list));

  function add(files, route, params, arrived) {
    for (const file of files) pending.push({ file, route, params, arrived, row: uploadRow(file, list) });
    begin();
  }

  function begin() {
    while (busy < AT_ONCE && pending.length > 0) {
      busy += 1;
      one(pending.shift()).finally(() => {
        busy -= 1;
        begin();
      });
    }
  }

  async function one({ file, route, params, arrived, row }) {
    try {
      const answer = await send(route, { name: file.name, ...params }, file, row.progress);
      row.done(arrived);
      app.arrived(route, answer);
    } catch (error) {
      row.refused(error);
    }
  }

  return {
    photos: (files, style = app.chosenStyle()) => add(files, "/photos", { style, ...app.chosenInbox() }, arrival(style, app.nameOfInbox())),
    style: (files) => add(files, "/styles", {}, "Is a style now"),
    sheet: (files) => add(files, "/sheets", app.chosenInbox(), "Is painted small in every style"),
  };
}

function arrival(style, inbox) {
  return `Will be painted${style ? ` in ${style}` : ""}${inbox ? `, from ${inbox}` : ""}`;
}

function uploadRow(file, list) {
  const bar = h("progress", { max: 1, value: 0, "aria-label": `${file.name} on its way` });
  const outcome = h("p", { class: "facts" }, "Waits for its turn");
  const close = button("Close", { sign: "close", isBare: true, hidden: true, onclick: () => element.remove() });
  const element = h("li", { class: "upload" }, h("div", {}, h("strong", { dir: "auto" }, file.name), bar, outcome), close);
  list.append(element);
  return {
    progress(part) {
      bar.value = part;
      words(outcome, `${Math.round(100 * part)} %`);
    },
    done(text) {
      shown(bar, false);
      words(outcome, text);
      setTimeout(() => element.remove(), STAYS);
    },
    refused(error) {
      shown(bar, false);
      shown(close, true);
      element.classList.add("bad");
      outcome.setAttribute("role", "alert");
      words(outcome, [error.message, error.remedy].filter(Boolean).join(" "));
    },
  };
}

/** Let files be dropped anywhere: on a style to be painted in it, elsewhere in the one that is chosen. */
export function dropAnywhere(app, sending) {
  const heading = h("p", { class: "drop-heading" });
  const targets = h("ul", { class: "choices drop-targets" });
  const sheet = h("div", { class: "drop", hidden: true }, icon("add"), heading, targets);
  document.body.append(sheet);
  let ending = 0;

  addEventListener("dragover", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
    clearTimeout(ending);
    ending = setTimeout(leave, 400); // no event says surely that a drag has left the window
    if (sheet.hidden) enter();
    for (const each of targets.children) each.classList.toggle("over", event.target instanceof Node && each.contains(event.target));
  });
  addEventListener("drop", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    leave();
    const files = [...event.dataTransfer.files];
    const over = event.target instanceof Element ? event.target.closest("[data-drop]") : null;
    if (over === null ? app.view() === "styles" : over.dataset.drop === "+") sending.style(files);
    else if (over?.dataset.drop === "*") sending.sheet(files);
    else sending.photos(files, over?.dataset.drop);
  });
  addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])].filter((file) => file.type.startsWith("image/"));
    if (files.length === 0) return;
    event.preventDefault();
    const named = files.map(pasted);
    if (app.view() === "styles") sending.style(named);
    else sending.photos(named);
  });

  function enter() {
    const isStyle = app.view() === "styles";
    const chosen = app.chosenStyle();
    const inbox = app.nameOfInbox() ? `. Inbox: ${app.nameOfInbox()}` : "";
    words(heading, isStyle ? "Drop it here to have a new style" : `Drop it here to have it painted${chosen ? ` in ${chosen}` : ""}, or onto a style${inbox}`);
    const styles = isStyle ? [] : app.styles();
    const others = isStyle ? [] : [app.hasSheets() && otherTarget("*", "sheet", "every style, small"), otherTarget("+", "add", "a new style")];
    targets.replaceChildren(...styles.map(target), ...others.filter(Boolean));
    shown(sheet, true);
  }

  function leave() {
    clearTimeout(ending);
    shown(sheet, false);
  }
}

function target(style) {
  const image = picture({ src: styleAddress(style, 320), width: 320, height: 320 });
  return h("li", { class: "choice", "data-drop": style.name }, image, h("span", {}, style.name));
}

function otherTarget(drop, sign, label) {
  return h("li", { class: "choice", "data-drop": drop }, h("span", { class: "choice-none" }, icon(sign)), h("span", {}, label));
}

/** Return a pasted file with a name of its own: browsers call each of them image.png. */
function pasted(file) {
  if (file.name !== "image.png") return file;
  const stamp = new Date().toISOString().slice(0, 19).replace("T", " ").replaceAll(":", "-");
  return new File([file], `pasted ${stamp}.png`, { type: file.type });
}
