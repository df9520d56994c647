import io
import json
import os
import zipfile

import docx
import fpdf
import pptx
import pytest

from local.openai_emulator.search.parsers import ParseError, parse
from local.paths import ROOT

FORMATS = ROOT / "../shared/data/formats"
BLANK = 50_000_000 * " "


@pytest.fixture
def parsed(tmp_path):
    """Parse bytes or text under a name."""

    def parsed(content, filename):
        path = tmp_path / "upload"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return parse(path, filename)

    return parsed


@pytest.fixture
def refused(parsed):
    """The error that parsing raises."""

    def refused(content, filename):
        with pytest.raises(ParseError) as caught:
            parsed(content, filename)
        return caught.value

    return refused


def text_of(sections):
    return "\n".join(f"{section.heading or ''}\n{section.text}" for section in sections)


def saved(document):
    stream = io.BytesIO()
    document.save(stream)
    return stream.getvalue()


def pdf(*pages, password=None):
    document = fpdf.FPDF()
    document.set_font("Helvetica")
    for text in pages:
        document.add_page()
        document.multi_cell(0, text=text)
    if password:
        document.set_encryption(owner_password="owner", user_password=password)
    return bytes(document.output())


def word():
    document = docx.Document()
    document.add_heading("Pumps", 1)
    document.add_paragraph("Before the table.")
    table = document.add_table(rows=2, cols=2)
    for cell, text in zip([c for row in table.rows for c in row.cells], ("Name", "Limit", "P1", "85 %"), strict=True):
        cell.text = text
    document.add_paragraph("Behind the table.")
    document.add_heading("Valves", 2)
    document.add_paragraph("About valves.")
    return saved(document)


def slides():
    deck = pptx.Presentation()
    for number in (1, 2):
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text = f"Title {number}"
        slide.placeholders[1].text = f"Body {number}"
    slide.notes_slide.notes_text_frame.text = "Say this aloud."
    table = slide.shapes.add_table(1, 2, 0, 0, 100, 100).table
    table.cell(0, 0).text, table.cell(0, 1).text = "left", "right"
    return saved(deck)


def office(part, xml, **others):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(part, xml)
        for name, content in others.items():
            archive.writestr(name, content)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("line", "elsewhere", "read"),
    [
        ("The out-of-\nnetwork fee.", "An out-of-network fee.", "The out-of-network fee."),
        ("The non-\nprofit firm.", "A Non-profit firm.", "The non-profit firm."),
        ("The inter-\nnational firm.", "An international firm.", "The international firm."),
        ("The inter-\nnational firm.", "A firm.", "The international firm."),
    ],
)
def test_pdf_word_over_two_lines_is_written_as_elsewhere(parsed, line, elsewhere, read):
    sections = parsed(pdf(line, elsewhere), "a.pdf")

    assert sections[0].text == read


def test_pdf_keeps_pages(parsed):
    sections = parsed(pdf("First page.", "", "Third page."), "a.pdf")
    assert [(section.page, section.text) for section in sections] == [(1, "First page."), (3, "Third page.")]


def test_docx_keeps_order_headings_and_tables(parsed):
    sections = parsed(word(), "a.docx")
    assert [(s.heading, s.text) for s in sections] == [
        ("Pumps", "Before the table.\nName | Limit\nP1 | 85 %\nBehind the table."),
        ("Valves", "About valves."),
    ]


def test_pptx_has_slides_as_pages(parsed):
    first, second = parsed(slides(), "a.pptx")
    assert (first.page, first.heading, first.text) == (1, "Title 1", "Body 1")
    assert (second.page, second.heading) == (2, "Title 2")
    assert {"Body 2", "left | right", "Say this aloud."} <= set(second.text.splitlines())


