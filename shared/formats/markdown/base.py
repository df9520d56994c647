"""What the readers of this package return, and the Markdown they have in common."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from shared.formats.places.base import Place
from shared.formats.places.text import markdown_places

MARKUP = re.compile(r"(?m)^( {0,3})(?=#{1,6}[ \t]|={2,}\s*$|-{2,}\s*$|```|~~~)")


@dataclass(frozen=True, kw_only=True)
class Converted:
    """A document as Markdown, in the order of its places. `lost`: sentences on what of it was not read."""

    places: tuple[Place, ...]
    lost: tuple[str, ...] = ()

    @property
    def markdown(self) -> str:
        return "\n\n".join(place.text.strip("\n") for place in self.places) + "\n"


def sections(markdown: str, lost: Sequence[str] = ()) -> Converted:
    """A document whose places are its sections."""
    return Converted(places=tuple(place for place in markdown_places(markdown) if place.text.strip()), lost=tuple(lost))


def escaped(text: str) -> str:
    """Plain text whose lines are no headings and no fences."""
    return MARKUP.sub(r"\1\\", text)


def tidy(text: str) -> str:
    """Without spaces at the ends of lines, and with at most one blank line between others."""
    lines = "\n".join(line.rstrip(" \t\r\f\v") for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", lines).strip("\n")


def table(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose first row is the header; "" without any text."""
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    if not rows:
        return ""
    width = max(map(len, rows))
    lines = ["| " + " | ".join(_cell(cell) for cell in [*row, *[""] * (width - len(row))]) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * width, *lines[1:]])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def count(number: int, one: str, many: str = "") -> str:
    """`1 picture`, `2 pictures`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
