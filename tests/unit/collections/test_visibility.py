"""What a question may see: one version of each document, whatever is being replaced at that moment."""

from __future__ import annotations

import pytest

from shared.documents import lifecycle
from shared.engines.stores import IndexState, Within
from shared.errors import NotFound
from shared.models.runs import Run
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
    )
    await world.documents.index("c/b.md")
    run = await world.ask(collection="c")
    await world.finish()
    assert world.answer(run.id).notes == ()
