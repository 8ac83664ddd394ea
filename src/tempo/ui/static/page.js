// What happens in the browser alone: seek the player, preview frames in the chart, move its play head.
// All listeners are on the document, because Gradio replaces the elements below it.
(() => {
  "use strict";

  const player = () => document.querySelector(".tempo-player[data-files]");
  const video = () => document.getElementById("tempo-video");
  const chart = () => document.querySelector("svg.tempo-chart");

  function frame(milliseconds) {
    const box = player();
    return box ? `${box.dataset.files}/frames/${Math.round(milliseconds)}.jpg?${box.dataset.stamp}` : "";
  }

  function seek(seconds) {
    const box = player();
    if (!box) return;
    const element = video();
    // A millisecond later: the frame that begins here, not the one that ends.
    if (element && !element.hidden) element.currentTime = seconds + 0.001;
    const still = box.querySelector("img.still");
    if (still && !still.hidden) still.src = frame(seconds * 1000);
    mark(seconds);
    const place = box.getBoundingClientRect();
    if (place.bottom < 80 || place.top > window.innerHeight - 80) {
      box.scrollIntoView({ behavior: "smooth", block: "nearest" });
    }
  }

  function mark(seconds) {
    const svg = chart();
    if (!svg) return;
    const start = Number(svg.dataset.start), end = Number(svg.dataset.end);
    const share = Math.min(Math.max((seconds - start) / (end - start), 0), 1);
    const head = svg.querySelector(".t-head");
    for (const name of ["x1", "x2"]) head.setAttribute(name, `${share * 100}%`);
    head.setAttribute("visibility", "visible");
    let now = null;
    for (const segment of svg.querySelectorAll(".t-segment")) {
      segment.classList.remove("now");
      if (Number(segment.dataset.seek) <= seconds + 0.01) now = segment;
    }
    if (now) now.classList.add("now");
  }

  // --- the frame under the pointer ----------------------------------------------------------------------------

  let wanted = 0;

  function tip(segment) {
    const box = segment.closest(".tempo-allocation");
    const bubble = box.querySelector(".tempo-tip");
    const picture = bubble.querySelector("img");
    const source = frame(Number(segment.dataset.frame));
    bubble.querySelector("span").textContent = segment.dataset.words;
    if (picture.getAttribute("src") !== source) {
      picture.classList.add("loading");
      picture.onload = picture.onerror = () => picture.classList.remove("loading");
      // Decode a frame only where the pointer rests.
      window.clearTimeout(wanted);
      wanted = window.setTimeout(() => picture.setAttribute("src", source), 60);
    }
    bubble.hidden = false;
    const area = box.getBoundingClientRect();
    const place = segment.querySelector(".t-touch").getBoundingClientRect();
    const left = place.left + place.width / 2 - area.left - bubble.offsetWidth / 2;
    bubble.style.left = `${Math.min(Math.max(left, 0), area.width - bubble.offsetWidth)}px`;
    bubble.style.top = `${place.bottom - area.top + 6}px`;
  }

  function hideTips() {
    window.clearTimeout(wanted);
    for (const bubble of document.querySelectorAll(".tempo-tip")) bubble.hidden = true;
  }

  document.addEventListener("pointerover", (event) => {
    const segment = event.target.closest?.(".t-segment");
    if (segment) tip(segment);
    else if (!event.target.closest?.("svg.tempo-chart")) hideTips();
  });

  // --- clicks and keys ----------------------------------------------------------------------------------------

  document.addEventListener("click", (event) => {
    const time = event.target.closest?.("[data-seek]");
    if (time) {
      event.preventDefault();
      seek(Number(time.dataset.seek));
      return;
    }
    const question = event.target.closest?.("[data-ask]");
    if (question) {
      const box = document.querySelector("#tempo-question textarea, #tempo-question input");
      if (!box || box.disabled) return;
      box.value = question.dataset.ask;
      box.dispatchEvent(new Event("input", { bubbles: true }));
      // Gradio needs a moment to read the new text.
      window.setTimeout(() => document.querySelector("#tempo-ask")?.click(), 50);
    }
  });

  let chosen = -1;

  document.addEventListener("keydown", (event) => {
    const svg = event.target.closest?.("svg.tempo-chart");
    if (!svg) return;
    const segments = [...svg.querySelectorAll(".t-segment")];
    if (event.key === "ArrowRight") chosen = Math.min(chosen + 1, segments.length - 1);
    else if (event.key === "ArrowLeft") chosen = Math.max(Math.min(chosen, segments.length) - 1, 0);
    else if ((event.key === "Enter" || event.key === " ") && segments[chosen]) {
      seek(Number(segments[chosen].dataset.seek));
    } else if (event.key === "Escape") {
      hideTips();
      return;
    } else return;
    event.preventDefault();
    segments.forEach((segment, index) => segment.classList.toggle("chosen", index === chosen));
    if (segments[chosen]) tip(segments[chosen]);
  });

  // Gradio reports the release of a slider for the pointer only; do so for keys as well.
  document.addEventListener("keyup", (event) => {
    if (event.target.matches?.("#tempo-budget input[type=range]") && /^(Arrow|Page|Home|End)/.test(event.key)) {
      event.target.dispatchEvent(new PointerEvent("pointerup", { bubbles: true }));
    }
  });

  // --- uploads: refuse before sending what the server would refuse ------------------------------------------------

  function refusal(file) {
    const { kinds, most } = document.querySelector(".tempo-head").dataset;
    const ending = (/\.[^.]+$/.exec(file.name) || [""])[0].toLowerCase();
    if (!kinds.split(" ").includes(ending)) {
      return `${file.name}: ${ending || "a file without a suffix"} is not supported; upload a video ` +
        "(mp4, mov, mkv, webm, avi …) or an image (gif, png, jpg …)";
    }
    if (file.size <= Number(most)) return "";
    const [has, may] = [file.size, Number(most)].map((bytes) => `${(bytes / 1e6).toFixed(1)} MB`);
    return `${file.name}: has ${has}; uploads are limited to ${may}`;
  }

  for (const name of ["change", "drop"]) {
    document.addEventListener(name, (event) => {
      const place = document.getElementById("tempo-refused");
      if (!place || !event.target.closest?.("#tempo-upload")) return;
      const files = (name === "drop" ? event.dataTransfer : event.target).files;
      place.textContent = "";
      const words = [...(files || [])].map(refusal).find(Boolean);
      if (!words) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      if (name === "change") event.target.value = "";
      else event.target.dispatchEvent(new DragEvent("dragleave", { bubbles: true }));
      const said = document.createElement("p");
      said.className = "tempo-error";
      said.setAttribute("role", "alert");
      said.textContent = `⚠ ${words}`;
      place.append(said);
    }, true);
  }

  // --- the player; media events do not bubble, so these listeners capture them ------------------------------------

  for (const name of ["timeupdate", "seeked"]) {
    document.addEventListener(name, (event) => {
      if (event.target.id === "tempo-video") mark(event.target.currentTime);
    }, true);
  }

  // A new chart gets the play head of the old one.
  let current = null;
  new MutationObserver(() => {
    const svg = chart();
    if (!svg || svg === current) return;
    current = svg;
    const element = video();
    if (element && element.currentTime > 0) mark(element.currentTime);
  }).observe(document.documentElement, { childList: true, subtree: true });

  document.addEventListener("error", (event) => {
    const element = event.target;
    if (element.id !== "tempo-video" || !element.error) return;
    element.hidden = true;
    const still = element.parentElement.querySelector("img.still");
    if (!still || !still.hidden) return;
    still.hidden = false;
    const remark = document.createElement("p");
    remark.className = "tempo-note";
    remark.textContent = "This browser cannot play this file; the page shows the frame of the moment that you choose.";
    still.after(remark);
  }, true);
})();
