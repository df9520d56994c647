"""The gate: so many uploads a second by all instances together, and none while the service wants to be left alone."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.documents.upload_rate import UploadRate
from shared.errors import ServiceBusy
from tests.fakes import Clock, InMemoryBlobs
from tests.unit.world import World


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def state(clock: Clock) -> InMemoryBlobs:
    return InMemoryBlobs("state", clock=clock)


def rate_of(state: InMemoryBlobs, clock: Clock, *, per_s: int = 10) -> UploadRate:
    return UploadRate(state, uploads_per_s=per_s, now=clock)


async def test_a_row_of_places_across_instances(state: InMemoryBlobs, clock: Clock) -> None:
    one, other = rate_of(state, clock), rate_of(state, clock)
    waits = [await (one if n % 2 else other).reserve_slot() for n in range(60)]
    per_second = [waits.count(second) for second in range(max(waits) + 1)]
    assert sum(per_second[:1]) <= 6, "what is due within half a second goes at once"
    assert all(count <= 10 for count in per_second[1:]), per_second
    assert max(waits) == 6


async def test_what_was_not_used_is_not_saved_up(state: InMemoryBlobs, clock: Clock) -> None:
    slow = rate_of(state, clock)
    await slow.reserve_slot()
    clock.forward(3600)
    waits = [await slow.reserve_slot() for _ in range(30)]
    assert waits.count(0) <= 10


async def test_a_place_costs_next_to_nothing(state: InMemoryBlobs, clock: Clock) -> None:
    fast = rate_of(state, clock, per_s=100)
    for _ in range(100):
        await fast.reserve_slot()
    assert len(state.outside.calls) <= 10


async def test_closed_for_all_instances(state: InMemoryBlobs, clock: Clock) -> None:
    one, other = rate_of(state, clock), rate_of(state, clock)
    assert await other.paused_s() == 0
    await one.pause(20.4)
    assert await one.paused_s() == 21
    clock.forward(1.1)
    assert await other.paused_s() == 20
    assert await other.reserve_slot() >= 19
    clock.forward(30)
    assert (await one.paused_s(), await other.paused_s()) == (0, 0)
    assert await one.reserve_slot() == 0


async def test_a_shorter_closing_does_not_open_it(state: InMemoryBlobs, clock: Clock) -> None:
    one = rate_of(state, clock)
    await one.pause(60)
    await one.pause(None)
    assert await one.paused_s() == 60


async def test_a_storm_loses_nothing(world: World) -> None:
    """Five minutes in which the service takes nothing, while twenty documents come."""
    end = world.clock() + timedelta(minutes=5)
    asked = 0
    upload = world.stores.upload

    async def throttled(name: str, content: object) -> str:
        nonlocal asked
        if world.clock() < end:
            asked += 1
            raise ServiceBusy("Too many requests.", retry_after_s=8)
        return await upload(name, content)  # type: ignore[arg-type]

    world.stores.upload = throttled  # type: ignore[method-assign]
    for n in range(20):
        world.blobs.put(f"storm/{n}.md", b"Words.")
        await world.documents.index(f"storm/{n}.md")
    assert (await world.app.library.visibility.of("storm")).indexing == 20
    await world.settle(looks=5000)
    assert {summary.status for summary in (await world.listing()).values()} == {"indexed"}
    assert len(world.stores.files) == 20
    assert (await world.app.library.visibility.of("storm")).indexing == 0
    assert asked < 200, "they wait for the gate, and do not all try again and again"
    [first] = (await world.document("storm/0.md")).attempts
    assert first.put_off > 0
