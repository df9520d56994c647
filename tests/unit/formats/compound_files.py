"""Writes compound files (OLE), such as Outlook messages: https://learn.microsoft.com/openspecs/windows_protocols/ms-cfb"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Union

SECTOR_BYTES, MINI_BYTES, CUTOFF_BYTES = 512, 64, 4096
FREE, END, FAT, EXTRA = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD, 0xFFFFFFFC
NUMBERS = SECTOR_BYTES // 4  # in a sector
LISTED = 109  # sectors of the table of sectors, in the header

Tree = Mapping[str, Union[bytes, "Tree"]]


def compound(tree: Tree) -> bytes:
    """A compound file: names -> bytes of a stream, or the content of a storage."""
    return _Writer().written(tree)


class _Writer:
    def __init__(self) -> None:
        self._sectors: list[bytes] = []
        self._fat: list[int] = []
        self._mini = b""
        self._mini_fat: list[int] = []
        self._entries: list[list[object]] = []  # name, kind, right, child, first sector, size

    def written(self, tree: Tree) -> bytes:
        root = self._entry("Root Entry", 5)
        self._add(root, tree)
        mini_fat = self._put(struct.pack(f"<{len(self._mini_fat)}I", *self._mini_fat), fill=b"\xff")
        self._entries[root][4:] = [self._put(self._mini), len(self._mini)]
        directory = self._put(b"".join(map(self._packed, self._entries)))
        fats, extras = 1, 0  # sectors of the table of sectors, and those that list more than 109 of them
        while len(self._fat) + fats + extras > fats * NUMBERS:
            fats += 1
            extras = -(-max(fats - LISTED, 0) // (NUMBERS - 1))
        first = len(self._sectors)
        table = _numbers([*self._fat, *[FAT] * fats, *[EXTRA] * extras], fats * NUMBERS)
        sectors = [*range(first, first + fats)]
        more = b"".join(
            _numbers(sectors[LISTED + (NUMBERS - 1) * n :][: NUMBERS - 1], NUMBERS - 1)
            + struct.pack("<I", first + fats + n + 1 if n + 1 < extras else END)
            for n in range(extras)
        )
        head = struct.pack("<8s16xHHHHH6x", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 0x3E, 3, 0xFFFE, 9, 6)
        minis = -(-len(self._mini_fat) // NUMBERS)
        first_extra = first + fats if extras else END
        head += struct.pack("<9I", 0, fats, directory, 0, CUTOFF_BYTES, mini_fat, minis, first_extra, extras)
        return head + _numbers(sectors[:LISTED], LISTED) + b"".join(self._sectors) + table + more

    def _add(self, storage: int, tree: Tree) -> None:
        before: int | None = None
        for name in sorted(tree, key=lambda name: (len(name), name.upper())):
            content = tree[name]
            number = self._entry(name, 2 if isinstance(content, bytes) else 1)
            if before is None:
                self._entries[storage][3] = number
            else:
                self._entries[before][2] = number
            before = number
            if isinstance(content, bytes):
                place = self._put_mini(content) if len(content) < CUTOFF_BYTES else self._put(content)
                self._entries[number][4:] = [place, len(content)]
            else:
                self._add(number, content)

    def _entry(self, name: str, kind: int) -> int:
        self._entries.append([name, kind, FREE, FREE, 0 if kind == 1 else END, 0])
        return len(self._entries) - 1

    def _packed(self, entry: list[object]) -> bytes:
        name, kind, right, child, first, size = entry
        text = f"{name}\0".encode("utf-16-le")
        return struct.pack("<64sHBBIII16xI16xIQ", text, len(text), kind, 1, FREE, right, child, 0, first, size)

    def _put(self, content: bytes, fill: bytes = b"\0") -> int:
        """Write sectors; returns the first one."""
        first = len(self._sectors)
        places = range(0, len(content), SECTOR_BYTES)
        blocks = [content[at : at + SECTOR_BYTES].ljust(SECTOR_BYTES, fill) for at in places]
        self._sectors += blocks
        self._fat += [*range(first + 1, first + len(blocks)), END] if blocks else []
        return first if blocks else END

    def _put_mini(self, content: bytes) -> int:
        first, count = len(self._mini_fat), -(-len(content) // MINI_BYTES)
        self._mini += content.ljust(count * MINI_BYTES, b"\0")
        self._mini_fat += [*range(first + 1, first + count), END] if count else []
        return first if count else END


def _numbers(numbers: Sequence[int], count: int) -> bytes:
    filled = [*numbers, *[FREE] * (count - len(numbers))]
    return struct.pack(f"<{count}I", *filled)


# ---- Outlook messages ----------------------------------------------------------------------------------------------


def texts(properties: Mapping[int, str], kind: int = 0x001F) -> dict[str, bytes]:
    codec = "utf-16-le" if kind == 0x001F else "cp1252"
    return {f"__substg1.0_{number:04X}{kind:04X}": text.encode(codec) for number, text in properties.items()}


def fixed(properties: Mapping[int, int], *, head_bytes: int) -> dict[str, bytes]:
    """Numbers and times, by number and type: 0x0C150003."""
    rows = (struct.pack("<IIQ", tag, 6, value) for tag, value in properties.items())
    return {"__properties_version1.0": bytes(head_bytes) + b"".join(rows)}


def file_time(at: datetime) -> int:
    return int((at - datetime(1601, 1, 1, tzinfo=UTC)).total_seconds()) * 10_000_000


def recipient(kind: int, name: str, address: str) -> Tree:
    return {**texts({0x3001: name, 0x39FE: address}), **fixed({0x0C150003: kind}, head_bytes=8)}


def attachment(name: str, **more: bytes | Tree) -> Tree:
    return {**texts({0x3707: name}), "__substg1.0_37010102": b"box,team", **fixed({}, head_bytes=8), **more}


def message(head_bytes: int = 32, **more: bytes | Tree) -> dict[str, bytes | Tree]:
    """A message as Outlook stores it; the body is long enough not to be a small stream."""
    body = "The head office moves to Seestraße 14.\r\n# 2 keys\r\n" + "Label your boxes. " * 200
    return {
        **texts({0x0037: "Umzug – neue Adresse", 0x0C1A: "Nora Quist", 0x5D01: "nora@example.com", 0x1000: body}),
        **fixed(
            {0x00390040: file_time(datetime(2025, 3, 3, 8, 15, tzinfo=UTC)), 0x3FFD0003: 1252}, head_bytes=head_bytes
        ),
        "__recip_version1.0_#00000000": recipient(1, "Ops", "ops@example.com"),
        "__recip_version1.0_#00000001": recipient(2, "Ben", "/o=Org/cn=ben"),
        "__attach_version1.0_#00000000": attachment("boxes – März.csv"),
        **more,
    }
