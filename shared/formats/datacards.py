"""A table file -> a short Markdown profile that file search can find in its place. Pure, one pass, bounded memory."""

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
DISTINCT_MAX = 12  # values of a column that are kept to be shown; with more it is no category
COLUMNS_MAX = 200  # shown on the card; the rest is counted
CELL_MAX_CHARS = 60
VALUES_MAX_CHARS = 160  # all of a column's categories together
CARD_MAX_BYTES = 60_000
BATCH_BYTES = 256 * 1024  # of rows that are profiled together


@dataclass(frozen=True, kw_only=True)
class Card:
    """`terms` are the words by which a question finds the file: its name, its columns, its categories."""

    markdown: str
    terms: tuple[str, ...]


def card_of(filename: str, content: IO[bytes], *, ending: str | None = None) -> Card:
    """Profile a table file: .csv, .tsv, .xlsx or .json, or a Parquet file's copy.

    Args:
        filename: As people know it; it stands on the card.
        ending: Of the content, when the filename has another.

    Raises:
        UnusableFile: it is damaged, empty or, for JSON, not a table.
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
    """A workbook of many wide sheets gets a card of its first ones."""
    left = CARD_MAX_BYTES
    for number, line in enumerate(lines):
        left -= len(line.encode("utf-8", "replace")) + 1
        if left < 0:
            return "\n".join([*lines[:number], "", "The card ends here; the file has more columns or sheets."]) + "\n"
    return "\n".join(lines) + "\n"


def singular(word: str) -> str:
    """`Metrics` and `metric` are one word here; nothing finer is needed to tell files apart."""
    word = word.casefold()
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


# ---- profiling ---------------------------------------------------------------------------------------------------


_INTEGER = r"[-+]?\d{1,18}"
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?"
INTEGER = re.compile(_INTEGER)
NUMBER = re.compile(_NUMBER)
DAY = re.compile(r"\d{4}-\d\d-\d\d")
# The same of many cells, a line each. What begins with a letter is text, whatever follows.
FORMS = {
    "integer": re.compile(rf"{_INTEGER}(?:\n{_INTEGER})*"),
    "number": re.compile(rf"{_NUMBER}(?:\n{_NUMBER})*"),
    "text": re.compile(r"[^\W\d].*(?:\n[^\W\d].*)*"),
}


class _Column:
    """What is known of one column after one pass."""

    def __init__(self, name: str) -> None:
        self.name = name.strip() or "(no name)"
        self.empty = 0
        self.kinds: dict[str, int] = {}
        self.low: dict[str, Any] = {}
        self.high: dict[str, Any] = {}
        self.distinct: dict[str, None] | None = {}

    def add(self, cell: Any, count: int = 1) -> None:
        kind, value = _typed(cell)
        if kind == "empty":
            self.empty += count
            return
        self._count(kind, count)
        if kind != "text":
            self._range(kind, value, value)
        self._show(cell)

    def add_texts(self, cells: Sequence[str]) -> None:
        """Many at once: where all are of one form, one regular expression says so for all."""
        full = [cell for cell in cells if cell]
        self.empty += len(cells) - len(full)
        joined = "\n".join(full)
        if not full:
            return
        if joined.count("\n") != len(full) - 1:
            form = None
        else:
            form = next((form for form, pattern in FORMS.items() if pattern.fullmatch(joined)), None)
        if form is None or (form == "text" and self.distinct is not None):
            for cell, count in Counter(full).items():
                self.add(cell, count)
            return
        self._count(form, len(full))
        if form != "text":
            values = list(map(int if form == "integer" else float, full))
            self._range(form, min(values), max(values))
            for cell in full if self.distinct is not None else ():
                self._show(cell)

    def _count(self, kind: str, count: int) -> None:
        self.kinds[kind] = self.kinds.get(kind, 0) + count

    def _range(self, kind: str, low: Any, high: Any) -> None:
        self.low[kind] = min(self.low.get(kind, low), low)
        self.high[kind] = max(self.high.get(kind, high), high)

    def _show(self, cell: Any) -> None:
        if self.distinct is not None:
            self.distinct[_short(cell)] = None
            if len(self.distinct) > DISTINCT_MAX:
                self.distinct = None

    @property
    def kind(self) -> str:
        if not self.kinds:
            return "empty"
        if set(self.kinds) == {"integer", "number"}:
            return "number"
        return next(iter(self.kinds)) if len(self.kinds) == 1 else "mixed"

    def describe(self) -> str:
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
    """Rows by the many, of a bounded size together: a cell may be long."""
    batch: list[Sequence[str]] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += sum(map(len, row)) + 50 * len(row)  # a short string has about 50 bytes of its own
        if size > BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


class _Profile:
    """One table, read to its end."""

    def __init__(self, table: Table) -> None:
        self.name = table.name
        self.note = table.note
        self.width = len(table.columns)
        self.columns = [_Column(name) for name in table.columns[:COLUMNS_MAX]]  # those beyond are only counted
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
        shown = self.columns[:20]
        yield "| " + " | ".join(_short(column.name) for column in shown) + " |"
        yield "|" + "---|" * len(shown)
        for row in self.first:
            yield "| " + " | ".join(_short(cell) for cell in row[:20]) + " |"


def _typed(cell: Any) -> tuple[str, Any]:
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
