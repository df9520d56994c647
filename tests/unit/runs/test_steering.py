"""Cancel, delete and list runs, in every state and with concurrent instances."""

from __future__ import annotations

from contextlib import suppress

import pytest

from shared.engines.base import Call
from shared.errors import BadRequest, NotFound, ServiceBusy, ServiceError, StorageError
from shared.models.runs import Function, Run, RunStatus
from shared.runs.messages import RunLook
from shared.runs.transitions import ORPHAN
from tests.fakes import Crash
from tests.unit.runs.test_runs import GOING_ON, with_files
from tests.unit.world import CALLBACK, World

WEATHER = Function(name="weather", description="", parameters={"type": "object", "properties": {}})
ASKS_WEATHER = (Call(call_id="call_1", name="weather", arguments="{}"),)


async def waiting(world: World) -> Run:
    """A run that waits for the output of its caller."""
    world.engine.rounds = [ASKS_WEATHER]
    run = await world.ask(functions=(WEATHER,))
    await world.deliver()
    run = await world.runs.find(run.id)
    assert run.status == "requires_action"
    return run


def assert_ended(world: World, run: Run, status: RunStatus) -> None:
    answer = world.answer(run.id)
    assert answer.status == status
    assert world.state.names("active/") == []
    assert f"**{status}**" in world.markdown(run.id) or status == "completed"


# ---- cancel ------------------------------------------------------------------------------------------------------


async def test_cancel_while_queued(world: World) -> None:
    world.outside.fail("engine.start", ServiceBusy("Wait."))
    run = await world.ask()
    assert (await world.runs.cancel(run.id)).status == "cancelled"
    assert_ended(world, run, "cancelled")
    await world.finish()
    assert world.engine.asks == {}
    assert (await world.ask(thread_id=run.thread_id)).status == "in_progress"


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_cancel_while_it_is_being_started(world: World, after: bool) -> None:
    other = world.instance()

    async def cancel() -> None:
        [name] = world.state.names("runs/")
        await other.runs.cancel(name.removeprefix("runs/").removesuffix(".json"))

    world.outside.meanwhile(cancel, **{"after" if after else "before": "engine.start"})
    run = await world.ask()
    assert run.status == "cancelled"
    assert_ended(world, run, "cancelled")
    assert world.engine.cancelled == list(world.engine.asks) != []
    await world.finish()


async def test_cancel_while_in_progress(world: World) -> None:
    world.engine.script = [GOING_ON]
    run = await world.ask()
    await world.deliver()
    assert (await world.runs.cancel(run.id)).status == "cancelling"
    assert (await world.runs.cancel(run.id)).status == "cancelling"
    assert world.engine.cancelled == ["resp_1"]
    await world.finish()
    assert_ended(world, run, "cancelled")
    error = world.answer(run.id).error
    assert error is not None
    assert (error.code, (await world.runs.cancel(run.id)).status) == ("cancelled", "cancelled")


async def test_cancel_that_the_service_ignores(world: World) -> None:
    world.engine.script = [GOING_ON] * 1000
    world.outside.fail("engine.cancel", ServiceError("No."))
    run = await world.ask()
    start = world.clock()
    await world.runs.cancel(run.id)
    await world.finish()
    assert_ended(world, run, "cancelled")
    assert (world.clock() - start).total_seconds() < 60


async def test_cancel_while_the_service_is_down(world: World) -> None:
    run = await world.ask()
    world.outside.fail("engine.cancel", ServiceBusy("Down."))
    world.outside.fail("engine.look", *[ServiceBusy("Down.")] * 1000)
    await world.runs.cancel(run.id)
    await world.finish()
    assert_ended(world, run, "cancelled")


async def test_cancel_while_it_waits_for_its_caller(world: World) -> None:
    run = await waiting(world)
    assert (await world.runs.cancel(run.id)).status == "cancelled"
    assert_ended(world, run, "cancelled")
    await world.finish()
    assert len(world.engine.asks) == 1


async def test_cancel_when_it_has_ended(world: World) -> None:
    run = await world.ask()
    await world.finish()
    assert (await world.runs.cancel(run.id)).status == "completed"
    assert_ended(world, run, "completed")
    with pytest.raises(NotFound):
        await world.runs.cancel("run_none")


