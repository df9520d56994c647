"""Turns documents that no service reads well into Markdown, by the app itself."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import IO

from shared.formats.base import UnusableFile, failed
from shared.formats.markdown.base import Converted
from shared.formats.markdown.epub import epub
from shared.formats.markdown.mail import mail
from shared.formats.markdown.notebook import notebook
from shared.formats.markdown.opendocument import odp, odt
from shared.formats.markdown.outlook import outlook
from shared.formats.markdown.rtf import rtf
from shared.formats.markdown.subtitles import subtitles
from shared.formats.places.base import TEXT_MAX_CHARS
from shared.logs import event

log = logging.getLogger(__name__)

READERS: dict[str, Callable[[IO[bytes]], Converted]] = {
    "eml": mail,
    "epub": epub,
    "ipynb": notebook,
    "msg": outlook,
    "odp": odp,
    "odt": odt,
    "rtf": rtf,
    "srt": subtitles,
    "vtt": subtitles,
}


def converted(ending: str, content: IO[bytes]) -> Converted:
    """The document as Markdown.

    Args:
        ending: One of `READERS`.

    Raises:
        UnusableFile: it is damaged, protected, too long, or has no text.
    """
    try:
        found = READERS[ending](content)
    except UnusableFile:
        raise
    except Exception as exc:  # a damaged file makes a reader raise anything
        event(log, logging.WARNING, "markdown.unreadable", ending=ending, why=str(exc)[:200])
        raise failed("damaged", "The file is damaged, or too large when unpacked: it cannot be read.") from exc
    if sum(len(place.text) for place in found.places) > TEXT_MAX_CHARS:
        raise failed("too_long", f"The document has more than {TEXT_MAX_CHARS:,} characters of text. Split it.")
    places = tuple(replace(place, text=_valid(place.text), name=_valid(place.name)) for place in found.places)
    if not any(place.text.strip("# \n") for place in places):
        raise failed("empty_file", "The file has no text.")
    return replace(found, places=places)


def _valid(text: str) -> str:
    """Without halves of characters, which UTF-8 does not have."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
