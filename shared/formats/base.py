"""DOC."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any

from shared.errors import AppError
from shared.models.documents import Reason

HEAD_BYTES = 65_536
BLOCK_BYTES = 256 * 1024


class UnusableFile(AppError):
    """A document that cannot be indexed: the only error that the readers of this package raise.

    Args:
        reason: For the user who uploaded the file.
        unsupported: True: the app does not read this file type. False: the file is damaged, protected or too large.
    """

    def __init__(self, reason: Reason, *, unsupported: bool) -> None:
        super().__init__(reason.message, code=reason.code)
        self.reason = reason
        self.unsupported = unsupported


def unsupported(message: str, code: str = "unsupported_file") -> UnusableFile:
    return UnusableFile(Reason(code=code, message=message), unsupported=True)


def failed(code: str, message: str) -> UnusableFile:
    return UnusableFile(Reason(code=code, message=message), unsupported=False)


def not_a_table(message: str) -> UnusableFile:
    return failed("not_a_table", message)


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


def too_long() -> UnusableFile:
    return failed("too_long", f"The document is too long: it would be more than {PARTS_MAX} parts. Split it.")


def _file() -> IO[bytes]:
    return tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES)


@dataclass(frozen=True, kw_only=True)
class Table:
    name: str  # of the sheet; "" when the file is one table
    columns: tuple[str, ...]
    rows: Iterator[Sequence[Any]]
    is_text: bool = False  # every cell is a string
    note: str = ""  # what the reader of the card should know
