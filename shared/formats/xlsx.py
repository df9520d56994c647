"""Excel workbooks: the table of each sheet. Sizes are checked first, because a small zip can unpack to gigabytes."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any
from xml.etree import ElementTree

from shared.formats.base import Table, UnusableFile, not_a_table

UNPACKED_MAX_BYTES = 256 * 1024 * 1024
WHOLE_MAX_BYTES = 32 * 1024 * 1024  # unpacked; python-calamine holds a sheet in up to three times its size
HELD_MAX_BYTES = 16 * 1024 * 1024  # openpyxl holds texts and styles in five times their size
TYPES = "[Content_Types].xml"
TYPES_MAX_BYTES = 1024 * 1024
SHEET_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"


def xlsx_tables(content: IO[bytes]) -> Iterator[Table]:
    """One table per sheet; the first row that is not empty is the header. Empty sheets are left out.

    A small workbook is read sheet by sheet with python-calamine. A large one is read row by row with openpyxl, which
    takes ten times as long.

    Raises:
        UnusableFile: `not_a_table`, also while the rows are read.
    """
    with _errors_as_not_a_table(), zipfile.ZipFile(content) as parts:
        unpacked_bytes = sum(part.file_size for part in parts.infolist())
        if unpacked_bytes > UNPACKED_MAX_BYTES:
            limit = f"at most {UNPACKED_MAX_BYTES:,} fit."
            raise not_a_table(f"The workbook has {unpacked_bytes:,} bytes when unpacked; {limit}")
        is_small = unpacked_bytes <= WHOLE_MAX_BYTES
        if not is_small and (held_bytes := _held_bytes(parts)) > HELD_MAX_BYTES:
            limit = f"at most {HELD_MAX_BYTES:,} fit. Save its sheets as CSV."
            raise not_a_table(f"The workbook's texts and styles have {held_bytes:,} bytes; {limit}")
    content.seek(0)
    sheets = _whole_sheets(content) if is_small else _sheets_by_row(content)
    for name, rows in sheets:
        header = next((row for row in rows if any(str(cell).strip() for cell in row if cell is not None)), None)
        if header is not None:
            yield Table(name=name, columns=tuple("" if cell is None else str(cell) for cell in header), rows=rows)


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


def _whole_sheets(content: IO[bytes]) -> Iterator[tuple[str, Iterator[Sequence[Any]]]]:
    from python_calamine import CalamineWorkbook

    with _errors_as_not_a_table():
        workbook = CalamineWorkbook.from_filelike(content)
        for name in workbook.sheet_names:
            yield name, workbook.get_sheet_by_name(name).iter_rows()


def _sheets_by_row(content: IO[bytes]) -> Iterator[tuple[str, Iterator[Sequence[Any]]]]:
    import openpyxl

    with _errors_as_not_a_table():
        workbook = openpyxl.load_workbook(content, read_only=True, data_only=True, keep_links=False)
        for sheet in workbook.worksheets:
            sheet.reset_dimensions()  # the dimensions in the file may be wrong
            yield sheet.title, _without_error_values(sheet.iter_rows(values_only=True))


def _without_error_values(rows: Iterator[Sequence[Any]]) -> Iterator[Sequence[Any]]:
    """Cells such as `#DIV/0!` are empty, as python-calamine returns them."""
    from openpyxl.cell.cell import ERROR_CODES

    with _errors_as_not_a_table():
        for row in rows:
            yield [None if cell in ERROR_CODES else cell for cell in row]


@contextmanager
def _errors_as_not_a_table() -> Iterator[None]:
    """Turn every error of the readers into UnusableFile: a damaged workbook makes openpyxl raise any exception."""
    try:
        yield
    except UnusableFile:
        raise
    except BaseException as exc:
        if not isinstance(exc, Exception) and type(exc).__name__ != "PanicException":
            raise  # calamine panics at hostile files: a `BaseException` without a public name
        why = str(exc)[:200] or type(exc).__name__
        raise not_a_table(f"The workbook cannot be read: it is damaged or protected by a password ({why}).") from exc
