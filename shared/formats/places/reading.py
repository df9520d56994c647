"""Reads the places of a document: the text of each page, slide or section, as the app itself sees it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import IO

from shared.formats.base import UnusableFile
from shared.formats.places.base import TEXT_MAX_CHARS, Place, Places
from shared.formats.places.office import UnreadableOffice, docx_places, pptx_places
from shared.formats.places.text import html_places, markdown_places, text_places
from shared.formats.text import encoding_of

MARKDOWN = frozenset({"md"})


def places_of(ending: str, content: IO[bytes]) -> Places:
    """The places of a document that was found to be usable.

    Args:
        ending: The file extension that fits the content, as `look_inside` finds it.
        content: Seekable; its position afterwards is undefined.

    Returns:
        No places, and not complete, for a format whose text the app cannot read.
    """
    try:
        match ending:
            case "pdf":
                return _bounded(_pdf_places(content))
            case "pptx":
                return _bounded(pptx_places(content))
            case "docx":
                return _bounded(docx_places(content))
            case "doc":
                return Places(places=(), complete=False)
            case _:
                return _of_text(ending, content)
    except (UnusableFile, UnreadableOffice):
        return Places(places=(), complete=False)


def of_card(markdown: str) -> Places:
    """A table's rows are not in the index, only its data card: quotes come from that."""
    return Places(places=(Place(kind="card", text=markdown),))


def _of_text(ending: str, content: IO[bytes]) -> Places:
    encoding = encoding_of(content)
    content.seek(0)
    raw = content.read(4 * TEXT_MAX_CHARS)
    text = raw.decode(encoding or "cp1252", "replace").replace("\r\n", "\n")
    if ending == "html":
        return _bounded(html_places(text))
    return _bounded(markdown_places(text) if ending in MARKDOWN else text_places(text))


def _pdf_places(content: IO[bytes]) -> Iterator[Place]:
    import pypdfium2

    from shared.formats.pdf import PDFIUM, page_text

    content.seek(0)
    with PDFIUM:
        document = pypdfium2.PdfDocument(content)
    try:
        for number in range(len(document)):
            with PDFIUM:  # released after each page, because other documents wait for it
                text = page_text(document, number)
            yield Place(kind="page", number=number + 1, text=text)
    finally:
        with PDFIUM:
            document.close()


def _bounded(places: Iterable[Place]) -> Places:
    """The places, up to the limit of what is kept."""
    kept: list[Place] = []
    left = TEXT_MAX_CHARS
    for place in places:
        left -= len(place.text)
        if left < 0:
            return Places(places=tuple(kept), complete=False)
        if place.text.strip():
            kept.append(place)
    return Places(places=tuple(kept))
