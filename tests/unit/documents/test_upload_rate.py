"""The gate: so many uploads a second by all instances together, and none while the service wants to be left alone."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.documents.upload_rate import Gate
from shared.errors import ServiceBusy
from tests.fakes import Clock, InMemoryBlobs
from tests.unit.world import World


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def state(clock: Clock) -> InMemoryBlobs:
    return InMemoryBlobs("state", clock=clock)


def gate(state: InMemoryBlobs, clock: Clock, *, per_s: int = 10) -> Gate:
    return Gate(state, uploads_per_s=per_s, now=clock)


async def test_a_row_of_places_across_instances(state: InMemoryBlobs, clock: Clock) -> None:
    one, other = gate(state, clock), gate(state, clock)
    waits = [await (one if n % 2 else other).admit() for n in range(60)]
    per_second = [waits.count(second) for second in range(max(waits) + 1)]
    assert sum(per_second[:1]) <= 6, "what is due within half a second goes at once"
    assert all(count <= 10 for count in per_second[1:]), per_second
    assert max(waits) == 6


async def test_what_was_not_used_is_not_saved_up(state: InMemoryBlobs, clock: Clock) -> None:
    slow = gate(state, clock)
    await slow.admit()
    clock.forward(3600)
    waits = [await slow.admit() for _ in range(30)]
    assert waits.count(0) <= 10


async def test_a_place_costs_next_to_nothing(state: InMemoryBlobs, clock: Clock) -> None:
    fast = gate(state, clock, per_s=100)
    for _ in range(100):
        await fast.admit()
    assert len(state.outside.calls) <= 10


async def test_closed_for_all_instances(state: InMemoryBlobs, clock: Clock) -> None:
    one, other = gate(state, clock), gate(state, clock)
    assert await other.closed_s() == 0
    await one.close(20.4)
    assert await one.closed_s() == 21
    clock.forward(1.1)
    assert await other.closed_s() == 20
    assert await other.admit() >= 19
    clock.forward(30)
    assert (await one.closed_s(), await other.closed_s()) == (0, 0)
    assert await one.admit() == 0


async def test_a_shorter_closing_does_not_open_it(state: InMemoryBlobs, clock: Clock) -> None:
    one = gate(state, clock)
    await one.close(60)
    await one.close(None)
    assert await one.closed_s() == 60


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
    assert (await world.app.library.scopes.of("storm")).indexing == 20
    await world.settle(looks=5000)
    assert {summary.status for summary in (await world.listing()).values()} == {"indexed"}
    assert len(world.stores.files) == 20
    assert (await world.app.library.scopes.of("storm")).indexing == 0
    assert asked < 200, "they wait for the gate, and do not all try again and again"
    [first] = (await world.document("storm/0.md")).attempts
    assert first.put_off > 0
