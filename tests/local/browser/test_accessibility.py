"""The page for everybody: what axe finds, text from right to left, long lists.

The page is the real one; its answers are forged, so that every state can be shown at once.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from local.stack.stack import Stack
from tests.local.browser.attacker import CHROMIUM
from tests.local.browser.axe import AXE, serious_faults
from tests.local.browser.chromium import Page
from tests.long import long_but

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium on PATH (Debian: apt install chromium)"),
]
with_axe = pytest.mark.skipif(not AXE.exists(), reason="axe-core is missing: `python -m tests.local.browser.axe`")

RUN_ID = "run_000000000000000000000000"
TIME = "2026-01-01T00:00:00Z"
STATUSES = ("pending", "indexing", "indexed", "failed", "unsupported", "removing")
LONG = "x = 1\n" * 60  # it scrolls
TABLE = "| a | b |\n|--|--|\n| 1 | 2 |"
ANSWER = f"# Thresholds\n\nWarn at **800 ms**.\n\n{TABLE}\n\n```\n{LONG}```\n\n> A quote\n\n1. x\n"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
STEPS = [
    {"type": "file_search", "status": "completed", "queries": ["thresholds"]},
    {"type": "code_interpreter", "status": "failed", "code": LONG, "output": LONG},
]
RUN: dict[str, Any] = {
    "id": RUN_ID,
    "thread_id": "thread_000000000000000000000000",
    "status": "completed",
    "question": "What are the thresholds?",
    "collection": "default",
    "created_at": TIME,
    "finished_at": TIME,
    "timings": {"total_ms": 1000},
    "answer": ANSWER,
    "markdown": ANSWER,
    "citations": [
        {"n": 1, "document": "a.md", "quote": f"Warn at 800 ms {LONG}", "position": 20, "page": 4, "verified": True},
        {"n": 2, "document": "b.md", "quote": "Nothing", "position": 30, "section": "2", "verified": False},
    ],
    "charts": [{"n": 1, "filename": "chart.png"}],
    "notes": ["One chart is missing."],
    "steps": STEPS,
    "calls": [],
    "usage": {"total_tokens": 1234},
    "cost": {"usd": 0.01},
    "error": None,
}
WAITING = {
    **RUN,
    "id": "run_000000000000000000000001",
    "status": "requires_action",
    "finished_at": None,
    "answer": None,
    "calls": [{"call_id": "c", "name": "get_weather", "arguments": '{"city": "Oslo"}'}],
}
FAILED = {
    **RUN,
    "id": "run_000000000000000000000002",
    "status": "failed",
    "answer": None,
    "charts": [],
    "citations": [],
}
FAILED |= {"error": {"code": "x", "message": "The service is busy."}}
FORGE = """
(runs, answers, pixel) => {
  const png = Uint8Array.from(atob(pixel), (each) => each.charCodeAt(0));
  const real = window.fetch;
  window.fetch = async (url, options) => {
    const path = String(url);
    if (path.includes("/charts/")) return new Response(png, {headers: {"Content-Type": "image/png"}});
    if (path.includes("/content")) return new Response("Warn at 800 ms.\\n".repeat(900),
      {headers: {"Content-Type": "text/plain"}});
    const run = runs.find((each) => path.includes(each.id));
    if (run) return new Response(JSON.stringify(run), {status: run.finished_at ? 200 : 202});
    for (const [start, answer] of Object.entries(answers)) {
      if (!path.includes(start)) continue;
      const cursor = Number(new URL(path, location).searchParams.get("cursor") || 0);
      return new Response(JSON.stringify(Array.isArray(answer) ? answer[cursor] : answer));
    }
    return real(url, options);
  };
}
"""


def document(path: str, status: str) -> dict[str, Any]:
    bad = {"code": "x", "message": "It has a password."} if status in ("failed", "unsupported") else None
    size = {"size_bytes": 1000, "etag": "x", "updated_at": TIME, "collection": "default"}
    return {"path": path, "status": status, "reason": bad, "notice": None, **size}


def answers(runs: list[dict[str, Any]], documents: list[dict[str, Any]]) -> dict[str, Any]:
    """What the forged API answers, by a part of the path; the pages of a listing are a list."""
    pages = [documents[at : at + 1000] for at in range(0, len(documents), 1000)] or [[]]
    listed = [
        {"documents": page, "cursor": str(number) if number < len(pages) else None}
        for number, page in enumerate(pages, start=1)
    ]
    messages = [{"role": "user", "text": run["question"], "run_id": run["id"]} for run in runs]
    collection = {"name": "default", "documents": 2, "statuses": {"indexed": 1, "failed": 1}, "size_bytes": 1000}
    collection |= {"usage_bytes": 10, "missing_stores": ["vs_1"], "cost_usd_per_day": 0.1}
    checks = [{"name": each, "ok": each == "a", "detail": "It works.", "took_ms": 1} for each in "ab"]
    return {
        "/messages": {"messages": messages},
        "api/threads/": {"active_run_id": None},
        "api/runs": {"runs": runs, "cursor": "more"},
        "api/documents?limit": listed,
        "api/collections": [
            {"collections": [collection | {"name": f"c{number}-{n}"} for n in range(50)], "cursor": cursor}
            for number, cursor in enumerate(("1", "2", None))
        ],
        "api/health": {"status": "failed", "version": "1", "checks": checks},
    }


async def forge(page: Page, stack: Stack, forged: dict[str, Any], runs: list[dict[str, Any]]) -> None:
    """Open the page and forge what it gets from now on."""
    await page.open(f"{stack.app_url}/#ask")
    await page.until("document.querySelector('form.question')")
    await page.run(f"({FORGE})({json.dumps(runs)}, {json.dumps(forged)}, '{PIXEL}')")


async def go(page: Page, view: str, shown: str) -> None:
    """Go to a view, and wait for an element of it."""
    await page.run(f"location.hash = {json.dumps(view)}")
    await page.until(f"document.querySelector({json.dumps(shown)})")


@with_axe
@pytest.mark.parametrize("scheme", long_but(["light", "dark"], "dark"))
@pytest.mark.parametrize(("width", "phone"), [(1200, False), (360, True)], ids=["desktop", "phone"])
async def test_axe_finds_nothing_serious(stack: Stack, page: Page, scheme: str, width: int, phone: bool) -> None:
    """In every view and dialog, with every state of documents and runs."""
    await page.size(width, 800, phone=phone)
    await page.scheme(scheme)
    runs = [RUN, FAILED, WAITING]
    await forge(page, stack, answers(runs, [document(f"{each}.md", each) for each in STATUSES]), runs)
    found: dict[str, list[str]] = {}

    async def look(name: str) -> None:
        found[name] = await serious_faults(page)

    await go(page, f"ask/{RUN['thread_id']}", ".action textarea")
    await page.until("document.querySelector('figure button') && document.querySelector('.sources')")
    await page.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    await look("ask")
    await page.run("document.querySelector('article button.cite').click()")
    await page.until("document.querySelector('dialog pre.page')")
    await look("citation")
    await page.click("Close")
    await go(page, "documents", "tbody tr:nth-child(6)")
    await page.run("""(() => { const many = new DataTransfer(); for (let n = 0; n < 30; n += 1)
        many.items.add(new File([], `${n}.md`)); const input = document.querySelector('input[type=file]');
        input.files = many.files; input.dispatchEvent(new Event('change')); })()""")
    await page.until("document.querySelectorAll('.uploads .failed').length === 30")
    await look("documents")
    await page.click("Delete failed.md")
    await look("delete")
    await page.click("Keep")
    for view in ("runs", "collections", "health"):
        await go(page, view, f"main.{view} tbody tr")
        await look(view)
    await page.run("import('/api.js').then((api) => { api.askForKey(true); })")
    await page.until("document.querySelector('dialog[open] input')")
    await look("key")
    assert found == {name: [] for name in found}
    assert len(found) == 8


@with_axe
async def test_axe_finds_a_planted_fault(stack: Stack, page: Page) -> None:
    """It runs at all."""
    await page.open(f"{stack.app_url}/#health")
    await page.until("document.querySelector('table')")
    await page.run("document.querySelector('main').append(document.createElement('button'))")
    assert [fault.split(":")[0] for fault in await serious_faults(page)] == ["button-name"]


ARABIC = "ما هي حدود التنبيه؟"
HEBREW = "הסף הוא 800 ms."


async def test_text_from_right_to_left(stack: Stack, page: Page) -> None:
    """Each text has its own direction, whatever that of the page is; a name does not turn what stands beside it."""
    run = {
        **RUN,
        "question": ARABIC,
        "answer": HEBREW,
        "citations": [{**RUN["citations"][0], "document": f"{ARABIC}.md"}],
    }
    await forge(page, stack, answers([run], [document(f"{ARABIC}.md", "failed")]), [run])
    await go(page, f"ask/{RUN['thread_id']}", ".sources")
    direction = "getComputedStyle(document.querySelector({})).direction"
    for selector, expected in (("article h2", "rtl"), (".answer", "rtl"), ("header", "ltr")):
        assert await page.run(direction.format(json.dumps(selector))) == expected, selector
    await page.type("form.question textarea", ARABIC)
    assert await page.run(direction.format("'form.question textarea'")) == "rtl"
    assert await page.run("getComputedStyle(document.querySelector('.sources bdi')).unicodeBidi") == "isolate"
    await go(page, "documents", "tbody tr bdi")
    assert await page.run(direction.format("'tbody tr bdi'")) == "rtl"
    assert await page.run(direction.format("'tbody tr td'")) == "ltr"


OUTSIDE = """
[...document.querySelectorAll("body *")].filter((each) => {
  const place = each.getBoundingClientRect();
  const scrolls = each.closest(".scroll, nav, .skip, .hidden, pre");
  return each.checkVisibility() && !scrolls && (place.left < -1 || place.right > innerWidth + 1);
}).map((each) => each.outerHTML.slice(0, 200))
"""


@pytest.mark.parametrize("width", [1200, 360])
async def test_the_layout_from_right_to_left(stack: Stack, page: Page, width: int) -> None:
    """Nothing leaves the window, and what begins at the left begins at the right."""
    await page.size(width, 800, phone=width < 500)
    runs = [RUN, FAILED, WAITING]
    await forge(page, stack, answers(runs, [document(f"{each}.md", each) for each in STATUSES]), runs)
    await page.run("document.documentElement.dir = 'rtl'")
    views = {f"ask/{RUN['thread_id']}": ".sources", "documents": "tbody tr", "runs": "main.runs tbody tr"}
    for view, shown in views.items():
        await go(page, view, shown)
        assert await page.run(OUTSIDE) == [], view
        assert await page.run("document.documentElement.scrollWidth") <= width, view
        left = "document.querySelector('header strong').getBoundingClientRect()"
        assert await page.run(f"innerWidth - {left}.right") < 100
    assert await page.run("getComputedStyle(document.querySelector('th')).textAlign") == "start"


async def test_a_wide_table_scrolls_alone(stack: Stack, page: Page) -> None:
    """Not the page, as it would if something in the table were placed relative to the page."""
    await page.size(360, 800, phone=True)
    await forge(page, stack, answers([RUN], [document(f"{'wide' * 9}.md", "unsupported")]), [RUN])
    await go(page, "documents", "tbody tr")
    assert await page.run("document.querySelector('main .scroll').scrollWidth") > 360
    assert await page.run("document.documentElement.scrollWidth") <= 360


async def test_five_thousand_documents(stack: Stack, page: Page) -> None:
    """The page holds all of them and shows a part: what is in the document does not grow with the list."""
    documents = [document(f"docs/report-{number:04}.md", "indexed") for number in range(5000)]
    await forge(page, stack, answers([RUN], documents), [RUN])
    await page.run(
        "new MutationObserver(() => { window.most = Math.max(window.most ?? 0, "
        "document.querySelectorAll('tbody tr').length); }).observe(document.body, {childList: true, subtree: true})"
    )
    await go(page, "documents", "tbody tr")
    await page.until(
        "document.querySelector('main').innerText.includes('5,000 documents') && "
        "!document.querySelector('main').innerText.includes('loading')"
    )
    rows = "document.querySelectorAll('tbody tr').length"
    assert await page.run(rows) == 100
    await page.type("input[type=search]", "report-4321")
    await page.until(f"{rows} === 1")
    assert "docs/report-4321.md" in await page.run("document.querySelector('tbody').innerText")
    await page.run("document.querySelector('input[type=search]').select()")
    await page.type("input[type=search]", "report")
    await page.until(f"{rows} === 100")
    assert await page.run("window.most") <= 100
    await page.click("Show more")
    await page.until(f"{rows} === 200")
    assert await page.run("document.querySelectorAll('*').length") < 10_000


async def test_thousands_of_collections_come_in_pages(stack: Stack, page: Page) -> None:
    await forge(page, stack, answers([RUN], []), [RUN])
    await go(page, "collections", "main.collections tbody tr")
    rows = "document.querySelectorAll('tbody tr').length"
    for shown in (50, 100, 150):
        await page.until(f"{rows} === {shown}")
        if shown < 150:
            await page.click("More collections")
    await page.until("document.querySelector('main > button').hidden")
    assert "c2-49" in await page.run("document.querySelector('tbody').innerText")
