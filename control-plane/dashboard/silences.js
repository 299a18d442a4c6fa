// Silences, and how deliveries go: what keeps an alert from reaching anybody.

import { get, segment, send } from "./api.js";
import { moment } from "./clock.js";
import { byId, h, keyed, redrawn, say, set } from "./dom.js";
import { readSilence } from "./fleet.js";
import { count, some } from "./format.js";
import { news } from "./news.js";
import { phrase } from "./phrase.js";
import { fleet } from "./picture.js";
import { guard } from "./session.js";
import { ALERT_KIND } from "./words.js";

const LENGTHS = [
  ["900", "15 minutes"],
  ["3600", "1 hour"],
  ["14400", "4 hours"],
  ["86400", "1 day"],
  ["604800", "1 week"],
  ["2592000", "30 days"],
];

let channelsBefore = "";

export function prepare() {
  byId("silence-kind").append(...Object.entries(ALERT_KIND).map(([value, word]) => h("option", { value }, word)));
  byId("silence-for").append(...LENGTHS.map(([value, word]) => h("option", { value }, word)));
  byId("silence-form").addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  byId("silence-form").addEventListener("input", matches);
}

export function draw(fleet, before) {
  // An alert that has been silenced, or is no longer, is a sign that the list is old.
  if (before && silencesOf(before) !== silencesOf(fleet)) load();
  const failing = fleet.channels.filter((one) => one.lastError).length;
  const sum =
    fleet.channels.length === 0
      ? "no channel: alerts reach nobody"
      : failing
        ? `${count(failing)} of ${some(fleet.channels.length, "channel")} failing`
        : `${some(fleet.channels.length, "channel")}, all well`;
  say(byId("channel-sum"), sum);
  set(byId("channel-sum"), "data-tone", failing ? "bad" : null);
  const digest = JSON.stringify(fleet.channels);
  if (digest === channelsBefore) return;
  channelsBefore = digest;
  keyed(byId("channel-list"), fleet.channels, (one) => one.name, redrawn("li", null, channel));
}

const silencesOf = ({ alerts }) =>
  alerts
    .map((one) => one.id + one.silence)
    .sort()
    .join();

function channel(one) {
  const parts = [h("b", null, one.name), ` ${one.kind}`];
  if (one.lastError)
    parts.push(
      h(
        "span",
        { "data-tone": "bad" },
        ", failing",
        one.failingSince === null ? "" : [" for ", moment(one.failingSince, "for")],
        `: ${one.lastError}`,
      ),
    );
  else if (one.deliveredAt !== null) parts.push(", last delivered ", moment(one.deliveredAt, "ago"));
  else parts.push(", nothing to deliver yet");
  if (one.pending > 0) parts.push(`; ${count(one.pending)} waiting`);
  return parts.flat();
}

/** Reads the silences anew. */
export async function load() {
  try {
    const { silences = [] } = await get("silences");
    const all = silences.map(readSilence);
    say(byId("silence-count"), all.length === 0 ? "none" : count(all.length));
    say(byId("silence-wrong"), "");
    keyed(byId("silence-list"), all, (one) => one.id, item);
  } catch (error) {
    say(byId("silence-wrong"), error.message);
  }
}

function about({ kind, provider, sidecar }) {
  const whose = [provider && `of ${provider}`, sidecar && `at ${sidecar}`].filter(Boolean).join(" ");
  return `${ALERT_KIND[kind] ?? kind}${whose ? ` ${whose}` : ""}`;
}

function item() {
  let now = null;
  const text = h("span");
  const wrong = h("span", { class: "wrong", role: "alert" });
  const end = guard(h("button", { type: "button", class: "small" }, "End"));
  end.addEventListener("click", async () => {
    end.disabled = true;
    try {
      await send("DELETE", `silences/${segment(now.id)}`);
      news("The silence has ended.");
      byId("silences").querySelector("summary").focus();
      await load();
    } catch (error) {
      say(wrong, error.message);
      end.disabled = false;
    }
  });
  return {
    node: h("li", null, text, " ", end, wrong),
    update(one) {
      now = one;
      text.replaceChildren(h("b", null, about(one)), ", ", ...phrase(one.word));
      set(end, "aria-label", `End the silence: ${about(one)}`);
    },
  };
}

/** Opens the form; `alert` fills it. */
export function openSilence(alert) {
  const providers = [["", "Any provider"], ...(fleet()?.providers ?? []).map(({ name }) => [name, name])];
  if (alert?.provider && !providers.some(([name]) => name === alert.provider))
    providers.push([alert.provider, alert.provider]);
  byId("silence-provider").replaceChildren(...providers.map(([value, word]) => h("option", { value }, word)));
  byId("silence-kind").value = alert?.kind in ALERT_KIND ? alert.kind : "UNSPECIFIED";
  byId("silence-provider").value = alert?.provider ?? "";
  byId("silence-sidecar").value = alert?.sidecar ?? "";
  byId("silence-reason").value = "";
  byId("silence-for").value = "3600";
  for (const node of byId("silence").querySelectorAll(".wrong")) say(node, "");
  matches();
  byId("silence").showModal();
  byId(alert ? "silence-reason" : "silence-kind").focus();
}

const chosen = () => ({
  kind: byId("silence-kind").value,
  provider: byId("silence-provider").value,
  sidecar: byId("silence-sidecar").value.trim(),
});

/** Says which of the alerts that fire now it would keep back. */
function matches() {
  const { kind, provider, sidecar } = chosen();
  const firing = (fleet()?.alerts ?? []).filter(
    (one) =>
      (kind === "UNSPECIFIED" || one.kind === kind) &&
      (!provider || one.provider === provider) &&
      (!sidecar || one.sidecar === sidecar),
  );
  const all = kind === "UNSPECIFIED" && !provider && !sidecar ? " It matches every alert there is." : "";
  say(
    byId("silence-what"),
    `Of the alerts that fire now it would keep back ${firing.length === 0 ? "none" : count(firing.length)}.${all}`,
  );
}

async function submit() {
  const [reason, go] = [byId("silence-reason"), byId("silence-go")];
  say(byId("silence-reason-wrong"), reason.value.trim() ? "" : "Say why: nobody will be told of these alerts.");
  set(reason, "aria-invalid", reason.value.trim() ? null : "true");
  if (!reason.value.trim()) return reason.focus();
  const { kind, provider, sidecar } = chosen();
  go.disabled = true;
  say(byId("silence-form-wrong"), "");
  try {
    await send("POST", "silences", {
      kind: `ALERT_KIND_${kind}`,
      provider,
      sidecar,
      reason: reason.value.trim(),
      expiresAfter: `${byId("silence-for").value}s`,
    });
    byId("silence").close();
    byId("silences").open = true;
    news("Silenced.");
    await load();
  } catch (error) {
    say(
      byId("silence-form-wrong"),
      [error.message, ...error.fields.map((one) => `${one.field}: ${one.message}`)].join(" "),
    );
  }
  go.disabled = false;
  return undefined;
}
