// Threads as this browser remembers them: the API keeps their messages, but has no list of them.
const KEY = "threads";
const MOST = 200;

export function all() {
  try { return JSON.parse(localStorage.getItem(KEY)) || []; } catch { return []; }
}

function keep(threads) {
  try { localStorage.setItem(KEY, JSON.stringify(threads.slice(0, MOST))); } catch { /* no room, or not allowed: nothing is remembered */ }
}

export const one = (id) => all().find((thread) => thread.id === id);

export function change(id, change) {
  const known = one(id) || { id, title: "", runs: {} };
  keep([{ ...known, ...change(known) }, ...all().filter((thread) => thread.id !== id)]);
}

export function remember(run) {
  change(run.thread_id, (thread) => ({
    title: thread.title || run.question.slice(0, 80), collection: run.collection,
    runs: { ...thread.runs, [run.id]: { day: (run.finished_at || run.created_at).slice(0, 10), usd: run.cost?.usd || 0, tokens: run.usage?.total_tokens || 0 } },
  }));
}

export const rename = (id, title) => change(id, () => ({ title }));
export const forget = (id) => keep(all().filter((thread) => thread.id !== id));

const sum = (runs) => runs.reduce((total, run) => ({ usd: total.usd + run.usd, tokens: total.tokens + run.tokens }), { usd: 0, tokens: 0 });
export const spent = (id) => sum(Object.values(one(id)?.runs || {}));
export const today = () => sum(all().flatMap((thread) => Object.values(thread.runs)).filter((run) => run.day === new Date().toISOString().slice(0, 10)));
