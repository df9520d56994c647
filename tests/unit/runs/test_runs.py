"""The life of a run: repeated, lost and late messages, a busy service, concurrent instances, crashes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.engines.base import Look, MadeFile, Output
from shared.errors import ServiceBusy, ServiceError, ServiceMissing
from shared.models.runs import Activity, Failure, Run, Usage
from shared.runs.messages import RunLook
from shared.runs.prompts import INSTRUCTIONS
from shared.runs.transitions import MISSING_TRIES, ORPHAN, START_CLAIM
from tests.fakes import Crash
from tests.unit.world import RUN_DEFAULT_S, World

GOING_ON = Look(status="in_progress", activity=(Activity(type="file_search", status="completed"),))
BUSY = ServiceBusy("Too many requests.")
CHART = MadeFile(container_id="cntr_1", file_id="cfile_1", filename="trend.png", start=4, end=36)
TABLE = MadeFile(container_id="cntr_1", file_id="cfile_2", filename="table.csv")


def with_files(world: World) -> None:
    world.engine.files = {"cfile_1": b"\x89PNG", "cfile_2": b"a,b"}
    world.engine.output = Output(
        text="See ![trend](sandbox:/mnt/data/trend.png).",
        made=(CHART, TABLE),
        model="fake",
        usage=Usage(input_tokens=1_000_000, code_interpreter_calls=2, code_interpreter_sessions=1),
        containers=("cntr_1",),
    )


def starts(world: World) -> int:
    return len(world.engine.asks)


# ---- without disturbance -----------------------------------------------------------------------------------------


async def test_a_run_from_question_to_answer(world: World) -> None:
    await world.drop("guide.md", b"The limit is 42.")
    world.engine.script = [Look(status="queued"), GOING_ON]
    run = await world.ask("What is the limit?", metadata={"team": "a"})
    assert (run.status, run.thread_id[:7], world.answers.names()) == ("in_progress", "thread_", [])
    [ask] = world.engine.asks.values()
    assert (ask.run_id, ask.question, ask.model, ask.previous) == (run.id, "What is the limit?", "test-model", None)
    assert set(ask.stores) <= world.stores.stores.keys()
    assert ask.instructions == INSTRUCTIONS

    await world.deliver(times=2)
    assert (await world.runs.find(run.id)).activity == GOING_ON.activity
    await world.finish()
    run = await world.runs.find(run.id)
    answer = world.answer(run.id)
    assert (run.status, answer.status, answer.answer, answer.metadata) == (
        "completed",
        "completed",
        "Forty-two.",
        {"team": "a"},
    )
    assert answer.timings.looks == 3
    assert answer.timings.total_ms == answer.timings.queued_ms + answer.timings.run_ms == 3000
    assert world.state.names("active/") == []
    assert world.markdown(run.id).startswith("# What is the limit?")


async def test_delays_between_looks_grow(world: World) -> None:
    world.engine.script = [GOING_ON] * 50
    await world.ask()
    delays = []
    while world.queue.messages:
        delays.append(world.queue.messages[0].delay_s)
        await world.deliver()
    assert delays[:5] == [1, 1, 1, 1, 1]
    assert delays == sorted(delays)
    assert max(delays) == 30


@pytest.mark.parametrize(
    ("look", "status", "code"),
    [
        (
            Look(status="failed", failure=Failure(code="server_error", message="Oops.", retryable=True)),
            "failed",
            "server_error",
        ),
        (Look(status="cancelled"), "cancelled", "cancelled"),
        (
            Look(
                status="incomplete",
                output=Output(text="Half an ans"),
                failure=Failure(code="max_output_tokens", message="Too long."),
            ),
            "incomplete",
            "max_output_tokens",
        ),
    ],
    ids=lambda value: getattr(value, "status", None),
)
async def test_a_run_that_does_not_complete(world: World, look: Look, status: str, code: str | None) -> None:
    world.engine.script = [look]
    run = await world.ask()
    await world.finish()
    run, answer = await world.runs.find(run.id), world.answer(run.id)
    assert run.status == answer.status == status
    assert (answer.error.code if answer.error else None) == code
    assert answer.error == run.error
    assert answer.answer == (look.output.text if look.output else None)
    assert world.state.names("active/") == []


async def test_a_refused_start_ends_the_run(world: World) -> None:
    world.outside.fail("engine.start", ServiceError("Not allowed.", code="content_filter"))
    run = await world.ask()
    assert (run.status, run.error) == ("failed", Failure(code="content_filter", message="Not allowed."))
    assert world.answer(run.id).error == run.error
    assert (world.queue.messages, world.state.names("active/")) == ([], [])


async def test_an_engine_run_that_no_longer_exists(world: World) -> None:
    run = await world.ask()
    world.outside.fail("engine.look", *[ServiceMissing("No such response.")] * (MISSING_TRIES + 1))
    await world.finish()
    assert world.answer(run.id).error == Failure(code="service_object_missing", message="No such response.")


@pytest.mark.parametrize("call", ["engine.start", "engine.look"])
async def test_a_service_that_denies_what_it_has(world: World, call: str) -> None:
    world.engine.script = [GOING_ON]
    world.outside.fail(call, *[ServiceMissing("No such object.")] * MISSING_TRIES)
    run = await world.ask()
    await world.finish()
    assert (world.answer(run.id).status, starts(world)) == ("completed", 1)


# ---- a busy service ----------------------------------------------------------------------------------------------


async def test_an_accepted_run_waits_for_a_busy_service(world: World) -> None:
    world.outside.fail("engine.start", BUSY, ServiceBusy("Wait.", retry_after_s=100), BUSY)
    run = await world.ask()
    assert (run.status, run.engine_run) == ("queued", None)
    delays = []
    while world.queue.messages:
        delays.append(world.queue.messages[0].delay_s)
        await world.deliver()
    assert 101 in delays
    assert world.answer(run.id).status == "completed"
    assert starts(world) == 1


async def test_a_busy_service_does_not_end_an_active_run(world: World) -> None:
    world.engine.script = [GOING_ON, GOING_ON]
    world.outside.fail("engine.look", *[BUSY] * 5)
    run = await world.ask()
    await world.finish()
    assert world.answer(run.id).status == "completed"


async def test_a_service_that_stays_busy_ends_the_run_at_the_deadline(world: World) -> None:
    world.outside.fail("engine.start", *[BUSY] * 1000)
    start = world.clock()
    run = await world.ask()
    await world.finish()
    answer = world.answer(run.id)
    assert answer.error is not None
    assert (answer.status, answer.error.code, answer.error.retryable) == ("expired", "expired", True)
    assert timedelta(0) < world.clock() - start - timedelta(seconds=RUN_DEFAULT_S) < timedelta(minutes=2)


async def test_a_run_that_never_ends_is_cancelled_at_its_deadline(world: World) -> None:
    world.engine.script = [GOING_ON] * 1000
    run = await world.ask()
    await world.finish()
    assert world.answer(run.id).status == "expired"
    assert world.engine.cancelled == ["resp_1"]


async def test_a_cancel_that_fails_does_not_keep_a_run_alive(world: World) -> None:
    world.engine.script = [GOING_ON] * 1000
    world.outside.fail("engine.cancel", ServiceError("No."))
    run = await world.ask()
    await world.finish()
    assert world.answer(run.id).status == "expired"


async def test_an_answer_completed_in_time_is_kept_after_the_deadline(world: World) -> None:
    run = await world.ask()
    world.clock.forward(RUN_DEFAULT_S + 100)
    await world.finish()
    assert world.answer(run.id).status == "completed"


# ---- concurrent instances ----------------------------------------------------------------------------------------


async def test_a_stale_message_does_nothing(world: World) -> None:
    world.engine.script = [GOING_ON] * 5
    run = await world.ask()
    await world.deliver()
    calls = len(world.outside.calls)
    await world.poller.advance(RunLook(run.id, run.generation - 1))
    assert world.outside.calls[calls:] == [f"state.read runs/{run.id}.json"]


async def test_a_message_of_an_unknown_run_does_nothing(world: World) -> None:
    await world.poller.advance(RunLook("run_unknown", 0))
    await world.poller.fail(RunLook("run_unknown", 0))
    assert world.queue.messages == []


@pytest.mark.parametrize("going_on", [True, False], ids=["goes on", "ends"])
@pytest.mark.parametrize("when", ["engine.look", "state.write runs", "answers.write", "state.delete"])
async def test_the_same_message_at_two_instances(world: World, going_on: bool, when: str) -> None:
    other = world.instance()
    with_files(world)
    run = await world.ask()
    if going_on:
        world.engine.script = [GOING_ON, GOING_ON]
    sent = world.queue.take()
    world.clock.now = sent.due_at
    world.outside.meanwhile(lambda: other.poller.advance(RunLook(run.id, sent.message["generation"])), before=when)
    await world.poller.advance(RunLook(run.id, sent.message["generation"]))
    assert len(world.queue.messages) == (1 if going_on else 0)
    await world.finish()
    answer = world.answer(run.id)
    assert answer.status == "completed"
    assert_consistent(world, run, answer_text=answer.answer or "")


def assert_consistent(world: World, run: Run, answer_text: str) -> None:
    answer = world.answer(run.id)
    markdown = world.markdown(run.id)
    for chart in answer.charts:
        assert len(world.answers.content(chart.path)) == chart.size_bytes
    assert answer_text.replace(f"]({run.id}/", "](") in markdown
    assert ("**expired**" in markdown) == (answer.status == "expired")
    assert world.state.names("active/") == []


async def test_expiry_and_completion_at_the_same_moment(world: World) -> None:
    """Answer, Markdown and record agree."""
    other = world.instance()
    with_files(world)
    run = await world.ask()
    sent = world.queue.take()
    generation = sent.message["generation"]

    async def past_deadline() -> None:
        world.clock.forward(RUN_DEFAULT_S + 100)
        world.engine.script = [GOING_ON]  # as the other instance sees it
        await other.poller.advance(RunLook(run.id, generation))

    world.outside.meanwhile(past_deadline, before="answers.write")
    await world.poller.advance(RunLook(run.id, generation))
    answer, record = world.answer(run.id), await world.runs.find(run.id)
    assert answer.status == record.status
    assert_consistent(world, run, answer_text=answer.answer or "")


async def test_a_slow_start_is_not_repeated(world: World) -> None:
    """While the engine's run is being created, the sweep and its messages run."""
    other = world.instance()

    async def meanwhile() -> None:
        for _ in range(3):
            world.clock.forward((START_CLAIM.total_seconds() - 1) / 3)
            await other.poller.sweep()
            await world.look_at_all(other.poller)

    world.outside.meanwhile(meanwhile, before="engine.start")
    run = await world.ask()
    await world.poller.sweep()
    await world.finish()
    assert world.answer(run.id).status == "completed"
    assert starts(world) == 1


