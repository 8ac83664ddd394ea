// The page: its tabs, what the buttons do, the address, and the keyboard.

import { $, announce, h, icon } from "./dom.js";
import { span } from "./format.js";
import * as api from "./api.js";
import * as home from "./home.js";
import * as memory from "./memory.js";
import * as panel from "./panel.js";
import * as player from "./player.js";
import * as settings from "./settings.js";
import * as strip from "./strip.js";
import * as talk from "./talk.js";
import * as work from "./tab.js";

const tabs = [];
let current = null;

// --- showing ------------------------------------------------------------------------------------------------------

let pending = 0;
function changed() {
  pending ||= requestAnimationFrame(() => {
    pending = 0;
    render();
  });
}

function render() {
  $("start").hidden = current !== null;
  $("watch").hidden = current === null;
  document.body.classList.toggle("watching", current !== null);
  document.title = current ? `${current.title} · Tempo` : "Tempo";
  renderTabs();
  if (current) {
    player.show(current);
    strip.show(current);
    panel.show(current);
    talk.show(current);
    composer();
  }
  if ($("settings").open) settings.show(current);
}

let drawnTabs = "";
function renderTabs() {
  const now = JSON.stringify(tabs.map((tab) => [tab.title, tab === current, tab.stage]));
  if (now === drawnTabs) return;
  drawnTabs = now;
  const items = tabs.map((tab) => h("li", { class: tab.stage },
    h("button", { type: "button", class: "tab", "aria-current": tab === current ? "page" : null, title: tab.title, onclick: () => select(tab) }, tab.title),
    h("button", { type: "button", class: "icon", "aria-label": `Close ${tab.title}`, onclick: () => close(tab) }, icon("close"))));
  if (tabs.length) {
    items.push(h("li", {}, h("button", { type: "button", class: "icon", "aria-label": "Open another video", onclick: () => select(null) }, icon("plus"))));
  }
  $("tabs").replaceChildren(...items);
  items[tabs.indexOf(current)]?.scrollIntoView({ block: "nearest", inline: "nearest" });
}

function composer() {
  const busy = Boolean(current.asking);
  const question = $("question");
  if (question.dataset.tab !== String(tabs.indexOf(current)) || current.draftSet) {
    question.value = current.draft;
    question.dataset.tab = String(tabs.indexOf(current));
    current.draftSet = false;
    grow();
  }
  question.disabled = current.stage === "failed";
  $("ask").hidden = busy;
  $("ask").disabled = current.stage === "failed";
  $("stop").hidden = !busy;
  const waits = current.next && !current.ready && current.stage !== "failed";
  $("ask-error").textContent = current.askError || (waits ? "This is asked as soon as the video is watched." : "");
  $("ask-error").classList.toggle("notice", !current.askError);
  spanChip();
}

// A button that was replaced between press and release would not be clicked.
let drawnSpan = "";
function spanChip() {
  const part = current.span ? span(...current.span) : "";
  if (part === drawnSpan) return;
  drawnSpan = part;
  $("span-chip").replaceChildren(...(part ? [h("button", { type: "button", "aria-label": `Ask about the whole video again, not only ${part}`, onclick: () => setSpan(null) },
    `only ${part}`, icon("close"))] : []));
}

function grow() {
  const question = $("question");
  question.style.height = "auto";
  question.style.height = `${Math.min(question.scrollHeight, 140)}px`;
}

// --- tabs -----------------------------------------------------------------------------------------------------------

// Where the browser goes back or on to a tab, the address is there already.
function select(tab, { visited = true } = {}) {
  if (tab !== current) player.pause();
  current = tab;
  $("question").dataset.tab = "";
  if (visited) address();
  render();
}

function add(title, what) {
  const tab = new work.Tab(title, what);
  tabs.push(tab);
  select(tab);
  return tab;
}

function close(tab) {
  tab.stop();
  if (tab.video) api.close(tab.video.id).catch(() => {});
  const at = tabs.indexOf(tab);
  tabs.splice(at, 1);
  if (current === tab) select(tabs[at] ?? tabs[at - 1] ?? null);
  else render();
}

async function openIn(tab, file) {
  await work.open(tab, settings.chosenSampling(), file, changed);
  if (!tab.ready) return;
  announce(`${tab.title} is ready for questions`);
  await askNext(tab);
}

async function watchAgain(tab, sampling) {
  if (await work.watchAgain(tab, sampling, changed)) await askNext(tab);
  else tab.next = ""; // it is still in the box
}

// What was asked while the video was watched.
async function askNext(tab) {
  const text = tab.next;
  if (!text) return;
  tab.next = "";
  await ask(text, tab);
}

const same = (tab, kind, id) => tab.what?.[kind] === id && tab.stage !== "failed";

function openKnown(kind, id, title, question) {
  const tab = tabs.find((one) => same(one, kind, id));
  if (tab) {
    select(tab);
    if (question) ask(question, tab);
    return tab;
  }
  const fresh = add(title, { [kind]: id });
  fresh.next = question ?? "";
  openIn(fresh);
  return fresh;
}

