"""DOC."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from shared.formats.base import Table, not_a_table

JSON_COLUMNS_MAX = 1_000
JSON_DEPTH_MAX = 50
JSON_RECORD_MAX_BYTES = 4 * 1024 * 1024  # one record is held whole; JSON with larger ones is taken for text
DIGITS = b"0" * 1_000
AS_DIGITS = bytes.maketrans(b"123456789", b"000000000")


def _json(content: IO[bytes]) -> Table:
    """A list of records, or an object with one list, of records. Read twice: for its columns, then for its rows."""
    prefix = _list_in(content)
    columns: dict[str, None] = {}
    for record in _records(content, prefix):
        columns.update(dict.fromkeys(record))
        if len(columns) > JSON_COLUMNS_MAX:
            raise not_a_table(f"The JSON's records have more than {JSON_COLUMNS_MAX:,} different fields.")
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
                    raise not_a_table(f"The JSON is nested more than {JSON_DEPTH_MAX} levels deep.")
            elif event in ("end_map", "end_array"):
                depth -= 1
            elif event == "map_key" and depth == 1:
                key = value
    if len(prefixes) != 1 or "." in prefixes[0].removesuffix(".item"):  # ijson parts keys by dots
        raise not_a_table("The JSON is not a list of records.")
    return prefixes[0]


def _records(content: IO[bytes], prefix: str) -> Iterator[dict[str, Any]]:
    import ijson

    stretches = _Stretches(content)
    with _json_errors():
        for record in ijson.items(stretches, prefix):
            if not isinstance(record, dict):
                raise not_a_table("The JSON is not a list of records.")
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
            raise not_a_table(f"The JSON has records of more than {JSON_RECORD_MAX_BYTES:,} bytes.")
        # ijson's C part crashes at a number that Python refuses: https://docs.python.org/3/library/stdtypes.html#int-max-str-digits
        self._digits = self._digits[-len(DIGITS) :] + block.translate(AS_DIGITS)
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
