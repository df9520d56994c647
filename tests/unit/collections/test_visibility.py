"""What a question may see: one version of each document, whatever is being replaced at that moment."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.collections.visibility import (
    EXCLUDED_MAX,
    VERSIONS_MAX,
    DocumentVisibility,
    VisibilityBlobs,
    version_of,
    visibility_of,
)
from shared.documents import lifecycle
from shared.documents.record import document_records
from shared.engines.searching import filters_of
from shared.engines.stores import IndexState, Within, all_of
from shared.errors import NotFound, ServiceBusy
from shared.models.documents import Document, Version
from shared.models.runs import Run
from shared.runs.citations import NO_SOURCE
from shared.storage.records import pack
from tests.unit.world import World

GOING_ON = IndexState(status="in_progress")


async def seen(world: World, run: Run) -> list[str]:
    """What a file search of this run finds, whenever it comes to it."""
    assert run.as_of
    within = Within(as_of=run.as_of, excluded=run.excluded)
    found = [p for s in run.stores for p in await world.stores.search(s, "gate", limit=50, within=within)]
    return sorted(passage.text for passage in found)


async def test_each_run_sees_one_version_at_every_step_of_a_replacement(world: World) -> None:
    await world.drop("c/a.md", b"gate 1")
    runs = {"before": await world.ask(collection="c")}
    world.clock.forward(1)
    world.stores.states["a.md"] = [GOING_ON] * 2
    world.blobs.put("c/a.md", b"gate 2")
    await world.documents.index("c/a.md")
    world.clock.forward(1)
    runs["attached"] = await world.ask(collection="c")
    for _ in range(4):
        world.clock.forward(5)
        sent = world.indexing.take()
        await world.work(sent)
        runs[f"look {len(runs)}"] = await world.ask(collection="c")
        for name, run in runs.items():
            assert len(await seen(world, run)) == 1, name
    assert await seen(world, runs["before"]) == ["gate 1"]
    assert await seen(world, await world.ask(collection="c")) == ["gate 2"]
    assert len(world.stores.files) == 2, "the old version stays for those who began before"
    await world.finish(looks=1000)
    world.clock.forward(60)
    await world.settle()
    assert len(world.stores.files) == 1
    assert world.state.names("visibility/") == []
    hits = await world.app.library.search.search("gate", collection="c", where=None, limit=10)
    assert [hit.text for hit in hits.hits] == ["gate 2"]


async def test_a_run_that_never_ends_does_not_keep_old_versions_for_ever(world: World) -> None:
    await world.drop("c/a.md", b"gate 1")
    await world.ask(collection="c")
    world.clock.forward(1)
    world.blobs.put("c/a.md", b"gate 2")
    await world.documents.index("c/a.md")
    await world.settle(looks=1000)
    assert len(world.stores.files) == 1
    assert world.clock().hour >= 13, "after an hour"


async def test_search_says_how_many_are_still_to_come(world: World) -> None:
    await world.drop("c/a.md", b"gate 1")
    world.stores.states["b.md"] = [GOING_ON] * 5
    world.blobs.put("c/b.md", b"gate 2")
    await world.documents.index("c/b.md")
    for _ in range(3):
        world.clock.forward(2)
        await world.work(world.indexing.take())
    hits = await world.app.library.search.search("gate", collection="c", where=None, limit=10)
    assert hits.indexing == 1
    run = await world.ask(collection="c")
    await world.finish()
    assert world.answer(run.id).notes == (
        "One document was still being indexed in this collection when the question was asked.",
        NO_SOURCE,
    )


async def test_a_hit_tells_where_it_is_from(world: World) -> None:
    world.blobs.put("c/a.md", b"gate 1", metadata={"team": "hr", "year": "2024"})
    await world.documents.index("c/a.md")
    await world.settle()
    [hit] = (await world.app.library.search.search("gate", collection="c", where=None, limit=10)).hits
    info = world.blobs.info_of("c/a.md")
    assert (hit.document, hit.etag, hit.last_modified_at) == ("c/a.md", info.etag, info.last_modified_at)
    assert hit.metadata == {"team": "hr", "year": 2024.0}
    assert 0 < hit.score <= 1


async def test_search_in_a_collection_that_is_not_there(world: World) -> None:
    with pytest.raises(NotFound):
        await world.app.library.search.search("x", collection="none", where=None, limit=10)


@pytest.mark.parametrize(("size_bytes", "told"), [(100, 0), (1000, 1)])
async def test_a_large_document_is_told_of_before_it_is_sent(
    world: World, monkeypatch: pytest.MonkeyPatch, size_bytes: int, told: int
) -> None:
    monkeypatch.setattr(lifecycle, "SMALL_BYTES", 500)
    await world.drop("c/a.md", b"gate 1")
    world.stores.states["b.md"] = [GOING_ON] * 2
    world.blobs.put("c/b.md", b"gate " * (size_bytes // 5))
    await world.documents.index("c/b.md")
    assert (await world.app.library.visibility.of("c")).indexing == told
    await world.settle()
    assert (await world.app.library.visibility.of("c")).indexing == 0


async def test_an_answer_without_a_source_says_what_was_not_taken_up(world: World) -> None:
    await world.drop("c/a.md", b"gate 1")
    world.blobs.put("c/b.md", b"gate 2")
    world.blobs.put("other/c.md", b"gate 3")
    run = await world.ask(collection="c")
    await world.finish()
    assert world.answer(run.id).notes == (
        "One document was not yet registered in this collection when the question was answered.",
        NO_SOURCE,
    )
    await world.documents.index("c/b.md")
    run = await world.ask(collection="c")
    await world.finish()
    assert world.answer(run.id).notes == (NO_SOURCE,)


# ---- what is excluded --------------------------------------------------------------------------------------------


def version(number: int, **more: Any) -> Version:
    at = datetime(2026, 11, 22, tzinfo=UTC)
    return Version(etag=f"0x{number}", size_bytes=1, last_modified_at=at, kind="text", **more)


def sent(number: int) -> Version:
    return version(number, parts=(f"file-{number}",), store_id="vs_1", ready=1)


def sending(number: int) -> Version:
    """Nobody knows its files."""
    at = datetime(2026, 11, 22, tzinfo=UTC)
    return version(number, sent_at=at, sending_until=at)


def document(**more: Any) -> Document:
    at = datetime(2026, 11, 22, tzinfo=UTC)
    return Document(path="c/a.md", collection="c", status="indexed", updated_at=at, etag="0x1", size_bytes=1, **more)


@pytest.mark.parametrize(
    ("record", "excluded"),
    [
        (document(live=sent(1)), []),
        (document(live=sent(2), retired=(sent(1),)), [1]),
        (document(live=sent(2), retired=(sending(1),)), [1]),
        (document(live=sent(1), incoming=sending(2)), [2]),
        (document(live=sent(1), incoming=version(2)), []),
        (document(incoming=sending(1)), []),
        (document(incoming=sending(2), retired=(sending(1),)), [1]),
        (document(live=sent(1), retired=(sending(1),)), []),
        (document(retired=(sent(1), sending(2))), [1, 2]),
    ],
    ids=[
        "one version",
        "replaced",
        "replaced after an upload without an answer",
        "incoming",
        "incoming, not sent yet",
        "a first version",
        "a first version after another",
        "the live one, uploaded twice",
        "removed",
    ],
)
def test_every_other_version_that_may_exist_is_excluded(record: Document, excluded: list[int]) -> None:
    found = visibility_of(record)
    assert list(found.excluded if found else ()) == [version_of("c/a.md", f"0x{number}") for number in excluded]


def calls_of(world: World, begun: int, what: str) -> int:
    return sum(call.startswith(what) for call in world.outside.calls[begun:])


async def test_a_writer_of_the_record_publishes_without_reading_it_again(world: World) -> None:
    await world.drop("c/a.md", b"gate 1")
    world.blobs.put("c/a.md", b"gate 2")
    begun = len(world.outside.calls)
    await world.documents.index("c/a.md")
    replaced = {what: calls_of(world, begun, f"state.{what}") for what in ("info visibility", "read index")}
    assert replaced == {"info visibility": 1, "read index": 1}
    assert calls_of(world, begun, "state.write visibility") == 1
    world.blobs.take_away("c/a.md")
    begun = len(world.outside.calls)
    await world.documents.remove("c/a.md")
    removed = {what: calls_of(world, begun, f"state.{what}") for what in ("info visibility", "read index")}
    assert removed == {"info visibility": 1, "read index": 1}
    assert (await world.listing(), world.state.names("visibility/")) == ({}, [])


@pytest.mark.parametrize("ends", ["replaced", "removed"])
@pytest.mark.parametrize("when", ["state.write visibility", "state.write index", "state.delete visibility"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_writer_whose_record_was_replaced_meanwhile_publishes_the_newest(
    world: World, ends: str, when: str, after: bool
) -> None:
    """Another instance takes up a newer version at this moment, and publishes it."""
    await world.drop("c/a.md", b"gate 1")
    other = world.instance().library.documents

    async def replace_again() -> None:
        world.blobs.put("c/a.md", b"gate 3")
        await other.index("c/a.md")

    world.outside.meanwhile(replace_again, **{"after" if after else "before": when})
    if ends == "replaced":
        world.blobs.put("c/a.md", b"gate 2")
        await world.documents.index("c/a.md")
    else:
        world.blobs.take_away("c/a.md")
        await world.documents.remove("c/a.md")
    for _ in range(3):
        await world.settle()
        world.clock.forward(60)
    stored = await document_records(world.state).read("c/a.md")
    reached = world.blobs.names() and world.blobs.content("c/a.md") == b"gate 3"
    assert reached or when == "state.delete visibility"
    published = await VisibilityBlobs(world.state).find("c/a.md")
    assert published == (visibility_of(stored.value) if stored else None)
    live = [world.blobs.content("c/a.md")] if world.blobs.names() else []
    assert await seen(world, await world.ask(collection="c")) == [text.decode() for text in live]


async def test_too_many_versions_for_the_blob_hide_the_document(world: World) -> None:
    await world.drop("c/a.md", b"gate 1")
    await world.drop("c/b.md", b"gate 2")
    records = document_records(world.state)
    stored = await records.read("c/a.md")
    assert stored
    lost = tuple(sending(1000 + n) for n in range(VERSIONS_MAX + 1))
    await records.replace("c/a.md", stored, replace(stored.value, retired=lost))
    await world.app.library.documents._follow_up.publish_visibility("c/a.md")
    hits = await world.app.library.search.search("gate", collection="c", where=None, limit=10)
    assert [hit.text for hit in hits.hits] == ["gate 2"]
    assert filters_of(Within(as_of=world.clock(), excluded=("v1", all_of("c/a.md"))))["filters"][1:] == [
        {"type": "nin", "key": "version", "value": ["v1"]},
        {"type": "nin", "key": "path", "value": ["c/a.md"]},
    ]


async def test_a_question_with_too_many_exclusions_is_put_off(world: World) -> None:
    """It must not be answered without some of them."""
    await world.drop("c/a.md", b"gate 1")
    for n in range(EXCLUDED_MAX + 1):
        entry = DocumentVisibility(path=f"c/{n}.md", excluded=(f"{n}",))
        world.state.put(f"visibility/c/c/{n}.md", b"", metadata={"entry": pack(entry)})
    for ask in (
        world.ask(collection="c"),
        world.app.library.search.search("gate", collection="c", where=None, limit=10),
    ):
        with pytest.raises(ServiceBusy) as caught:
            await ask
        assert (caught.value.code, caught.value.retry_after_s) == ("collection_busy", 30)
    world.state.take_away("visibility/c/c/0.md")
    assert len((await world.ask(collection="c")).excluded) == EXCLUDED_MAX
