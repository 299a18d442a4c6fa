// The live view: reads the stream of fleets, notices when it is broken, refused or silent, and comes back by itself.
// Says what it is doing; draws nothing.

import { ApiError, address, get, refusal } from "./api.js";
import { backoff, reader } from "./events.js";
import { learn, now } from "./clock.js";

// The control plane sends a comment at least every 15 s: twice that without a byte is a dead line.
const SILENCE = 35_000;
// A page that nobody looks at gives its connection back, and asks now and then instead.
const HIDDEN_AFTER = 60_000;
const HIDDEN_EVERY = 30_000;

/**
 * Tells three things: `tell.fleet(json)` for each fleet; `tell.state({ state, until, why })` for the connection, which is
 * connecting, live, waiting (until a moment, and why, if the server said so) or resting; and `tell.signedOut()` when the
 * stream is refused for want of a session.
 */
export class Live {
  #tell;
  #failed = 0;
  #abort = null;
  #timer = null;
  #rest = null;
  #running = false;

  constructor(tell) {
    this.#tell = tell;
    document.addEventListener("visibilitychange", () => this.#seen());
    addEventListener("online", () => this.now());
    // A page that comes back from the browser's cache has lost its stream without being told.
    addEventListener("pageshow", (event) => event.persisted && this.now());
  }

  start() {
    this.#running = true;
    this.#failed = 0;
    this.#connect();
    this.#seen();
  }

  stop() {
    this.#running = false;
    clearTimeout(this.#rest);
    this.#close();
  }

  /** Tries at once instead of waiting; does nothing while live. */
  now() {
    if (this.#running && !this.#abort) this.#connect();
  }

  /** The fleet now, besides the stream. */
  async refresh() {
    const fleet = await get("fleet");
    this.#tell.fleet(fleet);
  }

  #close() {
    clearTimeout(this.#timer);
    this.#abort?.abort();
    this.#abort = null;
  }

  async #connect() {
    this.#close();
    const abort = new AbortController();
    this.#abort = abort;
    this.#tell.state({ state: "connecting" });
    try {
      await this.#read(abort);
      throw new ApiError(0, { error: { message: "The control plane ended the live view." } });
    } catch (error) {
      if (abort !== this.#abort) return;
      this.#abort = null;
      abort.abort();
      this.#lost(error);
    }
  }

  #lost(error) {
    if (error.status === 401) {
      this.#tell.signedOut();
      return;
    }
    const wait = Math.max((error.retryAfter ?? 0) * 1000, backoff(this.#failed, Math.random()));
    this.#failed += 1;
    this.#tell.state({ state: "waiting", until: now() + wait, why: error.status ? error.message : "" });
    this.#timer = setTimeout(() => this.#connect(), wait);
  }

  async #read(abort) {
    let silence = setTimeout(() => abort.abort(), SILENCE);
    try {
      const answer = await open(abort.signal);
      const take = reader(({ event, data }) => event === "fleet" && this.#arrived(data));
      const pieces = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { value, done } = await pieces.read();
        if (done) return;
        clearTimeout(silence);
        silence = setTimeout(() => abort.abort(), SILENCE);
        take(value);
      }
    } catch (error) {
      throw error instanceof ApiError ? error : new ApiError(0);
    } finally {
      clearTimeout(silence);
    }
  }

  #arrived(data) {
    this.#tell.fleet(JSON.parse(data));
    this.#failed = 0;
    this.#tell.state({ state: "live" });
  }

  #seen() {
    clearTimeout(this.#rest);
    if (!this.#running) return;
    if (document.hidden) this.#rest = setTimeout(() => this.#doze(), HIDDEN_AFTER);
    else this.now();
  }

  async #doze() {
    if (!document.hidden || !this.#running) return;
    this.#close();
    try {
      await this.refresh();
      this.#tell.state({ state: "resting" });
    } catch (error) {
      // Whoever is asked to sign in has been asked already.
      if (error.status === 401) return;
      this.#tell.state({ state: "waiting", until: now() + HIDDEN_EVERY, why: error.status ? error.message : "" });
    }
    if (document.hidden && this.#running && !this.#abort) this.#rest = setTimeout(() => this.#doze(), HIDDEN_EVERY);
  }
}

async function open(signal) {
  const answer = await fetch(address("fleet/events"), {
    headers: { accept: "text/event-stream" },
    signal,
    cache: "no-store",
    credentials: "same-origin",
  });
  learn(answer.headers.get("date"));
  if (answer.ok) return answer;
  throw refusal(answer.status, answer, await answer.json().catch(() => null));
}
