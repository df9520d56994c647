"""A claim on a document. The process that uploads it renews its claim; one that runs out is that of a dead process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any, TypeVar

from shared.documents import lifecycle
from shared.errors import BlobChanged, StorageError
from shared.logs import event
from shared.models.documents import Document
from shared.storage.records import Records, Stored

log = logging.getLogger(__name__)

T = TypeVar("T")


async def renewing(
    records: Records[Document],
    claimed: Stored[Document],
    upload: Coroutine[Any, Any, T],
    *,
    now: Callable[[], datetime],
) -> tuple[Stored[Document], T | Exception]:
    """Wait for an upload, and renew the document's claim until it has ended.

    Returns:
        The record as it was last written, and the upload's result or error.
    """
    task = asyncio.ensure_future(upload)
    every_s = lifecycle.CLAIM.total_seconds() / 3
    try:
        while not (await asyncio.wait({task}, timeout=every_s))[0]:
            try:
                claimed = await records.replace(claimed.value.path, claimed, lifecycle.renewed(claimed.value, now()))
            except BlobChanged:  # a newer version, or the document is removed: the write after the upload finds out
                break
            except StorageError as exc:
                event(log, logging.WARNING, "document.claim_not_renewed", path=claimed.value.path, why=exc.message)
        try:
            return claimed, await task
        except Exception as exc:
            return claimed, exc
    finally:
        task.cancel()
