"""JSON files that hold a list of records (objects): a table with one row per record, read in bounded memory."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from shared.formats.base import Table, not_a_table

COLUMNS_MAX = 1_000
DEPTH_MAX = 50
RECORD_MAX_BYTES = 4 * 1024 * 1024  # a record is held in memory; JSON with larger records is indexed as text
DIGITS = b"0" * 1_000
ALL_DIGITS_TO_0 = bytes.maketrans(b"123456789", b"000000000")


def json_table(content: IO[bytes]) -> Table:
    """The table of a list of records, or of an object in which exactly one value is a list and holds records.

    The file is read three times: to find the list, to collect the columns, and for the rows.

    Raises:
        UnusableFile: `not_a_table`, also while the rows are read.
    """
    prefix = _prefix_of_list(content)
    columns: dict[str, None] = {}
    for record in _records(content, prefix):
        columns.update(dict.fromkeys(record))
        if len(columns) > COLUMNS_MAX:
            raise not_a_table(f"The JSON's records have more than {COLUMNS_MAX:,} different fields.")
    rows = ([_plain(record.get(column)) for column in columns] for record in _records(content, prefix))
    return Table(name="", columns=tuple(columns), rows=rows)


def _prefix_of_list(content: IO[bytes]) -> str:
    """The prefix of the records as ijson writes it: `item` for a top-level list, `<key>.item` for one below a key.

    Reads the whole file to check the depth first: ijson's time and memory grow with the square of the depth.
    """
    import ijson

    depth = 0
    key: str | None = None  # the last key of the top-level object
    prefixes: list[str] = []
    source = _BoundedReader(content)
    with _json_errors():
        for event, value in ijson.basic_parse(source):
            source.reset()
            if event in ("start_map", "start_array"):
                if event == "start_array" and depth == 0:
                    prefixes.append("item")
                elif event == "start_array" and depth == 1 and key is not None:
                    prefixes.append(f"{key}.item")
                depth += 1
                if depth > DEPTH_MAX:
                    raise not_a_table(f"The JSON is nested more than {DEPTH_MAX} levels deep.")
            elif event in ("end_map", "end_array"):
                depth -= 1
            elif event == "map_key" and depth == 1:
                key = value
    # A key with a dot is rejected, because a dot separates keys in a prefix.
    if len(prefixes) != 1 or "." in prefixes[0].removesuffix(".item"):
        raise not_a_table("The JSON is not a list of records.")
    return prefixes[0]


def _records(content: IO[bytes], prefix: str) -> Iterator[dict[str, Any]]:
    import ijson

    source = _BoundedReader(content)
    with _json_errors():
        for record in ijson.items(source, prefix):
            if not isinstance(record, dict):
                raise not_a_table("The JSON is not a list of records.")
            source.reset()
            yield record


def _plain(value: Any) -> Any:
    """A nested value as JSON text."""
    return json.dumps(value, ensure_ascii=False, default=float) if isinstance(value, (dict, list)) else value


class _BoundedReader:
    """Reads a file from its start, and raises UnusableFile when one record or number is too long for the parser."""

    def __init__(self, content: IO[bytes]) -> None:
        content.seek(3 if content.seek(0) == 0 and content.read(3) == codecs.BOM_UTF8 else 0)
        self._content = content
        self._read_bytes = 0  # since the last reset
        self._digits = b""  # the end of the last block, every digit as 0

    def reset(self) -> None:
        """The parser has returned a record or an event: count from here."""
        self._read_bytes = 0

    def read(self, size: int = -1) -> bytes:
        block = self._content.read(size)
        self._read_bytes += len(block)
        if self._read_bytes > RECORD_MAX_BYTES:
            raise not_a_table(f"The JSON has records of more than {RECORD_MAX_BYTES:,} bytes.")
        # ijson's C code crashes at a number that Python refuses: https://docs.python.org/3/library/stdtypes.html#int-max-str-digits
        self._digits = self._digits[-len(DIGITS) :] + block.translate(ALL_DIGITS_TO_0)
        if DIGITS in self._digits:
            raise not_a_table(f"The JSON has a number of more than {len(DIGITS):,} digits.")
        return block


@contextmanager
def _json_errors() -> Iterator[None]:
    import ijson

    try:
        yield
    except (ijson.JSONError, ValueError, RecursionError) as exc:
        raise not_a_table(f"The file is not valid JSON: {exc}.") from exc
