"""What must hold for any table: a value is read exactly or left as its text, and never becomes another value."""

from __future__ import annotations

import csv
import io
import re
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.formats.base import UnusableFile
from tests.unit.formats.tables.reading import read

NUMBERS = st.decimals(min_value=-(10**9), max_value=10**9, places=2, allow_nan=False)
FEW = settings(max_examples=40, deadline=None)


def shown(number: Decimal, *, decimal: str, group: str, unit: str) -> str:
    text = f"{number:,.2f}"
    return text.replace(",", "\0").replace(".", decimal).replace("\0", group) + unit


def table(names: list[str], rows: list[list[str]], delimiter: str = ";") -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows([names, *rows])
    return text.getvalue().encode()


@FEW
@given(
    st.lists(NUMBERS, min_size=2, max_size=12),
    st.sampled_from([(",", "."), (".", ","), (",", ""), (".", ""), (".", "'"), (",", "\u202f")]),
    st.sampled_from(["", "%", " €", " kg"]),
    st.sampled_from(";\t|"),
)
def test_numbers_keep_their_value(numbers: list[Decimal], style: tuple[str, str], unit: str, delimiter: str) -> None:
    rows = [[f"k{n}", shown(number, decimal=style[0], group=style[1], unit=unit)] for n, number in enumerate(numbers)]
    found = read(table(["key", "value"], rows, delimiter))
    name = f"value ({unit.strip()})" if unit else "value"
    assert [Decimal(cell) for cell in found.column(name)] == numbers


@FEW
@given(
    st.lists(st.dates(date(1970, 1, 1), date(2068, 12, 31)), min_size=2, max_size=12),
    st.sampled_from(["%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%d %b %Y", "%B %d, %Y", "%Y/%m/%d"]),
)
def test_a_date_is_right_or_its_text(dates: list[date], style: str) -> None:
    rows = [[f"k{n}", day.strftime(style)] for n, day in enumerate(dates)]
    found = read(table(["key", "day"], rows))
    cells = found.column("day")
    assert cells in ([day.isoformat() for day in dates], [row[1] for row in rows])
    if cells != [day.isoformat() for day in dates]:
        assert "the day or the month" in found.notice


@FEW
@given(
    st.lists(st.integers(1, 10_000), min_size=2, max_size=15),
    st.sampled_from(["Total", "TOTAL:", "Summe", "Grand total", "合计", "Итого"]),
)
def test_a_total_is_never_among_its_details(values: list[int], label: str) -> None:
    rows = [[f"k{n}", "x", str(value)] for n, value in enumerate(values)]
    found = read(table(["key", "kind", "value"], [*rows, [label, "", str(sum(values))]]))
    assert found.total("value") == sum(values)


WORDS = st.text(alphabet="abcdé,; \"'\n", min_size=1, max_size=8).map(str.strip).filter(bool)


@FEW
@given(st.lists(st.tuples(WORDS, st.integers(0, 99)), min_size=3, max_size=8), st.sampled_from(";\t|"))
def test_text_is_kept_letter_by_letter(pairs: list[tuple[str, int]], delimiter: str) -> None:
    rows = [[f"w{text}w", str(number)] for text, number in pairs]
    found = read(table(["word", "number"], rows, delimiter))
    assert found.copies[0][1:] == rows


@FEW
@given(st.binary(max_size=200), st.sampled_from(["csv", "tsv", "xlsx", "json", "jsonl"]))
def test_any_bytes_are_a_table_or_have_a_reason(content: bytes, ending: str) -> None:
    try:
        read(content, ending)
    except UnusableFile as exc:
        assert exc.message.endswith(".")


@pytest.mark.parametrize("piece", ["1 ", "1,", "((", "- ", "1.1.", "0:", "total ", "a1", "(1", "1'"])
def test_long_cells_take_no_time(piece: str) -> None:
    assert read(table(["a", "b"], [[piece * 20_000, "1"], ["x", "2"]])).copies


# ---- no row is lost in silence ---------------------------------------------------------------------------------------

ODD = [
    "a",
    "b",
    "",
    "1",
    "2",
    "10",
    "1,5",
    "-",
    "Total",
    "Max",
    "Note",
    "Notebook",
    "2024-01-02",
    "n/a",
    "kg",
    "s",
    ".",
]
ODD += ["Source: x", "a b c d e f", "a b c d e f.", "12 kg", "#1", "# x", ";"]


def named_rows(notes: str) -> set[int]:
    """`rows 4, 6 to 8 and 12` -> {4, 6, 7, 8, 12}."""
    found: set[int] = set()
    for numbers in re.findall(r"\brows? ((?:\d+(?: to \d+)?(?:, | and )?)+)", notes, re.IGNORECASE):
        for first, last in re.findall(r"(\d+)(?: to (\d+))?", numbers):
            found.update(range(int(first), int(last or first) + 1))
    return found


@settings(max_examples=150, deadline=None)
@given(
    st.integers(2, 5).flatmap(
        lambda width: st.lists(st.lists(st.sampled_from(ODD), min_size=width, max_size=width), min_size=1, max_size=9)
    ),
    st.booleans(),
    st.sampled_from(",;"),
)
@example([["", ";", ";", ";"], ["r", "", "", ""], ["r", "", "", "1"]], True, ",")
@example([["Total", "5"]], True, ",")
@example([["Pen", "1"], ["Notebook", ""]], True, ",")
@example([["#1", "a"], ["#2", "b"], ["x", "c"], ["y", "d"]], False, ",")
def test_each_row_is_in_a_clean_copy_or_named(rows: list[list[str]], has_header: bool, delimiter: str) -> None:
    rows = [[f"c{n}" for n in range(len(rows[0]))], *rows] if has_header else rows
    try:
        found = read(table(rows[0], rows[1:], delimiter))
    except UnusableFile:
        return
    if found.is_plain:
        return
    filled = {number for number, row in enumerate(rows, 1) if any(cell.strip() for cell in row)}
    parts = [line for line in found.card.splitlines() if line.startswith("How it was read")]
    headers = sum("no header row" not in part and "eader in row" not in part for part in parts)
    headers += len(found.copies) - len(parts)  # of tables without notes
    notes = "; ".join(parts)
    kept = named_rows("; ".join(note for note in notes.split("; ") if "kept as a row" in note))
    copied = sum(len(copy) - 1 for copy in found.copies)
    assert copied + len((named_rows(notes) - kept) & filled) + headers == len(filled)
