"""The profile of a table: types, ranges and distinct values of its columns, in one pass of its rows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from shared.formats.tables.totals import LABEL_COLUMNS

FIRST_ROWS = 5
DISTINCT_MAX = 12  # a column with more distinct values is shown as "many values"
COLUMNS_MAX = 200  # profiled; further columns are only counted
FIRST_ROWS_COLUMNS = 20
CELL_MAX_CHARS = 60
VALUES_MAX_CHARS = 160  # for all values of a column together

_INTEGER = r"[-+]?\d{1,18}"
_NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,3})?"
INTEGER = re.compile(_INTEGER)
NUMBER = re.compile(_NUMBER)
_DAY = r"\d{4}-\d\d-\d\d"
DAY = re.compile(_DAY)
# Match many cells at once, one per line. A cell that begins with a letter is text.
MANY = {
    "integer": re.compile(rf"{_INTEGER}(?:\n{_INTEGER})*"),
    "number": re.compile(rf"{_NUMBER}(?:\n{_NUMBER})*"),
    "time": re.compile(rf"{_DAY}(?:[ T][^\n]*)?(?:\n{_DAY}(?:[ T][^\n]*)?)*"),
    "text": re.compile(r"[^\W\d].*(?:\n[^\W\d].*)*"),
}
VALUE: dict[str, Callable[[str], Any]] = {
    "integer": int,
    "number": float,
    "time": lambda text: datetime.fromisoformat(text).replace(tzinfo=None),
}


class Column:
    """The profile of one column: types, ranges, distinct values and the number of empty cells."""

    def __init__(self, name: str, *, given: str = "") -> None:
        self.given = given  # the type, when it is known: then digits are no numbers
        self.name = name.strip() or "(no name)"
        self.empty = 0
        self.looks_for: Callable[[str], bool] | None = None  # in text cells
        self.found = False  # a cell matched it
        self.kinds: dict[str, int] = {}  # type -> number of cells
        self.low: dict[str, Any] = {}  # type -> smallest value
        self.high: dict[str, Any] = {}
        self.distinct: dict[str, None] | None = {}  # in order of appearance; None: more than DISTINCT_MAX

    def add(self, cell: Any, count: int = 1) -> None:
        kind, value = _typed(cell)
        if self.given and kind != "empty":
            kind, value = "text", cell
        if kind == "empty":
            self.empty += count
            return
        self._count(kind, count)
        if kind != "text":
            self._range(kind, value, value)
        self._add_distinct(cell)

    def add_texts(self, cells: Sequence[str]) -> None:
        """As `add` for each cell, but faster: one regular expression matches many cells of the same type."""
        filled = [cell for cell in cells if cell] if "" in cells else cells
        if self.given:
            filled = [cell for cell in filled if not cell.isspace()]
        self.empty += len(cells) - len(filled)
        if not filled:
            return
        joined = "\n".join(filled)
        if self.given:
            kind = "text"
        elif joined.count("\n") != len(filled) - 1:
            kind = None  # a cell has a line break
        else:
            kind = next((kind for kind, pattern in MANY.items() if pattern.fullmatch(joined)), None)
        if kind in (None, "text") and self.looks_for is not None and not self.found:
            self.found = self.looks_for(joined)
        try:
            values = (
                list(map(VALUE[kind], dict.fromkeys(filled) if kind == "time" else filled)) if kind in VALUE else []
            )
        except ValueError:  # a day that its month does not have
            kind = None
        if kind is None:
            for cell, count in Counter(filled).items():
                self.add(cell, count)
            return
        self._count(kind, len(filled))
        if values:
            self._range(kind, min(values), max(values))
        if self.distinct is not None:
            for cell in dict.fromkeys(filled):
                self._add_distinct(cell)

    def _count(self, kind: str, count: int) -> None:
        self.kinds[kind] = self.kinds.get(kind, 0) + count

    def _range(self, kind: str, low: Any, high: Any) -> None:
        self.low[kind] = min(self.low.get(kind, low), low)
        self.high[kind] = max(self.high.get(kind, high), high)

    def _add_distinct(self, cell: Any) -> None:
        if self.distinct is not None:
            self.distinct[short(cell)] = None
            if len(self.distinct) > DISTINCT_MAX:
                self.distinct = None

    @property
    def kind(self) -> str:
        """The type on the card: that of all cells, `number` for integers and numbers, `mixed` or `empty`."""
        if not self.kinds:
            return "empty"
        if self.given:
            return self.given
        if set(self.kinds) == {"integer", "number"}:
            return "number"
        return next(iter(self.kinds)) if len(self.kinds) == 1 else "mixed"

    def describe(self) -> str:
        """The range of numbers and times, else the distinct values."""
        values = [self.low[k] for k in self.low] + [self.high[k] for k in self.high]
        if self.kind in ("integer", "number"):
            return f"{plain_number(min(values))} to {plain_number(max(values))}"
        if self.kind == "time":
            return f"{min(values).isoformat(sep=' ')} to {max(values).isoformat(sep=' ')}"
        if self.distinct:
            values_text = ", ".join(self.distinct)
            return values_text if len(values_text) <= VALUES_MAX_CHARS else values_text[: VALUES_MAX_CHARS - 1] + "…"
        return "many values" if self.kinds else ""


class Profile:
    """The profile of one table, whose cells are all text. Its rows are added in batches.

    Args:
        given: Place of a column -> its type, such as `identifier`: its digits are no numbers.
        looks_for: What to look for in text cells; columns that have it get `found`.
    """

    def __init__(
        self,
        name: str,
        columns: Sequence[str],
        *,
        given: Mapping[int, str] | None = None,
        looks_for: Callable[[str], bool] | None = None,
    ) -> None:
        self.name = name
        self.width = len(columns)
        types = given or {}
        self.columns = [Column(c, given=types.get(n, "")) for n, c in enumerate(columns[:COLUMNS_MAX])]
        self._looks_for = looks_for
        self.first: list[tuple[str, ...]] = []
        self.rows = 0

    def add(self, columns: Sequence[Sequence[str]]) -> None:
        """Add some rows: the cells of each column."""
        count = len(columns[0]) if columns else 0
        if len(self.first) < FIRST_ROWS:
            self.first += islice(zip(*columns, strict=True), FIRST_ROWS - len(self.first))
        self.rows += count
        looks_for = self._looks_for
        for place, (column, cells) in enumerate(zip(self.columns, columns, strict=False)):
            column.looks_for = looks_for
            column.add_texts(cells)
            if place + 1 == LABEL_COLUMNS or ("text" in column.kinds and "" not in cells):
                looks_for = None  # the label of a total stands in the first text of its row
        for column in self.columns[len(columns) :]:
            column.empty += count

    def words(self) -> Iterator[str]:
        yield from re.split(r"[\W_]+", self.name)
        for column in self.columns:
            yield from re.split(r"[\W_]+", column.name)
            if column.kind == "text" and column.distinct:
                for category in column.distinct:
                    yield from re.split(r"[\W_]+", category)

    def markdown(self) -> Iterator[str]:
        yield "| column | type | values | empty |"
        yield "|---|---|---|---|"
        for column in self.columns:
            yield f"| {short(column.name)} | {column.kind} | {column.describe()} | {column.empty} |"
        if self.width > len(self.columns):
            yield f"| … {self.width - len(self.columns):,} more columns | | | |"
        yield ""
        yield "First rows:"
        yield ""
        shown = self.columns[:FIRST_ROWS_COLUMNS]
        yield "| " + " | ".join(short(column.name) for column in shown) + " |"
        yield "|" + "---|" * len(shown)
        for row in self.first:
            yield "| " + " | ".join(short(cell) for cell in row[:FIRST_ROWS_COLUMNS]) + " |"


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


def plain_number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.15g}"


def short(cell: Any) -> str:
    text = "" if cell is None else re.sub(r"[\s|]+", " ", str(cell)).strip()
    return text if len(text) <= CELL_MAX_CHARS else text[: CELL_MAX_CHARS - 1] + "…"
