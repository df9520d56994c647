"""The cells of a sheet or of a text file, before anything is decided about them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import Any

from shared.formats.tables.blocks import blank, filled
from shared.formats.tables.sheet_facts import SheetFacts

SAMPLE_ROWS = 3_000
SAMPLE_CHARS = 500_000
ROWS_AT_ONCE = 32  # read before their size is looked at
BATCH_BYTES = 256 * 1024  # of rows that are handled together

Row = Sequence[Any]


@dataclass(frozen=True, kw_only=True)
class Grid:
    """`rows` gives all rows from the start, blank ones included, each time that it is called."""

    name: str  # of the sheet; "" when the file is one table
    rows: Callable[[], Iterable[Row]]
    is_text: bool = False  # every cell is a string
    is_plain: bool = True  # as far as the file is concerned, pandas reads it without options
    notes: tuple[str, ...] = ()  # how the file is read, and what the reader should know
    names: tuple[str, ...] = ()  # of the columns, when the format states them; then there is no header row
    default_decimal: str = ""  # what decides for `1.234` when no column does
    first_row: int = 0  # of `rows` within the sheet, counted from 0
    first_column: int = 0
    facts: SheetFacts = field(default_factory=SheetFacts)


def merged(grid: Grid) -> Grid:
    """The grid with the text of merged cells repeated in each of their rows. A number stays in the first row only."""
    ranges = [area for area in grid.facts.merged if area[2] > area[0]]
    if not ranges:
        return grid
    first_row, first_column = grid.first_row, grid.first_column
    starts = {(area[0] - first_row, area[1] - first_column): area[2] - first_row for area in ranges}
    columns = {column for _, column in starts}

    def rows() -> Iterator[Row]:
        values: dict[int, tuple[int, Any]] = {}  # column -> last row, text
        for number, row in enumerate(grid.rows()):
            cells = list(row)
            for column in columns:
                if column >= len(cells):
                    continue
                if (number, column) in starts and isinstance(cells[column], str):
                    values[column] = (starts[number, column], cells[column])
                elif column in values and number <= values[column][0] and blank(cells[column]):
                    cells[column] = values[column][1]
            yield cells

    return replace(grid, rows=rows)


def side_by_side(grid: Grid) -> list[Grid]:
    """The grids of tables that stand beside each other, separated by empty columns.

    An empty column alone may only be a spacer: the tables are separate when they begin or end in different rows, or
    when their columns have the same names.
    """
    if grid.is_text and not start_of(grid.rows())[1]:
        return [grid]  # a long text file is an export of one table
    spans: dict[int, list[int]] = {}  # column -> first and last row, of rows that are more than a title
    heads: dict[int, str] = {}
    used: set[int] = set()
    for number, row in enumerate(grid.rows()):
        places = filled(row)
        used.update(places)
        for place in places if len(places) > 1 else ():
            spans.setdefault(place, [number, number])[1] = number
            heads.setdefault(place, str(row[place]))
    groups: list[list[int]] = []
    for place in sorted(used):
        if not groups or place > groups[-1][-1] + 1:
            groups.append([])
        groups[-1].append(place)
    groups = [group for group in groups if any(place in spans for place in group)]
    if len(groups) < 2 or min(map(len, groups)) < 2:
        return [grid]
    extents = [
        (min(spans[p][0] for p in group if p in spans), max(spans[p][1] for p in group if p in spans))
        for group in groups
    ]
    names = [tuple(heads.get(place, "") for place in group) for group in groups]
    if len(set(extents)) == 1 and len(set(names)) == len(names):
        return [grid]
    ends = [group[0] - 1 for group in groups[1:]] + [max(used)]
    starts = [0, *(group[0] for group in groups[1:])]  # columns without a table go to the one before, or to the first
    return [_part(grid, first, last) for first, last in zip(starts, ends, strict=True)]


def _part(grid: Grid, first: int, last: int) -> Grid:
    def rows() -> Iterator[Row]:
        return (row[first : last + 1] for row in grid.rows())

    name = f"{grid.name} {letter(grid.first_column + first)}-{letter(grid.first_column + last)}".strip()
    notes = (*grid.notes, f"one of several tables beside each other, at {name!r}")
    return replace(grid, name=name, rows=rows, notes=notes, first_column=grid.first_column + first, is_plain=False)


def start_of(rows: Iterable[Sequence[Any]]) -> tuple[list[Any], bool]:
    """The first rows, bounded in number and size, and whether these are all."""
    found: list[Any] = []
    chars = 0
    for row in rows:
        if len(found) >= SAMPLE_ROWS or chars > SAMPLE_CHARS:
            return found, False
        found.append(row)
        chars += len(row) + sum(len(cell) if isinstance(cell, str) else 8 for cell in row)
    return found, True


def batches(rows: Iterable[Row], width: int = 0) -> Iterator[list[Row]]:
    """Lists of rows with about `BATCH_BYTES` each. Bounded by size, not by number, because a cell may be long.

    Args:
        width: The cells to which the caller fills up each row.
    """
    batch: list[Row] = []
    size = 0
    rows = iter(rows)
    while more := list(islice(rows, ROWS_AT_ONCE)):
        batch += more
        cells = list(chain.from_iterable(more))
        try:
            size += sum(map(len, cells))
        except TypeError:  # numbers and dates of a workbook
            size += sum(len(cell) for cell in cells if isinstance(cell, str))
        size += 50 * len(cells) + 8 * width * len(more)  # the overhead of a Python string is about 50 bytes
        if size > BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def letter(column: int) -> str:
    """The letters of a column: 0 -> A, 26 -> AA."""
    text, number = "", column + 1
    while number:
        number, rest = divmod(number - 1, 26)
        text = chr(65 + rest) + text
    return text
