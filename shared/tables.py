"""The tables in a file: CSV, TSV, XLSX or JSON, row by row; Parquet by way of CSV. Pure, bounded memory."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any
from xml.etree import ElementTree

from shared import parquet

JSON_COLUMNS_MAX = 1_000
XLSX_MAX_BYTES = 256 * 1024 * 1024  # unpacked; a small zip can hold far more
XLSX_WHOLE_MAX_BYTES = 32 * 1024 * 1024  # unpacked; a sheet that is read at once takes up to three times its size
XLSX_HELD_MAX_BYTES = 16 * 1024 * 1024  # texts and styles of a workbook are held, in five times their size
XLSX_TYPES = "[Content_Types].xml"
XLSX_TYPES_MAX_BYTES = 1024 * 1024
XLSX_SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"
JSON_DEPTH_MAX = 50
JSON_RECORD_MAX_BYTES = 4 * 1024 * 1024  # one record is held whole; JSON with larger ones is taken for text
DIGITS = b"0" * 1_000
AS_DIGITS = bytes.maketrans(b"123456789", b"000000000")


class NotATable(ValueError):
    """The file holds no table this module can read. The message is for the one who dropped it."""


@dataclass(frozen=True, kw_only=True)
class Table:
    name: str  # of the sheet; "" when the file is one table
    columns: tuple[str, ...]
    rows: Iterator[Sequence[Any]]
    is_text: bool = False  # every cell is a string
    note: str = ""  # what the reader of the card should know


def tables_of(ending: str, content: IO[bytes]) -> Iterable[Table]:
    """`ending` is csv, tsv, xlsx or json; of a Parquet file its copy is read."""
    if ending in ("csv", "tsv"):
        return [_csv(content)]
    if ending == "xlsx":
        return _xlsx(content)
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
    """A workbook's sheets: a small one read at once, a large one row by row, which takes ten times as long."""
    with _xlsx_errors(), zipfile.ZipFile(content) as parts:
        unpacked_bytes = sum(part.file_size for part in parts.infolist())
        if unpacked_bytes > XLSX_MAX_BYTES:
            raise NotATable(f"The workbook has {unpacked_bytes:,} bytes when unpacked; at most {XLSX_MAX_BYTES:,} fit.")
        is_small = unpacked_bytes <= XLSX_WHOLE_MAX_BYTES
        if not is_small and (held_bytes := _held_bytes(parts)) > XLSX_HELD_MAX_BYTES:
            limit = f"at most {XLSX_HELD_MAX_BYTES:,} fit. Save its sheets as CSV."
            raise NotATable(f"The workbook's texts and styles have {held_bytes:,} bytes; {limit}")
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
    except NotATable:
        raise
    except BaseException as exc:
        if not isinstance(exc, Exception) and type(exc).__name__ != "PanicException":
            raise  # calamine panics at hostile files: a `BaseException` without a public name
        why = str(exc)[:200] or type(exc).__name__
        raise NotATable(f"The workbook cannot be read: it is damaged or protected by a password ({why}).") from exc


def csv_of(content: IO[bytes]) -> IO[bytes]:
    """A Parquet file as CSV, which the caller closes. Code interpreter gets it, and the card describes just that.

    Raises:
        NotATable: it cannot be read, or is too much.
    """
    try:
        return parquet.csv_of(content)
    except parquet.NotParquet as exc:
        raise NotATable(str(exc)) from exc


# ---- JSON --------------------------------------------------------------------------------------------------------


def _json(content: IO[bytes]) -> Table:
    """A list of records, or an object with one list, of records. Read twice: for its columns, then for its rows."""
    prefix = _list_in(content)
    columns: dict[str, None] = {}
    for record in _records(content, prefix):
        columns.update(dict.fromkeys(record))
        if len(columns) > JSON_COLUMNS_MAX:
            raise NotATable(f"The JSON's records have more than {JSON_COLUMNS_MAX:,} different fields.")
    rows = ([_plain(record.get(column)) for column in columns] for record in _records(content, prefix))
    return Table(name="", columns=tuple(columns), rows=rows)


def _list_in(content: IO[bytes]) -> str:
    """Where the records are, in ijson's notation: at the top, or below the one key that holds a list.

    It reads to the end, since ijson's time and memory grow with the square of the depth.
    """
    import ijson

    depth = 0
    key: str | None = None  # of the object at the top
    prefixes: list[str] = []
    stretches = _Stretches(content)
    with _json_errors():
        for event, value in ijson.basic_parse(stretches):
            stretches.begin()
            if event in ("start_map", "start_array"):
                if event == "start_array" and depth == 0:
                    prefixes.append("item")
                elif event == "start_array" and depth == 1 and key is not None:
                    prefixes.append(f"{key}.item")
                depth += 1
                if depth > JSON_DEPTH_MAX:
                    raise NotATable(f"The JSON is nested more than {JSON_DEPTH_MAX} levels deep.")
            elif event in ("end_map", "end_array"):
                depth -= 1
            elif event == "map_key" and depth == 1:
                key = value
    if len(prefixes) != 1 or "." in prefixes[0].removesuffix(".item"):  # ijson parts keys by dots
        raise NotATable("The JSON is not a list of records.")
    return prefixes[0]


def _records(content: IO[bytes], prefix: str) -> Iterator[dict[str, Any]]:
    import ijson

    stretches = _Stretches(content)
    with _json_errors():
        for record in ijson.items(stretches, prefix):
            if not isinstance(record, dict):
                raise NotATable("The JSON is not a list of records.")
            stretches.begin()
            yield record


def _plain(value: Any) -> Any:
    """A nested value as JSON text."""
    return json.dumps(value, ensure_ascii=False, default=float) if isinstance(value, (dict, list)) else value


class _Stretches:
    """The file from its beginning, as long as what has to be held at once is not too large."""

    def __init__(self, content: IO[bytes]) -> None:
        content.seek(3 if content.seek(0) == 0 and content.read(3) == codecs.BOM_UTF8 else 0)
        self._content = content
        self._read_bytes = 0
        self._digits = b""  # what was read last

    def begin(self) -> None:
        """What was read up to here is dealt with."""
        self._read_bytes = 0

    def read(self, size: int = -1) -> bytes:
        block = self._content.read(size)
        self._read_bytes += len(block)
        if self._read_bytes > JSON_RECORD_MAX_BYTES:
            raise NotATable(f"The JSON has records of more than {JSON_RECORD_MAX_BYTES:,} bytes.")
        # ijson's C part crashes at a number that Python refuses: https://docs.python.org/3/library/stdtypes.html#int-max-str-digits
        self._digits = self._digits[-len(DIGITS) :] + block.translate(AS_DIGITS)
        if DIGITS in self._digits:
            raise NotATable(f"The JSON has a number of more than {len(DIGITS):,} digits.")
        return block


@contextmanager
def _json_errors() -> Iterator[None]:
    import ijson

    try:
        yield
    except (ijson.JSONError, ValueError, RecursionError) as exc:
        if isinstance(exc, NotATable):
            raise
        raise NotATable(f"The file is not valid JSON: {exc}.") from exc
