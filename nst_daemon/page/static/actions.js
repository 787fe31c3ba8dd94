// What can be asked of a job, and how its buttons look. The daemon does it; the next state shows it.

import { tell } from "./api.js";
import { button } from "./dom.js";
import { refuse, say } from "./notices.js";
import { nameOf } from "./words.js";

const ACTIONS = {
  next: { label: "Paint next", sign: "next", done: (job) => `${nameOf(job)} is next.` },
  cancel: { label: "Cancel", sign: "close", done: (job) => `${nameOf(job)} is cancelled.` },
  retry: { label: "Try again", sign: "retry", done: (job) => `${nameOf(job)} is tried again.` },
};

/** Return a button that asks something of whichever job `jobOf()` is at the time. */
export function actionButton(action, jobOf, props = {}) {
  const { label, sign, done } = ACTIONS[action];
  const element = button(label, {
    sign,
    "data-action": action,
    ...props,
    onclick: async () => {
      const job = jobOf();
      element.disabled = true;
      await attempt(async () => {
        const answer = await tell(`/jobs/${job.job}/${action}`);
        say(answer.words ?? done(job));
      });
      element.disabled = false;
    },
  });
  return element;
}

/** Do something, and show why where it is refused. Returns whether it was done. */
export async function attempt(something) {
  try {
    await something();
    return true;
  } catch (error) {
    refuse(error);
    return false;
  }
}

/** Return whether a job takes an action now. */
export function takes(job, action) {
  return job.can?.includes(action) ?? false;
}
