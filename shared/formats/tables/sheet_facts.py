"""What the XML of a workbook says beside the values: number formats, hidden rows, merged cells, empty formulas.

python-calamine reads the values, fast, and nothing of this. The XML is parsed by expat, element by element; it must be
of bounded size, as `workbook.py` checks.
"""

from __future__ import annotations

import posixpath
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO
from xml.etree import ElementTree
from xml.parsers import expat

FORMATS_MAX = 400_000  # cells with a number format of their own that are remembered
MERGED_MAX = 20_000
# ECMA-376, part 1, 18.8.30: the number formats without a code in the file.
BUILT_IN = {5: '"$"#,##0', 6: '"$"#,##0', 7: '"$"#,##0.00', 8: '"$"#,##0.00', 9: "0%", 10: "0.00%", 42: '"$"#,##0'}
BUILT_IN[44] = '"$"#,##0.00'


@dataclass(kw_only=True)
class SheetFacts:
    """Rows and columns are counted from 0."""

    hidden_rows: set[int] = field(default_factory=set)
    hidden_columns: set[int] = field(default_factory=set)
    merged: list[tuple[int, int, int, int]] = field(default_factory=list)  # first row, first column, last row, last one
    formats: dict[tuple[int, int], str] = field(default_factory=dict)  # of cells with a format that changes the value
    unvalued: dict[tuple[int, int], str] = field(default_factory=dict)  # formulas without a stored value


def facts_of(content: IO[bytes], names: list[str]) -> dict[str, SheetFacts]:
    """The facts of the sheets, by name. A sheet whose XML is not found has none."""
    content.seek(0)
    with zipfile.ZipFile(content) as parts:
        formats = _formats(parts)
        paths = _paths(parts)
        known = set(parts.namelist())
        return {
            name: _Sheet(formats).read(parts.open(paths[name]))
            for name in names
            if name in paths and paths[name] in known
        }


def _root(parts: zipfile.ZipFile, name: str) -> ElementTree.Element | None:
    try:
        return ElementTree.fromstring(parts.read(name))  # noqa: S314 - expat itself stops bombs
    except KeyError:
        return None


def _local(tag: str) -> str:
    return tag.rsplit("}", 1)[-1]


def _elements(root: ElementTree.Element | None, name: str) -> Iterator[ElementTree.Element]:
    yield from (element for element in (root.iter() if root is not None else ()) if _local(element.tag) == name)


def _paths(parts: zipfile.ZipFile) -> dict[str, str]:
    """The name of each sheet -> the part that holds it."""
    targets = {
        element.get("Id", ""): element.get("Target", "")
        for element in _elements(_root(parts, "xl/_rels/workbook.xml.rels"), "Relationship")
    }
    paths: dict[str, str] = {}
    for sheet in _elements(_root(parts, "xl/workbook.xml"), "sheet"):
        ids = [value for key, value in sheet.attrib.items() if _local(key) == "id"]
        target = targets.get(ids[0] if ids else "", "")
        paths[sheet.get("name", "")] = target[1:] if target.startswith("/") else posixpath.normpath(f"xl/{target}")
    return paths


def _formats(parts: zipfile.ZipFile) -> list[str]:
    """The code of each cell style's number format; "" for those that do not change what a number means."""
    root = _root(parts, "xl/styles.xml")
    codes = dict(BUILT_IN)
    for element in _elements(root, "numFmt"):
        codes[int(element.get("numFmtId", "0"))] = element.get("formatCode", "")
    styles = next(_elements(root, "cellXfs"), None)
    return [
        of_value(codes.get(int(style.get("numFmtId", "0")), "")) for style in (styles if styles is not None else ())
    ]


def of_value(code: str) -> str:
    """The code of a number format if it changes what a number means, else ""."""
    return code if re.search(r"[%$€£¥\"\[]|^0{2,}$", code) and not _is_of_time(code) else ""


def _is_of_time(code: str) -> bool:
    bare = re.sub(r'"[^"]*"|\\.|\[\$[^\]]*\]|\[(?:Red|Blue|Green|Black|White|Color\d+|[<>=][^\]]*)\]', "", code)
    return bool(re.search(r"[ymdhs]", bare, re.IGNORECASE))


def place_of(reference: str) -> tuple[int, int]:
    """`B3` -> row 2, column 1."""
    found = re.fullmatch(r"\$?([A-Z]{1,3})\$?(\d{1,7})", reference)
    if not found:
        return -1, -1
    column = 0
    for letter in found[1]:
        column = column * 26 + ord(letter) - 64
    return int(found[2]) - 1, column - 1


def _refuse(*_: object) -> None:
    raise ValueError("a document type")


class _Sheet:
    """Reads the XML of one sheet, without its values."""

    def __init__(self, formats: list[str]) -> None:
        self._formats = formats
        self._facts = SheetFacts()
        self._row = -1
        self._column = -1
        self._style = ""
        self._formula: list[str] | None = None
        self._in_formula = self._in_value = self._is_text = self._has_value = False

    def read(self, xml: IO[bytes]) -> SheetFacts:
        parser = expat.ParserCreate(namespace_separator="}")
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = _refuse
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        with xml:
            parser.ParseFile(xml)
        return self._facts

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        tag = tag.rsplit("}", 1)[-1]
        if tag == "c":
            self._row, self._column = place_of(attributes["r"]) if "r" in attributes else (self._row, self._column + 1)
            self._style = attributes.get("s", "")
            self._formula, self._has_value, self._is_text = None, False, attributes.get("t") == "str"
        elif tag in ("v", "is"):
            self._in_value = True
            self._has_value = self._is_text
        elif tag == "f":
            self._formula, self._in_formula = [], True
        elif tag == "row":
            self._row = int(attributes.get("r", self._row + 2)) - 1
            self._column = -1
            if attributes.get("hidden") in ("1", "true"):
                self._facts.hidden_rows.add(self._row)
        elif tag == "col" and attributes.get("hidden") in ("1", "true"):
            first, last = int(attributes.get("min", "1")) - 1, int(attributes.get("max", "1")) - 1
            self._facts.hidden_columns.update(range(first, min(last, first + 1_000) + 1))
        elif tag == "mergeCell" and len(self._facts.merged) < MERGED_MAX:
            first_cell, _, last_cell = attributes.get("ref", "").partition(":")
            self._facts.merged.append((*place_of(first_cell), *place_of(last_cell or first_cell)))

    def _text(self, text: str) -> None:
        if self._in_formula and self._formula is not None:
            self._formula.append(text)
        elif self._in_value:
            self._has_value = True

    def _end(self, tag: str) -> None:
        tag = tag.rsplit("}", 1)[-1]
        if tag == "f":
            self._in_formula = False
        elif tag in ("v", "is"):
            self._in_value = False
        elif tag == "c":
            place = (self._row, self._column)
            if self._formula is not None and not self._has_value:
                self._facts.unvalued[place] = "".join(self._formula)
            style = int(self._style) if self._style.isdigit() else len(self._formats)
            code = self._formats[style] if style < len(self._formats) else ""
            if code and len(self._facts.formats) < FORMATS_MAX:
                self._facts.formats[place] = code
