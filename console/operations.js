// Runs, collections, health.
import { get } from "./api.js";
import { card } from "./answer.js";
import { bytes, button, dialog, h, status, table, time, usd } from "./dom.js";

const RUNS = ["queued", "in_progress", "requires_action", "cancelling", "cancelled", "completed", "incomplete", "failed", "expired"];

export async function runs(view) {
  const filter = h("select", { "aria-label": "Status", onchange: () => load(null) }, h("option", { value: "" }, "All"), RUNS.map((each) => h("option", { value: each }, each.replace("_", " "))));
  const list = h("div"), fault = h("p", { class: "error", role: "alert" }), more = button("Older runs", () => load(cursor), { hidden: true });
  let cursor = null, rows = [];
  const cost = async (run, cell) => {
    try { const full = await get(`api/runs/${run.id}`, { once: true }); cell.textContent = full.cost ? usd(full.cost.usd) : "–"; } catch { cell.textContent = "–"; }
  };
  const load = async (from) => {
    try {
      const page = await get(`api/runs?limit=30${filter.value ? `&status=${filter.value}` : ""}${from ? `&cursor=${encodeURIComponent(from)}` : ""}`);
      cursor = page.cursor;
      more.hidden = !cursor;
      if (!from) rows = [];
      for (const run of page.runs) {
        const price = h("td", {}, "…");
        const took = run.finished_at ? `${((new Date(run.finished_at) - new Date(run.created_at)) / 1000).toFixed(1)} s` : "–";
        rows.push(h("tr", {}, h("td", {}, button(h("bdi", {}, run.question), () => dialog("Run", card(run.id, run.question)), { class: "link" })), h("td", {}, status(run.status)), h("td", {}, time(run.created_at)), h("td", {}, took), price,
          h("td", {}, h("a", { href: `#ask/${run.thread_id}` }, "Thread"))));
        if (run.finished_at) cost(run, price); else price.textContent = "–";
      }
      list.replaceChildren(table("Runs", ["Question", "Status", "Asked", "Took", "Cost", "Thread"], rows));
    } catch (error) { fault.textContent = error.message; }
  };
  view.replaceChildren(h("h1", {}, "Runs"), h("div", { class: "row" }, filter, button("Refresh", () => load(null))), fault, list, more);
  await load(null);
}

const collection = (each) => h("tr", {},
  h("td", { dir: "auto" }, each.name), h("td", {}, each.documents.toLocaleString()),
  h("td", {}, Object.entries(each.statuses).map(([name, n]) => [status(name), ` ${n} `]), each.missing_stores.length ? h("p", { class: "error" }, "A vector store is gone; its documents are indexed again.") : null),
  h("td", {}, bytes(each.size_bytes)), h("td", {}, bytes(each.usage_bytes)), h("td", {}, usd(each.cost_usd_per_day)));

export async function collections(view) {
  const list = table("Collections", ["Name", "Documents", "Status", "Size", "In vector stores", "Cost a day"], []), rows = list.querySelector("tbody");
  const fault = h("p", { class: "error", role: "alert" }), more = button("More collections", () => load(), { hidden: true });
  let cursor = null;
  const load = async () => {
    more.disabled = true;
    try {
      const page = await get(`api/collections?limit=50${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
      rows.append(...page.collections.map(collection));
      cursor = page.cursor;
      more.hidden = !cursor;
      fault.textContent = "";
    } catch (error) { fault.textContent = error.message; }
    more.disabled = false;
  };
  view.replaceChildren(h("h1", {}, "Collections"), fault, list, more);
  await load();
  if (!rows.children.length && !fault.textContent) list.replaceWith(h("p", {}, "There is no collection yet. It begins with its first document."));
}

export async function health(view) {
  const state = h("p", { role: "status" }, "Checking …");
  view.replaceChildren(h("h1", {}, "Health"), state);
  let report;
  try { report = await get("api/health/deep", { once: true }); } catch (error) {
    if (!error.body?.checks) throw error;
    report = error.body;
  }
  view.replaceChildren(h("h1", {}, "Health"), h("p", {}, report.status === "ok" ? "✓ Everything works." : "✗ Something does not work.", ` Version ${report.version}.`),
    table("Checks", ["Check", "State", "Detail", "Took"], report.checks.map((each) => h("tr", {}, h("td", {}, each.name), h("td", {}, status(each.ok ? "ok" : "failed")), h("td", { dir: "auto" }, each.detail), h("td", {}, `${each.took_ms} ms`)))),
    h("p", { class: "row" }, button("Check again", () => health(view)), h("span", { class: "quiet" }, "“python -m local doctor” says how to repair what does not work.")));
}
