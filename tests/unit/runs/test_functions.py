"""Function calls of the app and of the caller; outputs that are late, repeated, wrong or missing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from shared.engines.base import Call
from shared.errors import BadRequest, Busy, ServiceBusy, ServiceError
from shared.models.documents import DEFAULT_COLLECTION
from shared.models.runs import Assistant, Function, Run
from shared.runs import tools, transitions
from shared.runs.assistants import DEFAULT
from shared.runs.tools import REGISTRY, tool
from shared.runs.transitions import OVERDUE
from tests.unit.runs.test_runs import GOING_ON
from tests.unit.world import ACTION_MAX_S, RUN_DEFAULT_S, World

WEATHER = Function(name="weather", description="Of a city.", parameters={"type": "object", "properties": {}})
ROOM = Function(name="room", description="Of a guest.", parameters={"type": "object", "properties": {}})
OURS = Call(call_id="call_s", name="stock", arguments='{"item": "lamp"}')
THEIRS = Call(call_id="call_1", name="weather", arguments='{"city": "Rome"}')
MORE = Call(call_id="call_2", name="room", arguments="{}")


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Registers a function of the app; lists the arguments of its calls."""
    called: list[str] = []
    monkeypatch.setattr(tools, "REGISTRY", REGISTRY.copy())

    @tool
    def stock(item: str) -> dict[str, int]:
        """How many there are."""
        called.append(item)
        if item == "none":
            raise LookupError("no such item")
        return {item: 3}

    yield called


async def assistant(world: World) -> str:
    await world.app.assistants.put(
        Assistant(name="clerk", version=0, updated_at=DEFAULT.updated_at, functions=("stock",))
    )
    return "clerk"


async def ask(world: World, *rounds: tuple[Call, ...]) -> Run:
    """A run at its first function calls."""
    world.engine.rounds = list(rounds)
    run = await world.ask(assistant=await assistant(world), functions=(WEATHER, ROOM))
    while world.queue.messages and (await world.runs.find(run.id)).status == "in_progress":
        await world.deliver()
    return await world.runs.find(run.id)


def handed_over(world: World) -> list[dict[str, str]]:
    return list(world.engine.outputs.values())


# ---- the app's own -----------------------------------------------------------------------------------------------


async def test_a_function_of_the_app_is_called_and_the_run_continues(world: World, registry: list[str]) -> None:
    run = await ask(world, (OURS,))
    await world.finish()
    assert registry == ["lamp"]
    assert handed_over(world) == [{"call_s": '{"lamp":3}'}]
    answer = world.answer(run.id)
    assert (answer.status, answer.notes) == ("completed", ()), "a function is a source"
    record = await world.runs.find(run.id)
    assert (record.engine_runs, record.calls) == (("resp_1", "resp_2"), ())
    assert [function.name for function in world.engine.asks["resp_2"].functions] == ["stock", "weather", "room"]


@pytest.mark.parametrize(
    ("name", "arguments", "error"),
    [
        ("stock", '{"item": "none"}', "LookupError: no such item"),
        ("stock", '{"item": 7}', "not valid"),
        ("stock", "{", "not valid"),
        ("never_made", "{}", "no function"),
    ],
)
async def test_an_error_goes_back_to_the_model(world: World, name: str, arguments: str, error: str) -> None:
    run = await ask(world, (Call(call_id="call_s", name=name, arguments=arguments),))
    await world.finish()
    [outputs] = handed_over(world)
    assert error in json.loads(outputs["call_s"])["error"]
    assert world.answer(run.id).status == "completed"


