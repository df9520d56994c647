"""Groups of rows between blank rows, and what single cells are: blank, a value or text. Pure."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from shared.formats.tables import moments, numerals
from shared.formats.tables.units import is_unit

HEAD_ROWS = 40  # of a block, among which the header is looked for
BLOCKS_MAX = 200  # groups of rows between blank rows; of a file with more only the first table's start is known
FOOTER_ROWS = 12
ROWS_AT_ONCE = 64
Row = Sequence[Any]


@dataclass(kw_only=True)
class Block:
    """Consecutive rows without a blank one: rows `first` to `last`, of which the start and the end are held."""

    first: int
    last: int
    head: list[Row] = field(default_factory=list)
    tail: deque[Row] = field(default_factory=lambda: deque(maxlen=FOOTER_ROWS))
    widths: Counter[int] = field(default_factory=Counter)  # filled cells -> rows
    places: set[int] = field(default_factory=set)  # columns with a cell

    @property
    def rows(self) -> int:
        return self.last - self.first + 1

    @property
    def width(self) -> int:
        """Filled cells of most rows."""
        return max(self.widths.items(), key=lambda item: (item[1], item[0]))[0]

    def add(self, number: int, row: Row, places: Sequence[int]) -> None:
        self.places.update(places)
        if len(self.head) < HEAD_ROWS:
            self.head.append(row)
        self.widths[len(places)] += 1
        self.last = number
        self.tail.append(row)

    def alike(self, rows: Sequence[Row]) -> None:
        """Add rows that are as full as the last one."""
        self.widths[len(rows[0])] += len(rows)
        self.last += len(rows)
        self.tail.extend(rows)


def blank(cell: Any) -> bool:
    return cell is None or cell == "" or (isinstance(cell, str) and not cell.strip())


def filled(row: Row) -> list[int]:
    return [
        place
        for place, cell in enumerate(row)
        if cell is not None and cell != "" and not (cell.__class__ is str and cell.isspace())
    ]


def kind_of(cell: Any) -> str:
    """`blank`, `value` (a number or a date) or `text`."""
    if cell is None:
        return "blank"
    if not isinstance(cell, str):
        return "value"
    text = cell.strip()
    if not text or numerals.is_missing(text):
        return "blank"
    if text[0].isalpha() and not text[-1].isdigit() and text[-1] not in ".)":
        return "text"
    figure = numerals.numeral(text)
    if figure and (not figure.unit or not figure.glued or is_unit(figure.unit)):
        return "value"
    if moments.moment(text) or moments.seconds(text, short=True) is not None:
        return "value"
    return "text"


def text_of(cell: Any) -> str:
    if isinstance(cell, float) and cell == int(cell):
        return str(int(cell))
    return "" if cell is None else re.sub(r"\s+", " ", str(cell)).strip()


def blocks_of(rows: Iterable[Row]) -> list[Block]:
    """The groups of rows between blank rows; at most `BLOCKS_MAX`, the last of which goes on to the end."""
    blocks: list[Block] = []
    is_open = False
    usual = -1  # width of the last row, when it was full
    rows, number = iter(rows), 0
    while batch := list(islice(rows, ROWS_AT_ONCE)):
        # For speed: rows that are as full as the last one, and all alike.
        if is_open and len(blocks[-1].head) == HEAD_ROWS and {*map(len, batch)} == {usual} and all(map(all, batch)):
            blocks[-1].alike(batch)
            number += len(batch)
            continue
        for row in batch:
            places = filled(row)
            if not places:
                is_open = len(blocks) == BLOCKS_MAX
            elif not is_open:
                blocks.append(Block(first=number, last=number))
                is_open = True
            if places:
                blocks[-1].add(number, row, places)
                usual = len(row) if len(places) == len(row) else -1
            number += 1
    return blocks
