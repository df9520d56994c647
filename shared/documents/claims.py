"""A claim on a document: its process uploads the incoming version, and renews the claim until that has ended.

A claim that runs out is that of a dead process. The record is written before each upload, so that it knows what the
service may have; a process whose claim is over uploads and attaches nothing more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from shared.documents import lifecycle
from shared.errors import BlobChanged, StorageError
from shared.logs import event
from shared.models.documents import Document, Version
from shared.storage.records import Records, Stored

log = logging.getLogger(__name__)

T = TypeVar("T")


class Claim:
    """The record of a document that this process uploads. `stored` is the record as it was last written."""

    def __init__(self, records: Records[Document], stored: Stored[Document], *, now: Callable[[], datetime]) -> None:
        self.stored = stored
        self._records = records
        self._now = now
        self._lock = asyncio.Lock()  # the renewal and the upload both write the record
        self._is_lost = False

    async def renew(self) -> None:
        """Raises BlobChanged when the claim is lost: there is a newer version, or the document is removed."""
        async with self._lock:
            await self._write(lifecycle.renewed(self.stored.value, self._now()))

    async def note(self, sending: Version) -> None:
        """Write what is at the service so far, and which upload begins now. Raises BlobChanged as `renew` does."""
        async with self._lock:
            document = self.stored.value
            await self._write(lifecycle.renewed(replace(document, incoming=sending), self._now()))

    def check(self) -> None:
        """Raises BlobChanged when this process must not send anything more."""
        until = self.stored.value.claimed_until
        if self._is_lost or until is None or self._now() >= until:
            raise BlobChanged(f"The claim on {self.stored.value.path} is lost.")

    async def _write(self, document: Document) -> None:
        try:
            self.stored = await self._records.replace(document.path, self.stored, document)
        except BlobChanged:
            self._is_lost = True
            raise


async def renewing(claim: Claim, upload: Coroutine[Any, Any, T]) -> T | Exception:
    """Wait for an upload, and renew the document's claim until it has ended. Returns its result or error."""
    task = asyncio.ensure_future(upload)
    every_s = lifecycle.CLAIM.total_seconds() / 3
    try:
        while not (await asyncio.wait({task}, timeout=every_s))[0]:
            try:
                await claim.renew()
            except BlobChanged:  # the upload stops before its next request
                break
            except StorageError as exc:
                event(log, logging.WARNING, "document.claim_not_renewed", path=claim.stored.value.path, why=exc.message)
        try:
            return await task
        except Exception as exc:
            return exc
    finally:
        task.cancel()
