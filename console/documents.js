// Documents: drop, upload, watch, search, retry, delete with its receipt.
import { documentUrl, get, pages, pause, send, upload } from "./api.js";
import { agreed, bytes, button, dialog, find, h, say, status, table, time } from "./dom.js";
import { addSamples } from "./samples.js";
import { open } from "./viewer.js";

const SHOWN = 100, UPLOADS_AT_ONCE = 3, LOOK_AGAIN_MS = 2000, FINAL = ["indexed", "failed", "unsupported"];
const STATUSES = ["pending", "indexing", "indexed", "failed", "unsupported", "removing"];
const queue = []; // {path, file, state, share}; it outlives a change of the view
let running = 0, changed = () => {};

/** The files of a drop, also those in folders; each with its path inside the drop. */
async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files].map((file) => ({ path: file.name, file }));
  const found = [];
  const walk = async (entry, folder) => {
    if (entry.isFile) {
      const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
      found.push({ path: folder + file.name, file });
      return;
    }
    const reader = entry.createReader();
    for (let some; (some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject))).length;) {
      for (const each of some) await walk(each, `${folder}${entry.name}/`);
    }
  };
  for (const entry of entries) await walk(entry, "");
  return found;
}

function enqueue(files, collection) {
  for (const { path, file } of files) {
    if (file.name === ".DS_Store" || file.name === "Thumbs.db") continue;
    queue.push({ path: collection ? `${collection}/${path}` : path, file, state: "waiting", share: 0, reason: "" });
  }
  say(`${files.length} files to upload.`);
  work();
}

function work() {
  changed();
  while (running < UPLOADS_AT_ONCE) {
    const next = queue.find((item) => item.state === "waiting");
    if (!next) return;
    running += 1;
    next.state = "uploading";
    put(next).finally(() => { running -= 1; work(); });
  }
}

async function put(item) {
  for (let tries = 0; ; tries += 1) {
    try {
      if (item.file.size === 0) throw Object.assign(new Error("The file is empty; there is nothing to index."), { status: 400 });
      const made = await upload(item.path, item.file, (share) => { item.share = share; changed(); });
      Object.assign(item, { state: "indexing", etag: made.etag, share: 1 });
      watch(item);
      return;
    } catch (error) {
      if ((error.status === 0 || error.status === 503 || error.status === 429) && tries < (item.file.size > 8e6 ? 3 : 20)) { item.reason = `${error.message} Trying again …`; changed(); await pause(Math.min(1000 * 2 ** tries, 10_000)); continue; }
      Object.assign(item, { state: "failed", reason: error.message + (error.status === 0 ? " “python -m local add PATH” adds files, too." : "") });
      return;
    }
  }
}

/** One request at a time watches all uploads: a browser has few connections to a server. */
const watched = new Set();
let watching = false;
async function watch(item) {
  watched.add(item);
  if (watching) return;
  watching = true;
  while (watched.size) {
    for (const each of [...watched]) {
      try {
        const found = await get(`${documentUrl(each.path)}&wait=${watched.size === 1 ? 5 : 0}`);
        const same = !each.etag || found.etag === each.etag.replaceAll('"', "");
        if (same && FINAL.includes(found.status)) {
          Object.assign(each, { state: found.status, reason: found.reason?.message || found.notice?.message || "" });
          say(`${each.path}: ${found.status}.`);
          watched.delete(each);
          changed(true);
        }
      } catch (error) {
        if (error.status === 404) continue; // deleted, or its event has not come yet
        Object.assign(each, { state: "failed", reason: error.message });
        watched.delete(each);
      }
    }
    changed();
    await pause(700);
  }
  watching = false;
}

async function remove(path, refresh) {
  if (!await agreed("Delete this document?", `${path}, and everything that was made from it.`, "Delete")) return;
  const asked_at = new Date(Date.now() - 5000).toISOString();
  const state = h("p", { role: "status" }, "Deleting …");
  dialog("Deleting", h("p", { dir: "auto" }, path), state);
  try {
    await send("DELETE", documentUrl(path));
    refresh();
    while (find("dialog").open) {
      const { receipts } = await get(`api/receipts?path=${encodeURIComponent(path)}`);
      const receipt = receipts.find((each) => each.requested_at >= asked_at && each.complete) || (receipts[0]?.complete ? receipts[0] : null);
      if (receipt) { showReceipt(receipt); refresh(); return; }
      await pause(700);
    }
  } catch (error) { state.textContent = error.message; state.className = "error"; }
}

function showReceipt(receipt) {
  dialog("Receipt", h("p", { dir: "auto" }, `${receipt.path} was deleted.`), h("p", {}, receipt.complete ? "✓ Everything that was made from it is gone; each part was looked up." : "Not all of it is gone yet; the app tries again."),
    table("What was deleted", ["What", "Id", "Gone"], receipt.removed.map((each) => h("tr", {}, h("td", {}, each.kind.replaceAll("_", " ")), h("td", {}, h("code", {}, each.id)), h("td", {}, each.gone ? "yes" : "not yet")))),
    h("p", { class: "quiet" }, "Receipt ", h("code", {}, receipt.id), ", ", time(receipt.removed_at)));
}

