// One of a few, each with what it means: radio buttons, which arrow keys and screen readers know already.

import { h } from "./dom.js";

let made = 0;

/** `{ node, value() }`; `options` are `{ value, word, means }`. */
export function choices(legend, options, chosen) {
  made += 1;
  const inputs = options.map(({ value }) =>
    h("input", { type: "radio", name: `choice-${made}`, value, checked: value === chosen }),
  );
  const node = h(
    "fieldset",
    { class: "choices" },
    h("legend", null, legend),
    options.map(({ word, means }, index) =>
      h("label", null, inputs[index], h("span", null, h("b", null, word), means ? h("small", null, means) : null)),
    ),
  );
  return { node, value: () => inputs.find((input) => input.checked)?.value ?? chosen };
}
