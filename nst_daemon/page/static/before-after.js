// <before-after>: a photo and its painting, by slider, side by side or by a held key, up to 100 % with both in step.

import { attribute, button, h, load, picture, shown, words } from "./dom.js";

const LEAP = 10; // percent of the slider with Shift; the arrow keys alone move it by 1
const PAN = 60; // px, by an arrow key
const CLOSER = 1.25; // by one notch of a wheel, or + and -
const FARTHEST = 4; // times 100 %
const SIDES = ["before", "after"];

/** Two pictures in one frame. `show` gives it them; what it is set to stays from one pair to the next. */
class BeforeAfter extends HTMLElement {
  #pair = { before: null, after: null };
  #watch = null;
  #zoom = 1; // times the size that fits
  #isActual = false; // 100 %: one pixel of the painting on one of the screen
  #centre = { x: 0.5, y: 0.5 }; // of what is seen, in parts of the picture
  #natural = { width: 4, height: 3 }; // px, of the painting
  #missing = new Set(); // addresses that led nowhere
  #touches = new Map();
  #drag = null;

  connectedCallback() {
    if (this.childElementCount === 0) this.#build();
    this.#watch = new ResizeObserver(() => this.#layOut());
    this.#watch.observe(this.view);
  }

  disconnectedCallback() {
    this.#watch?.disconnect();
  }

  /** Show a pair: for each side `{id, name, alt, tiny, small, full}`, or null where there is none. */
  show(before, after) {
    const isNew = before?.small !== this.#pair.before?.small && after?.id !== this.#pair.after?.id;
    if (isNew) this.#reset();
    if (isNew) this.#missing.clear();
    this.#pair = { before: this.#present(before), after: this.#present(after) };
    for (const side of SIDES) {
      if (isNew) this.#begin(side);
      const given = this.#pair[side];
      shown(this[side].pane, given !== null);
      words(this[side].label, given?.name ?? "");
      load(this[side].image, this.#addressOf(given));
      attribute(this[side].image, "alt", given?.alt ?? "");
    }
    const isPair = this.#pair.before !== null && this.#pair.after !== null;
    attribute(this, "data-single", !isPair);
    shown(this.range, isPair);
    for (const control of [this.slide, this.beside, this.peek]) control.disabled = !isPair;
    this.#layOut();
  }

  /** Show at once what is surely at hand, a small picture, until the larger one is there. */
  #begin(side) {
    attribute(this[side].image, "src", this.#pair[side]?.tiny);
    attribute(this, "data-ready", false);
  }

  #present(given) {
    return given === null || this.#missing.has(given.small) ? null : given;
  }

  /** Do without a picture that is no more: a photo that was deleted. */
  #lose(side) {
    const given = this.#pair[side];
    if (given === null) return;
    this.#missing.add(given.small);
    this.show(this.#pair.before, this.#pair.after);
  }

