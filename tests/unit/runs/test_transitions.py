"""The decisions after a queue message or a look at the engine, as a table."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.engines.base import Call, Look
from shared.models.runs import AssistantRef, Failure, Function, Run, ToolCall
from shared.runs import transitions
from shared.runs.record import CANCELLED
from shared.runs.transitions import (
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

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ACTION_MAX_S = 600
OVER = {"deadline_at": NOW - MINUTE}
STARTED = {"engine_runs": ("resp_1",), "status": "in_progress"}
CALL = ToolCall(call_id="call_1", name="f", arguments="{}", by="client")
WAITING = {**STARTED, "status": "requires_action", "calls": (CALL,), "next_look_at": NOW + MINUTE}
ANSWERED = {**WAITING, "calls": (replace(CALL, output="1"),)}
BROKEN = Failure(code="server_error", message="No.")


def run_of(**changes: Any) -> Run:
    run = Run(
        id="run_1",
        thread_id="thread_1",
        status="queued",
        question="Why?",
        collection="default",
        stores=(),
        files=(),
        metadata={},
        created_at=NOW - 2 * MINUTE,
        deadline_at=NOW + 13 * MINUTE,
        next_look_at=NOW,
        assistant=AssistantRef(name="default", version=0),
        generation=3,
    )
    return replace(run, **changes)


WANTS_OURS = Look(status="requires_action", calls=(Call(call_id="call_1", name="f", arguments="{}"),))
THEIRS = Function(name="f", description="", parameters={})
TOO_MANY = Finish("failed", transitions.too_many_rounds(), cancel_engine=True)
EXPIRED = Finish(
    "expired",
    Failure(code="expired", message="The run did not end within 60 s.", retryable=True),
    cancel_engine=True,
)


@pytest.mark.parametrize(
    ("changes", "generation", "step"),
    [
        ({}, 3, Launch()),
        (OVER, 3, EXPIRED),
        ({"starting_at": NOW - timedelta(seconds=29)}, 3, Enqueue(transitions.STARTING_AGAIN_S)),
        ({"starting_at": NOW - timedelta(seconds=31)}, 3, Launch()),
        ({"cancelled_at": NOW}, 3, Finish("cancelled", CANCELLED)),
        ({"strays": ("resp_1",)}, 3, Adopt("resp_1")),
        ({"strays": ("resp_1",), **OVER}, 3, EXPIRED),
        ({"strays": ("resp_1",), "starting_at": NOW}, 3, Enqueue(transitions.STARTING_AGAIN_S)),
        ({**STARTED, "strays": ("resp_2",)}, 3, LookAtEngine()),
        (STARTED, 3, LookAtEngine()),
        ({**STARTED, **OVER}, 3, LookAtEngine()),  # it can have ended before the deadline
        ({**STARTED, "cancelled_at": NOW}, 3, LookAtEngine()),
        (WAITING, 3, Drop()),
        ({**WAITING, "next_look_at": NOW}, 3, Finish("expired", transitions.action_expired(600), cancel_engine=True)),
        (ANSWERED, 3, Resume()),
        ({**ANSWERED, "next_look_at": NOW}, 3, Resume()),
        ({"status": "completed"}, 3, Close()),
        ({"status": "failed"}, 2, Close()),
        ({}, 2, Drop()),
        ({}, 4, Drop()),
        (
            {"engine": "assistants"},
            3,
            Finish("failed", transitions.engine_changed(run_of(engine="assistants"), "responses")),
        ),
        ({"engine": "assistants"}, 2, Drop()),
    ],
)
def test_a_message(changes: dict[str, Any], generation: int, step: object) -> None:
    run = run_of(**changes)
    decided = transitions.on_message(run, generation=generation, engine="responses", action_max_s=ACTION_MAX_S, now=NOW)
    assert decided == step


def put_back(delay_s: int, **changes: Any) -> PutBack:
    return PutBack(run_of(**{**STARTED, **changes}), delay_s)


@pytest.mark.parametrize(
    ("changes", "look", "step"),
    [
        ({}, Look(status="in_progress"), put_back(12)),
        ({"faults": 3}, Look(status="queued"), put_back(12)),
        ({"started_at": NOW}, Look(status="in_progress"), put_back(1, started_at=NOW)),
        (OVER, Look(status="in_progress"), EXPIRED),
        ({"cancelled_at": NOW - timedelta(seconds=31)}, Look(status="in_progress"), Finish("cancelled", CANCELLED)),
        ({"cancelled_at": NOW}, Look(status="in_progress"), put_back(12, cancelled_at=NOW)),
        ({}, Look(status="requires_action"), CallFunctions()),
        (OVER, Look(status="requires_action"), EXPIRED),
        ({"rounds": transitions.ROUNDS_MAX - 1}, WANTS_OURS, CallFunctions()),
        ({"rounds": transitions.ROUNDS_MAX}, WANTS_OURS, TOO_MANY),
        ({"rounds": transitions.ROUNDS_MAX, "functions": (THEIRS,)}, WANTS_OURS, CallFunctions()),
        ({"cancelled_at": NOW}, Look(status="requires_action"), Finish("cancelled", CANCELLED, cancel_engine=True)),
        ({}, Look(status="completed"), Finish("completed", None)),
        (OVER, Look(status="completed"), Finish("completed", None)),
        ({}, Look(status="incomplete", failure=BROKEN), Finish("incomplete", BROKEN)),
        ({}, Look(status="failed", failure=BROKEN), Finish("failed", BROKEN)),
        ({}, Look(status="cancelled"), Finish("cancelled", CANCELLED)),
    ],
)
def test_a_look(changes: dict[str, Any], look: Look, step: object) -> None:
    assert transitions.on_look(run_of(**{**STARTED, **changes}), look, NOW) == step


def test_waiting_takes_the_given_delay() -> None:
    assert transitions.wait(run_of(), NOW, delay_s=30) == PutBack(run_of(), 30)


def test_the_time_that_a_run_waits_for_its_caller_does_not_count() -> None:
    run = run_of(**ANSWERED, waiting_at=NOW - 5 * MINUTE)
    resumed = transitions.resumed(run, NOW)
    assert resumed.deadline_at == run.deadline_at + 5 * MINUTE
    assert resumed.waiting_at is None
