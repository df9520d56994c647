"""OpenDocument texts and presentations (ODT, ODP): paragraphs, lists, tables, notes, comments, headers and footers.

Source: https://docs.oasis-open.org/office/OpenDocument/v1.3/os/part3-schema/
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from typing import IO
from xml.etree import ElementTree

from shared.formats.markdown.base import Converted, escaped, sections, table, tidy
from shared.formats.packages import ANY, attribute, name_of, tree_of, within
from shared.formats.places.base import Place
from shared.formats.places.text import NAME_MAX_CHARS

# Without text of the document: text that was deleted, declarations, scripts.
SKIPPED = frozenset(
    "tracked-changes forms sequence-decls variable-decls user-field-decls scripts event-listeners hidden-text "  # noqa: SIM905
    "hidden-paragraph settings desc title table-of-content-source index-title-template".split()
)
COLUMNS_MAX = 100  # of a table; a cell may be repeated a million times
SPACES_MAX = 40
DEPTH_MAX = 300


def odt(content: IO[bytes]) -> Converted:
    """A text document as Markdown; its headers and footers come last."""
    with zipfile.ZipFile(content) as parts:
        walk = _Walk()
        lines = list(walk.blocks(tree_of(parts, "content.xml"), 0))
        beside = list(dict.fromkeys(_headers(parts)))
    if beside:
        lines += ["## Headers and footers", *beside]
    return sections(tidy("\n\n".join(lines)))


def odp(content: IO[bytes]) -> Converted:
    """A presentation as Markdown, slide after slide, each with its notes."""
    places = []
    with zipfile.ZipFile(content) as parts:
        pages = tree_of(parts, "content.xml").iter()
        for number, page in enumerate((each for each in pages if _is(each, "drawing", "page")), start=1):
            text = tidy("\n\n".join(_Walk().blocks(page, 0)))
            title = next((" ".join(line.lstrip("#").split()) for line in text.splitlines() if line.strip()), "")
            heading = f"## Slide {number}\n\n"
            places.append(Place(kind="slide", number=number, name=title[:NAME_MAX_CHARS], text=heading + text))
    return Converted(places=tuple(places))


def _is(element: ElementTree.Element, namespace: str, name: str) -> bool:
    return isinstance(element.tag, str) and element.tag.endswith(f":{namespace}:1.0}}{name}")


class _Walk:
    """Goes through the elements of a document. Notes come after the paragraph that they belong to."""

    def __init__(self) -> None:
        self._after: list[str] = []

    def blocks(self, element: ElementTree.Element, depth: int) -> Iterator[str]:
        if depth > DEPTH_MAX:
            raise ValueError("The elements are nested too deeply.")
        name = name_of(element)
        if name in SKIPPED or _is_hidden(element):
            return
        if name in ("h", "p"):
            yield from self._paragraph(element, name, depth)
        elif name == "table":
            yield table([self._cells(row, depth) for row in _rows(element)])
        elif name == "list-item":
            yield "- " + "\n  ".join(line for child in element for line in self.blocks(child, depth + 1))
        elif name == "annotation":
            yield self._annotation(element, depth)
        elif name == "notes":
            lines = [line for child in element for line in self.blocks(child, depth + 1)]
            yield from ("Notes:", *lines) if lines else ()
        else:
            for child in element:
                yield from self.blocks(child, depth + 1)

    def _paragraph(self, element: ElementTree.Element, name: str, depth: int) -> Iterator[str]:
        text = "".join(self._inline(element, depth)).strip()
        if text and name == "h":
            level = attribute(element, "outline-level")
            text = "#" * (min(int(level), 6) if level.isdecimal() and int(level) else 1) + " " + " ".join(text.split())
        elif text:
            text = escaped(text)
        after, self._after = self._after, []
        yield from (line for line in (text, *after) if line)

    def _inline(self, element: ElementTree.Element, depth: int) -> Iterator[str]:
        if depth > DEPTH_MAX:
            raise ValueError("The elements are nested too deeply.")
        yield element.text or ""
        for child in element:
            match name_of(child):
                case "s":
                    count = attribute(child, "c")
                    yield " " * (min(int(count), SPACES_MAX) if count.isdecimal() else 1)
                case "tab":
                    yield " "
                case "line-break":
                    yield "\n"
                case "note":
                    self._after += [f"Note: {line}" for line in self._note(child, depth)]
                case "annotation":
                    self._after.append(self._annotation(child, depth))
                case "frame" | "text-box" | "custom-shape" | "rect" | "g":
                    self._after += list(_Walk().blocks(child, depth + 1))
                case name if name not in SKIPPED:
                    yield from self._inline(child, depth + 1)
            yield child.tail or ""

    def _note(self, note: ElementTree.Element, depth: int) -> list[str]:
        body = note.find(f"{ANY}note-body")
        return [] if body is None else list(_Walk().blocks(body, depth + 1))

    def _annotation(self, element: ElementTree.Element, depth: int) -> str:
        creator = element.find(f"{ANY}creator")
        who = "" if creator is None or not creator.text else f" ({' '.join(creator.text.split())})"
        paragraphs = [child for child in element if name_of(child) in ("p", "list")]
        return f"Comment{who}: " + " ".join(line for each in paragraphs for line in _Walk().blocks(each, depth + 1))

    def _cells(self, row: ElementTree.Element, depth: int) -> list[str]:
        cells: list[str] = []
        for cell in row:
            if name_of(cell) in ("table-cell", "covered-table-cell"):
                text = " ".join(line for child in cell for line in self.blocks(child, depth + 1))
                repeated = attribute(cell, "number-columns-repeated")
                times = int(repeated) if repeated.isdecimal() else 1
                cells += [text] * min(times, COLUMNS_MAX - len(cells))
        while cells and not cells[-1]:
            cells.pop()
        return cells


def _rows(element: ElementTree.Element) -> Iterator[ElementTree.Element]:
    """The rows of a table, not those of tables in its cells."""
    for child in element:
        if name_of(child) == "table-row":
            yield child
        elif name_of(child) in ("table-rows", "table-header-rows", "table-row-group"):
            yield from _rows(child)


def _is_hidden(element: ElementTree.Element) -> bool:
    return attribute(element, "display") == "none" and name_of(element) in ("section", "page")


def _headers(parts: zipfile.ZipFile) -> Iterator[str]:
    if "styles.xml" not in parts.namelist():
        return
    for page in within(tree_of(parts, "styles.xml"), "master-page"):
        for element in page:
            if name_of(element).startswith(("header", "footer")):
                yield from _Walk().blocks(element, 0)
