"""Collections: several stores behind one name, expiry, stores that are lost, and a collection's end."""

from __future__ import annotations

import asyncio

import pytest

from shared.engines.stores import IndexState
from shared.errors import NotFound, ServiceError
from tests.unit.world import World


def stores_of(world: World, name: str) -> list[int]:
    """How many files each of its stores holds, the fullest first."""
    return sorted((len(s.files) for s in world.stores.stores.values() if s.name == name), reverse=True)


async def test_a_collection_that_outgrows_a_store_gets_another() -> None:
    world = World(environ={"STORE_MAX_FILES": "10"})
    for n in range(15):
        await world.drop(f"c/{n}.md", b"Words.")
    assert stores_of(world, "c") == [10, 5]
    run = await world.ask(collection="c")
    assert len(run.stores) == 2
    assert run.engine_run
    assert world.engine.asks[run.engine_run].stores == run.stores
    hits = await world.app.library.search.search("words.", collection="c", where=None, limit=50)
    assert {hit.document for hit in hits.hits} == {f"c/{n}.md" for n in range(15)}
    view = await world.app.library.collection_views.get("c")
    assert (view.documents, len(view.stores), view.statuses) == (15, 2, {"indexed": 15})


async def test_a_collection_has_two_stores_and_then_refuses_what_no_question_could_search() -> None:
    world = World(environ={"STORE_MAX_FILES": "3"})
    for n in range(8):
        await world.drop(f"c/{n}.md", b"Words.")
    assert stores_of(world, "c") == [3, 3]
    listing = await world.listing()
    refused = [document for document in listing.values() if document.status == "failed"]
    assert len(refused) == 2
    assert all(document.reason and document.reason.code == "collection_full" for document in refused)
    assert refused[0].reason
    assert "another folder" in refused[0].reason.message
    assert (await world.ask(collection="c")).error is None
    assert (await world.document((await world.drop("d/a.md")) and "d/a.md")).status == "indexed"


async def test_room_in_the_first_store_is_used_when_the_second_is_full() -> None:
    world = World(environ={"STORE_MAX_FILES": "2"})
    for n in range(4):
        await world.drop(f"c/{n}.md", b"Words.")
    before = set(world.blobs.names())
    await world.blobs.delete("c/0.md")
    await deliver_deletions(world, before)
    await world.settle()
    world.clock.forward(120)  # the number of files is asked for again
    await world.drop("c/new.md", b"Words.")
    assert (await world.document("c/new.md")).status == "indexed"
    assert stores_of(world, "c") == [2, 2]


async def test_many_at_once_on_two_instances_make_no_store_too_many() -> None:
    world = World(environ={"STORE_MAX_FILES": "10"})
    other = world.instance().library.documents
    for n in range(20):
        world.blobs.put(f"c/{n}.md", b"Words.")
    await asyncio.gather(*((other if n % 2 else world.documents).index(f"c/{n}.md") for n in range(20)))
    await world.settle()
    named = await world.app.library.collections.find("c")
    assert named
    assert set(named.stores) == set(world.stores.stores), "no store that no record names"
    assert sum(stores_of(world, "c")) == 20


@pytest.mark.parametrize("how", ["deleted", "expired"])
async def test_a_lost_store_is_built_anew_by_the_next_document(how: str) -> None:
    """Known from the moment at which something is to go into it; reconciling the collection does the rest."""
    world = World()
    for n in range(3):
        await world.drop(f"c/{n}.md", b"Words.")
    [store_id] = world.stores.stores
    if how == "deleted":
        del world.stores.stores[store_id]
    else:
        world.stores.stores[store_id].expired = True
    await world.drop("c/new.md", b"Words.")
    assert store_id not in world.stores.stores
    assert stores_of(world, "c") == [4]
    assert {s.status for s in (await world.listing()).values()} == {"indexed"}
    assert len(world.stores.files) == 4


async def test_a_store_that_is_lost_while_a_document_is_indexed(world: World) -> None:
    world.stores.states["a.md"] = [IndexState(status="in_progress")]
    world.blobs.put("c/a.md", b"Words.")
    await world.documents.index("c/a.md")
    world.stores.stores.clear()
    await world.settle()
    assert (await world.document("c/a.md")).status == "indexed"
    assert stores_of(world, "c") == [1]


async def test_a_run_that_meets_a_lost_store_says_so(world: World) -> None:
    await world.drop("c/a.md", b"Words.")
    world.stores.stores.clear()
    world.outside.fail("engine.start", ServiceError("Vector store vs_1 not found.", code="not_found"))
    run = await world.ask(collection="c")
    assert run.error
    assert (run.status, run.error.code, run.error.retryable) == ("failed", "collection_rebuilding", True)
    await world.settle()
    assert stores_of(world, "c") == [1]
    assert (await world.ask(collection="c")).error is None


async def test_expiry_is_set_for_stores_of_now_and_later() -> None:
    world = World(environ={"STORE_MAX_FILES": "1", "STORE_EXPIRES_DAYS": "7"})
    await world.drop("c/a.md")
    assert [store.expires_days for store in world.stores.stores.values()] == [7]
    view = await world.app.library.collection_views.set_expiry("c", 30)
    assert view.expires_days == 30
    await world.drop("c/b.md")
    assert [store.expires_days for store in world.stores.stores.values()] == [30, 30]
    with pytest.raises(NotFound):
        await world.app.library.collection_views.set_expiry("none", 30)


async def deliver_deletions(world: World, before: set[str]) -> None:
    """What Event Grid does."""
    for path in before - set(world.blobs.names()):
        await world.documents.remove(path)


async def test_a_whole_collection_goes(world: World) -> None:
    for n in range(230):
        await world.drop(f"c/{n}.md", b"Words.")
    await world.drop("other/x.md")
    await world.drop("c/t.csv", b"a,b\n1,2\n")
    before = set(world.blobs.names())
    assert await world.app.library.removal.begin_collection("c")
    await world.settle(looks=5000)
    await deliver_deletions(world, before)
    await world.settle(looks=5000)
    assert world.blobs.names() == ["other/x.md"]
    assert stores_of(world, "c") == []
    assert len(world.stores.files) == 1
    assert (
        world.state.names("index/c/") == world.state.names("visibility/c/") == world.state.names("collections/c") == []
    )
    assert not await world.app.library.removal.begin_collection("c")
    await world.drop("c/again.md", b"Words.")
    assert stores_of(world, "c") == [1]


async def test_a_document_that_comes_while_its_collection_goes_waits(world: World) -> None:
    await world.drop("c/a.md")
    await world.app.library.collections.begin_removal("c")
    world.blobs.put("c/new.md", b"New.")
    await world.documents.index("c/new.md")
    assert (await world.document("c/new.md")).status == "indexing"
    world.blobs.take_away("c/new.md")
    world.blobs.take_away("c/a.md")
    await world.documents.remove("c/new.md")
    await world.documents.remove("c/a.md")
    await world.app.library.removal.remove_collection("c")
    await world.settle(looks=1000)
    assert await world.app.library.collections.find("c") is None
    assert world.stores.stores == {}


async def test_a_store_that_the_service_calls_full_is_left(world: World) -> None:
    await world.drop("c/a.md", b"Words.")
    world.outside.fail("stores.attach", ServiceError("No room.", code="vector_store_full"))
    await world.drop("c/b.md", b"Words.")
    assert stores_of(world, "c") == [1, 1]
    assert {s.status for s in (await world.listing()).values()} == {"indexed"}
