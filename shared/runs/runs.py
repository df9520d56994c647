"""Runs as their callers see them: start, list, cancel, delete, and hand in what functions returned."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec

from shared.collections.visibility import Scope
from shared.documents.library import Library
from shared.engines.base import Engine
from shared.errors import BadRequest, BlobChanged, Busy, NotFound, ServiceBusy
from shared.models.documents import DEFAULT_COLLECTION
from shared.models.ids import made_at, new_id
from shared.models.runs import Assistant, DataFile, Function, Run, RunStatus, RunSummary, Thread
from shared.runs.assistants import DEFAULT, Assistants
from shared.runs.data_files import choose
from shared.runs.poller import Poller
from shared.runs.publishing import Publisher
from shared.runs.record import CANCELLED, digest, marker
from shared.runs.threads import Threads
from shared.runs.transitions import ORPHAN, START_CLAIM
from shared.storage.records import Records, Stored, unpack

if TYPE_CHECKING:
    from shared.push.notices import Push
    from shared.storage.blobs import Blobs

log = logging.getLogger(__name__)

WRITE_TRIES = 5
PAGES_MAX = 20  # of a listing that are looked through for runs that a filter lets pass


@dataclass(frozen=True, kw_only=True)
class Question:
    """What `POST /api/runs` asks for."""

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
    """An idempotency key: the run it stands for, and a digest of the request that used it first.

    Once it is known that the run `was_made`, its record is missing only when it was deleted.
    """

    run_id: str
    digest: str
    was_made: bool = False


class Runs:
    def __init__(
        self,
        *,
        state: Blobs,
        publisher: Publisher,
        engine: Engine,
        poller: Poller,
        threads: Threads,
        assistants: Assistants,
        library: Library,
        push: Push,
        now: Callable[[], datetime],
        default_s: int,
        max_s: int,
    ) -> None:
        self._state = state
        self._publisher = publisher
        self._engine = engine
        self._poller = poller
        self._records = poller.records
        self._keys = Records(state, KeyUse, name=lambda key: f"idempotency/{sha256(key.encode()).hexdigest()}.json")
        self._threads = threads
        self._assistants = assistants
        self._library = library
        self._push = push
        self._now = now
        self._default_s = default_s
        self._max_s = max_s

    # ---- starting ------------------------------------------------------------------------------------------------

    async def start(self, asked: Question, *, idempotency_key: str | None = None) -> Run:
        """Accept a question. With an idempotency key, the same request twice is one run, until that run is deleted.

        Raises:
            NotFound: unknown thread, collection, assistant or file.
            Busy: the thread is answering another question, a file is still being indexed, or the key has another use.
            BadRequest: a callback URL that is not allowed.
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
            # Refused, so that nothing was begun: the key is free for the question put right. Unless it is another's,
            # whose request, the same as this, is under way.
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
        marking = self._state.write(marker(run_id), b"", media_type="text/plain")
        joined, _ = await asyncio.gather(joining, marking)
        run = replace(run, thread_id=joined.id, previous=joined.tail)
        try:
            stored = await self._records.create(run_id, run)
        except BlobChanged:  # the same request, with the same key, was quicker
            return await self.find(run_id)
        log.info("run.accepted", extra={"run_id": run_id, "thread_id": joined.id})
        return await self._poller.launch(stored)

    async def _use_key(self, key: str, asked: Question, run_id: str) -> Stored[KeyUse]:
        """What this key stands for from now on."""
        use = KeyUse(run_id=run_id, digest=digest(msgspec.json.encode(asked).decode()))
        try:
            return await self._keys.create(key, use)
        except BlobChanged:
            stored = await self._keys.read(key)
        if stored and stored.value.was_made and await self._records.read(stored.value.run_id) is None:
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
        """Its run has a record now."""
        if not used.value.was_made:
            with suppress(BlobChanged):  # the same request, at the same moment, has done so
                await self._keys.replace(key, used, replace(used.value, was_made=True))

    async def _check_thread(self, thread: Thread, run_id: str) -> None:
        """One active run per thread, and one engine.

        The thread's last run has no record while it is being made, and never gets one when that request died.
        """
        if thread.tail and thread.engine != self._engine.name:
            raise Busy(
                f"The thread {thread.id} was begun with the engine {thread.engine!r}; this app now runs "
                f"{self._engine.name!r}. Begin a new thread.",
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
        now = self._now()  # before the scope is read: what comes later is not in it, and is not to be found
        collection, scope = await asyncio.gather(self._library.collections.find(name), self._library.scopes.of(name))
        files = await self._files(asked, scope, thread)
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
            excluded=scope.excluded,
            notes=_still_indexing(scope),
            engine=self._engine.name,
            starting_at=now,
        )

    async def _files(self, asked: Question, scope: Scope, thread: Thread | None) -> tuple[DataFile, ...]:
        """The files for code interpreter: those named, else the collection's data files that fit the question.

        Those an earlier question of the thread used stay, as far as they are still there.
        """
        if asked.files is not None:
            return tuple([await self._named_file(path) for path in asked.files])
        offers = {file.path: (file, terms) for file, terms in scope.files.items()}
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
        return (await self._stored(run_id)).value

    async def list(
        self, *, status: RunStatus | None, thread_id: str | None, limit: int, cursor: str | None
    ) -> tuple[list[RunSummary], str | None]:
        """Newest first. A page may hold less than `limit`, even none; there is more as long as a cursor comes along."""
        found: list[RunSummary] = []
        for _ in range(PAGES_MAX):
            page, cursor = await self._state.page("runs/", limit=limit - len(found), cursor=cursor)
            for blob in page:
                summary = unpack(blob.metadata["summary"], RunSummary)
                if status in (None, summary.status) and thread_id in (None, summary.thread_id):
                    found.append(summary)
            if cursor is None or len(found) >= limit:
                break
        return found, cursor

    async def look_now(self, run_id: str) -> None:
        """The service says that something has happened: look at once instead of later."""
        stored = await self._records.read(run_id)
        if stored and not stored.value.is_terminal and stored.value.status != "requires_action":
            await self._poller.look_now(stored)

    # ---- steering ------------------------------------------------------------------------------------------------

    async def cancel(self, run_id: str) -> Run:
        """Ask for its end. What has ended already stays as it is."""
        for _ in range(WRITE_TRIES):
            stored = await self._stored(run_id)
            run, now = stored.value, self._now()
            if run.is_terminal or run.status == "cancelling":
                return run
            if run.engine_run is None or run.status == "requires_action":
                if run.engine_run:
                    await self._poller.cancel_engine(run_id, run.engine_run)
                ended = await self._poller.finish(stored, "cancelled", None, CANCELLED)
                if (await self.find(run_id)).is_terminal:
                    return ended
                continue
            cancelling = replace(
                run, status="cancelling", cancelled_at=now, next_look_at=now, generation=run.generation + 1
            )
            try:
                written = await self._records.replace(run_id, stored, cancelling)
            except BlobChanged:
                continue
            await self._poller.cancel_engine(run_id, run.engine_run)
            await self._poller.look_now(written)
            return cancelling
        raise Busy(f"The run {run_id} keeps changing; try again.", code="run_busy")

    async def hand_in(self, run_id: str, outputs: Mapping[str, str]) -> Run:
        """Take outputs of the caller's functions, some or all; the run goes on once none is missing.

        Raises:
            BadRequest: a call that the run never made.
            Busy: the run has ended, or a call has another output already.
        """
        for _ in range(WRITE_TRIES):
            stored = await self._stored(run_id)
            run = _with_outputs(stored.value, outputs)
            if run == stored.value:
                return run
            complete = all(call.output is not None for call in run.calls)
            if complete:
                run = replace(run, generation=run.generation + 1, next_look_at=self._now())
            try:
                written = await self._records.replace(run_id, stored, run)
            except BlobChanged:
                continue
            if complete:
                await self._poller.look_now(written)
            return run
        raise Busy(f"The run {run_id} keeps changing; try again.", code="run_busy")

    async def delete(self, run_id: str) -> None:
        """Remove the record, the answer, the charts and what the service has stored. A run that goes on is ended."""
        stored = await self._stored(run_id)
        run = stored.value
        if not run.is_terminal and run.engine_run:
            await self._poller.cancel_engine(run_id, run.engine_run)
        if run.engine == self._engine.name:
            await self._engine.forget(run.engine_runs)
        await self._threads.forget(run)
        await self._publisher.withdraw(run_id)
        await self._state.delete(marker(run_id))
        try:
            await self._records.delete(run_id, stored)
        except BlobChanged as exc:
            raise ServiceBusy(f"The run {run_id} changed while it was deleted; try again.", code="run_busy") from exc
        log.info("run.deleted", extra={"run_id": run_id})

    async def delete_thread(self, thread_id: str) -> None:
        """The thread with all its runs."""
        thread = (await self._threads.read(thread_id)).value
        run_ids = dict.fromkeys(message.run_id for message in thread.messages)
        for run_id in [*run_ids, *([thread.active_run_id] if thread.active_run_id else [])]:
            if await self._records.read(run_id):
                await self.delete(run_id)
        await self._threads.delete(thread_id)

    async def _stored(self, run_id: str) -> Stored[Run]:
        stored = await self._records.read(run_id)
        if stored is None:
            raise NotFound(f"There is no run {run_id!r}.", code="run_not_found")
        return stored


