"""What an old Excel workbook says beside the values: number formats, hidden rows and columns.

Source: https://learn.microsoft.com/openspecs/office_file_formats/ms-xls, 2.4
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import IO

from shared.formats.compound import Compound
from shared.formats.tables.sheet_facts import BUILT_IN, FORMATS_MAX, SheetFacts, of_value

BEGIN, END, SHEET, FORMAT, STYLE = 0x0809, 0x000A, 0x0085, 0x041E, 0x00E0
ROW, COLUMNS, FORMULA, NUMBER, SMALL, SMALL_NUMBERS = 0x0208, 0x007D, 0x0006, 0x0203, 0x027E, 0x00BD
UNICODE_VERSION = 0x0600  # of the format: texts are in Unicode since Excel 97
HIDDEN_ROW = 0x20
COLUMNS_MAX = 256
SHEETS_MAX = 1_000
RECORDS_MAX = 5_000_000  # of all sheets


def xls_facts(content: IO[bytes]) -> dict[str, SheetFacts]:
    """The facts of the sheets, by name.

    Raises:
        DamagedCompound, struct.error: the file is damaged.
    """
    file = Compound(content)
    streams = file.children(file.root)
    book = file.read(streams["Workbook" if "Workbook" in streams else "Book"])
    codes = dict(BUILT_IN)
    styles: list[str] = []
    sheets: dict[str, int] = {}
    is_unicode = True
    for kind, record in _records(book, 0):
        if kind == BEGIN:
            is_unicode = struct.unpack_from("<H", record)[0] >= UNICODE_VERSION
        elif kind == SHEET:
            (begin,) = struct.unpack_from("<I", record)
            sheets[_text(record[6:], is_unicode)] = begin
        elif kind == FORMAT:
            (number,) = struct.unpack_from("<H", record)
            codes[number] = _text(record[2:], is_unicode, long=is_unicode)
        elif kind == STYLE:
            (number,) = struct.unpack_from("<H", record, 2)
            styles.append(of_value(codes.get(number, "")))
    # A hostile file gives one place many names, or begins sheets within one another.
    found = {begin: SheetFacts() for begin in sorted(set(sheets.values()))[:SHEETS_MAX]}
    left = RECORDS_MAX
    for begin in found:
        found[begin], left = _sheet(book, begin, styles, left)
    return {name: found[begin] for name, begin in sheets.items() if begin in found}


def _records(book: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """Kind and content of the records from `at` to the end of the sheet, without those of charts in it."""
    depth = 0
    while at + 4 <= len(book):
        kind, size_bytes = struct.unpack_from("<HH", book, at)
        depth += {BEGIN: 1, END: -1}.get(kind, 0)
        if depth == 1 or (depth == 0 and kind == BEGIN):
            yield kind, book[at + 4 : at + 4 + size_bytes]
        if depth <= 0:
            return
        at += 4 + size_bytes


def _text(raw: bytes, is_unicode: bool, *, long: bool = False) -> str:
    count = int.from_bytes(raw[: 2 if long else 1], "little")
    raw = raw[2 if long else 1 :]
    if not is_unicode:
        return raw[:count].decode("cp1252", "replace")
    is_wide = raw[:1] and raw[0] & 1
    return raw[1 : 1 + 2 * count].decode("utf-16-le", "replace") if is_wide else raw[1 : 1 + count].decode("latin-1")


def _sheet(book: bytes, begin: int, styles: list[str], left: int) -> tuple[SheetFacts, int]:
    """The facts of a sheet, and how many records may still be read."""
    facts = SheetFacts()
    for kind, record in _records(book, begin):
        left -= 1
        if left < 0:
            break
        if kind == ROW:
            row, flags = struct.unpack_from("<H10xH", record)
            if flags & HIDDEN_ROW:
                facts.hidden_rows.add(row)
        elif kind == COLUMNS:
            first, last, flags = struct.unpack_from("<HH4xH", record)
            if flags & 1:
                facts.hidden_columns.update(range(first, min(last + 1, COLUMNS_MAX)))
        else:
            for row, column, style in _cells(kind, record):
                if style < len(styles) and styles[style] and len(facts.formats) < FORMATS_MAX:
                    facts.formats[row, column] = styles[style]
    return facts, max(left, 0)


def _cells(kind: int, record: bytes) -> Iterator[tuple[int, int, int]]:
    """Row, column and style of each number in a record."""
    if kind in (NUMBER, SMALL, FORMULA):
        yield struct.unpack_from("<HHH", record)
    elif kind == SMALL_NUMBERS:
        row, first = struct.unpack_from("<HH", record)
        for number, place in enumerate(range(4, len(record) - 2, 6)):
            (style,) = struct.unpack_from("<H", record, place)
            yield row, first + number, style
