"""Data cards of Excel workbooks: several sheets, large and damaged workbooks."""

from __future__ import annotations

import io
import zipfile
from contextlib import suppress

import openpyxl  # type: ignore[import-untyped]
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.formats.base import UnusableFile
from shared.formats.datacards import card_of
from shared.formats.tables import workbook as reader
from tests.unit.formats.cards import card, column_of, size_of


def workbook(sheets: dict[str, list[list[object]]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    content = io.BytesIO()
    book.save(content)
    book.close()
    return content.getvalue()


def test_a_workbook_of_several_sheets() -> None:
    content = workbook(
        {
            "Sales 2026": [["month", "revenue"], ["jan", 10.5], ["feb", 20]],
            "Empty": [],
            "Staff": [[None], ["name", "since", "active"], ["Ann", pd.Timestamp("2020-05-01").to_pydatetime(), True]],
        }
    )
    made = card_of("book.xlsx", io.BytesIO(content))
    assert "Sheet Sales 2026: 2 rows, 2 columns." in made.markdown
    assert "Sheet Staff: 1 rows, 3 columns." in made.markdown
    assert "Empty" not in made.markdown
    assert column_of(made.markdown, "revenue") == ("number", "10.5 to 20", "0")
    assert column_of(made.markdown, "since")[:2] == ("time", "2020-05-01 00:00:00 to 2020-05-01 00:00:00")
    assert column_of(made.markdown, "active")[0] == "boolean"
    assert {"sale", "revenue", "month", "ann", "staff"} <= set(made.terms)


def test_a_workbook_without_a_table() -> None:
    with pytest.raises(UnusableFile):
        card_of("book.xlsx", io.BytesIO(workbook({"a": [], "b": []})))


def test_a_damaged_workbook() -> None:
    content = bytearray(workbook({"a": [["x"], [1]]}))
    content[len(content) // 3] ^= 0xFF
    content[len(content) // 2] ^= 0xFF
    try:
        card_of("book.xlsx", io.BytesIO(bytes(content)))
    except UnusableFile as exc:
        assert "damaged" in str(exc)


def test_a_large_workbook_is_read_row_by_row_with_the_same_card(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[list[object]] = [
        [f"name {n}", n, n / 4, pd.Timestamp("2026-01-02 03:04:05").to_pydatetime(), n > 3] for n in range(9)
    ]
    rows[3] = [None, None, None, None, None]
    rows[5][1] = "#DIV/0!"
    content = workbook(
        {"Empty": [], "First": [["text", "whole", "number", "time", "truth"], *rows], "Second": [["x"], [1]]}
    )
    whole = card("book.xlsx", content)
    monkeypatch.setattr(reader, "WHOLE_MAX_BYTES", 0)
    by_row = card("book.xlsx", content)
    assert size_of(by_row) == size_of(whole) == (8, 5)  # without the blank row
    assert by_row.count("# Sheet") == whole.count("# Sheet")
    for column in ("text", "whole", "number", "time", "truth", "x"):
        assert column_of(by_row, column) == column_of(whole, column)
    monkeypatch.setattr(reader, "HELD_MAX_BYTES", 10)
    with pytest.raises(UnusableFile, match="as CSV"):
        card("book.xlsx", content)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_large_workbook_that_is_damaged(data: st.DataObject) -> None:
    parts = {}
    with zipfile.ZipFile(io.BytesIO(workbook({"a": [["x", "y"], [1, "text"]]}))) as book:
        parts = {name: bytearray(book.read(name)) for name in book.namelist()}
    name = data.draw(st.sampled_from(sorted(parts)))
    at = data.draw(st.integers(0, len(parts[name]) - 1))
    parts[name][at : at + data.draw(st.integers(1, 40))] = data.draw(st.binary(max_size=20))
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as book:
        for name, part in parts.items():
            book.writestr(name, bytes(part))
    with suppress(UnusableFile), pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "WHOLE_MAX_BYTES", 0)
        card_of("book.xlsx", content)


def test_a_zip_bomb_is_refused() -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as parts:
        part = zipfile.ZipInfo("xl/worksheets/sheet1.xml")
        part.compress_type = zipfile.ZIP_DEFLATED
        with parts.open(part, "w", force_zip64=True) as out:
            for _ in range(300):
                out.write(b" " * 1024 * 1024)
    with pytest.raises(UnusableFile, match="unpacked"):
        card_of("book.xlsx", content)
