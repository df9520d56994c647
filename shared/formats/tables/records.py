"""JSON that holds records: a list of objects, one object a line, or a list inside of other objects. In bounded memory.

Nested objects become columns such as `customer.city`; a list of objects inside of the records becomes a table of its
own, whose rows name the record that they are part of.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from typing import IO, Any

from shared.formats.base import not_a_table
from shared.formats.tables.grids import Grid
from shared.formats.tables.shapes import SMALL_MAX_BYTES, shaped_grid
from shared.formats.tables.words import RowNumbers, listed

COLUMNS_MAX = 1_000
DEPTH_MAX = 50
LISTS_MAX = 8  # lists of records in one file
RECORD_MAX_BYTES = 4 * 1024 * 1024  # a record is held in memory; JSON with larger records is indexed as text
PROBE_BYTES = 256 * 1024  # of a line, when it is looked at whether the file has one object a line
PARENT_COLUMNS = 8
BAD_LINES_MAX = 0.01  # of all lines
DIGITS = b"0" * 1_000
ALL_DIGITS_TO_0 = bytes.maketrans(b"123456789", b"000000000")

Records = Callable[[], Iterator[dict[str, Any]]]


def json_grids(content: IO[bytes], *, ending: str = "json") -> list[Grid]:
    """The tables of a JSON file, which is read once to find the lists, once for the columns, and once for the rows.

    Args:
        ending: `jsonl` or `ndjson` for one object a line. A file named `json` is also read so when it is.

    Raises:
        UnusableFile: `not_a_table`, also while the rows are read.
    """
    if ending in ("jsonl", "ndjson") or has_lines(content):
        bad = RowNumbers()
        grids = _grids("", lambda: _lines(content, bad), is_plain=False, notes=("one JSON object a line",))
        if bad:
            found = f"{bad.are('is no JSON object', 'are no JSON objects')} and left out"
            grids[0] = replace(grids[0], notes=(*grids[0].notes, found))
        return grids
    prefixes, unread = _prefixes(content)
    if prefixes:
        grids = []
        for prefix in prefixes:
            name = prefix.removesuffix("item").rstrip(".")
            notes = (f"the records are the list {name!r}",) if name else ()
            shown = name if len(prefixes) > 1 else ""
            grids += _grids(shown, lambda prefix=prefix: _records(content, prefix), is_plain=not name, notes=notes)  # type: ignore[misc]
        if unread:
            names = listed([prefix.removesuffix("item").rstrip(".") for prefix in unread])
            grids[0] = replace(grids[0], notes=(*grids[0].notes, f"lists that are not read: {names}"))
        return grids
    size_bytes = content.seek(0, 2)
    content.seek(0)
    with _json_errors():
        grid = shaped_grid(json.loads(content.read().decode("utf-8-sig"))) if size_bytes < SMALL_MAX_BYTES else None
    if grid is None:
        raise not_a_table("The JSON is not a list of records.")
    return [grid]


def _grids(name: str, records: Records, *, is_plain: bool, notes: tuple[str, ...]) -> list[Grid]:
    """The table of the records, and one for each list of objects inside of them."""
    columns: dict[str, None] = {}
    inner: dict[str, dict[str, None]] = {}
    nested = False
    for record in records():
        flat = _flat(record)
        nested = nested or any(isinstance(value, dict) and value for value in record.values())
        columns.update(dict.fromkeys(flat))
        for key, value in flat.items():
            if _is_list_of_records(value):
                for part in value:
                    inner.setdefault(key, {}).update(dict.fromkeys(_flat(part)))
        if len(columns) + sum(map(len, inner.values())) > COLUMNS_MAX:
            raise not_a_table(f"The JSON's records have more than {COLUMNS_MAX:,} different fields.")
    names = tuple(columns)
    main = Grid(
        name=name,
        rows=lambda: ([_plain(flat.get(column)) for column in names] for flat in map(_flat, records())),
        names=names,
        is_plain=is_plain and not nested and not inner,
        notes=(*notes, *(("nested objects are columns such as 'a.b'",) if nested else ())),
    )
    return [main, *(_inner(name, key, tuple(fields), records) for key, fields in list(inner.items())[:LISTS_MAX])]


def _inner(name: str, key: str, fields: tuple[str, ...], records: Records) -> Grid:
    """The table of the lists at one key, with the columns of the record that tell which one it is."""
    parents: dict[str, None] = {}
    for record in records():
        flat = _flat(record)
        # Figures of the record would be summed once for each of its parts.
        parents.update(dict.fromkeys(k for k, v in flat.items() if isinstance(v, str) or _is_key(k)))
        if len(parents) >= PARENT_COLUMNS:
            break
    kept = [parent for parent in parents if parent != key][:PARENT_COLUMNS]

    def rows() -> Iterator[list[Any]]:
        for number, record in enumerate(records(), start=1):
            flat = _flat(record)
            parts = flat.get(key)
            for part in (parts or ()) if _is_list_of_records(parts) else ():
                values = _flat(part)
                yield [number, *(_plain(flat.get(k)) for k in kept), *(_plain(values.get(f)) for f in fields)]

    names = ("record", *kept, *(f"{key}.{name}" for name in fields))
    title = f"{name}.{key}" if name else key
    notes = (f"the lists {key!r} of the records: one row for each of their items",)
    return Grid(name=title, rows=rows, names=names, is_plain=False, notes=notes)


def _is_key(name: str) -> bool:
    last = name.rsplit(".", 1)[-1].casefold()
    return last in ("id", "key", "code", "nr", "no", "number") or last.endswith(("_id", "_key", "_code", "id"))


def _is_list_of_records(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(part, dict) and part for part in value)


def _flat(record: dict[str, Any], prefix: str = "", depth: int = 0) -> dict[str, Any]:
    """The record without nested objects: `{"a": {"b": 1}}` becomes `{"a.b": 1}`."""
    found: dict[str, Any] = {}
    for key, value in record.items():
        if isinstance(value, dict) and value and depth < 4:
            found.update(_flat(value, f"{prefix}{key}.", depth + 1))
        else:
            found[f"{prefix}{key}"] = value
    return found


def _plain(value: Any) -> Any:
    """A nested value as JSON text; a number as Python's."""
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False, default=float)
    if isinstance(value, Decimal):
        number = float(value)
        return number if number - number == 0 else str(value)
    return value


