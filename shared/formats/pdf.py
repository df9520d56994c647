"""PDF files, read with PDFium: checks that one has text, and splits a long one between its pages."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from io import SEEK_END
from typing import IO

from shared.formats.base import BYTES_PER_TOKEN, PARTS_MAX, Part, failed, part_file, too_long, unsupported

PAGES_TRIED = 200  # searched for text, spread over the document; a PDF without text on these counts as a scan
PART_BYTES = 32 * 1024 * 1024  # the approximate size limit of a part, because PDFium holds a new document in memory

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
            if not any(page_text(document, number).strip() for number in range(0, count, step)):
                raise unsupported(
                    "The PDF has no text: its pages are pictures. Run OCR and drop the searchable PDF.", "no_text"
                )
        finally:
            document.close()


def page_text(document: object, number: int) -> str:
    """The text of a page; "" when the page cannot be read. `number` counts from 0. The caller holds `PDFIUM`."""
    import pypdfium2

    assert isinstance(document, pypdfium2.PdfDocument)
    try:
        page = document[number]
    except pypdfium2.PdfiumError:
        return ""
    try:
        text = page.get_textpage()
        try:
            return str(text.get_text_range())
        finally:
            text.close()
    except pypdfium2.PdfiumError:
        return ""
    finally:
        page.close()


def pdf_parts(content: IO[bytes], max_tokens: int) -> Iterator[Part]:
    """The PDF itself when it is under the limit, else PDFs of some of its pages. The consumer closes their files.

    Raises:
        UnusableFile: it would be too many parts, or pages are damaged.
    """
    import pypdfium2

    size_bytes = content.seek(0, SEEK_END)
    content.seek(0)
    with PDFIUM:
        document = pypdfium2.PdfDocument(content)
    try:
        tokens = []
        for number in range(len(document)):
            with PDFIUM:  # released after each page, because other documents wait for it
                tokens.append(len(page_text(document, number).encode("utf-8", "replace")) // BYTES_PER_TOKEN)
        if sum(tokens) <= max_tokens:
            yield Part(content=content)
            return
        ranges = _page_ranges(tokens, max_tokens=max_tokens, max_pages=max(1, PART_BYTES * len(tokens) // size_bytes))
        if len(ranges) > PARTS_MAX:
            raise too_long()
        for pages in ranges:
            yield Part(content=_copy(document, pages), first_page=pages[0] + 1, last_page=pages[-1] + 1)
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


def _copy(document: object, pages: range) -> IO[bytes]:
    import pypdfium2

    assert isinstance(document, pypdfium2.PdfDocument)
    file = part_file()
    try:
        with PDFIUM:
            copy = pypdfium2.PdfDocument.new()
            try:
                copy.import_pages(document, list(pages))
                copy.save(file)
            finally:
                copy.close()
    except pypdfium2.PdfiumError as exc:
        file.close()
        message = f"The PDF is damaged: its pages {pages[0] + 1} to {pages[-1] + 1} cannot be read."
        raise failed("damaged", message) from exc
    except BaseException:
        file.close()
        raise
    return file
