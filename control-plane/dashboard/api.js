// Asks the control plane. Every failure becomes one kind of error, with what the server said and what was sent.

import { learn } from "./clock.js";

const CHANGE_LIMIT = 60_000;
const READ_LIMIT = 20_000;

let csrf = "";
let signedOut = () => {};

/** What to do when the session turns out to be over. */
export function whenSignedOut(act) {
  signedOut = act;
}

/** What went wrong: `status` 0 means that no answer came, so that nobody knows whether a change was made. */
export class ApiError extends Error {
  constructor(status, body, retryAfter) {
    const error = body?.error ?? {};
    super(error.message || unsaid(status));
    this.status = status;
    this.code = error.code ?? "";
    this.fields = error.fields ?? [];
    this.details = error.details ?? {};
    this.retryAfter = retryAfter;
  }
}

function unsaid(status) {
  if (status === 0) return "The control plane cannot be reached.";
  if (status === 401) return "Your session is over: sign in again.";
  if (status >= 500) return `The control plane failed (${status}) and did not say why.`;
  return `The control plane refused this (${status}) and did not say why.`;
}

/** The address of a path of the API, wherever the page itself is served from. */
export function address(path) {
  return new URL(`api/v1/${path}`, document.baseURI);
}

/** What changes bear to show that this page made them. */
export function prove(token) {
  csrf = token ?? "";
}

async function ask(method, path, body, signal) {
  const headers = { accept: "application/json" };
  if (method !== "GET") headers["x-fusebox-csrf"] = csrf;
  if (body !== undefined) headers["content-type"] = "application/json";
  const limit = AbortSignal.timeout(method === "GET" ? READ_LIMIT : CHANGE_LIMIT);
  let answer;
  let text;
  try {
    answer = await fetch(address(path), {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
      cache: "no-store",
      credentials: "same-origin",
    });
    learn(answer.headers.get("date"));
    text = await answer.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0);
  }
  // Who signs in is told there.
  if (answer.status === 401 && path !== "session") signedOut();
  return understood(answer, text);
}

function understood(answer, text) {
  let parsed = null;
  try {
    parsed = text ? JSON.parse(text) : {};
  } catch {
    // A proxy's page, not the control plane's: only its status says anything.
  }
  if (answer.ok && parsed !== null) return parsed;
  throw refusal(answer.ok ? 502 : answer.status, answer, parsed);
}

/** The error that an answer is. */
export function refusal(status, answer, body) {
  const seconds = Number.parseInt(answer.headers.get("retry-after") ?? "", 10);
  return new ApiError(status, body, Number.isNaN(seconds) ? null : seconds);
}

export const get = (path, signal) => ask("GET", path, undefined, signal);
export const send = (method, path, body, signal) => ask(method, path, body, signal);

/** One segment of a path. */
export const segment = encodeURIComponent;