  #addressOf(given) {
    return given === null ? null : this.#zoom > 1.01 || this.#isActual ? given.full : given.small;
  }

  #reset() {
    this.#zoom = 1;
    this.#isActual = false;
    this.#centre = { x: 0.5, y: 0.5 };
  }

  /** Give the slider the focus: arrow keys move it from the beginning. */
  focus() {
    (this.range.hidden ? this.view : this.range).focus();
  }

  // What it is made of.

  #build() {
    this.view = h("div", { class: "ba-view", tabindex: "0", role: "group", "aria-label": "Pictures. Plus and minus zoom, arrow keys move." });
    for (const side of SIDES) {
      const image = picture({ class: "ba-picture" });
      const label = h("span", { class: "ba-label" });
      const pane = h("div", { class: `ba-pane ba-${side}` }, image, label);
      this[side] = { image, label, pane };
      image.addEventListener("load", () => this.#measure(side));
      image.addEventListener("missing", () => this.#lose(side));
    }
    this.range = h("input", { type: "range", class: "ba-range", min: 0, max: 100, step: 1, value: 50, "aria-label": "How much is photo, and how much painting" });
    this.range.addEventListener("input", () => this.#split());
    this.range.addEventListener("keydown", (event) => this.#leap(event));
    this.frame = h("div", { class: "ba-frame" }, this.before.pane, this.after.pane, h("div", { class: "ba-line" }), this.range);
    this.view.append(this.frame);
    this.slide = button("Slider", { "aria-pressed": "true", onclick: () => this.#arrange("slider") });
    this.beside = button("Side by side", { "aria-pressed": "false", onclick: () => this.#arrange("beside") });
    this.peek = button("Hold for photo", { class: "button ba-peek", title: "Hold this, or the key P" });
    this.actual = button("100 %", { "aria-pressed": "false", title: "Key Z, or a double click", onclick: () => this.#toggle() });
    const modes = h("div", { class: "segments", role: "group", "aria-label": "Comparison" }, this.slide, this.beside);
    this.bar = h("div", { class: "ba-bar" }, modes, this.peek, this.actual);
    this.append(this.view, this.bar);
    this.#hear();
    this.#arrange("slider");
    this.#split();
  }

  #hear() {
    this.view.addEventListener("pointerdown", (event) => this.#press(event));
    this.view.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel"]) this.view.addEventListener(end, (event) => this.#lift(event));
    this.view.addEventListener("dblclick", (event) => event.target !== this.range && this.#toggle(event));
    this.view.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    this.view.addEventListener("keydown", (event) => this.#pan(event));
    this.peek.addEventListener("pointerdown", () => this.#uncover(true));
    for (const end of ["pointerup", "pointerleave", "pointercancel", "blur"]) this.peek.addEventListener(end, () => this.#uncover(false));
    this.peek.addEventListener("keydown", (event) => [" ", "Enter"].includes(event.key) && this.#uncover(true));
    this.peek.addEventListener("keyup", () => this.#uncover(false));
  }

  /** Answer a key that was pressed or let go anywhere on the view around. Returns whether it was one of ours. */
  key(event) {
    const isDown = event.type === "keydown";
    if (event.ctrlKey || event.metaKey || event.altKey) return false;
    if (event.key === "p" || event.key === "P") this.#uncover(isDown && !this.peek.disabled);
    else if (!isDown) return false;
    else if (event.key === "z" || event.key === "Z") this.#toggle();
    else if (event.key === "+" || event.key === "=") this.#magnify(CLOSER);
    else if (event.key === "-") this.#magnify(1 / CLOSER);
    else return false;
    return true;
  }

  // Arrangement.

  #arrange(mode) {
    this.dataset.mode = mode;
    attribute(this.slide, "aria-pressed", String(mode === "slider"));
    attribute(this.beside, "aria-pressed", String(mode === "beside"));
    this.#layOut();
  }

  #uncover(isOn) {
    attribute(this, "data-peek", isOn);
  }

  #split() {
    const percent = Number(this.range.value);
    this.frame.style.setProperty("--split", `${percent}%`);
    attribute(this.range, "aria-valuetext", `${percent} % photo, ${100 - percent} % painting`);
  }

  #leap(event) {
    const way = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
    if (way === undefined) return;
    event.stopPropagation(); // not the view's, which would move the picture
    if (!event.shiftKey) return;
    event.preventDefault();
    this.range.value = Number(this.range.value) + way * LEAP;
    this.#split();
  }

  #measure(side) {
    const { naturalWidth: width, naturalHeight: height } = this[side].image;
    attribute(this, "data-ready", true);
    if (side === "before" && this.#pair.after !== null && this.after.image.naturalWidth > 0) return;
    this.#natural = { width, height };
    this.#layOut();
  }

  /** Return the room for one pane, and how many CSS px a pixel of the painting is where it fits. */
  #room() {
    const width = this.view.clientWidth;
    const height = this.view.clientHeight;
    const isBeside = this.dataset.mode === "beside" && !this.hasAttribute("data-single");
    const isRow = width * this.#natural.height >= height * this.#natural.width;
    const gap = 8;
    const room = { width, height, isRow };
    if (isBeside && isRow) room.width = (width - gap) / 2;
    if (isBeside && !isRow) room.height = (height - gap) / 2;
    room.fit = Math.min(room.width / this.#natural.width, room.height / this.#natural.height);
    return room;
  }

  #layOut() {
    if (!this.view?.clientWidth) return;
    const { width, height, isRow, fit } = this.#room();
    const actual = 1 / devicePixelRatio / fit;
    const isSharp = this.#isSharp();
    if (this.#isActual && isSharp) this.#zoom = actual;
    const scale = fit * this.#zoom;
    const whole = { width: this.#natural.width * scale, height: this.#natural.height * scale };
    const pane = { width: Math.min(width, whole.width), height: Math.min(height, whole.height) };
    const left = offset(this.#centre, "x", pane.width, whole.width);
    const top = offset(this.#centre, "y", pane.height, whole.height);
    this.#centre = { x: (pane.width / 2 - left) / whole.width, y: (pane.height / 2 - top) / whole.height };
    attribute(this.frame, "data-row", isRow);
    for (const side of SIDES) {
      Object.assign(this[side].pane.style, { width: `${pane.width}px`, height: `${pane.height}px` });
      Object.assign(this[side].image.style, { width: `${whole.width}px`, height: `${whole.height}px`, transform: `translate(${left}px, ${top}px)` });
      load(this[side].image, this.#addressOf(this.#pair[side]));
    }
    this.whole = whole;
    const isFit = Math.abs(this.#zoom - 1) < 0.01;
    attribute(this, "data-zoomed", this.#zoom > 1.01);
    attribute(this.actual, "aria-pressed", String(this.#isActual));
    const isPlain = isFit || this.#isActual || !isSharp;
    words(this.actual.firstElementChild, isPlain ? "100 %" : `${Math.round((100 * this.#zoom) / actual)} %`);
  }

  /** Return whether the painting is there in all its pixels: before that nobody knows what 100 % is. */
  #isSharp() {
    const side = this.#pair.after === null ? "before" : "after";
    return this[side].image.getAttribute("src") === this.#pair[side]?.full;
  }

  // Zoom and movement.

  #toggle(event = null) {
    const isClose = this.#isActual || this.#zoom > 1.01;
    if (!isClose && event !== null) this.#aim(event);
    this.#isActual = !isClose;
    if (isClose) this.#reset();
    this.#layOut();
  }

  /** Put what lies under the pointer into the middle. */
  #aim(event) {
    const pane = event.target.closest(".ba-pane") ?? this.after.pane;
    const box = pane.getBoundingClientRect();
    this.#centre = { x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height };
  }

  #magnify(factor) {
    const actual = 1 / devicePixelRatio / this.#room().fit;
    this.#isActual = false;
    this.#zoom = Math.min(Math.max(this.#zoom * factor, 1), Math.max(FARTHEST * actual, FARTHEST));
    this.#layOut();
  }

  #wheel(event) {
    if (!event.ctrlKey && this.#zoom <= 1.01) return; // a wheel alone scrolls the page
    event.preventDefault();
    if (event.ctrlKey) this.#magnify(Math.exp(-event.deltaY / 200));
    else this.#shift(-event.deltaX, -event.deltaY);
  }

  #pan(event) {
    const way = { ArrowLeft: [PAN, 0], ArrowRight: [-PAN, 0], ArrowUp: [0, PAN], ArrowDown: [0, -PAN] }[event.key];
    if (way === undefined || this.#zoom <= 1.01) return;
    event.preventDefault();
    this.#shift(...way);
  }

  #shift(x, y) {
    this.#centre.x -= x / this.whole.width;
    this.#centre.y -= y / this.whole.height;
    this.#layOut();
  }

  #press(event) {
    if (event.target === this.range || event.button > 0) return;
    this.#touches.set(event.pointerId, event);
    this.view.setPointerCapture(event.pointerId);
    this.#drag = { x: event.clientX, y: event.clientY };
    if (!this.hasAttribute("data-zoomed") && this.#touches.size === 1) this.#slideTo(event);
  }

  #move(event) {
    if (!this.#touches.has(event.pointerId)) return;
    const before = spread(this.#touches);
    this.#touches.set(event.pointerId, event);
    if (this.#touches.size === 2) {
      if (before > 0) this.#magnify(spread(this.#touches) / before);
    } else if (this.hasAttribute("data-zoomed")) {
      this.#shift(event.clientX - this.#drag.x, event.clientY - this.#drag.y);
    } else this.#slideTo(event);
    this.#drag = { x: event.clientX, y: event.clientY };
  }

  #lift(event) {
    this.#touches.delete(event.pointerId);
  }

  #slideTo(event) {
    if (this.dataset.mode !== "slider" || this.range.hidden) return;
    const box = this.after.pane.getBoundingClientRect();
    this.range.value = Math.round((100 * (event.clientX - box.left)) / box.width);
    this.#split();
  }
}

function offset(centre, axis, pane, whole) {
  return Math.min(0, Math.max(pane - whole, pane / 2 - centre[axis] * whole));
}

function spread(touches) {
  const [one, other] = [...touches.values()];
  return other === undefined ? 0 : Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
}

customElements.define("before-after", BeforeAfter);
