// A cited document at its place: its text with the quote marked, and a PDF beside it in the browser's own viewer.
import { contentUrl, get, request, textUrl } from "./api.js";
import { button, dialog, find, h, save, scrolling } from "./dom.js";

const TEXT_MAX_BYTES = 2_000_000;
const SHOWN_AROUND = 100_000;
const SOURCE = /\.(html?|xml|py|js|ts|java|c|cs|cpp|php|rb|sh|css)$/i;

export function place(citation) {
  if (citation.page) return `page ${citation.page}`;
  if (citation.slide) return `slide ${citation.slide}`;
  return citation.section ? `section “${citation.section}”` : "";
}

export function proof(citation) {
  if (citation.verified === true) return "✓ The quote stands in the document.";
  if (citation.verified === false) return "✗ The quote was not found in the document.";
  return "The quote could not be checked.";
}

// What readers of documents add, drop or replace is not compared: white space, hyphens, quotation marks, bullets, Markdown.
const DROPPED = /[\s\u00ad\u200b-\u200d\u2060\ufeff\ufffe\-\u2010-\u2015\u2212"'`\u2018-\u201a\u201b-\u201e\u201f\u2032\u2033\u2039\u203a\u00ab\u00bb\u00b4*_#|~>\\\u2022\u00b7\u25aa\u25cf\u25cb\u2023\u2043]/;

/** The characters of a text that are compared, and where each of them stands. */
function squeezed(text) {
  const kept = [], places = [];
  for (let at = 0; at < text.length; at += 1) {
    if (DROPPED.test(text[at])) continue;
    const plain = text.charCodeAt(at) < 128 ? text[at] : text[at].normalize("NFKC");
    for (const each of plain.toLowerCase().split("")) { kept.push(each); places.push(at); }
  }
  return [kept.join(""), places];
}

/** Where `quote` stands in `text`; null if it does not. */
export function found(text, quote) {
  const [wanted] = squeezed(quote), [all, places] = squeezed(text);
  const at = wanted ? all.indexOf(wanted) : -1;
  return at < 0 ? null : [places[at], places[at + wanted.length - 1] + 1];
}

/** A text with the quote marked; long ones around it, or their beginning. */
function asText(text, quote) {
  const [start, end] = (quote && found(text, quote)) || [0, 0], from = Math.max(start - SHOWN_AROUND / 2, 0);
  const mark = end ? h("mark", { id: "quoted" }, text.slice(start, end)) : null;
  if (mark) requestAnimationFrame(() => mark.scrollIntoView({ block: "center" }));
  return h("pre", { class: "page", dir: "auto", ...scrolling("Text of the document") }, text.slice(from, start), mark, text.slice(end, end + SHOWN_AROUND / 2));
}

/** The text of a document as the app has read it, at the place of the citation; "" if there is none. */
async function keptText(path, citation) {
  const named = ["page", "slide", "section"].find((each) => citation[each]);
  try {
    const { places } = await get(`${textUrl(path)}${named ? `&${named}=${encodeURIComponent(citation[named])}` : ""}`);
    const titled = (each) => named || !place(each) ? each.text : `— ${place(each)} —\n\n${each.text}`;
    return (places ?? []).map(titled).join("\n\n").replaceAll(/[\u00ad\ufffe]/g, "").normalize("NFC");
  } catch (error) {
    if (error.status !== 404) throw error;
    return "";
  }
}

/** The file itself where it is text; "" otherwise. */
async function ownText(path, type) {
  if (type !== "text/plain" && !SOURCE.test(path)) return "";
  return (await request(contentUrl(path), { headers: { Range: `bytes=0-${TEXT_MAX_BYTES - 1}` } })).text();
}

/** What is shown of a document, one below or beside the other. `made` gets the URLs to be revoked. */
async function shown(path, citation, type, made) {
  if (type === "application/pdf") {
    const [kept, file] = await Promise.all([keptText(path, citation), request(contentUrl(path)).then((response) => response.blob())]);
    made.push(URL.createObjectURL(new Blob([file], { type })));
    const pdf = h("iframe", { title: `${path}, ${place(citation) || "page 1"}`, src: `${made[0]}#page=${citation.page || 1}&view=FitH&navpanes=0` });
    return citation.quote && found(kept, citation.quote) ? [asText(kept, citation.quote), pdf] : [pdf];
  }
  const own = await ownText(path, type);
  if (own && (!citation.quote || found(own, citation.quote))) return [asText(own, citation.quote)];
  const kept = await keptText(path, citation);
  if (kept || own) return [asText(kept || own, citation.quote)];
  return [h("p", {}, "The browser cannot show this kind of file. Download it to read it.")];
}

export async function open(path, citation = {}) {
  const body = h("div", { class: "viewer" }, h("p", {}, "Loading …"));
  const download = button("Download", async () => {
    try { save(await (await request(contentUrl(path))).blob(), path.split("/").pop()); } catch (error) { download.after(h("p", { class: "error" }, error.message)); }
  });
  const quote = citation.quote ? h("blockquote", { dir: "auto", ...scrolling("Quote") }, citation.quote) : "";
  dialog(path, h("p", { class: "row" }, h("span", {}, place(citation)), citation.quote ? h("span", { class: citation.verified === false ? "error" : "" }, proof(citation)) : null, download),
    quote, body);
  const made = [];
  find("dialog").addEventListener("close", () => made.forEach((each) => URL.revokeObjectURL(each)), { once: true });
  try {
    const head = await request(contentUrl(path), { method: "HEAD" });
    const type = (head.headers.get("Content-Type") || "").split(";")[0];
    const changed = citation.etag && head.headers.get("ETag")?.replaceAll('"', "") !== citation.etag;
    const note = changed ? h("p", { class: "error" }, "The document was replaced after this answer; the newest version is shown.") : "";
    body.replaceChildren(note, h("div", { class: "beside" }, await shown(path, citation, type, made)));
    if (quote && body.querySelector("mark")) quote.hidden = true; // it is marked in the text
  } catch (error) {
    body.replaceChildren(h("p", { class: "error" }, error.status === 404 ? "The document was deleted." : error.message));
  }
}
