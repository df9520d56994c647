"""Starts a run at the engine, or continues it with the outputs of its functions."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from shared.delays import retry_delay_s
from shared.documents.library import Library
from shared.engines.base import Ask, Engine
from shared.engines.stores import Within
from shared.errors import BlobChanged, ChainLost, NotFound, ServiceBusy, ServiceError, ServiceMissing, StorageError
from shared.logs import event
from shared.models.runs import Failure, Run
from shared.runs import tools, transitions
from shared.runs.assistants import Assistants
from shared.runs.ending import Ending
from shared.runs.inputs import Inputs
from shared.runs.prompts import INSTRUCTIONS, instructions_of, told
from shared.runs.record import RunRecords
from shared.runs.threads import AS_TEXT, LOST, STALE, Threads
from shared.runs.transitions import MISSING_TRIES
from shared.settings import Settings
from shared.storage.records import Stored

log = logging.getLogger(__name__)

FIRST_LOOK_S = 1
STORE_GONE = re.compile("vector.?store", re.IGNORECASE)  # in the service's message; its error codes differ
HISTORY_AS_TEXT = "The service no longer had this conversation, so the thread's messages were sent again as text."
SENT_AGAIN = "so the thread's messages were sent again as text, without earlier files and quotes."


@dataclass(frozen=True, kw_only=True)
class Defaults:
    """The choices of an assistant that names none."""

    model: str
    instructions: str

    @classmethod
    def from_settings(cls, settings: Settings) -> Defaults:
        return cls(model=settings.model, instructions=settings.instructions or INSTRUCTIONS)


class Launcher:
    def __init__(
        self,
        records: RunRecords,
        engine: Engine,
        threads: Threads,
        assistants: Assistants,
        ending: Ending,
        inputs: Inputs,
        defaults: Defaults,
        library: Library,
        now: Callable[[], datetime],
    ) -> None:
        self._records = records
        self._engine = engine
        self._threads = threads
        self._assistants = assistants
        self._ending = ending
        self._inputs = inputs
        self._defaults = defaults
        self._library = library
        self._now = now

    async def launch(self, stored: Stored[Run]) -> Run:
        """Start or continue a run that this process has claimed. A busy engine is tried again later."""
        run = stored.value
        try:
            ask = await self._ask(run)
            if not run.engine_run:
                stored = await self._prepared(stored, ask)
                ask = replace(ask, place=stored.value.place)
            engine_run = await self._ask_engine(run, ask)
        except BlobChanged:  # the run was ended or deleted meanwhile
            return (await self._records.find(run.id)).value
        except ChainLost:
            return await self._put_back(stored, replace(run, starting_at=None, previous=LOST), delay_s=0)
        except ServiceBusy as exc:
            return await self.put_off(stored, exc)
        except (ServiceError, NotFound) as exc:
            return await self._refused(stored, exc)
        return await self.started(stored, engine_run)

    async def _prepared(self, stored: Stored[Run], ask: Ask) -> Stored[Run]:
        """The record, which names the place at the service before the run is started there.

        Raises:
            BlobChanged: another process wrote the record.
        """
        run, place = stored.value, await self._engine.prepare(ask)
        if place == run.place:
            return stored
        try:
            return await self._records.replace(run.id, stored, replace(run, place=place))
        except StorageError:
            with suppress(ServiceError):
                await self._engine.forget((), run_id=run.id, place=place)
            raise

    async def started(self, stored: Stored[Run], engine_run: str) -> Run:
        """Write that the engine has started or continued the run as `engine_run`; look at it soon.

        When the record was written meanwhile, because the run was ended or another process started it, no poller looks
        at this engine run: it is cancelled, and noted to be deleted with the run. With a deleted run, it is deleted.
        """
        run, now = stored.value, self._now()

        def begun(current: Run) -> Run:
            return _with_note(transitions.started(current, engine_run, now))

        def merged(current: Run) -> Run:
            if current.is_terminal or current.generation != run.generation:
                return transitions.with_stray(current, engine_run)
            return replace(begun(current), generation=current.generation + 1, next_look_at=now)

        with suppress(StorageError):  # only this process knows the id: try again before it is lost
            if put_back := await self._records.put_back(stored, begun(run), delay_s=FIRST_LOOK_S):
                return put_back
        kept = await self._records.update(run.id, merged)
        if kept is None:
            await self._ending.cancel_engine(run.id, engine_run)
            await self._engine.forget((engine_run,), run_id=run.id, place=run.place)
            return (await self._records.find(run.id)).value
        if engine_run in kept.value.strays:
            await self._ending.cancel_engine(run.id, engine_run)
        elif not kept.value.is_terminal:
            await self._records.enqueue(kept.value)
        return kept.value

    async def _put_back(self, stored: Stored[Run], run: Run, *, delay_s: int) -> Run:
        return await self._records.put_back(stored, run, delay_s=delay_s) or (await self._records.find(run.id)).value

    async def put_off(self, stored: Stored[Run], exc: ServiceBusy) -> Run:
        """Start the run later."""
        run = stored.value
        event(log, logging.INFO, "run.put_off", run_id=run.id, why=exc.message)
        waiting = replace(transitions.busy(run, exc), starting_at=None)
        return await self._put_back(stored, waiting, delay_s=retry_delay_s(waiting.faults, exc.retry_after_s))

    async def _refused(self, stored: Stored[Run], exc: ServiceError | NotFound) -> Run:
        """Start again without files that are gone, or once more when the service denies what it may have."""
        run = replace(stored.value, starting_at=None)
        failure = Failure(code=exc.code, message=exc.message)
        try:
            if not run.engine_run and (missing := await self._inputs.missing(run)):
                return await self._put_back(stored, replace(run, gone=(*run.gone, *missing)), delay_s=0)
            explained = await self.explained(run, failure)
        except ServiceBusy as busy:
            return await self.put_off(stored, busy)
        if explained is failure and isinstance(exc, ServiceMissing) and run.missed < MISSING_TRIES:
            missed = run.missed + 1
            return await self._put_back(stored, replace(run, missed=missed), delay_s=retry_delay_s(missed, None))
        return await self._ending.finish(stored, "failed", None, explained)

    async def _ask(self, run: Run) -> Ask:
        assistant = await self._assistants.version(run.assistant.name, run.assistant.version)
        return Ask(
            run_id=run.id,
            question=run.question,
            model=assistant.model or self._defaults.model,
            instructions=instructions_of(
                assistant.instructions or self._defaults.instructions,
                files=run.files if assistant.code_interpreter else (),
                changes=run.changes,
            ),
            stores=run.stores if assistant.file_search else (),
            within=Within(as_of=run.as_of, excluded=run.excluded) if run.as_of and self._engine.filters else None,
            file_ids=tuple(file.file_id for file in run.files),
            previous=None if run.previous in AS_TEXT else run.previous,
            history=await self._threads.history(run.thread_id) if run.previous in AS_TEXT else (),
            place=run.place,
            app=await self.app(),
            code_interpreter=assistant.code_interpreter,
            functions=(*tools.schemas(assistant.functions), *run.functions),
            temperature=assistant.temperature,
            reasoning=assistant.reasoning,
            verbosity=assistant.verbosity,
            max_output_tokens=assistant.max_output_tokens,
        )

    async def _ask_engine(self, run: Run, ask: Ask) -> str:
        if run.engine_run and run.calls:
            outputs = {call.call_id: call.output or "" for call in run.calls}
            return await self._engine.answer_calls(run.engine_run, ask, outputs)
        return await self._engine.start(ask)

    async def app(self) -> str:
        """The id of this app, which stands in the metadata of what it makes at the service."""
        return await self._library.collections.app()

    async def explained(self, run: Run, failure: Failure | None) -> Failure | None:
        """The failure, or its cause: a lost vector store (`collection_rebuilding`), or lost files (`file_gone`)."""
        if failure is None:
            return failure
        if missing := await self._inputs.missing(run):
            return (await self._inputs.gone(run, missing)).failure
        if not run.stores or not STORE_GONE.search(f"{failure.code} {failure.message}"):
            return failure
        if not await self._library.lost_stores.check(run.collection):
            return failure
        message = (
            f"The vector store of the collection {run.collection!r} was gone at the service; it is being rebuilt from "
            "the documents. Ask again in a few minutes."
        )
        return Failure(code="collection_rebuilding", message=message, retryable=True)


def _with_note(run: Run) -> Run:
    """The run, with a note when its thread was sent as text."""
    if run.previous not in AS_TEXT or len(run.engine_runs) > 1:
        return run
    changed = f"{told(run.changes)} since the thread's last answer, {SENT_AGAIN}" if run.changes else None
    too_many = f"The thread rests on many documents, {SENT_AGAIN}" if run.previous == STALE else None
    note = changed or too_many or HISTORY_AS_TEXT
    return run if note in run.notes else replace(run, notes=(*run.notes, note))
