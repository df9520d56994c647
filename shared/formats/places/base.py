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
    before the first heading. `beside`: text that a reader of the file itself may leave out, such as the notes of a
    slide; it is sent to the service a second time, as Markdown.
    """

    kind: PlaceKind
    text: str
    number: int | None = None
    name: str = ""
    beside: bool = False

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


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A document as the app reads it.

    `markdown` is sent to the service in place of the document; None: the document goes as it is. `lost` says in
    sentences what of the document nobody has read.
    """

    places: Places
    markdown: str | None = None
    lost: tuple[str, ...] = ()

    @property
    def beside(self) -> str:
        """Markdown of what a reader of the file itself may leave out; "" if there is nothing, or Markdown is sent."""
        if self.markdown is not None:
            return ""
        lines: list[str] = []
        for place in self.places.places:
            if place.beside:
                title = f"{place.kind.capitalize()} {place.number}" if place.number else place.name
                lines += ["", f"## {title}", "", place.text.strip()]
        return "\n".join(["# What else the document holds", *lines, ""]) if lines else ""
