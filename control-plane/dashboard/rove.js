// Arrow keys in a grid of cells of which one at a time is in the tab order.

/** Makes `grid` work by keyboard. Its cells are its children; a hidden one is passed over. */
export function rove(grid) {
  let current = null;
  const cells = () => [...grid.children].filter((cell) => !cell.hidden);

  function choose(cell) {
    if (current === cell) return;
    if (current) current.tabIndex = -1;
    current = cell;
    if (cell) cell.tabIndex = 0;
  }

  // After a drawing the chosen cell may be hidden or gone: the first one takes its place.
  grid.addEventListener("drawn", () => {
    if (!current || !current.isConnected || current.hidden) {
      const had = current === document.activeElement;
      choose(grid.querySelector(":scope > :not([hidden])"));
      if (had) current?.focus();
    }
  });
  grid.addEventListener("focusin", (event) => choose(event.target.closest("[role=option]")));
  grid.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || !event.target.matches("[role=option]")) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      event.target.click();
      return;
    }
    const all = cells();
    const next = all[target(event.key, all, all.indexOf(event.target))];
    if (!next) return;
    event.preventDefault();
    next.focus();
  });
}

function target(key, all, at) {
  const row = () => {
    const top = all[0].offsetTop;
    const end = all.findIndex((cell) => cell.offsetTop !== top);
    return end < 0 ? all.length : end;
  };
  const within = (place) => Math.min(Math.max(place, 0), all.length - 1);
  switch (key) {
    case "ArrowRight":
      return within(at + 1);
    case "ArrowLeft":
      return within(at - 1);
    case "ArrowDown":
      return at + row() < all.length ? at + row() : at;
    case "ArrowUp":
      return at - row() >= 0 ? at - row() : at;
    case "PageDown":
      return within(at + 5 * row());
    case "PageUp":
      return within(at - 5 * row());
    case "Home":
      return 0;
    case "End":
      return all.length - 1;
    default:
      return -1;
  }
}
