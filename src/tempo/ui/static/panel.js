// The budget, the allocation, and both allocations in one row.

import { $, h, icon, svg } from "./dom.js";
import { plural } from "./format.js";
import { pieces } from "./talk.js";

let actions, slider, output, spent, radios, row, fresh, shut;

export function build(given) {
  actions = given;
  slider = h("input", { type: "range", id: "budget", step: "1", oninput: () => actions.preview(Number(slider.value)),
    onchange: () => actions.budget(Number(slider.value)) });
  output = h("output", { for: "budget" });
  spent = h("p", { class: "spent" });
  radios = ["Adaptive", "Uniform"].map((name) => h("label", {},
    h("input", { type: "radio", name: "allocation", value: name.toLowerCase(), onchange: () => actions.allocation(name === "Adaptive") }),
    h("span", {}, name)));
  fresh = h("button", { type: "button", onclick: () => actions.fresh() }, icon("fresh"), "New conversation");
  shut = h("button", { type: "button", class: "icon shut", "aria-label": "Close", onclick: () => toggle(false) }, icon("close"));
  row = h("div", { class: "variants" });
  $("panel").append(shut,
    h("div", { class: "controls" },
      h("div", { class: "budget" }, h("label", { for: "budget" }, "Budget"), output, slider),
      h("fieldset", { class: "segmented" }, h("legend", {}, "Allocation"), ...radios),
      fresh),
    spent, row);
}

// On a phone the panel is a sheet.
export function toggle(open) {
  $("panel").classList.toggle("open", open ?? !$("panel").classList.contains("open"));
}

export function show(tab) {
  const route = tab.route, limits = route?.limits ?? tab.video?.watched?.budget;
  const budget = tab.variant.budget ?? route?.budget ?? limits?.usual ?? 0;
  slider.disabled = !tab.ready || !limits || limits.least >= limits.most;
  if (limits) {
    slider.min = limits.least;
    slider.max = limits.most;
  }
  if (document.activeElement !== slider || tab.variant.budget === null) slider.value = budget;
  output.textContent = limits ? plural(Number(slider.value), "token") : "";
  radios[0].firstChild.checked = tab.variant.adaptive;
  radios[1].firstChild.checked = !tab.variant.adaptive;
  for (const radio of radios) radio.firstChild.disabled = !tab.ready;
  spent.textContent = route?.spent ?? "";
  fresh.disabled = tab.turns.length === 0;
  const pair = tab.compared && tab.last ? [tab.last, tab.compared].sort((one, other) => other.adaptive - one.adaptive) : [];
  row.replaceChildren(...pair.map((turn) => card(turn, turn === tab.last)));
}

function card(turn, isShown) {
  const most = Math.max(1, ...turn.segments.map((one) => one[3]), ...turn.other);
  const [first, last] = [turn.segments[0][0], turn.segments.at(-1)[1]];
  const lane = svg("svg", { class: "lane tokens", viewBox: `${first} 0 ${Math.max(last - first, 0.001)} 1`, preserveAspectRatio: "none", "aria-hidden": "true" },
    ...turn.segments.map(([start, end, , count]) =>
      svg("rect", { x: start, width: end - start, y: 1 - count / most, height: count / most })));
  const name = turn.adaptive ? "Adaptive" : "Uniform";
  return h("section", { class: `variant${isShown ? " shown" : ""}`, "aria-label": `${name} allocation` },
    h("h2", {}, name, isShown ? h("small", {}, "shown") : h("button", { type: "button", onclick: () => actions.allocation(turn.adaptive) }, "Show this")),
    lane, h("p", { class: "text", dir: "auto" }, ...(turn.answer.length ? pieces(turn.answer) : [turn.writing ? "…" : "(no answer)"])),
    h("p", { class: "figures" }, turn.writing ? "answering …" : `${plural(turn.figures.visual_tokens, "token")} · ${turn.figures.timings.total.toFixed(2)} s`));
}
