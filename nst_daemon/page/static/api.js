// The server's routes: questions, requests, uploads, and the addresses of pictures.

const HEADERS = { "X-Nst-Daemon": "1" };
const NO_ANSWER = "nst-daemon does not answer.";
const COME_BACK = "Nothing was changed. This page comes back by itself when it does.";

/** What the server would not do, why, and the way out. */
export class Refusal extends Error {
  constructor(message, remedy = "", status = 0) {
    super(message);
    this.remedy = remedy;
    this.status = status;
  }
}

/** Return what a route answers. Throws a Refusal. */
export async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Refusal(NO_ANSWER, COME_BACK);
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw refusal(response.status, answer);
  return answer;
}

/** Leave a request: `params` are part of the address, and null ones are left out. Throws a Refusal. */
export function tell(path, params = {}) {
  return ask(path + query(params), { method: "POST", headers: HEADERS });
}

/** Send a file as it is, and report how much of it has gone, 0 to 1. Throws a Refusal. */
export function send(path, params, file, onProgress) {
  // Not by fetch, which says nothing of how far it is.
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", path + query(params));
    for (const [name, value] of Object.entries(HEADERS)) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", (event) => onProgress(event.total ? event.loaded / event.total : 0));
    request.addEventListener("error", () => reject(new Refusal(NO_ANSWER, "Drop it again once this page is connected.")));
    request.addEventListener("load", () => {
      const answer = parsed(request.responseText);
      if (request.status < 300) resolve(answer);
      else reject(refusal(request.status, answer));
    });
    request.send(file);
  });
}

function refusal(status, answer) {
  return new Refusal(answer.error ?? `The answer was ${status}.`, answer.remedy, status);
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

function query(params) {
  const known = Object.entries(params).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return known.length > 0 ? `?${new URLSearchParams(known)}` : "";
}

/** Return the address of a picture of a job's, or null if there is none. */
export function pictureOf(job, kind, size) {
  const version = job.versions?.[kind];
  return version ? `/jobs/${job.job}/${kind}?size=${size}&v=${version}` : null;
}

/** Return the address of what shows a job best: its result, else how far it is, else its photo. */
export function bestOf(job, size) {
  return pictureOf(job, "result", size) ?? pictureOf(job, "preview", size) ?? pictureOf(job, "photo", size);
}

/** Return the address of a style's picture. */
export function styleAddress(style, size) {
  return `/styles/${encodeURIComponent(style.name)}/picture?size=${size}&v=${encodeURIComponent(style.version)}`;
}
