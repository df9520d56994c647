"""A run is a small state machine in storage that a queue message drives: one look, act, enqueue the next.

Delivery is at least once and processes die, so that every step can be done twice: a record is only written over the
version that was read, a message with an old generation does nothing, and `answer.json` is written once. What a crash
leaves behind is found by `sweep`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.collections.visibility import Scopes
from shared.delays import look_delay_s, retry_delay_s
from shared.engines.base import Ask, Call, Engine, Look
from shared.engines.stores import Within
from shared.errors import BlobChanged, ChainLost, NotFound, ServiceBusy, ServiceError
from shared.models.runs import Failure, Run, RunStatus, ToolCall
from shared.runs import tools
from shared.runs.assistants import Assistants
from shared.runs.launching import FIRST_LOOK_S, INSTRUCTIONS, STARTING_AGAIN_S, STORE_GONE, TOLD_IN_WORDS, Defaults
from shared.runs.publishing import Publisher, Unfinished
from shared.runs.record import CANCELLED, digest, marker, tags_of
from shared.runs.threads import LOST, Threads
from shared.runs.transitions import CANCEL_GRACE, ORPHAN, OVERDUE, START_CLAIM
from shared.storage.records import Records, Stored

if TYPE_CHECKING:
    from shared.push.notices import Push
    from shared.storage.blobs import Blobs, Queue


log = logging.getLogger(__name__)


class Poller:
    def __init__(
        self,
        *,
        state: Blobs,
        queue: Queue,
        engine: Engine,
        threads: Threads,
        assistants: Assistants,
        publisher: Publisher,
        push: Push,
        scopes: Scopes,
        check_stores: Callable[[str], Awaitable[bool]],
        defaults: Defaults,
        now: Callable[[], datetime],
    ) -> None:
        """`check_stores` says whether a collection has lost a vector store, which is then built anew."""
        self.records = Records(state, Run, name=lambda id: f"runs/{id}.json", tags=tags_of)
        self._state = state
        self._queue = queue
        self._engine = engine
        self._threads = threads
        self._assistants = assistants
        self._publisher = publisher
        self._push = push
        self._scopes = scopes
        self._check_stores = check_stores
        self._defaults = defaults
        self._now = now

    # ---- from the queue and the timer ----------------------------------------------------------------------------

    async def advance(self, run_id: str, generation: int) -> None:
        """Look at one run once: start it, finish it, or put it back for later."""
        stored = await self.records.read(run_id)
        if stored is None:
            return
        run = stored.value
        if run.is_terminal:
            await self.close(run)
        elif generation != run.generation:
            log.info("run.stale_message", extra={"run_id": run_id, "generation": generation})
        elif run.engine != self._engine.name:
            message = (
                f"The app's engine was changed from {run.engine!r} to {self._engine.name!r} while the run went on."
            )
            await self.finish(stored, "failed", None, Failure(code="engine_changed", message=message, retryable=True))
        elif run.starting_at and self._now() - run.starting_at < START_CLAIM:
            await self._enqueue(run, delay_s=STARTING_AGAIN_S)  # someone is at it, and will write the record
        elif run.cancelled_at and not run.engine_run:
            await self.finish(stored, "cancelled", None, CANCELLED)
        elif run.status == "requires_action":
            await self._wait_or_go_on(stored)
        elif run.engine_run:
            await self._look(stored)
        elif self._now() > run.deadline_at:
            await self._expire(stored)
        else:
            await self._claim_and_launch(stored)

    async def fail(self, run_id: str) -> None:
        """The host has given up on this run's message: end the run, so that nobody waits."""
        stored = await self.records.read(run_id)
        if stored and not stored.value.is_terminal:
            message = "The app failed several times in a row while it worked on this run; see its log."
            await self.finish(stored, "failed", None, Failure(code="internal_error", message=message, retryable=True))

    async def sweep(self) -> int:
        """Enqueue a look for every active run whose next one is overdue. Answers how many there were."""
        found = 0
        async for blob in self._state.list("active/"):
            stored = await self.records.read(blob.name.removeprefix("active/"))
            if stored is None:
                if self._now() - blob.last_modified_at > ORPHAN:
                    await self._state.delete(blob.name)
            elif stored.value.is_terminal:
                await self.close(stored.value)
            elif self._now() - stored.value.next_look_at > OVERDUE:
                found += 1
                await self._enqueue(stored.value)
        return found

    # ---- starting and going on -----------------------------------------------------------------------------------

    async def launch(self, stored: Stored[Run]) -> Run:
        """Ask the engine, under this record's claim: to start the run, or to go on with the outputs of its calls."""
        run = stored.value
        try:
            engine_run = await self._ask_engine(run, await self._ask(run))
        except ChainLost:
            lost = replace(run, starting_at=None, previous=LOST)
            return await self._put_back(stored, lost, delay_s=0) or await self._read(run.id)
        except ServiceBusy as exc:
            log.info("run.put_off", extra={"run_id": run.id, "why": exc.message})
            waiting = replace(run, starting_at=None, faults=run.faults + 1)
            delay_s = retry_delay_s(waiting.faults, exc.retry_after_s)
            return await self._put_back(stored, waiting, delay_s=delay_s) or await self._read(run.id)
        except (ServiceError, NotFound) as exc:
            failure = await self._explained(run, Failure(code=exc.code, message=exc.message))
            return await self.finish(stored, "failed", None, failure)
        started = replace(
            run,
            status="in_progress",
            engine_runs=run.engine_runs if engine_run == run.engine_run else (*run.engine_runs, engine_run),
            calls=(),
            notes=(*run.notes, TOLD_IN_WORDS) if run.previous == LOST and not run.engine_runs else run.notes,
            answered={**run.answered, **{call.call_id: digest(call.output or "") for call in run.calls}},
            starting_at=None,
            waiting_at=None,
            started_at=run.started_at or self._now(),
            faults=0,
        )
        put_back = await self._put_back(stored, started, delay_s=FIRST_LOOK_S)
        if put_back is None:  # the run was ended meanwhile: nobody will look at what was just started
            await self.cancel_engine(run.id, engine_run)
            return await self._read(run.id)
        return put_back

    async def _ask(self, run: Run) -> Ask:
        assistant = await self._assistants.version(run.assistant.name, run.assistant.version)
        return Ask(
            run_id=run.id,
            question=run.question,
            model=assistant.model or self._defaults.model,
            instructions=assistant.instructions or self._defaults.instructions or INSTRUCTIONS,
            stores=run.stores if assistant.file_search else (),
            within=Within(as_of=run.as_of, excluded=run.excluded) if run.as_of and self._engine.filters else None,
            file_ids=tuple(file.file_id for file in run.files),
            previous=None if run.previous == LOST else run.previous,
            history=await self._threads.told(run.thread_id) if run.previous == LOST else (),
            code_interpreter=assistant.code_interpreter,
            functions=(*tools.schemas(assistant.functions), *run.functions),
            temperature=assistant.temperature,
            max_output_tokens=assistant.max_output_tokens,
        )

    async def _ask_engine(self, run: Run, ask: Ask) -> str:
        if run.engine_run and run.calls:
            outputs = {call.call_id: call.output or "" for call in run.calls}
            return await self._engine.answer_calls(run.engine_run, ask, outputs)
        return await self._engine.start(ask)

    async def _claim_and_launch(self, stored: Stored[Run]) -> None:
        now, run = self._now(), stored.value
        claim = replace(run, starting_at=now, next_look_at=now + START_CLAIM, generation=run.generation + 1)
        try:
            claimed = await self.records.replace(claim.id, stored, claim)
        except BlobChanged:
            return  # another poller was quicker
        await self.launch(claimed)

    async def _explained(self, run: Run, failure: Failure | None) -> Failure | None:
        """A vector store that is gone fails every run of its collection, until its documents are indexed anew."""
        if failure is None or not run.stores or not STORE_GONE.search(f"{failure.code} {failure.message}"):
            return failure
        if not await self._check_stores(run.collection):
            return failure
        message = (
            f"The vector store of the collection {run.collection!r} was gone at the service; it is being built anew "
            "from the documents. Ask again in a few minutes."
        )
        return Failure(code="collection_rebuilding", message=message, retryable=True)

    # ---- functions -----------------------------------------------------------------------------------------------

    async def _act(self, stored: Stored[Run], run: Run, calls: tuple[Call, ...]) -> None:
        """The model wants functions called. Ours are called now; for the caller's the run waits, at no cost."""
        own = {function.name for function in run.functions}
        wanted = tuple(
            ToolCall(
                call_id=call.call_id,
                name=call.name,
                arguments=call.arguments,
                by="client" if call.name in own else "server",
            )
            for call in calls
        )
        outputs = await asyncio.gather(*(tools.call(c.name, c.arguments) for c in wanted if c.by == "server"))
        pending = iter(outputs)
        answered = tuple(replace(call, output=next(pending)) if call.by == "server" else call for call in wanted)
        waiting = replace(run, status="requires_action", calls=answered, waiting_at=self._now(), faults=0)
        if all(call.output is not None for call in answered):
            await self._put_back(stored, waiting, delay_s=0)
            return
        until = self._now() + timedelta(seconds=self._defaults.action_max_s)
        waiting = replace(waiting, next_look_at=until, generation=run.generation + 1)
        try:
            await self.records.replace(run.id, stored, waiting)  # and no message: the caller's outputs send one
        except BlobChanged:
            return
        log.info("run.waits", extra={"run_id": run.id, "calls": len(calls)})

    async def _wait_or_go_on(self, stored: Stored[Run]) -> None:
        run, now = stored.value, self._now()
        if all(call.output is not None for call in run.calls):
            # The time it waited for its caller is not counted against it.
            waited = now - (run.waiting_at or now)
            scope = await self._scopes.of(run.collection)  # what it searches from here on is what is there now
            going_on = replace(
                run,
                deadline_at=run.deadline_at + waited,
                waiting_at=None,
                as_of=now,
                excluded=scope.excluded,
            )
            later = Stored(going_on, stored.etag)
            if now > later.value.deadline_at:
                await self._expire(later)
            else:
                await self._claim_and_launch(later)
        elif now >= run.next_look_at:
            message = f"Nobody sent the outputs of the functions within {self._defaults.action_max_s} s."
            await self._end(stored, Failure(code="action_expired", message=message))

    # ---- looking -------------------------------------------------------------------------------------------------

    async def _look(self, stored: Stored[Run]) -> None:
        run = replace(stored.value, looks=stored.value.looks + 1)
        try:
            look = await self._engine.look(run.engine_runs)
            if look.status in ("queued", "in_progress"):
                await self._go_on(stored, replace(run, activity=look.activity, faults=0))
            elif look.status == "requires_action" and run.cancelled_at:
                await self.cancel_engine(run.id, run.engine_runs[-1])
                await self.finish(Stored(run, stored.etag), "cancelled", look, CANCELLED)
            elif look.status == "requires_action" and self._now() > run.deadline_at:
                await self._expire(Stored(run, stored.etag))
            elif look.status == "requires_action":
                await self._act(stored, replace(run, activity=look.activity), look.calls)
            else:
                failure = CANCELLED if look.status == "cancelled" else await self._explained(run, look.failure)
                await self.finish(Stored(run, stored.etag), look.status, look, failure)
        except Unfinished as exc:
            log.info("run.put_off", extra={"run_id": run.id, "why": str(exc)})
            tries = run.fetch_tries + 1
            await self._put_back(stored, replace(run, fetch_tries=tries), delay_s=retry_delay_s(tries, None))
        except ServiceBusy as exc:
            log.info("run.put_off", extra={"run_id": run.id, "why": exc.message})
            faults = run.faults + 1
            delay_s = retry_delay_s(faults, exc.retry_after_s)
            await self._go_on(stored, replace(run, faults=faults), delay_s=delay_s)
        except ServiceError as exc:
            if run.cancelled_at:
                await self.finish(stored, "cancelled", None, CANCELLED)
            else:
                await self.finish(stored, "failed", None, Failure(code=exc.code, message=exc.message))

    async def _go_on(self, stored: Stored[Run], run: Run, *, delay_s: int | None = None) -> None:
        """It has not ended: look again later, unless its time is over."""
        now = self._now()
        if run.cancelled_at and now - run.cancelled_at > CANCEL_GRACE:
            await self.finish(Stored(run, stored.etag), "cancelled", None, CANCELLED)
        elif now > run.deadline_at:
            await self._expire(Stored(run, stored.etag))
        else:
            age_s = (now - (run.started_at or run.created_at)).total_seconds()
            await self._put_back(stored, run, delay_s=look_delay_s(age_s) if delay_s is None else delay_s)

    async def _expire(self, stored: Stored[Run]) -> None:
        run = stored.value
        max_s = (run.deadline_at - run.created_at).total_seconds()
        message = f"The run did not end within {max_s:.0f} s."
        await self._end(stored, Failure(code="expired", message=message, retryable=True))

    async def _end(self, stored: Stored[Run], failure: Failure) -> None:
        if stored.value.engine_run:
            await self.cancel_engine(stored.value.id, stored.value.engine_run)
        await self.finish(stored, "expired", None, failure)

    async def cancel_engine(self, run_id: str, engine_run: str) -> None:
        try:
            await self._engine.cancel(engine_run)
        except ServiceError as exc:  # it ends by itself, and nobody waits for it
            log.warning("run.cancel_failed", extra={"run_id": run_id, "why": exc.message})

    # ---- ending --------------------------------------------------------------------------------------------------

    async def finish(self, stored: Stored[Run], status: RunStatus, look: Look | None, failure: Failure | None) -> Run:
        """Charts first, then `answer.md`, then `answer.json` once; then thread, record and marker, each repeatable."""
        run = replace(
            stored.value,
            status=status,
            error=failure,
            activity=look.activity if look else stored.value.activity,
            containers=look.output.containers if look and look.output else (),
            finished_at=self._now(),
            calls=(),
        )
        answer = await self._publisher.publish(run, look.output if look else None)
        # Who wrote answer.json first has decided how the run ended.
        run = replace(run, status=answer.status, error=answer.error, finished_at=answer.finished_at)
        await self._threads.release(run, answer)
        try:
            await self.records.replace(run.id, stored, replace(run, generation=run.generation + 1))
        except BlobChanged:  # another poller has come to the same end, or will; or the run was deleted
            if await self.records.read(run.id) is None:
                await self._publisher.withdraw(run.id)
            return run
        level = logging.INFO if run.status in ("completed", "cancelled") else logging.WARNING
        log.log(level, "run.%s", run.status, extra={"run_id": run.id, "looks": run.looks})
        await self.close(run)
        return run

    async def close(self, run: Run) -> None:
        """Tell those who asked to be told; the marker goes last, so that a crash before it is found by the sweep."""
        if await self._state.exists(marker(run.id)):
            urls = (run.callback_url,) if run.callback_url else ()
            data = {"id": run.id, "thread_id": run.thread_id, "status": run.status, "metadata": run.metadata}
            await self._push.announce("run.finished", id=run.id, data=data, urls=urls)
            await self._state.delete(marker(run.id))

    # ---- small things --------------------------------------------------------------------------------------------

    async def _put_back(self, stored: Stored[Run], run: Run, *, delay_s: int) -> Run | None:
        """Write the record, then enqueue its next look. A crash between the two is the sweep's to find.

        None: another poller has taken this step.
        """
        next_look_at = self._now() + timedelta(seconds=delay_s)
        run = replace(run, generation=run.generation + 1, next_look_at=next_look_at)
        try:
            await self.records.replace(run.id, stored, run)
        except BlobChanged:
            return None
        await self._enqueue(run, delay_s=delay_s)
        return run

    async def look_now(self, stored: Stored[Run]) -> None:
        """Something has happened that is worth a look at once."""
        await self._enqueue(stored.value)

    async def _enqueue(self, run: Run, *, delay_s: int = 0) -> None:
        await self._queue.send({"run_id": run.id, "generation": run.generation}, delay_s=delay_s)

    async def _read(self, run_id: str) -> Run:
        stored = await self.records.read(run_id)
        if stored is None:
            raise NotFound(f"The run {run_id} was deleted.", code="run_not_found")
        return stored.value
