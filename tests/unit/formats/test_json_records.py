"""Data cards of JSON files: lists of records, read in bounded memory."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.formats.base import UnusableFile
from tests.unit.formats.cards import card, card_and_peak_bytes, column_of, size_of


def test_json_records() -> None:
    rows = [{"a": 1, "b": "x"}, {"a": 2.5, "c": None}, {"c": [1, 2], "a": True}]
    markdown = card("a.json", json.dumps(rows).encode())
    assert size_of(markdown) == (3, 3)
    assert column_of(markdown, "b") == ("text", "x", "2")
    assert column_of(markdown, "c") == ("text", "[1, 2]", "2")


def test_json_with_the_list_inside() -> None:
    assert size_of(card("a.json", b'{"count": 2, "items": [{"x": 1}, {"x": 2}]}')) == (2, 1)


@pytest.mark.aside
def test_json_is_read_record_by_record() -> None:
    record = json.dumps({"name": "x" * 1000, "parts": [{"n": 1.5}]}).encode()
    content = io.BytesIO(
        b'\xef\xbb\xbf{"note": "' + b"y" * 3_000_000 + b'", "rows": [' + b",".join([record] * 8_000) + b"]}"
    )
    markdown, peak_bytes = card_and_peak_bytes("a.json", content)
    assert size_of(markdown) == (8_000, 2)
    assert column_of(markdown, "parts") == ("text", '[{"n": 1.5}]', "0")
    assert peak_bytes < 12_000_000


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(["[", "]", "{", "}", ",", ":", '"a"', '"b"', "1", "-2.5e3", "null", "true", '"\\ud800"', "\n"])
    )
)
def test_any_json_tokens_are_a_table_or_raise_unusable_file(tokens: list[str]) -> None:
    text = "".join(tokens)
    try:
        card("a.json", text.encode())
    except UnusableFile:
        return
    assert isinstance(json.loads(text), list | dict)


@pytest.mark.parametrize("number", ["1e999", "1" + "0" * 400, "-0.0", "1e-320"])
def test_odd_numbers_in_json(number: str) -> None:
    assert size_of(card("a.json", f'[{{"a": {number}}}, {{"a": 1}}]'.encode())) == (2, 1)


def test_json_of_many_different_fields_is_refused() -> None:
    rows = [{f"field_{n}": n} for n in range(20_000)]
    with pytest.raises(UnusableFile, match="fields"):
        card("a.json", json.dumps(rows).encode())
