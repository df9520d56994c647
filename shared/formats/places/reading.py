"""Reads the places of a document: the text of each page, slide or section, as the app itself sees it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import IO

from shared.formats.places.apart import places_apart
from shared.formats.places.base import TEXT_MAX_CHARS, UNREAD, Place, Places
from shared.formats.places.office import docx_places, pptx_places, unpacked_bytes
from shared.formats.places.text import html_places, markdown_places, text_places
from shared.formats.text import encoding_of
from shared.logs import event

log = logging.getLogger(__name__)

OFFICE = frozenset({"docx", "pptx"})
OFFICE_AT_ONCE_BYTES = 1024 * 1024  # of XML: more is read in a process of its own
MARKDOWN = frozenset({"md"})


def places_of(ending: str, content: IO[bytes]) -> Places:
    """The places of a document that was found to be usable.

    Args:
        ending: The file extension that fits the content, as `look_inside` finds it.
        content: Seekable; its position afterwards is undefined.

    Returns:
        No places, and not complete, for what the app cannot read, or not in time. A document is not refused for that:
        its quotes are then not looked up.
    """
    try:
        if ending == "html" or (ending in OFFICE and unpacked_bytes(content) > OFFICE_AT_ONCE_BYTES):
            return places_apart(ending, content)
        return read_places(ending, content)
    except Exception as exc:
        event(log, logging.WARNING, "places.unreadable", ending=ending, why=str(exc)[:200])
        return UNREAD


def read_places(ending: str, content: IO[bytes]) -> Places:
    """As `places_of`, in this thread; raises what the readers raise."""
    match ending:
        case "pdf":
            return _bounded(_pdf_places(content))
        case "pptx":
            return _bounded(pptx_places(content))
        case "docx":
            return _bounded(docx_places(content))
        case "doc":
            return UNREAD
        case _:
            return _of_text(ending, content)


def of_card(markdown: str) -> Places:
    """A table's rows are not in the index, only its data card: quotes come from that."""
    return Places(places=(Place(kind="card", text=markdown),))


def _of_text(ending: str, content: IO[bytes]) -> Places:
    encoding = encoding_of(content)
    content.seek(0)
    raw = content.read(4 * TEXT_MAX_CHARS)
    text = raw.decode(encoding or "cp1252", "replace").replace("\r\n", "\n")
    complete = not content.read(1)
    if ending == "html":
        places, shown = html_places(text)
        return _bounded(places, complete=complete and shown)
    return _bounded(markdown_places(text) if ending in MARKDOWN else text_places(text), complete=complete)


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


def _bounded(places: Iterable[Place], *, complete: bool = True) -> Places:
    """The places, up to the limit of what is kept. A document without any text was not read whole."""
    kept: list[Place] = []
    left = TEXT_MAX_CHARS
    for place in places:
        if not place.text.strip():
            continue
        kept.append(replace(place, text=place.text[:left]))
        left -= len(place.text)
        if left < 0:
            complete = False
            break
    return Places(places=tuple(kept), complete=complete and bool(kept))
