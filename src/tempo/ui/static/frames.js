// Frames are decoded one after the other on the server, so no more than a few are asked for at a time; the
// latest wishes come first.

const AT_ONCE = 3;
const waiting = [];
let loading = 0;

function next() {
  while (loading < AT_ONCE && waiting.length) {
    const { image, source } = waiting.pop();
    if (image.dataset.wanted !== source) continue;
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
  next();
}

// Forget what has not been asked for yet: it belongs to something that is not shown any more.
export function forgetWaiting() {
  waiting.length = 0;
}
