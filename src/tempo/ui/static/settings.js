// Everything that can be chosen, with the numbers that go with it, in one dialog.

import { $, h, icon, svg } from "./dom.js";
import { bytes, plural } from "./format.js";

const PHASES = [["decode", "frames"], ["watch", "watch"], ["route", "score"], ["distil", "compress"], ["answer", "answer"]];
const KEYS = [["Space", "play or pause"], ["← →", "five seconds back or on; on the film strip, a segment"],
  ["/", "ask"], ["[ ]", "the moment before or after"], ["Shift ← →", "on the film strip, choose a part to ask about"],
  ["Esc", "stop, or forget the part"]];

let actions, about, current;
const fields = {};

function field(name, label, hint, properties) {
  fields[name] = h("input", { type: "number", id: `set-${name}`, "aria-describedby": `hint-${name}`, ...properties });
  return h("div", { class: "field" }, h("label", { for: `set-${name}` }, label), fields[name],
    h("small", { id: `hint-${name}` }, hint));
}

export function build(given, model) {
  actions = given;
  about = model;
  const { sampling, answer_tokens: tokens } = about;
  const again = h("button", { type: "button", id: "watch-again", onclick: () => {
    $("settings").close();
    actions.watchAgain(chosenSampling());
  } }, "Watch again with these frames");
  $("settings").append(
    h("div", { class: "dialog-head" }, h("h2", { id: "settings-title" }, "Settings"),
      h("button", { type: "button", class: "icon", "aria-label": "Close", onclick: () => $("settings").close() }, icon("close"))),
    h("form", { method: "dialog", class: "fields" },
      h("fieldset", {}, h("legend", {}, "Watching"),
        field("fps", "Frames a second", `Empty: ${sampling.fps}.`, { min: "0.01", max: "60", step: "any" }),
        field("frames", "Frames at most", `Empty: ${sampling.max_frames}, which is the most here.`, { min: "1", max: sampling.max_frames, step: "1" }),
        h("p", { id: "segments" }), again),
      h("fieldset", {}, h("legend", {}, "Answering"),
        field("budget", "Budget, in tokens", "Tokens that the answer may read of the whole video.", { min: "1", step: "1", onchange: () => actions.budget(number("budget")) }),
        h("div", { class: "field" }, h("label", { for: "set-allocation" }, "Allocation"),
          fields.allocation = h("select", { id: "set-allocation", onchange: () => actions.allocation(fields.allocation.value === "adaptive") },
            h("option", { value: "adaptive" }, "Adaptive"), h("option", { value: "uniform" }, "Uniform")),
          h("small", {}, "Adaptive: by relevance. Uniform: the same for every segment.")),
        field("new", "New tokens at most", `How long the answer may be. Empty: ${tokens.usual}.`, { min: "1", max: tokens.most, step: "1" }),
        field("temperature", "Temperature", "0 takes the likeliest token each time; more varies the answer.", { min: "0", max: "10", step: "0.05", placeholder: "0" }),
        field("top", "Top-p", "Draws from the likeliest tokens that together have this probability.", { min: "0.01", max: "1", step: "0.01", placeholder: "1" }))),
    h("section", { id: "figures", "aria-label": "Figures of the latest answer" }),
    h("section", { class: "keys", "aria-label": "Keyboard" }, h("h3", {}, "Keyboard"),
      h("dl", {}, ...KEYS.flatMap(([key, does]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, does)]))));
}

function number(name) {
  const input = fields[name];
  return input.value === "" || !input.validity.valid ? null : Number(input.value);
}

export function chosenSampling() {
  const chosen = {}, fps = number("fps"), frames = number("frames");
  if (fps !== null) chosen.fps = fps;
  if (frames !== null) chosen.max_frames = frames;
  return chosen;
}

export function generation() {
  const chosen = {}, names = { new: "max_new_tokens", temperature: "temperature", top: "top_p" };
  for (const [name, sent] of Object.entries(names)) if (number(name) !== null) chosen[sent] = number(name);
  return chosen;
}

export function open(tab) {
  show(tab);
  $("settings").showModal();
}

export function show(tab) {
  current = tab;
  const watched = current?.video?.watched, limits = current?.route?.limits ?? watched?.budget;
  $("watch-again").disabled = !current?.ready;
  const { segment_frames: each, memory_tokens: memory } = about.model;
  $("segments").textContent = watched
    ? `${plural(watched.frames, "frame")} are ${plural(watched.starts.length, "segment")} of ${each} frames, ${(each / watched.fps).toFixed(1)} s each, of up to ${memory} tokens each.`
    : `A segment is ${each} frames and has up to ${memory} tokens.`;
  fields.budget.disabled = fields.allocation.disabled = !limits;
  if (limits && document.activeElement !== fields.budget) {
    Object.assign(fields.budget, { min: limits.least, max: limits.most });
    fields.budget.value = current.variant.budget ?? current.route?.budget ?? limits.usual;
    $("hint-budget").textContent = `Tokens that the answer may read of the whole video: ${limits.least} to ${limits.most}.`;
  }
  if (limits) fields.allocation.value = current.variant.adaptive ? "adaptive" : "uniform";
  figures(current);
}

function figures(tab) {
  const turn = tab?.last;
  $("figures").hidden = !turn;
  if (!turn) return;
  const watching = tab.video.watched?.timings ?? {}, { timings, ...found } = turn.figures;
  const seconds = Object.fromEntries(PHASES.map(([phase]) => [phase, timings[phase] + (watching[phase] ?? 0)]));
  const total = Object.values(seconds).reduce((sum, one) => sum + one, 0) || 1;
  let x = 0;
  const bar = svg("svg", { viewBox: "0 0 1 1", preserveAspectRatio: "none", class: "phases", "aria-hidden": "true" },
    ...PHASES.map(([phase]) => {
      const rect = svg("rect", { x, width: seconds[phase] / total, height: 1, class: `p-${phase}` });
      x += seconds[phase] / total;
      return rect;
    }));
  const rows = [
    ["video tokens", `${found.visual_tokens} of ${turn.budget} · ${found.tokens_per_frame.toFixed(2)} a frame`],
    ["text tokens", `${found.prompt_tokens} read · ${found.answer_tokens} written`],
    ["watched", `${plural(found.frames, "frame")} · ${plural(found.segments, "segment")} of ${found.segment_seconds.toFixed(1)} s`],
    ["this answer", `${timings.total.toFixed(2)} s · watching before it ${(tab.video.watched?.seconds ?? 0).toFixed(2)} s`],
    ["memory", `${bytes(found.peak_memory_bytes)}, peak of the process`],
    ["model", found.model],
  ];
  $("figures").replaceChildren(h("h3", {}, "The latest answer"), bar,
    h("ul", { class: "phase-names" }, ...PHASES.map(([phase, name]) => h("li", { class: `p-${phase}` }, `${name} ${seconds[phase].toFixed(2)} s`))),
    h("table", {}, h("tbody", {}, ...rows.map(([name, value]) => h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, value))))));
}
