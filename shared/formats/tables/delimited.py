"""CSV and TSV files, read row by row. Encoding and delimiter are found from the start of the file."""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import IO

from shared.formats.base import not_a_table
from shared.formats.tables.dialect import NAMES, Dialect, dialect_of
from shared.formats.tables.encoding import Encoding, encoding_of
from shared.formats.tables.grids import Grid
from shared.formats.tables.words import RowNumbers

SAMPLE_CHARS = 100_000
BLOCK_BYTES = 1024 * 1024
OPEN_LINES_MAX = 30  # in which a quote is closed, in a file with quotes that are not


def delimited_grid(content: IO[bytes], *, ending: str = "csv") -> Grid:
    """The rows of a text table. `content` stays open; its rows are read from it one iteration after the other.

    Raises:
        UnusableFile: `not_a_table`, here or while the rows are read.
    """
    encoding = encoding_of(content)
    head = _head(content, encoding)
    if "\0" in head:
        raise not_a_table("The file is not text, whatever its ending says.")
    if not head.strip():
        raise not_a_table("The file is empty.")
    dialect = dialect_of(head, default="\t" if ending == "tsv" else ",")

    is_open = _has_odd_quotes(content, encoding, dialect)

    def rows() -> Iterator[list[str]]:
        return _rows(content, encoding, dialect, is_open=is_open)

    usual = "\t" if ending == "tsv" else ","
    is_utf8 = encoding.codec == "utf-8-sig" and encoding.is_sure
    return Grid(
        name="",
        rows=rows,
        is_text=True,
        is_plain=is_utf8 and dialect.delimiter == usual and not dialect.skipped and not dialect.comment and not is_open,
        notes=(*_notes(encoding, dialect, usual), *_notes_on_lines(content, encoding, dialect, is_open=is_open)),
        default_decimal="." if dialect.delimiter == "," else "",
    )


def _head(content: IO[bytes], encoding: Encoding) -> str:
    text = io.TextIOWrapper(content, encoding=encoding.codec, errors="replace", newline="")
    try:
        return text.read(SAMPLE_CHARS)
    except UnicodeError as exc:
        raise not_a_table("The file is not text, whatever its ending says.") from exc
    finally:
        text.detach()
        content.seek(0)


def _notes(encoding: Encoding, dialect: Dialect, usual: str) -> Iterator[str]:
    if encoding.codec != "utf-8-sig":
        doubt = "" if encoding.is_sure else ", which is a guess; some letters may be wrong"
        yield f"read as {encoding.name}{doubt}"
    elif not encoding.is_sure:
        yield "read as UTF-8; some letters are damaged"
    if dialect.delimiter != usual:
        yield f"columns separated by {NAMES.get(dialect.delimiter, repr(dialect.delimiter))}"
    if dialect.skipped:
        yield "the line 'sep=' is left out"


def _rows(content: IO[bytes], encoding: Encoding, dialect: Dialect, *, is_open: bool) -> Iterator[list[str]]:
    """All rows; a line that is left out is a blank row. At the end, the file stays open."""
    content.seek(0)
    text = io.TextIOWrapper(content, encoding=encoding.codec, errors="replace", newline="")
    lines: Iterator[str] = text
    if dialect.skipped or dialect.comment:
        lines = _without(lines, dialect)
    try:
        yield from _line_by_line(lines, dialect) if is_open else csv.reader(lines, delimiter=dialect.delimiter)
    except csv.Error as exc:
        if "field limit" in str(exc):
            limit = f"{csv.field_size_limit():,} characters"
            raise not_a_table(f"The file is no table: one cell has more than {limit}.") from exc
        raise not_a_table(f"The file cannot be read as a table: {exc}.") from exc
    except UnicodeError as exc:
        raise not_a_table("The file cannot be read as a table: its encoding is damaged.") from exc
    finally:
        text.detach()


def _without(lines: Iterable[str], dialect: Dialect) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        if number == dialect.names_line:
            yield line.lstrip(dialect.comment + " ")
        else:
            yield "\n" if dialect.leaves_out(number, line) else line


def _notes_on_lines(content: IO[bytes], encoding: Encoding, dialect: Dialect, *, is_open: bool) -> Iterator[str]:
    if is_open:
        yield "some quotes are never closed: they are read as letters, and each line as a row"
    if not dialect.comment:
        return
    content.seek(0)
    text = io.TextIOWrapper(content, encoding=encoding.codec, errors="replace", newline="")
    try:
        found = RowNumbers(n for n, line in enumerate(text, 1) if n > dialect.skipped and dialect.leaves_out(n, line))
    finally:
        text.detach()
        content.seek(0)
    if found:
        yield f"{found.are('is a comment line', 'are comment lines')} ({dialect.comment}) and left out"
    if dialect.names_line:
        yield f"the comment line {dialect.names_line} names the columns"


# ---- quotes without an end -------------------------------------------------------------------------------------------


def _has_odd_quotes(content: IO[bytes], encoding: Encoding, dialect: Dialect) -> bool:
    """Whether a quote is without its end, or is followed by text: then many rows may have become one cell."""
    content.seek(0)
    if not any(b'"' in block for block in iter(lambda: content.read(BLOCK_BYTES), b"")):
        content.seek(0)
        return False
    content.seek(0)
    text = io.TextIOWrapper(content, encoding=encoding.codec, errors="replace", newline="")
    try:
        deque(csv.reader(_without(text, dialect), delimiter=dialect.delimiter, strict=True), maxlen=0)
    except (csv.Error, UnicodeError):
        return True
    finally:
        text.detach()
        content.seek(0)
    return False


def _line_by_line(lines: Iterable[str], dialect: Dialect) -> Iterator[list[str]]:
    """The rows; a quote that is not closed properly within some lines is a letter."""
    source = iter(lines)
    ahead: list[str] = []
    while ahead := [*ahead, *islice(source, OPEN_LINES_MAX - len(ahead))]:
        count = _lines_of_row(ahead, dialect.delimiter)
        if count:
            row = csv.reader(ahead[:count], delimiter=dialect.delimiter)
        else:
            count, row = 1, csv.reader(ahead[:1], delimiter=dialect.delimiter, quoting=csv.QUOTE_NONE)
        yield next(row, [])
        del ahead[:count]


def _lines_of_row(lines: Sequence[str], delimiter: str) -> int:
    """How many of the lines are the first row; 0 when it opens a quote that is not closed properly."""
    row = next(csv.reader(lines[:1], delimiter=delimiter), [])
    if not row or not row[-1].endswith(("\n", "\r")):  # an open quote keeps the end of the line
        return 1
    for count in range(2, len(lines) + 1):
        try:
            next(csv.reader(lines[:count], delimiter=delimiter, strict=True))
        except csv.Error as exc:
            if "unexpected end" in str(exc):
                continue
            return 0
        return count
    return 0
