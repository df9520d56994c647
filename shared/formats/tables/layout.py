"""Where the tables of a sheet or text file are: lines above, header rows, a row of units, first and last row. Pure.

Rows are counted from 0 here, and from 1 in words for people.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from shared.formats.tables.blocks import FOOTER_ROWS, HEAD_ROWS, Block, Row, blank, filled, kind_of, text_of
from shared.formats.tables.header import are_units, header_in, lacks_a_name
from shared.formats.tables.units import with_unit

TABLES_MAX = 20
EXTRA_MAX = 500  # columns beyond the last name of the header that a clean copy has

# Text that is no cell of a table. A word alone is not enough: `Notebook` and `Source` may be names in a last row.
FOOTER = re.compile(
    r"(?:sources?|notes?|quellen?|anmerkung(?:en)?|hinweise?|stand|legende|fuente|nota|fonte|来源|注|備考)\s*[:：]"
    r"|(?:generated|exported|created|printed|last updated|erstellt|exportiert)\s+(?:on|by|at|from|with|am|von|mit)\b"
    r"|(?:data )?as of\b.*\d|end of (?:report|file|data|list|table|export)\b|(?:copyright|\(c\)|©).*\d{4}"
    r"|[*†‡¹]+\s*\S+\s+\S|\d[\d,.]* (?:rows|records|zeilen|datensätze)\b",
    re.IGNORECASE,
)
SENTENCE_WORDS = 5


class Line(NamedTuple):
    """A row that is text around a table."""

    row: int
    text: str
    places: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One table: its columns are those at `places` of each row, its rows `body` to `last`."""

    names: tuple[str, ...]
    places: tuple[int, ...]
    units: tuple[str, ...] = ()
    header: int | None = None  # None: there is no header row
    header_rows: int = 1
    body: int = 0
    last: int | None = None  # None: to the end of the file
    title: str = ""  # of the lines above
    above: tuple[Line, ...] = ()  # the lines above, such as `Account holder: Example Ltd`
    below: tuple[Line, ...] = ()  # footers
    gaps: bool = False  # empty columns between are left out
    renamed: bool = False  # names were empty, repeated or joined
    extra: tuple[str, ...] = ()  # columns that only some rows have, without a name in the header
    cut: int = 0  # further columns of longer rows, which are not read
    is_shifted: bool = False  # the header has one name less than the rows have cells
    unread: int | None = None  # the row from which on further tables are not read


def layouts_of(blocks: Sequence[Block]) -> list[Layout]:
    """The tables of these blocks: a block that begins with another header is another table."""
    layouts: list[Layout] = []
    above: list[Line] = []
    for block in blocks:
        last = layouts[-1] if layouts else None
        # A row below the same columns may have a text among numbers: two rows are no other table.
        if last and not (_has_header(block) and (block.rows > 2 or block.places != {*last.places})):
            if _is_note(block, len(last.names)) and not _has_value(block):
                above = _lines(block.first, block.head)
                layouts[-1] = replace(last, below=(*last.below, *above))
            else:
                layouts[-1] = _longer(last, block)
            continue
        if not layouts and block is not blocks[-1] and _is_above(block, max(b.width for b in blocks)):
            above += _lines(block.first, block.head)
            continue
        if len(layouts) == TABLES_MAX:
            layouts[-1] = replace(layouts[-1], unread=block.first)
            break
        layout = layout_of(block)
        if layouts:  # the lines between are the title of this table, not a footer of the last one
            layouts[-1] = replace(layouts[-1], below=tuple(x for x in layouts[-1].below if x not in above))
        lines = (*above, *layout.above)
        layouts.append(replace(layout, above=lines, title=lines[-1].text if lines else ""))
        above = []
    return layouts


