// Elements are built here and nowhere else. Text is always set as text, never as HTML: it may come from anyone.

/** h("p", {class: "x", onclick: f}, "text", child, [children]): null and false children are left out. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (["value", "checked", "disabled", "hidden"].includes(name)) element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(9).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** What makes a part that scrolls reachable by keyboard; `label` tells a screen reader what it is. */
export const scrolling = (label) => ({ tabindex: "0", role: "region", "aria-label": label });

export const find = (id) => document.getElementById(id);
export const button = (text, onclick, more = {}) => h("button", { type: "button", onclick, ...more }, text);

/** Tell a screen reader; sighted people see it, too, at the foot of the page. */
export function say(text) {
  find("said").textContent = text;
}

export function dialog(title, ...content) {
  const element = find("dialog");
  const close = () => element.close();
  element.replaceChildren(
    h("div", { class: "bar" }, h("h2", { id: "dialog-title", dir: "auto" }, title), button("Close", close)), ...content.flat(9).filter(Boolean),
  );
  if (!element.open) element.showModal();
  return close;
}

/** A question with two buttons; resolves to whether the user agreed. */
export function agreed(title, text, word) {
  return new Promise((resolve) => {
    let answer = false;
    const close = dialog(title, h("p", { dir: "auto" }, text), h("div", { class: "row" },
      button(word, () => { answer = true; close(); }, { class: "danger", autofocus: true }), button("Keep", () => close())));
    find("dialog").addEventListener("close", () => resolve(answer), { once: true });
  });
}

export function save(blob, name) {
  const url = URL.createObjectURL(blob);
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

export const bytes = (n) => n < 1000 ? `${n} B` : n < 1e6 ? `${(n / 1e3).toFixed(1)} kB` : n < 1e9 ? `${(n / 1e6).toFixed(1)} MB` : `${(n / 1e9).toFixed(2)} GB`;
export const usd = (n) => n === null || n === undefined ? "–" : `${n < 0.01 ? n.toFixed(4) : n.toFixed(2)} USD`;
const shownTime = new Intl.DateTimeFormat(undefined, { dateStyle: "short", timeStyle: "medium" }); // making one is slow
export const time = (text) => { const at = new Date(text ?? NaN); return isNaN(at) ? "–" : h("time", { datetime: text }, shownTime.format(at)); };
export const status = (text) => h("span", { class: `status ${text}` }, text.replace("_", " "));
export const table = (caption, heads, rows) => h("div", { class: "scroll", ...scrolling(caption) }, h("table", {},
  h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))), h("tbody", {}, rows)));
