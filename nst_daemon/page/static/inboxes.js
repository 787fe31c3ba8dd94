// Into which inbox photos go: asked only where there is more than one, and remembered by this browser.

import { h, shown } from "./dom.js";

const KEPT = "inbox"; // what the browser remembers

/** Return the control: `element`, `render(folders)`, and of what is chosen `value()` and `name()`, empty where nothing is to be chosen. */
export function inboxPicker() {
  const element = h("select", { class: "inboxes", "aria-label": "Inbox for photos that you add", title: "Inbox", hidden: true });
  let chosen = remembered();
  element.addEventListener("change", () => {
    chosen = element.value;
    remember(chosen);
  });
  return {
    element,
    value: () => (element.hidden ? "" : element.value),
    name: () => (element.hidden ? "" : element.selectedOptions[0].textContent),
    render(folders) {
      element.replaceChildren(...folders.map((folder) => h("option", { value: folder.id, title: folder.inbox }, folder.name)));
      element.value = folders.some((folder) => folder.id === chosen) ? chosen : folders[0].id;
      shown(element, folders.length > 1);
    },
  };
}

// A browser may be told to remember nothing, and throws then.

function remembered() {
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null;
  }
}

function remember(id) {
  try {
    localStorage.setItem(KEPT, id);
  } catch {
    // chosen for as long as the page is open
  }
}
