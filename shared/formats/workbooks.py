"""Turns XLS and ODS workbooks into XLSX, which the table reader and code interpreter both read.

`python -m shared.formats.workbooks MAX_BYTES` is the process that does it (see process.py): a small file can declare
millions of cells.
"""

from __future__ import annotations

import logging
import re
import struct
import sys
import tempfile
from typing import IO, Any

from shared.formats.base import FILE_MAX_BYTES, not_a_table
from shared.formats.compound import DamagedCompound
from shared.formats.office import OLE
from shared.formats.packages import DAMAGED as DAMAGED_PACKAGE
from shared.formats.process import convert, serve
from shared.formats.tables.grids import letter
from shared.formats.tables.ods_facts import ods_facts
from shared.formats.tables.sheet_facts import SheetFacts
from shared.formats.tables.xls_facts import xls_facts
from shared.logs import event

log = logging.getLogger(__name__)

TIMEOUT_S = 120
CELLS_MAX = 5_000_000
TEXT_MAX_CHARS = 32_767  # of a cell of an XLSX
ROWS_MAX, COLUMNS_MAX = 1_048_576, 16_384  # of a sheet of an XLSX
CODE_MAX_CHARS = 255  # of a number format
ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")  # in XML
DAMAGED = "The workbook cannot be read: it is damaged or protected by a password."


def xlsx_of(content: IO[bytes], *, max_bytes: int = FILE_MAX_BYTES) -> IO[bytes]:
    """A workbook as XLSX, in a temporary file that the caller closes.

    Values, number formats and what is hidden stay; formulas and other looks do not.

    Raises:
        UnusableFile: `not_a_table`: it is damaged, protected, or too large.
    """
    too_slow = f"The workbook takes more than {TIMEOUT_S} s to read. Save its sheets as CSV."
    return convert(
        "shared.formats.workbooks",
        content,
        max_bytes=max_bytes,
        timeout_s=TIMEOUT_S,
        too_slow=too_slow,
        damaged=DAMAGED,
    )


def write_xlsx(source: IO[bytes], target: IO[bytes], *, max_bytes: int) -> None:
    """Write the sheets of `source` to `target`, hidden ones and merged cells included.

    Raises:
        UnusableFile: as `xlsx_of`.
    """
    import openpyxl
    from python_calamine import CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

    facts = _facts(source)
    source.seek(0)
    try:
        found = CalamineWorkbook.from_filelike(source)
        sheets = [sheet for sheet in found.sheets_metadata if sheet.typ == SheetTypeEnum.WorkSheet]
    except BaseException as exc:
        raise not_a_table(DAMAGED) from exc  # calamine panics at hostile files: a `BaseException` without a public name
    book = openpyxl.Workbook(write_only=True)
    left = CELLS_MAX
    for metadata in sheets:
        try:
            sheet = found.get_sheet_by_name(metadata.name)
        except BaseException as exc:
            raise not_a_table(DAMAGED) from exc
        left -= sheet.height * sheet.width
        if left < 0:
            raise not_a_table(f"The workbook has more than {CELLS_MAX:,} cells. Save its sheets as CSV.")
        copy = book.create_sheet(re.sub(r"[\\*?:/\[\]]", " ", ILLEGAL.sub("", metadata.name)) or "Sheet")
        copy.sheet_state = "visible" if metadata.visible == SheetVisibleEnum.Visible else "hidden"
        _write(sheet, copy, facts.get(metadata.name, SheetFacts()))
    if not book.worksheets:
        raise not_a_table("The workbook has no sheets.")
    if all(sheet.sheet_state == "hidden" for sheet in book.worksheets):
        book.create_sheet("Visible")  # Excel has no workbook without a visible sheet; an empty one is no table
    with tempfile.TemporaryFile() as file:
        book.save(file)
        if file.tell() > max_bytes:
            raise not_a_table(f"The workbook has more than {max_bytes:,} bytes as XLSX. Split it.")
        file.seek(0)
        while block := file.read(1024 * 1024):
            target.write(block)


def _facts(source: IO[bytes]) -> dict[str, SheetFacts]:
    """What calamine does not tell of the sheets, by name; nothing of a damaged file, about which calamine decides."""
    source.seek(0)
    try:
        return (xls_facts if source.read(len(OLE)) == OLE else ods_facts)(source)
    except (*DAMAGED_PACKAGE, DamagedCompound, struct.error) as exc:
        event(log, logging.WARNING, "workbook.looks_unreadable", why=str(exc)[:200])
        return {}


def _write(sheet: Any, copy: Any, facts: SheetFacts) -> None:
    """Write the cells at their places: calamine leaves out empty columns at the left, but not empty rows above."""
    from openpyxl.worksheet.cell_range import CellRange

    if sheet.start is None:
        return
    last_row, last_column = sheet.end
    if last_row >= ROWS_MAX or last_column >= COLUMNS_MAX:
        raise not_a_table(f"A sheet has more than {ROWS_MAX:,} rows or {COLUMNS_MAX:,} columns. Save it as CSV.")
    for row in (row for row in facts.hidden_rows if row <= last_row):  # often all rows and columns behind a table
        copy.row_dimensions[row + 1].hidden = True
    for column in (column for column in facts.hidden_columns if column <= last_column):
        copy.column_dimensions[letter(column)].hidden = True
    first_column = sheet.start[1]
    left = [None] * first_column
    for number, row in enumerate(sheet.iter_rows()):
        codes = (facts.formats.get((number, column), "") for column in range(first_column, first_column + len(row)))
        copy.append(left + [_cell(copy, value, code) for value, code in zip(row, codes, strict=True)])
    for (first_row, first_column), (last_row, last_column) in sheet.merged_cell_ranges or ():
        area = CellRange(min_row=first_row + 1, min_col=first_column + 1, max_row=last_row + 1, max_col=last_column + 1)
        copy.merged_cells.ranges.add(area)


def _cell(sheet: Any, value: Any, code: str) -> Any:
    """A value as openpyxl writes it. Text stays text, also when it begins with `=`."""
    if value == "":
        return None
    if code and isinstance(value, int | float):
        from openpyxl.cell import WriteOnlyCell

        cell = WriteOnlyCell(sheet, value)
        cell.number_format = ILLEGAL.sub("", code)[:CODE_MAX_CHARS]
        return cell
    if isinstance(value, str):
        from openpyxl.cell import WriteOnlyCell

        text = ILLEGAL.sub("", value)[:TEXT_MAX_CHARS]
        if not text.startswith("="):
            return text
        cell = WriteOnlyCell(sheet, text)
        cell.data_type = "s"
        return cell
    return value


if __name__ == "__main__":
    serve(lambda source, target: write_xlsx(source, target, max_bytes=int(sys.argv[1])))
