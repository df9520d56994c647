"""Reads a table file once for all: what its data card says and what code interpreter gets come from the same reading.

CSV, TSV, XLSX, JSON and JSON lines; a Parquet file is read from its CSV copy. A file that pandas reads rightly without
options is `plain` and goes to the service as it is. Of any other, each table becomes a clean copy: UTF-8 CSV, header in
row 1, ISO dates, decimal points, identifiers as text, without rows of totals.
"""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import islice, zip_longest
from typing import IO

from shared.formats.base import UnusableFile, not_a_table
from shared.formats.filetypes import CLEAN_COPIES_MAX, clean_names
from shared.formats.tables.blocks import blocks_of
from shared.formats.tables.clean import Copy, Found, found_in
from shared.formats.tables.columns import format_unit
from shared.formats.tables.delimited import delimited_grid
from shared.formats.tables.grids import Grid, batches, merged, side_by_side, start_of
from shared.formats.tables.layout import Layout, layouts_of
from shared.formats.tables.profile import COLUMNS_MAX, Profile
from shared.formats.tables.records import json_grids
from shared.formats.tables.totals import Columns, has_label, label_of
from shared.formats.tables.workbook import workbook_grids

COPY_MAX_BYTES = 512 * 1024 * 1024  # the service's limit for one file
COPIES_MAX_BYTES = 1024 * 1024 * 1024  # of one document
LONG_CELL_CHARS = 80  # of a sentence rather than a cell
SPOOL_BYTES = 1024 * 1024  # of a clean copy that are held in memory; a larger one is a temporary file


@dataclass(kw_only=True)
class Table:
    """One table of a file as it was read. `copy` is its clean copy, None when the file goes to the service as it is."""

    profile: Profile
    notes: tuple[str, ...] = ()
    copy: IO[bytes] | None = None
    copy_bytes: int = 0
    doubts: bool = False


@dataclass(kw_only=True)
class Tables:
    """All tables of a file. Use it in a `with` statement: that closes the clean copies."""

    tables: list[Table] = field(default_factory=list)
    _files: ExitStack = field(default_factory=ExitStack)

    @property
    def is_plain(self) -> bool:
        return all(table.copy is None for table in self.tables)

    def copies(self, name: str) -> list[tuple[str, IO[bytes]]]:
        """The clean copies and their names at the service, where the original is called `name`."""
        tables = [table for table in self.tables if table.copy is not None]
        names = clean_names(name, [table.profile.name for table in tables])
        return [(name, table.copy) for name, table in zip(names, tables, strict=True) if table.copy is not None]

    def __enter__(self) -> Tables:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()


def read_tables(ending: str, content: IO[bytes], *, copies_max_bytes: int = COPIES_MAX_BYTES) -> Tables:
    """Read a table file, in bounded memory.

    Args:
        ending: csv, tsv, xlsx, json, jsonl or ndjson; anything else is read as csv.
        copies_max_bytes: Of all clean copies together, on the temporary disk. A longer one is left out, and said so.

    Raises:
        UnusableFile: `not_a_table`: the file is damaged, empty or, for JSON, not a list of records.
    """
    grids = grids_of(ending, content)
    tables = Tables()
    try:
        if len(grids) == 1 and (plain := _plain_table(grids[0])):
            tables.tables.append(plain)
            return tables
        single: list[str] = []
        found = [table for grid in grids for table in _tables_in(grid, single)]
        if not found:
            raise not_a_table("The file holds no table: no header row was found.")
        found[0].notes += [f"a single cell that is no table: {cell}" for cell in single]
        left_bytes = copies_max_bytes
        for group in _joined(found):
            may_have = len(tables.tables) < CLEAN_COPIES_MAX
            table = _copied(group, tables._files, min(left_bytes, COPY_MAX_BYTES) if may_have else 0)
            left_bytes -= table.copy_bytes
            tables.tables.append(table)
        return tables
    except BaseException:
        tables._files.close()
        raise


