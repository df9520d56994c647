"""How soon the page can be used, and whether long lists make it stutter: `python -m bench.page [--json FILE]`.

It needs Chromium (Debian: apt install chromium). A load is measured from the navigation on, within the page itself.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.common.figures import Figure
from bench.common.stacks import fresh_stack
from tests.local.browser.attacker import CHROMIUM
from tests.local.browser.chromium import chromium

LOADS = 15
LISTS = 7
DOCUMENTS = 5000
MEASURE = """
window.measured = {longest_task: 0};
const note = (name) => { measured[name] ??= performance.now(); };
new MutationObserver(() => {
  if (document.querySelector("form.question textarea")) note("interactive");
  if ([...document.querySelectorAll("main p.quiet")].some((each) => each.textContent === "DOCUMENTS documents"))
    note("listed");
}).observe(document, {childList: true, subtree: true, characterData: true});
new PerformanceObserver((list) => {
  for (const task of list.getEntries()) measured.longest_task = Math.max(measured.longest_task, task.duration);
}).observe({type: "longtask", buffered: true});
""".replace("DOCUMENTS", f"{DOCUMENTS:,}")
FORGE = """
(() => {
  const real = window.fetch, size = 1000;
  const one = (n) => ({path: `docs/report-${String(n).padStart(5, "0")}.md`, collection: "docs", status: "indexed",
    size_bytes: 1000, etag: "x", reason: null, notice: null, updated_at: "2026-01-01T00:00:00Z"});
  window.fetch = async (url, options) => {
    const asked = new URL(url, location);
    if (asked.pathname !== "/api/documents") return real(url, options);
    const page = Number(asked.searchParams.get("cursor") || 0);
    const documents = Array.from({length: size}, (_, n) => one(page * size + n));
    return new Response(JSON.stringify({documents, cursor: (page + 1) * size < COUNT ? String(page + 1) : null}));
  };
})();
""".replace("COUNT", str(DOCUMENTS))
SEARCHED = """
(async () => {
  const box = document.querySelector("input[type=search]");
  measured.longest_task = 0;
  const start = performance.now();
  for (const text of ["r", "re", "rep", "report-04", "report-0432", ""]) {
    box.value = text;
    box.dispatchEvent(new Event("input"));
    await new Promise(requestAnimationFrame);
  }
  return (performance.now() - start) / 6;
})()
"""
PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
SENT = """
["resource", "navigation"].flatMap((kind) => performance.getEntriesByType(kind))
  .reduce((sum, each) => sum + each.transferSize, 0) / 1000
"""


@dataclass(frozen=True, kw_only=True)
class JudgedFigure(Figure):
    """A figure whose median should be below a target."""

    target: float


async def measured(app: str) -> list[JudgedFigure]:
    first: list[float] = []
    again: list[float] = []
    painted, sent = [], []
    for _ in range(LOADS):
        async with chromium() as page:
            await page.call("Page.addScriptToEvaluateOnNewDocument", source=MEASURE)
            for times in (first, again):
                await page.open(f"{app}/#ask")
                times.append(await page.until("window.measured?.interactive"))
                if times is first:
                    painted.append(await page.until(PAINTED))
                    sent.append(await page.run(SENT))
                await page.call("Page.navigate", url="about:blank")
                await page.until("location.href === 'about:blank'")
    return [
        JudgedFigure(name="first load, until a question can be typed", unit="ms", values=first, target=1000),
        JudgedFigure(name="first load, until something is drawn", unit="ms", values=painted, target=1000),
        JudgedFigure(name="another load", unit="ms", values=again, target=1000),
        JudgedFigure(name="bytes of the first load", unit="kB", values=sent, target=150),
    ]


async def lists(app: str) -> list[JudgedFigure]:
    listed, longest, searched = [], [], []
    for _ in range(LISTS):
        async with chromium() as page:
            for script in (MEASURE, FORGE):
                await page.call("Page.addScriptToEvaluateOnNewDocument", source=script)
            await page.open(f"{app}/#documents")
            listed.append(await page.until("window.measured?.listed"))
            longest.append(await page.run("measured.longest_task"))
            searched.append(await page.run(SEARCHED))
    count = f"{DOCUMENTS:,} documents"
    return [
        JudgedFigure(name=f"{count}, until all are listed", unit="ms", values=listed, target=2000),
        JudgedFigure(name=f"{count}, longest task", unit="ms", values=longest, target=200),
        JudgedFigure(name=f"{count}, a letter typed in the search", unit="ms", values=searched, target=100),
    ]


async def all_of(app: str) -> list[JudgedFigure]:
    return [*await measured(app), *await lists(app)]


def show(figures: Sequence[JudgedFigure]) -> None:
    table = Table(title="The page", title_justify="left")
    for heading in ("what", "p50", "p95", "max", "target"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    for figure in figures:
        found = figure.percentiles
        values = (f"{value:.0f} {figure.unit}" for value in (found.p50, found.p95, found.max))
        table.add_row(figure.name, *values, f"< {figure.target:.0f}")
    Console(width=110).print(table)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if not CHROMIUM:
        sys.stdout.write("The page is not measured: there is no Chromium on PATH (Debian: apt install chromium).\n")
        return 0
    with fresh_stack() as (stack, _):
        figures = asyncio.run(all_of(stack.app_url))
    show(figures)
    if options.json:
        options.json.write_text(json.dumps([asdict(f) | {"percentiles": asdict(f.percentiles)} for f in figures]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