@pytest.mark.parametrize("call", ["state.read runs", "state.write runs", "engine.cancel", "runs.send"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_cancel_at_the_moment_of_completion(world: World, call: str, after: bool) -> None:
    other = world.instance()
    with_files(world)
    run = await world.ask()
    world.outside.meanwhile(lambda: world.look_at_all(other.poller), **{"after" if after else "before": call})
    await world.runs.cancel(run.id)
    await world.finish()
    record, answer = await world.runs.find(run.id), world.answer(run.id)
    assert record.status == answer.status in ("completed", "cancelled")
    assert record.error == answer.error
    assert_ended(world, run, answer.status)


@pytest.mark.parametrize(
    "call", ["engine.look", "engine.download", "answers.write", "state.write threads", "state.delete"]
)
async def test_completion_at_the_moment_of_a_cancel(world: World, call: str) -> None:
    other = world.instance()
    with_files(world)
    run = await world.ask()
    world.outside.meanwhile(lambda: other.runs.cancel(run.id), before=call)
    await world.finish()
    record, answer = await world.runs.find(run.id), world.answer(run.id)
    assert record.status == answer.status in ("completed", "cancelled")
    assert_ended(world, run, answer.status)


# ---- delete ------------------------------------------------------------------------------------------------------


async def test_delete_leaves_nothing(world: World) -> None:
    with_files(world)
    run = await world.ask()
    await world.finish()
    await world.runs.delete(run.id)
    assert (world.answers.names(), world.state.names("runs/"), world.state.names("active/")) == ([], [], [])
    assert world.engine.forgotten == ["resp_1"]
    thread = (await world.app.threads.read(run.thread_id)).value
    assert thread.messages == ()
    for call in (world.runs.find, world.runs.delete, world.runs.cancel):
        with pytest.raises(NotFound):
            await call(run.id)


async def test_a_caller_who_polls_finds_a_lost_look(world: World) -> None:
    """Timers rest for a minute after the death of a host, and its messages are hidden for ten."""
    run = await world.ask()
    world.queue.messages.clear()
    world.clock.forward(10)
    await world.runs.find(run.id)
    assert not world.queue.messages
    world.clock.forward(8)
    for _ in range(5):
        await world.runs.find(run.id)
    assert len(world.queue.messages) == 1
    await world.finish()
    assert (await world.runs.find(run.id)).status == "completed"
    world.clock.forward(3600)
    await world.runs.find(run.id)
    assert not world.queue.messages


async def test_delete_cancels_an_active_run(world: World) -> None:
    world.engine.script = [GOING_ON] * 5
    run = await world.ask()
    await world.runs.delete(run.id)
    assert world.engine.cancelled == ["resp_1"]
    await world.finish()
    await world.poller.sweep()
    assert (world.answers.names(), world.state.names("runs/"), world.state.names("active/")) == ([], [], [])
    assert (await world.ask(thread_id=run.thread_id)).status == "in_progress"


async def test_delete_while_it_waits_for_its_caller(world: World) -> None:
    run = await waiting(world)
    await world.runs.delete(run.id)
    assert (world.answers.names(), world.state.names("runs/"), world.state.names("active/")) == ([], [], [])
    with pytest.raises(NotFound):
        await world.runs.submit_outputs(run.id, {"call_1": "rain"})


@pytest.mark.parametrize(
    "call", ["engine.look", "engine.download", "answers.write", "state.write threads", "state.write runs"]
)
async def test_delete_while_another_instance_finishes_it(world: World, call: str) -> None:
    """No answer or record is left."""
    other = world.instance()
    with_files(world)
    run = await world.ask()
    world.outside.meanwhile(lambda: other.runs.delete(run.id), before=call)
    await world.finish()
    await world.poller.sweep()
    assert world.state.names("runs/") == []
    assert world.answers.names() == []


async def test_delete_can_be_repeated_after_a_crash_at_any_call() -> None:
    n = 0
    while True:
        n += 1
        world = World()
        with_files(world)
        run = await world.ask()
        await world.finish()
        world.outside.crash_at(n, after=n % 2 == 0)
        try:
            await world.runs.delete(run.id)
        except Crash:
            world.restart()
            if world.state.names("runs/"):
                await world.runs.delete(run.id)
        else:
            break
        assert (world.answers.names(), world.state.names("runs/")) == ([], [])
    assert n > 8


async def test_a_thread_is_deleted_with_its_runs(world: World) -> None:
    first = await world.ask()
    await world.finish()
    world.engine.script = [GOING_ON]
    await world.ask(thread_id=first.thread_id)
    kept = await world.ask()
    await world.runs.delete_thread(first.thread_id)
    with pytest.raises(NotFound):
        await world.app.threads.read(first.thread_id)
    assert world.state.names("runs/") == [f"runs/{kept.id}.json"]
    assert world.state.names("threads/") == [f"threads/{kept.thread_id}.json"]
    await world.finish()
    assert world.answers.names() == [f"{kept.id}/answer.json", f"{kept.id}/answer.md"]


# ---- list --------------------------------------------------------------------------------------------------------


async def test_listing_newest_first_in_pages(world: World) -> None:
    runs = []
    for n in range(7):
        runs.append(await world.ask(f"Question {n}?"))
        world.clock.forward(0.01)
    cursor, seen, pages = None, [], 0
    while True:
        page, cursor = await world.runs.list(status=None, thread_id=None, limit=3, cursor=cursor)
        seen += [summary.id for summary in page]
        pages += 1
        if cursor is None:
            break
    assert seen == [run.id for run in reversed(runs)]
    assert pages == 3


async def test_listing_with_filters(world: World) -> None:
    done = await world.ask("Done?")
    await world.finish()
    world.clock.forward(1)
    world.engine.script = [GOING_ON] * 99
    going = [await world.ask("x" * 300, thread_id=done.thread_id)]
    for _ in range(30):
        world.clock.forward(1)
        going.append(await world.ask())
    page, cursor = await world.runs.list(status="completed", thread_id=None, limit=5, cursor=None)
    assert ([summary.id for summary in page], cursor) == ([done.id], None)
    page, cursor = await world.runs.list(status=None, thread_id=done.thread_id, limit=5, cursor=None)
    assert [summary.id for summary in page] == [going[0].id, done.id]
    assert len(page[0].question) == 200
    assert page[1].finished_at is not None
    page, cursor = await world.runs.list(status="in_progress", thread_id=done.thread_id, limit=1, cursor=None)
    while not page and cursor:  # each request reads a limited number of pages
        page, cursor = await world.runs.list(status="in_progress", thread_id=done.thread_id, limit=1, cursor=cursor)
    assert [summary.id for summary in page] == [going[0].id]


# ---- callbacks ---------------------------------------------------------------------------------------------------


async def test_the_end_is_announced_once(world: World) -> None:
    run = await world.ask(callback_url=CALLBACK, metadata={"team": "a"})
    await world.finish()
    [sent] = world.callbacks.messages
    data = {"id": run.id, "thread_id": run.thread_id, "status": "completed", "metadata": {"team": "a"}}
    assert (sent.message["url"], sent.message["body"]["data"]) == (CALLBACK, data)
    await world.poller.advance(RunLook(run.id, 0))
    world.clock.forward(ORPHAN.total_seconds())
    await world.poller.sweep()
    assert len(world.callbacks.messages) == 1


@pytest.mark.parametrize("how", ["cancel", "expire", "poison", "refuse"])
async def test_every_end_is_announced(world: World, how: str) -> None:
    world.engine.script = [GOING_ON] * 500
    if how == "refuse":
        world.outside.fail("engine.start", ServiceError("No."))
    run = await world.ask(callback_url=CALLBACK)
    if how == "cancel":
        await world.runs.cancel(run.id)
    if how == "poison":
        await world.poller.fail(RunLook(run.id, 0))
    await world.finish()
    [sent] = world.callbacks.messages
    expected = {"cancel": "cancelled", "expire": "expired", "poison": "failed", "refuse": "failed"}[how]
    assert sent.message["body"]["data"]["status"] == expected


async def test_the_sweep_sends_a_callback_that_was_not_sent(world: World) -> None:
    world.outside.fail("callbacks.send", StorageError("No."))
    await world.ask(callback_url=CALLBACK)
    with pytest.raises(StorageError):
        await world.finish()
    assert len(world.state.names("active/")) == 1
    await world.poller.sweep()
    assert len(world.callbacks.messages) == 1
    assert world.state.names("active/") == []


async def test_a_callback_that_is_not_allowed_starts_no_run(world: World) -> None:
    with pytest.raises(BadRequest) as caught:
        await world.ask(callback_url="https://elsewhere.example/")
    assert caught.value.code == "callback_not_allowed"
    assert world.state.names() == []


# ---- the service's webhook ---------------------------------------------------------------------------------------


async def test_an_event_of_the_service_causes_an_immediate_look(world: World) -> None:
    world.engine.script = [GOING_ON] * 5
    run = await world.ask()
    await world.deliver(times=5)
    world.clock.forward(-0.5)
    await world.runs.look_now(run.id, engine_run=run.engine_runs[-1])
    await world.runs.look_now(run.id, engine_run=run.engine_runs[-1])
    at = world.clock()
    await world.deliver()
    assert ((await world.runs.find(run.id)).status, world.clock()) == ("completed", at)
    await world.finish()
    assert world.answer(run.id).timings.looks == 6


async def test_an_event_of_a_waiting_or_ended_run_causes_no_look(world: World) -> None:
    await world.runs.look_now("run_none", engine_run="resp_1")
    run = await waiting(world)
    await world.runs.look_now(run.id, engine_run=run.engine_runs[-1])
    assert world.queue.messages == []
    await world.runs.cancel(run.id)
    await world.runs.look_now(run.id, engine_run=run.engine_runs[-1])
    assert world.queue.messages == []


async def test_a_response_whose_start_was_lost_is_deleted_with_the_run(world: World) -> None:
    """K8: the service carried out the first start and its answer was lost; only its webhook names that response."""
    run = await world.ask()
    world.engine.asks["resp_stray"] = world.engine.asks[run.engine_runs[-1]]
    await world.runs.look_now(run.id, engine_run="resp_stray")
    await world.finish()
    assert (await world.runs.find(run.id)).strays == ("resp_stray",)
    await world.runs.delete(run.id)
    assert world.engine.forgotten == [run.engine_runs[-1], "resp_stray"]


async def test_the_webhook_comes_before_the_start_is_on_record(world: World) -> None:
    async def webhook() -> None:
        [engine_run] = world.engine.asks
        await world.runs.look_now((await only_run(world)).id, engine_run=engine_run)

    world.outside.meanwhile(webhook, after="engine.start")
    run = await world.ask()
    assert (run.engine_runs, run.strays) == (("resp_1",), ())
    await world.finish()
    assert (world.answer(run.id).status, world.engine.cancelled) == ("completed", [])


@pytest.mark.parametrize("lost", ["the process died", "the answer was lost"])
async def test_the_webhook_of_a_lost_start_is_taken_instead_of_another_start(world: World, lost: str) -> None:
    error = Crash() if lost == "the process died" else ServiceBusy("Timeout.", unclear=True)
    world.outside.meanwhile(lambda: raising(error), after="engine.start")
    with suppress(Crash):
        await world.ask(key="one")
    world.restart()
    run = await only_run(world)
    world.queue.messages.clear()
    await world.runs.look_now(run.id, engine_run="resp_1")
    world.clock.forward(60)
    await world.poller.sweep()
    await world.finish()
    assert list(world.engine.asks) == ["resp_1"]
    assert (world.answer(run.id).status, (await world.runs.find(run.id)).engine_runs) == ("completed", ("resp_1",))


@pytest.mark.parametrize("whose", ["ours", "of another app"])
async def test_the_webhook_of_a_run_that_was_deleted(world: World, whose: str) -> None:
    run = await world.ask()
    await world.finish()
    world.engine.asks["resp_stray"] = world.engine.asks[run.engine_runs[-1]]
    app = world.engine.asks["resp_stray"].app
    await world.runs.delete(run.id)
    await world.runs.look_now(run.id, engine_run="resp_stray", app=app if whose == "ours" else "app_other")
    assert list(world.engine.asks) == ([] if whose == "ours" else ["resp_stray"])


async def test_a_run_is_deleted_while_it_is_started(world: World) -> None:
    other = world.instance()

    async def delete() -> None:
        await other.runs.delete((await only_run(world)).id)

    world.outside.meanwhile(delete, after="engine.start")
    with pytest.raises(NotFound):
        await world.ask()
    assert world.engine.asks == {}


async def only_run(world: World) -> Run:
    [summary], _ = await world.runs.list(status=None, thread_id=None, limit=10, cursor=None)
    return await world.runs.find(summary.id)


async def raising(error: BaseException) -> None:
    raise error
