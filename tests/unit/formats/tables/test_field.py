"""Tables that real people tripped over: each clean copy, or the plain file, holds the right value."""

from __future__ import annotations

import csv
import io

import pytest

from local.paths import ROOT
from shared.formats.contents import look_inside
from tests.unit.formats.tables.reading import Read, read

FIELD = ROOT / "../shared/data/field"
pytestmark = pytest.mark.skipif(not FIELD.is_dir(), reason="needs ../shared/data/field")

SUMS = [
    ("a1-title-spacer.xlsx", 0, "Hours", 75),
    ("a19-sheets.xlsx", 0, "Sold", 150),
    ("a2-percent-merged.xlsx", 1, "Sales", 300),
    ("a3-rollup.csv", 0, "tickets", 358),
    ("a3-rollup.xlsx", 0, "Revenue", 2850),
    ("a6-umsatz.csv", 0, "Umsatz", 19210.60),
    ("a7-unicode-text.csv", 0, "Einwohner", 799597),
    ("a12-bank-export.csv", 0, "Balance", 27200),
    ("a13-units.csv", 0, "temperature (degC)", 88),
    ("a14-events.jsonl", 0, "ms", 4555),
    ("a22-durations.csv", 0, "duration (s)", 4800),
    ("a27-table.txt", 0, "visits", 2000),
    ("a31-missing.csv", 0, "rain", 9),
    ("b20-nested.json", 1, "items.qty", 8),
    ("d2-shop-cn.csv", 0, "销售额", 3600),
    ("d5-shares.csv", 0, "votes", 1000),
    ("e1-two-headers.xlsx", 0, "2024 Revenue", 160),
    ("e10-units-in-cell.csv", 0, "flow (m3/h)", 40.75),
    ("e2-offset.xlsx", 0, "Visitors", 1360),
    ("e6-orders.csv", 0, "amount", 745),
    ("m1.csv", 0, "v", 4),
    ("m4.csv", 0, "sales", 6),
    ("m6.csv", 0, "price", 7),
    ("m7.csv", 0, "b", 4),
    ("m9.csv", 0, "tip", 12),
    ("m14.csv", 0, "minutes", 120),
]


# File, number of the copy, column, and the sum of the column in the rows where another column has a value.
GROUPS: list[tuple[str, int, str, str, str, float]] = [
    ("a1-title-spacer.xlsx", 0, "Hours", "Owner", "Ana", 30),
    ("a1-title-spacer.xlsx", 0, "Hours", "Owner", "Ben", 40),
    ("a2-percent-merged.xlsx", 1, "Sales", "Region", "North", 175),
    ("a2-percent-merged.xlsx", 1, "Sales", "Region", "South", 125),
    ("a6-umsatz.csv", 0, "Umsatz", "Filiale", "Köln", 4834.75),
    ("a6-umsatz.csv", 0, "Umsatz", "Filiale", "Bonn", 14375.85),
    ("a6-umsatz.csv", 0, "Umsatz", "Datum", "2025-01", 2214.50),
    ("a6-umsatz.csv", 0, "Umsatz", "Datum", "2025-02", 3151.00),
    ("a6-umsatz.csv", 0, "Umsatz", "Datum", "2025-03", 13845.10),
    ("a12-bank-export.csv", 0, "Amount", "Description", "Office rent", -2700),
    ("a16-ddmm.csv", 0, "amount", "date", "2025-03", 270),
    ("a16-ddmm.csv", 0, "amount", "date", "2025-04", 360),
    ("a19-sheets.xlsx", 0, "Sold", "sheet", "Feb", 35),
    ("a22-durations.csv", 0, "duration (s)", "agent", "Noa", 4500),
    ("b20-nested.json", 1, "items.qty", "customer.name", "Acme", 7),
    ("d5-shares.csv", 0, "votes", "party", "Green", 190),
    ("e1-two-headers.xlsx", 0, "2025 Revenue", "Region", "North", 250),
    ("e6-orders.csv", 0, "amount", "customer_id", "2", 175),
    ("e6-orders.csv", 0, "amount", "customer_id", "3", 500),
    ("m15.csv", 0, "qty", "code", "007", 3),
]
# File, number of the copy, column with figures, the largest of them, and the row that has it.
LARGEST: list[tuple[str, int, str, float, dict[str, str]]] = [
    ("a7-unicode-text.csv", 0, "Einwohner", 421878, {"Stadt": "Zürich"}),
    ("a12-bank-export.csv", 0, "Balance", 6600, {"Date": "2025-01-20"}),
    ("a13-units.csv", 0, "flow (L/min)", 1.6, {"time (s)": "30"}),
    ("a27-table.txt", 0, "bounces", 300, {"site": "home"}),
    ("d2-shop-cn.csv", 0, "销售额", 1500, {"店铺": "上海店"}),
    ("e3-chart-first.xlsx", 0, "Sales", 30, {"Quarter": "Q2"}),
    ("m12.csv", 0, "score", 9, {"name": "Bo"}),
    ("m14.csv", 0, "minutes", 90, {"trip": "2"}),
]
# File, number of the copy, column, its mean, and how many of its cells have a value.
MEANS: list[tuple[str, int, str, float, int]] = [
    ("a3-rollup.csv", 0, "tickets", 119.33, 3),
    ("a13-units.csv", 0, "temperature (degC)", 22, 4),
    ("a14-events.jsonl", 0, "ms", 911, 5),
    ("a22-durations.csv", 0, "duration (s)", 1200, 4),
    ("a31-missing.csv", 0, "rain", 3, 3),
    ("e10-units-in-cell.csv", 0, "flow (m3/h)", 13.58, 3),
    ("m7.csv", 0, "b", 2, 2),
]
OTHERS = ("a4-formulas.xlsx", "a10-bank.csv", "e6-customers.csv", "m10.csv", "m11.txt")
FILES = {each[0] for some in (SUMS, GROUPS, LARGEST, MEANS) for each in some} | {*OTHERS}