def test_html_gives_the_visible_text(parsed):
    page = """<html><head><title>Guide</title><style>p{}</style></head><body><script>alert(1)</script>
    <p>Intro <b>bold</b>text</p><h1>One &amp; <i>only</i></h1><div><p>First</p>second<br>third</div>
    <table><tr><th>a<th>b</tr><tr><td>1</td><td>2</td></tr></table><!-- hidden --><pre>x
  y</pre></body></html>"""
    sections = parsed(page, "a.html")
    assert [section.heading for section in sections] == ["Guide", None, "One & only"]
    lines = [line.strip() for line in text_of(sections).splitlines() if line.strip()]
    assert lines == ["Guide", "Intro boldtext", "One & only", "First", "second", "third", "a | b", "1 | 2", "x", "y"]


def test_html_in_the_encoding_it_declares(parsed):
    page = '<meta charset="windows-1251"><p>Привет мир</p>'.encode("cp1251")
    assert "Привет мир" in text_of(parsed(page, "a.html"))


def test_html_nested_thousands_deep(parsed):
    assert "deep" in text_of(parsed("<div>" * 3000 + "deep", "a.html"))


def test_markdown_sections_follow_headings_but_not_code(parsed):
    sections = parsed("Intro\n# One\ntext\n```\n# no heading\n```\n## Two ##\nend\n```\nopen", "a.md")
    assert [(s.heading, s.text) for s in sections] == [
        (None, "Intro"),
        ("One", "text\n```\n# no heading\n```"),
        ("Two", "end\n```\nopen"),
    ]


def test_json_on_one_line_gets_line_breaks(parsed):
    content = json.dumps({"limits": [{"name": "größe", "value": n} for n in range(50)]})
    text = parsed(content, "a.json")[0].text
    assert len(text.splitlines()) > 150
    assert "größe" in text


@pytest.mark.parametrize("content", ['{"a": [1, {"b": ', "[" * 100_000], ids=["broken", "deep"])
def test_invalid_json_is_read_as_text(parsed, content):
    assert parsed(content, "a.json")[0].text == content


@pytest.mark.parametrize(
    "ending", ["c", "cpp", "cs", "css", "go", "java", "js", "php", "py", "rb", "sh", "tex", "ts", "txt"]
)
def test_code_and_text(parsed, ending):
    assert parsed("int main() { return 0; }\r\n", f"a.{ending.upper()}")[0].text == "int main() { return 0; }\n"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Größe, naïve café, “quotes” — €100", "utf-8"),
        ("Größe, naïve café, “quotes” — €100", "utf-8-sig"),
        ("Größe, naïve café, “quotes” — €100", "cp1252"),
        ("Größe, naïve café, “quotes” — €100", "utf-16"),
        ("Plain words only, once and again.", "utf-16-le"),
        ("Plain words only, once and again.", "utf-16-be"),
        ("Größe und Maß", "utf-32"),
        ("这是一个用于测试的中文文档。向量检索与关键词检索。" * 5, "gb18030"),
        ("これは日本語の文書です。検索テスト。" * 5, "shift_jis"),
        ("Это документ на русском языке для проверки. " * 5, "koi8-r"),
    ],
    ids=lambda value: value if len(value) < 12 else "",
)
def test_encodings(parsed, text, encoding):
    assert parsed(text.encode(encoding), "a.txt")[0].text == text


@pytest.mark.parametrize(
    ("content", "filename"),
    [
        (pdf("Hello."), "a.docx"),
        (pdf("Hello."), "a.txt"),
        (pdf("Hello."), "a"),
        (word(), "a.pdf"),
        (slides(), "a.docx"),
    ],
    ids=["pdf as docx", "pdf as txt", "pdf without ending", "docx as pdf", "pptx as docx"],
)
def test_the_content_decides_not_the_extension(parsed, content, filename):
    assert text_of(parsed(content, filename)).strip()


