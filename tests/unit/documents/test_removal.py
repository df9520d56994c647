"""Receipts: what was removed is listed, and was looked for again."""

from __future__ import annotations

from contextlib import suppress

import msgspec
import pytest

from shared.collections.visibility import version_of
from shared.errors import Busy, ServiceBusy, ServiceError
from shared.models.documents import Receipt, Removed
from tests.fakes import Crash
from tests.unit.world import World

CSV = b"month,visits\njan,1\n"


async def receipts(world: World, path: str | None = None, collection: str | None = None) -> list[Receipt]:
    found, cursor = await world.app.library.catalogue.receipts(collection=collection, path=path, limit=100, cursor=None)
    assert cursor is None
    return found


async def delete(world: World, path: str) -> None:
    world.blobs.take_away(path)
    await world.documents.remove(path)
    await world.settle()


async def test_a_receipt_lists_all_that_there_was(world: World) -> None:
    etag = await world.drop("c/t.csv", CSV)
    live = (await world.document("c/t.csv")).live
    assert live
    await delete(world, "c/t.csv")
    [receipt] = await receipts(world, path="c/t.csv")
    assert (receipt.path, receipt.collection, receipt.etag, receipt.complete) == ("c/t.csv", "c", etag, True)
    assert {(thing.kind, thing.id) for thing in receipt.removed} == {
        ("store_entry", f"{live.store_id}/{live.parts[0]}"),
        ("data_card", live.parts[0]),
        ("code_interpreter_copy", live.data_file_id),
        ("record", "index/c/c/t.csv.json"),
    }
    assert all(thing.gone for thing in receipt.removed)


async def test_a_receipt_tells_what_is_still_there(world: World) -> None:
    """The service says that it has deleted a file, and has not yet."""
    await world.drop("c/a.md")
    world.stores.deletes_slowly_s = 30
    world.blobs.take_away("c/a.md")
    await world.documents.remove("c/a.md")
    [receipt] = await receipts(world)
    assert not receipt.complete
    assert {thing.kind for thing in receipt.removed if not thing.gone} == {"file", "store_entry", "record"}
    assert len(await excluded(world)) == 1
    await world.settle()
    [receipt] = await receipts(world)
    assert receipt.complete
    assert not receipt.returned
    assert await world.listing() == {}
    assert await excluded(world) == ()


@pytest.mark.parametrize(
    "error", [ServiceBusy("Slow down."), ServiceError("No.", code="service_403")], ids=["busy", "refused"]
)
async def test_a_service_that_refuses_to_delete(world: World, error: ServiceError) -> None:
    """The document is excluded, and tried again with growing delays, until the service deletes."""
    await world.drop("c/a.md", b"gate 1")
    world.outside.fail("stores.discard", *[error] * 6)
    world.blobs.take_away("c/a.md")
    await world.documents.remove("c/a.md")
    delays = []
    while world.indexing.messages:
        assert len(await excluded(world)) == 1
        sent = world.indexing.take()
        delays.append(sent.delay_s)
        await world.work(sent)
    assert len(delays) == 6
    assert delays[0] < 8 < delays[-1]
    [receipt] = await receipts(world)
    assert receipt.complete
    assert (await excluded(world), world.stores.files) == ((), {})


async def test_an_open_receipt_without_a_record_is_closed(world: World) -> None:
    """As an earlier version of the app left it: what was there then is deleted now."""
    await world.drop("c/a.md")
    live = (await world.document("c/a.md")).live
    assert live
    world.blobs.take_away("c/a.md")
    for name in world.state.names("index/"):
        world.state.take_away(name)
    things = tuple(
        Removed(kind=kind, id=id, gone=False)
        for kind, id in (("store_entry", f"{live.store_id}/{live.parts[0]}"), ("file", live.parts[0]), ("record", "x"))
    )
    at = world.clock()
    left = Receipt(
        id="rcpt_1",
        path="c/a.md",
        collection="c",
        etag="0x1",
        requested_at=at,
        removed_at=at,
        removed=things,
        complete=False,
    )
    world.state.put("receipts/c/c/a.md/rcpt_1.json", msgspec.json.encode(left))
    await world.documents.remove("c/a.md")
    [receipt] = await receipts(world)
    assert receipt.complete
    assert world.stores.files == {}


async def test_receipts_of_a_collection(world: World) -> None:
    for path in ("c/a.md", "c/b.md", "d/a.md"):
        await world.drop(path)
        await delete(world, path)
    assert [receipt.path for receipt in await receipts(world, collection="c")] == ["c/a.md", "c/b.md"]
    assert len(await receipts(world)) == 3


