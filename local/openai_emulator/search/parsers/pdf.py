"""PDF: one section per page."""

from __future__ import annotations

import re
from pathlib import Path

import pypdfium2 as pdfium

from local.openai_emulator.search.parsers.base import Section, invalid

# pdfium replaces a hyphen at the end of a line by one of these characters when it takes it for hyphenation.
_SOFT_HYPHEN = re.compile("[\x02\ufffe](?:\r?\n)?")


def parse_pdf(path: Path) -> list[Section]:
    try:
        document = pdfium.PdfDocument(path)
    except pdfium.PdfiumError as exc:
        if "password" in str(exc).lower():
            raise invalid("This PDF is protected with a password; remove the password and upload it again.") from exc
        raise invalid("This PDF is damaged and cannot be opened.") from exc
    try:
        pages = [_page_text(document, index) for index in range(len(document))]
    finally:
        document.close()
    if pages and all(page is None for page in pages):
        raise invalid("This PDF is damaged: none of its pages can be read.")
    return [Section(text=text, page=number) for number, text in enumerate(pages, 1) if text]


def _page_text(document: pdfium.PdfDocument, index: int) -> str | None:
    """The text of a page; None when the page is damaged, because the other pages can still be searched."""
    try:
        page = document[index]
        textpage = page.get_textpage()
    except pdfium.PdfiumError:
        return None
    try:
        text = textpage.get_text_bounded()
    finally:
        textpage.close()
        page.close()
    return _SOFT_HYPHEN.sub("", text).replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "").strip()
