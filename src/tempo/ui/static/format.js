// Times, sizes and counts as people read them; the same forms as in the rest of tempo.

export function clock(seconds) {
  const whole = Math.floor(Math.max(seconds, 0));
  const two = (number) => String(number).padStart(2, "0");
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${two(minutes)}:${two(whole % 60)}`;
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(whole % 60)}`;
}

export function span(start, end) {
  const [first, last] = [clock(start), clock(end)];
  if (first !== last) return `${first}–${last}`;
  if (start === end) return first;
  return [start, end].map((one) => `${clock(one)}.${Math.floor(one * 10) % 10}`).join("–"); // within a second
}

// How long something is, to tenths where whole seconds would say nothing.
export const lasting = (seconds) => (seconds < 1 ? `${seconds.toFixed(1)} s` : clock(seconds));

export const duration = (seconds) => (seconds < 60 ? `${Math.ceil(seconds)} s` : clock(seconds));

export function bytes(count) {
  let value = count, unit = "bytes";
  for (const larger of ["kB", "MB", "GB", "TB"]) {
    if (value < 1000) break;
    value /= 1000;
    unit = larger;
  }
  return unit === "bytes" ? `${value} bytes` : `${value.toFixed(value < 10 ? 1 : 0)} ${unit}`;
}

export const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;
