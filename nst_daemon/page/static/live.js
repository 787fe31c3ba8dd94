// The stream of states. It ends while the page is hidden, and begins anew, with a whole state, when it is seen.

const SILENCE = 40_000; // ms; where nothing changes the server sends a beat every 15 s
const GRACE = 1500; // ms without a stream before it is called lost: a restart takes as long
const WAITS = [500, 1000, 2000, 4000, 8000]; // ms between two tries

/** Keeps one stream open, and says what arrives: `onState(state)`; `onLost(status, answer)`, 0 for no answer. */
export class Live {
  #source = null;
  #tries = 0;
  #silence = 0;
  #again = 0;
  #grace = 0;

  constructor(onState, onLost) {
    this.onState = onState;
    this.onLost = onLost;
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#close() : this.#open()));
    addEventListener("online", () => this.retry());
    addEventListener("pageshow", (event) => event.persisted && this.retry());
    addEventListener("pagehide", () => this.#close());
    if (!document.hidden) this.#open();
  }

  /** Try again at once. */
  retry() {
    if (document.hidden) return;
    this.#close();
    this.#open();
  }

  #open() {
    if (this.#source !== null) return;
    const source = new EventSource("/live");
    this.#source = source;
    this.#listen();
    source.addEventListener("open", () => this.#listen());
    source.addEventListener("state", (event) => {
      this.#listen();
      this.#tries = 0;
      clearTimeout(this.#grace);
      this.#grace = 0;
      this.onState(JSON.parse(event.data));
    });
    source.addEventListener("beat", () => this.#listen());
    source.addEventListener("error", () => this.#fail());
  }

  #close() {
    clearTimeout(this.#silence);
    clearTimeout(this.#again);
    this.#source?.close();
    this.#source = null;
  }

  #listen() {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#fail(), SILENCE);
  }

  #fail() {
    this.#close();
    this.#grace ||= setTimeout(() => this.#say(), GRACE);
    const wait = WAITS[Math.min(this.#tries, WAITS.length - 1)];
    this.#tries += 1;
    this.#again = setTimeout(() => this.#open(), wait);
  }

  async #say() {
    // An EventSource does not tell a refusal from silence: a plain question does.
    const asked = new AbortController();
    try {
      const response = await fetch("/live", { signal: asked.signal });
      if (response.ok) this.retry();
      else this.onLost(response.status, await response.json());
    } catch {
      this.onLost(0, {});
    }
    asked.abort();
  }
}
