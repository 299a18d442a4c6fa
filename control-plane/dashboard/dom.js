// Makes elements, changes only what differs, and keeps lists by key. No markup is ever parsed from text, so what a
// provider or an operator wrote cannot become any.

const SVG = "http://www.w3.org/2000/svg";

/** The element of the page with this id. */
export const byId = (id) => document.getElementById(id);

/** Makes an element: `h("p", { class: "why" }, "text", child)`; `on…` attributes are listeners. */
export function h(tag, attributes, ...children) {
  return dress(document.createElement(tag), attributes, children);
}

/** Makes an element of SVG. */
export function svg(tag, attributes, ...children) {
  return dress(document.createElementNS(SVG, tag), attributes, children);
}

function dress(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else set(element, name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Sets an attribute where it differs; null, undefined and false take it away. */
export function set(element, name, value) {
  if (value === null || value === undefined || value === false) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
    return;
  }
  const text = value === true ? "" : String(value);
  if (element.getAttribute(name) !== text) element.setAttribute(name, text);
}

/** Sets the text of an element that holds nothing else, where it differs. */
export function say(element, text) {
  const only = element.firstChild;
  if (only === null) {
    if (text !== "") element.append(text);
  } else if (only.data !== text || only.nextSibling) element.textContent = text;
}

export function show(element, shown) {
  if (element.hidden === shown) element.hidden = !shown;
}

const kept = new WeakMap();

/**
 * Makes `parent` hold one element for each of `items`, in their order. `make(item)` answers
 * `{ node, update(item) }`; an element whose key stays is kept, updated, and moved only if it must be.
 */
export function keyed(parent, items, keyOf, make) {
  const before = kept.get(parent) ?? new Map();
  const after = new Map();
  const focused = parent.contains(document.activeElement) ? document.activeElement : null;
  for (const item of items) {
    const key = keyOf(item);
    const part = before.get(key) ?? make(item);
    part.update(item);
    after.set(key, part);
  }
  for (const [key, part] of before) if (!after.has(key)) part.node.remove();
  let place = parent.firstElementChild;
  for (const { node } of after.values()) {
    if (node === place) place = place.nextElementSibling;
    else parent.insertBefore(node, place);
  }
  kept.set(parent, after);
  // Moving an element takes the focus from it.
  if (focused?.isConnected && focused !== document.activeElement) focused.focus({ preventScroll: true });
  return after;
}

/** `make` for `keyed` where drawing anew is cheap: `draw(item)` answers the children, drawn only when `digest` differs. */
export function redrawn(tag, attributes, draw, digest = JSON.stringify) {
  return () => {
    const node = h(tag, attributes);
    let last = null;
    return {
      node,
      update(item) {
        const now = digest(item);
        if (now === last) return;
        last = now;
        node.replaceChildren(...[draw(item)].flat());
      },
    };
  };
}

/** The mark of a state: its shape says what its colour says. Drawn from the symbols in the page. */
export function mark(name) {
  return svg(
    "svg",
    { class: "mark", viewBox: "0 0 16 16", "aria-hidden": "true" },
    svg("use", { href: `#mark-${name}` }),
  );
}