async def test_a_function_that_never_returns(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    @tool
    async def waits() -> None:
        """Waits."""
        await asyncio.Event().wait()

    monkeypatch.setattr(tools.call, "__kwdefaults__", {"timeout_s": 0.01})
    run = await ask(world, (Call(call_id="call_s", name="waits", arguments="{}"),))
    await world.finish()
    assert "did not return" in handed_over(world)[0]["call_s"]
    assert world.answer(run.id).status == "completed"


async def test_several_rounds(world: World, registry: list[str]) -> None:
    run = await ask(world, (OURS,), (OURS, THEIRS), (MORE,))
    assert run.status == "in_progress" or run.calls
    await world.finish()
    await world.runs.submit_outputs(run.id, {"call_1": "sun"})
    await world.finish()
    await world.runs.submit_outputs(run.id, {"call_2": "101"})
    await world.finish()
    assert handed_over(world) == [
        {"call_s": '{"lamp":3}'},
        {"call_s": '{"lamp":3}', "call_1": "sun"},
        {"call_2": "101"},
    ]
    assert registry == ["lamp", "lamp"]
    assert world.answer(run.id).status == "completed"
    assert len((await world.runs.find(run.id)).engine_runs) == 4


@pytest.mark.parametrize("by", ["app", "caller"])
async def test_a_model_that_keeps_calling_functions(world: World, by: str) -> None:
    """The app's own functions cost nobody a thought, so their rounds are counted; the caller can stop by itself."""
    rounds = transitions.ROUNDS_MAX + 5
    call = OURS if by == "app" else THEIRS
    run = await ask(world, *[(replace(call, call_id=f"call_{n}"),) for n in range(rounds)])
    for n in range(rounds):
        await world.finish()
        if by == "caller":
            await world.runs.submit_outputs(run.id, {f"call_{n}": "sun"})
    await world.finish()
    answer = world.answer(run.id)
    if by == "caller":
        assert answer.status == "completed"
        return
    assert answer.error
    assert (answer.status, answer.error.code) == ("failed", "too_many_rounds")
    assert len(world.engine.outputs) == transitions.ROUNDS_MAX
    assert world.engine.cancelled == [(await world.runs.find(run.id)).engine_runs[-1]]
    assert world.state.names("active/") == []


# ---- the caller's ------------------------------------------------------------------------------------------------


async def test_a_waiting_run_makes_no_calls(world: World) -> None:
    run = await ask(world, (THEIRS, MORE))
    assert run.status == "requires_action"
    assert [(call.call_id, call.by, call.output) for call in run.calls] == [
        ("call_1", "client", None),
        ("call_2", "client", None),
    ]
    assert world.queue.messages == []
    calls = len(world.outside.calls)
    world.clock.forward(3 * 24 * 3600)
    assert await world.poller.sweep() == 0
    assert world.queue.messages == []
    assert not [call for call in world.outside.calls[calls:] if call.startswith("engine") or "write" in call]


async def test_outputs_resume_the_run(world: World) -> None:
    run = await ask(world, (THEIRS, MORE))
    world.clock.forward(2 * 24 * 3600)
    partial = await world.runs.submit_outputs(run.id, {"call_1": "sun"})
    assert partial.status == "requires_action"
    assert [call.output for call in partial.calls] == ["sun", None]
    assert world.queue.messages == []
    await world.runs.submit_outputs(run.id, {"call_2": "101"})
    assert len(world.queue.messages) == 1
    await world.finish()
    assert handed_over(world) == [{"call_1": "sun", "call_2": "101"}]
    assert world.answer(run.id).status == "completed"


async def test_the_waiting_time_does_not_count(world: World) -> None:
    run = await ask(world, (THEIRS,))
    world.clock.forward(2 * 24 * 3600)
    await world.runs.submit_outputs(run.id, {"call_1": "sun"})
    world.engine.script = [GOING_ON] * 10
    await world.finish()
    assert world.answer(run.id).status == "completed"


async def test_the_deadline_applies_after_the_wait(world: World) -> None:
    run = await ask(world, (THEIRS,))
    world.clock.forward(24 * 3600)
    await world.runs.submit_outputs(run.id, {"call_1": "sun"})
    start = world.clock()
    world.engine.script = [GOING_ON] * 1000
    await world.finish()
    assert world.answer(run.id).status == "expired"
    assert RUN_DEFAULT_S - 60 < (world.clock() - start).total_seconds() < RUN_DEFAULT_S + 60


async def test_a_service_that_stays_busy_for_outputs_ends_the_run_at_the_deadline(world: World) -> None:
    run = await ask(world, (THEIRS,))
    world.outside.fail("engine.answer_calls", *[ServiceBusy("Wait.")] * 10_000)
    await world.runs.submit_outputs(run.id, {"call_1": "sun"})
    await world.finish(looks=1000)
    assert world.answer(run.id).status == "expired"


async def test_a_service_that_is_busy_for_a_while_gets_the_outputs_later(world: World) -> None:
    run = await ask(world, (THEIRS,))
    world.outside.fail("engine.answer_calls", *[ServiceBusy("Wait.")] * 3)
    await world.runs.submit_outputs(run.id, {"call_1": "sun"})
    await world.finish()
    assert handed_over(world) == [{"call_1": "sun"}]
    assert world.answer(run.id).status == "completed"


async def test_a_service_that_refuses_the_outputs(world: World) -> None:
    run = await ask(world, (THEIRS,))
    world.outside.fail("engine.answer_calls", ServiceError("Too odd.", code="invalid_output"))
    await world.runs.submit_outputs(run.id, {"call_1": "sun"})
    await world.finish()
    error = world.answer(run.id).error
    assert error is not None
    assert error.code == "invalid_output"


async def test_outputs_that_are_never_sent_expire_the_run(world: World) -> None:
    run = await ask(world, (THEIRS, MORE))
    await world.runs.submit_outputs(run.id, {"call_1": "sun"})
    world.clock.forward(ACTION_MAX_S + OVERDUE.total_seconds() + 1)
    assert await world.poller.sweep() == 1
    await world.finish()
    answer = world.answer(run.id)
    assert answer.error is not None
    assert (answer.status, answer.error.code) == ("expired", "action_expired")
    with pytest.raises(Busy) as caught:
        await world.runs.submit_outputs(run.id, {"call_2": "101"})
    assert caught.value.code == "run_ended"


async def test_outputs_twice(world: World) -> None:
    run = await ask(world, (THEIRS, MORE))
    await world.runs.submit_outputs(run.id, {"call_1": "sun"})
    await world.runs.submit_outputs(run.id, {"call_1": "sun"})
    with pytest.raises(Busy) as caught:
        await world.runs.submit_outputs(run.id, {"call_1": "rain", "call_2": "101"})
    assert caught.value.code == "output_already_given"
    assert [call.output for call in (await world.runs.find(run.id)).calls] == ["sun", None]
    await world.runs.submit_outputs(run.id, {"call_1": "sun", "call_2": "101"})
    await world.runs.submit_outputs(run.id, {"call_2": "101"})
    assert len(world.queue.messages) == 1
    await world.finish()
    assert handed_over(world) == [{"call_1": "sun", "call_2": "101"}]
    assert (await world.runs.submit_outputs(run.id, {"call_2": "101"})).status == "completed", (
        "the same again, but late"
    )
    with pytest.raises(Busy) as caught:
        await world.runs.submit_outputs(run.id, {"call_2": "102"})
    assert caught.value.code == "output_already_given"


async def test_outputs_of_unknown_calls_are_refused(world: World) -> None:
    run = await ask(world, (OURS, THEIRS))
    for call_id in ("call_9", "", "call_s"):
        with pytest.raises(BadRequest) as caught:
            await world.runs.submit_outputs(run.id, {call_id: "x", "call_1": "sun"})
        assert caught.value.code == "unknown_call_id"
    assert [call.output for call in (await world.runs.find(run.id)).calls if call.by == "client"] == [None]


async def test_outputs_without_a_call_are_refused(world: World) -> None:
    world.engine.script = [GOING_ON]
    run = await world.ask(functions=(WEATHER,))
    with pytest.raises(BadRequest):
        await world.runs.submit_outputs(run.id, {"call_1": "sun"})


async def test_outputs_after_a_cancel(world: World) -> None:
    run = await ask(world, (THEIRS,))
    await world.runs.cancel(run.id)
    with pytest.raises(Busy) as caught:
        await world.runs.submit_outputs(run.id, {"call_1": "sun"})
    assert caught.value.code == "run_ended"
    assert world.answer(run.id).status == "cancelled"


async def test_a_cancel_after_the_outputs(world: World) -> None:
    run = await ask(world, (THEIRS,))
    await world.runs.submit_outputs(run.id, {"call_1": "sun"})
    await world.runs.cancel(run.id)
    await world.finish()
    assert world.answer(run.id).status == "cancelled"
    assert handed_over(world) == []


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_cancel_while_the_engine_gets_the_outputs(world: World, after: bool) -> None:
    other = world.instance()
    run = await ask(world, (THEIRS,))
    world.outside.meanwhile(
        lambda: other.runs.cancel(run.id), **{"after" if after else "before": "engine.answer_calls"}
    )
    await world.runs.submit_outputs(run.id, {"call_1": "sun"})
    await world.finish()
    assert world.answer(run.id).status == (await world.runs.find(run.id)).status == "cancelled"
    assert "resp_2" in world.engine.cancelled


@pytest.mark.parametrize("when", ["state.read", "state.write", "runs.send"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_two_callers_with_one_output_each(world: World, when: str, after: bool) -> None:
    other = world.instance()
    run = await ask(world, (THEIRS, MORE))
    world.outside.meanwhile(
        lambda: other.runs.submit_outputs(run.id, {"call_2": "101"}), **{"after" if after else "before": when}
    )
    await world.runs.submit_outputs(run.id, {"call_1": "sun"})
    if when == "runs.send":  # the first alone sends no message
        await world.runs.submit_outputs(run.id, {"call_2": "101"})
    await world.finish()
    assert handed_over(world) == [{"call_1": "sun", "call_2": "101"}]
    assert world.answer(run.id).status == "completed"


async def test_a_lost_message_after_the_outputs_is_found_by_the_sweep(world: World) -> None:
    run = await ask(world, (THEIRS,))
    await world.runs.submit_outputs(run.id, {"call_1": "sun"})
    world.queue.messages.clear()
    world.clock.forward(OVERDUE.total_seconds() + 1)
    await world.poller.sweep()
    await world.finish()
    assert world.answer(run.id).status == "completed"


async def test_a_waiting_run_lists_its_calls(world: World) -> None:
    run = await ask(world, (OURS, THEIRS))
    assert run.collection == DEFAULT_COLLECTION
    assert [(call.by, call.output) for call in run.calls] == [("server", '{"lamp":3}'), ("client", None)]
