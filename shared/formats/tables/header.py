"""Which rows of a block are its header, and which row names units. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shared.formats.tables.blocks import HEAD_ROWS, Block, Row, blank, filled, kind_of, text_of
from shared.formats.tables.units import is_unit

NO_UNIT = frozenset({"", "-", "–", "text", "string", "unit", "units", "einheit", "einheiten", "none", "n/a"})
VALUES_BELOW = 0.6  # share of values below a cell that names a column of values
WIDE = 200  # columns that are looked at for the header
BELOW = 6  # rows below a header candidate that are compared with it


def header_in(block: Block) -> tuple[int, int | None, float]:
    """The first and the last header row within the block, and how many columns speak for it.

    None: the first row has values where the others have values, too: there is no header.
    """
    rows = block.head
    width = max(min(block.width, max(block.widths)), 1)
    best: int | None = None
    best_score = 0.0
    fullest = 0  # cells of a row above, of which a header has more, unless that row names groups of its columns
    valued: set[int] = set()  # columns that had a value above: no header stands below its values
    named: int | None = None  # the first row that names each column, and each differently
    for number, row in enumerate(rows[:HEAD_ROWS]):
        places = filled(row)[:WIDE]
        below = rows[number + 1 : number + 1 + BELOW]
        if len(places) >= 0.5 * min(width, WIDE) and (width == 1 or len(places) > 1):
            score = sum(_names_values(row, place, below) for place in places if place not in valued)
            # A sparse row below a fuller one, or below one that names all columns, is data: no upper row of a header.
            is_below_header = named in (None, number - 1) and number > 0 and len(filled(rows[number - 1])) >= fullest
            may_have_upper = is_below_header and len(below) > 1
            is_fullest = len(places) > fullest or (may_have_upper and _is_upper(rows[number - 1], row))
            if score > best_score and is_fullest:
                best, best_score = number, score
            if named is None and len({text_of(row[p]) for p in places if kind_of(row[p]) == "text"}) == width:
                named = number
            if not str(row[places[0]]).strip().endswith(":"):
                fullest = max(fullest, len(places))
                valued.update(place for place in places if kind_of(row[place]) == "value" and not _is_year(row[place]))
    if best is None:
        wide = [number for number, row in enumerate(rows) if len(filled(row)) >= 0.8 * width]
        best = wide[0] if wide else 0
        if any(kind_of(cell) == "value" for cell in rows[best]) and _has_values_below(rows[best], rows[best + 1 :]):
            return 0, None, 0
        return best, best, 0
    first = best
    is_below_full = best > 0 and len(filled(rows[best - 1])) >= len(filled(rows[best]))
    if is_below_full and are_units(rows[best], rows[best + 1 :], rows[best - 1]):
        first = best - 1
    while first > 0 and first > best - 2 and _is_upper(rows[first - 1], rows[first]):
        first -= 1
    return first, best, best_score


def _names_values(row: Row, place: int, below: Sequence[Row]) -> float:
    """How far the cell is a name above values: the share of values below it, 0 when it is not more than half.

    A year is a name, unless years stand below, too.
    """
    cells = [r[place] for r in below if place < len(r)]
    kinds = [kind for kind in map(kind_of, cells) if kind != "blank"]
    share = kinds.count("value") / len(kinds) if kinds else 0.0
    if share < VALUES_BELOW:
        return 0.0
    if kind_of(row[place]) == "text":
        return share
    return share if _is_year(row[place]) and not any(_is_year(cell) for cell in cells) else 0.0


def _is_year(cell: Any) -> bool:
    text = text_of(cell)
    return text.isdigit() and len(text) == 4 and 1900 <= int(text) <= 2100


def _has_values_below(row: Row, below: Sequence[Row]) -> bool:
    """Whether the row has values in at least half of the columns that have values below it."""
    columns = [
        place for place in range(len(row)) if any(kind_of(r[place]) == "value" for r in below[:BELOW] if place < len(r))
    ]
    values = [place for place in columns if kind_of(row[place]) == "value"]
    if values and all(_is_year(row[place]) for place in values):
        return any(_is_year(r[place]) for r in below[:BELOW] for place in values if place < len(r))
    return bool(columns) and 2 * len(values) >= len(columns)


def _is_upper(upper: Row, lower: Row) -> bool:
    """Whether a row names groups of the columns that the row below names: it has gaps or repeats there.

    Or the row below has none for the first column: that name stands for both rows. A row of data begins there.
    """
    places, below = filled(upper), set(filled(lower))
    if not places or (len(places) == 1 and places[0] <= min(below, default=0)):
        return False  # a title
    if any(kind_of(upper[place]) == "value" and not _is_year(upper[place]) for place in places):
        return False
    if any(str(upper[place]).strip().endswith(":") for place in places):
        return False
    names = [text_of(upper[place]) for place in places]
    groups = [place for place in places if place in below or place + 1 in below]
    has_gap = any(place not in places for place in below if place > places[0])
    return bool(groups) and (has_gap or len(set(names)) < len(names) or places[0] not in below)


def are_units(row: Row, below: Sequence[Row], header: Row) -> bool:
    """Whether a row below the header holds units: at least half of its cells are, and values stand below them.

    A word above other words is data, and so is its row, unless it says that the row holds units.
    """
    places = [place for place in filled(row) if place < len(header)]
    if not places or any(kind_of(row[place]) == "value" for place in places):
        return False
    if [text_of(row[place]) for place in places] == [text_of(header[place]) for place in places]:
        return False  # the header again
    units = [place for place in places if is_unit(text_of(row[place]))]
    if any(_is_word_of_column(row, place, below) for place in places if place not in units):
        return False
    values = [p for p in units if any(kind_of(r[p]) == "value" for r in below[:BELOW] if p < len(r))]
    return bool(values) and 2 * len(units) >= len(places) and 2 * len(values) >= len(units)


def _is_word_of_column(row: Row, place: int, below: Sequence[Row]) -> bool:
    cells = [r[place] for r in below[:BELOW] if place < len(r)]
    said = text_of(row[place]).strip("()[]{}<>: ").casefold()
    return said not in NO_UNIT and any(kind_of(cell) == "text" for cell in cells)


def lacks_a_name(header: Row, below: Sequence[Row]) -> bool:
    """Whether every row has one cell more than the header, as R writes tables with row names."""
    rows = below[:BELOW]
    if len(rows) < 2 or any(blank(cell) for cell in header):
        return False
    return all(len(row) == len(header) + 1 and not blank(row[-1]) for row in rows) and len(
        {text_of(row[0]) for row in rows}
    ) == len(rows)
