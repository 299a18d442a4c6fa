// Reads server-sent events from text as it arrives. Pure. `EventSource` is not used: it hides the status that refused
// it, waits as long as it likes before it comes back, and does not tell of keep-alives, so that a dead line looks idle.

/** Gives each whole event, `{ event, data }`, to `tell`; returns the function that takes the next piece of text. */
export function reader(tell) {
  // A line of a great fleet comes in many pieces: joined once, when it is whole.
  let pieces = [];
  let event = "message";
  let data = [];

  function line(text) {
    if (text === "") {
      if (data.length > 0) tell({ event, data: data.join("\n") });
      event = "message";
      data = [];
      return;
    }
    const colon = text.indexOf(":");
    if (colon === 0) return;
    const field = colon < 0 ? text : text.slice(0, colon);
    const value = colon < 0 ? "" : text.slice(text[colon + 1] === " " ? colon + 2 : colon + 1);
    if (field === "event") event = value;
    else if (field === "data") data.push(value);
  }

  return (text) => {
    let from = 0;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", from)) {
      pieces.push(text.slice(from, end));
      const whole = pieces.join("");
      pieces = [];
      line(whole.endsWith("\r") ? whole.slice(0, -1) : whole);
      from = end + 1;
    }
    if (from < text.length) pieces.push(text.slice(from));
  };
}

/** How long to wait before the attempt after `failed` ones, in milliseconds; `dice` is from 0 to 1. */
export function backoff(failed, dice) {
  const most = Math.min(20_000, 500 * 2 ** Math.min(failed, 10));
  return most * (0.75 + dice / 4);
}