// --- asking -----------------------------------------------------------------------------------------------------------

async function ask(text, tab = current) {
  if (!tab || tab.asking || !text.trim()) return;
  if (!tab.ready) { // it is asked once the video is watched
    tab.next = text;
    tab.askError = "";
    changed();
    return;
  }
  if (tab.draft.trim() === text.trim()) tab.draft = "";
  tab.draftSet = true;
  const answered = await work.ask(tab, text.trim(), settings.generation(), (event) => {
    changed();
    if (event === "answered") arrived(tab);
  });
  if (!answered) tab.draftSet = true;
  changed();
}

// The player goes to the strongest moment.
function arrived(tab) {
  const turn = tab.last;
  const times = turn.moments.map((moment) => span(moment.start, moment.end)).join(", ");
  announce(`Answer: ${turn.text || "none"}. ${times ? `Moments: ${times}.` : turn.nothing}`);
  const start = tab.from ?? turn.moments[0]?.frame; // a link names the time itself
  tab.from = null;
  if (start === undefined) return;
  if (tab === current) player.seek(start);
  else tab.time = start;
}

function setSpan(part) {
  current.span = part;
  announce(part ? `The next question is about ${span(...part)} only` : "The next question is about the whole video");
  changed();
}

const actions = {
  home: () => select(null),
  upload: (file) => openIn(add(file.name, null), file),
  example: (one, question) => openKnown("example", one.id, one.title, question),
  library: (one) => openKnown("library", one.id, one.title),
  retry: (tab) => {
    tab.stage = "opening";
    openIn(tab);
  },
  ask: (text) => ask(text),
  link,
  preview: (budget) => {
    current.variant.budget = budget;
    work.preview(current, changed);
    changed();
  },
  budget: (budget) => {
    current.variant.budget = budget;
    again();
  },
  allocation: (adaptive) => {
    current.variant.adaptive = adaptive;
    again();
  },
  compare: async () => {
    panel.toggle(true);
    await work.answerAgain(current, changed, { other: true });
  },
  fresh: () => work.forget(current, changed),
  watchAgain: (sampling) => watchAgain(current, sampling),
};

async function again() {
  const tab = current, compared = tab.compared !== null;
  if (await work.answerAgain(tab, changed) && compared) await work.answerAgain(tab, changed, { other: true });
}

// --- the address --------------------------------------------------------------------------------------------------------

function parameters(tab) {
  const found = new URLSearchParams();
  const source = tab?.video?.source ?? (tab?.what && Object.entries(tab.what).map(([kind, id]) => ({ kind, id }))[0]);
  if (source && source.kind !== "upload") found.set("v", `${source.kind}:${source.id}`);
  return found;
}

function address() {
  const found = parameters(current).toString(), state = { tab: current?.key ?? null };
  const before = history.state; // null: the page begins here, or a link was put into its address
  const way = before === null || before.tab === state.tab ? "replaceState" : "pushState";
  history[way](state, "", found ? `#${found}` : location.pathname);
}

function goBack({ state }) {
  if (state) select(tabs.find((tab) => tab.key === state.tab) ?? null, { visited: false });
}

function link(tab, turn) {
  const found = parameters(tab);
  found.set("t", String(Math.floor(player.time())));
  found.set("q", turn.question);
  if (turn.part[0] !== null) found.set("part", turn.part.join("-"));
  return `${location.origin}${location.pathname}#${found}`;
}

function follow(hash) {
  const found = new URLSearchParams(hash.slice(1));
  const [kind, ...rest] = (found.get("v") ?? "").split(":"), id = rest.join(":");
  if (kind !== "example" && kind !== "library") return false;
  const tab = openKnown(kind, id, id.split("/").at(-1));
  const seconds = Number(found.get("t"));
  if (Number.isFinite(seconds) && seconds > 0) tab.time = tab.from = seconds;
  const part = (found.get("part") ?? "").split("-").map(Number);
  if (part.length === 2 && part.every(Number.isFinite)) tab.span = part;
  const question = found.get("q") ?? "";
  if (tab.ready) {
    player.seek(tab.time);
    if (question) ask(question, tab);
  } else if (question) tab.next = question;
  return true;
}

// --- loading the page again ----------------------------------------------------------------------------------------------

const STOPPED = "The page was loaded again before this was answered.";

function remembered(key) {
  const ofTab = (tab) => ({
    key: tab.key, id: tab.video?.id, failed: tab.stage === "failed" ? tab.error : "", what: tab.what, title: tab.title, time: tab === current ? player.time() : tab.time, span: tab.span,
    variant: tab.variant, next: tab.next, draft: tab.asking?.question ?? tab.draft, stopped: Boolean(tab.asking) || (tab.leaving !== "" && tab.leaving === tab.draft),
  });
  return { key, tabs: tabs.map(ofTab), at: tabs.indexOf(current) };
}

// The server had opened it, and the page was not told yet.
const isStillOpening = (one, { source }) => !one.id && one.what?.[source.kind] === source.id;

