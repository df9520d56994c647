"""The places of each format: pages, slides with notes, sections below headings."""

from __future__ import annotations

import copy
import io
import zipfile
from typing import IO

import docx
import pptx
import pytest
from fpdf import FPDF
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.formats.places import base
from shared.formats.places.base import Place
from shared.formats.places.reading import of_card, reading_of


def places_of(ending: str, content: IO[bytes]) -> base.Places:
    return reading_of(ending, content).places


def places(ending: str, content: bytes) -> list[tuple[str | int | None, str]]:
    """(page, slide or heading; text with single spaces) of each place."""
    found = places_of(ending, io.BytesIO(content))
    assert found.complete
    return [(place.number or place.name, " ".join(place.text.split())) for place in found.places]


def pdf(*texts: str) -> bytes:
    document = FPDF()
    document.set_font("helvetica", size=12)
    for text in texts:
        document.add_page()
        document.multi_cell(0, text=text)
    return bytes(document.output())


def test_a_pdf_has_pages() -> None:
    assert places("pdf", pdf("One.", "", "Three.")) == [(1, "One."), (3, "Three.")]


def word() -> bytes:
    document = docx.Document()
    document.sections[0].header.paragraphs[0].text = "Draft of May"
    document.add_paragraph("Before all.")
    document.add_heading("Rent", level=1)
    document.add_paragraph("It is due on the third.")
    table = document.add_table(rows=1, cols=2)
    table.cell(0, 0).text, table.cell(0, 1).text = "Flat", "840 euros"
    document.add_heading("Late  fees", level=2)
    document.add_paragraph("Twenty euros.")
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def test_a_docx_has_sections_and_what_stands_beside_the_text() -> None:
    assert places("docx", word()) == [
        ("", "Before all."),
        ("Rent", "Rent It is due on the third. Flat 840 euros"),
        ("Late fees", "Late fees Twenty euros."),
        ("Header", "Draft of May"),
    ]


def slides() -> pptx.presentation.Presentation:
    deck = pptx.Presentation()
    for title in ("Plan", "Budget"):
        slide = deck.slides.add_slide(deck.slide_layouts[5])
        slide.shapes.title.text = title
        slide.notes_slide.notes_text_frame.text = f"Say more of the {title.lower()}."
    return deck


def saved(deck: pptx.presentation.Presentation) -> bytes:
    buffer = io.BytesIO()
    deck.save(buffer)
    return buffer.getvalue()


def test_a_slide_has_its_notes() -> None:
    assert places("pptx", saved(slides())) == [
        (1, "Plan"),
        (1, "Notes: Say more of the plan."),
        (2, "Budget"),
        (2, "Notes: Say more of the budget."),
    ]


def test_slides_come_in_the_order_of_the_presentation() -> None:
    deck = slides()
    order = deck.slides._sldIdLst
    order.append(order[0])  # the first slide moves to the end; its part keeps its name
    assert [text.split()[0] for _, text in places("pptx", saved(deck))] == ["Budget", "Notes:", "Plan", "Notes:"]


MARKDOWN = """\
Before.

# Rent #
Due on the *third*.
```
# no heading
```
Late fees
---------
Twenty euros.

| a | b |
|---|---|
| 1 | 2 |
"""


def test_markdown_has_sections() -> None:
    assert [name for name, _ in places("md", MARKDOWN.encode())] == ["", "Rent", "Late fees"]
    assert places("md", MARKDOWN.encode())[1][1].endswith("# no heading ```")


HTML = """<!doctype html><html><head><title>x</title><style>p {}</style></head><body>
<p>Before<br>all.<p hidden>Secret <b>one</b></p><div style="display: none">Secret <p>two</div>
<h1>Rent &amp; fees</h1><p>It is due.</p><script>var h = "<p>x</p>"</script><table><tr><td>a<td>b</table>
<h2>Late</h2>Twenty euros."""


def test_html_has_sections_of_its_visible_text() -> None:
    assert places("html", HTML.encode()) == [
        ("", "Before all."),
        ("Rent & fees", "Rent & fees It is due. a b"),
        ("Late", "Late Twenty euros."),
    ]


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<html><head><title>x</title><meta charset=utf-8><body><p>Open.</body></html>", "Open."),
        ("<html><head><title>x</title><h1>Open.</h1>", "Open."),
        ("<p hidden>Secret<p>Open.", "Open."),
        ("<ul><li hidden>Secret<li>Open.</ul>", "Open."),
        ("<ul><li hidden>Secret <b>one</b></ul><p>Open.", "Open."),
        ("<table><tr><td hidden>Secret<td>Open.</table>", "Open."),
        ("<div hidden>Secret<p>two<div>three</div></div>Open.", "Open."),
    ],
)
def test_html_ends_elements_whose_end_tag_is_left_out(html: str, text: str) -> None:
    assert [shown for _, shown in places("html", html.encode())] == [text]


