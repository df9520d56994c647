"""Excel workbooks: the cells of each sheet. Sizes are checked first, because a small zip can unpack to gigabytes."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from typing import IO, Any
from xml.etree import ElementTree

from shared.formats.base import UnusableFile, not_a_table
from shared.formats.tables.grids import Grid, letter
from shared.formats.tables.sheet_facts import SheetFacts, facts_of

UNPACKED_MAX_BYTES = 256 * 1024 * 1024
WHOLE_MAX_BYTES = 32 * 1024 * 1024  # unpacked; python-calamine holds a sheet in up to three times its size
HELD_MAX_BYTES = 16 * 1024 * 1024  # openpyxl holds texts and styles in five times their size
TYPES = "[Content_Types].xml"
TYPES_MAX_BYTES = 1024 * 1024
SHEET_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"


def workbook_grids(content: IO[bytes]) -> list[Grid]:
    """One grid per sheet that has cells, hidden sheets included.

    A small workbook is read with python-calamine, and its XML is looked through for what calamine does not tell. A
    large one is read row by row with openpyxl, which takes ten times as long.

    Raises:
        UnusableFile: `not_a_table`, also while the rows are read.
    """
    content.seek(0)
    with errors_as_not_a_table(), zipfile.ZipFile(content) as parts:
        unpacked_bytes = sum(part.file_size for part in parts.infolist())
        if unpacked_bytes > UNPACKED_MAX_BYTES:
            limit = f"at most {UNPACKED_MAX_BYTES:,} fit."
            raise not_a_table(f"The workbook has {unpacked_bytes:,} bytes when unpacked; {limit}")
        is_small = unpacked_bytes <= WHOLE_MAX_BYTES
        if not is_small and (held_bytes := _held_bytes(parts)) > HELD_MAX_BYTES:
            limit = f"at most {HELD_MAX_BYTES:,} fit. Save its sheets as CSV."
            raise not_a_table(f"The workbook's texts and styles have {held_bytes:,} bytes; {limit}")
    content.seek(0)
    return whole_grids(content) if is_small else _large_grids(content)


def _held_bytes(parts: zipfile.ZipFile) -> int:
    """The unpacked size of all parts that openpyxl may hold in memory: all but sheets and pictures.

    A part counts as a sheet only if its name and its declared type both say so.
    """
    types: dict[str, set[str]] = {}
    if parts.getinfo(TYPES).file_size <= TYPES_MAX_BYTES:
        for entry in ElementTree.fromstring(parts.read(TYPES)):  # noqa: S314 - expat itself stops bombs
            types.setdefault(entry.get("PartName", "").lstrip("/"), set()).add(entry.get("ContentType", ""))
    return sum(
        part.file_size
        for name, part in parts.NameToInfo.items()
        if not (name.startswith("xl/worksheets/") and types.get(name) == {SHEET_TYPE})
        and not (name.startswith("xl/media/") and name not in types)
    )


def whole_grids(content: IO[bytes], *, is_zip: bool = True) -> list[Grid]:
    """The sheets of a workbook that python-calamine holds in memory, one sheet at a time."""
    from python_calamine import CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

    with errors_as_not_a_table():
        workbook = CalamineWorkbook.from_filelike(content)
        sheets = {s.name: s for s in workbook.sheets_metadata if s.typ == SheetTypeEnum.WorkSheet}
        facts = facts_of(content, list(sheets)) if is_zip else {}
        grids = []
        sheet_named = lru_cache(maxsize=1)(workbook.get_sheet_by_name)  # one sheet is held at a time
        for name, metadata in sheets.items():
            start = sheet_named(name).start
            if start is None or not sheet_named(name).height:
                continue
            hidden = metadata.visible != SheetVisibleEnum.Visible
            grid = _grid(name, sheet_named, facts.get(name, SheetFacts()), start, hidden=hidden)
            grids.append(grid if name == next(iter(sheets)) else replace(grid, is_plain=False))
        return grids


def _grid(name: str, sheet_named: Any, facts: SheetFacts, start: tuple[int, int], *, hidden: bool) -> Grid:
    def rows() -> Iterator[Sequence[Any]]:
        with errors_as_not_a_table():
            yield from sheet_named(name).iter_rows()

    return Grid(
        name=name,
        rows=rows,
        facts=facts,
        first_column=start[1],  # calamine leaves out empty columns at the left, but not empty rows above
        is_plain=start == (0, 0) and not hidden and not facts.merged and not facts.hidden_rows and not facts.unvalued,
        notes=tuple(_notes(facts, hidden=hidden)),
    )


def _notes(facts: SheetFacts, *, hidden: bool) -> Iterator[str]:
    if hidden:
        yield "the sheet is hidden in Excel and included"
    if count := len(facts.hidden_rows):
        yield f"{count:,} {'row is' if count == 1 else 'rows are'} hidden in Excel and included"
    if facts.hidden_columns:
        columns = ", ".join(letter(column) for column in sorted(facts.hidden_columns)[:6])
        yield f"hidden columns ({columns}) are included where they have cells"
    if facts.unvalued:
        columns = ", ".join(sorted({letter(column) for _, column in facts.unvalued})[:6])
        cells = f"{len(facts.unvalued):,} formulas in column {columns} have no stored values"
        yield f"{cells}; these cells are missing, not 0: open the workbook in Excel, save it and drop it again"


def _large_grids(content: IO[bytes]) -> list[Grid]:
    import openpyxl

    with errors_as_not_a_table():
        workbook = openpyxl.load_workbook(content, read_only=True, data_only=True, keep_links=False)
        grids = []
        for sheet in workbook.worksheets:
            sheet.reset_dimensions()  # the dimensions in the file may be wrong
            rows = _rows_of(sheet)
            if next(iter(rows()), None) is not None:
                hidden = sheet.sheet_state != "visible"
                notes = ("the sheet is hidden in Excel and included",) if hidden else ()
                is_plain = sheet is workbook.worksheets[0] and not hidden  # pandas reads the first sheet
                grids.append(Grid(name=sheet.title, rows=rows, is_plain=is_plain, notes=notes))
        return grids


def _rows_of(sheet: Any) -> Callable[[], Iterator[Sequence[Any]]]:
    """The rows of a sheet; cells such as `#DIV/0!` are empty, as python-calamine returns them."""
    from openpyxl.cell.cell import ERROR_CODES

    def rows() -> Iterator[Sequence[Any]]:
        with errors_as_not_a_table():
            for row in sheet.iter_rows(values_only=True):
                yield [None if cell in ERROR_CODES else cell for cell in row]

    return rows


@contextmanager
def errors_as_not_a_table() -> Iterator[None]:
    """Turn every error of the readers into UnusableFile: a damaged workbook makes openpyxl raise any exception."""
    try:
        yield
    except UnusableFile:
        raise
    except BaseException as exc:
        if isinstance(exc, GeneratorExit) or (
            not isinstance(exc, Exception) and type(exc).__name__ != "PanicException"
        ):
            raise  # calamine panics at hostile files: a `BaseException` without a public name
        raise not_a_table("The workbook cannot be read: it is damaged or protected by a password.") from exc