async def test_an_engine_run_started_too_late_is_cancelled(world: World) -> None:
    other = world.instance()

    async def meanwhile() -> None:
        world.clock.forward(RUN_DEFAULT_S + 1)
        await other.poller.sweep()
        await world.look_at_all(other.poller)

    world.outside.meanwhile(meanwhile, before="engine.start")
    run = await world.ask()
    await world.finish()
    assert world.answer(run.id).status == "expired"
    assert world.engine.cancelled == list(world.engine.asks)


# ---- crashes -----------------------------------------------------------------------------------------------------


async def test_a_repeated_end_does_not_change_the_published_answer(world: World) -> None:
    """The process crashes after answer.json; the chart's container has expired when the message is delivered again."""
    with_files(world)
    second = MadeFile(container_id="cntr_1", file_id="cfile_3", filename="second.png")
    world.engine.output = replace(world.engine.output, made=(CHART, second))
    world.engine.files["cfile_3"] = b"second"
    run = await world.ask()
    sent = world.queue.take()
    world.clock.now = sent.due_at
    world.outside.meanwhile(die, after=f"answers.write {run.id}/answer.json")
    with pytest.raises(Crash):
        await world.poller.advance(RunLook(run.id, sent.message["generation"]))
    before = {name: world.answers.content(name) for name in world.answers.names()}
    del world.engine.files["cfile_1"]
    world.restart()
    await world.poller.advance(RunLook(run.id, sent.message["generation"]))
    assert {name: world.answers.content(name) for name in world.answers.names()} == before
    assert (await world.runs.find(run.id)).status == "completed"


