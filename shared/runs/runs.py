"""Runs as their callers see them: start, list, cancel, delete, and submit the outputs of functions."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from shared import telemetry
from shared.engines.base import Engine
from shared.errors import BadRequest, BlobChanged, Busy, NotFound, ServiceBusy
from shared.logs import event
from shared.models.documents import DEFAULT_COLLECTION
from shared.models.ids import made_at, new_id
from shared.models.runs import Assistant, Function, Run, RunStatus, RunSummary, Thread
from shared.runs.assistants import DEFAULT, Assistants
from shared.runs.ending import Ending
from shared.runs.inputs import Inputs
from shared.runs.keys import IdempotencyKeys
from shared.runs.launching import Launcher
from shared.runs.publishing import Publisher
from shared.runs.record import CANCELLED, RunRecords, digest, existing
from shared.runs.threads import AS_TEXT, Threads, thread_of
from shared.runs.transitions import ORPHAN, OVERDUE, START_CLAIM, is_look_lost, with_stray
from shared.storage.layout import RUNS, active_name
from shared.storage.records import Stored, unpack

if TYPE_CHECKING:
    from shared.push.notices import Push
    from shared.storage.blobs import Blobs

log = logging.getLogger(__name__)

WRITE_TRIES = 5
PAGES_MAX = 20  # pages of a listing read at most, to find runs that match a filter


@dataclass(frozen=True, kw_only=True)
class Question:
    """The body of `POST /api/runs`, checked."""

    question: str
    thread_id: str | None = None
    collection: str | None = None
    assistant: str | None = None
    files: tuple[str, ...] | None = None
    functions: tuple[Function, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    max_seconds: int | None = None
    callback_url: str | None = None
    allow_other_collection: bool = False  # the thread may be continued in another collection than its own


class Runs:
    def __init__(
        self,
        state: Blobs,
        records: RunRecords,
        engine: Engine,
        launcher: Launcher,
        ending: Ending,
        publisher: Publisher,
        threads: Threads,
        assistants: Assistants,
        inputs: Inputs,
        push: Push,
        now: Callable[[], datetime],
        *,
        default_s: int,
        max_s: int,
    ) -> None:
        self._state = state
        self._records = records
        self._engine = engine
        self._launcher = launcher
        self._ending = ending
        self._publisher = publisher
        self._keys = IdempotencyKeys(state, records)
        self._threads = threads
        self._assistants = assistants
        self._inputs = inputs
        self._push = push
        self._now = now
        self._default_s = default_s
        self._max_s = max_s
        self._enqueued: dict[str, datetime] = {}  # when this instance enqueued an overdue look again

    # ---- starting ------------------------------------------------------------------------------------------------

    async def start(self, asked: Question, *, idempotency_key: str | None = None) -> Run:
        """Accept a question. With an idempotency key, repeating the request returns the same run, until it is deleted.

        Raises:
            NotFound: unknown thread, collection, assistant or file.
            Busy: the thread is answering another question, a file is being indexed, or the key has another use.
            BadRequest: the callback URL is not allowed.
        """
        run_id = new_id("run", self._now())
        if idempotency_key is None:
            return await self._start(run_id, asked)
        used = await self._keys.use(idempotency_key, msgspec.json.encode(asked).decode(), run_id)
        if stored := await self._records.read(used.value.run_id):
            await self._keys.keep(idempotency_key, used)
            return stored.value
        try:
            run = await self._start(used.value.run_id, asked)
        except (BadRequest, NotFound, Busy):
            # Nothing was started, so the key is free for a corrected question; unless the same request, sent by
            # another process, uses it.
            if used.value.run_id == run_id and await self._records.read(run_id) is None:
                await self._keys.free(idempotency_key, used)
            raise
        await self._keys.keep(idempotency_key, used)
        return run

    async def _start(self, run_id: str, asked: Question) -> Run:
        if asked.callback_url is not None:
            await self._push.check(asked.callback_url)
        stored_thread = await self._threads.read(asked.thread_id) if asked.thread_id else None
        thread = stored_thread.value if stored_thread else None
        if thread:
            await self._check_thread(thread, run_id)
            _check_collection(thread, asked)
        assistant = await self._assistants.find(asked.assistant or DEFAULT.name)
        run = await self._new_run(run_id, asked, assistant, thread)
        # The marker comes first, and names the thread: when this request dies, the sweep finds what it left.
        thread_id = thread.id if thread else thread_of(run_id)
        await self._state.write(active_name(run_id), thread_id.encode(), media_type="text/plain")
        joined = await (
            self._threads.claim(stored_thread, run_id=run_id, collection=run.collection)
            if stored_thread
            else self._threads.create(run.collection, engine=self._engine.name, run_id=run_id)
        )
        try:
            stored = await self._records.create(run_id, replace(run, thread_id=joined.id))
        except BlobChanged:  # the same request with the same key was first
            return await self.find(run_id)
        event(log, logging.INFO, "run.accepted", run_id=run_id, thread_id=joined.id)
        return await self._launcher.launch(stored)

    async def _check_thread(self, thread: Thread, run_id: str) -> None:
        """A thread has one active run, and one engine.

        The active run has no record while its request is in progress; when that request died, it never gets one.
        """
        if thread.tail and thread.engine != self._engine.name:
            raise Busy(
                f"The thread {thread.id} was created with the engine {thread.engine!r}; this app now runs "
                f"{self._engine.name!r}. Create a new thread.",
                code="thread_of_other_engine",
            )
        active_id = thread.active_run_id
        if active_id is None or active_id == run_id:
            return
        active = await self._records.read(active_id)
        if active.value.is_terminal if active else self._now() - made_at(active_id) > ORPHAN:
            return
        raise Busy(
            f"The thread {thread.id} is still answering {active_id}. Wait until that run has ended, or cancel it.",
            code="thread_busy",
        )

    async def _new_run(self, run_id: str, asked: Question, assistant: Assistant, thread: Thread | None) -> Run:
        own = thread.collection if thread else None
        now = self._now()
        seconds = min(asked.max_seconds or assistant.max_seconds or self._default_s, self._max_s)
        run = Run(
            id=run_id,
            thread_id=thread.id if thread else "",
            status="queued",
            question=asked.question,
            collection=asked.collection or own or assistant.collection or DEFAULT_COLLECTION,
            stores=(),
            files=(),
            named=asked.files,
            metadata=asked.metadata,
            created_at=now,
            deadline_at=now + timedelta(seconds=seconds),
            next_look_at=now + START_CLAIM,
            assistant=assistant.ref,
            functions=asked.functions,
            callback_url=asked.callback_url,
            engine=self._engine.name,
            starting_at=now,
            trace=telemetry.current(),
        )
        run, collection = await self._inputs.first(run, thread)
        if collection is None and (asked.collection or assistant.collection):
            raise NotFound(
                f"There is no collection {run.collection!r}. A collection is a folder in the container 'documents'; it "
                "exists from its first indexed document on.",
                code="collection_not_found",
            )
        return run

    # ---- following -----------------------------------------------------------------------------------------------

    async def find(self, run_id: str) -> Run:
        """A run for its caller. A look that is overdue is enqueued again, since timers rest after the death of a host.

        Raises:
            NotFound: there is no such run.
        """
        run = (await self._records.find(run_id)).value
        now = self._now()
        if is_look_lost(run, now) and now - self._enqueued.get(run_id, run.next_look_at) > OVERDUE:
            self._enqueued[run_id] = now  # a caller polls more often than a look is to be enqueued
            await self._records.enqueue(run)
        elif run.is_terminal:
            self._enqueued.pop(run_id, None)
        return run

    async def list(
        self, *, status: RunStatus | None, thread_id: str | None, limit: int, cursor: str | None
    ) -> tuple[list[RunSummary], str | None]:
        """Runs, newest first.

        A page may hold less than `limit` or nothing; the listing goes on as long as there is a cursor.
        """
        found: list[RunSummary] = []
        for _ in range(PAGES_MAX):
            page, cursor = await self._state.page(RUNS, limit=limit - len(found), cursor=cursor)
            for blob in page:
                summary = unpack(blob.metadata["summary"], RunSummary)
                if status in (None, summary.status) and thread_id in (None, summary.thread_id):
                    found.append(summary)
            if cursor is None or len(found) >= limit:
                break
        return found, cursor

    async def look_now(self, run_id: str, *, engine_run: str, app: str = "") -> None:
        """The service reported the end of an engine's run: look now instead of later.

        An engine's run that the record does not name was started by a request whose answer was lost: it is noted, so
        that the run takes it for its own instead of starting another one, or deletes it when it is deleted itself.

        Args:
            app: The app that started the engine's run. When that was this one and its run was deleted, the engine's run
                is deleted, too.
        """
        stored = await self._records.update(run_id, lambda run: with_stray(run, engine_run))
        if stored is None:
            if app and app == await self._launcher.app():
                await self._engine.forget((engine_run,))
                event(log, logging.INFO, "run.stray_deleted", run_id=run_id)
        elif not stored.value.is_terminal and stored.value.status != "requires_action":
            await self._records.enqueue(stored.value)

    # ---- cancelling, outputs, deleting -----------------------------------------------------------------------------

    async def cancel(self, run_id: str) -> Run:
        """Cancel a run. A run that has ended stays as it is."""
        for _ in range(WRITE_TRIES):
            stored = await self._records.find(run_id)
            run, now = stored.value, self._now()
            if run.is_terminal or run.status == "cancelling":
                return run
            if run.engine_run is None or run.status == "requires_action":
                if run.engine_run:
                    await self._ending.cancel_engine(run_id, run.engine_run)
                ended = await self._ending.finish(stored, "cancelled", None, CANCELLED)
                if (await self.find(run_id)).is_terminal:
                    return ended
                continue
            cancelling = replace(
                run, status="cancelling", cancelled_at=now, next_look_at=now, generation=run.generation + 1
            )
            try:
                await self._records.replace(run_id, stored, cancelling)
            except BlobChanged:
                continue
            await self._ending.cancel_engine(run_id, run.engine_run)
            await self._records.enqueue(cancelling)
            return cancelling
        raise Busy(f"The run {run_id} was changed by others at each try; try again.", code="run_busy")

    async def submit_outputs(self, run_id: str, outputs: Mapping[str, str]) -> Run:
        """Take some or all outputs of the caller's functions. The run continues when all are there.

        Raises:
            BadRequest: the run made no such call.
            Busy: the run has ended, or a call has another output already.
        """
        added = False

        def with_outputs(run: Run) -> Run:
            nonlocal added
            changed = _with_outputs(run, outputs)
            added = changed != run
            if added and _is_complete(changed):
                return replace(changed, generation=changed.generation + 1, next_look_at=self._now())
            return changed

        try:
            stored = existing(run_id, await self._records.update(run_id, with_outputs))
        except BlobChanged as exc:
            raise Busy(f"The run {run_id} was changed by others at each try; try again.", code="run_busy") from exc
        if added and _is_complete(stored.value):
            await self._records.enqueue(stored.value)
        return stored.value

    async def delete(self, run_id: str) -> None:
        """Delete record, answer, charts and the service's copies of a run. An active run is cancelled."""
        await self._delete(await self._records.find(run_id), keep_thread=True)

    async def _delete(self, found: Stored[Run], *, keep_thread: bool) -> None:
        """Delete a run with all that was made of it, again when a look at the run changed it meanwhile.

        Raises:
            ServiceBusy: it was changed by others at each try.
        """
        run_id = found.value.id
        stored: Stored[Run] | None = found
        for _ in range(WRITE_TRIES):
            if stored is None:
                return
            try:
                await self._delete_all_of(stored, keep_thread=keep_thread)
            except BlobChanged:
                stored = await self._records.read(run_id)
                continue
            event(log, logging.INFO, "run.deleted", run_id=run_id)
            return
        raise ServiceBusy(f"The run {run_id} was changed by others at each try; try again.", code="run_busy")

    async def _delete_all_of(self, stored: Stored[Run], *, keep_thread: bool) -> None:
        """The record comes last, so that a deletion that failed can be repeated.

        Raises:
            BlobChanged: the record was written since it was read.
        """
        run = stored.value
        if not run.is_terminal and run.engine_run:
            await self._ending.cancel_engine(run.id, run.engine_run)
        if run.engine == self._engine.name:
            await self._forget(run)
        await self._publisher.withdraw(run.id)
        await self._state.delete(active_name(run.id))
        if keep_thread:  # else the thread names its runs until all are deleted
            await self._threads.forget(run)
        await self._records.delete(run.id, stored)

    async def _forget(self, run: Run) -> None:
        """Delete what the service has of a run. A container that another run of the thread uses expires by itself."""
        thread = await self._threads.find(run.thread_id)
        shared = thread and thread.active_run_id not in (None, run.id)
        await self._engine.forget(
            (*run.engine_runs, *run.strays),
            run_id=run.id,
            place=run.place or (None if run.previous in AS_TEXT else run.previous),
            containers=() if shared else run.containers,
        )

    async def delete_thread(self, thread_id: str) -> None:
        """Delete a thread with all its runs."""
        thread = (await self._threads.read(thread_id)).value
        run_ids = dict.fromkeys(message.run_id for message in thread.messages)
        for run_id in [*run_ids, *([thread.active_run_id] if thread.active_run_id else [])]:
            if stored := await self._records.read(run_id):
                await self._delete(stored, keep_thread=False)
        await self._threads.delete(thread_id)


