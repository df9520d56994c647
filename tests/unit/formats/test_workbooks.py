"""XLS and ODS become XLSX, and are read as one."""

from __future__ import annotations

import io
from contextlib import suppress

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.formats import workbooks
from shared.formats.base import UnusableFile
from shared.formats.datacards import card_of
from shared.formats.workbooks import write_xlsx, xlsx_of
from tests.unit.formats.markdown.files import open_document


def cell(kind: str, value: str, text: str = "", more: str = "") -> str:
    name = {"string": "string-value", "date": "date-value"}.get(kind, "value")
    shown = f"<text:p>{text or value}</text:p>"
    return f'<table:table-cell office:value-type="{kind}" office:{name}="{value}" {more}>{shown}</table:table-cell>'


def ods(*rows: str, more: str = "") -> bytes:
    lines = "".join(f"<table:table-row>{row}</table:table-row>" for row in rows)
    table = f'<table:table table:name="Sales">{lines}{more}</table:table>'
    return open_document("spreadsheet", f"<office:spreadsheet>{table}</office:spreadsheet>")


SALES = ods(
    cell("string", "day") + cell("string", "code") + cell("string", "euros"),
    cell("date", "2025-03-01") + cell("string", "007") + cell("float", "840.5"),
    cell("date", "2025-03-02") + cell("string", "=008") + cell("float", "20"),
)


def written(content: bytes) -> io.BytesIO:
    target = io.BytesIO()
    write_xlsx(io.BytesIO(content), target, max_bytes=10**6)
    return target


def test_an_open_document_workbook_is_an_xlsx_with_the_same_values() -> None:
    with xlsx_of(io.BytesIO(SALES)) as file:
        [sheet] = openpyxl.load_workbook(file).worksheets
        assert sheet.title == "Sales"
        rows = [[str(value) for value in row] for row in sheet.iter_rows(values_only=True)]
    assert [row[1:] for row in rows] == [["code", "euros"], ["007", "840.5"], ["=008", "20"]]
    assert rows[1][0].startswith("2025-03-01")


def test_its_card_says_what_is_in_it() -> None:
    markdown = card_of("sales.ods", written(SALES), ending="xlsx").markdown
    assert "2 rows, 3 columns" in markdown
    assert "20 to 840.5" in markdown


def test_a_workbook_that_declares_millions_of_cells_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbooks, "CELLS_MAX", 1_000)
    many = cell("float", "1", more='table:number-columns-repeated="2000"')
    with pytest.raises(UnusableFile, match="more than 1,000 cells"):
        written(ods(many))


@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), SALES[:-40]])
def test_a_damaged_workbook_has_a_reason(content: bytes) -> None:
    with pytest.raises(UnusableFile, match="damaged"):
        written(content)


def test_one_that_takes_too_long_has_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbooks, "TIMEOUT_S", 0)
    with pytest.raises(UnusableFile, match="Save its sheets as CSV"):
        xlsx_of(io.BytesIO(SALES))


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 10**6), st.integers(0, 255), st.integers(0, 10**6))
def test_a_changed_workbook_is_written_or_has_a_reason(at: int, byte: int, length: int) -> None:
    content = bytearray(SALES)
    content[at % len(content)] = byte
    for damaged in (bytes(content), bytes(content[: length % len(content)])):
        with suppress(UnusableFile):
            written(damaged)
