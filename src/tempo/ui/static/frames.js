// Frames are decoded one after the other on the server, so no more than a few are asked for at a time; the
// latest wishes come first, and what is not on the page any more is left out.

const AT_ONCE = 3;
const waiting = [];
let loading = 0;

function next() {
  while (loading < AT_ONCE && waiting.length) {
    const { image, source } = waiting.pop();
    if (image.dataset.wanted !== source) continue;
    if (!image.isConnected) {
      delete image.dataset.wanted;
      continue;
    }
    loading += 1;
    const done = () => {
      loading -= 1;
      next();
    };
    image.addEventListener("load", done, { once: true });
    image.addEventListener("error", done, { once: true });
    image.src = source;
  }
}

export function show(image, source) {
  if (image.dataset.wanted === source) return;
  image.dataset.wanted = source;
  waiting.push({ image, source });
  setTimeout(next); // by then it stands on the page
}
