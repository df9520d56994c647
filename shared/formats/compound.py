"""Compound files (OLE): the storages and streams in them, as Outlook messages and old Office files use them.

Source: https://learn.microsoft.com/openspecs/windows_protocols/ms-cfb
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from io import SEEK_END
from typing import IO

HEADER_BYTES = 512
ENTRY_BYTES = 128
SECTOR_IDS_MAX = 0xFFFFFFFA  # larger ones are marks: free, end of chain
NO_ENTRY = 0xFFFFFFFF
ENTRIES_MAX = 100_000
STREAM_MAX_BYTES = 64 * 1024 * 1024
# A hostile file lets storages share their entries and streams their sectors, so that a small one is read for ever.
LISTED_MAX = 4 * ENTRIES_MAX
READ_TIMES_MAX = 8  # the size of the file


class DamagedCompound(Exception):
    """The file is no compound file, or its tables contradict each other."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A storage, which has entries, or a stream, which has bytes."""

    name: str
    is_storage: bool
    first_sector: int
    size_bytes: int
    links: tuple[int, int, int]  # the entries left and right of it in its storage's tree, and the root of its own tree


class Compound:
    """Raises DamagedCompound, when it is made and when streams are read."""

    def __init__(self, content: IO[bytes]) -> None:
        self._content = content
        self._size_bytes = content.seek(0, SEEK_END)
        self._left_entries, self._left_bytes = LISTED_MAX, READ_TIMES_MAX * self._size_bytes
        content.seek(0)
        header = content.read(HEADER_BYTES)
        if len(header) < HEADER_BYTES:
            raise DamagedCompound("The header is cut off.")
        sector_shift, mini_shift = struct.unpack_from("<HH", header, 30)
        if sector_shift not in (9, 12) or mini_shift != 6:
            raise DamagedCompound("The sectors have an unknown size.")
        self._sector_bytes, self._mini_bytes = 1 << sector_shift, 1 << mini_shift
        first_directory, self._cutoff_bytes, first_mini, minis, first_extra, extras = struct.unpack_from(
            "<I4xIIIII", header, 48
        )
        self._fat = self._table(self._fat_sectors(header, first_extra, extras))
        self._mini_fat = self._table(self._chain(first_mini, minis)) if minis else array("I")
        self._entries = list(self._directory(first_directory))
        if not self._entries or not self._entries[0].is_storage:
            raise DamagedCompound("There is no root.")
        root = self._entries[0]
        mini_sectors = -(-root.size_bytes // self._sector_bytes)
        self._mini_stream = list(self._chain(root.first_sector, mini_sectors)) if root.size_bytes else []

    @property
    def root(self) -> Entry:
        return self._entries[0]

    def children(self, storage: Entry) -> dict[str, Entry]:
        """The entries of a storage by their names. Raises DamagedCompound when far too many were listed."""
        found: dict[str, Entry] = {}
        seen: set[int] = set()
        left = [storage.links[2]]
        while left:
            number = left.pop()
            if number >= len(self._entries) or number in seen:  # also the mark of no entry
                continue
            seen.add(number)
            entry = self._entries[number]
            found.setdefault(entry.name, entry)
            left += entry.links[:2]
        self._left_entries -= len(seen) + 1
        if self._left_entries < 0:
            raise DamagedCompound("Its storages contain one another.")
        return found

    def read(self, stream: Entry) -> bytes:
        if stream.size_bytes > min(STREAM_MAX_BYTES, self._size_bytes):
            raise DamagedCompound("A stream is larger than is read.")
        self._left_bytes -= stream.size_bytes
        if self._left_bytes < 0:
            raise DamagedCompound("Its streams share their bytes.")
        if stream.size_bytes >= self._cutoff_bytes:
            count = -(-stream.size_bytes // self._sector_bytes)
            blocks = [self._sector(number) for number in self._chain(stream.first_sector, count)]
        else:
            count = -(-stream.size_bytes // self._mini_bytes)
            blocks = [self._mini_sector(number) for number in _links(self._mini_fat, stream.first_sector, count)]
        return b"".join(blocks)[: stream.size_bytes]

    # ---- sectors -------------------------------------------------------------------------------------------------

    def _sector(self, number: int) -> bytes:
        self._content.seek((number + 1) * self._sector_bytes)
        return self._content.read(self._sector_bytes)

    def _mini_sector(self, number: int) -> bytes:
        sector, place = divmod(number * self._mini_bytes, self._sector_bytes)
        if sector >= len(self._mini_stream):
            raise DamagedCompound("A stream lies outside of the small streams.")
        self._content.seek((self._mini_stream[sector] + 1) * self._sector_bytes + place)
        return self._content.read(self._mini_bytes)

    def _chain(self, first: int, count: int) -> Iterator[int]:
        if count > self._size_bytes // self._sector_bytes + 1:
            raise DamagedCompound("A chain has more sectors than the file.")
        return _links(self._fat, first, count)

    def _table(self, sectors: Iterator[int]) -> array[int]:
        return _numbers(b"".join(map(self._sector, sectors)))

    def _fat_sectors(self, header: bytes, extra: int, extras: int) -> Iterator[int]:
        """The sectors of the table of all sectors: 109 are listed in the header, more in sectors of their own."""
        most = self._size_bytes // self._sector_bytes + 1
        numbers = _numbers(header[76:])
        for _ in range(min(extras, most)):
            if extra >= SECTOR_IDS_MAX:
                break
            more = _numbers(self._sector(extra))
            extra = more.pop() if more else NO_ENTRY
            numbers += more
        yield from [number for number in numbers if number < min(most, SECTOR_IDS_MAX)][:most]

    def _directory(self, first: int) -> Iterator[Entry]:
        most = ENTRIES_MAX * ENTRY_BYTES // self._sector_bytes
        block = b"".join(map(self._sector, _links(self._fat, first, most, whole=False)))
        for place in range(0, len(block) - ENTRY_BYTES + 1, ENTRY_BYTES):
            raw = block[place : place + ENTRY_BYTES]
            name_bytes, kind = struct.unpack_from("<HB", raw, 64)
            left, right, child = struct.unpack_from("<III", raw, 68)
            first_sector, size_bytes = struct.unpack_from("<II", raw, 116)  # the upper half is 0 below 4 GiB
            yield Entry(
                name=raw[: max(min(name_bytes, 64) - 2, 0)].decode("utf-16-le", "replace"),
                is_storage=kind in (1, 5),
                first_sector=first_sector,
                size_bytes=size_bytes,
                links=(left, right, child),
            )


def _numbers(block: bytes) -> array[int]:
    count = len(block) // 4
    return array("I", struct.unpack(f"<{count}I", block[: 4 * count]))


def _links(table: array[int], first: int, count: int, *, whole: bool = True) -> Iterator[int]:
    """The sectors of a chain, at most `count`. `whole`: it must have as many."""
    seen = 0
    if whole and count > len(table):
        raise DamagedCompound("A chain has more sectors than there are.")
    while seen < count and first < len(table):
        yield first
        seen += 1
        first = table[first]
        if not whole and seen > len(table):
            raise DamagedCompound("A chain of sectors has no end.")
    if whole and seen < count:
        raise DamagedCompound("A chain of sectors ends early.")
