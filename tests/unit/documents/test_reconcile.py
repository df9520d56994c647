"""Reconcile: each kind of drift is named by a dry run, mended by a repair, and nothing else is touched."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.collections.attributes import attributes_of
from shared.documents.lifecycle import CLAIM
from shared.documents.reconcile import DRIFT_MAX, Pass
from shared.engines.stores import IndexState
from shared.errors import ServiceBusy, ServiceMissing
from shared.models.documents import Drift, Report, Version
from shared.storage.layout import document_name
from tests.fakes import Crash
from tests.unit.world import World

pytestmark = pytest.mark.usefixtures("every_text_is_long")

CSV = b"month,visits\njan,1\nfeb,2\n"
LATER = 3600.0


async def reconciled(world: World, *, dry_run: bool = False) -> Report:
    """One pass, with all that it sets going."""
    library = world.app.library
    report = await library.reconciliation.order(dry_run=dry_run)
    await world.settle(looks=2000)
    return await library.reconciliation.find(report.id)


def found(report: Report) -> list[tuple[str, str, str]]:
    return [(drift.kind, drift.what, drift.id) for drift in report.drift]


async def full(world: World) -> None:
    await world.drop("c/a.md", b"Alpha.")
    await world.drop("c/t.csv", CSV)
    await world.drop("c/messy.csv", b"Sales\n\nmonth;euros\njan;1,5\nfeb;2,5\n")
    await world.drop("other.md", b"Other.")
    world.clock.forward(LATER)


async def lose_record(world: World) -> None:
    world.state.take_away(document_name("c/a.md"))


async def lose_event(world: World) -> None:
    world.blobs.put("c/new.md", b"New.")
    world.clock.forward(60)


async def overwrite(world: World) -> None:
    world.blobs.put("c/a.md", b"Alpha, second.")
    world.clock.forward(60)


async def delete_blob(world: World) -> None:
    world.blobs.take_away("c/a.md")


async def attach_foreign(world: World) -> None:
    world.stores.files["foreign"] = ("foreign.md", b"Foreign.")
    world.stores.made_at["foreign"] = world.clock()
    version = Version(etag="0x999", size_bytes=1, last_modified_at=world.clock(), kind="text")
    store = next(store for store in world.stores.stores.values() if store.name == "c")
    store.files["foreign"] = attributes_of("c/gone.md", version, since=world.clock())
    world.clock.forward(60)


async def detach(world: World) -> None:
    live = (await world.document("c/a.md")).live
    assert live
    await world.stores.discard(live.store_id, live.parts[0])


async def lose_data_file(world: World) -> None:
    live = (await world.document("c/t.csv")).live
    assert live
    await world.stores.discard(None, live.data_file_id or "")


async def lose_clean_copy(world: World) -> None:
    live = (await world.document("c/messy.csv")).live
    assert live
    await world.stores.discard(None, live.clean_file_ids[0])


async def lose_store(world: World) -> None:
    live = (await world.document("c/a.md")).live
    assert live
    del world.stores.stores[live.store_id or ""]


async def let_store_expire(world: World) -> None:
    live = (await world.document("c/a.md")).live
    assert live
    world.stores.stores[live.store_id or ""].expired = True


async def lose_message(world: World) -> None:
    world.stores.states["slow.md"] = [IndexState(status="in_progress")]
    world.blobs.put("c/slow.md", b"Slow.")
    await world.documents.index("c/slow.md")
    world.indexing.messages.clear()
    world.clock.forward(1200)


async def strand_store(world: World) -> None:
    await world.stores.create_store("c", app=await world.app.library.collections.app())
    world.clock.forward(CLAIM.total_seconds() + 1)


async def strand_store_with_file(world: World) -> None:
    """No record names the store; a record names none of its files."""
    store_id = await world.stores.create_store("c", app=await world.app.library.collections.app())
    world.stores.files["stranded"] = ("a.md", b"Alpha.")
    await world.stores.attach(
        store_id, "stranded", dict(attributes_of("c/a.md", a_version(world), since=world.clock()))
    )
    world.clock.forward(CLAIM.total_seconds() + 1)


async def upload_twice(world: World) -> None:
    """The service carries out an upload twice, and answers once."""
    world.outside.do_twice("stores.upload")
    await world.drop("c/twice.md", b"Twice.")
    world.clock.forward(60)


async def lose_message_of_removal(world: World) -> None:
    """A busy service keeps a deleted document, and the message for the next try is lost."""
    world.outside.fail("stores.discard", ServiceBusy("Slow down."))
    world.blobs.take_away("c/a.md")
    await world.documents.remove("c/a.md")
    world.indexing.messages.clear()
    world.clock.forward(1200)


def a_version(world: World) -> Version:
    return Version(etag="0x999", size_bytes=1, last_modified_at=world.clock(), kind="text")


async def tell_nonsense(world: World) -> None:
    world.state.put("visibility/c/c/never.md", b"", metadata=dict(world.state.info_of("visibility/c/c/t.csv").metadata))


Damage = Callable[[World], Awaitable[None]]


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lose_record, {("missing", "document"), ("orphaned", "store_entry"), ("orphaned", "text")}),
        (lose_event, {("missing", "document")}),
        (overwrite, {("stale", "document")}),
        (delete_blob, {("orphaned", "document")}),
        (attach_foreign, {("orphaned", "store_entry")}),
        (detach, {("missing", "document")}),
        (lose_data_file, {("missing", "document")}),
        (lose_clean_copy, {("missing", "document")}),
        (lose_store, {("missing", "vector_store"), ("missing", "document")}),
        (let_store_expire, {("missing", "vector_store"), ("missing", "document")}),
        (lose_message, {("stuck", "document")}),
        (strand_store, {("orphaned", "vector_store")}),
        (strand_store_with_file, {("orphaned", "vector_store")}),
        (upload_twice, {("orphaned", "file")}),
        (lose_message_of_removal, {("orphaned", "document")}),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
async def test_each_kind_of_drift(world: World, damage: Damage, expected: set[tuple[str, str]]) -> None:
    await full(world)
    assert found(await reconciled(world)) == [], "nothing to begin with"
    await damage(world)
    before = dict(world.stores.files), world.state.names("index/"), await world.listing()
    dry = await reconciled(world, dry_run=True)
    assert {(drift.kind, drift.what) for drift in dry.drift} == expected
    assert not any(drift.done for drift in dry.drift)
    assert (dict(world.stores.files), world.state.names("index/"), await world.listing()) == before
    wet = await reconciled(world)
    assert sorted(found(wet)) == sorted(found(dry))
    assert all(drift.done for drift in wet.drift)
    again = await reconciled(world)
    assert found(again) == []
    await as_it_should_be(world)


async def as_it_should_be(world: World) -> None:
    """Every blob is indexed as it is, and the service holds nothing else."""
    listing = await world.listing()
    assert set(listing) == set(world.blobs.names())
    wanted: set[str] = set()
    for path, summary in listing.items():
        assert (summary.status, summary.etag) == ("indexed", world.blobs.info_of(path).etag)
        live = (await world.document(path)).live
        assert live
        wanted.update(live.file_ids)
    assert {i for store in world.stores.stores.values() for i in store.files} <= wanted
    assert set(world.stores.files) == wanted


async def test_a_full_container_is_taken_up(world: World) -> None:
    for n in range(250):
        world.blobs.put(f"old/{n:03}.md", b"Words %d." % n)
    world.clock.forward(LATER)
    report = await reconciled(world)
    assert (report.counts, report.documents, report.status) == ({"missing": 250}, 250, "completed")
    assert sum(call.startswith("stores.upload") for call in world.outside.calls) == 250
    await as_it_should_be(world)


async def test_what_has_just_come_is_left_to_its_event(world: World) -> None:
    world.blobs.put("c/new.md", b"New.")
    assert found(await reconciled(world, dry_run=True)) == []


@pytest.mark.parametrize("call", ["stores.upload", "stores.attach"])
async def test_an_upload_of_a_process_that_died_is_found(world: World, call: str) -> None:
    """By its document, before any pass: by its entry, or by name, size and time, and by nothing less."""
    await full(world)
    world.stores.files["theirs"] = ("lost.md", b"Of another app, before.")
    world.stores.made_at["theirs"] = world.clock() - timedelta(hours=1)
    world.stores.files["theirs too"] = ("lost.md", b"Of another size, at that moment.")
    world.stores.made_at["theirs too"] = world.clock()
    world.blobs.put("c/lost.md", b"Lost.")

    async def die() -> None:
        raise Crash

    world.outside.meanwhile(die, after=call)
    with pytest.raises(Crash):
        await world.documents.index("c/lost.md")
    world.restart()
    world.clock.forward(CLAIM.total_seconds() + 1)
    await world.documents.index("c/lost.md")
    await world.settle()
    world.clock.forward(60)
    report = await reconciled(world)
    assert found(report) == []
    assert [text.partition(" ")[0] for text in report.unseen] == ["2"]
    assert world.stores.files.pop("theirs")
    assert world.stores.files.pop("theirs too")
    await as_it_should_be(world)


@pytest.mark.parametrize("is_attached", [False, True], ids=["loose", "in their store"])
async def test_the_files_of_another_app_stay(world: World, is_attached: bool) -> None:
    """Also those that fit an upload of this app without an answer in name, size and time."""
    theirs = await world.stores.create_store("c", app="app_other")
    world.blobs.put("c/lost.md", b"Lost.")
    world.outside.fail("stores.upload", ServiceBusy("Cut.", unclear=True))
    await world.documents.index("c/lost.md")
    world.stores.files["theirs"] = ("lost.md", b"Lost.")
    world.stores.made_at["theirs"] = world.clock()
    if is_attached:
        await world.stores.attach(theirs, "theirs", {"path": "c/lost.md", "etag": "0x1", "since": 0.0, "version": "x"})
    await world.settle()
    world.clock.forward(LATER)
    for dry_run in (True, False):
        report = await reconciled(world, dry_run=dry_run)
        assert found(report) == []
        assert report.unseen == (
            "1 files that fit no document of this app, or that another app may have uploaded: they stay.",
        )
    assert "theirs" in world.stores.files
    assert ("theirs" in world.stores.stores[theirs].files) == is_attached
    assert (await world.document("c/lost.md")).retired == ()


async def test_one_404_is_no_proof(world: World) -> None:
    """The service says once that a store, a file or an entry is missing, and it is there."""
    await full(world)
    before = dict(world.stores.files)
    for call in ("stores.describe", "stores.entries", "stores.state", "stores.has_file"):
        world.outside.fail(call, ServiceMissing("No such object."))
        await reconciled(world)
    assert world.stores.files == before


async def test_an_upload_that_is_cut_off_during_the_pass_is_found(world: World) -> None:
    """Behind the list of files that the pass has made for an earlier collection."""
    await full(world)
    await world.drop("a/t.csv", CSV)
    world.clock.forward(60)

    async def die() -> None:
        raise Crash

    async def cut_off() -> None:
        world.blobs.put("c/lost.md", b"Lost.")
        world.outside.meanwhile(die, after="stores.upload")
        with pytest.raises(Crash):
            await world.instance().library.documents.index("c/lost.md")
        world.clock.forward(CLAIM.total_seconds() + 1)
        await world.instance().library.documents.index("c/lost.md")

    world.outside.meanwhile(cut_off, after="stores.files_since")
    await reconciled(world)
    await reconciled(world)
    await as_it_should_be(world)


async def test_a_data_file_of_the_same_name_is_not_taken_for_a_lost_upload(world: World) -> None:
    await world.drop("stock.csv", CSV)
    world.blobs.put("a/stock.csv", CSV)

    async def die() -> None:
        raise Crash

    world.outside.meanwhile(die, before="stores.upload")
    with pytest.raises(Crash):
        await world.documents.index("a/stock.csv")
    world.restart()
    world.clock.forward(CLAIM.total_seconds() + 1)
    await world.documents.index("a/stock.csv")
    await world.drop("b/stock.csv", CSV)
    world.clock.forward(60)
    assert found(await reconciled(world)) == []
    await as_it_should_be(world)


async def test_a_document_that_fails_for_a_passing_reason_is_tried_so_often(world: World) -> None:
    failed = IndexState(status="failed", code="server_error", message="Sorry.")
    world.stores.states["a.md"] = [failed] * 10
    await world.drop("c/a.md")
    for _ in range(5):
        world.clock.forward(LATER)
        await reconciled(world)
    document = await world.document("c/a.md")
    assert (document.tries, len(document.attempts), document.status) == (3, 3, "failed")
    assert document.reason
    assert not document.reason.retryable
    assert "tried 3 times" in document.reason.message
    world.stores.states.clear()
    await world.documents.retry("c/a.md", reset_tries=True)
    await world.settle()
    assert (await world.document("c/a.md")).status == "indexed"


async def test_a_document_that_cannot_be_read_is_not_tried_again(world: World) -> None:
    await world.drop("c/a.md", b"")
    world.clock.forward(LATER)
    assert found(await reconciled(world)) == []


async def test_it_leaves_alone_what_is_being_sent(world: World) -> None:
    await full(world)
    reports: list[Report] = []

    async def meanwhile() -> None:
        library = world.instance().library
        report = await library.reconciliation.order(dry_run=False)
        world.clock.forward(30)
        await library.reconciliation.run(report.id)
        reports.append(await library.reconciliation.find(report.id))

    for call in ("stores.upload", "stores.attach"):
        world.outside.meanwhile(meanwhile, after=call)
        await world.drop(f"c/{call}.md", b"Being sent.")
    assert [found(report) for report in reports] == [[], []]
    await world.settle()
    await as_it_should_be(world)


async def test_a_pass_that_dies_is_done_again(world: World) -> None:
    await full(world)
    await delete_blob(world)
    calls = len(world.outside.calls)
    await reconciled(world, dry_run=True)
    calls = len(world.outside.calls) - calls
    for n in range(1, calls, 3):
        mine = World()
        await full(mine)
        await delete_blob(mine)
        mine.outside.crash_at(n, after=True)
        report_id = None
        for _ in range(3):
            try:
                report_id = report_id or (await mine.app.library.reconciliation.order(dry_run=False)).id
                await mine.app.library.reconciliation.run(report_id)
                break
            except Crash:
                mine.restart()
        await mine.settle(looks=2000)
        await as_it_should_be(mine)


@pytest.mark.parametrize("call", ["stores.describe", "stores.entries", "stores.list_stores", "stores.files_since"])
async def test_a_pass_says_what_it_could_not_look_at(world: World, call: str) -> None:
    await full(world)
    await strand_store(world)
    await delete_blob(world)
    world.outside.fail(call, ServiceBusy("Slow down."))
    report = await reconciled(world, dry_run=True)
    assert (report.status, len(report.unseen)) == ("completed", 1)
    assert "Slow down." in report.unseen[0]
    assert ("orphaned", "document", "c/a.md") in found(report)
    assert not any(drift.kind == "missing" for drift in report.drift), "what was not seen is not missing"


def test_a_report_names_the_first_thousand() -> None:
    report = Report(id="rec_1", status="in_progress", dry_run=True, created_at=World().clock())
    going = Pass(report=report)
    place = Drift(kind="missing", what="document", id="a", collection="c", detail="", repair="")
    for n in range(DRIFT_MAX + 5):
        going.note(replace(place, id=str(n)))
    assert (len(going.summary().drift), going.summary().counts) == (DRIFT_MAX, {"missing": DRIFT_MAX + 5})


async def test_the_timer_orders_nothing_while_its_last_pass_still_running(world: World) -> None:
    reconciliation = world.app.library.reconciliation
    await reconciliation.order_by_timer()
    await reconciliation.order_by_timer()
    assert len(world.indexing.messages) == 1
    world.clock.forward(4 * LATER)  # its message got lost
    await reconciliation.order_by_timer()
    await world.settle()
    await reconciliation.order_by_timer()
    assert len(world.indexing.messages) == 1, "the last one has ended"
