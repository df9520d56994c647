"""JSON tables that are no list of objects: rows as lists, columns as lists, records by key. For small files. Pure."""

from __future__ import annotations

from typing import Any

from shared.formats.tables.grids import Grid

SMALL_MAX_BYTES = 8 * 1024 * 1024  # such a file is held in memory


def shaped_grid(value: Any) -> Grid | None:
    """The table of a JSON value, or of the one value inside of it that is a table; None when there is none."""
    for depth_left in (3, 2, 1):
        grid = _rows(value) or _split(value) or _columns(value) or _keyed(value)
        if grid or not isinstance(value, dict) or not depth_left:
            return grid
        inner = [item for item in value.values() if isinstance(item, (dict, list))]
        if len(inner) != 1:
            return None
        value = inner[0]
    return None


def _scalar(value: Any) -> bool:
    return not isinstance(value, (dict, list))


def _rows(value: Any) -> Grid | None:
    """`[["city", "visitors"], ["Graz", 120]]`."""
    if not isinstance(value, list) or len(value) < 2 or not all(isinstance(row, list) for row in value):
        return None
    if not all(_scalar(cell) for row in value for cell in row) or max(map(len, value)) < 2:
        return None
    return Grid(name="", rows=lambda: value, is_plain=False, notes=("the rows are lists",))


def _split(value: Any) -> Grid | None:
    """`{"columns": ["city"], "data": [["Graz"]]}`, as pandas writes with orient="split"."""
    if not isinstance(value, dict):
        return None
    names = next((value[key] for key in ("columns", "header", "headers", "fields") if key in value), None)
    rows = next((value[key] for key in ("data", "rows", "values") if key in value), None)
    if not isinstance(names, list) or not isinstance(rows, list) or not rows:
        return None
    titles = [str(name.get("name", "")) if isinstance(name, dict) else str(name) for name in names]
    if not titles or not all(isinstance(row, list) and len(row) == len(titles) for row in rows):
        return None
    if not all(_scalar(cell) for row in rows for cell in row):
        return None
    return Grid(name="", rows=lambda: rows, names=tuple(titles), is_plain=False, notes=("the rows are lists",))


def _columns(value: Any) -> Grid | None:
    """`{"city": ["Graz", "Linz"], "visitors": [120, 340]}`."""
    if not isinstance(value, dict) or len(value) < 2:
        return None
    lists = list(value.values())
    if not all(isinstance(item, list) and item and all(map(_scalar, item)) for item in lists):
        return None
    if len({len(item) for item in lists}) != 1 or len(lists[0]) < 2:
        return None
    return Grid(
        name="",
        rows=lambda: zip(*lists, strict=True),
        names=tuple(value),
        is_plain=False,
        notes=("the columns are lists",),
    )


def _keyed(value: Any) -> Grid | None:
    """`{"graz": {"visitors": 120}, "linz": {"visitors": 340}}`: records by key, all with the same fields."""
    if not isinstance(value, dict) or len(value) < 2:
        return None
    records = list(value.values())
    if not all(isinstance(record, dict) and record and all(map(_scalar, record.values())) for record in records):
        return None
    names = list(records[0])
    if not all(set(record) == set(names) for record in records):
        return None
    rows = [[key, *(record[name] for name in names)] for key, record in value.items()]
    return Grid(
        name="", rows=lambda: rows, names=("key", *names), is_plain=False, notes=("the records are listed by key",)
    )
