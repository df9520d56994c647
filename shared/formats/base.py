"""Shared by all readers of this package: the error for an unusable file, the types `Part` and `Table`, the limits."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from typing import IO

from shared.errors import AppError
from shared.models.documents import Reason

HEAD_BYTES = 65_536  # read from the start of a file to detect its type or its encoding
BLOCK_BYTES = 256 * 1024
PARTS_MAX = 500
# A low estimate, because there is no tokenizer: English has about 4 bytes per token, code and Chinese 3, digits 2.
BYTES_PER_TOKEN = 2
FILE_MAX_BYTES = 512 * 1024 * 1024  # the service's limit for one file
SPOOL_BYTES = 256 * 1024  # of a part that are held in memory; a longer part goes to disk


class UnusableFile(AppError):
    """A document that cannot be indexed. The only error that the readers of this package raise.

    Args:
        reason: For the user who uploaded the file.
        unsupported: True: the app does not read this file type. False: the file is damaged, protected or too large.
    """

    def __init__(self, reason: Reason, *, unsupported: bool) -> None:
        super().__init__(reason.message, code=reason.code)
        self.reason = reason
        self.unsupported = unsupported


def unsupported(message: str, code: str = "unsupported_file") -> UnusableFile:
    """The document gets the status `unsupported`."""
    return UnusableFile(Reason(code=code, message=message), unsupported=True)


def failed(code: str, message: str) -> UnusableFile:
    """The document gets the status `failed`."""
    return UnusableFile(Reason(code=code, message=message), unsupported=False)


def not_a_table(message: str) -> UnusableFile:
    return failed("not_a_table", message)


def too_long() -> UnusableFile:
    return failed("too_long", f"The document is too long: it would be more than {PARTS_MAX} parts. Split it.")


@dataclass(frozen=True, kw_only=True)
class Part:
    """A document, or one part of a long one, as it is uploaded.

    The page numbers are those of the original, counted from 1, both inclusive; None for a whole document and for
    formats without pages.
    """

    content: IO[bytes]
    first_page: int | None = None
    last_page: int | None = None


def part_file() -> IO[bytes]:
    """An empty temporary file for the content of a part."""
    return tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES)
