"""The documents that the chaos test writes. Each version carries a mark, so that an answer tells which version it used.

A text says its mark in two places. The amounts of a table add up to a number that no other version has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

COLLECTIONS = ("chaos-a", "chaos-b")
TEXTS = ("lantern", "harbor", "violin", "glacier", "orchard", "beacon", "saddle", "walnut")
TABLES = ("ferry", "quarry", "mill", "tannery")
MARK = re.compile(r"Q(\d{2})X(\d{4})Z")
AMOUNT = re.compile(r"(?<![\d.,])(?:\d{1,3}(?:,\d{3})+|\d{7,})(?![\d])")
TOTAL_END = 7  # the last three digits of each total


@dataclass(frozen=True, kw_only=True)
class Item:
    """A document, in all its versions."""

    n: int
    name: str
    path: str
    is_table: bool = False

    @property
    def collection(self) -> str:
        return self.path.partition("/")[0]

    def content(self, version: int) -> bytes:
        mark = f"Q{self.n:02d}X{version:04d}Z"
        if self.is_table:
            amounts = ((self.n + 1) * 1_000_000, version * 1_000 + TOTAL_END)
            return f"{self.name},{self.name}_amount\nnorth,{amounts[0]}\nsouth,{amounts[1]}\n".encode()
        return (
            f"# The {self.name}\n\nThe code of the {self.name} is {mark}.\n\n"
            f"## Its keeper\n\nThe keeper of the {self.name} writes {mark} into the book of the {self.name}.\n"
        ).encode()

    @property
    def question(self) -> str:
        if self.is_table:
            return f"What is the total {self.name}_amount in {self.path.rpartition('/')[2]}?"
        return f"What is the code of the {self.name}?"


def catalogue() -> list[Item]:
    """The documents: texts and tables, in two collections, some in folders below them."""
    names = [(name, False) for name in TEXTS] + [(name, True) for name in TABLES]
    folders = ("", "north/", "north/deep/")
    return [
        Item(
            n=n,
            name=name,
            path=f"{COLLECTIONS[n % 2]}/{folders[n % 3]}{name}.{'csv' if is_table else 'md'}",
            is_table=is_table,
        )
        for n, (name, is_table) in enumerate(names)
    ]


def shown(text: str, items: Iterable[Item]) -> Mapping[str, set[int]]:
    """Path -> the versions whose marks or totals stand in a text."""
    by_number = {item.n: item for item in items}
    found: dict[str, set[int]] = {}
    for n, version in MARK.findall(text):
        if int(n) in by_number:
            found.setdefault(by_number[int(n)].path, set()).add(int(version))
    for amount in AMOUNT.findall(text):
        number = int(amount.replace(",", ""))
        item = by_number.get(number // 1_000_000 - 1)
        if item and item.is_table and number % 1_000 == TOTAL_END:
            found.setdefault(item.path, set()).add(number % 1_000_000 // 1_000)
    return found
