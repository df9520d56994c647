"""The sweep of documents: what waits for a lost or hidden message gets a new one within a minute."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.documents import lifecycle
from shared.documents.messages import IndexDocument, RemoveDocument, RetryDocument
from shared.documents.record import Waiting
from shared.documents.sweep import EVENT_MAX_AGE, MESSAGES_MAX, STEP_MAX_AGE, overdue
from shared.errors import ServiceBusy
from shared.models.documents import DocumentStatus, DocumentSummary
from shared.storage.listings import BlobInfo
from tests.fakes import Crash
from tests.unit.world import World

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OLD, FRESH = NOW - EVENT_MAX_AGE - timedelta(seconds=1), NOW - timedelta(seconds=5)
BUSY = ServiceBusy("Slow down.")
LATE = EVENT_MAX_AGE.total_seconds() + 1


def blob(etag: str = "0x1", *, at: datetime = OLD) -> BlobInfo:
    return BlobInfo(name="c/a.md", etag=etag, size_bytes=1, last_modified_at=at, metadata={})


def record(etag: str = "0x1", status: DocumentStatus = "indexed", *, at: datetime = OLD) -> DocumentSummary:
    return DocumentSummary(path="c/a.md", collection="c", status=status, size_bytes=1, etag=etag, updated_at=at)


INDEX = IndexDocument("c/a.md", first_at=NOW, attempt=1)


@pytest.mark.parametrize(
    ("found", "summary", "claimed_until", "message"),
    [
        (blob(), record(), None, None),
        (blob(), None, None, INDEX),
        (blob(at=FRESH), None, None, None),
        (blob("0x2"), record("0x1"), None, INDEX),
        (blob("0x2", at=FRESH), record("0x1"), None, None),
        (None, record(), None, RemoveDocument("c/a.md")),
        (None, record(at=FRESH), None, None),
        (None, record(status="removing"), None, None),
        (None, record(status="removing", at=NOW - timedelta(seconds=61)), None, RemoveDocument("c/a.md")),
        (blob(), record(status="removing"), None, INDEX),
        (blob(), record(status="removing", at=FRESH), None, None),
        (blob(), record(status="indexing"), NOW + timedelta(seconds=30), None),
        (blob(), record(status="indexing"), NOW - timedelta(seconds=30), RetryDocument("c/a.md")),
        (blob(), record(status="indexing"), None, None),  # it waits for its slot, or for the service
        (blob(), record(status="failed"), None, None),
    ],
)
def test_which_documents_are_overdue(
    found: BlobInfo | None, summary: DocumentSummary | None, claimed_until: datetime | None, message: object
) -> None:
    blobs = {"c/a.md": found} if found else {}
    records = {"c/a.md": (summary, Waiting(claimed_until=claimed_until))} if summary else {}
    assert list(overdue(blobs, records, now=NOW)) == ([message] if message else [])


def at(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("written_s", "taken_up", "is_overdue"),
    [
        (40, {"taken.md": (50, "indexed", 2)}, False),  # older ones are indexed right now: its turn comes
        (40, {"taken.md": (50, "indexed", 30)}, True),  # none has been indexed for a while
        (40, {"taken.md": (5, "indexed", 2)}, True),  # a much newer one was taken up
        (40, {"taken.md": (30, "indexed", 2)}, False),  # events come only about in order
        (40, {"taken.md": (50, "indexing", 2)}, True),  # a long upload is no sign that events come
        (40, {"taken.md": (50, "indexed", 2), "other.md": (5, "indexing", 4)}, True),
    ],
)
def test_a_backlog_of_events_is_not_lost(
    written_s: float, taken_up: dict[str, tuple[float, DocumentStatus, float]], is_overdue: bool
) -> None:
    """`taken_up`: how long ago each was written, its status, and how long ago its record was."""
    blobs = {"c/a.md": blob(at=at(written_s))}
    records = {}
    for path, (s, status, updated_s) in taken_up.items():
        blobs[path] = replace(blob(at=at(s)), name=path)
        records[path] = (replace(record(status=status, at=at(updated_s)), path=path), Waiting())
    assert list(overdue(blobs, records, now=NOW)) == ([INDEX] if is_overdue else [])


async def test_a_deleted_blob_without_its_event(world: World) -> None:
    await world.drop("c/a.md")
    world.blobs.take_away("c/a.md")
    world.clock.forward(LATE)
    assert await world.app.library.sweep.run() == 1
    await world.settle()
    assert await world.listing() == {}
    assert world.live_text("c") == []


async def test_a_replaced_blob_without_its_event(world: World) -> None:
    await world.drop("c/a.md", b"old")
    world.blobs.put("c/a.md", b"new")
    world.clock.forward(LATE)
    assert await world.app.library.sweep.run() == 1
    await world.settle()
    assert b"new" in world.live_text("c")


async def test_a_new_blob_without_its_event(world: World) -> None:
    world.blobs.put("c/a.md", b"Words.")
    world.clock.forward(LATE)
    assert await world.app.library.sweep.run() == 1
    await world.settle()
    assert (await world.document("c/a.md")).status == "indexed"


async def test_the_upload_of_a_dead_process(world: World) -> None:
    world.blobs.put("c/a.md", b"Words.")
    world.outside.fail("stores.upload", Crash("here"))
    with pytest.raises(Crash):
        await world.documents.index("c/a.md")
    assert await world.app.library.sweep.run() == 0  # its claim holds
    world.clock.forward(lifecycle.CLAIM.total_seconds() + LATE)
    assert await world.app.library.sweep.run() == 1
    await world.settle()
    assert (await world.document("c/a.md")).status == "indexed"


async def test_clean_up_that_failed_is_remembered(world: World) -> None:
    """A busy service at the attachment, and then at the deletion of what was uploaded; the message is lost as well."""
    world.outside.fail("stores.attach", BUSY)
    world.outside.fail("stores.discard", *[BUSY] * 3)
    await world.drop("c/a.md", b"Words.")
    world.blobs.take_away("c/a.md")
    world.outside.fail("stores.discard", BUSY)
    await world.documents.remove("c/a.md")
    world.indexing.messages.clear()
    world.clock.forward(STEP_MAX_AGE.total_seconds() + 60)
    assert await world.app.library.sweep.run() == 1
    await world.settle()
    assert world.stores.files == {}
    assert await world.listing() == {}


async def test_a_replaced_version_whose_deletion_is_lost(world: World) -> None:
    await world.drop("c/a.md", b"old")
    world.clock.forward(60)
    world.blobs.put("c/a.md", b"new")
    await world.documents.index("c/a.md")
    while (await world.document("c/a.md")).incoming:
        await world.work(world.indexing.take())
    world.indexing.messages.clear()
    assert len(world.stores.files) == 2
    assert await world.app.library.sweep.run() == 0  # its next look is not late yet
    world.clock.forward(120)
    assert await world.app.library.sweep.run() == 1
    await world.settle()
    assert world.live_text("c") == [b"new"]


async def test_a_calm_container_needs_no_message(world: World) -> None:
    await world.drop("c/a.md")
    await world.drop("c/t.csv", b"a,b\n1,2\n")
    world.clock.forward(3600)
    assert await world.app.library.sweep.run() == 0


async def test_a_sweep_sends_no_flood(world: World) -> None:
    for n in range(MESSAGES_MAX + 5):
        world.blobs.put(f"c/{n}.md", b"x")
    world.clock.forward(LATE)
    assert await world.app.library.sweep.run() == MESSAGES_MAX


@pytest.mark.parametrize(
    ("took_s", "later_s", "looks"),
    [(0.2, 3, False), (0.2, 5, True), (30, 49, False), (30, 51, True), (30, -3600, True)],
)
async def test_a_long_sweep_is_followed_by_a_rest(world: World, took_s: float, later_s: float, looks: bool) -> None:
    """Of less than a minute, and of none when the clock is set back."""

    async def time_passes() -> None:
        world.clock.forward(took_s)

    world.outside.meanwhile(time_passes, before="documents.list")
    await world.app.library.sweep.run()
    world.clock.forward(later_s)
    before = len(world.outside.calls)
    await world.app.library.sweep.run()
    assert (len(world.outside.calls) > before) is looks
