// An open video as the page knows it, and everything that is done with it.

import { Refused } from "./api.js";
import * as api from "./api.js";

export class Tab {
  constructor(title, what) {
    this.key = Math.random(); // by which the browser's history and a page that is loaded again know it
    this.title = title;
    this.what = what; // {upload}, {library} or {example}: what to open
    this.video = null; // what the server says of it
    this.stage = "opening"; // uploading, rendering, watching, ready, failed
    this.progress = null; // {done, total, left}
    this.error = "";
    this.time = 0;
    this.zoom = 1;
    this.span = null; // [start, end] that the next question is about
    this.turns = [];
    this.route = null; // the segments that the strip draws
    this.asking = null; // {question, part, answer, status} while an answer is being written
    this.draft = "";
    this.leaving = ""; // the question that was being answered when the page was left
    this.askError = "";
    this.variant = { budget: null, adaptive: true };
    this.compared = null; // the latest turn under the other allocation
    this.work = null; // ends what is being done
  }

  get ready() {
    return this.stage === "ready";
  }

  get last() {
    return this.turns.at(-1) ?? null;
  }

  stop() {
    this.work?.abort();
  }
}

// Runs one thing at a time for a tab; what ran before ends. `changed` is called whenever there is news.
async function working(tab, changed, run) {
  tab.stop();
  const work = (tab.work = new AbortController());
  try {
    await run(work.signal);
  } catch (error) {
    if (error.name !== "AbortError" && !(error instanceof Refused)) throw error;
    return error;
  } finally {
    if (tab.work === work) tab.work = null;
    changed();
  }
  return null;
}

function follow(tab, changed) {
  return (event, data) => {
    if (event === "rendering" || event === "watching") {
      tab.stage = event;
      tab.progress = data;
    } else if (event === "opened" || event === "ready") {
      tab.video = data.video;
      tab.title = data.video.title;
      if (event === "ready") tab.stage = "ready";
      else tab.stage = "watching";
      if (event === "ready") tab.progress = null;
    }
    changed();
  };
}

export async function open(tab, sampling, file, changed) {
  const error = await working(tab, changed, async (signal) => {
    if (file) {
      tab.stage = "uploading";
      const upload = await api.upload(file, (done, total) => {
        tab.progress = { done, total, left: null };
        changed();
      }, signal);
      tab.what = { upload };
      tab.progress = null;
    }
    tab.stage = "opening";
    changed();
    // What was stopped while it was watched is open on the server; it only has to be watched.
    if (tab.video) await api.watchAgain(tab.video.id, sampling, follow(tab, changed), signal);
    else await api.open({ ...tab.what, ...sampling }, follow(tab, changed), signal);
  });
  if (!tab.ready) {
    tab.stage = "failed";
    tab.error = error instanceof Refused ? error.message : "Stopped.";
  }
  changed();
}

// Whether it was watched. A question may be asked as soon as it is, and a part be chosen even before.
export async function watchAgain(tab, sampling, changed) {
  const { video: before, span } = tab;
  tab.stage = "watching";
  tab.video = { ...before, watched: null };
  tab.span = null;
  changed();
  const told = follow(tab, changed);
  const error = await working(tab, changed, (signal) =>
    api.watchAgain(before.id, sampling, (event, data) => {
      if (event === "ready") {
        tab.turns = [];
        tab.route = tab.compared = null;
        tab.variant.budget = null;
      }
      told(event, data);
    }, signal));
  const watched = tab.ready;
  if (!watched) {
    tab.video = before;
    tab.stage = "ready";
    tab.span ??= span;
    tab.askError = error instanceof Refused ? error.message : "";
  }
  changed();
  return watched;
}

export async function ask(tab, question, options, changed) {
  const part = tab.span;
  tab.asking = { question, part, answer: [], status: "" };
  tab.askError = "";
  changed();
  const error = await working(tab, changed, (signal) => {
    const body = { question, ...tab.variant, ...options };
    if (part) [body.start, body.end] = part;
    return api.ask(tab.video.id, body, (event, data) => {
      if (event === "text") tab.asking = { ...tab.asking, answer: data.parts, status: "" };
      else if (event === "waiting") tab.asking.status = `waiting for the model: ${data.ahead} ahead of you`;
      else if (event === "watching") tab.asking.status = `watching this part: ${data.done} of ${data.total} frames`;
      else if (event === "answered") {
        tab.turns.push(data.turn);
        tab.route = data.turn;
        tab.compared = null;
      }
      changed(event);
    }, signal);
  });
  tab.asking = null;
  if (error) {
    tab.draft ||= question;
    tab.askError = error instanceof Refused ? error.message : "Stopped: this question was not answered.";
  }
  changed();
  return !error;
}

// The latest answer under the tab's variant, and on the strip; `other` asks for the other allocation instead.
export async function answerAgain(tab, changed, { other = false } = {}) {
  const turn = tab.last?.before ?? tab.last; // what an unfinished one is to replace
  if (!turn) return false;
  const variant = { budget: tab.variant.budget ?? turn.budget, adaptive: tab.variant.adaptive, show: !other };
  if (other) variant.adaptive = !variant.adaptive;
  const partial = { ...turn, answer: [], budget: variant.budget, adaptive: variant.adaptive, writing: true, before: turn };
  const at = tab.turns.length - 1;
  let shown = null;
  const put = (value) => {
    shown = value;
    if (other) tab.compared = value;
    else tab.turns[at] = tab.route = value;
  };
  put(partial);
  changed();
  const error = await working(tab, changed, (signal) =>
    api.answer(tab.video.id, turn.number, variant, (event, data) => {
      if (event === "text") put({ ...partial, answer: data.parts });
      else if (event === "answered") put(data.turn);
      changed();
    }, signal));
  if (error) {
    // Unless a newer one has taken its place.
    if (shown === (other ? tab.compared : tab.turns[at])) put(other ? null : turn);
    tab.askError = error instanceof Refused ? error.message : "";
  }
  changed();
  return !error;
}

// While a budget is chosen: how the tokens would be shared out. The latest wish wins.
export async function preview(tab, changed) {
  const turn = tab.last;
  if (!turn) return;
  tab.previewing?.abort();
  const mine = (tab.previewing = new AbortController());
  try {
    const variant = { budget: tab.variant.budget ?? turn.budget, adaptive: tab.variant.adaptive };
    const found = await api.allocation(tab.video.id, turn.number, variant, mine.signal);
    tab.route = { ...turn, ...found };
    changed();
  } catch (error) {
    if (error.name !== "AbortError") throw error;
  }
}

export async function forget(tab, changed) {
  tab.stop();
  await api.forget(tab.video.id);
  tab.turns = [];
  tab.route = tab.compared = tab.span = null;
  tab.askError = "";
  changed();
}
