// One job in full: photo and painting beside each other, what it was painted with, and "again with…".

import "./before-after.js";
import { actionButton, attempt, takes } from "./actions.js";
import { ask, pictureOf, tell } from "./api.js";
import { attribute, button, h, icon, shown, words } from "./dom.js";
import { say } from "./notices.js";
import { orderSheet } from "./sheets.js";
import { stylePicker } from "./styles.js";
import { count, duration, moment, nameOf, progressOf, reasonOf } from "./words.js";

/** Return the dialog: `open(id)`, `close()`, `render(state)`; `app` knows jobs, their order, and styles. */
export function compareDialog(app) {
  let job = null;
  let isReport = false; // it is shown in place of photo and painting
  let before = null; // what had the focus
  const pictures = document.createElement("before-after");
  const name = h("h2", { id: "job-name", dir: "auto" });
  const previous = button("Newer", { sign: "back", isBare: true, onclick: () => step(-1) });
  const next = button("Older", { sign: "forth", isBare: true, onclick: () => step(1) });
  const close = button("Close", { sign: "close", isBare: true, onclick: app.leaveJob });
  const head = h("div", { class: "compare-head" }, previous, next, name, close);
  const aside = details(app, () => job, turnReport);
  const body = h("div", { class: "compare-body" }, pictures, aside.element);
  const dialog = h("dialog", { class: "compare", "aria-labelledby": "job-name" }, head, body);
  document.body.append(dialog);

  dialog.addEventListener("cancel", (event) => {
    event.preventDefault();
    app.leaveJob();
  });
  for (const kind of ["keydown", "keyup"]) dialog.addEventListener(kind, hear);

  function hear(event) {
    if (event.target.matches("select, input:not([type=range])")) return;
    if (pictures.key(event)) event.preventDefault();
    else if (event.type === "keydown" && event.key === "PageUp") step(-1);
    else if (event.type === "keydown" && event.key === "PageDown") step(1);
    else return;
    event.preventDefault();
  }

  function step(by) {
    const id = neighbour(by);
    if (id !== undefined) app.showJob(id);
  }

  function neighbour(by) {
    const order = app.order();
    const at = order.indexOf(job?.job);
    return at < 0 ? undefined : order[at + by];
  }

  function draw(current = null) {
    words(name, nameOf(job));
    const report = side(job, "report", "report");
    isReport &&= report !== null;
    const painting = side(job, "result", "painting") ?? side(job, "preview", "painting so far");
    if (isReport) pictures.show(null, { ...report, id: `report of ${job.job}` });
    else pictures.show(side(job, "photo", "photo"), painting);
    aside.report(report !== null, isReport);
    previous.disabled = neighbour(-1) === undefined;
    next.disabled = neighbour(1) === undefined;
    aside.render(current);
  }

  function turnReport() {
    isReport = !isReport;
    draw(app.currentOf(job.job));
  }

  return {
    async open(id) {
      isReport = false;
      job = app.jobOf(id) ?? { job: id, photo: "", versions: {}, can: [] };
      aside.forget();
      if (!dialog.open) {
        before = document.activeElement;
        dialog.showModal();
        draw(app.currentOf(id));
        pictures.focus();
      } else draw(app.currentOf(id));
      try {
        const full = await ask(`/jobs/${id}`);
        if (job.job !== id) return;
        job = full;
        draw(app.currentOf(id));
        if (document.activeElement === pictures.view) pictures.focus(); // there was no slider yet
        aside.settings(full.settings);
      } catch (error) {
        aside.missing(error);
      }
    },
    close() {
      if (!dialog.open) return;
      dialog.close();
      job = null;
      if (before?.isConnected) before.focus();
    },
    render() {
      if (job === null) return;
      const known = app.jobOf(job.job);
      if (known) job = { ...job, ...known, settings: job.settings, versions: { ...known.versions, report: reportOf(job, known) } };
      draw(app.currentOf(job.job));
    },
  };
}

/** Return the version of the report, which only a job in full has: none any more once the job is painted anew. */
function reportOf(job, known) {
  const version = job.versions?.report ?? null;
  return version === known.versions.result ? version : null;
}

function side(job, kind, label) {
  const small = pictureOf(job, kind, 1280);
  if (small === null) return null;
  return { id: job.job, name: label, alt: `${nameOf(job)}: ${label}`, tiny: pictureOf(job, kind, 320), small, full: kind === "preview" ? small : pictureOf(job, kind, "full") };
}

