"""Workbooks as people make them: several tables, merged cells, formats, hidden parts, formulas without values."""

from __future__ import annotations

from datetime import datetime, timedelta

import openpyxl  # type: ignore[import-untyped]
import pytest

from tests.unit.formats.tables.reading import put, read, saved


@pytest.fixture
def book() -> openpyxl.Workbook:
    return openpyxl.Workbook()


def test_a_plain_workbook(book: openpyxl.Workbook) -> None:
    put(book.active, [["a", "b"], [1, "x"], [2, "y"]])
    assert read(saved(book), "xlsx").is_plain


def test_a_table_that_does_not_start_at_the_first_cell(book: openpyxl.Workbook) -> None:
    put(book.active, [["City", "Visitors"], ["Graz", 120], ["Wien", 900]], at="C5")
    found = read(saved(book), "xlsx")
    assert found.copies == [[["City", "Visitors"], ["Graz", "120"], ["Wien", "900"]]]
    assert "eader in row 5" in found.notice


def test_title_empty_column_total_and_footer(book: openpyxl.Workbook) -> None:
    rows = [["REPORT"], [], ["Task", None, "Hours"], ["Design", None, 12], ["Build", None, 40], ["Total", None, 52]]
    put(book.active, [*rows, [], ["Source: plan"]])
    found = read(saved(book), "xlsx")
    assert found.copies == [[["Task", "Hours"], ["Design", "12"], ["Build", "40"]]]
    assert all(words in found.notice for words in ("eader in row 3", "ow 6 is a total", "REPORT", "Source: plan"))


def test_tables_beside_and_below_each_other(book: openpyxl.Workbook) -> None:
    put(book.active, [["City", "Visitors"], ["Graz", 1], ["Linz", 2], ["Wien", 3]])
    put(book.active, [["Item", "Price"], ["Pen", 5]], at="E1")
    put(book.active, [["Staff"], ["Name", "Age"], ["Ada", 30], ["Bo", 40]], at="A7")
    found = read(saved(book), "xlsx")
    assert [copy[0] for copy in found.copies] == [["City", "Visitors"], ["Name", "Age"], ["Item", "Price"]]
    assert found.total("Visitors") == 6


def test_sheets_with_the_same_columns_are_one_table(book: openpyxl.Workbook) -> None:
    for name, sold in (("Jan", 1), ("Feb", 2), ("Total", 3)):
        put(book.create_sheet(name), [["Item", "Sold"], ["Tea", sold]])
    found = read(saved(book), "xlsx")
    assert found.copies[0] == [["sheet", "Item", "Sold"], ["Jan", "Tea", "1"], ["Feb", "Tea", "2"]]
    assert found.copies[1][1:] == [["Tea", "3"]]


def test_merged_cells_and_two_header_rows(book: openpyxl.Workbook) -> None:
    sheet = book.active
    put(sheet, [["Region", "2024", None], [None, "Units", "Revenue"], ["N", 1, 2], [None, 3, 4], ["S", 5, 6]])
    for area in ("A1:A2", "B1:C1", "A3:A4"):
        sheet.merge_cells(area)
    assert read(saved(book), "xlsx").copies == [
        [["Region", "2024 Units", "2024 Revenue"], ["N", "1", "2"], ["N", "3", "4"], ["S", "5", "6"]]
    ]


def test_a_merged_number_is_counted_once(book: openpyxl.Workbook) -> None:
    put(book.active, [["k", "v"], ["a", 10], ["b", None], ["c", 5]])
    book.active.merge_cells("B2:B3")
    assert read(saved(book), "xlsx").total("v") == 15


