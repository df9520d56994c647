"""Number formats and what is hidden in XLS and ODS reach the reader of tables, as those of XLSX do."""

from __future__ import annotations

import io
import resource
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import get_context

import openpyxl  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.formats.base import UnusableFile
from shared.formats.process import MEMORY_MAX_BYTES
from shared.formats.workbooks import write_xlsx
from tests.unit.formats.markdown.files import OFFICE, open_document
from tests.unit.formats.tables.reading import Read, read
from tests.unit.formats.xls_files import xls

HEADER = ("item", "share", "price", "weight")
FIGURES = (("Tea", 0.25, 2.5, 12), ("Mate", 0.5, 3.0, 8), ("Rum", 0.1, 9.0, 70))


def converted(content: bytes) -> bytes:
    target = io.BytesIO()
    write_xlsx(io.BytesIO(content), target, max_bytes=10**7)
    return target.getvalue()


def table(content: bytes) -> Read:
    return read(converted(content), "xlsx")


def old_excel(*, hidden: bool = False) -> bytes:
    rows = [[name, (share, 1), (price, 2), (float(weight), 3)] for name, share, price, weight in FIGURES]
    formats = ["0.0%", '#,##0.00" €"', '0" kg"']
    return xls([list(HEADER), *rows], formats=formats, hidden_rows=[2], hidden_columns=[1], hidden=hidden)


STYLES = (
    '<number:percentage-style style:name="N1"><number:number/><number:text>%</number:text></number:percentage-style>'
    '<number:currency-style style:name="N2"><number:number/><number:text> </number:text>'
    "<number:currency-symbol>€</number:currency-symbol></number:currency-style>"
    '<number:number-style style:name="N3"><number:number/><number:text> kg</number:text></number:number-style>'
    '<style:style style:name="ce1" style:family="table-cell" style:data-style-name="N1"/>'
    '<style:style style:name="ce2" style:family="table-cell" style:data-style-name="N2"/>'
    '<style:style style:name="ce3" style:family="table-cell" style:data-style-name="N3"/>'
    '<style:style style:name="ta1" style:family="table"><style:table-properties table:display="false"/></style:style>'
)


def open_spreadsheet(*, hidden: bool = False) -> bytes:
    def cell(kind: str, value: object, style: str = "") -> str:
        named = f'table:style-name="{style}"' if style else ""
        return f'<table:table-cell office:value-type="{kind}" office:value="{value}" {named}/>'

    def text(value: str) -> str:
        return f'<table:table-cell office:value-type="string"><text:p>{value}</text:p></table:table-cell>'

    rows = ["".join(map(text, HEADER))]
    for name, share, price, weight in FIGURES:
        rows.append(text(name) + cell("percentage", share) + cell("currency", price, "ce2") + cell("float", weight))
    hidden_row = ' table:visibility="filter"'
    lines = "".join(
        f"<table:table-row{hidden_row if n == 2 else ''}>{row}</table:table-row>" for n, row in enumerate(rows)
    )
    columns = (
        '<table:table-column/><table:table-column table:visibility="collapse"/><table:table-column/>'
        '<table:table-column table:default-cell-style-name="ce3" table:number-columns-repeated="1021"/>'
    )
    style = ' table:style-name="ta1"' if hidden else ""
    last = '<table:table-row table:number-rows-repeated="1048570" table:visibility="collapse"><table:table-cell/>'
    sheet = f'<table:table table:name="Sales"{style}>{columns}{lines}{last}</table:table-row></table:table>'
    content = open_document("spreadsheet", f"<office:spreadsheet>{sheet}</office:spreadsheet>")
    names = f'xmlns:number="{OFFICE}:datastyle:1.0"'
    return with_styles(content, f"<office:automatic-styles {names}>{STYLES}</office:automatic-styles>")


def with_styles(content: bytes, styles: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(target, "w") as parts:
        for name in source.namelist():
            text = source.read(name).decode()
            parts.writestr(name, text.replace("<office:body>", f"{styles}<office:body>", 1))
    return target.getvalue()


KINDS = pytest.mark.parametrize("write", [old_excel, open_spreadsheet])


@KINDS
def test_number_formats_are_units_and_percentages(write: Callable[..., bytes]) -> None:
    found = table(write())
    assert found.copies[0][0] == ["item", "share (%)", "price (€)", "weight (kg)"]
    assert [row[1:] for row in found.copies[0][1:]] == [["25", "2.5", "12"], ["50", "3", "8"], ["10", "9", "70"]]


@KINDS
def test_hidden_rows_and_columns_are_told(write: Callable[..., bytes]) -> None:
    notice = table(write()).notice
    assert notice.startswith("1 row is hidden in Excel and included; hidden columns (B) are included")


@KINDS
def test_a_hidden_sheet_is_told(write: Callable[..., bytes]) -> None:
    """Even the only sheet may be."""
    found = table(write(hidden=True))
    assert "the sheet is hidden in Excel and included" in found.notice.replace("The", "the")
    assert [row[0] for row in found.copies[0]] == ["item", "Tea", "Mate", "Rum"]


@pytest.mark.parametrize(
    ("name", "code"), [("Sa\0les", "0.0%"), ("Sales", '0" \1kg"'), ("Sales", '0"' + "x" * 300 + '"')]
)
def test_what_an_xlsx_cannot_hold_is_left_out(name: str, code: str) -> None:
    content = xls([["item", "n"], ["Tea", (2.0, 1)], ["Rum", (3.0, 1)]], name=name, formats=[code])
    [sheet] = openpyxl.load_workbook(io.BytesIO(converted(content))).worksheets
    assert (sheet.title, sheet["B2"].value) == ("Sales", 2)


def test_a_cell_beyond_the_last_column_of_an_xlsx_is_refused() -> None:
    content = bytearray(old_excel())
    at = content.index(b"item") - 7  # the column of the first text
    content[at : at + 2] = (18_434).to_bytes(2, "little")
    with pytest.raises(UnusableFile, match="16,384 columns"):
        converted(bytes(content))


def read_or_refused(content: bytes) -> None:
    with suppress(UnusableFile):
        converted(content)


def limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX_BYTES, MEMORY_MAX_BYTES))


class Aside:
    """Reads workbooks in a process with a memory limit, as the app does: beyond it, calamine ends the process."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        self._process = ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn"), initializer=limit_memory)

    def read(self, content: bytes) -> None:
        """Raises what is neither a workbook nor a reason; the app takes an end of the process as damaged."""
        try:
            self._process.submit(read_or_refused, content).result()
        except BrokenProcessPool:
            self.close()
            self.start()

    def close(self) -> None:
        self._process.shutdown()


@pytest.fixture(scope="module")
def aside() -> Iterator[Aside]:
    made = Aside()
    yield made
    made.close()


WRITTEN = {"xls": old_excel(), "ods": open_spreadsheet()}


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(sorted(WRITTEN)), st.integers(0, 10**6), st.integers(0, 255), st.integers(0, 10**6))
def test_a_changed_workbook_is_written_or_has_a_reason(
    aside: Aside, kind: str, at: int, byte: int, length: int
) -> None:
    content = bytearray(WRITTEN[kind])
    content[at % len(content)] = byte
    for damaged in (bytes(content), bytes(content[: length % len(content)])):
        aside.read(damaged)