# ---- lines -----------------------------------------------------------------------------------------------------------


def has_lines(content: IO[bytes]) -> bool:
    """Whether the first two lines are each a JSON object."""
    content.seek(0)
    lines = [line for line in (content.readline(PROBE_BYTES) for _ in range(4)) if line.strip()]
    content.seek(0)
    return len(lines) > 1 and all(_object(line) is not None for line in lines[:2])


def _object(line: bytes) -> dict[str, Any] | None:
    line = line.removeprefix(codecs.BOM_UTF8).strip().removesuffix(b",")
    if not line.startswith(b"{") or DIGITS in line.translate(ALL_DIGITS_TO_0):
        return None
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _lines(content: IO[bytes], bad: RowNumbers) -> Iterator[dict[str, Any]]:
    """The objects. `bad` gets the numbers of the lines that are none."""
    content.seek(0)
    bad.clear()
    good = number = 0
    while line := content.readline(RECORD_MAX_BYTES):
        number += 1
        if not line.strip():
            continue
        record = _object(line)
        if record is None:
            bad.add(number)
            if len(bad) > max(1, good) * BAD_LINES_MAX:
                raise not_a_table(f"Line {number:,} of the file is no JSON object.")
            continue
        good += 1
        yield record
    if not good:
        raise not_a_table("The file has no JSON objects.")


# ---- lists -----------------------------------------------------------------------------------------------------------


def _prefixes(content: IO[bytes]) -> tuple[list[str], list[str]]:
    """The lists of objects, as ijson names them: `item` for a top-level list, `data.rows.item` for one inside.

    The second list has those that are not read: they hold other values, too, or are too many.

    Reads the whole file to check the depth first: ijson's time and memory grow with the square of the depth.
    """
    import ijson

    path: list[str | None] = []  # on the way: the current key of each object; None for a list
    lists = 0  # of which the value is inside
    prefixes: list[str] = []
    mixed: set[str] = set()
    source = _BoundedReader(content)
    with _json_errors():
        for event, value in ijson.basic_parse(source):
            source.reset()
            inside_list = lists == 1 and path[-1] is None
            if inside_list and event not in ("end_array", "start_map", "map_key", "end_map"):
                mixed.add(_prefix(path[:-1]))
            if event in ("start_map", "start_array"):
                if inside_list and event == "start_map" and (prefix := _prefix(path[:-1])) not in prefixes:
                    prefixes.append(prefix)
                path.append(None if event == "start_array" else "")
                lists += event == "start_array"
                if len(path) > DEPTH_MAX:
                    raise not_a_table(f"The JSON is nested more than {DEPTH_MAX} levels deep.")
            elif event in ("end_map", "end_array"):
                path.pop()
                lists -= event == "end_array"
            elif event == "map_key":
                path[-1] = value
    good = [prefix for prefix in prefixes if prefix not in mixed]
    if mixed & set(prefixes) and not good:
        raise not_a_table("The JSON is not a list of records.")
    kept = good[:LISTS_MAX]
    return kept, [prefix for prefix in prefixes if prefix not in kept] if kept else []


def _prefix(path: list[str | None]) -> str:
    """A key with a dot is refused, because a dot separates keys in a prefix."""
    if any("." in (key or "") for key in path):
        raise not_a_table("The JSON is not a list of records.")
    return ".".join([*(key or "" for key in path), "item"])


def _records(content: IO[bytes], prefix: str) -> Iterator[dict[str, Any]]:
    import ijson

    source = _BoundedReader(content)
    with _json_errors():
        for record in ijson.items(source, prefix):
            if not isinstance(record, dict):
                raise not_a_table("The JSON is not a list of records.")
            source.reset()
            yield record


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
        raise not_a_table("The file is not valid JSON.") from exc
