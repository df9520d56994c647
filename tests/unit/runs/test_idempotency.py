"""Requests with the same Idempotency-Key start one run, also after crashes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from shared.errors import BadRequest, Busy, NotFound
from shared.models.runs import Run
from shared.runs.runs import Question
from shared.runs.transitions import ORPHAN
from tests.fakes import Crash
from tests.unit.world import World

KEY = "order-4711"


async def test_the_same_request_twice_is_one_run(world: World) -> None:
    first = await world.ask(key=KEY)
    assert (await world.ask(key=KEY)).id == first.id
    await world.finish()
    assert (await world.ask(key=KEY)).status == "completed"
    assert len(world.engine.asks) == 1
    assert (await world.ask(key="another")).id != first.id
    assert (await world.ask()).id != first.id


async def test_a_key_is_for_one_request(world: World) -> None:
    await world.ask("One?", key=KEY)
    with pytest.raises(Busy) as caught:
        await world.ask("Two?", key=KEY)
    assert caught.value.code == "idempotency_key_reused"
    assert len(world.engine.asks) == 1


async def test_a_refused_question_frees_its_key(world: World) -> None:
    with pytest.raises(NotFound):
        await world.ask(collection="none", key=KEY)
    with pytest.raises(BadRequest):
        await world.ask(callback_url="https://elsewhere.example/", key=KEY)
    assert (await world.ask("Put right?", key=KEY)).status == "in_progress"


async def test_a_deleted_run_frees_its_key(world: World) -> None:
    first = await world.ask("One?", key=KEY)
    await world.finish()
    await world.runs.delete(first.id)
    second = await world.ask("Two?", key=KEY)
    assert second.id != first.id
    assert (await world.ask("Two?", key=KEY)).id == second.id
    await world.runs.delete_thread(second.thread_id)
    assert (await world.ask("Two?", key=KEY)).id not in (first.id, second.id)


async def test_a_deleted_run_frees_its_key_for_one_of_two(world: World) -> None:
    """Two requests reuse the key at the same moment: one run."""
    first = await world.ask(key=KEY)
    await world.runs.delete(first.id)
    other = world.instance()
    ids = []

    async def ask() -> None:
        ids.append((await other.runs.start(Question(question="Why?"), idempotency_key=KEY)).id)

    [key] = world.state.names("idempotency/")
    world.outside.calls.clear()
    world.outside.meanwhile_nth(3, ask, after=True)
    ids.append((await world.ask(key=KEY)).id)
    assert world.outside.calls[:3] == [f"state.write {key}", f"state.read {key}", f"state.read runs/{first.id}.json"]
    assert ids == [ids[0]] * 2
    assert world.state.names("runs/") == [f"runs/{ids[0]}.json"]
    assert ids[0] != first.id


async def test_a_run_deleted_after_a_retry_that_found_it(world: World) -> None:
    """The request that created the run crashed before it updated the key."""

    async def die() -> None:
        raise Crash

    world.outside.meanwhile(die, after="state.write runs/")
    with pytest.raises(Crash):
        await world.ask("One?", key=KEY)
    world.restart()
    [name] = world.state.names("runs/")
    first = await world.ask("One?", key=KEY)
    assert name == f"runs/{first.id}.json"
    await world.runs.delete(first.id)
    assert (await world.ask("Two?", key=KEY)).id != first.id


@pytest.mark.parametrize("in_thread", [False, True], ids=["new thread", "old thread"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_the_same_request_at_two_instances(in_thread: bool, after: bool) -> None:
    """The second request arrives before or after each call of the first."""
    calls = len((await _twice(None, in_thread=in_thread, after=after)).outside.calls)
    assert calls > 8
    for n in range(1, calls + 1):
        world = await _twice(n, in_thread=in_thread, after=after)
        records = world.state.names("runs/")
        asked = 2 if in_thread else 1
        assert len(records) == asked, (n, world.outside.calls)
        later = await world.ask(key=KEY, thread_id=world_thread(world, in_thread))
        await world.finish()
        assert len(world.state.names("runs/")) == asked, (n, "a later retry is still the same run")
        assert world.answer(later.id).status == "completed"
        assert len(world.engine.asks) == asked, n


def world_thread(world: World, in_thread: bool) -> str | None:
    return world.state.names("threads/")[0].removeprefix("threads/").removesuffix(".json") if in_thread else None


async def _twice(n: int | None, *, in_thread: bool, after: bool) -> World:
    world = World()
    thread_id = None
    if in_thread:
        thread_id = (await world.ask("First?")).thread_id
        await world.finish()
    other = world.instance()
    world.outside.calls.clear()
    outcomes: list[Run | Busy] = []

    async def ask(start: Callable[..., Awaitable[Run]]) -> None:
        try:
            outcomes.append(await start(Question(question="Why?", thread_id=thread_id), idempotency_key=KEY))
        except Busy as exc:  # allowed for one of two simultaneous requests; a retry gets the run
            outcomes.append(exc)

    if n:
        world.outside.meanwhile_nth(n, lambda: ask(other.runs.start), after=after)
    await ask(world.runs.start)
    assert len(outcomes) == (2 if n else 1)
    assert len({outcome.id for outcome in outcomes if isinstance(outcome, Run)}) == 1
    return world


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_retry_after_a_crash_at_any_call(after: bool) -> None:
    world = World()
    await world.ask(key=KEY)
    calls = len(world.outside.calls)
    assert calls > 8
    for n in range(1, calls + 1):
        world = World()
        world.outside.crash_at(n, after=after)
        with pytest.raises(Crash):
            await world.ask(key=KEY)
        world.restart()
        run = await world.ask(key=KEY)
        assert (await world.ask(key=KEY)).id == run.id
        for _ in range(10):
            await world.finish()
            world.clock.forward(ORPHAN.total_seconds() + 1)
            await world.poller.sweep()
        assert world.state.names("runs/") == [f"runs/{run.id}.json"], n
        assert world.answer(run.id).status == "completed", n
        assert world.state.names("active/") == [], n
