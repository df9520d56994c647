"""Threads: what was said, and where the engine's chain of a conversation ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from shared.errors import BlobChanged, Busy, NotFound
from shared.models import Answer, Message, Run, Thread, new_id
from shared.records import Records, Stored

if TYPE_CHECKING:
    from shared.storage import Blobs

FILES_MAX = 20  # that a thread hands on to its next question
WRITE_TRIES = 5


class Threads:
    def __init__(self, state: Blobs, *, now: Callable[[], datetime]) -> None:
        self._records = Records(state, Thread, name=lambda id: f"threads/{id}.json")
        self._now = now

    async def create(self, collection: str, *, run_id: str) -> Thread:
        now = self._now()
        thread = Thread(id=new_id("thread", now), created_at=now, collection=collection, active_run_id=run_id)
        return (await self._records.create(thread.id, thread)).value

    async def read(self, thread_id: str) -> Stored[Thread]:
        """Raises NotFound."""
        stored = await self._records.read(thread_id)
        if stored is None:
            raise NotFound(
                f"There is no thread {thread_id!r}. Leave thread_id out to begin a new one.", code="thread_not_found"
            )
        return stored

    async def claim(self, stored: Stored[Thread], *, run_id: str) -> Thread:
        """Make `run_id` the thread's active run. Raises Busy when another one was quicker."""
        thread = replace(stored.value, active_run_id=run_id)
        try:
            return (await self._records.replace(thread.id, stored, thread)).value
        except BlobChanged as exc:
            raise Busy("Another question came to this thread at the same moment.", code="thread_busy") from exc

    async def release(self, run: Run, answer: Answer) -> None:
        """Record how a run ended. Doing it twice changes nothing."""
        for _ in range(WRITE_TRIES):
            stored = await self._records.read(run.thread_id)
            if stored is None or stored.value.active_run_id != run.id:
                return
            try:
                await self._records.replace(run.thread_id, stored, _with(stored.value, run, answer))
            except BlobChanged:
                continue
            return
        raise BlobChanged(f"The thread {run.thread_id} keeps changing.")


def _with(thread: Thread, run: Run, answer: Answer) -> Thread:
    asked = Message(role="user", text=run.question, run_id=run.id, created_at=run.created_at)
    said = Message(role="assistant", text=answer.answer or "", run_id=run.id, created_at=answer.finished_at)
    files = dict.fromkeys((*thread.files, *(file.path for file in run.files)))
    return replace(
        thread,
        active_run_id=None,
        # A run that did not complete leaves the chain where it was: the service continues completed ones only.
        tail=run.engine_run if run.status == "completed" else thread.tail,
        files=tuple(files)[-FILES_MAX:],
        messages=(*thread.messages, asked, said) if answer.answer else (*thread.messages, asked),
    )