@pytest.mark.parametrize(
    ("content", "filename", "code", "word"),
    [
        (b"", "a.txt", "invalid_file", "empty"),
        (b" \n\t ", "a.md", "invalid_file", "no text"),
        (b"\xef\xbb\xbf", "a.txt", "invalid_file", "no text"),
        (b"\x00" * 100, "a.txt", "invalid_file", "no text"),
        (bytes(range(256)) * 8, "a.txt", "invalid_file", "not contain text"),
        (b"a,b\n1,2", "a.csv", "unsupported_file", ".csv"),
        (b"hello", "a.xyz", "unsupported_file", ".xyz"),
        (b"hello", "README", "unsupported_file", "README"),
        (b"\x89PNG\r\n\x1a\n\x00", "a.png", "unsupported_file", "image"),
        (b"\x89PNG\r\n\x1a\n\x00", "a.txt", "unsupported_file", "image"),
        (b"\x1f\x8b\x08\x00", "a.gz", "unsupported_file", "compressed"),
        (b"{\\rtf1 hello}", "a.rtf", "unsupported_file", "RTF"),
        (office("xl/workbook.xml", "<x/>"), "a.xlsx", "unsupported_file", "spreadsheet"),
        (office("xl/workbook.xml", "<x/>"), "a.docx", "unsupported_file", "spreadsheet"),
        (office("photo.jpg", "x"), "a.zip", "unsupported_file", "archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 600, "a.doc", "unsupported_file", "docx"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"),
            "a.docx",
            "invalid_file",
            "password",
        ),
        (pdf("Secret.", password="x"), "a.pdf", "invalid_file", "password"),
        (pdf(""), "a.pdf", "invalid_file", "OCR"),
        (b"%PDF-1.7 nothing more", "a.pdf", "invalid_file", "damaged"),
        (b"hello", "a.pdf", "invalid_file", "not a PDF"),
        (word()[:3000], "a.docx", "invalid_file", "damaged"),
        (slides()[:-400], "a.pptx", "invalid_file", "damaged"),
        (office("word/document.xml", "<w><unclosed>"), "a.docx", "invalid_file", "damaged"),
        (office("word/other.xml", "<w/>"), "a.docx", "invalid_file", "damaged"),
        (
            office("word/document.xml", '<!DOCTYPE d [<!ENTITY a "x"><!ENTITY b "&a;&a;">]><w>&b;</w>'),
            "a.docx",
            "invalid_file",
            "entities",
        ),
        (lambda: office("word/document.xml", f"<w>{BLANK}</w>"), "a.docx", "invalid_file", "far more data"),
        (lambda: office("ppt/presentation.xml", 4 * BLANK), "a.pptx", "invalid_file", "far more data"),
        (b"<script>x()</script><style>p{}</style>", "a.html", "invalid_file", "no text"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_error_explains_why_a_file_cannot_be_searched(refused, content, filename, code, word):
    error = refused(content() if callable(content) else content, filename)
    assert error.code == code
    assert word in str(error)
    assert str(error).endswith(".")


def test_a_doctype_in_utf16_is_refused(refused):
    xml = '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE d [<!ENTITY a "x">]><w>&a;</w>'.encode("utf-16")
    assert "entities" in str(refused(office("word/document.xml", xml), "a.docx"))


def test_nul_bytes_become_spaces(parsed):
    assert parsed(b"hello\x00world", "a.txt")[0].text == "hello world"


def test_a_truncated_pdf_is_read_or_refused(parsed):
    whole = pdf(*[f"Page {n}." for n in range(5)])
    try:
        assert parsed(whole[: len(whole) // 2], "a.pdf")
    except ParseError as error:
        assert error.code == "invalid_file"


@pytest.mark.skipif(not FORMATS.is_dir(), reason="needs ../shared/data/formats")
@pytest.mark.parametrize("path", sorted(FORMATS.glob("*/*")), ids=lambda path: path.name)
def test_collected_documents(path):
    """Each file is parsed or refused with a message; undamaged files of supported formats are parsed."""
    readable = {".pdf", ".docx", ".pptx", ".html", ".md", ".json", ".txt"}
    try:
        assert text_of(parse(path, path.name)).strip()
    except ParseError as error:
        assert str(error).endswith(".")
        empty = "pd_tbl-having-tables.docx"
        assert path.parent.name == "nasty" or path.suffix not in readable or path.name == empty


def test_parsing_does_not_change_the_environment(parsed):
    before = dict(os.environ)
    parsed(word(), "a.docx")
    assert dict(os.environ) == before
