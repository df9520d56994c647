"""Runs as their callers see them: start, list, cancel, delete, and submit the outputs of functions."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from shared.collections.visibility import CollectionVisibility
from shared.documents.library import Library
from shared.engines.base import Engine
from shared.errors import BadRequest, BlobChanged, Busy, NotFound, ServiceBusy
from shared.logs import event
from shared.models.documents import DEFAULT_COLLECTION
from shared.models.ids import made_at, new_id
from shared.models.runs import Assistant, DataFile, Function, Run, RunStatus, RunSummary, Thread
from shared.runs.assistants import DEFAULT, Assistants
from shared.runs.data_files import choose
from shared.runs.ending import Ending
from shared.runs.launching import Launcher
from shared.runs.publishing import Publisher
from shared.runs.record import CANCELLED, RunRecords, digest, existing
from shared.runs.threads import Threads
from shared.runs.transitions import ORPHAN, START_CLAIM
from shared.storage.layout import RUNS, active_name, idempotency_name
from shared.storage.records import Records, Stored, unpack

if TYPE_CHECKING:
    from shared.push.notices import Push
    from shared.storage.blobs import Blobs

log = logging.getLogger(__name__)

WRITE_TRIES = 5
STRAYS_MAX = 20  # engine runs without a known start that one run notes
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


@dataclass(frozen=True, kw_only=True)
class KeyUse:
    """The use of an Idempotency-Key: its run, and a digest of the request that used it first.

    `run_created`: the run has a record. A missing record then means that the run was deleted.
    """

    run_id: str
    digest: str
    run_created: bool = False


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
        library: Library,
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
        self._keys = Records(state, KeyUse, name=idempotency_name)
        self._threads = threads
        self._assistants = assistants
        self._library = library
        self._push = push
        self._now = now
        self._default_s = default_s
        self._max_s = max_s

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
        used = await self._use_key(idempotency_key, asked, run_id)
        if stored := await self._records.read(used.value.run_id):
            await self._keep_key(idempotency_key, used)
            return stored.value
        try:
            run = await self._start(used.value.run_id, asked)
        except (BadRequest, NotFound, Busy):
            # Nothing was started, so the key is free for a corrected question; unless the same request, sent by
            # another process, uses it.
            if used.value.run_id == run_id and await self._records.read(run_id) is None:
                await self._keys.delete(idempotency_key, used)
            raise
        await self._keep_key(idempotency_key, used)
        return run

    async def _start(self, run_id: str, asked: Question) -> Run:
        if asked.callback_url is not None:
            await self._push.check(asked.callback_url)
        stored_thread = await self._threads.read(asked.thread_id) if asked.thread_id else None
        thread = stored_thread.value if stored_thread else None
        if thread:
            await self._check_thread(thread, run_id)
        assistant = await self._assistants.find(asked.assistant or DEFAULT.name)
        run = await self._new_run(run_id, asked, assistant, thread)
        joining = (
            self._threads.claim(stored_thread, run_id=run_id)
            if stored_thread
            else self._threads.create(run.collection, engine=self._engine.name, run_id=run_id)
        )
        marking = self._state.write(active_name(run_id), b"", media_type="text/plain")
        joined, _ = await asyncio.gather(joining, marking)
        run = replace(run, thread_id=joined.id, previous=joined.tail)
        try:
            stored = await self._records.create(run_id, run)
        except BlobChanged:  # the same request with the same key was first
            return await self.find(run_id)
        event(log, logging.INFO, "run.accepted", run_id=run_id, thread_id=joined.id)
        return await self._launcher.launch(stored)

    async def _use_key(self, key: str, asked: Question, run_id: str) -> Stored[KeyUse]:
        """Reserve the key for this question, or return its earlier use."""
        use = KeyUse(run_id=run_id, digest=digest(msgspec.json.encode(asked).decode()))
        try:
            return await self._keys.create(key, use)
        except BlobChanged:
            stored = await self._keys.read(key)
        if stored and stored.value.run_created and await self._records.read(stored.value.run_id) is None:
            try:
                return await self._keys.replace(key, stored, use)
            except BlobChanged:
                stored = await self._keys.read(key)
        if stored is None or stored.value.digest != use.digest:
            raise Busy(
                "This Idempotency-Key was used for another question. Take a new key for a new question.",
                code="idempotency_key_reused",
            )
        return stored

    async def _keep_key(self, key: str, used: Stored[KeyUse]) -> None:
        """Note that the key's run has a record."""
        if not used.value.run_created:
            with suppress(BlobChanged):  # the same request noted it at the same moment
                await self._keys.replace(key, used, replace(used.value, run_created=True))

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
        name = asked.collection or own or assistant.collection or DEFAULT_COLLECTION
        now = self._now()  # before the visibility is read: it does not list later versions, so they must not be found
        collection, visibility = await asyncio.gather(
            self._library.collections.find(name), self._library.visibility.of(name)
        )
        files = await self._files(asked, visibility, thread)
        if collection is None and (asked.collection or assistant.collection):
            raise NotFound(
                f"There is no collection {name!r}. A collection is a folder in the container 'documents'; it exists "
                "from its first indexed document on.",
                code="collection_not_found",
            )
        seconds = min(asked.max_seconds or assistant.max_seconds or self._default_s, self._max_s)
        return Run(
            id=run_id,
            thread_id=thread.id if thread else "",
            status="queued",
            question=asked.question,
            collection=name,
            stores=collection.stores if collection else (),
            files=files,
            metadata=asked.metadata,
            created_at=now,
            deadline_at=now + timedelta(seconds=seconds),
            next_look_at=now + START_CLAIM,
            assistant=assistant.ref,
            functions=asked.functions,
            callback_url=asked.callback_url,
            as_of=now,
            excluded=visibility.excluded,
            notes=_still_indexing(visibility),
            engine=self._engine.name,
            starting_at=now,
        )

    async def _files(
        self, asked: Question, visibility: CollectionVisibility, thread: Thread | None
    ) -> tuple[DataFile, ...]:
        """The files for code interpreter: those named, else the data files of the collection that fit the question.

        Files that earlier questions of the thread used are kept while they exist.
        """
        if asked.files is not None:
            return tuple([await self._named_file(path) for path in asked.files])
        offers = {file.path: (file, terms) for file, terms in visibility.files.items()}
        chosen = choose(asked.question, {path: terms for path, (_, terms) in offers.items()})
        kept = [path for path in (thread.files if thread else ()) if path in offers]
        return tuple(offers[path][0] for path in dict.fromkeys([*kept, *chosen]))

    async def _named_file(self, path: str) -> DataFile:
        document = await self._library.catalogue.find(path)
        if document is None:
            raise NotFound(
                f"There is no document {path!r}. Give its path in the container 'documents', as GET /api/documents "
                "lists it.",
                code="file_not_found",
            )
        if document.live is None:
            why = document.reason.message if document.reason else "It is still being indexed."
            raise Busy(f"The document {path!r} is {document.status}. {why}", code="file_not_ready")
        if len(document.live.parts) > 1:
            raise BadRequest(
                f"The document {path!r} is too long to be given to code interpreter whole: the service has it in "
                f"{len(document.live.parts)} parts. Leave it out of 'files'; file search finds it.",
                code="file_in_parts",
            )
        return DataFile(path=path, file_id=document.live.data_file_id or document.live.parts[0])

    # ---- following -----------------------------------------------------------------------------------------------

    async def find(self, run_id: str) -> Run:
        """Raises NotFound."""
        return (await self._records.find(run_id)).value

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

    async def look_now(self, run_id: str, *, engine_run: str) -> None:
        """The service reported the end of an engine's run: look now instead of later.

        An engine's run that the record does not name was started by a request whose answer was lost: it is noted, so
        that it is deleted with the run.
        """
        stored = await self._records.update(run_id, lambda run: _with_stray(run, engine_run))
        if stored and not stored.value.is_terminal and stored.value.status != "requires_action":
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
        stored = await self._records.find(run_id)
        run = stored.value
        if not run.is_terminal and run.engine_run:
            await self._ending.cancel_engine(run_id, run.engine_run)
        if run.engine == self._engine.name:
            await self._engine.forget((*run.engine_runs, *run.strays))
        await self._threads.forget(run)
        await self._publisher.withdraw(run_id)
        await self._state.delete(active_name(run_id))
        try:
            await self._records.delete(run_id, stored)
        except BlobChanged as exc:
            raise ServiceBusy(f"The run {run_id} changed during its deletion; try again.", code="run_busy") from exc
        event(log, logging.INFO, "run.deleted", run_id=run_id)

    async def delete_thread(self, thread_id: str) -> None:
        """Delete a thread with all its runs."""
        thread = (await self._threads.read(thread_id)).value
        run_ids = dict.fromkeys(message.run_id for message in thread.messages)
        for run_id in [*run_ids, *([thread.active_run_id] if thread.active_run_id else [])]:
            if await self._records.read(run_id):
                await self.delete(run_id)
        await self._threads.delete(thread_id)


def _with_stray(run: Run, engine_run: str) -> Run:
    # While the run is being started, its own engine run is not in the record yet.
    if run.starting_at or engine_run in (*run.engine_runs, *run.strays):
        return run
    return replace(run, strays=(*run.strays, engine_run)[-STRAYS_MAX:])


def _is_complete(run: Run) -> bool:
    return all(call.output is not None for call in run.calls)


def _still_indexing(visibility: CollectionVisibility) -> tuple[str, ...]:
    """A note for the answer on documents that are being indexed."""
    if not visibility.indexing:
        return ()
    some = "One document was" if visibility.indexing == 1 else f"{visibility.indexing:,} documents were"
    return (f"{some} still being indexed in this collection when the question was asked.",)


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
