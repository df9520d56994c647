"""Helpers for the tests of tables: read a file and see its clean copies and what the card says of it."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

import openpyxl  # type: ignore[import-untyped]

from shared.formats.datacards import read_data


@dataclass(frozen=True, kw_only=True)
class Read:
    """`copies` has the rows of each clean copy, the header included; empty for a plain file."""

    names: list[str]
    copies: list[list[list[str]]]
    card: str
    notice: str
    is_plain: bool

    def column(self, name: str, copy: int = 0) -> list[str]:
        place = self.copies[copy][0].index(name)
        return [row[place] for row in self.copies[copy][1:]]

    def total(self, name: str, copy: int = 0) -> float:
        return sum(float(cell) for cell in self.column(name, copy) if cell)


def read(content: bytes, ending: str = "csv") -> Read:
    tables, card = read_data(f"file.{ending}", ending, io.BytesIO(content))
    with tables:
        files = tables.copies(f"file.{ending}")
        copies = [list(csv.reader(io.StringIO(copy.read().decode(), newline=""))) for _, copy in files]
        notice = card.notice.message if card.notice else ""
        return Read(
            names=[name for name, _ in files],
            copies=copies,
            card=card.markdown,
            notice=notice,
            is_plain=tables.is_plain,
        )


def copy_of(content: bytes, ending: str = "csv") -> str:
    """The first clean copy in one line: `a,b / 1,2`; "" for a plain file."""
    found = read(content, ending)
    return " / ".join(",".join(row) for row in found.copies[0]) if found.copies else ""


def put(sheet: openpyxl.worksheet.worksheet.Worksheet, rows: Sequence[Sequence[object]], at: str = "A1") -> None:
    first = sheet[at]
    for down, row in enumerate(rows):
        for right, cell in enumerate(row):
            if cell is not None:
                sheet.cell(first.row + down, first.column + right, cell)


def saved(book: openpyxl.Workbook) -> bytes:
    content = io.BytesIO()
    book.save(content)
    book.close()
    return content.getvalue()
