"""The end of a run, when others write its record at the same moment."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.models.runs import Run
from shared.runs.messages import RunLook
from tests.unit.world import World


async def test_the_end_is_written_over_the_newest_record(world: World) -> None:
    """`answer.json` stands and the record was written by another process: the run must not go on saying 202."""
    run = await world.ask()

    async def touch() -> None:
        await world.app.poller._records.update(run.id, lambda r: replace(r, looks=r.looks + 1))

    world.outside.meanwhile(touch, before=f"state.write runs/{run.id}")
    await world.poller.fail(RunLook(run.id, 0))
    assert (await world.runs.find(run.id)).status == "failed"
    assert world.answer(run.id).status == "failed"


@pytest.mark.parametrize("first", ["fail", "advance"])
async def test_a_failure_and_a_look_at_the_same_moment(world: World, first: str) -> None:
    run = await world.ask()
    look = RunLook(run.id, run.generation)
    one, other = (
        (world.poller.fail, world.poller.advance) if first == "fail" else (world.poller.advance, world.poller.fail)
    )
    world.outside.meanwhile(lambda: other(look), before=f"state.write runs/{run.id}")
    await one(look)
    await world.finish()
    ended: Run = await world.runs.find(run.id)
    assert ended.is_terminal
    assert ended.status == world.answer(run.id).status
    assert world.state.names("active/") == []
