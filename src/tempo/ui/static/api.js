// The server: JSON, server-sent events from any request, and uploads that tell how far they are.

const API = "ui/api";
let key = "";

export class Refused extends Error {}

async function refusal(response) {
  try {
    return new Refused((await response.json()).error.message);
  } catch {
    return new Refused(`the server answered ${response.status}; try again`);
  }
}

async function request(method, path, body, signal) {
  const options = { method, signal };
  if (body !== undefined) {
    options.headers = { "content-type": "application/json" };
    options.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(`${API}/${path}`, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("the server cannot be reached; is it still running?");
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

export const about = async () => (await request("GET", "about")).json();
export const library = async (words, signal) =>
  (await request("GET", `library?words=${encodeURIComponent(words)}`, undefined, signal)).json();
export const coverOf = (id) => `${API}/library/cover?id=${encodeURIComponent(id)}`;
export const pictureOf = (id) => `${API}/examples/${encodeURIComponent(id)}.jpg`;

// What the session with a key has open; null where it has ended, or there was none, and a new one begins.
export async function begin(known) {
  const found = known && await request("GET", `sessions/${known}`).catch((error) => {
    if (!(error instanceof Refused)) throw error;
  });
  key = found ? known : (await (await request("POST", "sessions")).json()).key;
  setInterval(() => request("POST", `sessions/${key}/here`).catch(() => {}), 60_000);
  addEventListener("pagehide", () => navigator.sendBeacon(`${API}/sessions/${key}/leave`));
  // Of a page that comes back from the browser's memory, the session may have ended.
  addEventListener("pageshow", (event) => event.persisted && location.reload());
  return { key, found: found ? (await found.json()).videos : null };
}

const videos = () => `sessions/${key}/videos`;
export const fileOf = (id) => `${API}/${videos()}/${id}/file`;
export const frameOf = (id, seconds) => `${API}/${videos()}/${id}/frames/${Math.round(seconds * 1000)}.jpg`;
export const exportOf = (id, kind) => `${API}/${videos()}/${id}/export/${kind}`;

export const open = (what, on, signal) => stream(videos(), what, on, signal);
export const watchAgain = (id, sampling, on, signal) => stream(`${videos()}/${id}/watch`, sampling, on, signal);
export const ask = (id, question, on, signal) => stream(`${videos()}/${id}/turns`, question, on, signal);
export const answer = (id, turn, variant, on, signal) =>
  stream(`${videos()}/${id}/turns/${turn}/answers`, variant, on, signal);
export const allocation = async (id, turn, variant, signal) =>
  (await request("POST", `${videos()}/${id}/turns/${turn}/allocation`, variant, signal)).json();
export const close = (id) => request("DELETE", `${videos()}/${id}`);
export const forget = (id) => request("DELETE", `${videos()}/${id}/turns`);

export function upload(file, progress, signal) {
  return new Promise((resolve, reject) => {
    const sending = new XMLHttpRequest();
    sending.open("POST", `${API}/sessions/${key}/uploads?name=${encodeURIComponent(file.name)}`);
    sending.upload.onprogress = (event) => progress(event.loaded, event.total);
    sending.onerror = () => reject(new Refused("the upload broke off; try again"));
    sending.onload = () => {
      let said = {};
      try { said = JSON.parse(sending.responseText); } catch { /* told below */ }
      if (sending.status === 200) resolve(said.upload);
      else reject(new Refused(said.error?.message ?? `the server answered ${sending.status}; try again`));
    };
    signal.addEventListener("abort", () => {
      sending.abort();
      reject(new DOMException("stopped", "AbortError"));
    });
    sending.send(file);
  });
}

// Calls on(event, data) for every event; resolves at the end. Aborting ends the server's work too.
async function stream(path, body, on, signal) {
  const response = await request("POST", path, body, signal);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read().catch((error) => {
      if (error.name === "AbortError") throw error;
      throw new Refused("the connection to the server broke off; try again");
    });
    if (done) return;
    text += value;
    const blocks = text.split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const lines = Object.fromEntries(block.split("\n").map((line) => {
        const at = line.indexOf(": ");
        return [line.slice(0, at), line.slice(at + 2)];
      }));
      if (!lines.event) continue;
      const data = JSON.parse(lines.data);
      if (lines.event === "error") throw new Refused(data.error.message);
      on(lines.event, data);
    }
  }
}
