// Where a video comes from: a file, the examples, the library.

import { $, h, icon } from "./dom.js";
import { bytes, clock } from "./format.js";
import * as api from "./api.js";
import * as frames from "./frames.js";

let actions, about, error, results, count, search;

export function build(given, model) {
  actions = given;
  about = model;
  error = h("p", { role: "alert", class: "error" });
  const file = h("input", { type: "file", id: "file", class: "hidden", accept: about.kinds.join(","), onchange: () => {
    take(file.files);
    file.value = "";
  } });
  $("start").append(
    h("div", { class: "hero" },
      h("h2", { id: "start-title" }, "Ask a long video."),
      h("p", {}, "You get an answer, and the moments that it rests on: choose one and you are there."),
      h("label", { class: "upload", for: "file" }, icon("plus"), "Open a video"), file,
      h("p", { class: "fine" }, `or drop one here · a video or an image, up to ${bytes(about.upload_bytes)}`), error),
    gallery(), ...(about.library ? [library()] : []), modelNote());
  drops();
}

export function take(files) {
  error.textContent = "";
  for (const file of files) {
    const said = refusal(file);
    if (said) error.textContent = said;
    else actions.upload(file);
  }
}

// What the server would refuse is refused before it is sent.
function refusal(file) {
  const ending = (/\.[^.]+$/.exec(file.name) ?? [""])[0].toLowerCase();
  if (!about.kinds.includes(ending)) {
    return `${file.name}: ${ending || "a file without a suffix"} is not supported; choose a video (mp4, mov, mkv, `
      + "webm, avi …) or an image (gif, png, jpg …)";
  }
  if (file.size <= about.upload_bytes) return "";
  return `${file.name}: has ${bytes(file.size)}; uploads are limited to ${bytes(about.upload_bytes)}`;
}

function drops() {
  let inside = 0;
  const holdsFile = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  addEventListener("dragenter", (event) => { if (holdsFile(event)) $("drop").hidden = !++inside; });
  addEventListener("dragleave", (event) => { if (holdsFile(event)) $("drop").hidden = !(inside = Math.max(0, inside - 1)); });
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    inside = 0;
    $("drop").hidden = true;
    actions.home();
    take(event.dataTransfer.files);
  });
}

const gallery = () => h("section", { "aria-labelledby": "examples-title" },
  h("h2", { id: "examples-title" }, "Or start with an example"),
  h("ul", { class: "cards examples" }, ...about.examples.map((one) => h("li", { class: "card" },
    h("button", { type: "button", class: "cover", "aria-label": `Open ${one.title}`, onclick: () => actions.example(one) },
      h("img", { src: api.pictureOf(one.id), alt: "", width: one.width, height: one.height }),
      h("span", { class: "clock" }, clock(one.seconds))),
    h("h3", {}, one.title), h("p", {}, one.about),
    ...one.questions.map((text) => h("button", { type: "button", class: "suggestion", onclick: () => actions.example(one, text) }, text))))));

function library() {
  results = h("ul", { class: "cards films" });
  count = h("p", { class: "fine", role: "status" });
  search = h("input", { type: "search", id: "search", placeholder: "Search by name", oninput: find });
  find();
  return h("section", { "aria-labelledby": "library-title" },
    h("div", { class: "library-bar" }, h("h2", { id: "library-title" }, "Library"),
      h("label", { class: "hidden", for: "search" }, "Search the library by name"), search, count), results);
}

let searching = null;
async function find() {
  searching?.abort();
  const mine = (searching = new AbortController());
  try {
    const { videos, total } = await api.library(search.value, mine.signal);
    count.textContent = total > videos.length ? `${videos.length} of ${total}` : `${total} found`;
    results.replaceChildren(...videos.map((one) => {
      const image = h("img", { alt: "" });
      frames.show(image, api.coverOf(one.id));
      return h("li", { class: "card" }, h("button", { type: "button", class: "cover", onclick: () => actions.library(one) },
        image, h("span", { class: "name" }, one.title), h("small", {}, one.folder)));
    }));
  } catch (failed) {
    if (failed.name !== "AbortError") count.textContent = failed.message;
  }
}

export function modelNote() {
  const { name, knows, licence, other } = about.model;
  return h("section", { class: "model-note", "aria-label": "The model" },
    h("p", {}, h("b", {}, name), ` answers here. ${knows} ${licence}`),
    ...(other ? [h("p", {}, `For real footage, use ${other.name}: `,
      ...other.commands.flatMap((line, at) => [at ? ", then " : "", h("code", {}, line)]), ".")] : []));
}
