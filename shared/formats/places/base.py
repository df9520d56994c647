"""A place of a document: where a person finds a quote again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PlaceKind = Literal["page", "slide", "section", "card"]

TEXT_MAX_CHARS = 16_000_000  # of one document's places; the rest is not kept, and quotes from it are not verified


@dataclass(frozen=True, kw_only=True)
class Place:
    """A page, a slide with its notes, the text below a heading, or the data card of a table.

    `number` counts pages and slides from 1; it is None for other kinds. `name` is the heading of a section, and ""
    before the first heading.
    """

    kind: PlaceKind
    text: str
    number: int | None = None
    name: str = ""

    @property
    def page(self) -> int | None:
        return self.number if self.kind == "page" else None

    @property
    def slide(self) -> int | None:
        return self.number if self.kind == "slide" else None

    @property
    def section(self) -> str | None:
        return self.name or None if self.kind == "section" else None


@dataclass(frozen=True, kw_only=True)
class Places:
    """The places of one version of a document, in the order of the document.

    `complete` is False when some text of the document is not in them: a quote that is not found may still be there.
    """

    places: tuple[Place, ...]
    complete: bool = True


UNREAD = Places(places=(), complete=False)  # of a document whose text the app has not read
