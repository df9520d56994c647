"""Makes the clean copy of one table: its rows as text, with ISO dates and decimal points, without totals. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, compress, islice, zip_longest
from typing import Any

from shared.formats.tables.blocks import blank
from shared.formats.tables.columns import Custom, Reading, Writer, custom_of, reading_of, settled
from shared.formats.tables.grids import batches, start_of
from shared.formats.tables.layout import Layout, Line, unique, united
from shared.formats.tables.totals import Columns, Totals, row_label
from shared.formats.tables.words import RowNumbers, listed

OPEN_VALUES = 5_000  # further values that are looked at for a column that the sample leaves open
NOTE_CHARS = 300

Rows = Callable[[], Iterable[Sequence[Any]]]
Batch = tuple[Sequence[int], list[Sequence[Any]]]  # the numbers of some rows, and the cells of each column


@dataclass(kw_only=True)
class Found:
    """One table of a file: where it is and how its columns are read. `rows` gives the rows of the whole sheet."""

    name: str
    rows: Rows
    layout: Layout
    readings: list[Reading]
    formats: dict[int, str] = field(default_factory=dict)  # column -> the number format of all of its numbers
    notes: list[str] = field(default_factory=list)
    fill_down: tuple[int, ...] = ()  # columns in which a blank cell repeats the value above
    offset: int = 0  # rows of the sheet above the first of `rows`

    @property
    def titles(self) -> list[str]:
        """The names of the columns in the clean copy."""
        return unique([reading.title for reading in self.readings])


def found_in(
    name: str,
    rows: Rows,
    layout: Layout,
    *,
    formats: dict[int, str] | None = None,
    default_decimal: str = "",
    offset: int = 0,
) -> Found:
    """Decide how the columns of a table are read, by the start of its rows, or by all when that leaves one open.

    Args:
        default_decimal: What decides for `1.234` and `1,234` when no other column does; "" when nothing does.
    """
    formats = formats or {}
    sample, is_all = start_of(body_rows(rows, layout))
    sample = [row for row in sample if [str(cell or "").strip() for cell in row] != list(layout.names)]
    details = [row for row in sample if row_label([c for c in row if isinstance(c, str)]) != "exact"] or sample
    names = united(layout)
    columns = [[row[n] for row in details] for n in range(len(names))]
    readings = [
        reading_of(title, cells, number_format=formats.get(place, ""))
        for title, cells, place in zip(names, columns, layout.places, strict=True)
    ]
    readings = _settle(readings, default_decimal)
    if not is_all and any(reading.open for reading in readings):
        for n, more in _further(rows, layout, [n for n, r in enumerate(readings) if r.open]).items():
            place = layout.places[n]
            readings[n] = reading_of(names[n], more, number_format=formats.get(place, ""))
        readings = _settle(readings, default_decimal)
    found = Found(name=name, rows=rows, layout=layout, readings=readings, formats=formats, offset=offset)
    found.fill_down = _groups(columns)
    return found


def _settle(readings: list[Reading], default_decimal: str) -> list[Reading]:
    custom = custom_of(readings)
    if not custom.decimal and default_decimal in (".", ","):
        custom = Custom(decimal="." if default_decimal == "." else ",", order=custom.order)
    return [settled(reading, custom) for reading in readings]


def _further(rows: Rows, layout: Layout, columns: Sequence[int]) -> dict[int, list[Any]]:
    """Other values of some columns from the rest of the file."""
    seen: dict[int, dict[Any, None]] = {n: {} for n in columns}
    for _, cells in body(rows, layout):
        for n, values in seen.items():
            if len(values) < OPEN_VALUES:
                values.update(dict.fromkeys(cells[n]))
    return {n: list(values) for n, values in seen.items()}


def body(rows: Rows, layout: Layout) -> Iterator[Batch]:
    """The rows below the header that are not blank, with their numbers, counted from 1 in the whole sheet."""
    last = None if layout.last is None else layout.last + 1
    width = layout.places[-1] + 1 if layout.places else 0
    number = layout.body + 1
    for batch in batches(islice(rows(), layout.body, last), width):
        cells: list[Sequence[Any]] = list(zip_longest(*(row[:width] for row in batch), fillvalue=""))
        nothing = ("",) * len(batch)
        columns = [cells[place] if place < len(cells) else nothing for place in layout.places]
        numbers = range(number, number + len(batch))
        number += len(batch)
        first = columns[0] if columns else ()
        empty = [n for n, cell in enumerate(first) if blank(cell)] if _may_have_blank(first) else []
        empty = [n for n in empty if all(blank(column[n]) for column in columns)]
        yield without((numbers, columns), empty)


def _may_have_blank(cells: Sequence[Any]) -> bool:
    """Whether a cell may be blank; fast for text."""
    try:
        return not all(map(str.strip, cells))
    except TypeError:
        return True


def without(batch: Batch, places: Iterable[int]) -> Batch:
    """The batch without the rows at these places."""
    numbers, columns = batch
    left_out = set(places)
    if not left_out:
        return batch
    kept = [n not in left_out for n in range(len(numbers))]
    return list(compress(numbers, kept)), [list(compress(column, kept)) for column in columns]


def body_rows(rows: Rows, layout: Layout) -> Iterator[tuple[Any, ...]]:
    """As `body`, row by row."""
    for _, columns in body(rows, layout):
        yield from zip(*columns, strict=True)


def _groups(columns: Sequence[Sequence[Any]]) -> tuple[int, ...]:
    """The first column, when it names groups of rows: blank below each name, which comes once, while all else is full.

    So a table looks whose merged cells were saved as CSV.
    """
    if len(columns) < 2 or len(columns[0]) < 4 or blank(columns[0][0]):
        return ()
    names = [cell for cell in columns[0] if not blank(cell)]
    gaps = len(columns[0]) - len(names)
    if (
        len(names) < 2
        or len(set(names)) < len(names)
        or gaps < len(names) / 2
        or not all(isinstance(name, str) for name in names)
    ):
        return ()
    return (0,) if all(not blank(cell) for column in columns[1:] for cell in column) else ()


@dataclass(kw_only=True)
class Copy:
    """Goes over the rows of a table once and gives those of the clean copy. What was done is known afterwards."""

    found: Found
    writers: list[Writer] = field(init=False)
    totals: Totals = field(init=False)
    repeated: RowNumbers = field(default_factory=RowNumbers)  # header rows among the rows
    rows: int = 0

    def __post_init__(self) -> None:
        self.writers = [Writer(reading) for reading in self.found.readings]
        kinds = [reading.kind for reading in self.found.readings]
        numbers = [n for n, kind in enumerate(kinds) if kind == "number"]
        labels = [n for n, kind in enumerate(kinds) if kind != "number"]
        self.totals = Totals(numbers=numbers, labels=labels)

    def written(self) -> Iterator[Columns]:
        """The rows of the clean copy: the columns of one batch of rows after the other."""
        last: dict[int, str] = dict.fromkeys(self.found.fill_down, "")
        for columns in self.totals.sift(self._written()):
            for place in last:
                columns[place] = list(
                    accumulate(columns[place], lambda above, cell: cell or above, initial=last[place])
                )[1:]
                last[place] = columns[place][-1]
            self.rows += len(columns[0])
            yield columns

    def _written(self) -> Iterator[tuple[Sequence[int], Columns]]:
        layout, offset = self.found.layout, self.found.offset
        names = [name.strip() for name in layout.names]
        for numbers, columns in body(self.found.rows, layout):
            if layout.header_rows and names and names[0] in columns[0]:
                rows = enumerate(zip(*columns, strict=True))
                again = [n for n, row in rows if [str(cell or "").strip() for cell in row] == names]
                for n in again:
                    self.repeated.add(numbers[n] + offset)
                numbers, columns = without((numbers, columns), again)
            if numbers:
                yield (
                    [number + offset for number in numbers] if offset else numbers,
                    [writer.write(column) for writer, column in zip(self.writers, columns, strict=True)],
                )

    @property
    def is_changed(self) -> bool:
        """Whether pandas would read other values from the original, as far as rows and cells go."""
        totals = self.totals
        return bool(
            totals.left_out
            or totals.unequal
            or totals.figures
            or self.repeated
            or self.found.fill_down
            or any(writer.changed or writer.misfits for writer in self.writers)
        )

    def notes(self) -> list[str]:
        """What was read how, in words, for the data card."""
        notes = list(self._notes())
        rewritten = [writer.reading.name for writer in self.writers if writer.changed]
        return notes or ([f"numbers are written plainly ({listed(rewritten)})"] if rewritten else [])

    def _notes(self) -> Iterator[str]:
        layout, readings = self.found.layout, self.found.readings
        yield from self.found.notes
        yield from _where(layout, self.found.offset)
        for words in dict.fromkeys(word for reading in readings for word in reading.words()):
            names = [reading.name for reading in readings if words in reading.words()]
            yield f"{words} ({listed(names)})"
        if units := [r.title for r in readings if r.unit and r.kind == "number"]:
            yield f"units and signs of the cells are in the column names: {listed(units)}"
        if codes := [r.name for r in readings if r.identifier]:
            yield f"identifiers, not numbers: {listed(codes)}"
        yield from self._cells()
        for reading in readings:
            if reading.doubt:
                yield f"column {reading.name!r}: {reading.doubt}"
        yield from self.totals.notes()
        if self.repeated:
            yield f"{self.repeated.are('is', 'are')} the header again and left out"
        for place in self.found.fill_down:
            yield f"blank cells of column {readings[place].name!r} repeat the value above"

    def _cells(self) -> Iterator[str]:
        for writer in self.writers:
            name = writer.reading.name
            if writer.missing:
                words = ", ".join(repr(word) for word, _ in writer.missing.most_common(3))
                cells = _cells(writer.missing.total())
                yield f"no value in {cells} of column {name!r} ({words})"
            if writer.misfits:
                kind = writer.reading.kind
                cells = _cells(writer.misfits)
                yield f"no {kind} in {cells} of column {name!r}, such as {writer.misfit[:40]!r}: kept as text"


def _cells(count: int) -> str:
    return f"{count:,} {'cell' if count == 1 else 'cells'}"


def _where(layout: Layout, offset: int) -> Iterator[str]:
    if layout.header is None:
        yield "there is no header row; the columns are numbered"
    elif layout.header_rows > 1:
        first = layout.header + offset + 1
        yield f"header in rows {first} to {first + layout.header_rows - 1}, joined"
    elif layout.header + offset > 0:
        yield f"header in row {layout.header + offset + 1}"
    if layout.units:
        yield f"row {layout.body + offset} is a row of units, which are in the column names"
    if layout.is_shifted:
        yield "the first column has no name in the header, as R writes it"
    if layout.extra:
        yield f"some rows have more cells than the header has names; they are in {listed(layout.extra)}"
    if layout.cut:
        yield f"the cells of {layout.cut:,} further columns of longer rows are not in the clean copy"
    if layout.renamed and layout.header_rows == 1 and not layout.is_shifted:
        yield "empty or repeated column names were changed"
    if layout.gaps:
        yield "empty columns are left out"
    for lines, where in ((layout.above, "above"), (layout.below, "below")):
        if lines:
            yield f"{_rows_of(lines, offset)} {where} the table: {' / '.join(line.text for line in lines)}"[:NOTE_CHARS]
    if layout.unread is not None:
        yield f"the sheet has more tables: what stands from row {layout.unread + offset + 1} on is not read"


def _rows_of(lines: Sequence[Line], offset: int) -> str:
    numbers = RowNumbers(line.row + offset + 1 for line in lines)
    return numbers.words()
