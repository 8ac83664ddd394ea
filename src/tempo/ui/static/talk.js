// The conversation: questions, answers with their moments, and what can be done with an answer.

import { $, announce, h, icon, marked } from "./dom.js";
import { clock, duration, plural, span } from "./format.js";
import * as api from "./api.js";
import * as frames from "./frames.js";
import * as player from "./player.js";

const LONG = 300; // characters of a question

let actions, about;
const bubbles = new Map(); // from a turn as it is drawn to its element
let shown = null, counted = 0;
let held = false; // the latest question stays where it is revealed until the visitor scrolls

export function build(given, model) {
  actions = given;
  about = model;
  const log = $("log");
  for (const name of ["wheel", "touchmove", "pointerdown", "keydown"]) log.addEventListener(name, () => { held = false; });
  new ResizeObserver(() => held && reveal(log, { calm: true })).observe(log);
}

export function show(tab) {
  if (shown !== tab) bubbles.clear();
  const fresh = shown !== tab;
  shown = tab;
  const parts = [introduction(tab)];
  for (const turn of tab.turns) {
    const latest = turn === tab.last && !tab.asking;
    const key = `${turn.number} ${latest} ${tab.compared ? 1 : 0}`;
    const known = bubbles.get(turn);
    if (known?.dataset.key === key) parts.push(known);
    else {
      const bubble = ofTurn(tab, turn, latest);
      bubble.dataset.key = key;
      bubbles.set(turn, bubble);
      parts.push(bubble);
    }
  }
  for (const turn of bubbles.keys()) if (!tab.turns.includes(turn)) bubbles.delete(turn);
  if (tab.asking) parts.push(ofQuestion(tab));
  const log = $("log"), list = parts.filter(Boolean), count = tab.turns.length + (tab.asking ? 1 : 0);
  if (fresh || count !== counted) held = count > 0;
  counted = count;
  if (!same(log.children, list)) {
    const top = fresh ? 0 : log.scrollTop; // taking out what is in it loses it
    log.replaceChildren(...list);
    log.scrollTop = top;
    if (held) reveal(log, { calm: fresh });
  }
  for (const image of log.querySelectorAll("img[data-frame]")) frames.show(image, image.dataset.frame);
}

const same = (children, list) => children.length === list.length && list.every((part, at) => children[at] === part);

// The latest question stands at the top of what is seen, if its answer is long.
function reveal(log, { calm }) {
  const last = log.lastElementChild;
  if (!last) return;
  const still = calm || matchMedia("(prefers-reduced-motion: reduce)").matches;
  const below = last.getBoundingClientRect().top - log.getBoundingClientRect().top;
  log.scrollBy({ top: below - 8, behavior: still ? "auto" : "smooth" });
}

// --- before the first question -----------------------------------------------------------------------------------

let intro = null;
function introduction(tab) {
  const key = `${tab.stage} ${tab.turns.length > 0 || tab.asking !== null} ${tab.video?.watched ? 1 : 0}`;
  if (intro?.tab === tab && intro.key === key) {
    const box = intro.element?.querySelector(".progress");
    if (box) advance(box, tab); // in place: a button that is being pressed must stay
    return intro.element;
  }
  const warnings = (tab.video?.watched?.warnings ?? []).map((text) => h("p", { class: "note" }, ...marked(text)));
  const begun = tab.turns.length > 0 || tab.asking;
  const parts = [];
  if (tab.stage === "failed") parts.push(failure(tab));
  else if (!tab.ready) parts.push(progress(tab));
  if (!begun && tab.stage !== "failed") parts.push(h("h2", {}, "What do you want to know?"), hints(tab));
  const element = parts.length || warnings.length ? h("div", { class: "intro" }, ...parts, ...warnings) : null;
  intro = { tab, key, element };
  return element;
}

const STAGES = { uploading: "Sending", opening: "Opening", rendering: "Making the example", watching: "Watching" };

function progress(tab) {
  const box = h("div", { class: "progress" }, h("p", {}), h("progress", { max: "1", "aria-label": STAGES[tab.stage] }),
    h("button", { type: "button", onclick: () => tab.stop() }, "Cancel"));
  advance(box, tab);
  return box;
}

function advance(box, tab) {
  const { done = 0, total = 0, left = null } = tab.progress ?? {};
  const counted = total ? `: ${tab.stage === "uploading" ? `${Math.round((100 * done) / total)} %` : `${done} of ${total} frames`}` : "";
  box.children[0].textContent = `${STAGES[tab.stage]}${counted}${left === null ? "" : `, ${duration(left)} left`}`;
  if (total) box.children[1].value = done / total;
}

const failure = (tab) => h("div", { class: "failure" }, h("p", { role: "alert" }, tab.error),
  tab.video || (tab.what && !tab.what.upload) ? h("button", { type: "button", onclick: () => actions.retry(tab) }, "Try again") : null,
  h("button", { type: "button", onclick: () => actions.home() }, "Open another video"));