// ── beside the pictures ────────────────────────────────────────────────────────────────────────────────

function details(app, jobOf, turnReport) {
  const facts = h("p", { class: "facts" });
  const reason = h("p", { class: "reason" });
  const remedy = h("p", { class: "remedy" });
  const download = h("a", { class: "button main", download: true }, icon("down"), h("span", {}, "Download"));
  const folder = button("Open folder", { sign: "folder", onclick: () => attempt(() => tell(`/jobs/${jobOf().job}/open-folder`)) });
  const sheet = button("Every style, small", { sign: "sheet", onclick: () => orderSheet(app, jobOf()) });
  const report = button("Report", { sign: "report", "aria-pressed": "false", onclick: turnReport });
  const buttons = ["retry", "next", "cancel"].map((action) => [action, actionButton(action, jobOf)]);
  const list = h("dl", { class: "settings-list" });
  const settings = h("details", { class: "settings-of" }, h("summary", {}, "Settings"), list);
  const again = againForm(app, jobOf);
  const element = h("aside", { class: "details", "aria-label": "Details" }, facts, reason, remedy, h("div", { class: "actions" }, download, folder, report, sheet, buttons.map(([, each]) => each)), again.element, settings);
  return {
    element,
    render(current) {
      const job = jobOf();
      words(facts, current === null ? sentence(job) : [`${current.percent} %`, ...progressOf(current)].join(" · "));
      const why = reasonOf(job);
      shown(words(reason, why.reason), why.reason !== "");
      shown(words(remedy, why.remedy), why.remedy !== "");
      const isDone = Boolean(job.versions?.result);
      shown(download, isDone);
      attribute(download, "href", `/jobs/${job.job}/file`);
      shown(folder, isDone && app.isLocal);
      shown(sheet, app.hasSheets() && takes(job, "again"));
      for (const [action, each] of buttons) shown(each, takes(job, action));
      again.render(takes(job, "again"));
    },
    report(isThere, isOn) {
      shown(report, isThere);
      attribute(report, "aria-pressed", String(isOn));
    },
    forget() {
      list.replaceChildren();
      shown(settings, false);
    },
    settings(given) {
      const rows = Array.isArray(given) ? given : Object.entries(given ?? {});
      shown(settings, rows.length > 0);
      list.replaceChildren(...rows.flatMap(([key, value]) => [h("dt", {}, key), h("dd", {}, said(value))]));
    },
    missing(error) {
      shown(words(reason, error.message), true);
      shown(words(remedy, error.remedy), error.remedy !== "");
    },
  };
}

function said(value) {
  return Array.isArray(value) ? value.join(", ") : value === null ? "–" : String(value);
}

function sentence(job) {
  if (!job.state) return "";
  const style = job.style ? ` in ${job.style}` : "";
  const took = job.seconds ? `, took ${duration(job.seconds)}` : "";
  const tries = job.attempts > 1 ? `, ${count(job.attempts, "attempt")}` : "";
  if (job.state === "done") return `Painted${style}, ${moment(job.finished)}${took}${tries}`;
  return `${job.state[0].toUpperCase()}${job.state.slice(1)}${style}${tries}`;
}

// ── again with… ────────────────────────────────────────────────────────────────────────────────────────

function againForm(app, jobOf) {
  const style = stylePicker(app, { none: "The same style" });
  const preset = h("select", { id: "again-preset" });
  const size = h("select", { id: "again-size" });
  for (const px of ["", 512, 1024, 2048, 4096]) size.append(h("option", { value: px }, px ? `${px} px` : "the same"));
  const order = button("Paint again", { sign: "retry", kind: "main", onclick: paint });
  const fields = h("div", { class: "fields" }, h("label", { for: "again-preset" }, "Preset"), preset, h("label", { for: "again-size" }, "Size"), size);
  const element = h("section", { class: "again" }, h("h3", {}, "Again with…"), style.element, fields, order);

  async function paint() {
    const params = { style: style.value(), preset: preset.value, size: size.value };
    order.disabled = true;
    const isDone = await attempt(() => tell(`/jobs/${jobOf().job}/again`, params));
    order.disabled = false;
    if (isDone) say(`${nameOf(jobOf())} is painted again${style.value() ? ` in ${style.value()}` : ""}.`);
  }

  return {
    element,
    render(isPossible) {
      shown(element, isPossible);
      if (preset.childElementCount <= 1) {
        preset.replaceChildren(...["", ...app.presets()].map((each) => h("option", { value: each }, each || "the same")));
      }
    },
  };
}
