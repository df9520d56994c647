"""JSON in the shapes that tools write: lines, nested and wrapped records, columns, rows, records by key."""

from __future__ import annotations

import json

import pytest

from tests.unit.formats.tables.reading import read

ROWS = [["city", "v"], ["Graz", "1"], ["Linz", "2"]]
SHAPES = {
    "wrapped": {"meta": {"n": 2}, "data": {"rows": [{"city": "Graz", "v": 1}, {"city": "Linz", "v": 2}]}},
    "columns": {"city": ["Graz", "Linz"], "v": [1, 2]},
    "split": {"columns": ["city", "v"], "data": [["Graz", 1], ["Linz", 2]]},
    "rows": [["city", "v"], ["Graz", 1], ["Linz", 2]],
    "text": [{"city": "Graz", "v": "1,0"}, {"city": "Linz", "v": "2,0"}],
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_shapes(shape: object) -> None:
    [copy] = read(json.dumps(shape).encode(), "json").copies
    assert [[cell.removesuffix(".0") for cell in row] for row in copy] == ROWS


def test_records_by_key() -> None:
    [copy] = read(b'{"graz": {"v": 1}, "linz": {"v": 2}}', "json").copies
    assert copy == [["key", "v"], ["graz", "1"], ["linz", "2"]]


@pytest.mark.parametrize("ending", ["jsonl", "ndjson", "json"])
def test_lines(ending: str) -> None:
    found = read(b'{"city": "Graz", "v": 1}\n\n{"city": "Linz", "v": 2}\n', ending)
    assert found.copies == [ROWS]


def test_nested_records_and_lists_of_records() -> None:
    records = [
        {"id": 1, "who": {"name": "Acme", "city": "Wien"}, "items": [{"sku": "A", "qty": 2}, {"sku": "B", "qty": 5}]},
        {"id": 2, "who": {"name": "Beta", "city": "Graz"}, "items": [{"sku": "A", "qty": 1}]},
    ]
    found = read(json.dumps(records).encode(), "json")
    assert found.copies[0][0] == ["id", "who.name", "who.city", "items"]
    inner = [dict(zip(found.copies[1][0], row, strict=True)) for row in found.copies[1][1:]]
    assert sum(int(row["items.qty"]) for row in inner if row["who.name"] == "Acme") == 7


def test_two_lists_are_two_tables() -> None:
    found = read(b'{"a": [{"x": 1}], "b": [{"y": 1}, {"y": 2}]}', "json")
    assert [copy[0] for copy in found.copies] == [["x"], ["y"]]


def test_a_plain_list_goes_as_it_is() -> None:
    assert read(b'[{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]', "json").is_plain


def test_lines_that_are_no_objects_are_named() -> None:
    lines = [b'{"city": "Graz", "v": 1}'] * 120
    lines[110] = b"oops"
    found = read(b"\n".join(lines), "jsonl")
    assert len(found.copies[0]) == 120
    assert "row 111 is no JSON object" in found.notice


def test_lists_that_are_not_read_are_named() -> None:
    found = read(b'{"a": [{"x": 1}], "b": [{"y": 1}, 2]}', "json")
    assert len(found.copies) == 1
    assert "lists that are not read: b" in found.notice
