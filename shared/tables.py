"""The tables in a file: CSV, TSV, XLSX, Parquet or JSON, row by row. Pure, bounded memory."""

from __future__ import annotations

import csv
import io
import json
import re
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from typing import IO, Any

CSV_MAX_BYTES = 512 * 1024 * 1024  # of a Parquet file's copy: what the service takes as one file
SPOOL_BYTES = 4 * 1024 * 1024
JSON_COLUMNS_MAX = 1_000
XLSX_MAX_BYTES = 256 * 1024 * 1024  # unpacked; a small zip can hold far more
JSON_MAX_BYTES = 32 * 1024 * 1024  # JSON is read whole to be judged; a larger one is taken for text


class NotATable(ValueError):
    """The file holds no table this module can read. The message is for the one who dropped it."""


@dataclass(frozen=True, kw_only=True)
class Table:
    name: str  # of the sheet; "" when the file is one table
    columns: tuple[str, ...]
    rows: Iterator[Sequence[Any]]
    is_text: bool = False  # every cell is a string
    note: str = ""  # what the reader of the card should know


def tables_of(filename: str, content: IO[bytes]) -> Iterable[Table]:
    ending = filename.rsplit(".", 1)[-1].lower()
    if ending in ("csv", "tsv"):
        return [_csv(content)]
    if ending == "xlsx":
        return _xlsx(content)
    if ending == "parquet":
        return _parquet(content)
    return [_json(content)]


def _csv(content: IO[bytes]) -> Table:
    head = content.read(65_536)
    content.seek(0)
    if b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise NotATable("The file is not text, whatever its ending says.")
    encoding = _encoding(head)
    text = io.TextIOWrapper(content, encoding=encoding, errors="replace", newline="")
    rows = _closing(csv.reader(text, delimiter=_delimiter(head.decode(encoding, "replace"))), text)
    header = next((row for row in rows if any(cell.strip() for cell in row)), None)
    if header is None:
        raise NotATable("The file is empty.")
    note = "" if encoding != "cp1252" else "The file is not in UTF-8; it was read as Windows-1252."
    return Table(name="", columns=tuple(header), rows=rows, is_text=True, note=note)


def _closing(rows: Iterator[list[str]], text: io.TextIOWrapper) -> Iterator[list[str]]:
    """The rows that are not blank; afterwards the bytes below belong to the caller again."""
    try:
        yield from (row for row in rows if row)
    except csv.Error as exc:
        if "field limit" in str(exc):
            raise NotATable(f"The file is no table: one cell has more than {csv.field_size_limit():,} signs.") from exc
        raise NotATable(f"The file cannot be read as a table: {exc}.") from exc
    finally:
        text.detach()


def _delimiter(head: str) -> str:
    """The sign that parts most cells of the first line, outside of quotes.

    `csv.Sniffer` looks further, but takes minutes for some files and is wrong for small ones.
    """
    first = next((line for line in head.splitlines() if line.strip()), "")
    bare = re.sub(r'"[^"]*"?', "", first)
    return max(",;\t|", key=bare.count)


def _encoding(head: bytes) -> str:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    try:
        head.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        # A character cut in two at the end of what was read is no sign of another encoding.
        return "utf-8-sig" if exc.start >= len(head) - 3 else "cp1252"
    return "utf-8-sig"


def _xlsx(content: IO[bytes]) -> Iterator[Table]:
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        with zipfile.ZipFile(content) as parts:
            unpacked_bytes = sum(part.file_size for part in parts.infolist())
        if unpacked_bytes > XLSX_MAX_BYTES:
            raise NotATable(f"The workbook has {unpacked_bytes:,} bytes when unpacked; at most {XLSX_MAX_BYTES:,} fit.")
        content.seek(0)
        workbook = CalamineWorkbook.from_filelike(content)
        for name in workbook.sheet_names:
            rows = workbook.get_sheet_by_name(name).iter_rows()
            header = next((row for row in rows if any(str(cell).strip() for cell in row)), None)
            if header is not None:
                yield Table(name=name, columns=tuple(str(cell) for cell in header), rows=rows)
    except (CalamineError, zipfile.BadZipFile) as exc:
        raise NotATable(f"The workbook cannot be read: it is damaged or protected by a password ({exc}).") from exc


def _parquet(content: IO[bytes]) -> Iterator[Table]:
    """By way of CSV, which is what code interpreter gets: the card describes just that."""
    with csv_of(content) as copy:
        yield _csv(copy)


def csv_of(content: IO[bytes]) -> IO[bytes]:
    """A Parquet file as CSV, written batch by batch into a temporary file that the caller closes.

    Raises:
        NotATable: it is damaged, has nested columns, or more than `CSV_MAX_BYTES` as CSV.
    """
    import arro3.io

    content.seek(0)
    file = tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES)  # noqa: SIM115 - the caller closes it
    limited = _Limited(file)
    try:
        with _arrow_errors(limited):
            batches = arro3.io.read_parquet(content)
            schema = batches.schema
            fields = [schema.field(number) for number in range(len(schema.names))]
            nested = [field.name for field in fields if _is_nested(field.type)]
            if nested:
                raise NotATable(f"The column {nested[0][:60]!r} holds nested values. Write them as JSON text.")
            file.write(_line(schema.names).encode())  # arro3 writes no header when there are no rows
            arro3.io.write_csv(batches, limited, header=False)  # type: ignore[arg-type]
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


def _is_nested(kind: Any) -> bool:
    from arro3.core import DataType

    return DataType.is_nested(kind) and not DataType.is_dictionary(kind)


def _line(cells: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


class _Limited(io.RawIOBase):
    """Hands bytes on until they are too many."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.is_full = False
        self._left_bytes = CSV_MAX_BYTES

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._left_bytes -= len(data)
        if self._left_bytes < 0:
            self.is_full = True
            raise OSError("full")
        return self._file.write(data)


@contextmanager
def _arrow_errors(limited: _Limited) -> Iterator[None]:
    """arro3 raises plain `Exception`, and panics at hostile files: a `BaseException` without a public name."""
    try:
        yield
    except NotATable:
        raise
    except BaseException as exc:
        if limited.is_full:
            limit = f"{CSV_MAX_BYTES:,} bytes as CSV, which is the most that is taken"
            raise NotATable(f"The Parquet file has more than {limit}. Split it.") from exc
        if isinstance(exc, Exception) or type(exc).__name__ == "PanicException":
            raise NotATable("The Parquet file cannot be read: it is damaged or of a kind that is not known.") from exc
        raise


def _json(content: IO[bytes]) -> Table:
    data = content.read(JSON_MAX_BYTES + 1)
    if len(data) > JSON_MAX_BYTES:
        raise NotATable("The JSON is too large to be read as a table.")
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as exc:
        raise NotATable(f"The file is not valid JSON: {exc}.") from exc
    if isinstance(value, dict):  # {"rows": [{...}, ...]}: the one list in it is the table
        lists = [item for item in value.values() if isinstance(item, list)]
        value = lists[0] if len(lists) == 1 else None
    if not isinstance(value, list) or not value or not all(isinstance(row, dict) for row in value):
        raise NotATable("The JSON is not a list of records.")
    columns = tuple(islice(dict.fromkeys(chain.from_iterable(value)), JSON_COLUMNS_MAX + 1))
    if len(columns) > JSON_COLUMNS_MAX:
        raise NotATable(f"The JSON's records have more than {JSON_COLUMNS_MAX:,} different fields.")
    return Table(name="", columns=columns, rows=([row.get(column) for column in columns] for row in value))
