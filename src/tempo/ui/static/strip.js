// The film strip: frames as wide as their time, relevance above them, tokens below. Hover shows a frame and its
// figures, a click seeks, a drag selects a part to ask about. On the keyboard it is a slider.

import { $, h, icon, svg } from "./dom.js";
import { clock, span } from "./format.js";
import * as api from "./api.js";
import * as frames from "./frames.js";
import * as player from "./player.js";

const TILE_HEIGHT = 54, RELEVANCE = 46, TOKENS = 40; // pixels
const TICKS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400]; // seconds
const DRAG = 6; // pixels from which a press is a drag
const FRAMES = 10; // tiles of a second at most
const ZOOMS = [1, 2, 4, 8, 16];

let tab = null, onSpan = () => {}, drawn = "";
let track, inner, tiles, relevance, tokens, axis, head, chosen, unseen, marks, surface, tip, legend, zoomed;

export function build(spanListener, openPanel) {
  onSpan = spanListener;
  tiles = h("div", { class: "tiles" });
  relevance = svg("svg", { class: "lane relevance", preserveAspectRatio: "none", "aria-hidden": "true" });
  tokens = svg("svg", { class: "lane tokens", preserveAspectRatio: "none", "aria-hidden": "true" });
  marks = h("div", { class: "marks" });
  axis = h("div", { class: "axis", "aria-hidden": "true" });
  head = h("div", { class: "head" });
  chosen = h("div", { class: "chosen", hidden: true });
  unseen = h("div", { class: "unseen", hidden: true });
  surface = h("div", {
    class: "surface", role: "slider", tabindex: "0", "aria-label": "Position in the video", "aria-valuemin": "0",
    "aria-orientation": "horizontal",
  });
  inner = h("div", { class: "inner" }, relevance, h("div", { class: "film" }, tiles, marks, unseen), tokens, axis,
    chosen, head, surface);
  track = h("div", { class: "track" }, inner);
  tip = h("div", { class: "tip", hidden: true }, h("img", { alt: "" }), h("p", {}));
  legend = h("p", { class: "legend" },
    h("span", { class: "k-relevance" }, "relevance"), h("span", { class: "k-tokens" }, "tokens"),
    h("span", { class: "k-other" }));
  zoomed = h("div", { class: "zoom" },
    h("button", { type: "button", class: "icon", "aria-label": "Show more time", onclick: () => zoom(-1) }, icon("minus")),
    h("button", { type: "button", class: "icon", "aria-label": "Show more detail", onclick: () => zoom(1) }, icon("plus")));
  $("strip").append(h("div", { class: "bar" }, legend,
    h("p", { class: "hint" }, "click to go there, drag to ask about a part"),
    h("button", { type: "button", class: "sheet", onclick: openPanel }, icon("tokens"), "Budget"), zoomed), track, tip);
  surface.addEventListener("pointerdown", press);
  surface.addEventListener("pointermove", hover);
  surface.addEventListener("pointerleave", () => { tip.hidden = true; });
  surface.addEventListener("keydown", keys);
  player.onTime(mark);
  new ResizeObserver(() => tab?.video && draw()).observe(track);
}

// --- drawing --------------------------------------------------------------------------------------------------

const share = (seconds) => Math.min(Math.max(seconds / tab.video.duration, 0), 1);
const percent = (part) => `${part * 100}%`;

export function show(next) {
  const other = tab !== next;
  tab = next;
  const visible = tab?.video?.kind === "video";
  $("strip").hidden = !visible;
  if (!visible) return;
  if (other) {
    drawn = "";
  }
  draw();
  select(tab.span);
  mark(player.time());
}

function segments() {
  return tab.route?.segments ?? [];
}

