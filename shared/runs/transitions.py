"""What a queue message or a look at the engine leads to. Pure: `poller.py` carries out what is decided here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.delays import look_delay_s
from shared.engines.base import Look
from shared.errors import ServiceBlocked, ServiceBusy
from shared.models.runs import Failure, Run, RunStatus
from shared.runs.record import CANCELLED, digest

START_CLAIM = timedelta(seconds=30)  # longer than a request that starts a run may take
OVERDUE = timedelta(seconds=15)  # a look that is later than this was lost
ORPHAN = timedelta(minutes=5)  # an older marker without a record was left by a request that died
CANCEL_GRACE = timedelta(seconds=30)  # for the service to stop a cancelled run
STARTING_AGAIN_S = 5
STRAYS_MAX = 20  # engine runs without a known start that one run notes
ROUNDS_MAX = 20  # times that the model may call functions of the app in one run
MISSING_TRIES = 3  # times in a row that the service may deny what it has before it is believed


@dataclass(frozen=True)
class Drop:
    """Do nothing: the message is stale, or the run waits for its caller."""


@dataclass(frozen=True)
class Close:
    """The run has ended before: announce it, and delete its marker."""


@dataclass(frozen=True)
class Enqueue:
    """Another poller is starting the run: look again later, and leave the record."""

    delay_s: int


@dataclass(frozen=True)
class Launch:
    """Start the run at the engine."""


@dataclass(frozen=True)
class Adopt:
    """The run was started before, by a request whose answer was lost: continue with that engine run."""

    engine_run: str


@dataclass(frozen=True)
class Resume:
    """All outputs of the functions are there: continue the run at the engine."""


@dataclass(frozen=True)
class LookAtEngine:
    """Ask the engine for the run's status."""


@dataclass(frozen=True)
class PutBack:
    """Write the record and look again later."""

    run: Run
    delay_s: int


@dataclass(frozen=True)
class CallFunctions:
    """The model wants functions called."""


@dataclass(frozen=True)
class Finish:
    """End the run. `cancel_engine`: the engine's run may still be going and has to be cancelled first."""

    status: RunStatus
    failure: Failure | None
    cancel_engine: bool = False


def is_look_lost(run: Run, now: datetime) -> bool:
    """Whether the message for the run's next look is lost, or hidden by the death of a host."""
    return not run.is_terminal and now - run.next_look_at > OVERDUE


def on_message(
    run: Run, *, generation: int, engine: str, action_max_s: int, now: datetime
) -> Drop | Close | Enqueue | Launch | Adopt | Resume | LookAtEngine | Finish:
    """Decide what a queue message leads to.

    Args:
        generation: From the message; the message is stale when the record has another one.
        engine: The engine of this app.
        action_max_s: How long a run may wait for the outputs of its caller's functions.
    """
    if run.is_terminal:
        return Close()
    if generation != run.generation:
        return Drop()
    if run.engine != engine:
        return Finish("failed", engine_changed(run, engine))
    if run.starting_at and now - run.starting_at < START_CLAIM:
        return Enqueue(STARTING_AGAIN_S)
    if run.cancelled_at and not run.engine_run:
        return Finish("cancelled", CANCELLED)
    if run.status == "requires_action":
        if all(call.output is not None for call in run.calls):
            return Resume()
        return (
            Finish("expired", action_expired(action_max_s), cancel_engine=True) if now >= run.next_look_at else Drop()
        )
    if run.engine_run:
        return LookAtEngine()
    if now > run.deadline_at:
        return expire(run)
    return Adopt(run.strays[0]) if run.strays else Launch()


def on_look(run: Run, look: Look, now: datetime) -> PutBack | CallFunctions | Finish:
    """Decide what a look at the engine leads to. The failure of an ended run is the service's own."""
    if look.status in ("queued", "in_progress"):
        return wait(replace(run, activity=look.activity, faults=0, blocked=None, missed=0), now)
    if look.status == "requires_action":
        if run.cancelled_at:
            return Finish("cancelled", CANCELLED, cancel_engine=True)
        if run.rounds >= ROUNDS_MAX and calls_the_app(run, look):
            return Finish("failed", too_many_rounds(), cancel_engine=True)
        return expire(run) if now > run.deadline_at else CallFunctions()
    return Finish(look.status, CANCELLED if look.status == "cancelled" else look.failure)


def wait(run: Run, now: datetime, *, delay_s: int | None = None) -> PutBack | Finish:
    """Look again later, unless the run's time is over. Without `delay_s`, the run's age decides the delay."""
    if run.cancelled_at and now - run.cancelled_at > CANCEL_GRACE:
        return Finish("cancelled", CANCELLED)
    if now > run.deadline_at:
        return expire(run)
    age_s = (now - (run.started_at or run.created_at)).total_seconds()
    return PutBack(run, look_delay_s(age_s) if delay_s is None else delay_s)


def resumed(run: Run, now: datetime) -> Run:
    """The run as it continues: the time it waited does not count."""
    waited = now - (run.waiting_at or now)
    return replace(run, deadline_at=run.deadline_at + waited, waiting_at=None)


def started(run: Run, engine_run: str, now: datetime) -> Run:
    """The run after the engine has started or continued it as `engine_run`."""
    return replace(
        run,
        status="in_progress",
        engine_runs=run.engine_runs if engine_run == run.engine_run else (*run.engine_runs, engine_run),
        strays=tuple(stray for stray in run.strays if stray != engine_run),
        calls=(),
        answered={**run.answered, **{call.call_id: digest(call.output or "") for call in run.calls}},
        starting_at=None,
        waiting_at=None,
        started_at=run.started_at or now,
        faults=0,
        blocked=None,
        missed=0,
    )


def with_stray(run: Run, engine_run: str) -> Run:
    """The run, with an engine run noted that no poller looks at: it is deleted with the run."""
    if engine_run in (*run.engine_runs, *run.strays):
        return run
    return replace(run, strays=(*run.strays, engine_run)[-STRAYS_MAX:])


def calls_the_app(run: Run, look: Look) -> bool:
    """Whether one of the functions that the model wants called is the app's own."""
    return not {call.name for call in look.calls} <= {function.name for function in run.functions}


def busy(run: Run, why: ServiceBusy) -> Run:
    """The run after a look at which the service could not be used."""
    blocked = Failure(code=why.code, message=why.message, retryable=True) if isinstance(why, ServiceBlocked) else None
    return replace(run, faults=run.faults + 1, blocked=blocked)


def expire(run: Run) -> Finish:
    max_s = (run.deadline_at - run.created_at).total_seconds()
    failure = Failure(code="expired", message=f"The run did not end within {max_s:.0f} s.", retryable=True)
    if run.blocked:  # a role that was missing for so long is not about to arrive
        failure = replace(run.blocked, message=f"{failure.message} {run.blocked.message}")
    return Finish("expired", failure, cancel_engine=True)


def action_expired(action_max_s: int) -> Failure:
    message = f"The outputs of the functions were not sent within {action_max_s} s."
    return Failure(code="action_expired", message=message)


def too_many_rounds() -> Failure:
    message = (
        f"The model called the app's functions in {ROUNDS_MAX} rounds without answering. Ask a narrower question, or "
        "give the assistant fewer functions."
    )
    return Failure(code="too_many_rounds", message=message)


def engine_changed(run: Run, engine: str) -> Failure:
    message = f"The app's engine was changed from {run.engine!r} to {engine!r} during the run."
    return Failure(code="engine_changed", message=message, retryable=True)
