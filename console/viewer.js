// A cited document at its place: a PDF in the browser's own viewer, text with the quote marked, else the quote.
import { contentUrl, request } from "./api.js";
import { button, dialog, find, h, save } from "./dom.js";

const TEXT_MAX_BYTES = 2_000_000;
const SHOWN_AROUND = 100_000;

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

/** Where `quote` stands in `text`, whatever its white space is; null if it does not. */
export function found(text, quote) {
  const words = quote.trim().split(/\s+/).filter(Boolean).map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  if (!words.length) return null;
  const match = new RegExp(words.slice(0, 400).join("[\\s*_`#>|-]+"), "i").exec(text);
  return match ? [match.index, match.index + match[0].length] : null;
}

function asText(text, quote) {
  const at = quote ? found(text, quote) : null;
  if (!at) return h("pre", { class: "page", dir: "auto" }, text.slice(0, SHOWN_AROUND));
  const [start, end] = at, from = Math.max(start - SHOWN_AROUND / 2, 0);
  const mark = h("mark", { id: "quoted" }, text.slice(start, end));
  queueMicrotask(() => mark.scrollIntoView({ block: "center" }));
  return h("pre", { class: "page", dir: "auto" }, text.slice(from, start), mark, text.slice(end, end + SHOWN_AROUND / 2));
}

export async function open(path, citation = {}) {
  const body = h("div", { class: "viewer" }, h("p", {}, "Loading …"));
  const download = button("Download", async () => {
    try { save(await (await request(contentUrl(path))).blob(), path.split("/").pop()); } catch (error) { download.after(h("p", { class: "error" }, error.message)); }
  });
  dialog(path, h("p", { class: "row" }, h("span", {}, place(citation)), citation.quote ? h("span", { class: citation.verified === false ? "error" : "" }, proof(citation)) : null, download),
    citation.quote ? h("blockquote", { dir: "auto" }, citation.quote) : null, body);
  let url = null;
  find("dialog").addEventListener("close", () => url && URL.revokeObjectURL(url), { once: true });
  try {
    const head = await request(contentUrl(path), { method: "HEAD" });
    const type = (head.headers.get("Content-Type") || "").split(";")[0];
    const changed = citation.etag && head.headers.get("ETag")?.replaceAll('"', "") !== citation.etag;
    const note = changed ? h("p", { class: "error" }, "The document was replaced after this answer; the newest version is shown.") : null;
    if (type === "application/pdf") {
      url = URL.createObjectURL(new Blob([await (await request(contentUrl(path))).blob()], { type: "application/pdf" }));
      body.replaceChildren(note ?? "", h("iframe", { title: `${path}, ${place(citation) || "page 1"}`, src: `${url}#page=${citation.page || 1}&navpanes=0` }));
    } else if (type === "text/plain" || /\.(html?|xml|py|js|ts|java|c|cs|cpp|php|rb|sh|css)$/i.test(path)) {
      const response = await request(contentUrl(path), { headers: { Range: `bytes=0-${TEXT_MAX_BYTES - 1}` } });
      body.replaceChildren(note ?? "", asText(await response.text(), citation.quote));
    } else {
      body.replaceChildren(note ?? "", h("p", {}, "The browser cannot show this kind of file. Download it to read it."));
    }
  } catch (error) {
    body.replaceChildren(h("p", { class: "error" }, error.status === 404 ? "The document was deleted." : error.message));
  }
}
