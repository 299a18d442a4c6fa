// Who is looking: signing in and out, and what a viewer may not do, said where it cannot be done.

import { ApiError, get, prove, send } from "./api.js";
import { byId, say, set, show } from "./dom.js";
import { some } from "./format.js";

const who = { name: "", role: "viewer", auth: "off" };

/** Whether changes may be made. */
export const mayChange = () => who.role === "operator";

/** Asks who is signed in; answers false, and shows the form, where nobody is. */
export async function begin() {
  try {
    known(await get("session"));
    return true;
  } catch (error) {
    if (error.status !== 401) throw error;
    ask("");
    return false;
  }
}

function known(session) {
  Object.assign(who, { name: session.name ?? "", role: session.role ?? "viewer", auth: session.auth ?? "token" });
  prove(session.csrf);
  const open = who.auth === "off";
  say(byId("who"), open ? "No sign-in here" : `${who.name}, ${who.role}`);
  byId("who").dataset.auth = who.auth;
  show(byId("sign-out"), who.auth === "token");
  document.documentElement.dataset.role = who.role;
  say(
    byId("viewer-note"),
    mayChange()
      ? ""
      : `Signed in as ${who.name || "a viewer"} with the role viewer: only an operator can change anything.`,
  );
  show(byId("viewer-note"), !mayChange());
  for (const control of document.querySelectorAll("[data-change]")) guard(control);
}

/** Marks a control that changes something; a viewer can reach it and is told why it does nothing. */
export function guard(control) {
  set(control, "data-change", true);
  set(control, "aria-disabled", mayChange() ? null : "true");
  set(control, "aria-describedby", mayChange() ? null : "viewer-note");
  return control;
}

// Before any listener of the control's own.
document.addEventListener(
  "click",
  (event) => {
    const control = event.target.closest?.("[data-change]");
    if (!control || mayChange()) return;
    event.preventDefault();
    event.stopPropagation();
    const note = byId("viewer-note");
    // Emptied first: a live region tells of changes only.
    const text = note.textContent;
    say(byId("news"), "");
    requestAnimationFrame(() => say(byId("news"), text));
    note.classList.add("asked");
    setTimeout(() => note.classList.remove("asked"), 1500);
  },
  true,
);

/** Shows the form, with why it is asked for. */
export function ask(why) {
  const dialog = byId("sign-in");
  say(byId("sign-in-why"), why);
  show(byId("sign-in-why"), why !== "");
  if (!dialog.open) dialog.showModal();
  byId("token").focus();
}

/** Makes the form work; `signedIn()` is called when somebody has. */
export function prepare(signedIn) {
  byId("sign-in").addEventListener("cancel", (event) => event.preventDefault());
  byId("sign-in-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const [input, button, wrong] = [byId("token"), byId("sign-in-go"), byId("sign-in-wrong")];
    if (button.disabled) return;
    button.disabled = true;
    say(wrong, "");
    set(input, "aria-invalid", null);
    try {
      const session = await send("POST", "session", { token: input.value.trim() });
      input.value = "";
      known({ auth: "token", ...session });
      byId("sign-in").close();
      button.disabled = false;
      signedIn();
    } catch (error) {
      refused(error, input, button, wrong);
    }
  });
  byId("sign-out").addEventListener("click", async () => {
    try {
      await send("DELETE", "session");
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 401)
        return say(byId("news"), `Not signed out: ${error.message}`);
    }
    // What was shown is not left to the next person.
    location.reload();
  });
}

function refused(error, input, button, wrong) {
  if (error.status !== 429) {
    button.disabled = false;
    say(wrong, error.status === 401 ? "No operator or viewer has this token." : error.message);
    set(input, "aria-invalid", "true");
    input.focus();
    return;
  }
  let left = error.retryAfter ?? 10;
  const wait = () => {
    say(wrong, left > 0 ? `Too many failed attempts. Try again in ${some(left, "second")}.` : "You can try again now.");
    button.disabled = left > 0;
    if (left > 0) setTimeout(wait, 1000);
    left -= 1;
  };
  wait();
}