function draw() {
  const { duration } = tab.video;
  inner.style.width = percent(tab.zoom ?? 1);
  surface.setAttribute("aria-valuemax", duration.toFixed(1));
  drawTiles();
  drawUnseen();
  const list = segments(), other = tab.route?.other ?? [];
  const most = Math.max(1, ...list.map((one) => one[3]), ...other);
  for (const lane of [relevance, tokens]) lane.setAttribute("viewBox", `0 0 ${duration} 1`);
  relevance.replaceChildren(...list.map(([start, end, score]) =>
    svg("rect", { x: start, width: Math.max(end - start, 0), y: 1 - score, height: score })));
  tokens.replaceChildren(
    ...list.map(([start, end, , count]) =>
      svg("rect", { x: start, width: Math.max(end - start, 0), y: 0, height: count / most })),
    ...(list.length ? [svg("path", { class: "other", d: outline(list, other, most) })] : []));
  $("strip").classList.toggle("routed", list.length > 0);
  marks.replaceChildren(...dimmed(list), ...(tab.route?.moments ?? []).map((moment) => {
    const box = h("div", { class: "moment" });
    box.style.left = percent(share(moment.start));
    box.style.width = percent(share(moment.end) - share(moment.start));
    return box;
  }));
  legend.lastChild.textContent = list.length ? `tokens if ${tab.route.adaptive ? "uniform" : "adaptive"}` : "";
  drawAxis(duration);
}

function outline(list, other, most) {
  return list.map(([start, end], at) => `${at ? "L" : "M"}${start} ${other[at] / most}L${end} ${other[at] / most}`).join("");
}

// What does not matter for the question steps back.
function dimmed(list) {
  return list.map(([start, end, score]) => {
    const shade = h("div", { class: "shade" });
    shade.style.left = percent(share(start));
    shade.style.width = percent(share(end) - share(start));
    shade.style.opacity = String(0.6 * (1 - Math.min(1, score * 1.5)));
    return shade;
  });
}

function drawTiles() {
  const { duration, width, height, id } = tab.video;
  const ratio = Math.min(Math.max(width / height, 0.5), 2.4);
  const fitting = Math.max(1, Math.round(inner.clientWidth / (TILE_HEIGHT * ratio)));
  const starts = tab.video.watched?.starts ?? [];
  const each = Math.max(1, Math.ceil(starts.length / fitting));
  const count = Math.min(fitting, Math.max(1, Math.floor(duration * FRAMES)));
  const bounds = starts.length > fitting / 2 ? starts.filter((_, at) => at % each === 0)
    : Array.from({ length: count }, (_, at) => (at * duration) / count);
  const name = `${id} ${bounds.length} ${duration}`;
  if (name !== drawn) {
    drawn = name;
    tiles.replaceChildren(...bounds.map((start, at) => {
      const image = h("img", { alt: "", draggable: "false" });
      image.style.left = percent(share(start));
      image.style.width = percent(share(bounds[at + 1] ?? duration) - share(start));
      return image;
    }));
  }
  const seen = seenUntil();
  bounds.forEach((start, at) => {
    if (start > seen) return;
    frames.show(tiles.children[at], api.frameOf(id, best(start, bounds[at + 1] ?? duration)));
  });
}

// The middle of a tile, or of the most relevant segment in it where something stands out.
function best(start, end) {
  const inside = (tab.route?.moments ?? []).map((moment) => moment.frame).filter((at) => at >= start && at < end);
  return inside[0] ?? (start + end) / 2;
}

function seenUntil() {
  if (tab.video.watched || !tab.progress?.total) return tab.video.watched ? Infinity : 0;
  return (tab.progress.done / tab.progress.total) * tab.video.duration;
}

function drawUnseen() {
  const seen = seenUntil();
  unseen.hidden = seen === Infinity;
  if (!unseen.hidden) unseen.style.left = percent(share(seen));
}

function drawAxis(duration) {
  const room = Math.max(2, Math.floor(inner.clientWidth / 90));
  const step = TICKS.find((one) => duration / one <= room) ?? TICKS.at(-1);
  axis.replaceChildren(...Array.from({ length: Math.floor(duration / step) + 1 }, (_, at) => {
    const label = h("span", {}, clock(at * step));
    label.style.left = percent(share(at * step));
    if (at === 0) label.className = "first";
    if (share(at * step) > 0.95) label.className = "last";
    return label;
  }));
}

function mark(seconds) {
  if (!tab?.video || tab.video.kind !== "video") return;
  head.style.left = percent(share(seconds));
  surface.setAttribute("aria-valuenow", seconds.toFixed(1));
  surface.setAttribute("aria-valuetext", words(seconds).join(", "));
}

