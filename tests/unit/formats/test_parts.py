"""Parts of a long document are under the limit, and together they are the document."""

from __future__ import annotations

import gc
import io
import tempfile
import threading

import fpdf
import pypdfium2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.formats import parts
from shared.formats.base import BYTES_PER_TOKEN, UnusableFile
from shared.formats.parts import parts_of
from shared.formats.pdf import PDFIUM


def pdf(pages: int) -> bytes:
    document = fpdf.FPDF()
    document.set_font("helvetica")
    for number in range(1, pages + 1):
        document.add_page()
        document.multi_cell(0, text=f"This is page {number}. " + "word " * 40)
    return bytes(document.output())


def pieces(content: bytes, max_tokens: int, ending: str = "txt") -> list[bytes]:
    file = io.BytesIO(content)
    read = []
    for part in parts_of(ending, file, max_tokens=max_tokens):
        read.append(part.content.read())
        if part.content is not file:
            part.content.close()
    return read


@pytest.mark.parametrize("ending", ["txt", "md", "pdf", "docx", "pptx", "doc"])
def test_a_short_document_is_its_own_part(ending: str) -> None:
    file = io.BytesIO(pdf(2) if ending == "pdf" else b"short")
    found = list(parts_of(ending, file, max_tokens=1000))
    assert [(part.content, part.first_page, part.last_page) for part in found] == [(file, None, None)]
    assert file.tell() == 0


@pytest.mark.parametrize("ending", ["docx", "pptx", "doc"])
def test_office_documents_stay_whole(ending: str) -> None:
    assert pieces(b"x" * 1000, 1, ending) == [b"x" * 1000]


def test_a_long_pdf_is_split_between_pages() -> None:
    with tempfile.SpooledTemporaryFile(max_size=1) as file:
        file.write(pdf(7))
        seen = []
        for part in parts_of("pdf", file, max_tokens=250):
            document = pypdfium2.PdfDocument(part.content)
            assert part.first_page is not None
            assert part.last_page is not None
            assert len(document) == part.last_page - part.first_page + 1
            for number in range(len(document)):
                page = document[number]
                text = page.get_textpage()
                assert f"This is page {part.first_page + number}." in text.get_text_range()
                text.close()
                page.close()
                seen.append(part.first_page + number)
            document.close()
            part.content.close()
    assert seen == list(range(1, 8))


@settings(deadline=None)
@given(
    st.text(alphabet="ab ü文😀\n", min_size=1, max_size=400),
    st.integers(4, 60),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_the_parts_joined_are_the_text(text: str, max_tokens: int, encoding: str) -> None:
    found = pieces(text.encode(encoding), max_tokens)
    if len(found) > 1:
        assert all(len(piece) <= max_tokens * BYTES_PER_TOKEN for piece in found)
        assert "".join(piece.decode() for piece in found).rstrip() == text.rstrip()


@pytest.mark.parametrize(
    ("text", "first"),
    [
        (b"aaaa\n\nbb\nc d", b"aaaa\n\n"),
        (b"aaaa\nbb c d ee", b"aaaa\n"),
        (b"aaaaa bbbbbbbbb", b"aaaaa "),
        (b"aaaaaaaaaaaaaaa", b"aaaaaaaa"),
        (b"aaaaaa\xe2\x82\xac\xe2\x82\xac", b"aaaaaa"),
        (b"\xb0\xb0\xb0\xb0\n\xb0\xb0\xb0\xb0\xb0", b"\xb0\xb0\xb0\xb0\n"),
    ],
    ids=["blank line", "line", "space", "character", "no character is cut", "foreign bytes are left alone"],
)
def test_where_a_text_is_split(text: bytes, first: bytes) -> None:
    assert pieces(text, 4)[0] == first
    assert b"".join(pieces(text, 4)) == text


def test_a_document_of_too_many_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PARTS_MAX", 3)
    for ending, content in (("txt", b"x" * 100), ("pdf", pdf(7))):
        with pytest.raises(UnusableFile) as caught:
            pieces(content, 10, ending)
        assert caught.value.reason.code == "too_long"


def test_parts_that_nobody_asks_for_any_more_wait_for_nothing() -> None:
    """After an error, the garbage collector can end the iteration, in a thread that reads another PDF."""
    parts = parts_of("pdf", io.BytesIO(pdf(7)), max_tokens=250)
    next(parts).content.close()
    ended = threading.Event()

    def read_another() -> None:
        with PDFIUM:
            abandoned.clear()
            gc.collect()
        ended.set()

    abandoned = [parts]
    del parts
    threading.Thread(target=read_another, daemon=True).start()
    assert ended.wait(60)
