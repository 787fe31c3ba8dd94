// Numbers, times and jobs in words, the same on every view and the same as in a terminal. Pure.

const UNITS = [
  [86_400, "d"],
  [3600, "h"],
  [60, "min"],
  [1, "s"],
];
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long", year: "numeric" });
const MOMENT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const CLOCK = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });

/** Return a span of time in at most two units: `0.4 s`, `18 s`, `1 min 12 s`, `2 h 5 min`; numbers stay with theirs. */
export function duration(seconds) {
  if (seconds < 9.95) return `${Math.max(seconds, 0).toFixed(1).replace(".0", "")}\u00a0s`;
  let left = Math.round(seconds);
  const parts = [];
  for (const [size, name] of UNITS) {
    parts.push([Math.floor(left / size), name]);
    left %= size;
  }
  const first = parts.findIndex(([count]) => count > 0);
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, name]) => `${count}\u00a0${name}`)
    .join(" ");
}

/** Return `1 photo`, `3 photos`. */
export function count(number, word) {
  return `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;
}

/** Return the day of a moment: `Today`, `Yesterday`, `3 March 2027`. */
export function day(iso) {
  if (!iso) return "";
  const moment = new Date(iso);
  const days = Math.round((midnight(new Date()) - midnight(moment)) / 86_400_000);
  return days === 0 ? "Today" : days === 1 ? "Yesterday" : DAY.format(moment);
}

function midnight(moment) {
  return new Date(moment.getFullYear(), moment.getMonth(), moment.getDate());
}

/** Return a moment for reading: the time alone if it is of today. */
export function moment(iso) {
  if (!iso) return "";
  const when = new Date(iso);
  return day(iso) === "Today" ? CLOCK.format(when) : MOMENT.format(when);
}

/** Return the last part of the path of a job's or a sheet's photo. */
export function nameOf(job) {
  return job.photo.split("/").pop();
}

/**
 * Return what is known of a painting's way: `512 px`, `step 12 of 300, 0.4 s each`, `18 s left`.
 *
 * What changes most stands last, so that nothing that stays is moved by it.
 */
export function progressOf(current) {
  if (!current.steps) return ["Starting"];
  const each = current.seconds_a_step ? `, ${duration(current.seconds_a_step)} each` : "";
  const facts = [`step ${current.step} of ${current.steps}${each}`];
  if (current.scale) facts.unshift(`${current.scale} px`);
  if (current.eta_seconds !== null) facts.push(`${duration(current.eta_seconds)} left`);
  return facts;
}

/** Return the one line that says what the daemon does. */
export function headline(state) {
  const { counts } = state;
  if (!state.is_running) return "Not running";
  const waiting = counts.queued ? `, ${counts.queued.toLocaleString("en")} waiting` : "";
  if (state.is_paused) return counts.running ? "Painting, then paused" : `Paused${waiting}`;
  if (state.current.length > 0) return `Painting${state.current.length > 1 ? ` ${state.current.length}` : ""}${waiting}`;
  if (counts.queued) return state.problems.length > 0 ? `Held up${waiting}` : `Beginning${waiting}`;
  return "Waiting for photos";
}

/** Return the window's title: how many are left, and how far the first of them is. */
export function title(state) {
  const { queued, running } = state.counts;
  const left = queued + running;
  const percent = state.current.length > 0 ? `${state.current[0].percent} %` : "";
  const before = [left ? `(${left})` : "", percent].filter(Boolean).join(" ");
  return before ? `${before} – nst-daemon` : state.is_running ? "nst-daemon" : "Not running – nst-daemon";
}

/** Return why a job waits or failed, and what to do: in two parts where the daemon says them apart. */
export function reasonOf(job) {
  if (job.reason) return { reason: job.reason, remedy: job.remedy ?? "" };
  return { reason: (job.error ?? "").replace(/ \(docs\/errors\.md#\w+\)$/, ""), remedy: "" };
}
