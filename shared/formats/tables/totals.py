"""Finds the rows of totals among the rows of a table, by their label and by the sums of the rows above. Pure.

A row that is labelled "Total" and equals the sum of rows above is a total, also when it is a little off. A label alone
may be a name (Total is also an oil company), and so may Max: such a row stays. The notes name each row that is left out
or that stays in spite of its label.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import inf
from typing import Literal

from shared.formats.tables.words import RowNumbers

LABEL_MAX_CHARS = 60
LABEL_COLUMNS = 6  # in which a label is looked for
MARKS_MAX = 40  # earlier totals from which a sum may begin
HELD_MAX = 8
OFF_MAX = 0.1  # of the sum: a total that is off by less was rounded, or made before a row was changed

_TOTAL = (
    r"(?:(?:grand|sub|over|sum|report|running)[\s-]*)?totals?|sub-?totals?|sum|sums|summe|summen|gesamt|gesamtsumme|"
    r"zwischensumme|endsumme|insgesamt|gesamtergebnis|ergebnis|total\s+g[ée]n[ée]ral|sous-total|somme|totale|"
    r"totale\s+generale|subtotale|totaal|eindtotaal|subtotaal|suma|sumas|total\s+general|total\s+geral|razem|"
    r"celkem|összesen|toplam|genel\s+toplam|summa|totalt|i\s+alt|yhteensä|итого|всего|итог|合计|总计|小计|總計|合計|"
    r"小計|総計|총계|합계|소계|all|σύνολο|celkový\s+součet"
)
_AGGREGATE = (
    r"average|avg\.?|mean|median|max(?:imum)?|min(?:imum)?|count|std\.?(?:\s*dev\.?)?|durchschnitt|mittelwert|mittel|"
    r"schnitt|anzahl|moyenne|promedio|media|gemiddelde|平均|среднее"
)
_NAME_TOO = re.compile(r"[\s*]*(?:max|min|count|media|mittel|schnitt|anzahl)[\s:.*]*", re.IGNORECASE)
_EXACT = re.compile(rf"[\s=*]*(?:{_TOTAL})[\s:.*=]*", re.IGNORECASE)
_AVERAGE = re.compile(rf"[\s*]*(?:{_AGGREGATE})[\s:.*]*", re.IGNORECASE)
_PART = re.compile(rf"(?:{_TOTAL})\b.+|.+\b(?:{_TOTAL})[\s:.*]*", re.IGNORECASE)
# One of these is in nearly every label; words that are frequent in other text, such as "all", are left out.
STEMS = (
    "total",
    "summ",
    "gesamt",
    "somme",
    "totaal",
    "suma",
    "razem",
    "celkem",
    "összesen",
    "toplam",
    "yhteensä",
    "итог",
    "всего",
    "计",
    "計",
    "계",
    "σύνολο",
    "average",
    "durchschnitt",
    "mittelwert",
    "moyenne",
    "promedio",
    "平均",
    "\nsum",
    "\nmax",
    "\nmin",
    "\navg",
    "\nmean",
    "\nmedia",
    "\nstd",
    "\ncount",
    "\nanzahl",
    "\nmittel",
    "\nschnitt",
    "\nergebnis",
    "\ngemiddelde",
    "\ni alt",
    "\nall\n",
    "среднее",
)

Label = Literal["", "exact", "part", "average"]
Row = Sequence[str]
Columns = list[Sequence[str]]  # the cells of each column, for a batch of rows


def label_of(text: str) -> Label:
    """What a cell says of its row: `exact` "Total", `part` "North total", `average`; "" for any other text."""
    return "" if not text or len(text) > LABEL_MAX_CHARS or text[0].isdigit() else _label(text)


@lru_cache(maxsize=10_000)
def _label(text: str) -> Label:
    if _EXACT.fullmatch(text):
        return "exact"
    if _AVERAGE.fullmatch(text):
        return "average"
    return "part" if _PART.fullmatch(text) else ""


def row_label(row: Sequence[str]) -> Label:
    """The label of a row: of the first of its cells that has one."""
    for cell in row[:LABEL_COLUMNS]:
        if cell and cell[0] > "9" and (label := label_of(cell)):  # digits and signs stand before letters
            return label
    return ""


def has_label(lines: str) -> bool:
    """Whether one of many cells, each in a line of its own, is the label of a total. Fast, since nearly none is."""
    lower = f"\n{lines.lower()}\n"
    for stem in STEMS:
        at = lower.find(stem)
        while at >= 0:
            start = lower.rfind("\n", 0, at + 1) + 1
            end = lower.find("\n", max(at + 1, start))
            if label_of(lower[start:end].strip()):
                return True
            at = lower.find(stem, end)
    return False


@dataclass(kw_only=True)
class Totals:
    """Goes over the written rows of one table. `numbers` and `labels` are the places of its number and text columns."""

    numbers: Sequence[int]
    labels: Sequence[int]
    left_out: RowNumbers = field(default_factory=RowNumbers)  # rows that are totals
    unequal: RowNumbers = field(default_factory=RowNumbers)  # left out, though a little off
    kept: RowNumbers = field(default_factory=RowNumbers)  # labelled as totals, and kept
    figures: RowNumbers = field(default_factory=RowNumbers)  # left out: averages and the like below the table
    details: int = 0
    _unlabelled: int = 0  # of the details: rows without any text
    _sums: list[float] = field(default_factory=list)
    _ranges: list[tuple[float, float, int]] = field(default_factory=list)  # lowest, highest, number of values
    _marks: list[tuple[int, list[float]]] = field(default_factory=list)
    _held: list[tuple[int, Row]] = field(default_factory=list)
    _top: tuple[int, Row] | None = None

    def __post_init__(self) -> None:
        self._sums = [0.0] * len(self.numbers)
        self._marks = [(0, list(self._sums))]
        self._ranges = [(inf, -inf, 0)] * len(self.numbers)

    def sift(self, batches: Iterator[tuple[Sequence[int], Columns]]) -> Iterator[Columns]:
        """The rows that are no totals, in batches of columns.

        Args:
            batches: The numbers of some rows, and the cells of each column.
        """
        for numbers, columns in batches:
            if not self.numbers or self._are_details(columns):
                yield columns
            elif rows := list(self._sifted(zip(numbers, zip(*columns, strict=True), strict=True))):
                yield list(zip(*rows, strict=True))
        if rows := list(self._end()):
            yield list(zip(*rows, strict=True))

    def _are_details(self, columns: Columns) -> bool:
        """Whether no row of the batch can be a total: then its sums are added, all at once, for speed."""
        if self._held or self._top or (self.labels and all("" in columns[place] for place in self.labels)):
            return False
        if any(has_label("\n".join(columns[place]) + "\n") for place in self.labels if place < LABEL_COLUMNS):
            return False
        try:
            values = [list(map(float, filter(None, columns[place]))) for place in self.numbers]
        except ValueError:  # a cell that is kept as text, and may be a label
            return False
        for n, column in enumerate(values):
            if column:
                self._sums[n] += sum(column)
                low, high, count = self._ranges[n]
                self._ranges[n] = (min(low, min(column)), max(high, max(column)), count + len(column))
        self.details += len(columns[0])
        return True

    def _sifted(self, rows: Iterator[tuple[int, Row]]) -> Iterator[Row]:
        for number, row in rows:
            label = row_label(row)
            if label and self._is_total(number, row, label):
                continue
            if not label and self._is_unlabelled(row):
                self._leave_out(number)
                continue
            for held in self._held:  # a row follows: they were no totals at the end
                yield self._kept(*held)
            self._held.clear()
            self._add(row)
            yield row

    def _is_total(self, number: int, row: Row, label: Label) -> bool:
        """Whether the row is left out or held back. Held rows are decided when the next row comes."""
        if not any(row[place] for place in self.numbers):
            return False
        others_blank = self._other_labels_blank(row)
        if not self.details:
            if label == "exact" and self._top is None:
                self._top = (number, row)
                return True
            return False
        if label != "average" and self._equals_a_sum(row):
            self._leave_out(number)
            return True
        if label == "part":
            return False
        if label == "exact" and others_blank and len(self.labels) > 1 and self._is_nearly_a_sum(row):
            self._leave_out(number, equal=False)
            return True
        if (others_blank or len(self.labels) <= 1) and len(self._held) < HELD_MAX:
            self._held.append((number, row))
            return True
        if label == "exact":
            self.kept.add(number)
        return False

    def _other_labels_blank(self, row: Row) -> bool:
        filled = [place for place in self.labels if row[place]]
        return len(filled) <= 1

    def _is_unlabelled(self, row: Row) -> bool:
        """Whether the only row without any text equals the sums of all rows above, or of those since the last total."""
        if self.details < 2 or self._unlabelled or not self.labels or any(row[place] for place in self.labels):
            return False
        values = [row[place] for place in self.numbers if row[place]]
        return any(values) and any(
            self._matches(row, at) == len(values) for at in {0, len(self._marks) - 1} if self._since(at) > 1
        )

    def _equals_a_sum(self, row: Row) -> bool:
        return any(self._since(at) and self._matches(row, at) for at in range(len(self._marks) - 1, -1, -1))

    def _is_nearly_a_sum(self, row: Row) -> bool:
        """Whether the row is off by a little from the sum of all rows above, or of those since the last total."""
        for at in {0, len(self._marks) - 1}:
            for n, place in enumerate(self.numbers):
                value, expected = _number(row[place]), self._sums[n] - self._marks[at][1][n]
                if value and self._since(at) > 1 and abs(value - expected) <= OFF_MAX * abs(expected):
                    return True
        return False

    def _is_figure(self, row: Row) -> bool:
        """Whether a row that is labelled as an average or maximum is one; the label may be a name, such as Max."""
        if not _may_be_name(row):
            return True
        for n, place in enumerate(self.numbers):
            value = _number(row[place])
            low, high, count = self._ranges[n]
            if value is not None and count > 1:
                figures = (low, high, count, self._sums[n] / count)
                if min(abs(value - figure) for figure in figures) < 0.01:
                    return True
        return False

    def _since(self, at: int) -> int:
        return self.details - self._marks[at][0]

    def _matches(self, row: Row, at: int) -> int:
        """In how many number columns the row equals the sum since an earlier total."""
        start = self._marks[at][1]
        found = 0
        for n, place in enumerate(self.numbers):
            value = _number(row[place])
            if value is None or not value:
                continue
            decimals = len(row[place].partition(".")[2])
            expected = self._sums[n] - start[n]
            whole = not decimals and expected == int(expected)
            limit = 0.01 if whole else 1.01 * 10**-decimals
            found += abs(value - expected) <= max(limit, 1e-9 * abs(expected))
        return found

    def _add(self, row: Row) -> None:
        self.details += 1
        self._unlabelled += not any(row[place] for place in self.labels)
        for n, place in enumerate(self.numbers):
            value = _number(row[place])
            if value is not None:  # no cell that is kept as text
                self._sums[n] += value
                low, high, count = self._ranges[n]
                self._ranges[n] = (min(low, value), max(high, value), count + 1)

    def _leave_out(self, number: int, *, equal: bool = True) -> None:
        (self.left_out if equal else self.unequal).add(number)
        self._marks.append((self.details, list(self._sums)))
        if len(self._marks) > MARKS_MAX:
            del self._marks[1]  # the start of the table stays

    def _kept(self, number: int, row: Row) -> Row:
        if not _may_be_name(row):
            self.kept.add(number)
        self._add(row)
        return row

    def _end(self) -> Iterator[Row]:
        for number, row in self._held:
            if row_label(row) == "average":
                is_left_out = self._is_figure(row)
                if is_left_out:
                    self.figures.add(number)
            else:
                is_left_out = self._is_nearly_a_sum(row)
                if is_left_out:
                    self._leave_out(number, equal=False)
            if not is_left_out:
                yield self._kept(number, row)
        if self._top:
            if self.details and self._matches(self._top[1], 0):
                self.left_out.put_first(self._top[0])
            else:
                yield self._kept(*self._top)

    def notes(self) -> Iterator[str]:
        if self.left_out:
            yield f"{self.left_out.are('is a total', 'are totals')} and not in the clean copy"
        if self.unequal:
            labelled = self.unequal.are("is labelled as a total", "are labelled as totals")
            yield f"{labelled}, though not equal to the sum of the rows above; not in the clean copy"
        if self.figures:
            yield f"{self.figures.are('is a figure', 'are figures')} of the rows above, not in the clean copy"
        if self.kept:
            labelled = self.kept.are("is labelled as a total or average", "are labelled as totals or averages")
            yield f"{labelled}, but the figures do not agree with the rows above: kept as a row"


def _may_be_name(row: Row) -> bool:
    return any(_NAME_TOO.fullmatch(cell) for cell in row[:LABEL_COLUMNS])


def _number(text: str) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
