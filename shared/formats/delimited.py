"""DOC."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from typing import IO

from shared.formats.base import Table, not_a_table


def _csv(content: IO[bytes]) -> Table:
    head = content.read(65_536)
    content.seek(0)
    if b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise not_a_table("The file is not text, whatever its ending says.")
    encoding = _encoding(head)
    text = io.TextIOWrapper(content, encoding=encoding, errors="replace", newline="")
    rows = _closing(csv.reader(text, delimiter=_delimiter(head.decode(encoding, "replace"))), text)
    header = next((row for row in rows if any(cell.strip() for cell in row)), None)
    if header is None:
        raise not_a_table("The file is empty.")
    note = "" if encoding != "cp1252" else "The file is not in UTF-8; it was read as Windows-1252."
    return Table(name="", columns=tuple(header), rows=rows, is_text=True, note=note)


def _closing(rows: Iterator[list[str]], text: io.TextIOWrapper) -> Iterator[list[str]]:
    """The rows that are not blank; afterwards the bytes below belong to the caller again."""
    try:
        yield from (row for row in rows if row)
    except csv.Error as exc:
        if "field limit" in str(exc):
            raise not_a_table(
                f"The file is no table: one cell has more than {csv.field_size_limit():,} signs."
            ) from exc
        raise not_a_table(f"The file cannot be read as a table: {exc}.") from exc
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
