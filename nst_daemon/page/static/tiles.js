// A job as a tile: its picture, and below it what it is. Made once for each job, and renewed in place.

import { bestOf } from "./api.js";
import { attribute, h, load, picture, words } from "./dom.js";
import { nameOf } from "./words.js";

/** Return a tile that opens a job. */
export function tile(job) {
  const image = picture({ class: "tile-picture", loading: "lazy" });
  const name = h("span", { class: "tile-name", dir: "auto" });
  const style = h("span", { class: "tile-style" });
  const link = h("a", { class: "tile-link", href: `#job/${job.job}` }, image, h("span", { class: "tile-words" }, name, style));
  return Object.assign(h("li", { class: "tile" }, link), { parts: { image, name, style, link } });
}

/** Renew what a tile shows. */
export function renewTile(element, job) {
  const { image, name, style } = element.parts;
  // Set at once and left to the browser, which asks for it when it is near: there may be thousands.
  attribute(image, "src", bestOf(job, 320));
  words(name, nameOf(job));
  words(style, job.style ?? "no style");
}

/** Return the small picture of a row, which `renewThumb` fills. */
export function thumb() {
  return h("span", { class: "thumb" }, picture({ loading: "lazy" }));
}

/** Renew a row's picture. */
export function renewThumb(element, address) {
  load(element.firstElementChild, address);
}
