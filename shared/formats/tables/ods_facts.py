"""What an OpenDocument spreadsheet says beside the values: number formats, hidden rows and columns.

Source: https://docs.oasis-open.org/office/OpenDocument/v1.3/os/part3-schema/, 9.1 and 16.29
"""

from __future__ import annotations

import zipfile
from bisect import bisect_right
from collections.abc import Iterator
from typing import IO
from xml.etree import ElementTree

from shared.formats.packages import Checked, attribute, name_of
from shared.formats.tables.sheet_facts import FORMATS_MAX, SheetFacts, of_value

CONTENT_MAX_BYTES = 1024 * 1024 * 1024  # read row by row
HIDDEN = ("collapse", "filter")
ROWS_MAX, COLUMNS_MAX = 1_048_576, 16_384
REPEATED_MAX = 10_000  # hidden rows or columns of one element: the rest of a sheet may be hidden as a whole
HIDDEN_MAX = 1_000_000  # rows of the whole file
DATA_STYLES = frozenset({"number-style", "percentage-style", "currency-style"})


def ods_facts(content: IO[bytes]) -> dict[str, SheetFacts]:
    """The facts of the sheets, by name.

    Raises:
        ValueError, zipfile.BadZipFile, ...: `DAMAGED` of packages.py.
    """
    content.seek(0)
    with zipfile.ZipFile(content) as parts, parts.open("content.xml") as source:
        reader = _Reader()
        for event, element in ElementTree.iterparse(  # noqa: S314 - expat itself stops bombs, and there is no DOCTYPE
            Checked(source, CONTENT_MAX_BYTES), events=("start", "end")
        ):
            (reader.start if event == "start" else reader.end)(element, name_of(element))
        return reader.found


class _Reader:
    def __init__(self) -> None:
        self.found: dict[str, SheetFacts] = {}
        self._codes: dict[str, str] = {}  # name of a data style -> code of a number format
        self._styles: dict[str, str] = {}  # name of a cell style -> code
        self._facts = SheetFacts()
        self._row = self._column = self._depth = 0
        self._ends: list[int] = []  # behind the last column of each element for columns
        self._defaults: list[str] = []  # the code of their cells
        self._hidden_left, self._formats_left = HIDDEN_MAX, FORMATS_MAX

    def start(self, element: ElementTree.Element, name: str) -> None:
        if name == "table":
            self._depth += 1
            if self._depth == 1:  # a table within a cell is none of the sheet
                self._facts = self.found.setdefault(attribute(element, "name"), SheetFacts())
                self._row = self._column = 0
                self._ends, self._defaults = [], []

    def end(self, element: ElementTree.Element, name: str) -> None:
        if name in DATA_STYLES:
            self._codes[attribute(element, "name")] = of_value(_code(element, name))
        elif name == "style" and attribute(element, "family") == "table-cell":
            code = self._codes.get(attribute(element, "data-style-name"), "")
            self._styles[attribute(element, "name")] = code
        elif name == "table":
            self._depth -= 1
        elif self._depth == 1 and name == "table-column":
            self._end_column(element)
        elif self._depth == 1 and name == "table-row":
            self._end_row(element)
            element.clear()  # what was read takes little memory

    def _end_column(self, element: ElementTree.Element) -> None:
        count = _repeated(element, "columns", COLUMNS_MAX)
        if self._column >= COLUMNS_MAX:
            return
        if attribute(element, "visibility") in HIDDEN:
            self._facts.hidden_columns.update(range(self._column, self._column + min(count, REPEATED_MAX)))
        self._column += count
        self._ends.append(self._column)
        self._defaults.append(self._styles.get(attribute(element, "default-cell-style-name"), ""))

    def _end_row(self, element: ElementTree.Element) -> None:
        count = _repeated(element, "rows", ROWS_MAX)
        rows = range(self._row, min(self._row + min(count, REPEATED_MAX), ROWS_MAX))
        if attribute(element, "visibility") in HIDDEN:
            hidden = rows[: self._hidden_left]
            self._hidden_left -= len(hidden)
            self._facts.hidden_rows.update(hidden)
        for column, code in self._formats(element):
            kept = rows[: self._formats_left]
            if not kept:
                break
            self._formats_left -= len(kept)
            self._facts.formats.update({(row, column): code for row in kept})
        self._row += count

    def _formats(self, row: ElementTree.Element) -> Iterator[tuple[int, str]]:
        """Column and code of each number of a row whose format changes what it means."""
        column = 0
        for cell in row:
            if name_of(cell) not in ("table-cell", "covered-table-cell"):
                continue
            count = _repeated(cell, "columns", COLUMNS_MAX)
            if attribute(cell, "value"):
                code = self._code_of(cell, column)
                yield from ((each, code) for each in range(column, column + min(count, REPEATED_MAX)) if code)
            column += count

    def _code_of(self, cell: ElementTree.Element, column: int) -> str:
        kind = attribute(cell, "value-type")
        style = attribute(cell, "style-name")
        place = bisect_right(self._ends, column)
        default = self._defaults[place] if place < len(self._defaults) else ""
        code = self._styles.get(style, "") if style else default
        if kind == "percentage":
            return code or "0%"
        currency = attribute(cell, "currency") if kind == "currency" else ""
        return code or (f'0.00 "{currency}"' if currency.isalpha() else "")


def _code(style: ElementTree.Element, name: str) -> str:
    """The code of a number format that has the same signs around the number."""
    pieces = []
    for each in style:
        match name_of(each):
            case "number" | "scientific-number" | "fraction":
                digits = attribute(each, "min-integer-digits")
                zeros = int(digits) if digits.isdecimal() else 1
                pieces.append("0" * max(1, min(zeros, 20)))
            case "text" | "currency-symbol" if text := (each.text or "").replace('"', ""):
                is_percent = name == "percentage-style" and text.strip() == "%"
                pieces.append("%" if is_percent else f'"{text}"' if text.strip() else " ")
    return "".join(pieces).strip()


def _repeated(element: ElementTree.Element, what: str, most: int) -> int:
    text = attribute(element, f"number-{what}-repeated")
    return max(1, min(int(text), most)) if text.isdecimal() and len(text) < 10 else 1
