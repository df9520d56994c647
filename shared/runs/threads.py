"""Threads: the messages of a conversation, and the engine's run that the next question continues."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from shared.errors import BlobChanged, Busy, NotFound
from shared.models.ids import new_id
from shared.models.runs import Answer, DataFile, Message, Run, Thread
from shared.storage.layout import thread_name
from shared.storage.records import Records, Stored

if TYPE_CHECKING:
    from shared.storage.blobs import Blobs

FILES_MAX = 20  # data files that a thread keeps for its next question
HISTORY_MAX_CHARS = 40_000  # of a thread whose history is sent as text
HELD_MAX = 60  # files that are checked before a conversation is continued
# Values of `Run.previous` that no service knows: the run sends the thread's messages as text.
LOST = "deleted"  # the service does not have the conversation any more
STALE = "stale"  # documents that it rests on were replaced or deleted, or are too many
AS_TEXT = frozenset({LOST, STALE})


class Threads:
    def __init__(self, state: Blobs, *, now: Callable[[], datetime]) -> None:
        self._records = Records(state, Thread, name=thread_name)
        self._now = now

    async def create(self, collection: str, *, engine: str, run_id: str | None = None) -> Thread:
        """Create a thread, or find the one that an earlier request of the same run created."""
        now = self._now()
        thread_id = thread_of(run_id) if run_id else new_id("thread", now)
        thread = Thread(id=thread_id, created_at=now, collection=collection, engine=engine, active_run_id=run_id)
        try:
            return (await self._records.create(thread.id, thread)).value
        except BlobChanged:
            return (await self.read(thread.id)).value

    async def find(self, thread_id: str) -> Thread | None:
        stored = await self._records.read(thread_id)
        return stored.value if stored else None

    async def read(self, thread_id: str) -> Stored[Thread]:
        """Raises NotFound."""
        stored = await self._records.read(thread_id)
        if stored is None:
            raise _no_thread(thread_id)
        return stored

    async def claim(self, stored: Stored[Thread], *, run_id: str, collection: str) -> Thread:
        """Make `run_id` the thread's active run. The first question decides the thread's collection.

        Raises:
            Busy: another run was first.
        """
        thread = replace(stored.value, active_run_id=run_id)
        if not thread.has_begun:
            thread = replace(thread, collection=collection)
        try:
            return (await self._records.replace(thread.id, stored, thread)).value
        except BlobChanged as exc:
            now = await self._records.read(thread.id)
            if now and now.value.active_run_id == run_id:
                return now.value  # the same request, sent twice
            raise Busy("Another question came to this thread at the same moment.", code="thread_busy") from exc

    async def release(self, run: Run, answer: Answer) -> None:
        """Add an ended run's messages to its thread. Repeating it changes nothing."""
        await self._records.update(
            run.thread_id, lambda thread: _with(thread, run, answer) if thread.active_run_id == run.id else thread
        )

    async def history(self, thread_id: str) -> tuple[tuple[str, str], ...]:
        """The last messages as (role, text), for an engine that no longer has the conversation."""
        stored = await self._records.read(thread_id)
        messages = [(m.role, m.text) for m in stored.value.messages if m.text] if stored else []
        history: list[tuple[str, str]] = []
        left = HISTORY_MAX_CHARS
        for role, text in reversed(messages):
            left -= len(text)
            if left < 0:
                break
            history.insert(0, (role, text))
        return tuple(history)

    async def forget(self, run: Run) -> None:
        """Remove a deleted run's messages from its thread.

        If the run was the tail, the next run replays the history as text.
        """

        def without(thread: Thread) -> Thread:
            return replace(
                thread,
                messages=tuple(message for message in thread.messages if message.run_id != run.id),
                active_run_id=None if thread.active_run_id == run.id else thread.active_run_id,
                tail=LOST if thread.tail_run_id == run.id else thread.tail,
            )

        await self._records.update(run.thread_id, without)

    async def abandon(self, thread_id: str, run_id: str) -> None:
        """Undo what a request left that died before its run had a record: its claim, or the thread it created."""
        stored = await self._records.read(thread_id)
        if stored is None or stored.value.active_run_id != run_id:
            return
        with suppress(BlobChanged):  # the next question has come meanwhile
            if thread_id == thread_of(run_id):
                await self._records.delete(thread_id, stored)
            else:
                await self._records.replace(thread_id, stored, replace(stored.value, active_run_id=None))

    async def delete(self, thread_id: str) -> None:
        """Raises NotFound."""
        if not await self._records.remove(thread_id):
            raise _no_thread(thread_id)


def thread_of(run_id: str) -> str:
    """The id of the thread that a run creates: a request that is repeated finds it."""
    return f"thread_{run_id.partition('_')[2]}"


def _no_thread(thread_id: str) -> NotFound:
    return NotFound(
        f"There is no thread {thread_id!r}. Leave thread_id out to create a new one.", code="thread_not_found"
    )


def _with(thread: Thread, run: Run, answer: Answer) -> Thread:
    asked = Message(role="user", text=run.question, run_id=run.id, created_at=run.created_at)
    said = Message(role="assistant", text=answer.answer or "", run_id=run.id, created_at=answer.finished_at)
    files = dict.fromkeys((*thread.files, *(file.path for file in run.files)))
    cited = (DataFile(path=c.document, file_id=c.file_id) for c in answer.citations if c.etag)
    # A run that did not complete may have left files in the conversation that the next one continues.
    anew = run.status == "completed" and (run.previous is None or run.previous in AS_TEXT)
    held = dict.fromkeys((*(() if anew else thread.held), *cited, *run.sent))
    return replace(
        thread,
        active_run_id=None,
        # A run that did not complete leaves the tail: the service continues completed runs only.
        # One that holds more files than can be checked is not continued.
        tail=thread.tail if run.status != "completed" else run.engine_run if len(held) <= HELD_MAX else STALE,
        tail_run_id=run.id if run.status == "completed" else thread.tail_run_id,
        engine=run.engine,
        files=tuple(files)[-FILES_MAX:],
        held=tuple(held),
        messages=(*thread.messages, asked, said) if answer.answer else (*thread.messages, asked),
    )