export async function show(view) {
  const mine = {}; // what this view shows; a later view has its own
  view.current = mine;
  const into = h("input", { type: "text", placeholder: "Collection (optional)", "aria-label": "Collection for new files" });
  const files = h("input", { type: "file", multiple: true, hidden: true });
  const folder = h("input", { type: "file", webkitdirectory: true, hidden: true });
  const take = (list) => enqueue([...list].map((file) => ({ path: file.webkitRelativePath || file.name, file })), into.value.trim());
  for (const input of [files, folder]) input.addEventListener("change", () => { take(input.files); input.value = ""; });
  const zone = h("section", { class: "drop", "aria-label": "Add documents",
    ondragover: (event) => { event.preventDefault(); zone.classList.add("over"); }, ondragleave: () => zone.classList.remove("over"),
    ondrop: async (event) => { event.preventDefault(); zone.classList.remove("over"); enqueue(await dropped(event.dataTransfer), into.value.trim()); } },
  h("p", {}, "Drop files or a folder here"), h("div", { class: "row" }, button("Choose files", () => files.click()), button("Choose a folder", () => folder.click()), into, files, folder));
  const uploads = h("ul", { class: "uploads", tabindex: "0", "aria-label": "Uploads", hidden: !queue.length });
  const search = h("input", { type: "search", placeholder: "Search by name", "aria-label": "Search by name", oninput: () => { shown = SHOWN; draw(); } });
  const filter = h("select", { "aria-label": "Status", onchange: () => load() }, h("option", { value: "" }, "All"), STATUSES.map((each) => h("option", { value: each }, each)));
  const rows = h("tbody"), count = h("p", { class: "quiet" }), more = button("Show more", () => { shown += SHOWN; draw(); });
  const fault = h("p", { class: "error", role: "alert" });
  let documents = [], shown = SHOWN, newest = 0, loading = false, later = 0, seen = ""; // `seen`: the documents of the last rows, as JSON

  const found = () => documents.filter((each) => each.path.toLowerCase().includes(search.value.trim().toLowerCase()));
  const tally = () => {
    const many = found().length;
    count.textContent = `${many.toLocaleString()} document${many === 1 ? "" : "s"}${loading ? ", loading …" : ""}`;
    more.hidden = many <= shown;
  };
  const draw = () => {
    rows.replaceChildren(...found().slice(0, shown).map((each) => h("tr", { "data-path": each.path },
      h("td", {}, button(h("bdi", {}, each.path), () => open(each.path), { class: "link" }), each.reason ? h("p", { class: "quiet", dir: "auto" }, each.reason.message) : null, each.notice ? h("p", { class: "quiet", dir: "auto" }, each.notice.message) : null),
      h("td", {}, status(each.status)), h("td", {}, bytes(each.size_bytes)), h("td", {}, time(each.updated_at)),
      h("td", {}, h("div", { class: "row" }, ["failed", "unsupported"].includes(each.status) ? button("Retry", () => retry(each.path), { "aria-label": `Retry ${each.path}` }) : null,
        button("Delete", () => remove(each.path, load), { "aria-label": `Delete ${each.path}` }))))));
    tally();
  };
  const retry = async (path) => {
    try { await send("POST", documentUrl(path)); say(`${path} is indexed again.`); await load(); } catch (error) { fault.textContent = error.message; }
  };
  const load = async () => {
    const mark = ++newest, begun_ms = Date.now();
    clearTimeout(later);
    loading = true;
    fault.textContent = "";
    const fresh = [];
    try {
      for await (const page of pages(`api/documents?limit=1000${filter.value ? `&status=${filter.value}` : ""}`, "documents")) {
        if (mark !== newest || view.current !== mine) return; // a later request shows more
        fresh.push(...page);
        if (fresh.length > documents.length) { documents = fresh; seen = ""; draw(); }
      }
      loading = false;
      documents = fresh;
      const text = JSON.stringify(fresh);
      if (text === seen) tally(); else draw(); // rows that are drawn again lose the focus
      seen = text;
      hint.hidden = documents.length > 0 || Boolean(filter.value) || queue.length > 0;
    } catch (error) {
      if (mark !== newest || view.current !== mine) return;
      loading = false;
      tally();
      fault.textContent = error.message;
    }
    if (documents.some((each) => !FINAL.includes(each.status))) later = setTimeout(() => view.current === mine && load(), Math.max(LOOK_AGAIN_MS, 5 * (Date.now() - begun_ms)));
  };
  const hint = h("p", { hidden: true, class: "row empty" }, "There is no document yet. ", button("Add the samples", async (event) => { event.target.disabled = true; await addSamples(); hint.hidden = true; do { await pause(1000); await load(); } while (!documents.length && view.current === mine); }));
  let drawn = 0;
  changed = (final) => {
    if (view.current !== mine) return;
    if (final) load();
    if (drawn) return;
    drawn = setTimeout(() => { // a hundred files report progress at once
      drawn = 0;
      uploads.hidden = !queue.length;
      uploads.replaceChildren(...queue.slice(-SHOWN).reverse().map((item) => h("li", {}, h("bdi", {}, item.path), " ", status(item.state),
        item.state === "uploading" ? [h("progress", { value: item.share, max: 1, "aria-label": `Upload of ${item.path}` }), ` ${bytes(Math.round(item.share * item.file.size))} of ${bytes(item.file.size)}`] : null,
        item.state === "failed" ? button("Try again", () => { Object.assign(item, { state: "waiting", reason: "" }); work(); }) : null,
        item.reason ? h("span", { class: "quiet", dir: "auto" }, item.reason) : null)));
    }, 100);
  };
  view.replaceChildren(h("h1", {}, "Documents"), zone, uploads, hint, h("div", { class: "row" }, search, filter, button("Refresh", load), count), fault,
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Documents" }, h("table", {}, h("thead", {}, h("tr", {}, ["Name", "Status", "Size", "Changed", ""].map((each) => h("th", { scope: "col" }, each || h("span", { class: "hidden" }, "Actions"))))), rows)), more);
  changed();
  await load();
}