function restore(found, kept) {
  for (const { video, turns } of found) {
    const mine = kept.tabs.find((one) => one.id === video.id || isStillOpening(one, video)) ?? {};
    const tab = new work.Tab(video.title, { [video.source.kind]: video.source.id });
    const { key = tab.key, time = 0, span: part = null, variant = tab.variant, next = "", draft = "" } = mine;
    Object.assign(tab, { key, video, turns, time, span: part, variant, next, draft, route: turns.at(-1) ?? null });
    if (mine.stopped) tab.askError = STOPPED;
    if (video.watched) tab.stage = "ready";
    else if (mine.failed) [tab.stage, tab.error] = ["failed", mine.failed]; // whoever stopped it starts it again
    tabs.push(tab);
    if (tab.stage === "opening") openIn(tab);
  }
  const last = kept.tabs.length ? null : tabs.at(-1); // where the page had no time to say which it was
  for (const { id, what, title, key, next, draft, failed } of kept.tabs) { // not open yet on the server
    if (id || !what || what.upload || tabs.some((tab) => tab.key === key)) continue;
    const tab = Object.assign(new work.Tab(title, what), { key, next, draft });
    tabs.push(tab);
    if (failed) [tab.stage, tab.error] = ["failed", failed];
    else openIn(tab);
  }
  select(tabs.find((tab) => tab.key === kept.tabs[kept.at]?.key) ?? last ?? null);
}

// --- the keyboard ---------------------------------------------------------------------------------------------------------

function keys(event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const typing = event.target.matches("input, textarea, select");
  if (event.key === "Escape") {
    if (document.querySelector(".menu[open]")) return talk.shut();
    if (current?.asking) current.stop();
    else if (current?.span) setSpan(null);
    else panel.toggle(false);
    return;
  }
  if (typing || !current) return;
  const presses = event.target.matches("button, a, summary, video");
  if (event.key === " " && !presses) player.toggle();
  else if (event.key === "/") $("question").focus();
  else if (event.key === "[" || event.key === "]") moment(event.key === "]");
  else if (event.key === "ArrowLeft") player.seek(Math.max(0, player.time() - 5));
  else if (event.key === "ArrowRight") player.seek(Math.min(current.video?.duration ?? 0, player.time() + 5));
  else return;
  event.preventDefault();
}

// In the order of time.
function moment(later) {
  const starts = (current.route?.moments ?? []).map((one) => one.frame).sort((one, other) => one - other);
  const now = player.time();
  const to = later ? starts.find((start) => start > now + 0.1) : starts.findLast((start) => start < now - 0.1);
  if (to !== undefined) player.seek(to);
}

// --- the beginning ----------------------------------------------------------------------------------------------------------

function modelDialog(about) {
  $("model-button").append(h("span", { class: "dot" }), about.model.name);
  $("model").append(h("div", { class: "dialog-head" }, h("h2", { id: "model-title" }, about.model.name),
    h("button", { type: "button", class: "icon", "aria-label": "Close", onclick: () => $("model").close() }, icon("close"))),
  home.modelNote());
  $("model-button").addEventListener("click", () => $("model").showModal());
}

async function start() {
  // The link that was opened, before the tabs of an earlier page take its place, or the page's own entry.
  const { hash } = location, own = history.state !== null;
  const kept = await memory.recall();
  const [about, { key, found }] = await Promise.all([api.about(), api.begin(kept?.key)]);
  memory.claim(key);
  const keep = () => memory.keep(remembered(key));
  home.build(actions, about);
  panel.build(actions);
  settings.build(actions, about);
  talk.build(actions, about);
  strip.build(setSpan, () => panel.toggle(true));
  modelDialog(about);
  $("settings-button").append(icon("settings"));
  $("settings-button").addEventListener("click", () => settings.open(current));
  $("home").addEventListener("click", () => select(null));
  for (const dialog of document.querySelectorAll("dialog")) {
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  }
  $("composer").addEventListener("submit", (event) => {
    event.preventDefault();
    ask($("question").value);
  });
  $("question").addEventListener("input", () => {
    if (current) current.draft = $("question").value;
    grow();
  });
  $("question").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    $("composer").requestSubmit();
  });
  $("stop").addEventListener("click", () => current?.stop());
  addEventListener("keydown", keys);
  addEventListener("popstate", goBack);
  // The browser breaks answers off before it says that the page goes.
  addEventListener("beforeunload", () => { for (const tab of tabs) tab.leaving = tab.asking?.question ?? ""; });
  // A link, put into the address of this page; the page's own entries have a state.
  addEventListener("hashchange", () => history.state || follow(location.hash));
  addEventListener("pointerdown", (event) => event.target.closest?.(".menu") || talk.shut());
  if (found) restore(found, kept);
  render();
  if (!hash && !about.opens && !history.state) address(); // what the browser goes back to
  if (!(own && found) && !follow(hash) && about.opens && !found) openKnown("library", about.opens, about.opens);
  keep();
  for (const leaving of ["pagehide", "visibilitychange"]) addEventListener(leaving, keep);
}

start().catch((error) => {
  $("start").replaceChildren(h("p", { role: "alert", class: "error" }, error.message));
  throw error;
});
