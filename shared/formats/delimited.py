"""CSV and TSV files, read row by row. The delimiter and the encoding are guessed from the start of the file."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from typing import IO

from shared.formats.base import HEAD_BYTES, Table, not_a_table


def delimited_table(content: IO[bytes]) -> Table:
    """The first line that is not blank is the header. `content` stays open after the rows are read.

    Raises:
        UnusableFile: `not_a_table`, here or while the rows are read.
    """
    head = content.read(HEAD_BYTES)
    content.seek(0)
    if b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise not_a_table("The file is not text, whatever its ending says.")
    encoding = _encoding(head)
    text = io.TextIOWrapper(content, encoding=encoding, errors="replace", newline="")
    rows = _rows(csv.reader(text, delimiter=_delimiter(head.decode(encoding, "replace"))), text)
    header = next((row for row in rows if any(cell.strip() for cell in row)), None)
    if header is None:
        raise not_a_table("The file is empty.")
    note = "" if encoding != "cp1252" else "The file is not in UTF-8; it was read as Windows-1252."
    return Table(name="", columns=tuple(header), rows=rows, is_text=True, note=note)


def _rows(rows: Iterator[list[str]], text: io.TextIOWrapper) -> Iterator[list[str]]:
    """The rows without blank lines. At the end, `text` is detached: else it would close the caller's file."""
    try:
        yield from (row for row in rows if row)
    except csv.Error as exc:
        if "field limit" in str(exc):
            limit = f"{csv.field_size_limit():,} characters"
            raise not_a_table(f"The file is no table: one cell has more than {limit}.") from exc
        raise not_a_table(f"The file cannot be read as a table: {exc}.") from exc
    finally:
        text.detach()


def _delimiter(head: str) -> str:
    """The candidate that is most frequent in the first line, outside of quotes.

    `csv.Sniffer` reads more of the file, but it takes minutes for some files and is wrong for small ones.
    """
    first = next((line for line in head.splitlines() if line.strip()), "")
    unquoted = re.sub(r'"[^"]*"?', "", first)
    return max(",;\t|", key=unquoted.count)


def _encoding(head: bytes) -> str:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    try:
        head.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        # An error in the last 3 bytes may be a UTF-8 character that the end of `head` cuts in two.
        return "utf-8-sig" if exc.start >= len(head) - 3 else "cp1252"
    return "utf-8-sig"