def grids_of(ending: str, content: IO[bytes]) -> list[Grid]:
    """The sheets of a file, in their order."""
    content.seek(0)
    if ending == "xlsx":
        return workbook_grids(content)
    if ending in ("json", "jsonl", "ndjson"):
        return json_grids(content, ending=ending)
    return [delimited_grid(content, ending=ending)]


def is_table(content: IO[bytes]) -> bool:
    """Whether a text file of any name is a table beyond doubt: nearly all rows alike, below a header, with values."""
    try:
        grid = delimited_grid(content)
        sample, _ = start_of(grid.rows())
    except UnusableFile:
        return False
    blocks = blocks_of(sample)
    layouts = layouts_of(blocks)
    if not layouts or layouts[0].header is None or len(layouts[0].names) < 2 or layouts[0].above:
        return False
    found = _found(grid, layouts[0])
    widths = [len(row) for row in sample if any(row)]
    alike = sum(width == len(layouts[0].names) for width in widths)
    has_values = any(reading.kind != "text" or reading.identifier for reading in found.readings)
    long = sum(len(cell) > LONG_CELL_CHARS for row in sample for cell in row)
    return len(widths) >= 3 and alike >= 0.95 * len(widths) and has_values and long <= len(widths) / 10


# ---- plain -----------------------------------------------------------------------------------------------------------


def _plain_table(grid: Grid) -> Table | None:
    """The table of a file that pandas reads rightly as it is; None when it does not, or may not.

    The start decides first. Then all rows are checked while their profile is made: nothing in them may contradict.
    """
    if not grid.is_plain:
        return None
    sample, is_all = start_of(grid.rows())
    layouts = [_stated(grid)] if grid.names else layouts_of(blocks_of(sample))
    if len(layouts) != 1 or (is_all and not _ends_with(layouts[0], sample)):
        return None
    layout = replace(layouts[0], last=None)
    found = _found(grid, layout)
    if not _is_plain_layout(layout, sample) or not _is_plain_reading(found):
        return None
    if not _is_plain_copy(found, sample_only=True):
        return None
    profile = Profile(grid.name, layout.names, given=_given(found), looks_for=has_label)
    last: Sequence[Sequence[str]] = ()
    try:
        for columns in _texts(found, grid):
            profile.add(columns)
            last = columns or last
    except _Contradiction:
        return None
    pairs = list(zip(profile.columns, found.readings, strict=False))
    is_odd = any(c.found or (r.kind != "text" and c.kind in ("mixed", "text")) for c, r in pairs)
    labels = [column[-1] for column, (_, r) in zip(last, pairs, strict=False) if r.kind != "number"]
    ends_without_text = bool(labels) and not any(labels)
    # A label of a total, none in the last row, or text among numbers: the whole file is gone through with care.
    if (is_odd or ends_without_text) and not _is_plain_copy(found, sample_only=False):
        return None
    notes = tuple(_plain_notes(found, grid))
    return _table(profile, found, notes, None)


class _Contradiction(Exception):
    """The rest of the file is not like its start."""


def _stated(grid: Grid) -> Layout:
    return Layout(names=grid.names, places=tuple(range(len(grid.names))), header=0)


def _ends_with(layout: Layout, sample: Sequence[Sequence[object]]) -> bool:
    return layout.last is None or not any(any(row) for row in sample[layout.last + 1 :])


def _is_plain_layout(layout: Layout, sample: Sequence[Sequence[object]]) -> bool:
    is_first = layout.header is not None and not any(any(row) for row in sample[: layout.header])
    tidy = not (layout.units or layout.extra or layout.renamed or layout.gaps or layout.above or layout.below)
    widest = len(layout.names) == len(layout.places) and layout.places == tuple(range(len(layout.places)))
    return is_first and layout.header_rows == 1 and tidy and widest


def _is_plain_reading(found: Found) -> bool:
    return not found.fill_down and not any(
        reading.unit or reading.pad or reading.scale != 1 or reading.decimal == "," for reading in found.readings
    )


