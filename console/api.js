// The HTTP API: the function key, errors as sentences, and requests that outlive a lost network.
import { button, dialog, find, h } from "./dom.js";

const KEY = "functions-key";
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
let asking = null;

/** `problem` is the app's own description of what went wrong; its `detail` is a sentence. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail || sentence(status));
    this.status = status;
    this.code = problem.code || "";
  }
}

function sentence(status) {
  if (status === 413) return "This is too large for the app.";
  if (status === 404) return "The app does not have this.";
  if (status >= 500) return `The app failed (${status}). Try again; its log says why.`;
  return `The app answered ${status}.`;
}

/** The key is asked for once, and kept until this tab is closed. Several requests share one question. */
export function askForKey(wrong) {
  asking ??= new Promise((resolve) => {
    const input = h("input", { type: "password", autocomplete: "off", "aria-label": "Function key", autofocus: true });
    const close = dialog("Key of the app",
      h("p", {}, wrong ? "The app does not take this key: it is wrong, or it has been renewed. " : "",
        "Give a function key of the app. It stays in this tab and is forgotten when the tab is closed."),
      h("form", { onsubmit: (event) => { event.preventDefault(); sessionStorage.setItem(KEY, input.value.trim()); close(); } },
        input, h("button", {}, "Use the key")));
    find("dialog").addEventListener("close", () => { asking = null; resolve(); }, { once: true });
  });
  return asking;
}

function network(lost) {
  find("network").hidden = !lost;
}

/** One request; without a connection it is sent again if that is safe. Returns the response, with status below 400. */
export async function request(path, options = {}) {
  const method = options.method || "GET";
  for (let tries = 0, refusals = 0; ;) {
    const key = sessionStorage.getItem(KEY);
    let response;
    try {
      response = await fetch(path, { ...options, headers: { ...options.headers, ...(key ? { "x-functions-key": key } : {}) }, credentials: "same-origin", cache: "no-store", redirect: "manual" }); // a redirect leads to a sign-in, never to an answer
      network(false);
    } catch (error) {
      if (options.signal?.aborted) throw error;
      network(true);
      if (method === "POST" && !options.repeatable) throw new Refused(0, { detail: "The app cannot be reached. Nothing was sent; try again when the connection is back." });
      await pause(Math.min(500 * 2 ** tries++, 5000));
      continue;
    }
    if (response.type === "opaqueredirect") throw new Refused(401, { detail: "You are signed out. Reload the page to sign in." });
    if (response.status === 401 && refusals++ < 5) {
      find("key").hidden = false;
      await askForKey(Boolean(key));
      if (!sessionStorage.getItem(KEY)) throw new Refused(401, { detail: "The app needs a key. Give one with the button Key." });
      continue;
    }
    if (response.status === 503 && method === "GET" && tries++ < 5 && !options.once) {
      await pause(1000 * Math.min(Number(response.headers.get("Retry-After")) || 2, 5));
      continue;
    }
    if (response.ok || response.status === 304) return response;
    let problem = {};
    try { problem = await response.json(); } catch { /* the host answers without a body */ }
    throw Object.assign(new Refused(response.status, problem), { body: problem });
  }
}

export async function get(path, options) {
  return (await request(path, options)).json();
}

export async function send(method, path, body, options = {}) {
  const response = await request(path, body === undefined ? { method, ...options }
    : { method, body: JSON.stringify(body), ...options, headers: { "Content-Type": "application/json", ...options.headers } });
  return response.status === 204 ? null : response.json();
}

const LARGE_BYTES = 8 * 1024 * 1024; // more is sent to storage, past the app: its host would hold all of it in memory

/** Upload a file with progress from 0 to 1; resolves to {etag}, which is null when storage does not show it. */
export async function upload(path, file, onprogress) {
  if (file.size <= LARGE_BYTES) {
    const key = sessionStorage.getItem(KEY);
    const headers = { "Content-Type": "application/octet-stream", ...(key ? { "x-functions-key": key } : {}) };
    try { return await put(documentUrl(path), headers, file, onprogress); } catch (error) {
      if (error.status === 401) { await get("api/collections"); return upload(path, file, onprogress); } // asks for the key
      if (error.code !== "document_too_large") throw error;
    }
  }
  const target = await send("POST", `api/documents/upload?path=${encodeURIComponent(path)}`, {});
  if (file.size > target.max_bytes) throw new Refused(413, { detail: `The file has ${file.size.toLocaleString()} bytes; at most ${target.max_bytes.toLocaleString()} are taken. Split it.` });
  return put(target.url, target.headers, file, onprogress);
}

/** `fetch` reports no progress. */
function put(url, headers, file, onprogress) {
  return new Promise((resolve, reject) => {
    const sender = new XMLHttpRequest();
    sender.open("PUT", url);
    for (const [name, value] of Object.entries(headers)) sender.setRequestHeader(name, value);
    sender.upload.addEventListener("progress", (event) => onprogress(event.loaded / (event.total || 1)));
    sender.addEventListener("load", () => {
      let answer = {};
      try { answer = JSON.parse(sender.responseText); } catch { /* no body */ }
      network(false);
      if (sender.status < 400) resolve({ etag: sender.getResponseHeader("ETag"), ...answer });
      else reject(new Refused(sender.status, answer));
    });
    sender.addEventListener("error", () => reject(new Refused(0, { detail: url.startsWith("http") ? "Storage cannot be reached, or does not take files from this page." : "The connection was lost." })));
    sender.send(file);
  });
}

export const documentUrl = (path) => `api/documents?path=${encodeURIComponent(path)}`;
export const textUrl = (path) => `api/documents/text?path=${encodeURIComponent(path)}`;
export const contentUrl = (path) => `api/documents/content?path=${encodeURIComponent(path)}`;

/** All pages of a listing, a page at a time. */
export async function* pages(path, name) {
  let cursor = null;
  do {
    const page = await get(`${path}${path.includes("?") ? "&" : "?"}${cursor ? `cursor=${encodeURIComponent(cursor)}` : ""}`);
    yield page[name];
    cursor = page.cursor;
  } while (cursor);
}

/** Follow a run until it has ended; `onlook` gets each answer. */
export async function follow(id, onlook, signal) {
  for (;;) {
    const response = await request(`api/runs/${id}?wait=20`, { signal });
    const run = await response.json();
    onlook(run);
    if (response.status === 200) return run;
    if (run.status === "requires_action") await pause(2000);
    else await pause(100);
  }
}

export { button, pause };
