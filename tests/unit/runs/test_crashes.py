"""The process dies before or after any call to storage, queue or engine: every run still ends, with one answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from shared.engines.base import Call
from shared.errors import NotFound, ServiceBusy, ServiceError, ServiceMissing, StorageError
from shared.models.runs import Function
from shared.runs.messages import RunLook
from tests.fakes import Crash
from tests.unit.runs.test_runs import GOING_ON, with_files
from tests.unit.world import CALLBACK, World

KEY = "the-question"
WEATHER = Function(name="weather", description="", parameters={"type": "object", "properties": {}})
OUTPUTS = {"call_1": "sun", "call_2": "rain"}
ROUNDS = [
    (Call(call_id="call_0", name="current_time", arguments="{}"),),
    tuple(Call(call_id=call_id, name="weather", arguments="{}") for call_id in OUTPUTS),
]


@dataclass
class Journey:
    """One run from POST to answer, with a host and a caller that retry after every crash and fault."""

    world: World
    with_calls: bool
    thread_id: str | None = None
    run_id: str = ""

    async def travel(self) -> None:
        for _ in range(100):
            for step in (self._ask, self._deliver, self._hand_in, self.world.poller.sweep, self._webhooks):
                try:
                    await step()
                except Crash:
                    self.world.restart()
                except (StorageError, ServiceError):
                    continue
            if self.run_id and not self.world.state.names("active/"):
                return
            self.world.clock.forward(60)
        raise AssertionError("The run never ends.")

    async def _ask(self) -> None:
        if not self.run_id:  # a caller without an answer asks again, with the same key
            functions = (WEATHER,) if self.with_calls else ()
            asked = {"functions": functions, "callback_url": CALLBACK, "thread_id": self.thread_id}
            self.run_id = (await self.world.ask(key=KEY, **asked)).id

    async def _deliver(self) -> None:
        while self.world.queue.messages:
            sent = self.world.queue.take()
            self.world.clock.now = max(self.world.clock.now, sent.due_at)
            try:
                await self.world.poller.advance(RunLook(sent.message["run_id"], sent.message["generation"]))
            except (Crash, StorageError, ServiceError):
                self.world.queue.messages.append(replace(sent, due_at=self.world.clock()))
                raise

    async def _hand_in(self) -> None:
        run = await self.world.runs.find(self.run_id) if self.run_id else None
        if run and any(call.by == "client" for call in run.calls):
            for call_id, output in OUTPUTS.items():
                await self.world.runs.submit_outputs(run.id, {call_id: output})

    async def _webhooks(self) -> None:
        """The service reports every response that has ended, also those that nobody waits for."""
        for engine_run, ask in list(self.world.engine.asks.items()):
            await self.world.runs.look_now(ask.run_id, engine_run=engine_run, app=ask.app)


def error_of(call: str) -> BaseException | None:
    """What a call raises that fails; None for the listing of markers, whose fault is only a later sweep."""
    if call.startswith(("engine.", "stores.")):
        return ServiceBusy("Timeout.", unclear=True)
    return StorageError("Timeout.")


def missing(call: str) -> BaseException | None:
    """The service says 404 for what exists."""
    return ServiceMissing("Not found.") if call.startswith("engine.") else None


DISTURBANCES: dict[str, Callable[[World, int], None]] = {
    "crash before": lambda world, n: world.outside.crash_at(n, after=False),
    "crash after": lambda world, n: world.outside.crash_at(n, after=True),
    "fault before": lambda world, n: world.outside.fail_at(n, error_of, after=False),
    "fault after": lambda world, n: world.outside.fail_at(n, error_of, after=True),
    "404 before": lambda world, n: world.outside.fail_at(n, missing, after=False),
}


async def journey(n: int | None, *, how: str, with_calls: bool, finds: bool = False) -> Journey:
    world = World()
    world.engine.finds = finds
    with_files(world)
    world.engine.script = [GOING_ON]
    world.engine.rounds = ROUNDS if with_calls else []
    made = Journey(world, with_calls)
    if n:
        DISTURBANCES[how](world, n)
    await made.travel()
    return made


@pytest.mark.parametrize("finds", [False, True], ids=["cannot be listed", "can be listed"])
@pytest.mark.parametrize("with_calls", [False, True], ids=["plain", "with calls"])
@pytest.mark.parametrize("how", DISTURBANCES)
async def test_a_disturbance_at_any_call_still_gives_exactly_one_answer(
    how: str, with_calls: bool, finds: bool
) -> None:
    undisturbed = await journey(None, how=how, with_calls=with_calls, finds=finds)
    calls = undisturbed.world.outside.calls
    assert len(calls) > (50 if with_calls else 25)
    for n in range(1, len(calls) + 1):
        made = await journey(n, how=how, with_calls=with_calls, finds=finds)
        await assert_one_of_everything(made, f"{how} call {n}: {calls[n - 1]}")
        # An empty thread whose id nobody has learned: it cannot be listed. All else can be found.
        lost = calls[n - 2 if how == "crash before" else n - 1] == "engine.prepare"
        await assert_nothing_is_left(made, f"{how} call {n}: {calls[n - 1]}", places=lost)


async def assert_one_of_everything(made: Journey, where: str) -> None:
    world, run_id = made.world, made.run_id
    answer, run = world.answer(run_id), await world.runs.find(run_id)
    assert (answer.status, run.status) == ("completed", "completed"), where
    assert [chart.path for chart in answer.charts] == [f"{run_id}/charts/1.png"], where
    assert world.state.names("runs/") == [f"runs/{run_id}.json"], where
    assert [name for name in world.answers.names() if name.endswith("answer.json")] == [f"{run_id}/answer.json"]
    webhook_ids = {sent.message["webhook_id"] for sent in world.callbacks.messages}
    assert len(webhook_ids) == 1, where
    if made.with_calls:
        assert list(world.engine.outputs.values())[-1] == OUTPUTS, where
    assert world.state.names("threads/") == [f"threads/{run.thread_id}.json"], where
    thread = (await world.app.threads.read(run.thread_id)).value
    assert [message.run_id for message in thread.messages] == [run_id, run_id], where
    started = [engine_run for engine_run in world.engine.asks if not world.engine.depth(engine_run)]
    if world.engine.finds:
        assert started == [run.engine_runs[0]], where
    assert set(world.engine.asks) == {*run.engine_runs, *run.strays}, where


async def assert_nothing_is_left(made: Journey, where: str, *, places: int) -> None:
    """A follow-up continues the run; when the thread is deleted, the service has nothing of it."""
    world = made.world
    run = await world.runs.find(made.run_id)
    world.engine.rounds = []
    assert (await world.ask("And then?", thread_id=run.thread_id)).previous == run.engine_run, where
    await world.finish()
    await world.runs.delete_thread(run.thread_id)
    assert (world.engine.asks, world.answers.names(), world.state.names("threads/")) == ({}, [], []), where
    assert len(world.engine.places) <= places, where
    assert world.state.names("runs/") == world.state.names("active/") == [], where


@pytest.mark.aside
@pytest.mark.parametrize("finds", [False, True], ids=["cannot be listed", "can be listed"])
@pytest.mark.parametrize("how", DISTURBANCES)
async def test_a_disturbance_at_any_call_never_brings_an_old_data_file_back(how: str, finds: bool) -> None:
    """The second question of a thread whose data file was replaced."""
    n, count = 0, 1
    while n <= count:
        world = World()
        world.engine.finds = finds
        await world.drop("sales.csv", b"month,visits\njan,1\n")
        first = await world.ask("One?")
        await world.finish()
        await world.drop("sales.csv", b"month,visits\njan,2\n")
        live = (await world.document("sales.csv")).live
        assert live
        before = set(world.engine.asks)
        made, calls = Journey(world, with_calls=False, thread_id=first.thread_id), len(world.outside.calls)
        if n:
            DISTURBANCES[how](world, n)
        await made.travel()
        count = count if n else len(world.outside.calls) - calls
        where = f"{how} call {n}"
        assert world.answer(made.run_id).status == "completed", where
        assert {
            (ask.previous, ask.file_ids) for engine_run, ask in world.engine.asks.items() if engine_run not in before
        } == {(None, (live.data_file_id,))}, where
        n += 1
    assert n > 20


@pytest.mark.parametrize("finds", [False, True], ids=["cannot be listed", "can be listed"])
@pytest.mark.parametrize("how", [how for how in DISTURBANCES if how != "404 before"])
async def test_a_disturbance_at_any_call_of_a_deletion(how: str, finds: bool) -> None:
    n, count = 0, 1
    while n <= count:
        world = World()
        world.engine.finds = finds
        with_files(world)
        run = await world.ask()
        await world.finish()
        await world.ask(thread_id=run.thread_id)
        calls = len(world.outside.calls)
        if n:
            DISTURBANCES[how](world, n)
        for _ in range(3):
            try:
                await world.runs.delete_thread(run.thread_id)
            except (Crash, StorageError, ServiceError):
                world.restart()
            except NotFound:
                break
        count = count if n else len(world.outside.calls) - calls
        assert (world.engine.asks, world.engine.places, world.answers.names()) == ({}, set(), []), f"{how} call {n}"
        assert [name for name in world.state.names() if name != "app.json"] == [], f"{how} call {n}"
        n += 1
    assert n > 15


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_crash_at_any_call_of_a_cancel(after: bool) -> None:
    n = 0
    while True:
        n += 1
        world = World()
        world.engine.script = [GOING_ON] * 3
        run = await world.ask()
        world.outside.crash_at(n, after=after)
        try:
            await world.runs.cancel(run.id)
        except Crash:
            world.restart()
            await world.runs.cancel(run.id)
            world.clock.forward(60)
            await world.poller.sweep()
            await world.finish()
            assert world.answer(run.id).status == (await world.runs.find(run.id)).status == "cancelled", n
            assert world.state.names("active/") == [], n
        else:
            break
    assert n > 4
