"""How many hooks there can be, and what becomes of one that fails."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from shared.errors import BadRequest, Busy, ServiceBusy
from shared.push.notices import HOOKS_MAX, Hook
from tests.unit.push.test_notices import DATA, OTHER, URL, World


@pytest.fixture
def world() -> World:
    return World()


async def hook_of(world: World, hook_id: str) -> Hook:
    return next(hook for hook in await world.push.hooks() if hook.id == hook_id)


async def attempts(world: World, answers: list[int | BadRequest | ServiceBusy], *, run: str = "run_1") -> int:
    """Announce one run, deliver until the queue is empty, and count the attempts."""
    before = len(world.sender.posts)
    world.sender.answers = answers
    await world.push.announce("run.finished", id=run, data=DATA)
    await world.drain()
    return len(world.sender.posts) - before


async def test_there_are_at_most_so_many_hooks(world: World) -> None:
    for _ in range(HOOKS_MAX):
        await world.push.subscribe(URL, ("run.finished",))
    with pytest.raises(Busy, match="GET /api/hooks") as caught:
        await world.push.subscribe(URL, ("run.finished",))
    assert caught.value.code == "too_many_hooks"
    hooks = await world.push.hooks()
    assert len(hooks) == HOOKS_MAX
    await world.push.unsubscribe(hooks[0].id)
    await world.push.subscribe(URL, ("run.finished",))


async def test_a_hook_that_fails_for_a_day_is_switched_off(world: World) -> None:
    hook = await world.push.subscribe(URL, ("run.finished",))
    assert await attempts(world, [500] * 20) == 9
    off = await hook_of(world, hook.id)
    assert off.off_at is not None
    assert (off.failures, off.reason) == (9, "The receiver answered 500.")
    assert await attempts(world, [200], run="run_2") == 0
    assert world.queue.messages == []


async def test_a_failed_delivery_that_succeeds_later_leaves_the_hook_on(world: World) -> None:
    hook = await world.push.subscribe(URL, ("run.finished",))
    for run in range(30):
        assert await attempts(world, [500] * 7 + [200], run=f"run_{run}") == 8
        assert (await hook_of(world, hook.id)).failures == 0
    assert (await hook_of(world, hook.id)).off_at is None


async def test_many_failures_switch_a_hook_off_after_an_hour(world: World) -> None:
    """What a dead receiver costs is bounded, however many events there are."""
    hook = await world.push.subscribe(URL, ("run.finished",))
    world.sender.answers = [ServiceBusy("Out of reach.")] * 5_000
    for run in range(500):
        await world.push.announce("run.finished", id=f"run_{run}", data=DATA)
    for _ in range(500):  # a restart of the receiver: many attempts fail within a moment
        sent = world.queue.take()
        await world.push.deliver(msgspec.json.encode(sent.message))
    assert (await hook_of(world, hook.id)).off_at is None
    await world.drain()
    assert (await hook_of(world, hook.id)).off_at is not None
    assert len(world.sender.posts) < 500 * 6


async def test_a_hook_that_is_off_gives_way_to_a_new_one(world: World) -> None:
    dead = await world.push.subscribe(URL, ("run.finished",))
    await attempts(world, [500] * 20)
    for _ in range(HOOKS_MAX):
        await world.push.subscribe(OTHER, ("run.finished",))
    assert dead.id not in {hook.id for hook in await world.push.hooks()}
    assert len(await world.push.hooks()) == HOOKS_MAX


async def test_deliveries_that_write_the_same_hook_at_once_do_not_raise(world: World) -> None:
    await world.push.subscribe(URL, ("run.finished",))
    world.sender.answers = [500] * 40
    for run in range(40):
        await world.push.announce("run.finished", id=f"run_{run}", data=DATA)
    messages = [msgspec.json.encode(world.queue.take().message) for _ in range(40)]
    await asyncio.gather(*(world.push.deliver(message) for message in messages))
    assert len(world.queue.messages) == 40, "each is tried again"


async def test_a_hook_stored_before_is_read(world: World) -> None:
    """By an earlier version of the app, without the later fields."""
    hook = {"id": "hook_" + "a" * 24, "url": URL, "events": ["run.finished"], "created_at": "2026-01-01T00:00:00Z"}
    name = f"hooks/{hook['id']}.json"
    world.state.put(name, msgspec.json.encode(hook), metadata={"events": "run.finished"})
    assert await attempts(world, [200]) == 1
    assert [(one.failures, one.off_at, one.host) for one in await world.push.hooks()] == [(0, None, "receiver.example")]
