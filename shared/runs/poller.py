"""Polls runs: a queue message is one look at one run, which acts and enqueues the next look.

Delivery is at least once and processes die, so each step can be repeated: a record is only written over the version
that was read, a message with an old generation is dropped, and `answer.json` is written once. `sweep` finds what a
crash left.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, assert_never

from shared import telemetry
from shared.delays import retry_delay_s
from shared.engines.base import Engine, Look
from shared.errors import BlobChanged, BlobMissing, ServiceBusy, ServiceError, ServiceMissing
from shared.logs import event
from shared.models.runs import Failure, Run, ToolCall
from shared.runs import tools, transitions
from shared.runs.ending import Ending
from shared.runs.inputs import FileGone, Inputs
from shared.runs.launching import Launcher
from shared.runs.messages import RunLook
from shared.runs.publishing import Unfinished
from shared.runs.record import CANCELLED, RunRecords
from shared.runs.threads import Threads, thread_of
from shared.runs.transitions import (
    MISSING_TRIES,
    ORPHAN,
    START_CLAIM,
    Adopt,
    CallFunctions,
    Close,
    Drop,
    Enqueue,
    Finish,
    Launch,
    LookAtEngine,
    PutBack,
    Resume,
)
from shared.settings import Settings
from shared.storage.layout import ACTIVE, active_run_id
from shared.storage.records import Stored

if TYPE_CHECKING:
    from shared.storage.blobs import Blobs

log = logging.getLogger(__name__)


class Poller:
    def __init__(
        self,
        state: Blobs,
        records: RunRecords,
        engine: Engine,
        launcher: Launcher,
        ending: Ending,
        inputs: Inputs,
        threads: Threads,
        settings: Settings,
        now: Callable[[], datetime],
    ) -> None:
        self._state = state
        self._records = records
        self._engine = engine
        self._launcher = launcher
        self._ending = ending
        self._inputs = inputs
        self._threads = threads
        self._action_max_s = settings.action_max_s  # how long a run waits for the outputs of its caller's functions
        self._now = now

    # ---- from the queue and the timer ----------------------------------------------------------------------------

    async def advance(self, message: RunLook) -> None:
        """Look at one run once: start it, finish it, or put it back for later."""
        stored = await self._records.read(message.run_id)
        if stored:
            with telemetry.span("run.look", parent=stored.value.trace, run_id=message.run_id, looks=stored.value.looks):
                await self._advance(stored, message)

    async def _advance(self, stored: Stored[Run], message: RunLook) -> None:
        run = stored.value
        telemetry.measure("runs.lag", max((self._now() - run.next_look_at).total_seconds(), 0))
        step = transitions.on_message(
            run,
            generation=message.generation,
            engine=self._engine.name,
            action_max_s=self._action_max_s,
            now=self._now(),
        )
        match step:
            case Drop():
                event(log, logging.INFO, "run.message_dropped", run_id=run.id, generation=message.generation)
            case Close():
                await self._ending.close(run)
            case Enqueue(delay_s):
                await self._records.enqueue(run, delay_s=delay_s)
            case Launch():
                await self._launch(stored)
            case Adopt(engine_run):
                await self._launcher.started(stored, engine_run)
            case Resume():
                await self._resume(stored)
            case LookAtEngine():
                await self._look(Stored(replace(run, looks=run.looks + 1), stored.etag))
            case Finish():
                await self._finish(stored, step, None)
            case _:
                assert_never(step)

    async def fail(self, message: RunLook) -> None:
        """The host gave up on this run's message: end the run."""
        stored = await self._records.read(message.run_id)
        if stored and not stored.value.is_terminal:
            why = "The app failed several times in a row while it worked on this run; see its log."
            failure = Failure(code="internal_error", message=why, retryable=True)
            await self._ending.finish(stored, "failed", None, failure)

    async def sweep(self) -> int:
        """Enqueue a look for each active run whose next look is overdue. Returns their number."""
        overdue = 0
        async for marker in self._state.list(ACTIVE):
            stored = await self._records.read(active_run_id(marker.name))
            if stored is None:
                if self._now() - marker.last_modified_at > ORPHAN:
                    await self._abandon(marker.name)
            elif stored.value.is_terminal:
                await self._ending.close(stored.value)
            elif transitions.is_look_lost(stored.value, self._now()):
                overdue += 1
                await self._records.enqueue(stored.value)
        return overdue

    # ---- steps ---------------------------------------------------------------------------------------------------

    async def _abandon(self, marker: str) -> None:
        """Undo what a request left that died before its run had a record. Nothing of it is at the service."""
        run_id = active_run_id(marker)
        try:
            thread_id = (await self._state.read(marker)).content.decode()
        except BlobMissing:
            return
        await self._threads.abandon(thread_id or thread_of(run_id), run_id)
        await self._state.delete(marker)

    async def _launch(self, stored: Stored[Run]) -> None:
        try:
            run = await self._inputs.again(stored.value)
        except FileGone as exc:
            await self._finish(stored, Finish("failed", exc.failure, cancel_engine=True), None)
        except ServiceBusy as exc:  # too many versions are excluded at this moment
            await self._launcher.put_off(stored, exc)
        else:
            await self._claim_and_launch(Stored(run, stored.etag))

    async def _claim_and_launch(self, stored: Stored[Run]) -> None:
        now, run = self._now(), stored.value
        claim = replace(run, starting_at=now, next_look_at=now + START_CLAIM, generation=run.generation + 1)
        try:
            claimed = await self._records.replace(claim.id, stored, claim)
        except BlobChanged:
            return  # another poller was first
        await self._launcher.launch(claimed)

    async def _resume(self, stored: Stored[Run]) -> None:
        run = transitions.resumed(stored.value, self._now())
        if self._now() > run.deadline_at:
            await self._finish(Stored(run, stored.etag), transitions.expire(run), None)
        else:
            await self._launch(Stored(run, stored.etag))

    async def _look(self, stored: Stored[Run]) -> None:
        run = stored.value
        try:
            look = await self._engine.look(run.engine_runs)
            step = transitions.on_look(run, look, self._now())
            if isinstance(step, CallFunctions):
                await self._call_functions(stored, replace(run, activity=look.activity, missed=0), look)
            else:
                await self._carry_out(stored, step, look)
        except Unfinished as exc:
            event(log, logging.INFO, "run.put_off", run_id=run.id, why=str(exc))
            tries = run.fetch_tries + 1
            await self._records.put_back(stored, replace(run, fetch_tries=tries), delay_s=retry_delay_s(tries, None))
        except ServiceBusy as exc:
            event(log, logging.INFO, "run.put_off", run_id=run.id, why=exc.message)
            waiting = transitions.busy(run, exc)
            delay_s = retry_delay_s(waiting.faults, exc.retry_after_s)
            await self._carry_out(stored, transitions.wait(waiting, self._now(), delay_s=delay_s), None)
        except ServiceMissing as exc:
            if run.cancelled_at or run.missed >= MISSING_TRIES:
                failed = Finish("failed", Failure(code=exc.code, message=exc.message))
                await self._finish(stored, Finish("cancelled", CANCELLED) if run.cancelled_at else failed, None)
                return
            event(log, logging.INFO, "run.put_off", run_id=run.id, why=exc.message)
            missed = run.missed + 1
            delay_s = retry_delay_s(missed, None)
            step = transitions.wait(replace(run, missed=missed), self._now(), delay_s=delay_s)
            await self._carry_out(stored, step, None)
        except ServiceError as exc:
            failed = Finish("failed", Failure(code=exc.code, message=exc.message))
            await self._finish(stored, Finish("cancelled", CANCELLED) if run.cancelled_at else failed, None)

    async def _carry_out(self, stored: Stored[Run], step: PutBack | Finish, look: Look | None) -> None:
        if isinstance(step, PutBack):
            await self._records.put_back(stored, step.run, delay_s=step.delay_s)
            return
        if look and look.failure is step.failure:  # the service's own
            step = replace(step, failure=await self._launcher.explained(stored.value, step.failure))
        await self._finish(stored, step, look)

    async def _finish(self, stored: Stored[Run], step: Finish, look: Look | None) -> None:
        run = stored.value
        if step.cancel_engine and run.engine_run:
            await self._ending.cancel_engine(run.id, run.engine_run)
        await self._ending.finish(stored, step.status, look, step.failure)

    async def _call_functions(self, stored: Stored[Run], run: Run, look: Look) -> None:
        """Call the app's functions now; for those of the caller, the run waits until their outputs are sent."""
        own = {function.name for function in run.functions}
        wanted = tuple(
            ToolCall(
                call_id=call.call_id,
                name=call.name,
                arguments=call.arguments,
                by="client" if call.name in own else "server",
            )
            for call in look.calls
        )
        outputs = await asyncio.gather(*(tools.call(c.name, c.arguments) for c in wanted if c.by == "server"))
        pending = iter(outputs)
        answered = tuple(replace(call, output=next(pending)) if call.by == "server" else call for call in wanted)
        waiting = replace(run, status="requires_action", calls=answered, waiting_at=self._now(), faults=0)
        waiting = replace(
            waiting,
            rounds=run.rounds + transitions.calls_the_app(run, look),
            containers=look.output.containers if look.output else run.containers,
        )
        if all(call.output is not None for call in answered):
            await self._records.put_back(stored, waiting, delay_s=0)
            return
        until = self._now() + timedelta(seconds=self._action_max_s)
        waiting = replace(waiting, next_look_at=until, generation=run.generation + 1)
        try:
            await self._records.replace(run.id, stored, waiting)  # no message: the caller's outputs enqueue one
        except BlobChanged:
            return
        event(log, logging.INFO, "run.waits", run_id=run.id, calls=len(look.calls))