def _longer(table: Layout, block: Block) -> Layout:
    """The table with the rows of a block that goes on with it, and with the columns that only these have."""
    lines = {place for line in table.below for place in line.places}  # that were taken for footers
    more = sorted({*block.places, *lines} - set(table.places))
    table = replace(table, last=block.last, below=())
    kept = more[: max(EXTRA_MAX - len(table.extra), 0)]
    if not more:
        return table
    named = dict(zip(table.places, table.names, strict=True))
    units = dict(zip(table.places, table.units, strict=bool(table.units)))
    places = tuple(sorted((*table.places, *kept)))
    names = unique([named.get(place, f"column_{number}") for number, place in enumerate(places, 1)])
    return replace(
        table,
        names=tuple(names),
        places=places,
        units=tuple(units.get(place, "") for place in places) if units else (),
        extra=tuple(
            name for name, place in zip(names, places, strict=True) if place in kept or named[place] in table.extra
        ),
        cut=table.cut + len(more) - len(kept),
    )


def _lines(first: int, rows: Iterable[Row]) -> list[Line]:
    return [
        Line(number, " ".join(str(cell).strip() for cell in row if not blank(cell))[:200], tuple(filled(row)))
        for number, row in enumerate(rows, first)
    ]


def _is_above(block: Block, width: int) -> bool:
    """Whether a block is text above a table: narrower than it, short, and no table of its own."""
    if block.rows > HEAD_ROWS or width < 2 or (block.rows > 2 and _has_header(block) and not _are_keys(block)):
        return False
    return _is_note(block, width) or (max(block.widths) < 0.6 * width and block.rows <= FOOTER_ROWS)


def _is_note(block: Block, width: int) -> bool:
    """Whether a block is lines of text, or of a key and what it stands for."""
    return block.rows <= HEAD_ROWS and width >= 2 and (max(block.widths) == 1 or _are_keys(block))


def _are_keys(block: Block) -> bool:
    return all(
        len(places) == 1 or str(row[places[0]]).strip().endswith(":") for row in block.head if (places := filled(row))
    )


def _has_value(block: Block) -> bool:
    """Whether a cell of the block is a number or a date, or stands where no sentence begins."""
    return any(
        kind_of(row[p]) == "value" or (p > 0 and len(filled(row)) == 1) for row in block.head for p in filled(row)
    )


def _has_header(block: Block) -> bool:
    """Whether a block has a header of its own: text where it has values below."""
    if block.rows < 2 or max(block.widths) < 2:
        return False
    _, header, score = header_in(block)
    if header is None or score == 0 or header > 3:
        return False
    names = [str(block.head[header][place]).strip() for place in filled(block.head[header])]
    return len(names) > 1 and all(kind_of(name) == "text" for name in names[1:])


# ---- one block -------------------------------------------------------------------------------------------------------


def layout_of(block: Block) -> Layout:
    """The table of a block that holds one."""
    first, header, _ = header_in(block)
    if header is None:
        places = _places(block.head)
        names = tuple(f"column_{number}" for number in range(1, len(places) + 1))
        return Layout(names=names, places=places, header=None, header_rows=0, body=block.first, last=block.last)
    body = header + 1
    rows = block.head[first:body]
    units: tuple[str, ...] = ()
    if body < len(block.head) and are_units(block.head[body], block.head[body + 1 :], block.head[header]):
        units, body = tuple(text_of(cell) for cell in block.head[body]), body + 1
    elif len(rows) > 1 and are_units(rows[-1], block.head[body:], rows[-2]):
        units, rows = tuple(text_of(cell) for cell in rows[-1]), rows[:-1]
    below_rows = block.head[body:]
    is_shifted = lacks_a_name(rows[-1], below_rows)
    footers = _footers(block, len(filled(rows[-1])))
    if is_shifted:
        rows = [["", *row] for row in rows]
        units = ("", *units) if units else ()
    places = tuple(sorted({*_places(rows), *block.places})) if len(footers) < block.rows else _places(rows)
    last_named = max(filled(rows[-1]), default=0)
    extra = 0 if is_shifted else sum(place > last_named for place in places)
    cut = max(extra - EXTRA_MAX, 0)
    places = places[: len(places) - cut]
    names, renamed = _names(rows, places, is_shifted=is_shifted)
    used = tuple(units[place] if place < len(units) else "" for place in places) if units else ()
    return Layout(
        names=names,
        places=places,
        units=used,
        header=block.first + first,
        header_rows=len(rows),
        body=block.first + body,
        last=block.last - len(footers),
        above=tuple(_lines(block.first, block.head[:first])),
        below=tuple(footers),
        gaps=bool(places) and len(places) < places[-1] - places[0] + 1,
        renamed=is_shifted or (renamed and (len(rows) > 1 or not _is_tidy(rows[-1]))),
        extra=names[len(names) - extra + cut :],
        cut=cut,
        is_shifted=is_shifted,
    )


