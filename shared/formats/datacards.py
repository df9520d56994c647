"""Data cards: a short Markdown profile of a table file, which file search indexes in place of its rows.

A table is read once, row by row, in bounded memory.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice, zip_longest
from typing import IO, Any

from shared.formats.base import Table, not_a_table
from shared.formats.tables import tables_of

FIRST_ROWS = 5
DISTINCT_MAX = 12  # a column with more distinct values is shown as "many values"
COLUMNS_MAX = 200  # profiled; further columns are only counted
FIRST_ROWS_COLUMNS = 20
CELL_MAX_CHARS = 60
VALUES_MAX_CHARS = 160  # for all values of a column together
CARD_MAX_BYTES = 60_000
BATCH_BYTES = 256 * 1024  # of rows, profiled together


@dataclass(frozen=True, kw_only=True)
class Card:
    """`terms`: words from the file name, the columns and their values, compared with the words of a question."""

    markdown: str
    terms: tuple[str, ...]


def card_of(filename: str, content: IO[bytes], *, ending: str | None = None) -> Card:
    """Profile a table file: CSV, TSV, XLSX, JSON, or the CSV copy of a Parquet file.

    Args:
        filename: The title of the card.
        ending: The extension that fits the content; by default that of `filename`.

    Raises:
        UnusableFile: `not_a_table`: the file is damaged, empty or, for JSON, not a list of records.
    """
    content.seek(0)
    tables = [_Profile(table) for table in tables_of(ending or filename.rsplit(".", 1)[-1].lower(), content)]
    tables = [table for table in tables if table.columns]
    if not tables:
        raise not_a_table("The file holds no table: no header row was found.")
    lines = [
        f"# {filename}",
        "",
        "A data file. Its rows are not in this index: analyse it with Python in code interpreter.",
    ]
    for table in tables:
        lines += ["", *table.markdown()]
    names = re.split(r"[\W_]+", filename.rsplit(".", 1)[0])
    words = chain(names, *(table.words() for table in tables))
    return Card(markdown=_cut(lines), terms=tuple(dict.fromkeys(singular(w) for w in words if len(w) > 1)))


def _cut(lines: Sequence[str]) -> str:
    """Join the lines; those beyond `CARD_MAX_BYTES` are left out."""
    left_bytes = CARD_MAX_BYTES
    for number, line in enumerate(lines):
        left_bytes -= len(line.encode("utf-8", "replace")) + 1
        if left_bytes < 0:
            return "\n".join([*lines[:number], "", "The card ends here; the file has more columns or sheets."]) + "\n"
    return "\n".join(lines) + "\n"


def singular(word: str) -> str:
    """The word in lower case without a plural `s`: `Metrics` -> `metric`."""
    word = word.casefold()
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


# ---- profiling ---------------------------------------------------------------------------------------------------


_INTEGER = r"[-+]?\d{1,18}"
_NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,3})?"
INTEGER = re.compile(_INTEGER)
NUMBER = re.compile(_NUMBER)
DAY = re.compile(r"\d{4}-\d\d-\d\d")
# Match many cells at once, one per line. A cell that begins with a letter is text.
MANY = {
    "integer": re.compile(rf"{_INTEGER}(?:\n{_INTEGER})*"),
    "number": re.compile(rf"{_NUMBER}(?:\n{_NUMBER})*"),
    "text": re.compile(r"[^\W\d].*(?:\n[^\W\d].*)*"),
}


class Column:
    """The profile of one column: types, ranges, distinct values and the number of empty cells."""

    def __init__(self, name: str) -> None:
        self.name = name.strip() or "(no name)"
        self.empty = 0
        self.kinds: dict[str, int] = {}  # type -> number of cells
        self.low: dict[str, Any] = {}  # type -> smallest value
        self.high: dict[str, Any] = {}
        self.distinct: dict[str, None] | None = {}  # in order of appearance; None: more than DISTINCT_MAX

    def add(self, cell: Any, count: int = 1) -> None:
        kind, value = _typed(cell)
        if kind == "empty":
            self.empty += count
            return
        self._count(kind, count)
        if kind != "text":
            self._range(kind, value, value)
        self._add_distinct(cell)

    def add_texts(self, cells: Sequence[str]) -> None:
        """As `add` for each cell, but faster: one regular expression matches many cells of the same type."""
        filled = [cell for cell in cells if cell]
        self.empty += len(cells) - len(filled)
        if not filled:
            return
        joined = "\n".join(filled)
        if joined.count("\n") != len(filled) - 1:
            kind = None  # a cell has a line break
        else:
            kind = next((kind for kind, pattern in MANY.items() if pattern.fullmatch(joined)), None)
        if kind is None or (kind == "text" and self.distinct is not None):
            for cell, count in Counter(filled).items():
                self.add(cell, count)
            return
        self._count(kind, len(filled))
        if kind != "text":
            values = list(map(int if kind == "integer" else float, filled))
            self._range(kind, min(values), max(values))
            for cell in filled if self.distinct is not None else ():
                self._add_distinct(cell)

    def _count(self, kind: str, count: int) -> None:
        self.kinds[kind] = self.kinds.get(kind, 0) + count

    def _range(self, kind: str, low: Any, high: Any) -> None:
        self.low[kind] = min(self.low.get(kind, low), low)
        self.high[kind] = max(self.high.get(kind, high), high)

    def _add_distinct(self, cell: Any) -> None:
        if self.distinct is not None:
            self.distinct[_short(cell)] = None
            if len(self.distinct) > DISTINCT_MAX:
                self.distinct = None

    @property
    def kind(self) -> str:
        """The type on the card: that of all cells, `number` for integers and numbers, `mixed` or `empty`."""
        if not self.kinds:
            return "empty"
        if set(self.kinds) == {"integer", "number"}:
            return "number"
        return next(iter(self.kinds)) if len(self.kinds) == 1 else "mixed"

    def describe(self) -> str:
        """The range of numbers and times, else the distinct values."""
        values = [self.low[k] for k in self.low] + [self.high[k] for k in self.high]
        if self.kind in ("integer", "number"):
            return f"{_plain(min(values))} to {_plain(max(values))}"
        if self.kind == "time":
            return f"{min(values).isoformat(sep=' ')} to {max(values).isoformat(sep=' ')}"
        if self.distinct:
            values_text = ", ".join(self.distinct)
            return values_text if len(values_text) <= VALUES_MAX_CHARS else values_text[: VALUES_MAX_CHARS - 1] + "…"
        return "many values" if self.kinds else ""


def _batches(rows: Iterable[Sequence[str]]) -> Iterator[list[Sequence[str]]]:
    """Lists of rows with about `BATCH_BYTES` each. Bounded by size, not by number, because a cell may be long."""
    batch: list[Sequence[str]] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += sum(map(len, row)) + 50 * len(row)  # the overhead of a Python string is about 50 bytes
        if size > BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


class _Profile:
    """The profile of one table. Creating it reads all rows."""

    def __init__(self, table: Table) -> None:
        self.name = table.name
        self.note = table.note
        self.width = len(table.columns)
        self.columns = [Column(name) for name in table.columns[:COLUMNS_MAX]]
        self.first = list(islice(table.rows, FIRST_ROWS))
        self.rows = 0
        rows = chain(self.first, table.rows)
        if table.is_text:
            for batch in _batches(rows):
                self.rows += len(batch)
                cells_of = zip_longest(*(row[: len(self.columns)] for row in batch), fillvalue="")
                for column, cells in zip_longest(self.columns, cells_of, fillvalue=("",) * len(batch)):
                    column.add_texts(cells)  # type: ignore[union-attr]  # there are never more cells than columns
            return
        for row in rows:
            self.rows += 1
            for column, cell in zip_longest(self.columns, islice(row, len(self.columns))):
                column.add(cell)

    def words(self) -> Iterator[str]:
        yield from re.split(r"[\W_]+", self.name)
        for column in self.columns:
            yield from re.split(r"[\W_]+", column.name)
            if column.kind == "text" and column.distinct:
                for category in column.distinct:
                    yield from re.split(r"[\W_]+", category)

    def markdown(self) -> Iterator[str]:
        title = f"Sheet {self.name}: " if self.name else ""
        yield f"{title}{self.rows:,} rows, {self.width:,} columns."
        if self.note:
            yield self.note
        yield ""
        yield "| column | type | values | empty |"
        yield "|---|---|---|---|"
        for column in self.columns:
            yield f"| {_short(column.name)} | {column.kind} | {column.describe()} | {column.empty} |"
        if self.width > len(self.columns):
            yield f"| … {self.width - len(self.columns):,} more columns | | | |"
        yield ""
        yield "First rows:"
        yield ""
        shown = self.columns[:FIRST_ROWS_COLUMNS]
        yield "| " + " | ".join(_short(column.name) for column in shown) + " |"
        yield "|" + "---|" * len(shown)
        for row in self.first:
            yield "| " + " | ".join(_short(cell) for cell in row[:FIRST_ROWS_COLUMNS]) + " |"


def _typed(cell: Any) -> tuple[str, Any]:
    """The type of a cell and its value; text is parsed as an integer, a number or a time where it looks like one."""
    if cell is None or cell == "":
        return "empty", None
    if isinstance(cell, bool):
        return "boolean", cell
    if isinstance(cell, int):
        return "integer", cell
    if isinstance(cell, float):
        return ("integer", int(cell)) if cell.is_integer() else ("number", cell)
    if isinstance(cell, datetime):
        return "time", cell.replace(tzinfo=None)
    text = str(cell).strip()
    if not text:
        return "empty", None
    if INTEGER.fullmatch(text):
        return "integer", int(text)
    if NUMBER.fullmatch(text):
        return "number", float(text)
    if DAY.match(text):
        try:
            return "time", datetime.fromisoformat(text).replace(tzinfo=None)
        except ValueError:
            pass
    return "text", text


def _plain(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.15g}"


def _short(cell: Any) -> str:
    text = "" if cell is None else re.sub(r"[\s|]+", " ", str(cell)).strip()
    return text if len(text) <= CELL_MAX_CHARS else text[: CELL_MAX_CHARS - 1] + "…"
