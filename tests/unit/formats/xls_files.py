"""Writes old Excel workbooks (XLS): https://learn.microsoft.com/openspecs/office_file_formats/ms-xls"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

from tests.unit.formats.compound_files import compound

Cell = str | float | tuple[float, int]  # a number may have the place of its format in `formats`, from 1


def xls(
    rows: Sequence[Sequence[Cell]],
    *,
    name: str = "Sales",
    formats: Sequence[str] = (),
    hidden_rows: Iterable[int] = (),
    hidden_columns: Iterable[int] = (),
    hidden: bool = False,
) -> bytes:
    """A workbook of one sheet."""
    begin = _record(0x0809, struct.pack("<HHHHII", 0x0600, 0x0005, 0x0DBB, 0x07CC, 0, 6))
    parts = [begin, _record(0x0042, struct.pack("<H", 1200)), _record(0x0022, bytes(2))]
    parts += [_record(0x041E, struct.pack("<H", 163 + n) + _text(code, 2)) for n, code in enumerate(formats, 1)]
    parts += [_record(0x00E0, struct.pack("<HHH14x", 0, 163 + n if n else 0, 0)) for n in range(len(formats) + 1)]
    end = _record(0x000A, b"")
    at = sum(map(len, parts)) + len(end) + 4 + 6 + 2 + len(name)
    parts.append(_record(0x0085, struct.pack("<IBB", at, 1 if hidden else 0, 0) + _text(name, 1)))
    sheet = [_record(0x0809, struct.pack("<HHHHII", 0x0600, 0x0010, 0x0DBB, 0x07CC, 0, 6))]
    sheet += [_record(0x007D, struct.pack("<HHHHHH", column, column, 2000, 0, 1, 0)) for column in hidden_columns]
    width = max(map(len, rows))
    sheet.append(_record(0x0200, struct.pack("<IIHHH", 0, len(rows), 0, width, 0)))
    sheet += [_record(0x0208, struct.pack("<HHHHHHI", row, 0, width, 255, 0, 0, 0x120)) for row in hidden_rows]
    for row, cells in enumerate(rows):
        sheet += [_cell(row, column, cell) for column, cell in enumerate(cells)]
    return compound({"Workbook": b"".join([*parts, end, *sheet, end])})


def _cell(row: int, column: int, cell: Cell) -> bytes:
    if isinstance(cell, str):
        return _record(0x0204, struct.pack("<HHH", row, column, 0) + _text(cell, 2))
    value, style = cell if isinstance(cell, tuple) else (cell, 0)
    return _record(0x0203, struct.pack("<HHHd", row, column, style, value))


def _text(text: str, size_bytes: int) -> bytes:
    if text.isascii():
        return len(text).to_bytes(size_bytes, "little") + b"\0" + text.encode("ascii")
    return len(text).to_bytes(size_bytes, "little") + b"\1" + text.encode("utf-16-le")


def _record(kind: int, content: bytes) -> bytes:
    return struct.pack("<HH", kind, len(content)) + content
