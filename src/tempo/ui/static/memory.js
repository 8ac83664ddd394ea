// What a page that is loaded again has to know: its session's key, and what only the page itself holds. The server
// keeps the videos and their conversations.

const NAME = "tempo", PATIENCE = 150; // milliseconds

export function keep(value) {
  try {
    sessionStorage.setItem(NAME, JSON.stringify(value));
  } catch { /* a browser that keeps nothing */ }
}

export async function recall() {
  let kept = null;
  try {
    kept = JSON.parse(sessionStorage.getItem(NAME));
  } catch { /* likewise */ }
  return kept?.key && !(await isElsewhere(kept.key)) ? kept : null;
}

// A duplicated tab has a copy of the key, and the page that it is a copy of is still there.
async function isElsewhere(key) {
  const channel = new BroadcastChannel(NAME);
  const answered = new Promise((resolve) => {
    channel.onmessage = ({ data }) => data === `here ${key}` && resolve(true);
    setTimeout(resolve, PATIENCE, false);
  });
  channel.postMessage(`who ${key}`);
  const found = await answered;
  channel.close();
  return found;
}

export function claim(key) {
  const channel = new BroadcastChannel(NAME);
  channel.onmessage = ({ data }) => data === `who ${key}` && channel.postMessage(`here ${key}`);
}
