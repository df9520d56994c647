"""Helpers for the tests of data cards: create one and read its values."""

from __future__ import annotations

import io
import re
import tracemalloc
from typing import IO

from shared.formats.datacards import card_of
from shared.formats.parquet import csv_of


def card(name: str, content: bytes) -> str:
    if name.endswith(".parquet"):
        with csv_of(io.BytesIO(content)) as copy:
            return card_of(name, copy, ending="csv").markdown
    return card_of(name, io.BytesIO(content)).markdown


def column_of(markdown: str, name: str) -> tuple[str, str, str]:
    """Type, values and empty cells, from the card."""
    for line in markdown.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 4 and cells[0] == name:
            return cells[1], cells[2], cells[3]
    raise AssertionError(f"no column {name!r} in:\n{markdown}")


def size_of(markdown: str) -> tuple[int, int]:
    found = re.search(r"([\d,]+) rows, ([\d,]+) columns\.", markdown)
    assert found
    return int(found[1].replace(",", "")), int(found[2].replace(",", ""))


def card_and_peak_bytes(name: str, content: IO[bytes]) -> tuple[str, int]:
    """The card of a file, and the most memory that making it took."""
    tracemalloc.start()
    try:
        return card_of(name, content).markdown, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
