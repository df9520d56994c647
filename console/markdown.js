// An answer as elements. It was written by a model from documents, so it is hostile: HTML in it is shown as text, links and
// pictures as their words; what Markdown makes is reduced to a few tags without any attribute that acts, and only then it
// is put into the page.
import { marked } from "./vendor-marked.mjs";
import { h, scrolling } from "./dom.js";

const TAGS = ["p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "strong", "em", "del", "code", "pre", "blockquote", "ul", "ol", "li",
  "table", "thead", "tbody", "tr", "th", "td", "#text"];
const LONGEST = 200_000;
const OPEN = "\uE000", CLOSE = "\uE001"; // private characters: no answer keeps them

const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
marked.use({ renderer: {
  html: ({ text }) => escaped(text),
  image: ({ text }) => escaped(text),
  link({ tokens }) { return this.parser.parseInline(tokens); },
} });

/** Put the number of each citation at its place. Positions count code points, as Python does. */
export function marked_at(text, citations) {
  const points = Array.from(text.replaceAll(OPEN, " ").replaceAll(CLOSE, " "));
  const sorted = [...citations].sort((a, b) => b.position - a.position || b.n - a.n);
  for (const citation of sorted) points.splice(citation.position, 0, `${OPEN}${citation.n}${CLOSE}`);
  return points.join("");
}

/** Returns an element; `cited(n)` makes the element of a citation. */
export function rendered(text, citations, cited) {
  if (text.length > LONGEST) {
    return h("div", { class: "answer" }, h("p", {}, `This answer has ${text.length.toLocaleString()} characters; its beginning is shown as it was written. Copy takes all of it.`),
      h("pre", { dir: "auto", ...scrolling("Answer") }, text.slice(0, LONGEST)));
  }
  const html = marked.parse(marked_at(text, citations), { gfm: true, breaks: false });
  const fragment = window.DOMPurify.sanitize(html, { ALLOWED_TAGS: TAGS, ALLOWED_ATTR: ["start", "align"], ALLOW_DATA_ATTR: false, ALLOW_ARIA_ATTR: false, RETURN_DOM_FRAGMENT: true });
  const answer = h("div", { class: "answer", dir: "auto" }, fragment);
  const walker = document.createTreeWalker(answer, NodeFilter.SHOW_TEXT);
  const texts = [];
  while (walker.nextNode()) if (walker.currentNode.data.includes(OPEN)) texts.push(walker.currentNode);
  for (const node of texts) {
    const parts = node.data.split(/\uE000(\d+)\uE001/);
    node.replaceWith(...parts.map((part, index) => index % 2 ? cited(Number(part)) : part.replaceAll(/[\uE000\uE001]/g, "")));
  }
  for (const each of answer.querySelectorAll("table")) each.replaceWith(h("div", { class: "scroll", ...scrolling("Table") }, each.cloneNode(true)));
  for (const each of answer.querySelectorAll("pre")) for (const [name, value] of Object.entries(scrolling("Code"))) each.setAttribute(name, value);
  return answer;
}