def field(name: str) -> Read:
    content = (FIELD / name).read_bytes()
    found = read(content, look_inside(name, io.BytesIO(content)).ending)
    if not found.copies:
        rows = list(csv.reader(io.StringIO(content.decode())))
        return Read(names=[], copies=[rows], card=found.card, notice=found.notice, is_plain=True)
    return found


@pytest.mark.parametrize(("name", "copy", "column", "total"), SUMS, ids=[name for name, *_ in SUMS])
def test_sums(name: str, copy: int, column: str, total: float) -> None:
    assert field(name).total(column, copy) == pytest.approx(total)


@pytest.mark.parametrize(("name", "copy", "column", "by", "value", "total"), GROUPS)
def test_groups(name: str, copy: int, column: str, by: str, value: str, total: float) -> None:
    found = field(name)
    rows = zip(found.column(by, copy), found.column(column, copy), strict=True)
    assert sum(float(cell) for group, cell in rows if cell and group.startswith(value)) == pytest.approx(total)


@pytest.mark.parametrize(("name", "copy", "column", "most", "row"), LARGEST)
def test_largest(name: str, copy: int, column: str, most: float, row: dict[str, str]) -> None:
    best = max(records(name, copy), key=lambda each: float(each[column] or "-inf"))
    assert (float(best[column]), {key: best[key] for key in row}) == (most, row)


@pytest.mark.parametrize(("name", "copy", "column", "mean", "count"), MEANS)
def test_means(name: str, copy: int, column: str, mean: float, count: int) -> None:
    values = [float(cell) for cell in field(name).column(column, copy) if cell]
    assert (sum(values) / len(values), len(values)) == (pytest.approx(mean, abs=0.005), count)


def test_dates_are_day_first() -> None:
    days = field("a16-ddmm.csv").column("date")
    assert [day[:7] for day in days].count("2025-04") == 2


def test_percentages_and_merged_cells() -> None:
    found = field("a2-percent-merged.xlsx")
    assert found.column("Fringe rate (%)")[0] == "47.5"
    assert found.column("Region", 1) == ["North"] * 3 + ["South"] * 2


def test_formulas_without_values_are_named() -> None:
    assert "no stored values" in field("a4-formulas.xlsx").notice


def test_items_of_several_sheets_are_one_table() -> None:
    sold = {(row["Item"], row["sheet"]): row["Sold"] for row in records("a19-sheets.xlsx")}
    assert sold["Coffee", "Feb"] == "5"
    assert [sold["Tea", month] for month in ("Jan", "Feb", "Mar")] == ["10", "30", "40"]


def test_shares_of_rows() -> None:
    rates = {row["site"]: float(row["bounces"]) / float(row["visits"]) for row in records("a27-table.txt")}
    assert max(rates, key=lambda site: rates[site]) == "pricing"
    assert sum(not row["rain"] for row in records("a31-missing.csv")) == 3
    assert [row["customer.city"] for row in records("b20-nested.json") if row["customer.name"] == "Acme"] == ["Wien"]


def test_codes_are_text() -> None:
    assert "| code | identifier | 007, 010 |" in field("m15.csv").card


def records(name: str, copy: int = 0) -> list[dict[str, str]]:
    header, *rows = field(name).copies[copy]
    return [dict(zip(header, row, strict=True)) for row in rows]


def test_a_file_named_csv_with_semicolons_and_quotes() -> None:
    rows = [row for row in records("a10-bank.csv") if (row["marital"], row["education"]) == ("married", "tertiary")]
    assert sum(30 <= int(row["age"]) <= 40 for row in rows) == 4


def test_the_table_of_a_workbook_is_on_its_second_sheet() -> None:
    found = field("e3-chart-first.xlsx")
    assert found.copies == [[["Quarter", "Sales"], ["Q1", "10"], ["Q2", "30"], ["Q3", "20"]]]


@pytest.mark.parametrize(
    ("name", "where", "column", "value"),
    [
        ("m4.csv", ("year", "2020"), "sales", "5"),
        ("m6.csv", ("name", "cup"), "price", "5"),
        ("m12.csv", ("name", "Bo"), "score", "9"),
        ("m14.csv", ("trip", "2"), "minutes", "90"),
        ("e6-customers.csv", ("customer_id", "3"), "name", "Gamma"),
    ],
)
def test_single_values(name: str, where: tuple[str, str], column: str, value: str) -> None:
    assert [row[column] for row in records(name) if row[where[0]] == where[1]] == [value]


def test_words_for_yes_and_no_stay_as_they_are() -> None:
    assert [row["smoker"] for row in records("m10.csv")].count("Yes") == 1


def test_the_tip_of_one_day() -> None:
    assert [row["tip"] for row in records("m9.csv") if row["day"] == "Sun"] == ["1", "3"]


def test_a_receipt_is_text_and_no_table() -> None:
    inside = look_inside("m11.txt", io.BytesIO((FIELD / "m11.txt").read_bytes()))
    assert (inside.kind, inside.ending) == ("text", "txt")
