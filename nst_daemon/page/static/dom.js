// Elements are built and renewed here. Words go in as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";

/** Return a new element. `on…` are listeners, `class` and others attributes; null and false are left out. */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else attribute(element, name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Set an attribute if it differs; true is an empty one, null and false take it away. */
export function attribute(element, name, value) {
  if (value === null || value === undefined || value === false) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
    return;
  }
  const text = value === true ? "" : String(value);
  if (element.getAttribute(name) !== text) element.setAttribute(name, text);
}

/** Set the words of an element if they differ: what is selected or read aloud stays. */
export function words(element, text) {
  if (element.textContent !== text) element.textContent = text;
  return element;
}

/** Show or hide an element. */
export function shown(element, isShown) {
  if (element.hidden === isShown) element.hidden = !isShown;
  return element;
}

/** Return an icon: strokes on a field of 24 by 24, in the colour of the words beside it. */
export function icon(name) {
  const drawing = document.createElementNS(SVG, "svg");
  drawing.setAttribute("viewBox", "0 0 24 24");
  drawing.setAttribute("class", "icon");
  drawing.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  drawing.append(path);
  return drawing;
}

const ICONS = {
  add: "M12 5v14M5 12h14",
  back: "M15 5l-7 7 7 7",
  close: "M6 6l12 12M18 6L6 18",
  down: "M12 4v12m-5-5l5 5 5-5M5 20h14",
  folder: "M3 7v11a1 1 0 001 1h16a1 1 0 001-1V9a1 1 0 00-1-1h-8L10 5H4a1 1 0 00-1 1z",
  forth: "M9 5l7 7-7 7",
  grip: "M9 6h.01M15 6h.01M9 12h.01M15 12h.01M9 18h.01M15 18h.01",
  next: "M12 19V6m-6 6l6-6 6 6M5 3h14",
  pause: "M8 5v14M16 5v14",
  play: "M7 5l12 7-12 7z",
  report: "M4 20V4m0 16h16M7 7c2 7 5 9 13 9",
  retry: "M20 11a8 8 0 10-2.3 6.3M20 4v7h-7",
  sheet: "M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z",
};

/** Return a button with an icon; without visible words its label is read aloud and shown on hover. */
export function button(label, { sign = null, kind = "", isBare = false, ...props } = {}) {
  const named = isBare ? { "aria-label": label, title: label } : {};
  const inner = [sign && icon(sign), !isBare && h("span", {}, label)];
  return h("button", { type: "button", class: `button ${kind}${isBare ? " bare" : ""}`.trim(), ...named, ...props }, ...inner);
}

/**
 * Renew a list in place: each item keeps its element, and with it focus and scroll.
 *
 * An element that goes while it has the focus hands it to its neighbour, or to the list.
 */
export function keyed(list, items, keyOf, make, renew) {
  const known = LISTS.get(list) ?? new Map();
  const focused = list.contains(document.activeElement) ? document.activeElement : null;
  const now = new Map(items.map((item) => [String(keyOf(item)), item]));
  const place = focused === null ? -1 : [...list.children].findIndex((child) => child.contains(focused));
  for (const [key, element] of known) {
    if (now.has(key)) continue;
    element.remove();
    known.delete(key);
  }
  let at = list.firstElementChild;
  for (const [key, item] of now) {
    const element = known.get(key) ?? make(item);
    known.set(key, element);
    renew(element, item);
    if (element === at) at = at.nextElementSibling;
    else list.insertBefore(element, at);
  }
  LISTS.set(list, known);
  if (focused !== null && document.activeElement !== focused) refocus(list, focused, place);
}

const LISTS = new WeakMap();

function refocus(list, focused, place) {
  if (focused.isConnected) {
    focused.focus(); // it was moved, not removed
    return;
  }
  const neighbour = list.children[Math.min(place, list.children.length - 1)];
  const same = neighbour && [...neighbour.querySelectorAll("button, a[href]")].find(isUsable);
  if (same) same.focus();
  else {
    list.tabIndex = -1;
    list.focus();
  }
}

function isUsable(element) {
  return !element.disabled && element.offsetParent !== null;
}

/** Return an image that is shown once it is loaded; `load` gives it an address, and keeps it if it is the same. */
export function picture(props = {}) {
  return h("img", { alt: "", decoding: "async", draggable: "false", width: 320, height: 240, ...props });
}

/**
 * Give an image its next address, one at a time: what is asked for meanwhile waits, and only the last of it.
 *
 * The picture before stays until the next is decoded, so that nothing flickers.
 */
export function load(image, address) {
  const state = LOADS.get(image) ?? { wanted: null, isBusy: false };
  LOADS.set(image, state);
  if (state.wanted === address) return;
  state.wanted = address;
  if (!state.isBusy) proceed(image, state);
}

const LOADS = new WeakMap();

async function proceed(image, state) {
  state.isBusy = true;
  for (let address = null; address !== state.wanted; ) {
    address = state.wanted;
    if (address === null) {
      image.removeAttribute("src");
      continue;
    }
    const next = new Image();
    next.src = address;
    try {
      await next.decode();
    } catch {
      // It has just gone, or was replaced: the next state names the next version.
      if (address === state.wanted) image.dispatchEvent(new Event("missing"));
      continue;
    }
    if (address === state.wanted || image.getAttribute("src") === null) image.src = address;
  }
  state.isBusy = false;
}
