"""Ends a run: writes its answer, releases its thread, announces its end."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from shared import telemetry
from shared.engines.base import Engine, Look
from shared.errors import ServiceError
from shared.logs import event
from shared.models.runs import Answer, Failure, Run, RunStatus
from shared.runs.publishing import Publisher
from shared.runs.record import RunRecords
from shared.runs.threads import Threads
from shared.storage.layout import active_name
from shared.storage.records import Stored

if TYPE_CHECKING:
    from shared.push.notices import Push
    from shared.storage.blobs import Blobs

log = logging.getLogger(__name__)


class Ending:
    def __init__(
        self,
        state: Blobs,
        records: RunRecords,
        engine: Engine,
        publisher: Publisher,
        threads: Threads,
        push: Push,
        now: Callable[[], datetime],
    ) -> None:
        self._state = state
        self._records = records
        self._engine = engine
        self._publisher = publisher
        self._threads = threads
        self._push = push
        self._now = now

    async def finish(self, stored: Stored[Run], status: RunStatus, look: Look | None, failure: Failure | None) -> Run:
        """Write the charts, `answer.md`, then `answer.json` once; then thread, record and marker. All are repeatable.

        Raises:
            Unfinished: a file of the answer cannot be fetched now; nothing but charts was written.
        """
        run = replace(
            stored.value,
            status=status,
            error=failure,
            activity=look.activity if look else stored.value.activity,
            containers=look.output.containers if look and look.output else stored.value.containers,
            finished_at=self._now(),
            calls=(),
        )
        answer = await self._publisher.publish(run, look.output if look else None)
        # The first answer.json decides the run's status: it may be that of another poller.
        run = replace(run, status=answer.status, error=answer.error, finished_at=answer.finished_at)
        await self._threads.release(run, answer)
        # The answer stands, so the end is written over the newest record, whoever wrote that.
        if await self._records.update(run.id, lambda current: _ended(current, run)) is None:
            await self._publisher.withdraw(run.id)  # the run was deleted meanwhile
            return run
        level = logging.INFO if run.status in ("completed", "cancelled") else logging.WARNING
        event(log, level, f"run.{run.status}", run_id=run.id, looks=run.looks)
        _measure(answer)
        await self.close(run)
        return run

    async def close(self, run: Run) -> None:
        """Announce the run's end, then delete its marker: after a crash in between, the sweep repeats both."""
        if await self._state.exists(active_name(run.id)):
            urls = (run.callback_url,) if run.callback_url else ()
            data = {"id": run.id, "thread_id": run.thread_id, "status": run.status, "metadata": run.metadata}
            await self._push.announce("run.finished", id=run.id, data=data, urls=urls)
            await self._state.delete(active_name(run.id))

    async def cancel_engine(self, run_id: str, engine_run: str) -> None:
        """Cancel the engine's run. An error is only logged: the engine's run ends by itself."""
        try:
            await self._engine.cancel(engine_run)
        except ServiceError as exc:
            event(log, logging.WARNING, "run.cancel_failed", run_id=run_id, why=exc.message)


def _measure(answer: Answer) -> None:
    telemetry.count("runs.ended", status=answer.status)
    telemetry.measure("runs.duration", answer.timings.total_ms / 1000)
    telemetry.count("runs.tokens", answer.usage.input_tokens, kind="input")
    telemetry.count("runs.tokens", answer.usage.output_tokens, kind="output")
    if answer.cost:
        telemetry.count("runs.cost", answer.cost.usd)


def _ended(current: Run, run: Run) -> Run:
    """The current record, ended as `run` has ended. One that has ended before stays."""
    if current.is_terminal:
        return current
    return replace(
        run,
        engine_runs=current.engine_runs,
        strays=current.strays,
        place=current.place,
        generation=current.generation + 1,
    )
