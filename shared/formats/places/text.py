"""Places of Markdown, HTML and plain text: the sections below their headings. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from shared.formats.places.base import Place
from shared.formats.visible import BLOCKS, HEADINGS, Visible

NAME_MAX_CHARS = 200


def text_places(text: str) -> Iterator[Place]:
    """Plain text has no headings: it is one place without a name."""
    yield Place(kind="section", text=text)


def markdown_places(text: str) -> Iterator[Place]:
    """Sections below headings of both forms, `# Title` and a title underlined with `===` or `---`.

    Source: https://spec.commonmark.org/0.31.2/#leaf-blocks
    """
    name, lines, fence = "", list[str](), ""
    for line in text.split("\n"):
        stripped = line.strip()
        if fence:
            fence = "" if stripped.startswith(fence) and not stripped.strip(fence[0]) else fence
        elif stripped.startswith(("```", "~~~")):
            fence = stripped[:3]
        elif heading := _atx_heading(line):
            yield Place(kind="section", name=name, text="\n".join(lines))
            name, lines = heading, []
        elif lines and _is_underline(stripped) and lines[-1].strip() and not lines[-1].lstrip().startswith(("|", "-")):
            title = lines.pop()
            yield Place(kind="section", name=name, text="\n".join(lines))
            name, lines = title.strip()[:NAME_MAX_CHARS], [title]
        lines.append(line)
    yield Place(kind="section", name=name, text="\n".join(lines))


def _atx_heading(line: str) -> str:
    """The title of a heading such as `## Title ##`; "" for any other line."""
    found = re.match(r" {0,3}#{1,6}[ \t]", line)
    return line[found.end() :].strip().rstrip("#").strip()[:NAME_MAX_CHARS] if found else ""


def _is_underline(line: str) -> bool:
    return len(line) > 1 and (not line.strip("=") or not line.strip("-"))


def html_places(text: str) -> tuple[list[Place], bool]:
    """Sections below `h1` to `h6`, of the text that a browser shows; and whether that is all of it.

    The time can grow with the square of the size, which is that of Python's parser: see apart.py.
    """
    parser = _Sections()
    parser.feed(text)
    parser.close()
    return parser.ended(), not parser.is_hidden


class _Sections(Visible):
    def __init__(self) -> None:
        super().__init__()
        self._places: list[Place] = []
        self._name = ""
        self._text: list[str] = []
        self._heading: int | None = None  # where in `_text` the heading begins that is being read

    def started(self, tag: str, attributes: dict[str, str | None]) -> None:
        if tag in HEADINGS:
            self._end_place()
            self._heading = len(self._text)
        self._text.append(_space_around(tag))

    def ended_tag(self, tag: str) -> None:
        if tag in HEADINGS and self._heading is not None:
            self._name = " ".join("".join(self._text[self._heading :]).split())[:NAME_MAX_CHARS]
            self._heading = None
        self._text.append(_space_around(tag))

    def shown(self, text: str) -> None:
        self._text.append(text)

    def ended(self) -> list[Place]:
        self._end_place()
        return self._places

    def _end_place(self) -> None:
        self._places.append(Place(kind="section", name=self._name, text="".join(self._text)))
        self._text = []


def _space_around(tag: str) -> str:
    return "\n" if tag in BLOCKS else " " if tag in ("td", "th") else ""
