"""PDF: one section per page."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pypdfium2 as pdfium

from local.openai_emulator.search.parsers.base import Section, invalid

# pdfium replaces a hyphen at the end of a line by one of these characters when it takes it for hyphenation.
_SOFT_HYPHEN = re.compile("[\x02\ufffe](?:\r?\n)?")
_WORD = r"(?<![\w-])\w++(?:-\w++)*"
_BROKEN_WORD = re.compile(rf"({_WORD}){_SOFT_HYPHEN.pattern}({_WORD})")


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
    texts = _joined([page or "" for page in pages])
    return [Section(text=text, page=number) for number, text in enumerate(texts, 1) if text]


def _joined(pages: Sequence[str]) -> list[str]:
    """The pages without line breaks in words: with the hyphen where the document has the word with it elsewhere."""
    times = Counter(word.lower() for page in pages for word in re.findall(_WORD, _BROKEN_WORD.sub(" ", page)))

    def join(match: re.Match[str]) -> str:
        hyphened, joined = f"{match[1]}-{match[2]}", f"{match[1]}{match[2]}"
        return hyphened if times[hyphened.lower()] > times[joined.lower()] else joined

    return [_SOFT_HYPHEN.sub("", _BROKEN_WORD.sub(join, page)).strip() for page in pages]


def _page_text(document: pdfium.PdfDocument, index: int) -> str | None:
    """The text of a page; None when the page is damaged, because the other pages can still be searched."""
    try:
        page = document[index]
        textpage = page.get_textpage()
    except pdfium.PdfiumError:
        return None
    try:
        text: str = textpage.get_text_bounded()
    finally:
        textpage.close()
        page.close()
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "")
