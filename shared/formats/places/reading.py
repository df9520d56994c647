"""Reads the places of a document: the text of each page, slide or section, as the app itself sees it."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from io import SEEK_END
from typing import IO

from shared.formats.base import HEAD_BYTES, UnusableFile, failed
from shared.formats.filetypes import CONVERTED
from shared.formats.packages import unpacked_bytes
from shared.formats.places.apart import read_apart
from shared.formats.places.base import TEXT_MAX_CHARS, UNREAD, Place, Places, Reading
from shared.formats.places.office import docx_places, pptx_places
from shared.formats.places.pdf import pdf_places
from shared.formats.places.text import html_places, markdown_places, text_places
from shared.formats.process import ReaderEnded
from shared.formats.text import encoding_of
from shared.logs import event

log = logging.getLogger(__name__)

OFFICE = frozenset({"docx", "pptx"})
PACKED = OFFICE | {"odt", "odp", "epub"}
OFFICE_AT_ONCE_BYTES = 1024 * 1024  # of XML: more is read in a process of its own
AT_ONCE_BYTES = 4 * 1024  # the slowest page of this size takes about as long as starting a process
LINEAR = frozenset({"ipynb", "srt", "vtt"})  # their readers take no longer than the size says
LINEAR_AT_ONCE_BYTES = 1024 * 1024
MARKDOWN = frozenset({"md"})


def reading_of(ending: str, content: IO[bytes]) -> Reading:
    """Read a document that was found to be usable.

    Args:
        ending: The file extension that fits the content, as `look_inside` finds it.
        content: Seekable; its position afterwards is undefined.

    Returns:
        No places, and not complete, for what the app cannot read, or not in time. Such a document is sent as it is:
        its quotes are then not looked up.

    Raises:
        UnusableFile: only the app can read this kind of document, and it cannot read this one.
    """
    try:
        return (read_apart if _may_be_slow(ending, content) else read)(ending, content)
    except UnusableFile:
        raise
    except Exception as exc:
        event(log, logging.WARNING, "places.unreadable", ending=ending, why=str(exc)[:200])
        if ending in CONVERTED:
            slow = isinstance(exc, ReaderEnded) and exc.too_slow
            message = "It takes too long to read. Split it." if slow else "It is damaged or too large to be read."
            raise failed("damaged", f"The document was not turned into text. {message}") from exc
        return Reading(places=UNREAD)


def _may_be_slow(ending: str, content: IO[bytes]) -> bool:
    size_bytes = content.seek(0, SEEK_END)
    if ending in LINEAR:
        return size_bytes > LINEAR_AT_ONCE_BYTES
    if ending in PACKED:
        slow = ending == "epub" and size_bytes > AT_ONCE_BYTES
        return slow or unpacked_bytes(content) > OFFICE_AT_ONCE_BYTES
    # A message can contain itself, so that its size says nothing.
    return ending == "msg" or ((ending == "html" or ending in CONVERTED) and size_bytes > AT_ONCE_BYTES)


def read(ending: str, content: IO[bytes]) -> Reading:
    """As `reading_of`, in this thread; raises what the readers raise."""
    if ending in CONVERTED:
        from shared.formats.markdown.reading import converted  # not needed for most documents

        made = converted(ending, content)
        return Reading(places=_bounded(made.places), markdown=made.markdown, lost=made.lost)
    lost: list[str] = []
    match ending:
        case "pdf":
            with closing(pdf_places(content, lost)) as places:  # not by the garbage collector: see `pdf_places`
                found = _bounded(places)
            return Reading(places=found, lost=tuple(lost))
        case "pptx":
            return Reading(places=_bounded(pptx_places(content)))
        case "docx":
            return Reading(places=_bounded(docx_places(content)))
        case "doc":
            return Reading(places=UNREAD)
        case "html":
            return _of_html(content)
        case _:
            return Reading(places=_of_text(ending, content))


def of_card(markdown: str) -> Places:
    """A table's rows are not in the index, only its data card: quotes come from that."""
    return Places(places=(Place(kind="card", text=markdown),))


def _of_text(ending: str, content: IO[bytes]) -> Places:
    text, complete = _decoded(content, encoding_of(content))
    return _bounded(markdown_places(text) if ending in MARKDOWN else text_places(text), complete=complete)


def _of_html(content: IO[bytes]) -> Reading:
    """A page that hides text goes to the service as Markdown of what is visible."""
    from shared.formats.markdown.html import declared_codec, html_markdown

    encoding = encoding_of(content)
    content.seek(0)
    text, complete = _decoded(content, encoding or declared_codec(content.read(HEAD_BYTES)))
    places, shown = html_places(text)
    markdown, has_hidden = html_markdown(text) if complete else ("", False)
    found = _bounded(places, complete=complete and shown)
    if (encoding and not has_hidden) or not markdown.strip():
        return Reading(places=found)
    lost = ("Text that the page hides was left out.",) if has_hidden else ()
    return Reading(places=found, markdown=markdown + "\n", lost=lost)


def _decoded(content: IO[bytes], codec: str | None) -> tuple[str, bool]:
    """The text, and whether that is all of it."""
    content.seek(0)
    raw = content.read(4 * TEXT_MAX_CHARS)
    return raw.decode(codec or "cp1252", "replace").replace("\r\n", "\n"), not content.read(1)


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