async def test_removed_twice_has_two_receipts_the_newest_first(world: World) -> None:
    etags = []
    for content in (b"one", b"two"):
        etags.append(await world.drop("c/a.md", content))
        await delete(world, "c/a.md")
        world.clock.forward(10)
    assert [receipt.etag for receipt in await receipts(world, path="c/a.md")] == etags[::-1]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_crash_at_any_call_leaves_one_complete_receipt(after: bool) -> None:
    n = 0
    while True:
        n += 1
        world = World()
        await world.drop("c/t.csv", CSV)
        world.blobs.take_away("c/t.csv")
        world.outside.crash_at(n, after=after)
        try:
            await world.documents.remove("c/t.csv")
        except Crash:
            world.restart()
            await world.documents.remove("c/t.csv")  # the host brings the message again
        else:
            break
        await world.settle()
        found = await receipts(world)
        assert len(found) == 1, n
        assert found[0].complete, n
        assert world.stores.files == {}, n
        assert await world.listing() == {}, n
    assert n > 12


async def test_a_collection_goes_with_files_that_no_record_names(world: World) -> None:
    await world.drop("c/a.md")
    [store_id] = world.stores.stores
    world.stores.files["stray"] = ("a.md", b"Some words.")
    await world.stores.attach(store_id, "stray", {"path": "c/gone.md", "etag": "0x9", "version": "x", "since": 0.0})
    assert await world.app.library.removal.begin_collection("c")
    await world.settle(looks=500)
    assert (world.stores.stores, world.stores.files) == ({}, {})


async def test_a_folder(world: World) -> None:
    for n in range(120):
        await world.drop(f"c/old/{n}.md")
    await world.drop("c/older.md")
    before = set(world.blobs.names())
    await world.app.library.removal.begin_folder("c/old/")
    await world.settle(looks=5000)
    for path in before - set(world.blobs.names()):
        await world.documents.remove(path)
    await world.settle(looks=5000)
    assert set(await world.listing()) == {"c/older.md"} == set(world.blobs.names())
    assert len(world.stores.files) == 1


# ---- deleting by request -----------------------------------------------------------------------------------------


async def excluded(world: World) -> tuple[str, ...]:
    return (await world.app.library.visibility.of("c")).excluded


async def test_a_document_is_excluded_before_its_deletion_is_answered(world: World) -> None:
    etag = await world.drop("c/a.md", b"The gate code is 1.")
    assert await excluded(world) == ()
    await world.app.library.removal.begin("c/a.md")
    assert await excluded(world) == (version_of("c/a.md", etag),)
    assert world.live_text("c") == [b"The gate code is 1."]  # the service still has it
    hits = await world.app.library.search.search("gate", collection="c", where=None, limit=10)
    assert hits.hits == []


async def test_it_stays_excluded_until_it_is_gone(world: World) -> None:
    await world.drop("c/a.md")
    await world.app.library.removal.begin("c/a.md")
    seen = []

    async def look() -> None:
        seen.append((world.live_text("c"), await excluded(world)))

    world.outside.meanwhile(look, before="stores.discard")
    world.outside.meanwhile(look, after="stores.discard")
    await world.settle()
    assert all(hidden for _, hidden in seen)
    assert [text for text, _ in seen] == [[b"Some words."], []]
    assert world.state.names("visibility/") == []


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("n", range(1, 8))
async def test_a_crash_during_the_request_leaves_nothing(world: World, n: int, after: bool) -> None:
    await world.drop("c/a.md")
    world.outside.crash_at(n, after=after)
    with suppress(Crash):
        await world.app.library.removal.begin("c/a.md")
    world.restart()
    await world.settle()
    if "c/a.md" in world.blobs.names():
        assert (await world.document("c/a.md")).status == "indexed"
        return
    world.clock.forward(90)
    await world.app.library.sweep.run()
    await world.settle()
    assert await world.listing() == {}
    assert world.live_text("c") == []
    assert world.state.names("visibility/") == []


async def test_a_deletion_spares_a_newer_version(world: World) -> None:
    """K2: the version that was there when the request came goes, and no other."""
    await world.drop("c/a.md", b"1")

    async def replace() -> None:
        world.blobs.put("c/a.md", b"2")

    world.outside.meanwhile(replace, before="documents.delete")
    with pytest.raises(Busy):
        await world.app.library.removal.begin("c/a.md")
    assert world.blobs.content("c/a.md") == b"2"


async def test_a_document_that_returns_at_once_is_not_removed(world: World) -> None:
    """It is uploaded again and indexed between the deletion of its blob and the write of its record."""
    await world.drop("c/a.md", b"1")
    world.outside.meanwhile(lambda: world.drop("c/a.md", b"2"), after="documents.delete")
    await world.app.library.removal.begin("c/a.md")
    await world.settle()
    assert (await world.document("c/a.md")).status == "indexed"
    assert b"2" in world.live_text("c")


async def test_an_upload_spares_a_newer_version(world: World) -> None:
    """K2: a write that comes late meets a newer version, and fails."""
    world.blobs.put("c/a.md", b"1")

    async def replace() -> None:
        world.blobs.put("c/a.md", b"3")

    world.outside.meanwhile(replace, before="documents.write")
    with pytest.raises(Busy):
        await world.app.library.uploads.put("c/a.md", b"2", media_type="text/markdown", metadata={})
    assert world.blobs.content("c/a.md") == b"3"
