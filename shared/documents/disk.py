"""The temporary disk of one instance, which all uploads share: 0.8 GB on the Flex Consumption plan.

Source: https://learn.microsoft.com/azure/azure-functions/functions-scale#service-limits
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.errors import ServiceBusy
from shared.formats.base import failed

# How much longer than the document its clean copies may be: a workbook is packed, and UTF-8 can be longer than others.
COPIES = {"xlsx": 8, "csv": 2, "tsv": 2, "txt": 2, "json": 2, "jsonl": 2, "ndjson": 2}
COPIES_MIN_BYTES = 32 * 1024 * 1024
SPOOL_BYTES = 4 * 1024 * 1024  # of a document held in memory; a larger one goes to a temporary file


def needed_bytes(path: str, size_bytes: int, *, max_bytes: int) -> int:
    """What an upload may take on disk: the document, and its parts one after the other, which are no longer than it.

    The clean copies of a table can be longer than it, and the CSV of a Parquet file many times, so these get more, as
    far as there is more.
    """
    ending = path.rsplit(".", 1)[-1].lower()
    if ending == "parquet":
        return max(max_bytes, 2 * size_bytes)
    if size_bytes <= SPOOL_BYTES:
        return 0
    return max(min((1 + COPIES.get(ending, 1)) * size_bytes, max_bytes), 2 * size_bytes)


def copies_max_bytes(path: str, size_bytes: int, *, max_bytes: int, taken_bytes: int = 0) -> int:
    """How long the clean copies of a document may be, of which `taken_bytes` of the disk are taken already."""
    return max(needed_bytes(path, size_bytes, max_bytes=max_bytes) - size_bytes - taken_bytes, COPIES_MIN_BYTES)


class Disk:
    """Gives out the temporary disk, in the order in which it is asked for."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._used_bytes = 0
        self._turn = asyncio.Lock()
        self._freed = asyncio.Condition()

    @asynccontextmanager
    async def hold(self, path: str, size_bytes: int) -> AsyncIterator[None]:
        """Wait until there is room for this document's upload, and keep it during the block.

        Raises:
            UnusableFile: `temporary_disk_too_small`: there is never room for it.
            ServiceBusy: `temporary_disk_full`: something else has filled the disk.
        """
        bytes_ = needed_bytes(path, size_bytes, max_bytes=self.max_bytes)
        if bytes_ > self.max_bytes:
            raise failed(
                "temporary_disk_too_small",
                f"The document takes up to {bytes_:,} bytes of temporary disk while it is uploaded, and an instance of "
                f"the app has {self.max_bytes:,} (the setting TEMP_MAX_BYTES). Split it.",
            )
        async with self._turn, self._freed:  # a long document is not overtaken by short ones for ever
            await self._freed.wait_for(lambda: self._used_bytes + bytes_ <= self.max_bytes)
            self._used_bytes += bytes_
        try:
            yield
        except OSError as exc:
            if exc.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise ServiceBusy("The temporary disk of the instance is full.", code="temporary_disk_full") from exc
        finally:
            async with self._freed:
                self._used_bytes -= bytes_
                self._freed.notify_all()
