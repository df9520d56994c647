"""Blobs that were written: each is indexed, or looked at again later.

A fault of storage or of the service is not left to the Functions host, which tries a failing blob function five times
within half a second and then gives up. Such a document goes to the queue `indexing`, with a delay that grows, and fails
only when an hour is over.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.delays import one_step
from shared.documents.indexer import Documents
from shared.documents.messages import IndexDocument
from shared.errors import AppError, StorageError
from shared.logs import event

if TYPE_CHECKING:
    from shared.storage.blobs import Queue

log = logging.getLogger(__name__)

DEADLINE = timedelta(hours=1)
DELAYS_S = (2, 4, 8, 15, 30, 60, 120, 300)  # before each try; the last one repeats
SEND_WAITS_S = (0.5, 1.0, 2.0, 4.0, 8.0)  # between the tries to enqueue


class Arrivals:
    def __init__(
        self,
        documents: Documents,
        queue: Queue,
        *,
        now: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._documents = documents
        self._queue = queue
        self._now = now
        self._sleep = sleep

    async def written(self, path: str) -> None:
        """The event of a blob: index it now, or later after a fault of storage or of the service."""
        try:
            async with one_step():
                await self._documents.index(path)
        except AppError as exc:
            event(log, logging.WARNING, "document.delayed", path=path, why=exc.message)
            await self._try_later(IndexDocument(path, first_at=self._now(), attempt=1))

    async def try_again(self, message: IndexDocument) -> None:
        """Index a document whose event could not be handled. After an hour, it fails."""
        try:
            await self._documents.index(message.path)
        except AppError as exc:
            event(log, logging.WARNING, "document.delayed", path=message.path, attempt=message.attempt, why=exc.message)
            await self.give_up(message)

    async def give_up(self, message: IndexDocument) -> None:
        """A try has failed: look again later, until the deadline."""
        if self._now() - message.first_at > DEADLINE:
            await self._documents.give_up(message.path)
            return
        await self._try_later(IndexDocument(message.path, first_at=message.first_at, attempt=message.attempt + 1))

    async def poisoned(self, path: str) -> None:
        """The host gave up on the blob's event: that says nothing about the document, so look again later."""
        await self._try_later(IndexDocument(path, first_at=self._now(), attempt=1))

    async def _try_later(self, message: IndexDocument) -> None:
        """Enqueue the message. The storage that failed may be that of the queue: try for some seconds."""
        delay_s = DELAYS_S[min(message.attempt, len(DELAYS_S)) - 1]
        for wait_s in SEND_WAITS_S:
            try:
                await self._queue.send(message, delay_s=delay_s)
            except StorageError as exc:
                event(log, logging.WARNING, "document.not_enqueued", path=message.path, why=exc.message)
                await self._sleep(wait_s)
            else:
                return
        await self._queue.send(message, delay_s=delay_s)