async def die() -> None:
    raise Crash


# ---- the sweep ---------------------------------------------------------------------------------------------------


async def test_a_lost_message_is_replaced(world: World) -> None:
    run = await world.ask()
    world.queue.messages.clear()
    assert await world.poller.sweep() == 0
    world.clock.forward(60)
    assert await world.poller.sweep() == 1
    await world.finish()
    assert world.answer(run.id).status == "completed"


async def test_the_sweep_removes_orphaned_markers(world: World) -> None:
    run = await world.ask()
    await world.finish()
    world.state.put(f"active/{run.id}", b"")
    world.state.put("active/run_of_a_request_that_died", b"")
    await world.poller.sweep()
    assert world.state.names("active/") == ["active/run_of_a_request_that_died"]
    world.clock.forward(ORPHAN.total_seconds() + 1)
    await world.poller.sweep()
    assert world.state.names("active/") == []


# ---- the host gives up -------------------------------------------------------------------------------------------


async def test_a_poisoned_run_fails(world: World) -> None:
    run = await world.ask()
    await world.poller.fail(RunLook(run.id, 0))
    answer = world.answer(run.id)
    assert answer.error is not None
    assert (answer.status, answer.error.code, answer.error.retryable) == ("failed", "internal_error", True)
    assert world.state.names("active/") == []
    follow_up = await world.ask(thread_id=run.thread_id)
    assert follow_up.previous is None


async def test_a_poisoned_message_of_an_ended_run_changes_nothing(world: World) -> None:
    run = await world.ask()
    await world.finish()
    await world.poller.fail(RunLook(run.id, 0))
    assert world.answer(run.id).status == "completed"
