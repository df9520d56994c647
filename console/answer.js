// One run: its steps while it works, then its answer with citations, charts, cost.
import { follow, get, request, send } from "./api.js";
import { button, dialog, h, save, say, scrolling, status, usd } from "./dom.js";
import { rendered } from "./markdown.js";
import * as threads from "./threads.js";
import { open, place, proof } from "./viewer.js";

const STEPS = { file_search: "Searching", code_interpreter: "Running code", function: "Calling a function", reasoning: "Thinking", message: "Writing" };
const IMAGES = ["image/png", "image/jpeg", "image/gif", "image/webp"];

function step(item) {
  const what = item.queries?.length ? item.queries.map((query) => `“${query}”`).join(", ") : item.name || "";
  const line = [STEPS[item.type] || item.type, what ? " " : "", h("span", { dir: "auto" }, what)];
  const more = item.code ? h("details", {}, h("summary", {}, line, " – show the code"), h("pre", scrolling("Code"), item.code),
    item.output ? [h("p", {}, "It printed:"), h("pre", { dir: "auto", ...scrolling("What the code printed") }, item.output)] : null) : line;
  return h("li", { class: item.status }, more);
}

const steps = (items) => items?.length ? h("ol", { class: "steps" }, items.map(step)) : null;

/** A form for the outputs of the caller's functions. */
function action(run, sent) {
  const fields = run.calls.map((call) => ({ call, input: h("textarea", { rows: 2, "aria-label": `Result of ${call.name}`, dir: "auto" }) }));
  const fault = h("p", { class: "error", role: "alert" });
  return h("form", {
    class: "action", onsubmit: async (event) => {
      event.preventDefault();
      try {
        await send("POST", `api/runs/${run.id}/tool_outputs`, { tool_outputs: fields.map(({ call, input }) => ({ call_id: call.call_id, output: input.value })) });
        sent();
      } catch (error) { fault.textContent = error.message; }
    },
  }, h("p", {}, "The answer waits for you: give the results of these functions."),
  fields.map(({ call, input }) => h("label", {}, h("code", { dir: "auto", tabindex: "0" }, `${call.name}(${call.arguments})`), input)), fault, h("button", {}, "Send the results"));
}

function chart(run, item) {
  const picture = h("img", { alt: `Chart ${item.n}: ${item.filename}`, width: 640, height: 400 });
  const figure = h("figure", {}, picture, h("figcaption", { dir: "auto" }, item.filename));
  const url = `api/runs/${run.id}/charts/${item.n}`;
  request(url).then((response) => response.blob()).then((blob) => {
    if (!IMAGES.includes(blob.type)) throw new Error("The chart is no picture.");
    picture.removeAttribute("width"); picture.removeAttribute("height");
    picture.src = URL.createObjectURL(blob);
    figure.append(button("Enlarge", () => dialog(item.filename, h("img", { class: "large", src: picture.src, alt: picture.alt }))),
      button("Download", () => save(blob, item.filename)));
  }).catch((error) => figure.append(h("p", { class: "error" }, error.message)));
  return figure;
}

function sources(run) {
  const first = new Map();
  for (const citation of run.citations) if (!first.has(citation.n)) first.set(citation.n, citation);
  if (!first.size) return null;
  return h("section", { class: "sources" }, h("h3", {}, "Sources"), h("ol", {}, [...first.values()].sort((a, b) => a.n - b.n).map((citation) =>
    h("li", { value: citation.n }, button([h("bdi", {}, citation.document), place(citation) ? `, ${place(citation)}` : ""].flat(), () => open(citation.document, citation), { class: "link" }),
      " ", citation.quote ? h("span", { class: citation.verified === false ? "error" : "quiet", title: proof(citation) }, proof(citation)) : null))));
}

function ended(run, again) {
  const cited = (n) => button(String(n), () => open(run.citations.find((c) => c.n === n).document, run.citations.find((c) => c.n === n)), { class: "cite", "aria-label": `Source ${n}` });
  const copied = button("Copy", async () => {
    try { await navigator.clipboard.writeText(run.markdown); say("Copied as Markdown."); } catch { dialog("Copy", h("textarea", { rows: 14, readonly: true }, run.markdown)); }
  });
  const tokens = run.usage.total_tokens.toLocaleString();
  return [
    run.error ? h("p", { class: "error", dir: "auto" }, `${run.status}: ${run.error.message}`) : null,
    run.answer ? rendered(run.answer, run.citations, cited) : null,
    run.charts.map((item) => chart(run, item)),
    sources(run),
    run.notes.map((note) => h("p", { class: "quiet", dir: "auto" }, note)),
    run.steps?.length ? h("details", { class: "how" }, h("summary", {}, `How it was found: ${run.steps.length} steps`), steps(run.steps)) : null,
    h("p", { class: "quiet row" }, h("span", {}, `${tokens} tokens · ${usd(run.cost?.usd)} · ${(run.timings.total_ms / 1000).toFixed(1)} s`), copied, button("Ask again", () => again(run.question))),
  ];
}

/** Shows a run until it has ended; `again` asks a question anew, `done` is called at the end. */
export function card(id, question, { again = () => {}, done = () => {} } = {}) {
  const body = h("div", { class: "body" }, h("p", { class: "quiet" }, "Starting …"));
  const element = h("article", { "aria-busy": "true", "data-run": id }, h("h2", { dir: "auto" }, question), body);
  const cancel = button("Cancel", async () => {
    cancel.disabled = true;
    try { await send("POST", `api/runs/${id}/cancel`); say("Cancelling."); } catch (error) { cancel.disabled = false; say(error.message); }
  });
  let shown = "";
  const look = (run) => {
    if (run.finished_at) return;
    const now = JSON.stringify([run.status, run.steps, run.calls]);
    if (now === shown) return; // a form that is being filled in stays
    shown = now;
    const current = run.steps?.at(-1);
    const text = run.status === "requires_action" ? "Waiting for you" : current ? STEPS[current.type] || current.type : "Thinking";
    say(`${text} …`);
    body.replaceChildren(h("p", { class: "row" }, status(run.status), h("span", { class: "working" }, `${text} …`), cancel), steps(run.steps) ?? "",
      run.status === "requires_action" && run.calls.length ? action(run, () => { shown = ""; }) : "");
  };
  element.ended = follow(id, look).then((run) => {
    body.replaceChildren(...ended(run, again).flat(9).filter(Boolean));
    threads.remember(run);
    say(run.status === "completed" ? "The answer is here." : `The run is ${run.status}.`);
    done(run);
    return run;
  }).catch((error) => {
    body.replaceChildren(h("p", { class: "error", role: "alert" }, error.message));
  }).finally(() => element.setAttribute("aria-busy", "false"));
  return element;
}

export { get };
