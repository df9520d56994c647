"""Threads: what was said, and where the engine's chain of a conversation ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from shared.errors import BlobChanged, Busy, NotFound
from shared.models.ids import new_id
from shared.models.runs import Answer, Message, Run, Thread
from shared.storage.records import Records, Stored

if TYPE_CHECKING:
    from shared.storage.blobs import Blobs

FILES_MAX = 20  # that a thread hands on to its next question
WRITE_TRIES = 5
TOLD_MAX_CHARS = 40_000  # of a thread, when the service has to be told it anew
LOST = "deleted"  # a tail that no service knows


class Threads:
    def __init__(self, state: Blobs, *, now: Callable[[], datetime]) -> None:
        self._records = Records(state, Thread, name=lambda id: f"threads/{id}.json")
        self._now = now

    async def create(self, collection: str, *, engine: str, run_id: str | None = None) -> Thread:
        now = self._now()
        thread = Thread(
            id=new_id("thread", now), created_at=now, collection=collection, engine=engine, active_run_id=run_id
        )
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
            now = await self._records.read(thread.id)
            if now and now.value.active_run_id == run_id:
                return now.value  # the same request, twice at the same moment
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

    async def told(self, thread_id: str) -> tuple[tuple[str, str], ...]:
        """(role, text) of what was said so far, for an engine that has forgotten it: the latest, within bounds."""
        stored = await self._records.read(thread_id)
        messages = [(m.role, m.text) for m in stored.value.messages if m.text] if stored else []
        told: list[tuple[str, str]] = []
        room = TOLD_MAX_CHARS
        for role, text in reversed(messages):
            room -= len(text)
            if room < 0:
                break
            told.insert(0, (role, text))
        return tuple(told)

    async def forget(self, run: Run) -> None:
        """Take a deleted run's messages out of its thread; where the chain ended with it, it begins anew in words."""
        for _ in range(WRITE_TRIES):
            stored = await self._records.read(run.thread_id)
            if stored is None:
                return
            thread = stored.value
            kept = replace(
                thread,
                messages=tuple(message for message in thread.messages if message.run_id != run.id),
                active_run_id=None if thread.active_run_id == run.id else thread.active_run_id,
                tail=LOST if thread.tail_run_id == run.id else thread.tail,
            )
            try:
                await self._records.replace(thread.id, stored, kept)
            except BlobChanged:
                continue
            return
        raise BlobChanged(f"The thread {run.thread_id} keeps changing.")

    async def delete(self, thread_id: str) -> None:
        for _ in range(WRITE_TRIES):
            stored = await self.read(thread_id)
            try:
                await self._records.delete(thread_id, stored)
            except BlobChanged:
                continue
            return
        raise BlobChanged(f"The thread {thread_id} keeps changing.")


def _with(thread: Thread, run: Run, answer: Answer) -> Thread:
    asked = Message(role="user", text=run.question, run_id=run.id, created_at=run.created_at)
    said = Message(role="assistant", text=answer.answer or "", run_id=run.id, created_at=answer.finished_at)
    files = dict.fromkeys((*thread.files, *(file.path for file in run.files)))
    return replace(
        thread,
        active_run_id=None,
        # A run that did not complete leaves the chain where it was: the service continues completed ones only.
        tail=run.engine_run if run.status == "completed" else thread.tail,
        tail_run_id=run.id if run.status == "completed" else thread.tail_run_id,
        engine=run.engine,
        files=tuple(files)[-FILES_MAX:],
        messages=(*thread.messages, asked, said) if answer.answer else (*thread.messages, asked),
    )
