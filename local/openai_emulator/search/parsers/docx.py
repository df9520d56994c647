"""Word documents: paragraphs, headings and tables in reading order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from lxml import etree  # type: ignore[import-untyped]

from local.openai_emulator.search.parsers.base import Section
from local.openai_emulator.search.parsers.ooxml import Package, attribute, local, opened

_BREAKS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
# Skip `Fallback`, the second copy of a text box in old markup, and deleted text, which stays in the file.
_SKIPPED = {"Fallback", "del", "moveFrom", "instrText", "delText", "rPr", "pPr", "tblPr", "sectPr"}
_HEADING = re.compile(r"(heading \d|title)$", re.IGNORECASE)


def parse_docx(path: Path) -> list[Section]:
    with opened(path) as package:
        headings = _heading_styles(package)
        body = next((e for e in package.xml("word/document.xml") if local(e) == "body"), None)
        blocks = [] if body is None else list(_blocks(body, headings))
        blocks += [(False, text) for text in _notes(package)]
    return _sections(blocks)


def _sections(blocks: list[tuple[bool, str]]) -> list[Section]:
    """One section for each heading; a heading that directly follows another one gets a section without text."""
    sections: list[Section] = []
    heading: str | None = None
    lines: list[str] = []
    for is_heading, text in [*blocks, (True, "")]:
        if not is_heading:
            lines.append(text)
            continue
        if lines or heading:
            sections.append(Section(text="\n".join(lines), heading=heading))
        heading, lines = " ".join(text.split()) or None, []
    return sections


def _blocks(parent: etree._Element, headings: set[str]) -> Iterator[tuple[bool, str]]:
    """(is a heading, text) of every paragraph and table row in `parent`."""
    for element in parent:
        match local(element):
            case "p":
                if text := _text(element).strip():
                    yield _style(element) in headings, text
            case "tbl":
                yield from ((False, row) for row in _rows(element))
            case "sdt" | "sdtContent" | "customXml" | "ins" | "smartTag":
                yield from _blocks(element, headings)


def _rows(table: etree._Element) -> Iterator[str]:
    for row in table:
        if local(row) == "tr":
            cells = [" ".join(_text(cell).split()) for cell in row.iter() if local(cell) == "tc" and _within(cell, row)]
            if any(cells):
                yield " | ".join(cells)


def _within(cell: etree._Element, row: etree._Element) -> bool:
    """Whether the cell belongs to this row, not to a table nested in the row."""
    parent = cell.getparent()
    while parent is not None and local(parent) != "tr":
        parent = parent.getparent()
    return parent is row


def _text(element: etree._Element) -> str:
    """All text in an element; nested paragraphs (cells, text boxes) on separate lines."""
    parts: list[str] = []
    stack = list(reversed(element))
    while stack:
        node = stack.pop()
        name = local(node)
        if name in _SKIPPED:
            continue
        if name == "t":
            parts.append(node.text or "")
        elif name in _BREAKS:
            parts.append(_BREAKS[name])
        elif name in ("p", "tc"):
            parts.append("\n")
        stack.extend(reversed(node))
    return "".join(parts)


def _style(paragraph: etree._Element) -> str | None:
    for properties in paragraph:
        if local(properties) == "pPr":
            return next((attribute(e, "val") for e in properties if local(e) == "pStyle"), None)
    return None


def _heading_styles(package: Package) -> set[str]:
    """The ids of the heading styles. Word translates the ids ("berschrift1") but not the names ("heading 1")."""
    try:
        styles = package.xml("word/styles.xml")
    except KeyError:
        return set()
    return {
        attribute(style, "styleId") or ""
        for style in styles
        if local(style) == "style"
        and any(local(e) == "name" and _HEADING.match(attribute(e, "val") or "") for e in style)
    } - {""}


def _notes(package: Package) -> Iterator[str]:
    for part in ("word/footnotes.xml", "word/endnotes.xml"):
        try:
            notes = package.xml(part)
        except KeyError:
            continue
        yield from (text for note in notes if (text := _text(note).strip()))
