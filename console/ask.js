// Threads at the side, the conversation, and the question.
import { get, send } from "./api.js";
import { card } from "./answer.js";
import { agreed, button, find, h, say, usd } from "./dom.js";
import { addSamples } from "./samples.js";
import * as threads from "./threads.js";

let current = null; // the id of the thread that is shown

export async function show(view, [id]) {
  current = id || null;
  const list = h("ul", { class: "threads" });
  const talk = h("div", { class: "talk" });
  const spent = h("p", { class: "quiet" });
  const where = h("input", { list: "known", placeholder: "Default collection", "aria-label": "Collection", dir: "auto", autocomplete: "off" }), known = h("datalist", { id: "known" });
  const text = h("textarea", { rows: 2, placeholder: "Ask about your documents", "aria-label": "Question", dir: "auto", maxlength: 8000,
    onkeydown: (event) => { if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); form.requestSubmit(); } } });
  const fault = h("p", { class: "error", role: "alert" });
  const sender = h("button", {}, "Ask");

  const refresh = () => {
    list.replaceChildren(...threads.all().map((thread) => h("li", {},
      h("a", { href: `#ask/${thread.id}`, dir: "auto", "aria-current": thread.id === current ? "page" : null }, thread.title || thread.id),
      button("✎", () => rename(thread), { "aria-label": `Rename ${thread.title}`, title: "Rename" }), button("×", () => remove(thread), { "aria-label": `Delete ${thread.title}`, title: "Delete" }))));
    const day = threads.today(), own = current ? threads.spent(current) : null;
    spent.textContent = `${own ? `This thread: ${own.tokens.toLocaleString()} tokens, ${usd(own.usd)}. ` : ""}Today in this browser: ${usd(day.usd)}.`;
  };
  const rename = (thread) => {
    const title = prompt("Name of the thread", thread.title);
    if (title?.trim()) { threads.rename(thread.id, title.trim().slice(0, 80)); refresh(); }
  };
  const remove = async (thread) => {
    if (!await agreed("Delete this thread?", `“${thread.title}” with all its questions, answers and charts.`, "Delete")) return;
    try { await send("DELETE", `api/threads/${thread.id}`); } catch (error) { if (error.status !== 404) return say(error.message); }
    threads.forget(thread.id);
    say("The thread was deleted.");
    if (thread.id === current) location.hash = "#ask"; else refresh();
  };
  const add = (run, question) => {
    const made = card(run, question, { again: (asked) => ask(asked), done: () => { refresh(); if (made === talk.lastElementChild) made.scrollIntoView({ block: "start" }); } });
    talk.append(made);
    made.scrollIntoView({ block: "start" });
  };
  const ask = async (question) => {
    fault.textContent = "";
    sender.disabled = true;
    try {
      const run = await send("POST", "api/runs", { question, ...(current ? { thread_id: current } : where.value.trim() ? { collection: where.value.trim() } : {}) },
        { headers: { "Idempotency-Key": crypto.randomUUID?.() ?? String(Math.random()) }, repeatable: true });
      current = run.thread_id;
      threads.remember(run);
      history.replaceState(null, "", `#ask/${current}`);
      talk.querySelector(".empty")?.remove();
      where.hidden = true;
      add(run.id, question);
      refresh();
      text.value = "";
    } catch (error) { fault.textContent = error.message; } finally { sender.disabled = false; }
  };
  const form = h("form", { class: "question", onsubmit: (event) => { event.preventDefault(); if (text.value.trim()) ask(text.value.trim()); } },
    id ? null : [where, known], h("div", { class: "row" }, text, sender), fault, spent);

  view.replaceChildren(h("div", { class: "ask" }, h("aside", { "aria-label": "Threads" }, h("a", { class: "new", href: "#ask" }, "New thread"), list), h("div", { class: "main" }, h("h1", { class: "hidden" }, "Ask"), talk, form)));
  refresh();
  try {
    if (id) for (const message of (await get(`api/threads/${id}/messages`)).messages) { if (message.role === "user") add(message.run_id, message.text); }
    if (id) {
      const thread = await get(`api/threads/${id}`), open = thread.active_run_id;
      if (open && !talk.querySelector(`[data-run="${CSS.escape(open)}"]`)) add(open, (await get(`api/runs/${open}`)).question);
      return;
    }
    const { collections } = await get("api/collections");
    known.append(...collections.map((each) => h("option", { value: each.name })));
    if (!collections.some((each) => each.documents)) talk.append(empty());
  } catch (error) {
    talk.append(h("p", { class: "error", role: "alert" }, error.status === 404 ? "This thread was deleted." : error.message));
  }
}

function empty() {
  return h("div", { class: "empty" }, h("h2", {}, "No documents yet"), h("p", {}, "Add files on the page Documents, with “python -m local add PATH”, or begin with two samples."),
    h("p", { class: "row" }, button("Add the samples", async (event) => { event.target.disabled = true; await addSamples(); location.hash = "#documents"; }), h("a", { href: "#documents" }, "Add files")));
}

export { find };