def _is_complete(run: Run) -> bool:
    return all(call.output is not None for call in run.calls)


def _check_collection(thread: Thread, asked: Question) -> None:
    """A thread stays in its collection: its earlier messages hold text from there, and would be sent along."""
    if asked.collection in (None, thread.collection) or asked.allow_other_collection or not thread.has_begun:
        return
    raise Busy(
        f"The thread {thread.id} belongs to the collection {thread.collection!r}; this question names "
        f"{asked.collection!r}. Leave thread_id out to begin a new thread, or set allow_other_collection to send the "
        "earlier messages along.",
        code="thread_of_other_collection",
    )


def _with_outputs(run: Run, outputs: Mapping[str, str]) -> Run:
    """The run with these outputs, checked. The same output sent again changes nothing."""
    calls = {call.call_id: call for call in run.calls if call.by == "client"}
    for call_id, output in outputs.items():
        if call_id in run.answered or (call_id in calls and calls[call_id].output is not None):
            before = run.answered.get(call_id) or digest(calls[call_id].output or "")
            if before != digest(output):
                raise Busy(f"The call {call_id!r} has another output already.", code="output_already_given")
        elif run.is_terminal or run.cancelled_at:
            raise Busy(f"The run is {run.status}; it accepts no more outputs.", code="run_ended")
        elif call_id not in calls:
            raise BadRequest(
                f"The run does not wait for a call {call_id[:80]!r}. GET /api/runs/{run.id} lists its calls.",
                code="unknown_call_id",
            )
        else:
            calls[call_id] = replace(calls[call_id], output=output)
    return replace(run, calls=tuple(calls.get(call.call_id, call) for call in run.calls))