def _footers(block: Block, width: int) -> list[Line]:
    """The last rows of a block that are sentences below the table and not rows of it."""
    found: list[Line] = []
    for number, row in enumerate(reversed(list(block.tail)[1:])):
        places = filled(row)
        text = text_of(row[places[0]]) if places else ""
        if not places or width < 2 or len(places) > 1 or places[0] > 0 or kind_of(text) == "value":
            break
        # A cell with empty ones beside it may be a long name in a row without values.
        is_sentence = len(text.split()) >= SENTENCE_WORDS and (len(row) == 1 or text.endswith("."))
        if not (FOOTER.match(text) or is_sentence):
            break
        found[:0] = _lines(block.last - number, [row])
    return found


def _places(rows: Sequence[Row]) -> tuple[int, ...]:
    """The columns that have anything in these rows."""
    return tuple(sorted({place for row in rows for place in filled(row)}))


def _names(rows: Sequence[Row], places: Sequence[int], *, is_shifted: bool) -> tuple[tuple[str, ...], bool]:
    """The names of the columns: of several header rows joined, unique and not empty; and whether one was changed."""
    raw: list[str] = []
    uppers = [_filled_right(row, places, rows[-1]) for row in rows[:-1]]
    for number, place in enumerate(places):
        parts = [upper[number] for upper in uppers]
        parts.append(text_of(rows[-1][place]) if place < len(rows[-1]) else "")
        raw.append(" ".join(dict.fromkeys(part for part in parts if part)))
    unnamed = ["row" if is_shifted and number == 1 else f"column_{number}" for number in range(1, len(raw) + 1)]
    names = unique([name or instead for name, instead in zip(raw, unnamed, strict=True)])
    return tuple(names), names != raw or bool(uppers)


def _is_tidy(header: Row) -> bool:
    """Whether the names are not empty, up to the last, and different."""
    names = [text_of(cell) for cell in header[: max(filled(header), default=-1) + 1]]
    return all(names) and len(set(names)) == len(names)


def unique(names: Sequence[str]) -> list[str]:
    """The names, of which repeated ones get a number: `a`, `a (2)`."""
    seen = set(names)
    copies: Counter[str] = Counter()
    found: list[str] = []
    for name in names:
        copies[name] += 1
        wanted = name
        while copies[name] > 1 and (wanted == name or wanted in seen):
            wanted = f"{name} ({copies[name]})"
            copies[name] += wanted in seen
        seen.add(wanted)
        found.append(wanted)
    return found


def _filled_right(row: Row, places: Sequence[int], lower: Row) -> list[str]:
    """The names of groups, each repeated over the columns that it stands above."""
    found: list[str] = []
    current = ""
    for place in places:
        name = text_of(row[place]) if place < len(row) else ""
        below = place < len(lower) and not blank(lower[place])
        if name:
            current = name
        found.append(name or (current if below else ""))
    return found


def united(layout: Layout) -> tuple[str, ...]:
    """The names with the units of a units row."""
    if not layout.units:
        return layout.names
    return tuple(with_unit(name, unit) for name, unit in zip(layout.names, layout.units, strict=True))
