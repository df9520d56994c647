// Which view is shown: the part behind # in the address.
import { askForKey } from "./api.js";
import { show as ask } from "./ask.js";
import { find, h, say } from "./dom.js";
import { show as documents } from "./documents.js";
import { collections, health, runs } from "./operations.js";

const VIEWS = { ask, documents, runs, collections, health };

async function go() {
  const [name, ...rest] = location.hash.slice(1).split("/");
  const chosen = VIEWS[name] ? name : "ask";
  for (const link of document.querySelectorAll("header nav a")) {
    if (link.hash === `#${chosen}`) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
  }
  const view = h("main", { id: "view", tabindex: "-1", class: chosen });
  say("");
  find("view").replaceWith(view); // a view that still loads writes into its own, old element
  document.title = `${chosen[0].toUpperCase()}${chosen.slice(1)} – Assistant Functions`;
  try {
    await VIEWS[chosen](view, rest);
  } catch (error) {
    view.append(h("p", { class: "error", role: "alert" }, error.message));
  }
}

find("key").addEventListener("click", async () => { await askForKey(false); go(); });
document.addEventListener("dragover", (event) => event.preventDefault()); // a file beside the zone must not replace the page
document.addEventListener("drop", (event) => event.preventDefault());
addEventListener("hashchange", go);
go();
