"""A fault of storage or of the service never leaves the blob function: the document is tried again, up to an hour."""

from __future__ import annotations

import pytest

import shared.documents.arrivals as arrivals_module
from shared.delays import one_step
from shared.documents.arrivals import DEADLINE, SEND_WAITS_S, Arrivals
from shared.errors import BlobChanged, ServiceError, StorageError
from tests.unit.world import World

REFUSED = StorageError("state: storage answered 403 AuthorizationFailure")


def arrivals(world: World, waits: list[float] | None = None) -> Arrivals:
    async def sleep(seconds: float) -> None:
        if waits is not None:
            waits.append(seconds)

    return Arrivals(world.documents, world.indexing, now=world.clock, sleep=sleep)


@pytest.mark.parametrize(
    "call", ["documents.info", "state.write", "stores.create_store", "stores.upload", "stores.attach"]
)
@pytest.mark.parametrize("times", [1, 3, 7])
async def test_a_fault_delays_the_document(world: World, call: str, times: int) -> None:
    world.blobs.put("c/a.md", b"Words.")
    world.outside.fail(call, *[REFUSED] * times)
    await arrivals(world).written("c/a.md")
    await world.settle()
    document = await world.document("c/a.md")
    assert document.status == "indexed"
    assert "failed" not in [attempt.status for attempt in document.attempts]
    assert world.live_text("c") == [b"Words."]


async def test_a_document_whose_step_takes_too_long_is_delayed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals_module, "one_step", lambda: one_step(0))
    world.blobs.put("c/a.md", b"Words.")
    await arrivals(world).written("c/a.md")
    assert [sent.message["do"] for sent in world.indexing.messages] == ["index"]
    monkeypatch.undo()
    await world.settle()
    assert (await world.document("c/a.md")).status == "indexed"


async def test_a_replacement_is_delayed_and_the_old_version_stays(world: World) -> None:
    await world.drop("c/a.md", b"old")
    world.blobs.put("c/a.md", b"new")
    world.outside.fail("state.write", *[REFUSED] * 2)
    await arrivals(world).written("c/a.md")
    assert world.live_text("c") == [b"old"]
    await world.settle()
    world.clock.forward(60)
    await world.settle()
    assert (await world.document("c/a.md")).status == "indexed"
    assert b"new" in world.live_text("c")


async def test_the_queue_is_tried_for_seconds(world: World) -> None:
    world.blobs.put("c/a.md", b"Words.")
    waits: list[float] = []
    world.outside.fail("documents.info", REFUSED)
    world.outside.fail("indexing.send", *[REFUSED] * 3)
    await arrivals(world, waits).written("c/a.md")
    assert waits == list(SEND_WAITS_S[:3])
    assert [sent.message["do"] for sent in world.indexing.messages] == ["index"]


async def test_the_host_tries_again_when_the_queue_is_out_for_long(world: World) -> None:
    world.blobs.put("c/a.md", b"Words.")
    world.outside.fail("documents.info", REFUSED)
    world.outside.fail("indexing.send", *[REFUSED] * 10)
    with pytest.raises(StorageError):
        await arrivals(world).written("c/a.md")


async def test_poison_of_the_blob_trigger_means_look_again(world: World) -> None:
    world.blobs.put("c/a.md", b"Words.")
    await arrivals(world).poisoned("c/a.md")
    await world.settle()
    assert (await world.document("c/a.md")).status == "indexed"


async def test_delays_grow_and_the_document_fails_after_an_hour(world: World) -> None:
    world.blobs.put("c/a.md", b"Words.")
    begun_at = world.clock()
    await arrivals(world).poisoned("c/a.md")
    delays = []
    while world.indexing.messages:
        world.outside.fail("documents.info", REFUSED)
        delays.append(world.indexing.messages[0].delay_s)
        if world.indexing.messages[0].due_at - begun_at > DEADLINE:
            world.outside.switch_on()
            world.outside._errors.clear()
            world.outside.fail("stores.create_store", *[ServiceError("No.", code="forbidden")] * 9)
        await world.work(world.indexing.take())
    assert delays[:4] == [2, 4, 8, 15]
    assert max(delays) == 300
    assert delays == sorted(delays)
    document = await world.document("c/a.md")
    assert document.status == "failed"
    assert document.reason


async def test_after_an_hour_of_faults_the_document_is_retryable(world: World) -> None:
    world.blobs.put("c/a.md", b"Words.")
    await arrivals(world).poisoned("c/a.md")
    sent = world.indexing.take()
    world.clock.forward(DEADLINE.total_seconds() + 1)
    world.outside.fail("documents.info", REFUSED)
    await world.work(sent)
    document = await world.document("c/a.md")
    assert document.reason
    assert (document.status, document.reason.code, document.reason.retryable) == ("failed", "gave_up", True)


async def test_a_replacement_that_cannot_be_taken_up_is_told_after_an_hour(world: World) -> None:
    """K4: the record must not go on saying `indexed` with the old etag."""
    await world.drop("c/a.md", b"old")
    new = world.blobs.put("c/a.md", b"new")
    await world.documents.give_up("c/a.md")
    document = await world.document("c/a.md")
    assert (document.status, document.etag) == ("failed", new)
    assert document.live
    assert document.reason
    assert document.reason.retryable
    assert world.live_text("c") == [b"old"]


async def test_a_bug_is_left_to_the_host(world: World) -> None:
    world.blobs.put("c/a.md", b"Words.")
    world.outside.fail("documents.info", OverflowError("a bug"))
    with pytest.raises(OverflowError):
        await arrivals(world).written("c/a.md")


async def test_a_lost_race_is_no_fault_for_the_user(world: World) -> None:
    world.blobs.put("c/a.md", b"Words.")
    world.outside.fail("state.write", *[BlobChanged("index/c/a.md was written by someone else.")] * 8)
    await arrivals(world).written("c/a.md")
    await world.settle()
    assert (await world.document("c/a.md")).status == "indexed"
