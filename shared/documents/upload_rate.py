"""The upload rate, shared by all instances of the app.

The service accepts a limited number of uploads a second and answers 429 beyond it. One small blob holds when the next
upload may start and until when uploads are paused. An instance reserves several upload slots at a time, so the blob is
written rarely.
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

from shared.logs import event
from shared.storage.layout import UPLOAD_RATE
from shared.storage.records import Records

if TYPE_CHECKING:
    from shared.storage.blobs import Blobs

log = logging.getLogger(__name__)

AT_ONCE = timedelta(seconds=0.5)  # a slot this near starts at once
RESERVED_S = 0.25  # how much of the schedule an instance reserves at a time
READ_EVERY = timedelta(seconds=1)  # an instance reads the pause no more often
PAUSE_S = 2.0  # when the service names no time
PAUSE_MAX_S = 300.0
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Schedule:
    next_at: datetime = BEGINNING  # the first slot that nobody has reserved
    paused_until: datetime = BEGINNING


class UploadRate:
    def __init__(self, state: Blobs, *, uploads_per_s: int, now: Callable[[], datetime]) -> None:
        self._records = Records(state, Schedule, name=lambda _: UPLOAD_RATE)
        self._per_s = uploads_per_s
        self._now = now
        self._slots: deque[datetime] = deque()
        self._paused_until = BEGINNING
        self._read_at = BEGINNING
        self._lock = Lock()

    async def reserve_slot(self) -> int:
        """Reserve the next upload slot. Answers the seconds until the reserved slot; 0: start now."""
        async with self._lock:
            if not self._slots:
                await self._reserve()
            return _seconds(self._slots.popleft() - self._now())

    async def paused_s(self) -> int:
        """Seconds until uploads may go on; 0: they are not paused."""
        if self._now() - self._read_at > READ_EVERY:
            stored = await self._records.read("")
            self._remember(stored.value if stored else Schedule())
        return _seconds(self._paused_until - self._now())

    async def pause(self, retry_after_s: float | None) -> None:
        """The service is overloaded: no instance uploads anything for `retry_after_s`."""
        seconds = min(max(retry_after_s or PAUSE_S, 0.0), PAUSE_MAX_S)
        until = self._now() + timedelta(seconds=seconds)
        if until > self._paused_until:
            event(log, logging.WARNING, "uploads.paused", seconds=seconds)
        async with self._lock:
            self._slots.clear()
            await self._change(
                lambda s: replace(s, paused_until=max(s.paused_until, until), next_at=max(s.next_at, until))
            )

    async def _reserve(self) -> None:
        count = max(1, math.ceil(self._per_s * RESERVED_S))
        step = timedelta(seconds=1 / self._per_s)
        first = BEGINNING

        def reserved(schedule: Schedule) -> Schedule:
            nonlocal first
            first = max(schedule.next_at, schedule.paused_until, self._now())
            return replace(schedule, next_at=first + count * step)

        await self._change(reserved)
        self._slots.extend(first + n * step for n in range(count))

    async def _change(self, change: Callable[[Schedule], Schedule]) -> None:
        stored = await self._records.update("", change, missing=Schedule())
        assert stored  # since there is a value for a missing record
        self._remember(stored.value)

    def _remember(self, schedule: Schedule) -> None:
        self._paused_until, self._read_at = schedule.paused_until, self._now()


def _seconds(wait: timedelta) -> int:
    return 0 if wait <= AT_ONCE else math.ceil(wait.total_seconds())