@pytest.mark.parametrize("html", ["<p hidden>" + "<b>" * 20_000 + "</i>" * 20_000, "<div hidden>All of it"])
def test_html_that_hides_the_rest_is_not_complete(html: str) -> None:
    assert not places_of("html", io.BytesIO(html.encode())).complete


def test_a_document_that_takes_too_long_is_not_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.formats.places.apart.TIMEOUT_S", 0)
    assert places_of("html", io.BytesIO(b"<p>Words." * 1000)) == base.UNREAD


def test_the_strict_form_of_office_is_read() -> None:
    buffer = io.BytesIO()
    transitional = b"http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    with zipfile.ZipFile(io.BytesIO(WORD)) as source, zipfile.ZipFile(buffer, "w") as target:
        for name in source.namelist():
            strict = b"http://purl.oclc.org/ooxml/wordprocessingml/main"
            target.writestr(name, source.read(name).replace(transitional, strict))
    assert places("docx", buffer.getvalue()) == places("docx", WORD)


def test_a_slide_that_is_listed_often_is_read_once() -> None:
    deck = slides()
    order = deck.slides._sldIdLst
    for _ in range(3_000):
        order.append(copy.deepcopy(order[0]))
    assert [number for number, _ in places("pptx", saved(deck))] == [1, 1, 2, 2]


@pytest.mark.parametrize("comments", [b'<?xml version="1.0" encoding="foo"?><a/>', b"\xff\xfe<\0", b"<a"])
def test_a_damaged_part_refuses_no_document(comments: bytes) -> None:
    buffer = io.BytesIO(WORD)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("word/comments.xml", comments)
    assert places_of("docx", buffer) == base.UNREAD


def test_a_large_office_file_is_read_in_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.formats.places.reading.OFFICE_AT_ONCE_BYTES", 0)
    apart = places("docx", WORD)
    monkeypatch.undo()
    assert apart == places("docx", WORD)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_text_is_one_place_in_any_encoding(encoding: str) -> None:
    assert places("txt", "Grüße\r\naus Köln".encode(encoding)) == [("", "Grüße aus Köln")]


def test_what_the_app_cannot_read_is_not_complete() -> None:
    for ending, content in (("doc", b"\xd0\xcf\x11\xe0"), ("docx", b"PK\x05\x06" + bytes(18)), ("pptx", b"")):
        found = places_of(ending, io.BytesIO(content))
        assert (found.places, found.complete) == ((), False), ending


def test_a_text_over_the_limit_is_not_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.formats.places.reading.TEXT_MAX_CHARS", 12)
    found = places_of("md", io.BytesIO(b"# One\nyes\n# Two\nno"))
    assert ([place.text for place in found.places], found.complete) == (["# One\nyes", "# T"], False)
    assert not places_of("txt", io.BytesIO(b"x" * 60)).complete


def test_a_table_has_its_card() -> None:
    assert of_card("# t.csv").places == (Place(kind="card", text="# t.csv"),)


@pytest.mark.parametrize("doctype", ["utf-8", "utf-16"])
def test_entities_that_grow_are_refused(doctype: str) -> None:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 50}">' for n in range(1, 9))
    xml = f'<?xml version="1.0" encoding="{doctype}"?><!DOCTYPE x [<!ENTITY e0 "x">{entities}]><x>&e8;</x>'
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("word/document.xml", xml.encode(doctype))
    found = places_of("docx", buffer)
    assert (found.places, found.complete) == ((), False)


@settings(max_examples=60)
@given(st.sampled_from(["docx", "pptx"]), st.integers(0, 10**6), st.integers(0, 255))
def test_a_damaged_office_file_raises_nothing(ending: str, at: int, byte: int) -> None:
    content = bytearray(WORD if ending == "docx" else SLIDES)
    content[at % len(content)] = byte
    found = places_of(ending, io.BytesIO(bytes(content)))
    assert sum(len(place.text) for place in found.places) < base.TEXT_MAX_CHARS


WORD, SLIDES = word(), saved(slides())
