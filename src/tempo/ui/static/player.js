// The player: the video where browsers can play it, else the image, else single frames.

import { $, h } from "./dom.js";
import { lasting, plural } from "./format.js";
import * as api from "./api.js";

let tab = null;
let element = null; // <video>, or null
let still = null; // <img> that shows the frame at a time
const listeners = [];

export const onTime = (listener) => listeners.push(listener);
const tell = (seconds) => listeners.forEach((listener) => listener(seconds));

export function time() {
  return element && !element.hidden ? element.currentTime : tab?.time ?? 0;
}

export function seek(seconds) {
  if (!tab?.video) return;
  tab.time = seconds;
  // A millisecond later: the frame that begins here, not the one that ends.
  if (element && !element.hidden) element.currentTime = seconds + 0.001;
  if (still && !still.hidden) still.src = api.frameOf(tab.video.id, seconds);
  tell(seconds);
}

export const pause = () => element?.pause();

export function toggle() {
  if (!element || element.hidden) return;
  if (element.paused) element.play().catch(() => {});
  else element.pause();
}

export function show(next) {
  if (tab === next && tab?.video?.id === $("player").dataset.video) return caption();
  if (tab) tab.time = time();
  tab = next;
  element = still = null;
  $("player").dataset.video = tab?.video?.id ?? "";
  if (!tab?.video) {
    $("player").replaceChildren(h("div", { class: "screen empty" }, h("p", {}, tab?.title ?? "")));
    return;
  }
  const { id, plays, shows, title } = tab.video;
  const screen = h("div", { class: "screen" });
  if (plays) {
    element = h("video", {
      controls: true, playsinline: true, preload: "metadata", src: api.fileOf(id),
      poster: api.frameOf(id, tab.time), "aria-label": title,
    });
    for (const name of ["timeupdate", "seeked"]) element.addEventListener(name, () => tell(element.currentTime));
    const from = tab.time;
    element.addEventListener("loadedmetadata", () => from && seek(from), { once: true });
    element.addEventListener("error", frames);
    screen.append(element);
  } else if (shows) {
    screen.append(h("img", { src: api.fileOf(id), alt: title }));
  } else {
    frames();
  }
  $("player").replaceChildren(screen, h("p", { class: "caption" }));
  caption();

  function frames() {
    if (element) element.hidden = true;
    still = h("img", { src: api.frameOf(id, tab.time), alt: "A frame of the video" });
    screen.append(still, h("p", { class: "remark" }, "Browsers cannot play this kind of file; the page shows the "
      + "frame of the moment that you choose."));
  }
}

function caption() {
  const video = tab?.video, line = $("player").querySelector(".caption");
  if (!video || !line) return;
  const facts = [video.kind === "video" ? lasting(video.duration) : "still image", `${video.width}×${video.height}`];
  if (video.watched) {
    const { frames, seconds, starts } = video.watched;
    facts.push(`${plural(frames, "frame")} in ${plural(starts.length, "segment")}, ${seconds < 0.2 ? "watched before" : `watched in ${seconds.toFixed(1)} s`}`);
  }
  line.replaceChildren(h("b", {}, video.title), ` · ${facts.join(" · ")}`,
    ...(video.watched?.remarks ?? []).map((text) => h("span", { class: "remark" }, text)));
}
