"""Documents: each path of their state machine, with events duplicated, reordered and cut off."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.collections.visibility import version_of, visibility_of
from shared.documents.indexer import GAVE_UP
from shared.documents.lifecycle import CLAIM
from shared.documents.record import tags_of
from shared.engines.stores import IndexState
from shared.errors import ServiceBusy, ServiceError, StorageError
from shared.models.documents import Document, Reason, Version
from shared.models.runs import DataFile
from shared.storage.layout import document_name, visibility_name
from shared.storage.records import pack
from tests.fakes import Crash
from tests.unit.world import DEADLINE_S, World

CSV = b"month,visits\njan,1\nfeb,2\n"
GOING_ON = IndexState(status="in_progress")
FAILED = IndexState(status="failed", code="invalid_file", message="The PDF is damaged.")
BUSY = ServiceBusy("Too many requests.")


# ---- the straight way --------------------------------------------------------------------------------------------


async def test_a_document_is_indexed(world: World) -> None:
    etag = await world.drop("reports/a.md", b"Words.")
    document = await world.document("reports/a.md")
    assert (document.status, document.collection, document.etag) == ("indexed", "reports", etag)
    assert document.live is not None
    assert (document.live.kind, document.incoming, document.retired, document.reason) == ("text", None, (), None)
    assert world.live_text("reports") == [b"Words."]
    [store] = world.stores.stores.values()
    assert store.files[document.live.parts[0]] == {
        "path": "reports/a.md",
        "etag": etag,
        "version": version_of("reports/a.md", etag),
        "kind": "text",
        "since": world.clock().timestamp(),
        "modified": world.clock().timestamp(),
    }


async def test_nothing_waits_while_the_service_is_at_it(world: World) -> None:
    world.stores.states["a.md"] = [GOING_ON] * 30
    world.blobs.put("a.md", b"x")
    await world.documents.index("a.md")
    delays = []
    while world.indexing.messages:
        sent = world.indexing.take()
        delays.append(sent.delay_s)
        await world.work(sent)
    assert delays[:4] == [0, 1, 1, 1]
    assert delays == sorted(delays)
    assert max(delays) <= 30
    assert (await world.document("a.md")).status == "indexed"


async def test_a_data_file_has_a_card_in_its_place(world: World) -> None:
    await world.drop("sales/2026/visits.csv", CSV)
    live = (await world.document("sales/2026/visits.csv")).live
    assert live is not None
    assert world.stores.files[live.data_file_id or ""][1] == CSV
    [card] = world.live_text("sales")
    assert b"| visits | integer | 1 to 2 | 0 |" in card
    offers = await world.offers("sales")
    assert offers.keys() == {DataFile(path="sales/2026/visits.csv", file_id=live.data_file_id or "")}
    assert {"visit", "month", "jan"} <= set(next(iter(offers.values())))


@pytest.mark.parametrize(
    ("content", "kind"),
    [(b'[{"a": 1}]', "data"), (b'{"a": 1}', "text"), (b"{", "text")],
    ids=["table", "no table", "damaged"],
)
async def test_json_is_data_when_it_is_a_table(world: World, content: bytes, kind: str) -> None:
    await world.drop("a.json", content)
    live = (await world.document("a.json")).live
    assert live is not None
    assert live.kind == kind
    assert len(await world.offers()) == (kind == "data")


@pytest.mark.parametrize(
    ("path", "content", "status", "code"),
    [
        ("a.png", b"x", "unsupported", "unsupported_file"),
        ("a.xyz", b"x", "unsupported", "unsupported_file"),
        ("noending", b"\x7fELF" + bytes(range(256)), "unsupported", "unsupported_file"),
        ("a.md", b"", "failed", "empty_file"),
        ("a.md", b"x" * 1_000_001, "failed", "file_too_large"),
        ("a.csv", b"\n\n", "failed", "empty_file"),
        ("a.csv", b"\0\0\0", "unsupported", "binary_content"),
        ("a\\b.md", b"x", "unsupported", "bad_name"),
        ("a//b.md", b"x", "unsupported", "bad_name"),
        ("a/../b.md", b"x", "unsupported", "bad_name"),
    ],
)
async def test_what_cannot_be_indexed_says_why(world: World, path: str, content: bytes, status: str, code: str) -> None:
    await world.drop(path, content)
    summary = (await world.listing())[path]
    assert summary.reason is not None
    assert (summary.status, summary.reason.code) == (status, code)
    assert len(summary.reason.message) > 10
    assert world.stores.files == {}


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ServiceError("No.", code="unsupported_file"), "unsupported", "unsupported_file"),
        (ServiceError("No.", code="content_filter"), "failed", "content_filter"),
    ],
)
async def test_what_the_service_refuses(world: World, error: ServiceError, status: str, code: str) -> None:
    world.outside.fail("stores.attach", error)
    await world.drop("a.md")
    document = await world.document("a.md")
    assert document.reason == Reason(code=code, message="No.")
    assert document.status == status
    assert world.stores.files == {}, "what was uploaded is deleted"


async def test_what_fails_at_the_service_says_why_and_is_cleaned_up(world: World) -> None:
    world.stores.states["a.md"] = [GOING_ON, FAILED]
    await world.drop("a.md")
    document = await world.document("a.md")
    assert (document.status, document.reason) == ("failed", Reason(code="invalid_file", message="The PDF is damaged."))
    assert world.stores.files == {}


async def test_one_bad_document_disturbs_no_other(world: World) -> None:
    world.stores.states["bad.md"] = [FAILED]
    await world.drop("bad.md")
    await world.drop("good.md", b"Good.")
    assert {path: summary.status for path, summary in (await world.listing()).items()} == {
        "bad.md": "failed",
        "good.md": "indexed",
    }
    assert world.live_text() == [b"Good."]


async def test_a_collection_is_one_store(world: World) -> None:
    await asyncio.gather(*(world.drop(f"c/{n}.md") for n in range(5)))
    await world.drop("d/x.md")
    assert sorted(store.name for store in world.stores.stores.values()) == ["c", "d"]


async def test_two_instances_make_one_store(world: World) -> None:
    other = world.instance().library.documents
    for path in ("c/a.md", "c/b.md"):
        world.blobs.put(path, b"x")
    world.outside.meanwhile(lambda: other.index("c/b.md"), before="stores.create_store")
    await world.documents.index("c/a.md")
    await world.settle()
    [store] = world.stores.stores.values()
    assert len(store.files) == 2


# ---- replacing ---------------------------------------------------------------------------------------------------


async def test_the_old_version_answers_until_the_new_one_is_complete(world: World) -> None:
    old = await world.drop("a.md", b"old")
    world.stores.states["a.md"] = [GOING_ON] * 2
    new = world.blobs.put("a.md", b"new")
    await world.documents.index("a.md")
    await world.documents.look("a.md")
    summary = (await world.listing())["a.md"]
    assert (summary.status, summary.etag, summary.answers_etag) == ("indexing", new, old)
    assert b"old" in world.live_text()
    await world.settle()
    summary = (await world.listing())["a.md"]
    assert (summary.status, summary.answers_etag) == ("indexed", new)
    assert world.live_text() == [b"new"]
    assert len(world.stores.files) == 1


@pytest.mark.parametrize("how", ["at the service", "empty", "refused"])
async def test_a_failed_new_version_leaves_the_old_one_answering(world: World, how: str) -> None:
    old = await world.drop("a.csv", CSV)
    offers = await world.offers()
    if how == "at the service":
        world.stores.states["a.csv.md"] = [FAILED]
    if how == "refused":
        world.outside.fail("stores.attach", ServiceError("No."))
    await world.drop("a.csv", b"" if how == "empty" else b"x,y\n1,2\n")
    summary = (await world.listing())["a.csv"]
    assert (summary.status, summary.answers_etag) == ("failed", old)
    assert summary.reason is not None
    assert b"visits" in world.live_text()[0]
    assert await world.offers() == offers
    assert len(world.stores.files) == 2


async def test_a_table_that_becomes_text_is_offered_no_more(world: World) -> None:
    await world.drop("a.json", b'[{"a": 1}]')
    await world.drop("a.json", b'{"a": 1}')
    assert await world.offers() == {}
    assert world.live_text() == [b'{"a": 1}']


async def test_a_newer_version_overtakes_one_that_is_being_indexed(world: World) -> None:
    world.stores.states["a.md"] = [GOING_ON] * 3
    world.blobs.put("a.md", b"first")
    await world.documents.index("a.md")
    await world.drop("a.md", b"second")
    assert (await world.document("a.md")).status == "indexed"
    assert world.live_text() == [b"second"]
    assert len(world.stores.files) == 1


@pytest.mark.parametrize("when", ["stores.upload", "stores.attach", "documents.stream", "state.write index"])
async def test_a_newer_version_comes_while_the_older_one_is_sent(world: World, when: str) -> None:
    other = world.instance().library.documents

    async def overwrite() -> None:
        world.blobs.put("a.md", b"second")
        await other.index("a.md")

    world.blobs.put("a.md", b"first")
    world.outside.meanwhile(overwrite, before=when)
    await world.documents.index("a.md")
    await world.settle()
    assert (await world.document("a.md")).status == "indexed"
    assert world.live_text() == [b"second"]
    assert len(world.stores.files) == 1


@pytest.mark.parametrize("first_call", ["documents.info", "state.read index"])
async def test_an_old_event_that_paused_does_not_undo_a_newer_version(world: World, first_call: str) -> None:
    other = world.instance().library.documents

    async def newer() -> None:
        world.blobs.put("a.md", b"second")
        await other.index("a.md")
        await other.look("a.md")

    await world.drop("a.md", b"zeroth")
    world.blobs.put("a.md", b"first")
    world.outside.meanwhile(newer, after=first_call)
    await world.documents.index("a.md")
    await world.settle()
    assert (await world.document("a.md")).status == "indexed"
    assert world.live_text() == [b"second"]


async def test_an_offer_follows_the_newest_version(world: World) -> None:
    """While one instance writes the offer of a version, another one puts a newer version in its place."""
    other = world.instance().library.documents

    async def newer() -> None:
        world.blobs.put("a.csv", b"month,clicks\njan,1\n")
        await other.index("a.csv")
        for _ in range(3):
            await other.look("a.csv")

    world.outside.meanwhile(newer, before="state.write visibility/")
    await world.drop("a.csv", CSV)
    live = (await world.document("a.csv")).live
    assert live is not None
    assert [file.file_id for file in await world.offers()] == [live.data_file_id]
    assert live.data_file_id in world.stores.files


# ---- the same event again ----------------------------------------------------------------------------------------


async def test_the_same_event_again_does_nothing(world: World) -> None:
    await world.drop("a.md")
    before = await world.document("a.md"), dict(world.stores.files), world.state.names()
    await world.documents.index("a.md")
    await world.settle()
    assert (await world.document("a.md"), dict(world.stores.files), world.state.names()) == before


async def test_the_same_event_twice_at_once_sends_the_document_once(world: World) -> None:
    other = world.instance().library.documents
    world.outside.meanwhile(lambda: other.index("a.md"), before="stores.upload")
    await world.drop("a.md")
    assert sum(call.startswith("stores.upload") for call in world.outside.calls) == 1
    assert (await world.document("a.md")).status == "indexed"


async def test_a_failed_document_is_not_tried_again_by_the_same_event(world: World) -> None:
    world.stores.states["a.md"] = [FAILED]
    await world.drop("a.md")
    await world.documents.index("a.md")
    await world.settle()
    assert (await world.document("a.md")).status == "failed"


async def test_the_same_content_uploaded_again_is_tried_again(world: World) -> None:
    world.stores.states["a.md"] = [FAILED]
    await world.drop("a.md", b"x")
    await world.drop("a.md", b"x")
    assert (await world.document("a.md")).status == "indexed"


async def test_a_late_look_at_what_is_done_or_gone_does_nothing(world: World) -> None:
    await world.drop("a.md")
    before = await world.document("a.md")
    await world.documents.look("a.md")
    await world.documents.look("never.md")
    assert await world.document("a.md") == before
    assert world.indexing.messages == []


# ---- removing ----------------------------------------------------------------------------------------------------


async def test_removing_takes_everything_away(world: World) -> None:
    await world.drop("a.csv", CSV)
    world.blobs.take_away("a.csv")
    await world.documents.remove("a.csv")
    await world.settle()
    assert await world.listing() == {}
    assert world.stores.files == {}
    assert world.state.names("index/") == world.state.names("visibility/") == []


async def test_removing_twice_or_what_was_never_there(world: World) -> None:
    await world.drop("a.md")
    world.blobs.take_away("a.md")
    await world.documents.remove("a.md")
    await world.documents.remove("a.md")
    await world.documents.remove("never.md")
    assert await world.listing() == {}


async def test_an_old_delete_event_does_not_remove_what_is_there_again(world: World) -> None:
    await world.drop("a.md", b"again")
    await world.documents.remove("a.md")
    assert world.live_text() == [b"again"]
    assert (await world.document("a.md")).status == "indexed"


async def test_removed_then_uploaded_again(world: World) -> None:
    await world.drop("a.md", b"old")
    world.blobs.take_away("a.md")
    await world.documents.remove("a.md")
    await world.drop("a.md", b"new")
    assert world.live_text() == [b"new"]


@pytest.mark.parametrize(
    "when", ["state.read", "documents.info", "state.write", "stores.discard", "state.delete index"]
)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_uploaded_again_while_the_old_one_is_removed(world: World, when: str, after: bool) -> None:
    other = world.instance().library.documents

    async def upload_again() -> None:
        world.blobs.put("a.md", b"again")
        await other.index("a.md")
        await other.look("a.md")

    await world.drop("a.md", b"old")
    world.blobs.take_away("a.md")
    world.outside.meanwhile(upload_again, **{"after" if after else "before": when})
    await world.documents.remove("a.md")
    await world.settle()
    assert world.live_text() == [b"again"]
    assert (await world.document("a.md")).status == "indexed"


@pytest.mark.parametrize("when", ["state.read", "state.write", "documents.stream", "stores.upload", "stores.attach"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_removed_while_it_is_sent(world: World, when: str, after: bool) -> None:
    other = world.instance().library.documents

    async def delete() -> None:
        world.blobs.take_away("a.md")
        await other.remove("a.md")

    world.blobs.put("a.md", b"x")
    world.outside.meanwhile(delete, **{"after" if after else "before": when})
    await world.documents.index("a.md")
    await world.settle()
    assert await world.listing() == {}
    assert world.stores.files == {}


async def test_removing_does_not_wait_for_a_claim(world: World) -> None:
    world.outside.meanwhile(lambda: _delete(world, "a.md"), after="stores.upload")
    world.blobs.put("a.md", b"x")
    start = world.clock()
    await world.documents.index("a.md")
    while await world.listing():
        await world.work(world.indexing.take())
    assert world.stores.files == {}
    assert world.clock() - start < timedelta(minutes=1)


async def _delete(world: World, path: str) -> None:
    world.blobs.take_away(path)
    await world.documents.remove(path)


async def test_a_busy_service_delays_a_removal(world: World) -> None:
    await world.drop("a.md")
    world.outside.fail("stores.discard", BUSY, BUSY)
    await _delete(world, "a.md")
    assert (await world.listing())["a.md"].status == "removing"
    assert world.indexing.messages[0].delay_s >= 2
    await world.settle()
    assert await world.listing() == {}
    assert world.stores.files == {}


# ---- a busy service and a deadline -------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["stores.create_store", "stores.upload", "stores.attach", "stores.state"])
async def test_a_busy_service_is_asked_again_later(world: World, call: str) -> None:
    world.outside.fail(call, BUSY, ServiceBusy("Slow down.", retry_after_s=20), BUSY)
    world.blobs.put("a.md", b"x")
    await world.documents.index("a.md")
    seen = []
    while world.indexing.messages:
        sent = world.indexing.take()
        seen.append(sent.delay_s)
        await world.work(sent)
    assert 21 in seen
    document = await world.document("a.md")
    assert (document.status, document.faults, document.claimed_until) == ("indexed", 0, None)
    assert world.live_text() == [b"x"]
    assert len(world.stores.files) == 1


async def test_a_service_that_stays_busy_meets_the_deadline(world: World) -> None:
    start = world.clock()
    world.outside.fail("stores.upload", *[BUSY] * 1000)
    await world.drop("a.md")
    document = await world.document("a.md")
    assert document.reason is not None
    assert (document.status, document.reason.code) == ("failed", "service_busy")
    assert timedelta(0) < world.clock() - start - timedelta(seconds=DEADLINE_S) < timedelta(minutes=1)


async def test_indexing_that_never_ends_meets_the_deadline(world: World) -> None:
    world.stores.states["a.md"] = [GOING_ON] * 1000
    await world.drop("a.md")
    document = await world.document("a.md")
    assert document.reason is not None
    assert (document.status, document.reason.code) == ("failed", "timeout")
    assert world.stores.files == {}


async def test_a_file_that_vanished_at_the_service_fails(world: World) -> None:
    world.stores.states["a.md"] = [GOING_ON]
    world.blobs.put("a.md", b"x")
    await world.documents.index("a.md")
    world.stores.files.clear()
    for store in world.stores.stores.values():
        store.files.clear()
    await world.settle()
    document = await world.document("a.md")
    assert document.reason is not None
    assert (document.status, document.reason.code) == ("failed", "vanished")


# ---- the process dies --------------------------------------------------------------------------------------------


async def _tried_until_it_works(world: World, event: str) -> None:
    """As the host does: a function that failed is called again with the same message."""
    for _ in range(4):
        try:
            await (world.documents.remove("a.csv") if event == "remove" else world.documents.index("a.csv"))
            break
        except Crash:
            world.restart()
    for _ in range(200):
        if not world.indexing.messages:
            return
        sent = world.indexing.take()
        try:
            await world.work(sent)
        except Crash:
            world.restart()
            world.indexing.messages.append(sent)
    raise AssertionError("The messages never end.")


async def _calls(event: str) -> list[str]:
    world = World()
    await _prepared(world, event)
    before = len(world.outside.calls)
    await _tried_until_it_works(world, event)
    return world.outside.calls[before:]


async def _prepared(world: World, event: str) -> None:
    if event != "index":
        await world.drop("a.csv", CSV)
    if event == "remove":
        world.blobs.take_away("a.csv")
    else:
        world.blobs.put("a.csv", b"month,clicks\njan,7\n")


@pytest.mark.parametrize("event", ["index", "replace", "remove"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_crash_at_any_call_loses_nothing(event: str, after: bool) -> None:
    for n in range(1, len(await _calls(event)) + 1):
        world = World()
        await _prepared(world, event)
        world.outside.crash_at(n, after=after)
        await _tried_until_it_works(world, event)
        where = f"crash {'after' if after else 'before'} call {n}"
        if event == "remove":
            assert await world.listing() == {}, where
            assert world.live_text() == [], where
            assert world.state.names("visibility/") == [], where
            continue
        document = await world.document("a.csv")
        assert document.status == "indexed", where
        assert document.live is not None
        assert [file.file_id for file in await world.offers()] == [document.live.data_file_id]
        held = [i for store in world.stores.stores.values() for i in store.files if i in world.stores.files]
        assert document.live.parts[0] in held, where
        assert document.live.data_file_id in world.stores.files, where
        assert len([i for i in held if "path" in _attributes(world, i)]) <= 2, where


def _attributes(world: World, file_id: str) -> dict[str, object]:
    return next((dict(s.files[file_id]) for s in world.stores.stores.values() if file_id in s.files), {})


async def test_a_claim_of_a_dead_process_runs_out(world: World) -> None:
    world.blobs.put("a.md", b"x")
    world.outside.meanwhile(_die, before="stores.upload")
    with pytest.raises(Crash):
        await world.documents.index("a.md")
    start = world.clock()
    await world.documents.index("a.md")
    assert [sent.message for sent in world.indexing.messages] == [
        {"do": "look", "path": "a.md", "slot_reserved": False}
    ]
    await world.settle(looks=200)
    assert (await world.document("a.md")).status == "indexed"
    assert CLAIM <= world.clock() - start < CLAIM + timedelta(seconds=30)


async def _die() -> None:
    raise Crash


@pytest.mark.parametrize(
    "error",
    [StorageError("Storage is cannot be reached."), OverflowError("a bug")],
    ids=lambda error: type(error).__name__,
)
async def test_a_fault_reaches_the_host_each_time(world: World, error: Exception) -> None:
    """So that the host counts it, and in the end gives up."""
    world.outside.fail("stores.upload", *[error] * 3)
    world.blobs.put("a.md", b"x")
    for _ in range(3):
        with pytest.raises(type(error)):
            await world.documents.index("a.md")
    await world.drop("a.md")
    assert (await world.document("a.md")).status == "indexed"


# ---- the host gives up -------------------------------------------------------------------------------------------


async def test_giving_up_fails_what_is_being_indexed(world: World) -> None:
    old = await world.drop("a.md", b"old")
    world.stores.states["a.md"] = [GOING_ON]
    world.blobs.put("a.md", b"new")
    await world.documents.index("a.md")
    await world.documents.give_up("a.md")
    summary = (await world.listing())["a.md"]
    assert (summary.status, summary.answers_etag) == ("failed", old)
    assert summary.reason == Reason(code="gave_up", message=GAVE_UP, retryable=True)
    assert world.live_text() == [b"old"]


async def test_giving_up_late_changes_nothing(world: World) -> None:
    await world.drop("a.md")
    before = await world.document("a.md")
    await world.documents.give_up("a.md")
    assert await world.document("a.md") == before


async def test_giving_up_on_what_has_no_record_makes_one(world: World) -> None:
    world.blobs.put("a.md", b"x")
    await world.documents.give_up("a.md")
    summary = (await world.listing())["a.md"]
    assert summary.status == "failed"
    assert summary.reason == Reason(code="gave_up", message=GAVE_UP, retryable=True)


async def test_giving_up_on_what_is_gone_does_nothing(world: World) -> None:
    await world.documents.give_up("never.md")
    assert await world.listing() == {}


# ---- listing -----------------------------------------------------------------------------------------------------


async def test_the_listing_shows_every_document(world: World) -> None:
    await world.drop("b/x.md")
    await world.drop("a.png")
    world.blobs.put("b/new.md", b"x")
    world.blobs.put("ab/other.md", b"x")
    listed = await world.listing()
    assert {path: (s.status, s.collection) for path, s in listed.items()} == {
        "a.png": ("unsupported", "default"),
        "ab/other.md": ("pending", "ab"),
        "b/new.md": ("pending", "b"),
        "b/x.md": ("indexed", "b"),
    }
    assert list(listed) == ["b/x.md", "a.png", "ab/other.md", "b/new.md"], "by collection; what is pending comes last"
    assert set(await world.listing("b")) == {"b/new.md", "b/x.md"}
    assert set(await world.listing("default")) == {"a.png"}
    assert await world.listing("none") == {}


async def test_documents_of_one_name_stay_apart(world: World) -> None:
    paths = ["a.csv", "default/a.csv", "x/a.csv", "x/a/b.csv", "x/a__b.csv"]
    for path in paths:
        await world.drop(path, CSV)
    assert {path: s.status for path, s in (await world.listing()).items()} == dict.fromkeys(paths, "indexed")
    names = [
        world.stores.files[d.live.data_file_id or ""][0] for d in [await world.document(p) for p in paths] if d.live
    ]
    assert len(set(names)) == len(names), "code interpreter puts all of them into one folder"


@pytest.mark.parametrize("letter", ["a", "é", "文", "📄", '"'])
@pytest.mark.parametrize("folder_chars", [0, 1, 500, 1000])
def test_what_is_stored_of_a_long_name_fits(letter: str, folder_chars: int) -> None:
    path = (letter * folder_chars + "/" if folder_chars else "") + letter * (1000 - folder_chars) + ".csv"
    version = Version(etag="0x8DC0123456789AB", size_bytes=10**9, last_modified_at=World().clock(), kind="data")
    document = Document(
        path=path,
        collection=letter * folder_chars or "default",
        status="unsupported",
        updated_at=World().clock(),
        indexed_at=World().clock(),
        etag=version.etag,
        size_bytes=10**9,
        live=version,
        reason=Reason(code="unsupported_file", message=letter * 5000),
    )
    assert max(len(document_name(path)), len(visibility_name(path))) <= 1024
    # Azure takes 8 KiB of metadata, names and values together.
    assert sum(len(key) + len(value) for key, value in tags_of(document).items()) <= 8192
    data = replace(version, data_file_id="assistant-" + "x" * 30, terms=tuple([letter * 20] * 500), parts=("x",))
    retired = tuple(replace(version, etag=f"0x{n}", parts=("x",)) for n in range(100))
    entry = visibility_of(replace(document, live=data, incoming=version, retired=retired))
    assert len(pack(entry)) <= 8192


async def test_parquet_is_answered_from_its_copy(world: World) -> None:
    import arro3.core as arrow
    import arro3.io

    file = io.BytesIO()
    columns = {"city": arrow.Array(["Ulm", "Bonn"], type=arrow.DataType.string())}
    arro3.io.write_parquet(arrow.Table.from_pydict(columns), file)
    await world.drop("c/cities.parquet", file.getvalue())
    document = await world.document("c/cities.parquet")
    assert document.live
    assert (document.status, document.live.kind) == ("indexed", "data")
    [card] = [world.stores.files[part] for part in document.live.parts]
    assert "# cities.parquet" in card[1].decode()
    assert "2 rows, 1 columns." in card[1].decode()
    assert world.stores.files[document.live.data_file_id or ""] == ("c__cities.parquet.csv", b"city\nUlm\nBonn\n")
