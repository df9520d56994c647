"""Passes the requests in Azurite's access log to the queue listeners, the blob triggers and Event Grid."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from azure.core.exceptions import AzureError

from local.functions_host.access_log import Access, Position, follow
from local.functions_host.storage_events.events import EventGrid
from local.functions_host.triggers.blobs import BlobTriggers
from local.functions_host.triggers.queues import QueueListener

logger = logging.getLogger(__name__)

DELIVER_AT_ONCE = 8


class Feed:
    """Follows the access log: wakes queue listeners, and passes written and deleted blobs on."""

    def __init__(self, event_grid: EventGrid, blobs: BlobTriggers | None, listeners: Sequence[QueueListener]) -> None:
        self._event_grid = event_grid
        self._blobs = blobs
        self._listeners = listeners
        self._position: Position | None = None
        self._at_once = asyncio.Semaphore(DELIVER_AT_ONCE)

    async def run(self, log: Path, position: Path) -> None:
        """Follow the log until cancelled."""
        async for accesses, after in follow(log, Position.load(position)):
            for access in accesses:
                self._wake(access)
            delivered = await asyncio.gather(*(self._deliver(a) for a in accesses if a.blob_written or a.blob_deleted))
            self._position = after
            if any(delivered):
                self.save()

    def save(self) -> None:
        """Save the position in the log; the next start continues there."""
        if self._position:
            self._position.save()

    def _wake(self, access: Access) -> None:
        if (delay_s := access.message_visible_in_s) is None:
            return
        since_s = (datetime.now(UTC) - access.at).total_seconds()
        for listener in self._listeners:
            if listener.queue == access.area:
                listener.wake(min(delay_s, delay_s + 1 - since_s))  # + 1: the log's times are truncated to seconds

    async def _deliver(self, access: Access) -> bool:
        async with self._at_once:
            if self._blobs and access.blob_written:
                try:
                    await self._blobs.written(access)
                except AzureError as exc:  # the next container scan finds the blob
                    logger.warning("blob.look_failed", extra={"blob": access.name, "error": str(exc)})
            return await self._event_grid.deliver(access)


def position_file(log: Path, host_id: str) -> Path:
    """The file for the position: next to the log, one for each app."""
    return log.with_name(f"{log.name}.{host_id}.position")
