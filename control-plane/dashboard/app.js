// The page's start: who is looking, then the fleet, then its stream; and who draws what. Each section draws itself.

import * as alerts from "./alerts.js";
import * as audit from "./audit.js";
import * as errors from "./errors.js";
import * as models from "./models.js";
import * as providers from "./providers.js";
import * as session from "./session.js";
import * as sidecars from "./sidecars.js";
import * as silences from "./silences.js";
import * as status from "./status.js";
import * as totals from "./totals.js";
import { whenSignedOut } from "./api.js";
import { beat } from "./clock.js";
import { byId, say, show } from "./dom.js";
import { prepare as prepareChanges } from "./change.js";
import { readFleet } from "./fleet.js";
import { Live } from "./live.js";
import * as picture from "./picture.js";

const live = new Live({ fleet: (json) => picture.put(readFleet(json)), state: status.connection, signedOut });
whenSignedOut(signedOut);

function signedOut() {
  live.stop();
  status.connection({ state: "signed-out" });
  session.ask("Your session is over. What was shown, and what you were writing, is still here.");
}

async function start() {
  say(byId("opening"), "Asking for the fleet…");
  try {
    if (!(await session.begin())) {
      say(byId("opening"), "Nobody is signed in.");
      say(byId("link-word"), "Signed out");
      return;
    }
  } catch (error) {
    // The stream says when it works again; who is looking is asked anew then.
    say(byId("opening"), `${error.message} It is tried again by itself.`);
    setTimeout(start, 3000);
    return;
  }
  open();
}

function open() {
  live.stop();
  live.start();
  audit.load();
  silences.load();
}

/** Until the first fleet has come there is nothing to show. */
function first() {
  show(byId("opening"), false);
  show(byId("board"), true);
  byId("main").removeAttribute("aria-busy");
}

const opened = picture.watch(() => {
  first();
  opened();
});

session.prepare(open);
prepareChanges({ refresh: () => live.refresh(), changed: audit.soon });
for (const section of [status, alerts, silences, providers, models, sidecars, errors, totals, audit])
  section.prepare?.(live);
for (const section of [status, alerts, providers, models, sidecars, errors, totals, silences, audit])
  if (section.draw) picture.watch(section.draw);
beat((moment) => {
  status.tick(moment);
  errors.tick(moment);
});

for (const dialog of document.querySelectorAll("dialog")) {
  dialog.addEventListener("click", (event) => {
    if (event.target.closest("[data-close]")) dialog.close();
  });
}

start();
