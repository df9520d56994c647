"""Run records, and the queue messages that drive them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

from shared.errors import BlobChanged, NotFound
from shared.models.runs import Failure, Run, RunSummary
from shared.runs.messages import RunLook
from shared.storage.layout import run_name
from shared.storage.records import Records, Stored, pack

if TYPE_CHECKING:
    from shared.storage.blobs import Blobs, Queue

QUESTION_MAX_CHARS = 200  # of a question in listings
CANCELLED = Failure(code="cancelled", message="The run was cancelled.")


class RunRecords(Records[Run]):
    def __init__(self, state: Blobs, queue: Queue, *, now: Callable[[], datetime]) -> None:
        super().__init__(state, Run, name=run_name, tags=_tags)
        self._queue = queue
        self._now = now

    async def find(self, run_id: str) -> Stored[Run]:
        """Raises NotFound."""
        return existing(run_id, await self.read(run_id))

    async def put_back(self, stored: Stored[Run], run: Run, *, delay_s: int) -> Run | None:
        """Write the record, then enqueue its next look. After a crash between the two, the sweep enqueues it.

        Returns:
            The run as it was written; None when another poller wrote the record first.
        """
        next_look_at = self._now() + timedelta(seconds=delay_s)
        run = replace(run, generation=run.generation + 1, next_look_at=next_look_at)
        try:
            await self.replace(run.id, stored, run)
        except BlobChanged:
            return None
        await self.enqueue(run, delay_s=delay_s)
        return run

    async def enqueue(self, run: Run, *, delay_s: int = 0) -> None:
        """Enqueue a look at the run."""
        await self._queue.send(RunLook(run.id, run.generation), delay_s=delay_s)


def existing(run_id: str, stored: Stored[Run] | None) -> Stored[Run]:
    """Raises NotFound."""
    if stored is None:
        raise NotFound(f"There is no run {run_id!r}.", code="run_not_found")
    return stored


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16]


def _tags(run: Run) -> dict[str, str]:
    summary = RunSummary(
        id=run.id,
        thread_id=run.thread_id,
        status=run.status,
        question=run.question[:QUESTION_MAX_CHARS],
        created_at=run.created_at,
        finished_at=run.finished_at,
    )
    return {"summary": pack(summary)}
