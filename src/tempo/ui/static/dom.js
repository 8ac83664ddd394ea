// Elements from data. Text always becomes a text node: what comes from files and models is never parsed.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked" || name === "muted") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const h = (tag, properties = {}, ...children) => fill(document.createElement(tag), properties, children);
export const svg = (tag, properties = {}, ...children) =>
  fill(document.createElementNS(SVG, tag), properties, children);
export const $ = (id) => document.getElementById(id);

const PATHS = {
  close: "M6 6l12 12M18 6L6 18",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  settings: "M4 7h9M17 7h3M4 17h3M11 17h9M15 5v4M9 15v4",
  copy: "M9 9h10v11H9zM5 15V4h10",
  link: "M10 14a4 4 0 0 0 6 0l3-3a4 4 0 0 0-6-6l-1 1M14 10a4 4 0 0 0-6 0l-3 3a4 4 0 0 0 6 6l1-1",
  save: "M12 4v11M7 11l5 5 5-5M5 20h14",
  compare: "M5 20V9M10 20V4M14 20v-8M19 20v-8",
  fresh: "M4 5h16v11H9l-5 4zM12 8v5M9.5 10.5h5",
  tokens: "M4 18h16M6 14h3v4M11 8h3v10M16 12h3v6",
};

export const icon = (name) =>
  svg("svg", { viewBox: "0 0 24 24", "aria-hidden": "true", class: "glyph" }, svg("path", { d: PATHS[name] }));

// A line of the server's, in which commands stand between backticks.
export const marked = (text) => text.split("`").map((part, at) => (at % 2 ? h("code", {}, part) : part));

// Read out to screen readers once.
export function announce(text) {
  $("live").textContent = text;
}