def _is_plain_copy(found: Found, *, sample_only: bool) -> bool:
    copy = Copy(found=found)
    written = copy.written()
    for _ in islice(written, 1) if sample_only else written:
        if any(writer.changed for writer in copy.writers):
            return False
    return not copy.is_changed and not copy.totals.kept


def _texts(found: Found, grid: Grid) -> Iterator[Sequence[Sequence[str]]]:
    """The columns as text, for the profile. A text file's are passed on as they are, since that is fast."""
    if not grid.is_text:
        yield from Copy(found=found).written()
        return
    names = len(found.layout.names)
    is_below_blank = False
    for batch in batches(islice(grid.rows(), found.layout.body, None)):
        if is_below_blank or [] in batch:
            for row in batch:
                if row and is_below_blank and sum(map(bool, row)) < names and len(row) < names:
                    raise _Contradiction  # a footer, or another table
                is_below_blank = not row
            batch = [row for row in batch if row]
        if max(map(len, batch), default=0) > names:
            raise _Contradiction
        rows = batch if names <= COLUMNS_MAX else [row[:COLUMNS_MAX] for row in batch]
        yield list(zip_longest(*rows, fillvalue=""))


def _plain_notes(found: Found, grid: Grid) -> Iterator[str]:
    yield from grid.notes
    yield from found.notes
    codes = [reading.name for reading in found.readings if reading.identifier]
    if codes:
        yield f"identifiers, not numbers: {', '.join(codes[:6])}"
    yield from (f"column {r.name!r}: {r.doubt}" for r in found.readings if r.doubt)


# ---- not plain -------------------------------------------------------------------------------------------------------


def _tables_in(grid: Grid, single: list[str]) -> Iterator[Found]:
    """The tables of a grid. `single` gets the text of blocks with one cell, when they are not beside a table."""
    if grid.names:
        yield replace_notes(_found(grid, _stated(grid)), grid)
        return
    for part in side_by_side(merged(grid)):
        for number, layout in enumerate(layouts_of(blocks_of(part.rows()))):
            is_empty = layout.header is not None and layout.last is not None and layout.last < layout.body
            if is_empty and len(layout.names) < 2:
                single += [f"{part.name} {name}".strip()[:LONG_CELL_CHARS] for name in layout.names]
                single += [line.text for line in (*layout.above, *layout.below)]
                continue
            if not layout.names:
                continue
            found = _found(part, layout)
            if number and layout.title:
                found.name = f"{found.name} {layout.title}".strip()
            yield replace_notes(found, part)


def replace_notes(found: Found, grid: Grid) -> Found:
    found.notes = [*grid.notes, *found.notes]
    return found


def _found(grid: Grid, layout: Layout) -> Found:
    """How the columns of one table of a grid are read, with the number formats that a workbook has for them."""
    formats: dict[int, str] = {}
    notes: list[str] = []
    if grid.facts.formats:
        for place, name in zip(layout.places, layout.names, strict=True):
            code, note = _format_of(grid, layout, place)
            formats[place] = code
            if note:
                notes.append(f"column {name!r}: {note}")
    found = found_in(
        grid.name, grid.rows, layout, formats=formats, default_decimal=grid.default_decimal, offset=grid.first_row
    )
    found.notes = notes
    return found


def _format_of(grid: Grid, layout: Layout, place: int) -> tuple[str, str]:
    """The number format of all numbers of a column; "" and a note when some are percentages and others are not."""
    last = None if layout.last is None else layout.last + 1
    codes: dict[str, str] = {}  # unit -> format
    column = grid.first_column + place
    for number, row in enumerate(islice(grid.rows(), layout.body, last), start=layout.body + grid.first_row):
        cell = row[place] if place < len(row) else None
        if isinstance(cell, (int, float)) and not isinstance(cell, bool):
            code = grid.facts.formats.get((number, column), "")
            codes[code if set(code) == {"0"} else format_unit(code)[0]] = code
    if len(codes) < 2:
        return next(iter(codes.values()), ""), ""
    if any("%" in unit for unit in codes):
        return "", "some numbers are percentages and others not; 47 % is written as 0.47"
    return "", f"its numbers have different units ({', '.join(sorted(filter(None, codes)))})" if len(codes) > 1 else ""