function hints(tab) {
  const questions = tab.video?.questions.length ? tab.video.questions : [];
  const general = about.model.other
    ? "Ask for colours and shapes, which way something moves, when it is there, how many there are, and what comes first or after."
    : "Ask what happens and when, who does what, what is said or written, how many there are, and what comes first or after.";
  return h("div", { class: "hints" },
    ...questions.map((text) => h("button", { type: "button", class: "suggestion", onclick: () => actions.ask(text) }, text)),
    h("p", {}, general),
    h("p", {}, "The answer names its moments; choose one and the player goes there. Drag over the film strip to ask about a part only."));
}

// --- questions and answers -----------------------------------------------------------------------------------------

// A long one is folded, or its answer would be out of sight.
function question(text, part) {
  const words = h("p", { class: "words", dir: "auto" }, text);
  const more = text.length > LONG ? h("button", { type: "button", class: "more", "aria-expanded": "false", onclick: () => {
    const open = !words.classList.toggle("folded");
    more.setAttribute("aria-expanded", String(open));
    more.textContent = open ? "Show less" : "Show all";
  } }, "Show all") : null;
  if (more) words.classList.add("folded");
  return h("div", { class: "asked" }, words, more,
    part?.[0] != null ? h("span", { class: "part" }, `only ${span(part[0], part[1])}`) : null);
}

function ofQuestion(tab) {
  const { question: text, part, answer, status } = tab.asking;
  return h("article", { class: "turn", "aria-label": text }, question(text, part),
    h("div", { class: "answer writing" },
      h("p", { class: "text", dir: "auto" }, ...pieces(answer), h("span", { class: "cursor", "aria-hidden": "true" })),
      status ? h("p", { class: "figures" }, status) : null));
}

export const pieces = (parts) => parts.map(({ text, seconds }) =>
  seconds === null ? text
    : h("button", { type: "button", class: "time", onclick: () => player.seek(seconds) }, text));

function ofTurn(tab, turn, latest) {
  return h("article", { class: "turn", "aria-label": turn.question }, question(turn.question, turn.part),
    h("div", { class: `answer${turn.writing ? " writing" : ""}` },
      h("p", { class: "text", dir: "auto" }, ...(turn.answer.length ? pieces(turn.answer) : [turn.writing ? "…" : "(no answer)"])),
      turn.finished ? null : h("p", { class: "figures" }, "Cut off: allow more new tokens, under Settings."),
      turn.moments.length ? moments(tab, turn) : h("p", { class: "figures" }, turn.nothing),
      h("p", { class: "figures" }, `${turn.spent} ${turn.figures.timings.total.toFixed(2)} s.`),
      latest && !turn.writing ? buttons(tab, turn) : null));
}

function moments(tab, turn) {
  const ratio = Math.min(Math.max(tab.video.width / tab.video.height, 0.7), 1.9);
  return h("ul", { class: "moments", "aria-label": "Moments that the answer rests on" }, ...turn.moments.map((moment) => {
    const image = h("img", { alt: "", "data-frame": api.frameOf(tab.video.id, moment.frame) });
    image.style.aspectRatio = String(ratio);
    const level = h("span", { class: "level" });
    level.style.width = `${moment.relevance * 100}%`;
    const words = span(moment.start, moment.end);
    return h("li", {}, h("button", {
      type: "button", "aria-label": `Go to ${words}, relevance ${moment.relevance.toFixed(2)}, ${plural(moment.tokens, "token")}`,
      onclick: () => player.seek(moment.frame),
    }, image, h("span", { class: "clock" }, words), level));
  }));
}

function buttons(tab, turn) {
  const save = (kind, says) => h("li", {}, h("a", { href: api.exportOf(tab.video.id, kind), download: "", onclick: shut }, says));
  const linkable = tab.video.source.kind !== "upload";
  return h("div", { class: "actions" },
    h("button", { type: "button", class: "compare", onclick: () => actions.compare() }, icon("compare"), "Compare adaptive and uniform"),
    h("details", { class: "menu" }, h("summary", {}, icon("save"), "Save"),
      h("ul", {}, save("html", "Report (HTML)"), save("png", "Chart (PNG)"),
        turn.moments.length ? save("srt", "Moments (SRT)") : null, save("json", "Conversation (JSON)"))),
    h("button", { type: "button", onclick: (event) => copy(event.currentTarget, withTimes(turn)) }, icon("copy"), "Copy answer with times"),
    h("button", {
      type: "button", disabled: !linkable,
      title: linkable ? null : "Links lead to examples and library videos, not to uploads",
      onclick: (event) => copy(event.currentTarget, actions.link(tab, turn)),
    }, icon("link"), "Copy link"));
}

// The menu that is open.
export function shut() {
  for (const menu of document.querySelectorAll(".menu[open]")) menu.open = false;
}

export function withTimes(turn) {
  const times = turn.moments.map((moment) => `${span(moment.start, moment.end)} (relevance ${moment.relevance.toFixed(2)})`);
  return [`Q: ${turn.question}`, `A: ${turn.text}`, ...times].join("\n");
}

async function copy(button, text) {
  const label = button.lastChild, before = label.textContent;
  try {
    await navigator.clipboard.writeText(text);
    label.textContent = "Copied";
  } catch {
    label.textContent = "The browser does not allow it";
  }
  announce(label.textContent);
  setTimeout(() => { label.textContent = before; }, 1500);
}
