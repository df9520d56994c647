"""What a document's status says in the second after its blob has changed, before the event has come."""

from __future__ import annotations

import pytest

from shared.documents.catalogue import as_of
from shared.errors import NotFound
from tests.unit.world import World


async def test_a_new_version_is_pending_at_once(world: World) -> None:
    old = await world.drop("c/a.md", b"Old.")
    new = world.blobs.put("c/a.md", b"New and longer.")
    shown = await world.app.library.catalogue.get("c/a.md")
    assert (shown.status, shown.etag, shown.size_bytes, shown.reason) == ("pending", new, 15, None)
    assert shown.live is not None
    assert shown.live.etag == old, "answers still come from the old one"
    await world.documents.index("c/a.md")
    await world.settle()
    assert (await world.app.library.catalogue.get("c/a.md")).status == "indexed"


async def test_a_failed_version_that_was_replaced_is_no_longer_failed(world: World) -> None:
    await world.drop("c/a.md", b"")
    assert (await world.app.library.catalogue.get("c/a.md")).status == "failed"
    world.blobs.put("c/a.md", b"Words.")
    shown = await world.app.library.catalogue.get("c/a.md")
    assert (shown.status, shown.reason, shown.tries) == ("pending", None, 0)


@pytest.mark.parametrize("content", [b"Words.", b""], ids=["indexed", "failed"])
async def test_a_deleted_blob_is_being_removed_at_once(world: World, content: bytes) -> None:
    await world.drop("c/a.md", content)
    world.blobs.take_away("c/a.md")
    shown = await world.app.library.catalogue.get("c/a.md")
    assert (shown.status, shown.reason) == ("removing", None)
    await world.documents.remove("c/a.md")
    await world.settle()
    with pytest.raises(NotFound):
        await world.app.library.catalogue.get("c/a.md")


async def test_a_blob_that_returns_during_its_removal_is_pending(world: World) -> None:
    await world.drop("c/a.md")
    await world.app.library.removal.begin("c/a.md")
    assert (await world.document("c/a.md")).status == "removing"
    etag = world.blobs.put("c/a.md", b"Again.")
    shown = await world.app.library.catalogue.get("c/a.md")
    assert (shown.status, shown.etag) == ("pending", etag)


async def test_what_has_not_changed_is_what_the_record_says(world: World) -> None:
    await world.drop("c/a.md")
    assert await world.app.library.catalogue.get("c/a.md") == await world.document("c/a.md")
    assert as_of(None, None) is None
