"""The console in a real Chromium, on the processes of the local stack."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from local.paths import ROOT
from local.stack.stack import Options, Stack
from tests.forked import forked
from tests.local.browser.attacker import CHROMIUM
from tests.local.browser.chromium import Page, tab

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium on PATH (Debian: apt install chromium)")

SAMPLES = ROOT / "samples"
ASK_BOX = "form.question textarea"
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
EVIL = (
    "<script>attacked('script')</script><img src=x onerror=\"attacked('img')\"><svg onload=\"attacked('svg')\"></svg>"
    "<a href=\"javascript:attacked('link')\">x</a>"
    "<iframe srcdoc=\"<script>parent.attacked('frame')</script>\"></iframe>"
    "<form action=http://evil.example><button formaction=http://evil.example>x</button></form><style>*{display:none}"
    '</style><details open ontoggle="attacked(\'toggle\')">x</details><math><mi//xlink:href="data:x,<script>"></math>'
)
EVIL_MARKDOWN = (
    f"{EVIL}\n\n[x](javascript:attacked('md')) ![x](http://evil.example/pixel.png) <http://evil.example/auto>\n\n"
    "[x]: http://evil.example 'x'\n\n```html\n" + EVIL + "\n```\n\n| a | b |\n|--|--|\n| " + EVIL + " | x |\n"
)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("console")
    with forked(Stack(Options(data=folder / "data", logs=folder / "logs"), environ=dict(os.environ))) as stack:
        yield stack.app_url


@pytest.fixture
async def page(app: str, devtools: str) -> AsyncIterator[Page]:
    async with tab(devtools) as page:
        await page.size(1200, 800)
        yield page
        assert page.problems == []
        outside = [url for url in page.requested if urlsplit(url).scheme == "http" and not url.startswith(app)]
        assert outside == []


async def add(page: Page, app: str, *files: Path) -> None:
    await page.open(f"{app}/#documents")
    await page.until("document.querySelector('.drop')")
    await page.choose_files("input[type=file]", list(files))
    await page.until(f"document.querySelectorAll('.uploads .indexed').length === {len(files)}")


async def ask(page: Page, question: str) -> None:
    await page.type(ASK_BOX, question)
    await page.press("Enter", code=13)


async def test_the_main_job(app: str, page: Page) -> None:
    """Drop, watch, ask, look at citation and chart, open the cited page, go on, delete, and see the receipt."""
    await add(page, app, *(SAMPLES / name for name in ("monitoring-guide.pdf", "monthly-metrics.csv")))
    await page.until("document.querySelectorAll('tbody .indexed').length === 2")
    await page.click("Ask", within="header")
    await ask(page, "What are the recommended alert thresholds for HTTP monitoring?")
    await page.until("document.querySelector('article .sources')")
    assert "800 ms" in await page.run("document.querySelector('article .answer').innerText")
    assert "page 4" in await page.run("document.querySelector('article .sources').innerText")
    await page.run("document.querySelector('article button.cite').click()")
    assert (await page.until("document.querySelector('dialog iframe')?.src")).endswith("#page=4&view=FitH&navpanes=0")
    assert "✓ The quote stands" in await page.run("document.querySelector('dialog').innerText")
    assert "800 ms" in await page.until("document.querySelector('dialog pre mark')?.textContent")
    await page.click("Close")
    await ask(page, "Plot the requests per month as a chart.")
    await page.until("document.querySelector('figure img')?.naturalWidth > 100")
    assert await page.run("document.querySelectorAll('aside .threads li').length") == 1
    assert await page.run("[...document.querySelectorAll('.how pre')].some((e) => e.textContent.includes('import'))")
    await page.reload()  # the thread is remembered, with all its answers
    await page.until("document.querySelectorAll('article[aria-busy=false]').length === 2")
    await page.open(f"{app}/#documents")
    await page.click("Delete monthly-metrics.csv")
    await page.click("Delete", within="dialog")
    receipt = await page.until("document.querySelector('dialog table')?.innerText")
    assert "not yet" not in receipt
    await page.click("Close")
    await page.until("document.querySelectorAll('main tbody tr').length === 1")


LATE = """(() => { const real = window.fetch; let first = true; window.fetch = async (url, options) => {
  const answer = await real(url, options);
  if (!first || !String(url).includes("api/documents?limit")) return answer;
  first = false;
  const page = await answer.json();
  page.documents.forEach((each) => { each.status = "removing"; });
  return new Response(JSON.stringify(page), {status: 200});
}; })()"""


async def test_the_list_looks_again_while_something_is_under_way(app: str, page: Page, tmp_path: Path) -> None:
    """The first answer says so; nothing is clicked after it."""
    (tmp_path / "slow.md").write_text("# Slow\n\nSome words.\n")
    await add(page, app, tmp_path / "slow.md")
    row = "tr[data-path=\\'slow.md\\']"
    await page.until(f"document.querySelector('{row} .indexed')")
    await page.run(LATE)
    await page.click("Refresh")
    await page.until(f"document.querySelector('{row} .removing')")
    await page.until(f"document.querySelector('{row} .indexed')")


async def test_a_folder_and_a_file_are_dropped(app: str, page: Page, tmp_path: Path) -> None:
    """The documents have the names that they have in the folder; what systems leave in folders is not uploaded."""
    folder, beside = tmp_path / "dropped", tmp_path / "beside.md"
    (folder / "deep").mkdir(parents=True)
    for file in (folder / "a.md", folder / "deep" / "b.md", folder / "Thumbs.db", beside):
        file.write_text("# Words\n\nSome words.\n")
    await page.open(f"{app}/#documents")
    await page.until("document.querySelector('.drop')")
    await page.drop(".drop", [folder, beside])
    await page.until("document.querySelectorAll('.uploads .indexed').length === 3")
    names = await page.run("[...document.querySelectorAll('.uploads bdi')].map((e) => e.textContent)")
    assert sorted(names) == ["beside.md", "dropped/a.md", "dropped/deep/b.md"]


async def test_text_is_shown_with_the_quote_marked(app: str, page: Page, tmp_path: Path) -> None:
    note = tmp_path / "door.md"
    note.write_text(
        "# Doors\n\n" + "Nothing of interest stands here.\n" * 40 + "\nThe code of the\ngreen door is 4711.\n"
    )
    await add(page, app, note)
    await page.run(
        "import('/viewer.js').then((m) => m.open('door.md', {quote: 'code of the green door', verified: true}))"
    )
    assert await page.until("document.querySelector('mark')?.textContent") == "code of the\ngreen door"


async def test_cancel(app: str, page: Page) -> None:
    async with httpx2.AsyncClient(base_url=app, trust_env=False) as http:
        run = await waiting_run(http)
    await page.open(f"{app}/#ask/{run['thread_id']}")
    await page.click("Cancel", within="article")
    await page.until("document.querySelector('article[aria-busy=false] .error')?.innerText.includes('cancelled')")


async def test_a_function_that_waits_gets_its_form(app: str, page: Page) -> None:
    async with httpx2.AsyncClient(base_url=app, trust_env=False) as http:
        run = await waiting_run(http)
    await page.open(f"{app}/#ask/{run['thread_id']}")
    await page.type(".action textarea", '{"degrees": 21}')
    await page.click("Send the results")
    await page.until("document.querySelector('article[aria-busy=false] .answer')")


async def waiting_run(http: httpx2.AsyncClient) -> Any:
    tool = {"type": "function", "name": "get_weather", "description": "Weather of a city", "parameters": WEATHER}
    body = {"question": "Use get_weather for the weather in Oslo.", "tools": [tool]}
    run = (await http.post("/api/runs", json=body)).json()
    while run["status"] != "requires_action":
        run = (await http.get(f"/api/runs/{run['id']}?wait=30")).json()
        assert "finished_at" not in run, run
    return run


async def test_the_network_is_lost_and_comes_back(app: str, page: Page) -> None:
    await page.open(f"{app}/#documents")
    await page.until("document.querySelector('.drop')")
    await page.offline(True)
    await page.click("Refresh")
    await page.until("!document.getElementById('network').hidden")
    await page.offline(False)
    await page.until("document.getElementById('network').hidden")
    await page.until("document.body.innerText.includes('documents')")
    page.problems.clear()  # the browser logs the failed requests


async def test_a_run_outlives_the_network(app: str, page: Page) -> None:
    """What was typed for a run stays, and the run goes on without a reload."""
    async with httpx2.AsyncClient(base_url=app, trust_env=False) as http:
        run = await waiting_run(http)
    await page.open(f"{app}/#ask/{run['thread_id']}")
    await page.type(".action textarea", '{"degrees": 21}')
    await page.offline(True)
    await page.until("!document.getElementById('network').hidden")
    await page.offline(False)
    await page.until("document.getElementById('network').hidden")
    assert await page.run("document.querySelector('.action textarea').value") == '{"degrees": 21}'
    await page.click("Send the results")
    await page.until("document.querySelector('article[aria-busy=false] .answer')")
    page.problems.clear()  # the browser logs the failed requests


async def test_bad_files_are_refused_with_a_sentence(app: str, page: Page, tmp_path: Path) -> None:
    empty, large = tmp_path / "empty.md", tmp_path / "large.md"
    empty.write_bytes(b"")
    with large.open("wb") as file:
        file.truncate(600_000_000)
    await page.open(f"{app}/#documents")
    await page.until("document.querySelector('.drop')")
    await page.choose_files("input[type=file]", [empty, large])
    await page.until("document.querySelectorAll('.uploads .failed').length === 2")
    text = await page.run("document.querySelector('.uploads').innerText")
    assert "The file is empty" in text
    assert "The file has 600,000,000 bytes" in text


async def test_a_large_file_goes_to_storage(app: str, page: Page, tmp_path: Path) -> None:
    large = tmp_path / "large.zip"
    large.write_bytes(bytes(9 * 1024 * 1024))
    await page.open(f"{app}/#documents")
    await page.until("document.querySelector('.drop')")
    await page.choose_files("input[type=file]", [large])
    await page.until("document.querySelector('.uploads .unsupported')")
    sent = [url for url in page.requested if "sig=" in url]
    assert sent
    page.requested = [url for url in page.requested if url not in sent]


async def test_an_upload_shows_its_bytes(app: str, page: Page, tmp_path: Path) -> None:
    """Of each file, while it is sent: to the app, and to storage."""
    small, large = tmp_path / "small.zip", tmp_path / "large.zip"
    small.write_bytes(bytes(4 * 1024 * 1024))
    large.write_bytes(bytes(12 * 1024 * 1024))
    await page.open(f"{app}/#documents")
    await page.until("document.querySelector('.drop')")
    await page.run("""(() => { window.seen = {}; new MutationObserver(() => {
        for (const each of document.querySelectorAll('.uploads progress'))
            (seen[each.ariaLabel] ??= new Set()).add(each.value); })
        .observe(document.body, {childList: true, subtree: true}); })()""")
    await page.slow_upload(bytes_per_s=2_000_000)
    await page.choose_files("input[type=file]", [small, large])
    await page.until("document.querySelector('.uploads').innerText.includes(' of 12.6 MB')")
    await page.until("document.querySelectorAll('.uploads .unsupported').length === 2")
    for name in ("small.zip", "large.zip"):
        values = await page.run(f"[...seen['Upload of {name}']]")
        assert values == sorted(values)
        assert [value for value in values if 0 < value < 1], values
    page.requested = [url for url in page.requested if "sig=" not in url]


async def test_a_sign_in_that_has_ended_is_said(app: str, page: Page) -> None:
    """Behind Easy Auth: the platform answers with a redirect to its sign-in page, which the page does not follow."""
    await page.open(f"{app}/#health")
    await page.until("document.querySelector('table')")
    await page.run("""(() => { window.fetch = (url, options) => options.redirect === 'manual' ?
        Promise.resolve({type: 'opaqueredirect', status: 0, ok: false, headers: new Headers()})
        : Promise.reject(new TypeError('cross-origin')); location.hash = 'collections'; })()""")
    await page.until("document.querySelector('main .error')?.innerText.includes('You are signed out')")
    assert await page.run("document.getElementById('network').hidden")


FORGED = """
async (evil, markdown) => {
  window.attacked = (how) => { (window.attacks ??= []).push(how); };
  const run = {id: "run_" + "0".repeat(24), thread_id: evil, status: "completed", question: evil, collection: evil,
    created_at: "2026-01-01T00:00:00Z", finished_at: "2026-01-01T00:00:01Z", timings: {total_ms: 1}, answer: markdown,
    markdown, output: markdown, citations: [{n: 1, document: evil, quote: evil, position: 3, section: evil,
    verified: true}, {n: 2, document: evil, quote: evil, position: markdown.length, page: evil, verified: false}],
    charts: [{n: 1, filename: evil, url: "javascript:attacked('chart')"}], outputs: [], notes: [evil], error:
    {code: evil, message: evil}, cost: {usd: 0.1}, usage: {total_tokens: 1}, metadata: {[evil]: evil},
    steps: [{type: evil, status: evil.slice(0, 0) || "x", queries: [evil], name: evil, code: evil, output: evil}]};
  const page = {documents: [{path: evil, collection: evil, status: "failed", size_bytes: 1, etag: "x", updated_at: evil,
    reason: {message: evil, code: evil}, notice: {message: evil}}], runs: [{...run}], collections: [{name: evil,
    documents: 1, statuses: {failed: 1}, size_bytes: 1, usage_bytes: 1, missing_stores: [evil], cost_usd_per_day: 1}],
    receipts: [], checks: [{name: evil, ok: false, detail: evil, took_ms: 1}], status: "x", version: evil, cursor: null,
    places: [{page: evil, section: evil, text: evil}],
    messages: [{role: "user", text: evil, run_id: run.id}], active_run_id: null};
  window.fetch = async (url, options) => String(url).includes("/charts/") ?
    new Response(evil, {headers: {"Content-Type": "image/svg+xml"}}) : String(url).includes("/content") ?
    new Response(evil, {headers: {"Content-Type": "text/html"}}) :
    new Response(JSON.stringify(/runs\\/run_/.test(url) ? run : page), {status: 200});
  const {card} = await import("/answer.js");
  const made = card(run.id, evil);
  document.body.append(made);
  await made.ended;
  for (const view of ["documents", "runs", "collections", "health", "ask/thread_1"]) {
    location.hash = view;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  const viewer = await import("/viewer.js");
  await viewer.open("x.html", {quote: evil, document: evil, section: evil});
  await viewer.open("x.docx", {quote: "attacked", document: evil});
  document.body.append(made);
  await new Promise((resolve) => setTimeout(resolve, 300));
  const taken = ["href", "src", "action", "formaction", "srcdoc"];
  const acting = [...document.querySelectorAll("*")].filter((e) => [...e.attributes].some((a) => /^on/i.test(a.name) ||
    taken.includes(a.name) && /^\\s*javascript:|^\\s*(https?:)?[/][/]evil/i.test(a.value)));
  const tags = [...document.querySelectorAll("body :is(script, iframe, form[action], svg, math, style)")];
  return {attacks: window.attacks ?? [], acting: acting.map((e) => e.outerHTML), tags: tags.map((e) => e.outerHTML),
    shown: made.innerText.includes("attacked('script')")};
}
"""


async def test_nothing_of_a_document_or_an_answer_is_executed(app: str, page: Page) -> None:
    """Everything that the API returns is an attack: names, reasons, answers, citations, steps, charts, checks."""
    await page.open(f"{app}/#health")
    await page.until("document.querySelector('table')")
    result = await page.run(f"({FORGED})({json.dumps(EVIL)}, {json.dumps(EVIL_MARKDOWN)})")
    assert result == {"attacks": [], "acting": [], "tags": [], "shown": True}
    assert page.dialogs == []


async def test_a_hostile_document_is_indexed_cited_and_harmless(app: str, page: Page, tmp_path: Path) -> None:
    hostile = tmp_path / "<img src=x onerror=alert(1)>.md"
    hostile.write_text(f"# Locks {EVIL}\n\nThe code of the purple lock is 9933. <script>alert(2)</script>{EVIL}\n")
    await add(page, app, hostile)
    await page.open(f"{app}/#ask")
    await ask(page, "What is the code of the purple lock?")
    await page.until("document.querySelector('article .sources')")
    await page.run("document.querySelector('article button.cite').click()")
    await page.until("document.querySelector('dialog pre')")
    assert page.dialogs == []
    assert await page.run("document.querySelectorAll('main script, main img, dialog script, dialog img').length") == 0


async def test_a_long_answer_does_not_hang(app: str, page: Page) -> None:
    await page.open(f"{app}/#health")
    long = "(await import('/markdown.js')).rendered('**x** '.repeat(900000), [], () => '').innerText.length"
    assert await page.run(f"(async () => {long})()") > 100_000


async def test_a_wrong_key_is_asked_for(app: str, page: Page) -> None:
    """As in Azure: the page is anonymous, the API answers 401 until the key is right, and the key stays in the tab."""
    await page.open(f"{app}/#health")
    await page.until("document.querySelector('table')")
    await page.run("""(() => { const real = fetch; window.fetch = (url, options) =>
        options.headers['x-functions-key'] === 'right' ? real(url, options)
        : Promise.resolve(new Response('', {status: 401})); location.hash = 'collections'; })()""")
    for key in ("wrong", "right"):
        await page.type("dialog[open] input", key)
        await page.click("Use the key")
        await page.until(f"sessionStorage.getItem('functions-key') === '{key}'")
        if key == "wrong":
            await page.until("document.querySelector('dialog[open]')?.innerText.includes('does not take this key')")
    await page.until("document.querySelector('h1')?.innerText === 'Collections'")
    assert await page.run("JSON.stringify(localStorage).includes('right')") is False


async def test_the_keyboard_alone_is_enough(app: str, page: Page) -> None:
    await page.open(f"{app}/#documents")
    await page.until("document.querySelector('tbody')")
    seen = []
    for _ in range(12):
        await page.press("Tab", code=9)
        seen.append(await page.run("document.activeElement.innerText || document.activeElement.ariaLabel || ''"))
    assert {"Skip to the content", "Ask", "Documents", "Health", "Choose files", "Choose a folder"} <= set(seen)


@pytest.mark.parametrize("view", ["ask", "documents", "runs", "collections", "health"])
async def test_no_view_is_wider_than_a_phone_and_all_is_named(app: str, page: Page, view: str) -> None:
    await page.size(360, 740, phone=True)
    await page.open(f"{app}/#{view}")
    await page.until("document.querySelector('h1')")
    assert await page.run("document.documentElement.scrollWidth") <= 360
    unnamed = """[...document.querySelectorAll('button, a, input, select, textarea, iframe, img')].filter((e) =>
        e.checkVisibility() && !(e.innerText || e.ariaLabel || e.title || e.alt || e.closest('label')?.innerText))"""
    assert await page.run(f"{unnamed}.map((e) => e.outerHTML)") == []
