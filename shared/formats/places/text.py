"""Places of Markdown, HTML and plain text: the sections below their headings. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser

from shared.formats.places.base import Place

NAME_MAX_CHARS = 200
IN_HEAD = frozenset({"title", "meta", "link", "style", "script", "base", "noscript", "template"})
UNSEEN = frozenset({"script", "style", "template", "head", "noscript"})
VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())  # noqa: SIM905
HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
BLOCKS = HEADINGS | frozenset(
    "address article aside blockquote br dd div dl dt footer header hr li main nav ol p pre section table tr ul".split()  # noqa: SIM905
)

ENDED_BY = {
    "head": frozenset[str](),
    "p": BLOCKS,
    "li": frozenset({"li"}),
    "dt": frozenset({"dt", "dd"}),
    "dd": frozenset({"dt", "dd"}),
    "tr": frozenset({"tr", "tbody", "tfoot"}),
    "td": frozenset({"td", "th", "tr"}),
    "th": frozenset({"td", "th", "tr"}),
    "option": frozenset({"option", "optgroup"}),
}


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
    parser = _Visible()
    parser.feed(text)
    parser.close()
    return parser.ended(), not parser.is_hidden


class _Visible(HTMLParser):
    """Collects the visible text. Hidden elements are left out: the `hidden` attribute, `display: none`, scripts."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._places: list[Place] = []
        self._name = ""
        self._text: list[str] = []
        self._heading: int | None = None  # where in `_text` the heading begins that is being read
        self._hidden: list[str] = []  # open elements, from the hidden one inwards
        self._open: Counter[str] = Counter()  # the same, counted

    @property
    def is_hidden(self) -> bool:
        return bool(self._hidden)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._hidden and not (len(self._hidden) == 1 and _ends(self._hidden[0], tag)):
            if tag not in VOID:
                self._hide(tag)
            return
        self._show()
        if tag in VOID:
            self._text.append(_space_around(tag))
            return
        if tag in UNSEEN or _is_hidden(dict(attrs)):
            self._hide(tag)
            return
        if tag in HEADINGS:
            self._end_place()
            self._heading = len(self._text)
        self._text.append(_space_around(tag))

    def handle_endtag(self, tag: str) -> None:
        if self._open[tag]:  # elements that are not closed end with the one around them
            while (ended := self._hidden.pop()) != tag:
                self._open[ended] -= 1
            self._open[tag] -= 1
            return
        if self._hidden and self._hidden[0] not in ENDED_BY:
            return
        self._show()  # the element around the hidden one ends
        if tag in HEADINGS and self._heading is not None:
            self._name = " ".join("".join(self._text[self._heading :]).split())[:NAME_MAX_CHARS]
            self._heading = None
        self._text.append(_space_around(tag))

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self._text.append(data)

    def ended(self) -> list[Place]:
        self._end_place()
        return self._places

    def _hide(self, tag: str) -> None:
        self._hidden.append(tag)
        self._open[tag] += 1

    def _show(self) -> None:
        self._hidden.clear()
        self._open.clear()

    def _end_place(self) -> None:
        self._places.append(Place(kind="section", name=self._name, text="".join(self._text)))
        self._text = []


def _ends(hidden: str, tag: str) -> bool:
    """Whether the start of `tag` ends an element whose end tag may be left out.

    Source: https://html.spec.whatwg.org/multipage/syntax.html#optional-tags
    """
    if hidden == "head":
        return tag not in IN_HEAD
    return tag in ENDED_BY.get(hidden, ())


def _space_around(tag: str) -> str:
    return "\n" if tag in BLOCKS else " " if tag in ("td", "th") else ""


def _is_hidden(attributes: dict[str, str | None]) -> bool:
    style = "".join((attributes.get("style") or "").lower().split())
    return "hidden" in attributes or "display:none" in style or "visibility:hidden" in style
