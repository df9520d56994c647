"""A citation opens the document at its place, with the quoted words marked, whatever kind of file it is."""

from __future__ import annotations

import io
import json
import re
import uuid
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any

import docx
import httpx2
import openpyxl
import pptx
import pytest

from local.stack.stack import Stack
from tests.local.browser.attacker import CHROMIUM
from tests.local.browser.chromium import Page

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium on PATH (Debian: apt install chromium)"),
]
FACT = "The code of the emerald door is 7315."
QUESTION = "What is the code of the emerald door?"
FILLER = "Nothing of interest stands here. " * 30
MARKED = "document.querySelector('dialog mark')?.textContent"


def word() -> bytes:
    document, buffer = docx.Document(), io.BytesIO()
    for heading, text in (("Preface", FILLER), ("Doors", FACT), ("Annex", FILLER)):
        document.add_heading(heading)
        document.add_paragraph(text)
    document.save(buffer)
    return buffer.getvalue()


def slides() -> bytes:
    deck, buffer = pptx.Presentation(), io.BytesIO()
    for title, text in (("Welcome", FILLER), ("Doors", FACT)):
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = text
    deck.save(buffer)
    return buffer.getvalue()


def sheet() -> bytes:
    book, buffer = openpyxl.Workbook(), io.BytesIO()
    for row in (["door", "code", "floor"], ["emerald", 7315, 2], ["amber", 8111, 3]):
        book.active.append(row)
    book.save(buffer)
    return buffer.getvalue()


def mail() -> bytes:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = "Doors", "a@example.com", "b@example.com"
    message.set_content(f"Hello,\n\n{FACT}\n\nRegards\n")
    return message.as_bytes()


async def index(http: httpx2.AsyncClient, path: str, content: bytes) -> None:
    (await http.put(f"/api/documents/{path}", content=content)).raise_for_status()
    while (found := (await http.get(f"/api/documents/{path}?wait=30")).json())["status"] != "indexed":
        assert found["status"] not in ("failed", "unsupported"), found


async def cited(http: httpx2.AsyncClient, path: str) -> Any:
    """Ask about a document, and return the first citation of the answer."""
    body = {"question": QUESTION, "collection": path.partition("/")[0]}
    run = (await http.post("/api/runs", json=body)).json()
    while "finished_at" not in run:
        run = (await http.get(f"/api/runs/{run['id']}?wait=30")).json()
    assert run["citations"], run
    return run["citations"][0]


async def of_the_card(http: httpx2.AsyncClient, path: str) -> Any:
    """A citation of a table's data card; the model without a service cites none."""
    (card,) = (await http.get("/api/documents/text", params={"path": path})).json()["places"]
    quote = next(line for line in card["text"].splitlines() if "emerald" in line)
    return {"document": path, "quote": quote, "verified": True}


@pytest.mark.parametrize(
    ("name", "content", "place"),
    [
        ("doors.docx", word, "section “Doors”"),
        ("doors.pptx", slides, "slide 2"),
        ("doors.xlsx", sheet, None),
        ("doors.eml", mail, ""),
    ],
)
async def test_a_file_that_no_browser_shows(
    stack: Stack, page: Page, name: str, content: Callable[[], bytes], place: str | None
) -> None:
    path = f"viewer-{uuid.uuid4().hex[:8]}/{name}"
    async with httpx2.AsyncClient(base_url=stack.app_url, trust_env=False, timeout=60) as http:
        await index(http, path, content())
        citation = await cited(http, path) if place is not None else await of_the_card(http, path)
    assert citation["verified"] is True, citation
    await page.open(f"{stack.app_url}/#health")
    await page.until("document.querySelector('table')")
    await page.run(f"import('/viewer.js').then((m) => m.open({json.dumps(path)}, {json.dumps(citation)}))")
    marked = await page.until(MARKED)
    assert re.findall(r"\w+", marked) == re.findall(r"\w+", citation["quote"])
    dialog = await page.run("document.querySelector('dialog').innerText")
    assert (place or "") in dialog
    assert "✓ The quote stands in the document." in dialog
    text = await page.run("document.querySelector('dialog pre').textContent")
    assert "emerald" in text
    assert "Nothing of interest" not in text


QUOTES: dict[tuple[str, str], str | None] = {  # text and quote -> what is marked
    ("a  “smart”\nquote – here", 'smart" quote - here'): "smart”\nquote – here",
    ("A co\u00adde and an ef\ufb01cient one", "code and an efficient"): "co\u00adde and an ef\ufb01cient",
    ("# **Bold** words", "bold words"): "Bold** words",
    ("x", ""): None,
    ("x", " - "): None,
    ("one two", "three"): None,
    ("(a+b)* is $5.00 [x]", "(a+b)* is $5.00 [x]"): "(a+b)* is $5.00 [x]",
    ("İstanbul and 漢字 text", "istanbul"): None,
    ("🎉 party 漢字 here", "漢字"): "漢字",
}


async def test_a_quote_is_found_as_the_app_finds_it(stack: Stack, page: Page) -> None:
    await page.open(f"{stack.app_url}/#health")
    marked = {}
    for text, quote in QUOTES:
        at = await page.run(f"import('/viewer.js').then((m) => m.found({json.dumps(text)}, {json.dumps(quote)}))")
        utf16 = text.encode("utf-16-le")
        marked[text, quote] = utf16[2 * at[0] : 2 * at[1]].decode("utf-16-le") if at else None
    assert marked == QUOTES
