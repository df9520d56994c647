"""DOC."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any

from shared.models.documents import Reason

HEAD_BYTES = 65_536
BLOCK_BYTES = 256 * 1024


class Unreadable(Exception):
    """It cannot be indexed: `unsupported` when its type is not read, else it is damaged, locked or too much."""

    def __init__(self, reason: Reason, *, unsupported: bool) -> None:
        super().__init__(reason.message)
        self.reason = reason
        self.unsupported = unsupported


def _unsupported(message: str, code: str = "unsupported_file") -> Unreadable:
    return Unreadable(Reason(code=code, message=message), unsupported=True)


def _failed(code: str, message: str) -> Unreadable:
    return Unreadable(Reason(code=code, message=message), unsupported=False)


PARTS_MAX = 500


# Conservative without a tokenizer: English has about 4 bytes to a token, code and Chinese 3, dense numbers 2.
BYTES_PER_TOKEN = 2
SPOOL_BYTES = 256 * 1024  # of a part that are held in memory
PART_BYTES = 32 * 1024 * 1024  # about as much of a long PDF is copied at once: PDFium holds a new document in memory


@dataclass(frozen=True, kw_only=True)
class Part:
    """Pages are the original's, counted from 1 and both included; None where the format has none."""

    content: IO[bytes]
    first_page: int | None = None
    last_page: int | None = None


def _too_long() -> Unreadable:
    message = f"The document is too long: it would be more than {PARTS_MAX} parts. Split it."
    return Unreadable(Reason(code="too_long", message=message), unsupported=False)


def _file() -> IO[bytes]:
    return tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES)


class NotATable(ValueError):
    """The file holds no table this module can read. The message is for the one who dropped it."""


@dataclass(frozen=True, kw_only=True)
class Table:
    name: str  # of the sheet; "" when the file is one table
    columns: tuple[str, ...]
    rows: Iterator[Sequence[Any]]
    is_text: bool = False  # every cell is a string
    note: str = ""  # what the reader of the card should know
