"""PDF files, read with PDFium: checks that one has text, and splits a long one between its pages."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from io import SEEK_END
from typing import IO, Any

from shared.formats.base import BYTES_PER_TOKEN, PARTS_MAX, Part, failed, part_file, too_long, unsupported

PAGES_TRIED = 200  # searched for text, spread over the document; a PDF without text on these counts as a scan
PART_BYTES = 32 * 1024 * 1024  # the approximate size limit of a part, because PDFium holds a new document in memory

CHARACTERS_TRIED = 40  # of a page, spread over it
NOISE = 0.3  # the share of characters without a meaning, above which a page is noise
MEANINGLESS = re.compile("[\x01-\x08\x0e-\x1f\ue000-\uf8ff\ufffd]").findall

# PDFium is not thread-safe: every caller holds this lock.
PDFIUM = threading.Lock()


def check_pdf(content: IO[bytes]) -> None:
    """Raises UnusableFile when the PDF is damaged, protected by a password, or a scan without text."""
    import pypdfium2

    content.seek(0)
    with PDFIUM:
        try:
            document = pypdfium2.PdfDocument(content)
        except pypdfium2.PdfiumError as exc:
            if re.search("password|security", str(exc), re.IGNORECASE):
                raise failed("encrypted", "The PDF is protected by a password. Remove it and drop the file.") from exc
            raise failed("damaged", "The PDF is damaged and cannot be opened.") from exc
        try:
            count = len(document)
            if not count:
                raise failed("damaged", "The PDF has no pages.")
            step = max(1, -(-count // PAGES_TRIED))
            _check_text(document, range(0, count, step))
        finally:
            document.close()


def _check_text(document: object, pages: range) -> None:
    """Raises UnusableFile when none of the pages has text that can be read."""
    import pypdfium2

    assert isinstance(document, pypdfium2.PdfDocument)
    noise = False
    for number in pages:
        if page_text(document, number).strip():
            page = document[number]
            try:
                if not read_page(page)[1]:
                    return
                noise = True
            finally:
                page.close()
    if noise:
        message = "The text of the PDF cannot be read: its fonts do not say which letters they show."
        raise unsupported(f"{message} Run OCR and drop the searchable PDF, or drop the original document.", "no_text")
    raise unsupported("The PDF has no text: its pages are pictures. Run OCR and drop the searchable PDF.", "no_text")


def page_text(document: object, number: int) -> str:
    """The text of a page; "" when the page cannot be read. `number` counts from 0. The caller holds `PDFIUM`."""
    import pypdfium2

    assert isinstance(document, pypdfium2.PdfDocument)
    try:
        page = document[number]
    except pypdfium2.PdfiumError:
        return ""
    try:
        return text_of(page)
    finally:
        page.close()


@contextmanager
def open_text(page: Any) -> Iterator[Any]:
    """The text layer of a page; None when it cannot be read."""
    import pypdfium2

    try:
        text = page.get_textpage()
    except pypdfium2.PdfiumError:
        yield None
        return
    try:
        yield text
    finally:
        text.close()


def text_of(page: Any) -> str:
    """The text of an open page; "" when it cannot be read. The caller holds `PDFIUM`."""
    with open_text(page) as text:
        return _text_in(text)


def read_page(page: Any) -> tuple[str, bool]:
    """The text of an open page, and whether it is noise. The caller holds `PDFIUM`."""
    with open_text(page) as text:
        return read_text(text)


def read_text(text: Any) -> tuple[str, bool]:
    """As `read_page`, of an open text layer."""
    found = _text_in(text)
    return found, bool(found) and _is_noise(text, found)


def _text_in(text: Any) -> str:
    import pypdfium2

    try:
        return str(text.get_text_range()) if text is not None else ""
    except pypdfium2.PdfiumError:
        return ""


def _is_noise(text: Any, found: str) -> bool:
    """Whether the fonts of a page do not say which letters they show.

    PDFium then gives the codes of the glyphs as text; or the fonts say it with characters that have no meaning.
    """
    import pypdfium2.raw as pdfium

    count = text.count_chars()
    tried = range(0, count, max(1, count // CHARACTERS_TRIED))
    unmapped = sum(pdfium.FPDFText_HasUnicodeMapError(text, each) == 1 for each in tried)
    return bool(unmapped > NOISE * len(tried)) or len(MEANINGLESS(found)) > NOISE * len(found)


def pdf_parts(content: IO[bytes], max_tokens: int) -> Iterator[Part]:
    """The PDF itself when it is under the limit, else PDFs of some of its pages. The consumer closes their files.

    Raises:
        UnusableFile: it would be too many parts, or pages are damaged.
    """

    # No document stays open between two parts: one whose consumer has gone would be closed by the garbage collector,
    # which can run in a thread that holds the lock.
    size_bytes = content.seek(0, SEEK_END)
    tokens = _tokens_of_pages(content)
    if sum(tokens) <= max_tokens:
        yield Part(content=content)
        return
    ranges = _page_ranges(tokens, max_tokens=max_tokens, max_pages=max(1, PART_BYTES * len(tokens) // size_bytes))
    if len(ranges) > PARTS_MAX:
        raise too_long()
    for pages in ranges:
        yield Part(content=_copy(content, pages), first_page=pages[0] + 1, last_page=pages[-1] + 1)


def _tokens_of_pages(content: IO[bytes]) -> list[int]:
    import pypdfium2

    content.seek(0)
    with PDFIUM:
        document = pypdfium2.PdfDocument(content)
    try:
        tokens = []
        for number in range(len(document)):
            with PDFIUM:  # released after each page, because other documents wait for it
                tokens.append(len(page_text(document, number).encode("utf-8", "replace")) // BYTES_PER_TOKEN)
        return tokens
    finally:
        with PDFIUM:
            document.close()


def _page_ranges(tokens: Sequence[int], *, max_tokens: int, max_pages: int) -> list[range]:
    """Consecutive pages that stay under both limits. `tokens`: per page.

    A single page over the token limit is not split; the service decides whether it accepts that page.
    """
    ranges = []
    first = total = 0
    for number, count in enumerate(tokens):
        if number > first and (total + count > max_tokens or number - first >= max_pages):
            ranges.append(range(first, number))
            first, total = number, 0
        total += count
    return [*ranges, range(first, len(tokens))]


def _copy(content: IO[bytes], pages: range) -> IO[bytes]:
    import pypdfium2

    file = part_file()
    try:
        content.seek(0)
        with PDFIUM, closing(pypdfium2.PdfDocument(content)) as document, closing(pypdfium2.PdfDocument.new()) as copy:
            copy.import_pages(document, list(pages))
            copy.save(file)
    except pypdfium2.PdfiumError as exc:
        file.close()
        message = f"The PDF is damaged: its pages {pages[0] + 1} to {pages[-1] + 1} cannot be read."
        raise failed("damaged", message) from exc
    except BaseException:
        file.close()
        raise
    return file
