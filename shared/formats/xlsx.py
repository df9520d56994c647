"""DOC."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any
from xml.etree import ElementTree

from shared.formats.base import Table, UnusableFile, not_a_table

XLSX_MAX_BYTES = 256 * 1024 * 1024  # unpacked; a small zip can hold far more
XLSX_WHOLE_MAX_BYTES = 32 * 1024 * 1024  # unpacked; a sheet that is read at once takes up to three times its size
XLSX_HELD_MAX_BYTES = 16 * 1024 * 1024  # texts and styles of a workbook are held, in five times their size
XLSX_TYPES = "[Content_Types].xml"
XLSX_TYPES_MAX_BYTES = 1024 * 1024
XLSX_SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"


def _xlsx(content: IO[bytes]) -> Iterator[Table]:
    """A workbook's sheets: a small one read at once, a large one row by row, which takes ten times as long."""
    with _xlsx_errors(), zipfile.ZipFile(content) as parts:
        unpacked_bytes = sum(part.file_size for part in parts.infolist())
        if unpacked_bytes > XLSX_MAX_BYTES:
            raise not_a_table(
                f"The workbook has {unpacked_bytes:,} bytes when unpacked; at most {XLSX_MAX_BYTES:,} fit."
            )
        is_small = unpacked_bytes <= XLSX_WHOLE_MAX_BYTES
        if not is_small and (held_bytes := _held_bytes(parts)) > XLSX_HELD_MAX_BYTES:
            limit = f"at most {XLSX_HELD_MAX_BYTES:,} fit. Save its sheets as CSV."
            raise not_a_table(f"The workbook's texts and styles have {held_bytes:,} bytes; {limit}")
    content.seek(0)
    sheets = _sheets_at_once(content) if is_small else _sheets_by_row(content)
    for name, rows in sheets:
        header = next((row for row in rows if any(str(cell).strip() for cell in row if cell is not None)), None)
        if header is not None:
            yield Table(name=name, columns=tuple("" if cell is None else str(cell) for cell in header), rows=rows)


def _held_bytes(parts: zipfile.ZipFile) -> int:
    """Of the parts that a reader holds whole: all but pictures and what is a sheet by its name and by its type."""
    types: dict[str, set[str]] = {}
    if parts.getinfo(XLSX_TYPES).file_size <= XLSX_TYPES_MAX_BYTES:
        for entry in ElementTree.fromstring(parts.read(XLSX_TYPES)):  # noqa: S314 - expat itself stops bombs
            types.setdefault(entry.get("PartName", "").lstrip("/"), set()).add(entry.get("ContentType", ""))
    return sum(
        part.file_size
        for name, part in parts.NameToInfo.items()
        if not (name.startswith("xl/worksheets/") and types.get(name) == {XLSX_SHEET})
        and not (name.startswith("xl/media/") and name not in types)
    )


def _sheets_at_once(content: IO[bytes]) -> Iterator[tuple[str, Iterator[Sequence[Any]]]]:
    from python_calamine import CalamineWorkbook

    with _xlsx_errors():
        workbook = CalamineWorkbook.from_filelike(content)
        for name in workbook.sheet_names:
            yield name, workbook.get_sheet_by_name(name).iter_rows()


def _sheets_by_row(content: IO[bytes]) -> Iterator[tuple[str, Iterator[Sequence[Any]]]]:
    import openpyxl

    with _xlsx_errors():
        workbook = openpyxl.load_workbook(content, read_only=True, data_only=True, keep_links=False)
        for sheet in workbook.worksheets:
            sheet.reset_dimensions()  # which a file may state as it likes
            yield sheet.title, _guarded(sheet.iter_rows(values_only=True))


def _guarded(rows: Iterator[Sequence[Any]]) -> Iterator[Sequence[Any]]:
    """Without error values, as the other reader gives them."""
    from openpyxl.cell.cell import ERROR_CODES

    with _xlsx_errors():
        for row in rows:
            yield [None if cell in ERROR_CODES else cell for cell in row]


@contextmanager
def _xlsx_errors() -> Iterator[None]:
    """Whatever a reader says of a damaged workbook: openpyxl raises what its code happens to run into."""
    try:
        yield
    except UnusableFile:
        raise
    except BaseException as exc:
        if not isinstance(exc, Exception) and type(exc).__name__ != "PanicException":
            raise  # calamine panics at hostile files: a `BaseException` without a public name
        why = str(exc)[:200] or type(exc).__name__
        raise not_a_table(f"The workbook cannot be read: it is damaged or protected by a password ({why}).") from exc
