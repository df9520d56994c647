"""How fast documents may be sent to the service, for all instances of the app together.

The service takes so many uploads a second, and says with a 429 when it has had enough. Both stand in one small blob:
the moment at which the next upload may begin, and until when none may. An instance reserves a handful of places in the
row at a time, so that the row costs next to nothing per document.
"""

from __future__ import annotations

import logging
import math
from asyncio import Lock
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from shared.errors import BlobChanged
from shared.storage.records import Records, Stored

if TYPE_CHECKING:
    from shared.storage.blobs import Blobs

log = logging.getLogger(__name__)

NOW = timedelta(seconds=0.5)  # a place that is so near is taken at once
RESERVED_S = 0.25  # of the row, by one instance at a time
SEEN = timedelta(seconds=1)  # how old this instance's knowledge of the gate may be
SHORT_S = 2.0  # closed for so long when the service does not say
LONGEST_S = 300.0
WRITE_TRIES = 8
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Row:
    next_at: datetime = BEGINNING  # the first place that nobody has reserved
    closed_until: datetime = BEGINNING


class Gate:
    def __init__(self, state: Blobs, *, uploads_per_s: int, now: Callable[[], datetime]) -> None:
        self._records = Records(state, Row, name=lambda key: f"gate/{key}.json")
        self._per_s = uploads_per_s
        self._now = now
        self._places: deque[datetime] = deque()
        self._closed_until = BEGINNING
        self._seen_at = BEGINNING
        self._lock = Lock()

    async def admit(self) -> int:
        """Take the next place: 0, go on now; else the seconds after which it is one's turn."""
        async with self._lock:
            if not self._places:
                await self._reserve()
            return _seconds(self._places.popleft() - self._now())

    async def closed_s(self) -> int:
        """Seconds until the service may be asked again; 0: now."""
        if self._now() - self._seen_at > SEEN:
            stored = await self._records.read("documents")
            self._see(stored.value if stored else Row())
        return _seconds(self._closed_until - self._now())

    async def close(self, retry_after_s: float | None) -> None:
        """The service has had enough: nobody sends anything for so long."""
        seconds = min(max(retry_after_s or SHORT_S, 0.0), LONGEST_S)
        until = self._now() + timedelta(seconds=seconds)
        if until > self._closed_until:
            log.warning("gate.closed", extra={"seconds": seconds})
        async with self._lock:
            self._places.clear()
            await self._change(
                lambda row: replace(row, closed_until=max(row.closed_until, until), next_at=max(row.next_at, until))
            )

    async def _reserve(self) -> None:
        count = max(1, math.ceil(self._per_s * RESERVED_S))
        step = timedelta(seconds=1 / self._per_s)
        first = BEGINNING

        def reserved(row: Row) -> Row:
            nonlocal first
            first = max(row.next_at, row.closed_until, self._now())
            return replace(row, next_at=first + count * step)

        await self._change(reserved)
        self._places.extend(first + n * step for n in range(count))

    async def _change(self, changed: Callable[[Row], Row]) -> None:
        for _ in range(WRITE_TRIES):
            stored: Stored[Row] | None = await self._records.read("documents")
            row = changed(stored.value if stored else Row())
            try:
                if stored:
                    await self._records.replace("documents", stored, row)
                else:
                    await self._records.create("documents", row)
            except BlobChanged:
                continue
            self._see(row)
            return
        raise BlobChanged("The gate keeps changing.")

    def _see(self, row: Row) -> None:
        self._closed_until, self._seen_at = row.closed_until, self._now()


def _seconds(wait: timedelta) -> int:
    return 0 if wait <= NOW else math.ceil(wait.total_seconds())
