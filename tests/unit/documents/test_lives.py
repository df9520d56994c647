"""The life of a document, with a fault at each call in turn: nothing old ever answers, and nothing is left behind.

A document is put, replaced, deleted and put again. Messages of a process that crashed are lost, so that only the sweep
of each minute finds what is to be done. After every step a search looks for versions that must not answer any more.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from shared.engines.stores import Within
from shared.errors import AppError, Busy, ServiceBusy, ServiceMissing, StorageError
from shared.models.documents import Drift, Receipt
from tests.fakes import Crash, Fault
from tests.long import long_but
from tests.unit.world import World

pytestmark = pytest.mark.usefixtures("every_text_is_long")

TEXT, TABLE, MESSY = "c/a.md", "c/a.csv", "c/messy.csv"  # the last one has a clean copy
SWEEP = timedelta(seconds=60)
RETRY = timedelta(seconds=30)
CALM = timedelta(minutes=3)  # a document has waited for nothing for so long
END = timedelta(hours=1)
SEEDS = 25
UNRECORDED = {("orphaned", "vector_store"), ("orphaned", "text")}


class Life:
    """Drives the app as the Functions host does, and checks after each step what a search finds."""

    def __init__(self, path: str, *, slow: bool) -> None:
        self.world, self.path = World(), path
        if slow:
            self.world.stores.lists_late_s, self.world.stores.deletes_slowly_s = 8, 20
        self.numbers: dict[str, int] = {}  # etag -> 1, 2, 3, ..
        self.oldest = 0  # the first version that may still answer
        self.swept_at = self.world.clock()

    async def put(self) -> None:
        number = len(self.numbers) + 1
        contents = {TEXT: b"gate v%d", TABLE: b"gate,v%d\n1,2\n", MESSY: b"gate;v%d\n1;2,5\n"}
        content = contents[self.path] % number
        self.numbers[self.world.blobs.put(self.path, content)] = number
        await self.step(self.world.app.library.arrivals.written(self.path))

    async def delete(self) -> None:
        """As a caller does who repeats the DELETE until it is answered."""
        for _ in range(20):
            if await self.step(self.world.app.library.removal.begin(self.path)):
                self.oldest = len(self.numbers) + 1
                break
            self.world.clock.forward(2)
        await self.check()

    async def step(self, work: Awaitable[Any]) -> bool:
        """One invocation. A crash ends the process. False: it did not come to its end."""
        try:
            await work
        except Crash:
            self.world.restart()
            done = False
        except (AppError, Busy):
            done = False
        else:
            done = True
        await self.check()
        return done

    async def run_for(self, time: timedelta) -> None:
        """Deliver what is due, and sweep every minute."""
        world, until = self.world, self.world.clock() + time
        while True:
            next_sweep = self.swept_at + SWEEP
            due_at = min([sent.due_at for sent in world.indexing.messages], default=until)
            if min(due_at, next_sweep) >= until:
                break
            if due_at <= next_sweep:
                await self.deliver()
            else:
                world.clock.now = max(world.clock.now, next_sweep)
                self.swept_at = world.clock()
                await self.step(world.app.library.sweep.run())
        world.clock.now = until

    async def run_until_calm(self) -> None:
        """Until there are no messages, and the sweep sends none."""
        until = self.world.clock() + END
        await self.run_for(CALM)
        while self.world.indexing.messages:
            assert self.world.clock() < until, "The messages never end."
            await self.run_for(CALM)

    async def deliver(self) -> None:
        """Deliver one message. That of a process that crashes is lost; after an error, the host delivers it again."""
        world = self.world
        sent = world.indexing.take()
        world.clock.now = max(world.clock.now, sent.due_at)
        try:
            await world.app.library.worker.do(msgspec.json.encode(sent.message))
        except Crash:
            world.restart()
        except AppError:
            world.indexing.messages.append(type(sent)(message=sent.message, delay_s=30, due_at=world.clock() + RETRY))
        await self.check()

    async def check(self) -> None:
        """No version answers that was replaced or deleted before, and no two at once."""
        found = await self.answering()
        where = self.world.outside.calls[-12:]
        assert len(found) <= 1, (found, where)
        assert all(number >= self.oldest for number in found), (found, self.oldest, where)
        if found:
            self.oldest = max(found)
        elif self.path not in self.world.blobs.names():
            self.oldest = len(self.numbers) + 1

    async def answering(self) -> set[int]:
        """The numbers of the versions that a question would find now. It is no call of the app."""
        with self.world.outside.aside():
            excluded = (await self.world.app.library.visibility.of("c")).excluded
            within = Within(as_of=self.world.clock(), excluded=excluded)
            passages = [
                passage
                for store_id in self.world.stores.stores
                for passage in await self.world.stores.search(store_id, "gate", limit=50, within=within)
            ]
        return {self.numbers[str(passage.attributes["etag"])] for passage in passages}

    async def check_end(self, *, reconciles: bool = False) -> None:
        """Long after: the service holds the files of the live version and nothing else, and all is told."""
        world = self.world
        await self.run_until_calm()
        if reconciles:
            await self.reconcile(dry_run=False)
            await self.run_until_calm()
        is_there = self.path in world.blobs.names()
        listing = await world.listing()
        assert set(listing) == ({self.path} if is_there else set())
        assert await self.answering() == ({len(self.numbers)} if is_there else set())
        live = (await world.document(self.path)).live if is_there else None
        assert set(world.stores.files) == set(live.file_ids if live else ())
        entries = [file_id for store in world.stores.stores.values() for file_id in store.files]
        assert sorted(entries) == sorted(live.parts if live else ())
        assert bool(world.state.names("visibility/")) == bool(live and live.data_file_id)
        receipts = [self.receipt(name) for name in world.state.names("receipts/")]
        assert all(receipt.complete for receipt in receipts), receipts
        # The hourly pass finds an empty store that its process could not record, and a text written after the removal.
        assert {(drift.kind, drift.what) for drift in await self.reconcile(dry_run=False)} <= UNRECORDED
        texts = {(text.path, text.etag) async for text in world.app.library.texts.versions()}
        assert texts == ({(self.path, live.etag)} if live else set())
        assert await self.reconcile(dry_run=True) == ()

    async def reconcile(self, *, dry_run: bool) -> tuple[Drift, ...]:
        report = await self.world.app.library.reconciliation.order(dry_run=dry_run)
        await self.world.settle(looks=500)
        return (await self.world.app.library.reconciliation.find(report.id)).drift

    def receipt(self, name: str) -> Receipt:
        return msgspec.json.decode(self.world.state.content(name), type=Receipt)


async def live(life: Life) -> None:
    """Slow enough for a fault to be mended in one phase, quick enough for it to reach the next in another."""
    await life.put()
    await life.run_for(timedelta(seconds=3))
    await life.put()
    await life.run_for(timedelta(seconds=90))
    await life.delete()
    await life.run_for(timedelta(seconds=1))
    await life.put()
    await life.run_for(timedelta(seconds=200))
    await life.put()
    await life.delete()


def busy(call: str) -> BaseException:
    return ServiceBusy("Too many requests.") if call.startswith("stores.") else StorageError("Out of order.")


def answer_lost(call: str) -> BaseException:
    if call.startswith("stores."):
        return ServiceBusy("The connection was cut.", unclear=True)
    return StorageError("The connection was cut.")


def not_found(call: str) -> BaseException | None:
    """For what exists. An upload names nothing that could be missing."""
    looks = ("stores.discard", "stores.state", "stores.has_file", "stores.attach", "stores.describe", "stores.entries")
    return ServiceMissing("There is no such object.") if call.startswith(looks) else None


def crash(call: str) -> BaseException:
    return Crash(call)


KINDS: dict[str, tuple[Fault, bool]] = {
    "crash before": (crash, False),
    "crash after": (crash, True),
    "busy": (busy, False),
    "answer lost": (answer_lost, True),
    "not found": (not_found, False),
}


@pytest.mark.aside
@pytest.mark.parametrize("path", long_but([TEXT, TABLE, MESSY], TEXT))
@pytest.mark.parametrize("kind", KINDS)
async def test_a_fault_at_any_call(path: str, kind: str) -> None:
    fault, after = KINDS[kind]
    calls = list(enumerate(await calls_of_a_life(path), start=1))
    # The life of a table is long: each kind of fault meets a third of its calls, and together they meet each.
    for n, call in calls if path == TEXT else calls[list(KINDS).index(kind) % 3 :: 3]:
        if fault(call) is None:
            continue
        life = Life(path, slow=path != TEXT)
        life.world.outside.fail_at(n, fault, after=after)
        try:
            await live(life)
            await life.check_end()
        except AssertionError as exc:
            raise AssertionError(f"{kind}, call {n}, {call}: {exc}") from exc


async def calls_of_a_life(path: str) -> list[str]:
    life = Life(path, slow=path != TEXT)
    await live(life)
    calls = list(life.world.outside.calls)
    await life.check_end()
    return calls


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_many_faults_at_random(seed: int) -> None:
    """Every call may meet one of the faults, for the whole life; then all is well again."""
    drawn = random.Random(seed)
    slow = drawn.random() < 0.5
    life = Life(drawn.choice([TEXT, TABLE]), slow=slow)
    # A false 404 for what is deleted slowly is told from a true one by nothing but more requests a file.
    faults = [
        (crash, False),
        (crash, True),
        (busy, False),
        (answer_lost, True),
        *([] if slow else [(not_found, False)]),
    ]
    life.world.outside.fail_at_random(drawn, 0.08, faults)
    for _ in range(3):
        await live(life)
        await life.run_for(timedelta(seconds=drawn.choice([5, 100, 400])))
    life.world.outside.calm()
    await life.check_end()


@pytest.mark.parametrize("call", ["stores.upload", "stores.attach", "stores.discard"])
@pytest.mark.parametrize("path", [TEXT, TABLE])
async def test_a_call_that_is_carried_out_twice(path: str, call: str) -> None:
    life = Life(path, slow=False)
    life.world.outside.do_twice(call)
    await life.put()
    await life.run_for(timedelta(minutes=1))
    await life.check_end(reconciles=True)


@pytest.mark.parametrize("seconds", [0, 0.5, 3, 30, 90])
@pytest.mark.parametrize("is_busy", [False, True], ids=["", "busy"])
async def test_a_document_that_returns_during_its_removal(seconds: float, is_busy: bool) -> None:
    """Its receipt says so, lists what was deleted, and ends."""
    life = Life(TEXT, slow=True)
    await life.put()
    await life.run_for(timedelta(minutes=1))
    gone = (await life.world.document(TEXT)).live
    assert gone
    if is_busy:
        life.world.outside.fail("stores.discard", *[busy("stores.discard")] * 4)
    await life.delete()
    await life.run_for(timedelta(seconds=seconds))
    had_ended = await life.world.listing() == {}
    await life.put()
    await life.check_end()
    [receipt] = [life.receipt(name) for name in life.world.state.names("receipts/")]
    assert receipt.returned != had_ended
    assert {thing.id for thing in receipt.removed if thing.kind == "file"} == set(gone.parts)
