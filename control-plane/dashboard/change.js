// A change from the first look to the last sidecar: says by a dry run what it would do, asks why and for how long, sends
// the version that was seen, waits, and follows it. What the dialog looks like is `change_view.js`'s.

import { ApiError, get, send } from "./api.js";
import { now } from "./clock.js";
import { byId } from "./dom.js";
import { expiry } from "./expiry.js";
import { readAudit } from "./fleet.js";
import { later } from "./standing.js";
import { moved } from "./moved.js";
import { news, notice } from "./news.js";
import { fleet as shown, watch } from "./picture.js";
import * as view from "./change_view.js";

// The control plane answers when every live sidecar has applied it, or after this long.
const WAIT = "15s";
const TYPING = 250;

let world = null;
let open = null;

/** Makes the dialog work. `world.refresh()` fetches the fleet; `world.changed()` is called after every change. */
export function prepare(given) {
  world = given;
  const dialog = byId("change");
  byId("change-form").addEventListener("submit", (event) => {
    event.preventDefault();
    open?.submit();
  });
  byId("change-form").addEventListener("input", (event) => open?.edited(event.target));
  dialog.addEventListener("close", () => {
    open?.close();
    open = null;
  });
  watch((fleet) => open?.told(fleet));
}

/**
 * Opens the dialog for one change. `spec`: title, means, verb, name (typed where it needs force), method and path,
 * fields (elements, if any), forGood (no end can be set to it), `danger()`, `wrong()` → [input, why] or null, `request()` → the body without its reason
 * and options, `following(fleet)` → { applied, total }, `settled(answer)` → its ChangeResult.
 */
export function openChange(spec) {
  open = new Change(spec);
  view.open(spec);
  open.look();
}

class Change {
  #spec;
  #base = shown();
  #stage = "asking";
  #force = false;
  #looking = null;
  #ready = Promise.resolve(false);
  #edited = false;
  #timer = null;
  #sentAt = 0;

  constructor(spec) {
    this.#spec = spec;
  }

  close() {
    clearTimeout(this.#timer);
    this.#looking?.abort();
  }

  /** Something in the form was edited: what concerns what would happen is asked anew. */
  edited(input) {
    view.righted(input);
    if (this.#stage !== "asking" || input === byId("change-reason") || input === byId("force-typed")) return;
    this.#force = false;
    this.#edited = true;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.look(), TYPING);
  }

  /** Begins from the fleet as it is shown now, and asks what the change would do. */
  look() {
    clearTimeout(this.#timer);
    this.#stage = "asking";
    this.#edited = false;
    this.#base = shown();
    this.#ready = Promise.resolve(false);
    this.#looking?.abort();
    this.#looking = new AbortController();
    view.asking(this.#spec.danger());
    if (this.#spec.wrong?.()) return;
    this.#ready = this.#dryRun(this.#looking.signal);
  }

  /** Whether it could be done. */
  async #dryRun(signal) {
    try {
      const answer = await this.#send(true, signal);
      view.would(this.#spec.settled(answer) ?? {});
      return true;
    } catch (error) {
      if (signal.aborted) return false;
      if (error.status === 412 && !this.#force) {
        // What is dangerous about it is shown beside what it would do all the same.
        this.#force = true;
        view.needsForce(error, this.#spec.name);
        return this.#dryRun(signal);
      }
      if (error.status === 409) await this.#moved();
      else view.wouldFail(error);
      return false;
    }
  }

  #send(dryRun, signal) {
    const { method, path, request } = this.#spec;
    const reason = byId("change-reason").value.trim();
    const change = { expectedVersion: this.#base?.settingsVersion ?? "0", force: this.#force };
    // What it would do does not hang on why: it is shown before a reason has been thought of.
    const asked = dryRun
      ? { reason: reason || "dry run", change: { ...change, dryRun } }
      : { reason, change: { ...change, wait: WAIT } };
    const { duration } = this.#spec.forGood ? {} : expiry();
    return send(method, path, { ...request(), ...asked, ...(duration ? { expiresAfter: duration } : {}) }, signal);
  }

  async submit() {
    if (this.#stage === "done") return byId("change").close();
    if (this.#stage === "moved") return this.look();
    if (this.#stage !== "asking") return undefined;
    if (this.#wrong()) return undefined;
    if (!(await this.#settled()) || this.#stage !== "asking" || open !== this || this.#wrong()) return undefined;
    this.#stage = "sending";
    this.#sentAt = now();
    view.sending(this.#progress(shown()));
    try {
      const answer = await this.#send(false);
      this.#done(this.#spec.settled(answer) ?? {});
    } catch (error) {
      await this.#failed(error);
    }
    world.changed();
    return undefined;
  }

  /** Whether it could be done, as the form is now: an edit that was not asked about yet is, and a failure is tried again. */
  async #settled() {
    if (!this.#edited && (await this.#ready)) return true;
    if (this.#stage !== "asking" || open !== this) return false;
    this.look();
    return this.#ready;
  }

  /** Shows what is missing in the form, and goes there. */
  #wrong() {
    const own = this.#spec.wrong?.();
    if (own) return view.wrongAt(...own);
    if (!byId("change-reason").value.trim())
      return view.wrongAt(byId("change-reason"), "Say why: whoever is on call next will want to know.");
    if (!this.#spec.forGood && expiry().wrong) return view.wrongAt(byId("change-minutes"), expiry().wrong);
    if (this.#force && byId("force-typed").value.trim() !== this.#spec.name)
      return view.wrongAt(byId("force-typed"), `Type ${this.#spec.name}, as it is written.`);
    return false;
  }

  #done(result) {
    this.#stage = "done";
    const took = now() - this.#sentAt;
    if (open !== this) {
      news(`${this.#spec.title}: done.`);
      return;
    }
    view.done(result, took);
  }

  async #failed(error) {
    if (!(error instanceof ApiError)) throw error;
    if (open !== this) {
      notice(`${this.#spec.title}: ${view.failure(error)}`);
      return;
    }
    this.#stage = "asking";
    if (error.status === 409) return this.#moved();
    view.failed(error);
    if (error.status === 412) {
      this.#force = true;
      view.needsForce(error, this.#spec.name);
    }
  }

  /** Somebody else was faster: shows what they changed, and who they are, and asks to look again. */
  async #moved() {
    this.#stage = "moved";
    const base = this.#base;
    view.moved([], []);
    const [, audit] = await Promise.allSettled([world.refresh(), get("audit?pageSize=20")]);
    if (open !== this || this.#stage !== "moved") return;
    const theirs =
      audit.status === "fulfilled"
        ? (audit.value.events ?? [])
            .map(readAudit)
            .filter((one) => one.outcome === "done" && later(one.settingsVersion, base?.settingsVersion ?? "0"))
        : [];
    view.moved(base ? moved(base, shown()) : [], theirs);
  }

  #progress(fleet) {
    const far = fleet && this.#spec.following(fleet);
    // Before its version is shown, the figures are still those of the change before it.
    return far && later(fleet.settingsVersion, this.#base?.settingsVersion ?? "0")
      ? far
      : { applied: 0, total: far?.total ?? 0 };
  }

  /** A new fleet has been told. */
  told(fleet) {
    if (this.#stage === "sending" || this.#stage === "done") view.progress(this.#progress(fleet));
    else if (this.#stage === "asking" && this.#base && fleet.settingsVersion !== this.#base.settingsVersion)
      this.#moved();
  }
}