def _still_indexing(scope: Scope) -> tuple[str, ...]:
    """What the answer says of documents that the question came too early for."""
    if not scope.indexing:
        return ()
    some = "One document was" if scope.indexing == 1 else f"{scope.indexing:,} documents were"
    return (f"{some} still being indexed in this collection when the question was asked.",)


def _with_outputs(run: Run, outputs: Mapping[str, str]) -> Run:
    """The run with these outputs, checked. One that was handed in before, word for word, is fine."""
    calls = {call.call_id: call for call in run.calls if call.by == "client"}
    for call_id, output in outputs.items():
        if call_id in run.answered or (call_id in calls and calls[call_id].output is not None):
            before = run.answered.get(call_id) or digest(calls[call_id].output or "")
            if before != digest(output):
                raise Busy(f"The call {call_id!r} has another output already.", code="output_already_given")
        elif run.is_terminal or run.cancelled_at:
            raise Busy(f"The run is {run.status}; it takes no more outputs.", code="run_ended")
        elif call_id not in calls:
            raise BadRequest(
                f"The run waits for no call {call_id[:80]!r}. Its calls are in GET /api/runs/{run.id}.",
                code="unknown_call_id",
            )
        else:
            calls[call_id] = replace(calls[call_id], output=output)
    return replace(run, calls=tuple(calls.get(call.call_id, call) for call in run.calls))
