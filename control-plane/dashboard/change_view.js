// What the dialog of a change shows at each of its stages: asking, moved, sending, done.

import { byId, h, say, set, show } from "./dom.js";
import { exact, some, span } from "./format.js";
import { moment } from "./clock.js";
import { offer } from "./expiry.js";

let verb = "";

export function open(spec) {
  verb = spec.verb;
  say(byId("change-title"), spec.title);
  say(byId("change-means"), spec.means);
  byId("change-fields").replaceChildren(...[spec.fields ?? []].flat());
  byId("change-reason").value = "";
  byId("force-typed").value = "";
  offer();
  show(byId("change-lasting"), !spec.forGood);
  for (const node of byId("change").querySelectorAll(".wrong")) say(node, "");
  for (const node of byId("change").querySelectorAll("[aria-invalid]")) set(node, "aria-invalid", null);
  byId("change").showModal();
  // The first thing to decide, not the button that closes it.
  (byId("change-fields").querySelector("input:checked, input, select") ?? byId("change-reason")).focus();
}

export function asking(danger) {
  byId("change").dataset.stage = "asking";
  byId("would").replaceChildren(h("p", { class: "quiet" }, "Asking…"));
  show(byId("change-ask"), true);
  show(byId("force"), false);
  show(byId("change-progress"), false);
  byId("change-moved").replaceChildren();
  byId("change-done").replaceChildren();
  say(byId("change-wrong"), "");
  button(verb, danger);
}

function button(text, danger) {
  const go = byId("change-go");
  say(go, text);
  go.className = danger ? "danger" : "primary";
  go.disabled = false;
  say(byId("change-cancel"), "Cancel");
  show(byId("change-cancel"), true);
}

/** What a dry run said. */
export function would({ effects = [], sidecarsTotal = 0 }) {
  const lines = effects.length > 0 ? effects : ["Nothing would change."];
  byId("would").replaceChildren(
    h(
      "ul",
      null,
      lines.map((line) => h("li", null, line)),
    ),
    h("p", { class: "quiet" }, `Goes to ${some(sidecarsTotal, "live sidecar")}.`),
  );
}

export function wouldFail(error) {
  byId("would").replaceChildren(h("p", { class: "wrong" }, error.message + fields(error)));
}

export function needsForce(error, name) {
  const models = error.details.models ?? [];
  show(byId("force"), true);
  say(byId("force-why"), error.message || `Nobody would be left to serve ${models.join(", ")}.`);
  say(byId("force-word"), name);
  byId("change-go").className = "danger";
}

const PLACES = { reason: "change-reason-wrong", expiresafter: "change-expiry-wrong" };

/** Where the server says which field is wrong, it is said there; answers what has no place of its own. */
function fields(error) {
  const rest = [];
  for (const { field = "", message = "" } of error.fields) {
    const place = PLACES[field.replaceAll("_", "").toLowerCase()];
    if (place) say(byId(place), message);
    else rest.push(` ${field}: ${message}.`);
  }
  return rest.join("");
}

/** Says what is wrong with an input, and goes there; answers true. */
export function wrongAt(input, why) {
  const place = byId((input.getAttribute("aria-describedby") ?? "").split(" ")[0]);
  say(place ?? byId("change-wrong"), why);
  set(input, "aria-invalid", "true");
  input.focus();
  return true;
}

export function righted(input) {
  if (!input.hasAttribute("aria-invalid")) return;
  set(input, "aria-invalid", null);
  say(byId((input.getAttribute("aria-describedby") ?? "").split(" ")[0]) ?? byId("change-wrong"), "");
}

export function moved(differences, events) {
  byId("change").dataset.stage = "moved";
  show(byId("change-progress"), false);
  const lines =
    differences.length > 0
      ? differences
      : events.length > 0
        ? []
        : ["The settings have a later version than the one that you saw."];
  byId("change-moved").replaceChildren(
    h("h3", null, "Somebody else changed the settings meanwhile"),
    h("p", null, "Yours was not made. Now:"),
    h(
      "ul",
      null,
      lines.map((line) => h("li", null, line)),
      events.map((one) =>
        h(
          "li",
          null,
          h("b", null, one.actor),
          " ",
          moment(one.at, "ago"),
          `: ${one.effect || one.action}`,
          one.reason ? ` (“${one.reason}”)` : null,
        ),
      ),
    ),
  );
  button("Look again", false);
}

export function sending(far) {
  byId("change").dataset.stage = "sending";
  show(byId("change-ask"), false);
  say(byId("change-wrong"), "");
  const go = byId("change-go");
  go.disabled = true;
  say(go, "Sending…");
  say(byId("change-cancel"), "Close");
  byId("change-cancel").focus();
  progress(far);
}

export function progress({ applied, total }) {
  show(byId("change-progress"), true);
  const bar = byId("change-bar");
  bar.max = Math.max(total, 1);
  bar.value = Math.min(applied, total);
  say(byId("change-bar-label"), `Applied by ${exact(applied)} of ${some(total, "sidecar")}`);
}

export function done(result, took) {
  byId("change").dataset.stage = "done";
  const [applied, total] = [result.sidecarsApplied ?? 0, result.sidecarsTotal ?? 0];
  progress({ applied, total });
  const all = applied >= total;
  const waiting = result.waitingFor ?? [];
  byId("change-done").replaceChildren(
    h(
      "p",
      { class: all ? "well" : "partly" },
      all
        ? `Done: applied by all ${exact(total)}, in ${span(took)}.`
        : `Set. ${exact(applied)} of ${exact(total)} have applied it after ${span(took)}; the others do as soon as they hear of it.`,
    ),
    waiting.length > 0
      ? h("p", null, `Waiting for ${waiting.join(", ")}${total - applied > waiting.length ? " and others" : ""}.`)
      : "",
  );
  const go = byId("change-go");
  go.disabled = false;
  go.className = "primary";
  say(go, "Close");
  show(byId("change-cancel"), false);
  go.focus();
}

/** A failed change, in words; where no answer came, nobody knows whether it was made. */
export function failure(error) {
  return error.status === 0
    ? "No answer came, so it may have been made or not. The page shows which, as soon as it is live."
    : error.message;
}

export function failed(error) {
  byId("change").dataset.stage = "asking";
  show(byId("change-ask"), true);
  show(byId("change-progress"), false);
  say(byId("change-wrong"), failure(error) + fields(error));
  button(verb, byId("change-go").classList.contains("danger"));
  byId("change-go").focus();
}