def _joined(found: list[Found]) -> list[list[Found]]:
    """Tables of several sheets with the same columns belong together: January, February, March."""
    groups: dict[tuple[str, ...], list[Found]] = {}
    for number, table in enumerate(found):
        is_total = label_of(table.name.strip()) == "exact"
        key = (str(number),) if is_total or not table.name else tuple(table.titles)
        groups.setdefault(key, []).append(table)
    return list(groups.values())


def _copied(group: list[Found], files: ExitStack, max_bytes: int) -> Table:
    """Write the clean copy of a table, or of several with the same columns, and make its profile on the way.

    Args:
        max_bytes: Of the copy: a longer one is left out, since rows that are missing in it would be missed by nobody.
    """
    copies = [Copy(found=found) for found in group]
    titles = group[0].titles
    more = [] if len(group) == 1 else ["sheet" if "sheet" not in titles else "sheet name"]
    profile = Profile(group[0].name if not more else "", [*more, *titles], given=_given(group[0], len(more)))
    target: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES)  # noqa: SIM115 - the caller closes it
    files.enter_context(target)
    batches = ([[copy.found.name] * len(c[0]), *c] if more else c for copy in copies for c in copy.written())
    is_whole = _write([*more, *titles], batches, profile, target, max_bytes)
    notes = list(dict.fromkeys(_notes(copies)))
    if more:
        notes.insert(0, f"{len(group)} sheets with the same columns are one table; column {more[0]!r} names the sheet")
    if is_whole:
        table = _table(profile, group[0], tuple(notes), target)
        table.copy_bytes = target.seek(0, io.SEEK_END)
        target.seek(0)
        return table
    target.close()
    limit = f"{max_bytes:,} bytes" if max_bytes else f"{CLEAN_COPIES_MAX} of one file"
    notes.append(f"there is no clean copy of this table: it would be more than {limit}")
    table = _table(profile, group[0], tuple(notes), None)
    table.doubts = True
    return table


def _write(
    names: Sequence[str], batches: Iterable[Columns], profile: Profile, target: IO[bytes], max_bytes: int
) -> bool:
    """Write rows as CSV, and stop when they are too long; the profile gets all. Returns whether all are written."""
    text = io.TextIOWrapper(target, encoding="utf-8", errors="replace", newline="")
    writer = csv.writer(text, lineterminator="\n")
    is_whole = max_bytes > 0
    writer.writerow(names)
    for columns in batches:
        profile.add(columns)
        if is_whole:
            writer.writerows(zip(*columns, strict=True))
            is_whole = target.tell() <= max_bytes
            if not is_whole:
                text.flush()
                target.seek(0)
                target.truncate()
    text.flush()
    is_whole = is_whole and target.tell() <= max_bytes
    text.detach()
    return is_whole


def _given(found: Found, before: int = 0) -> dict[int, str]:
    """The types that a profile cannot see from the text of the cells."""
    types = {n: "identifier" for n, reading in enumerate(found.readings, before) if reading.identifier}
    return types | {n: "boolean" for n, reading in enumerate(found.readings, before) if reading.boolean}


def _notes(copies: list[Copy]) -> Iterator[str]:
    for copy in copies:
        start = f"{copy.found.name}: " if len(copies) > 1 else ""
        yield from (start + note for note in copy.notes())


def _table(profile: Profile, found: Found, notes: tuple[str, ...], copy: IO[bytes] | None) -> Table:
    doubts = bool(found.notes) or any(reading.doubt for reading in found.readings)
    return Table(profile=profile, notes=notes, copy=copy, doubts=doubts)
