// The styles as pictures: the view that shows and takes them, and the picker wherever one is chosen.

import { styleAddress } from "./api.js";
import { attribute, button, h, keyed, picture, shown, words } from "./dom.js";
import { count } from "./words.js";

/** Return the view: `element`, `enter()`, `render()`; `app` knows the styles and takes new ones. */
export function stylesView(app) {
  const add = button("Add a style", { sign: "add", kind: "main", onclick: app.chooseStyle });
  const list = h("ul", { class: "gallery" });
  const hint = h("p", { class: "facts" }, "Any picture is a style. Drop one here: full of strokes, from dark to light. It gives its paint, not what it shows.");
  const element = h("section", { class: "view styles", "aria-label": "Styles" }, h("div", { class: "view-head" }, h("h2", {}, "Styles"), add), hint, list);
  return {
    element,
    enter: () => app.readStyles(),
    render: () => keyed(list, app.styles(), (style) => style.name, (style) => card(app, style), renewCard),
  };
}

function card(app, style) {
  const image = picture({ loading: "lazy", width: 320, height: 320 });
  const name = h("strong", { dir: "auto" });
  const facts = h("span", { class: "tile-style" });
  const use = button("Use", { kind: "quiet", onclick: () => app.useStyle(style.name) });
  return Object.assign(h("li", { class: "card" }, h("div", { class: "card-picture" }, image), h("div", { class: "card-words" }, name, facts, use)), {
    parts: { image, name, facts, use },
  });
}

function renewCard(element, style) {
  const { image, name, facts, use } = element.parts;
  attribute(image, "src", styleAddress(style, 320));
  words(name, style.name);
  const used = style.used ? `used for ${count(style.used, "painting")}` : "";
  words(facts, [style.words, used].filter(Boolean).join(" · "));
  attribute(use, "aria-label", `Use ${style.name} for the next photos`);
}

/** Return a control that shows the chosen style, and opens all of them to choose from; `none`: what no choice is called. */
export function stylePicker(app, { none, onchange = () => {} }) {
  let value = "";
  const image = picture({ class: "picker-picture", width: 44, height: 44 });
  const blank = h("span", { class: "picker-picture picker-blank" });
  const text = h("span", { class: "picker-text" }, none);
  const opener = h("button", { type: "button", class: "picker", "aria-haspopup": "dialog", onclick: open }, blank, image, text);
  const list = h("ul", { class: "choices" });
  const close = button("Close", { sign: "close", isBare: true, onclick: () => dialog.close() });
  const dialog = h("dialog", { class: "choose", "aria-label": "Choose a style" }, h("div", { class: "choose-head" }, h("h2", {}, "Choose a style"), close), list);
  const element = h("div", { class: "picker-room" }, opener, dialog);
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  show();

  async function open() {
    offer();
    dialog.showModal();
    list.querySelector("[aria-pressed=true]")?.focus();
    await app.readStyles();
    offer();
  }

  function offer() {
    const choices = [{ name: "" }, ...app.styles()];
    keyed(list, choices, (style) => style.name, (style) => choice(style, none, choose), (item, style) => {
      attribute(item.firstElementChild, "aria-pressed", String(style.name === value));
    });
  }

  function choose(name) {
    value = name;
    dialog.close();
    show();
    onchange(name);
  }

  function show() {
    const style = app.styles().find((each) => each.name === value);
    words(text, value || none);
    shown(image, Boolean(style));
    shown(blank, !style);
    if (style) attribute(image, "src", styleAddress(style, 320));
    attribute(opener, "aria-label", `Style: ${value || none}`);
  }

  return { element, value: () => value, set: choose };
}

function choice(style, none, choose) {
  const image = style.name ? picture({ loading: "lazy", src: styleAddress(style, 320), width: 320, height: 320 }) : h("span", { class: "choice-none" });
  return h("li", {}, h("button", { type: "button", class: "choice", onclick: () => choose(style.name) }, image, h("span", {}, style.name || none)));
}
