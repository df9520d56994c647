"""Threads: conversations that the service has lost, deleted runs, and another engine."""

from __future__ import annotations

import pytest

from shared.errors import Busy, ChainLost, NotFound, ServiceBusy
from shared.runs.citations import NO_SOURCE
from shared.runs.threads import HISTORY_MAX_CHARS
from tests.unit.world import World

SAID = (("user", "One?"), ("assistant", "Forty-two."))


async def test_after_a_lost_chain_the_history_is_sent_as_text(world: World) -> None:
    first = await world.ask("One?")
    await world.finish()
    world.engine.asks.clear()  # the service keeps responses for 30 days
    second = await world.ask("Two?", thread_id=first.thread_id)
    await world.finish()
    [ask] = world.engine.asks.values()
    assert (ask.previous, ask.history, ask.question) == (None, SAID, "Two?")
    answer = world.answer(second.id)
    assert answer.status == "completed"
    note, _ = answer.notes
    assert "messages were sent again as text" in note
    third = await world.ask("Three?", thread_id=first.thread_id)
    assert third.previous == (await world.runs.find(second.id)).engine_run
    await world.finish()
    assert world.answer(third.id).notes == (NO_SOURCE,)


async def test_a_lost_chain_and_then_a_busy_service(world: World) -> None:
    first = await world.ask("One?")
    await world.finish()
    world.engine.asks.clear()
    world.outside.fail("engine.start", ChainLost("Gone."), ServiceBusy("Wait."))
    second = await world.ask("Two?", thread_id=first.thread_id)
    await world.finish()
    [ask] = world.engine.asks.values()
    assert (ask.previous, ask.history) == (None, SAID)
    assert len(world.answer(second.id).notes) == 2


async def test_after_its_last_run_is_deleted_the_history_is_sent_as_text(world: World) -> None:
    first = await world.ask("One?")
    await world.finish()
    second = await world.ask("Two?", thread_id=first.thread_id)
    await world.finish()
    await world.runs.delete(second.id)
    third = await world.ask("Three?", thread_id=first.thread_id)
    await world.finish()
    ask = list(world.engine.asks.values())[-1]
    assert (ask.previous, ask.history, ask.question) == (None, SAID, "Three?")
    assert len(world.answer(third.id).notes) == 2


async def test_the_history_is_limited_to_the_latest_messages(world: World) -> None:
    long = "x" * (HISTORY_MAX_CHARS // 2)
    first = await world.ask(long)
    await world.finish()
    await world.ask(long, thread_id=first.thread_id)
    await world.finish()
    told = await world.app.threads.history(first.thread_id)
    assert sum(len(text) for _, text in told) <= HISTORY_MAX_CHARS
    assert told[-1] == ("assistant", "Forty-two.")
    assert await world.app.threads.history("thread_none") == ()


async def test_a_thread_of_another_engine(world: World) -> None:
    first = await world.ask()
    await world.finish()
    world.engine.name = "assistants"
    world.app = world.instance()
    with pytest.raises(Busy) as caught:
        await world.ask(thread_id=first.thread_id)
    assert caught.value.code == "thread_of_other_engine"
    assert (await world.ask()).engine == "assistants"
    await world.runs.delete(first.id)
    assert world.engine.forgotten == [], "another engine's runs are not this one's to delete"


async def test_a_thread_created_before_its_first_run(world: World) -> None:
    await world.drop("c/a.md")
    thread = await world.app.threads.create("c", engine="responses")
    run = await world.ask(thread_id=thread.id)
    assert (run.collection, run.thread_id, run.previous) == ("c", thread.id, None)
    await world.finish()
    assert (await world.app.threads.read(thread.id)).value.active_run_id is None


async def test_a_thread_deleted_while_its_run_is_active(world: World) -> None:
    other = world.instance()
    run = await world.ask()
    world.outside.meanwhile(lambda: other.threads.delete(run.thread_id), before="answers.write")
    await world.finish()
    assert world.answer(run.id).status == "completed"
    with pytest.raises(NotFound):
        await world.app.threads.read(run.thread_id)