function zoom(by) {
  const at = Math.min(Math.max(ZOOMS.indexOf(tab.zoom ?? 1) + by, 0), ZOOMS.length - 1);
  tab.zoom = ZOOMS[at];
  draw();
  track.scrollLeft = share(player.time()) * inner.clientWidth - track.clientWidth / 2;
}

// --- the pointer ------------------------------------------------------------------------------------------------

function secondsAt(event) {
  const box = inner.getBoundingClientRect();
  return Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1) * tab.video.duration;
}

function segmentAt(seconds) {
  return segments().findLast((one) => one[0] <= seconds + 0.01 && seconds <= one[1] + 0.01);
}

function words(seconds) {
  const segment = segmentAt(seconds);
  if (!segment) return [clock(seconds)];
  const [start, end, score, count] = segment, otherwise = tab.route.other[segments().indexOf(segment)];
  return [span(start, end), `relevance ${score.toFixed(2)}`,
    `${count} token${count === 1 ? "" : "s"}, ${otherwise} if ${tab.route.adaptive ? "uniform" : "adaptive"}`];
}

let wanted = 0;
function hover(event) {
  if (event.pointerType === "touch" || !tab?.video) return;
  const seconds = secondsAt(event), segment = segmentAt(seconds);
  const at = segment ? (segment[0] + segment[1]) / 2 : Math.round(seconds);
  const image = tip.firstChild, source = api.frameOf(tab.video.id, at);
  tip.lastChild.replaceChildren(...words(seconds).map((text) => h("span", {}, text)));
  if (image.getAttribute("src") !== source) {
    clearTimeout(wanted);
    wanted = setTimeout(() => image.setAttribute("src", source), 60); // decode only where the pointer rests
  }
  tip.hidden = false;
  const area = $("strip").getBoundingClientRect();
  const left = event.clientX - area.left - tip.offsetWidth / 2;
  tip.style.left = `${Math.min(Math.max(left, 0), area.width - tip.offsetWidth)}px`;
}

function press(event) {
  if (event.button !== 0) return;
  surface.setPointerCapture(event.pointerId);
  const from = secondsAt(event), x = event.clientX;
  let dragged = false;
  const move = (moved) => {
    dragged ||= Math.abs(moved.clientX - x) > DRAG;
    if (dragged) select(ordered(from, secondsAt(moved)));
  };
  const end = (ended) => {
    surface.removeEventListener("pointermove", move);
    for (const name of ["pointerup", "pointercancel"]) surface.removeEventListener(name, end);
    if (ended.type === "pointercancel") return select(tab.span);
    if (dragged) onSpan(ordered(from, secondsAt(ended)));
    else player.seek(from);
  };
  surface.addEventListener("pointermove", move);
  for (const name of ["pointerup", "pointercancel"]) surface.addEventListener(name, end);
}

// At least a second, to tenths of one.
function ordered(one, other) {
  const start = Math.min(one, other), end = Math.min(Math.max(one, other, start + 1), tab.video.duration);
  return [Math.round(start * 10) / 10, Math.round(end * 10) / 10];
}

function select(part) {
  chosen.hidden = !part;
  if (!part) return;
  chosen.style.left = percent(share(part[0]));
  chosen.style.width = percent(share(part[1]) - share(part[0]));
}

// --- the keyboard -------------------------------------------------------------------------------------------------

function keys(event) {
  const starts = tab.video.watched?.starts ?? [0], now = player.time();
  const targets = {
    ArrowRight: starts.find((start) => start > now + 0.05) ?? tab.video.duration,
    ArrowLeft: starts.findLast((start) => start < now - 0.05) ?? 0,
    Home: 0,
    End: starts.at(-1),
  };
  if (event.key in targets) {
    const to = targets[event.key];
    if (event.shiftKey) {
      const [start, end] = tab.span ?? [now, now];
      onSpan(ordered(to > now ? start : to, to > now ? to : end));
    }
    player.seek(to);
  } else if (event.key === "Escape" && tab.span) onSpan(null);
  else if (event.key === "Enter") player.toggle();
  else return;
  event.preventDefault();
  event.stopPropagation();
}