@pytest.mark.parametrize(
    ("code", "number", "title", "cell"),
    [
        ("0.0%", 0.475, "v (%)", "47.5"),
        ('"$"#,##0', 90000, "v ($)", "90000"),
        ('#,##0.00 "€"', 5.5, "v (€)", "5.5"),
        ("[$CHF-807] #,##0.00", 5.5, "v (CHF)", "5.5"),
        ('0.0" kg"', 2, "v (kg)", "2"),
        ("00000", 1067, "v", "01067"),
        ("General", 2.5, "v", "2.5"),
    ],
)
def test_number_formats(book: openpyxl.Workbook, code: str, number: float, title: str, cell: str) -> None:
    put(book.active, [["title"], ["k", "v"], ["a", number], ["b", number]])
    for row in (3, 4):
        book.active.cell(row, 2).number_format = code
    assert read(saved(book), "xlsx").column(title) == [cell, cell]


def test_percentages_among_other_numbers(book: openpyxl.Workbook) -> None:
    put(book.active, [["k", "v"], ["margin", 0.475], ["revenue", 100]])
    book.active["B2"].number_format = "0%"
    assert "some numbers are percentages" in read(saved(book), "xlsx").notice


def test_dates_and_durations(book: openpyxl.Workbook) -> None:
    put(book.active, [["d", "at", "spent"], [datetime(2024, 1, 2), datetime(2024, 1, 2, 3, 4), timedelta(hours=30)]])
    book.active["C2"].number_format = "[h]:mm:ss"
    assert read(saved(book), "xlsx").copies == [
        [["d", "at", "spent (s)"], ["2024-01-02", "2024-01-02T03:04:00", "108000"]]
    ]


def test_hidden_rows_columns_and_sheets_are_included_and_named(book: openpyxl.Workbook) -> None:
    put(book.active, [["a", "b"], [1, 2], [3, 4]])
    book.active.row_dimensions[3].hidden = True
    book.active.column_dimensions["B"].hidden = True
    put(book.create_sheet("Secret"), [["x", "y"], [1, 2]])
    book["Secret"].sheet_state = "hidden"
    found = read(saved(book), "xlsx")
    assert [len(copy) for copy in found.copies] == [3, 2]
    assert all(words in found.notice for words in ("1 row is hidden", "hidden columns (B)", "he sheet is hidden"))


def test_formulas_without_values_are_missing_and_not_zero(book: openpyxl.Workbook) -> None:
    put(book.active, [["Item", "Qty", "Amount"], ["Chair", 10, "=B2*15"], ["Desk", 4, "=B3*320"]])
    found = read(saved(book), "xlsx")
    assert found.column("Amount") == ["", ""]
    assert "2 formulas in column C have no stored values" in found.notice


def test_numbers_stored_as_text(book: openpyxl.Workbook) -> None:
    put(book.active, [["k", "v"], ["a", "1,234.50"], ["b", "12"], ["c", 3]])
    found = read(saved(book), "xlsx")
    assert found.column("v") == ["1234.50", "12", "3"]
    assert found.notice


def test_a_cell_beside_two_tables_is_kept(book: openpyxl.Workbook) -> None:
    put(book.active, [["City", "Visitors"], ["Graz", 1], ["Linz", 2], ["Wien", 3]])
    put(book.active, [["Item", "Price"], ["Pen", 5]], at="E1")
    put(book.active, [["remark"]], at="I3")
    assert "remark" in str(read(saved(book), "xlsx"))


def test_a_sheet_with_one_cell_is_named(book: openpyxl.Workbook) -> None:
    put(book.active, [["a", "b"], [1, 2], [3, 4]])
    put(book.create_sheet("Remarks"), [["Only half of the stores"]])
    assert "Only half of the stores" in read(saved(book), "xlsx").notice


def test_more_tables_than_are_read_are_named(book: openpyxl.Workbook) -> None:
    rows: list[list[object]] = []
    for number in range(25):
        rows += [[f"Part {number}"], [f"k{number}", "v"], ["a", 1], ["b", 2], []]
    put(book.active, rows)
    assert "has more tables: what stands from row" in read(saved(book), "xlsx").card
