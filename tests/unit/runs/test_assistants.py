"""Assistants: every version is kept, and a run uses the version it started with."""

from __future__ import annotations

from typing import Any

import pytest

from shared.errors import Busy, NotFound, ServiceBusy
from shared.models.runs import Assistant
from shared.runs.assistants import DEFAULT
from shared.runs.prompts import GUARD
from tests.fakes import Crash
from tests.unit.world import World


async def put(world: World, name: str = "brief", **more: Any) -> Assistant:
    return await world.app.assistants.put(Assistant(name=name, version=0, updated_at=DEFAULT.updated_at, **more))


async def test_the_default_assistant_exists_and_can_be_changed(world: World) -> None:
    assistants = world.app.assistants
    assert await assistants.find("default") == DEFAULT
    assert [found.name for found in await assistants.list()] == ["default"]
    with pytest.raises(NotFound):
        await assistants.delete("default")
    assert (await put(world, "default", model="other")).version == 1
    assert (await assistants.find("default")).model == "other"
    await assistants.delete("default")
    assert await assistants.find("default") == DEFAULT


async def test_versions_are_numbered_and_kept(world: World) -> None:
    assert (await put(world, instructions="One.")).version == 1
    assert (await put(world, instructions="Two.")).version == 2
    await world.app.assistants.delete("brief")
    with pytest.raises(NotFound) as caught:
        await world.app.assistants.find("brief")
    assert caught.value.code == "assistant_not_found"
    with pytest.raises(NotFound):
        await world.app.assistants.delete("brief")
    assert [found.name for found in await world.app.assistants.list()] == ["default"]
    assert (await put(world, instructions="Three.")).version == 3
    said = [(await world.app.assistants.version("brief", n)).instructions for n in (1, 2, 3)]
    assert said == ["One.", "Two.", "Three."]
    with pytest.raises(NotFound):
        await world.app.assistants.version("brief", 4)


async def test_a_run_keeps_the_version_it_started_with(world: World) -> None:
    await world.drop("c/a.md")
    await put(
        world,
        model="m",
        instructions="One.",
        temperature=0.5,
        max_output_tokens=99,
        collection="c",
        code_interpreter=False,
        functions=("current_time",),
        max_seconds=77,
    )
    world.outside.fail("engine.start", ServiceBusy("Wait."))
    run = await world.ask(assistant="brief")
    await put(world, instructions="Two.", file_search=False)
    await world.app.assistants.delete("brief")
    await world.finish()
    [ask] = world.engine.asks.values()
    assert (ask.model, ask.temperature, ask.max_output_tokens) == ("m", 0.5, 99)
    assert ask.instructions == f"One.\n{GUARD}", "an assistant cannot leave the guard out"
    assert (ask.code_interpreter, [function.name for function in ask.functions]) == (False, ["current_time"])
    assert set(ask.stores) <= world.stores.stores.keys()
    assert (run.deadline_at - run.created_at).total_seconds() == 77
    answer = world.answer(run.id)
    assert answer.assistant is not None
    assert (answer.status, answer.assistant.name, answer.assistant.version) == ("completed", "brief", 1)
    with pytest.raises(NotFound):
        await world.ask(assistant="brief")


async def test_without_file_search_the_engine_gets_no_store(world: World) -> None:
    await world.drop("a.md")
    await put(world, file_search=False)
    await world.ask(assistant="brief")
    [ask] = world.engine.asks.values()
    assert ask.stores == ()


@pytest.mark.parametrize("when", ["state.read", "state.write assistants/brief/", "state.write assistants/brief.json"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_two_changes_at_the_same_moment(world: World, when: str, after: bool) -> None:
    other = world.instance().assistants
    theirs: list[Assistant | Busy] = []

    async def change() -> None:
        theirs.append(
            await other.put(Assistant(name="brief", version=0, updated_at=DEFAULT.updated_at, instructions="Theirs."))
        )

    world.outside.meanwhile(change, **{"after" if after else "before": when})
    ours = await put(world, instructions="Ours.")
    [their] = theirs
    assert isinstance(their, Assistant)
    assert ours.version != their.version
    for version in (ours, their):
        assert (await world.app.assistants.version("brief", version.version)).instructions == version.instructions


async def test_after_a_crash_the_next_version_can_be_written(world: World) -> None:
    for n in range(1, 4):
        world = World()
        await put(world, instructions="One.")
        for after in (False, True):
            world.outside.crash_at(n, after=after)
            with pytest.raises(Crash):
                await put(world, instructions="Lost.")
            world.restart()
            current = await world.app.assistants.find("brief")
            assert await world.app.assistants.version("brief", current.version) == current
            last = await put(world, instructions="Last.")
            assert await world.app.assistants.version("brief", last.version) == last
