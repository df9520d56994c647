"""A claim is renewed while its upload is running, however long that takes."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from shared.documents import lifecycle
from shared.documents.claims import Claim, renewing
from shared.documents.record import document_records
from shared.engines.stores import IndexState
from shared.errors import BlobChanged, StorageError
from shared.models.documents import Document
from shared.storage.records import Records, Stored
from tests.unit.world import World


@pytest.fixture
def records(world: World, monkeypatch: pytest.MonkeyPatch) -> Records[Document]:
    monkeypatch.setattr(lifecycle, "CLAIM", timedelta(milliseconds=30))
    return document_records(world.state)


async def claimed(world: World, records: Records[Document]) -> Stored[Document]:
    world.stores.states["a.md"] = [IndexState(status="in_progress")]
    world.blobs.put("c/a.md", b"Some words.")
    await world.documents.index("c/a.md")
    stored = await records.read("c/a.md")
    assert stored
    return await records.replace("c/a.md", stored, lifecycle.claimed(stored.value, world.clock()))


async def written(world: World, times: int) -> None:
    """Wait until the record was written so often."""
    while len([call for call in world.outside.calls if call.startswith("state.write index/")]) < times:
        await asyncio.sleep(0)


async def test_a_long_upload_keeps_its_claim(world: World, records: Records[Document]) -> None:
    stored = await claimed(world, records)
    before = len([call for call in world.outside.calls if call.startswith("state.write index/")])

    async def upload() -> str:
        world.clock.forward(60)
        await written(world, before + 3)
        return "done"

    claim = Claim(records, stored, now=world.clock)
    assert await renewing(claim, upload()) == "done"
    latest = claim.stored
    assert latest.value.claimed_until == world.clock() + lifecycle.CLAIM
    assert latest.value.incoming
    assert stored.value.incoming
    assert latest.value.incoming.sent_at == stored.value.incoming.sent_at
    current = await records.read("c/a.md")
    assert current
    assert current.etag == latest.etag


async def test_a_fault_of_storage_does_not_stop_the_upload(world: World, records: Records[Document]) -> None:
    stored = await claimed(world, records)
    before = len([call for call in world.outside.calls if call.startswith("state.write index/")])
    world.outside.fail("state.write", StorageError("Out."))

    async def upload() -> str:
        await written(world, before + 2)
        return "done"

    assert await renewing(Claim(records, stored, now=world.clock), upload()) == "done"


async def test_a_newer_version_stops_the_renewal_only(world: World, records: Records[Document]) -> None:
    stored = await claimed(world, records)
    await records.update("c/a.md", lambda document: lifecycle.renewed(document, world.clock() + timedelta(seconds=1)))
    proceed = asyncio.Event()

    async def upload() -> str:
        await proceed.wait()
        return "done"

    world.outside.meanwhile(lambda: _set(proceed), after="state.write index/")
    claim = Claim(records, stored, now=world.clock)
    assert (await renewing(claim, upload()), claim.stored) == ("done", stored)
    with pytest.raises(BlobChanged):
        claim.check()  # the upload makes no request more


async def _set(event: asyncio.Event) -> None:
    event.set()


async def test_an_error_of_the_upload_comes_with_the_record(world: World, records: Records[Document]) -> None:
    stored = await claimed(world, records)

    async def upload() -> str:
        raise StorageError("Out.")

    claim = Claim(records, stored, now=world.clock)
    assert isinstance(await renewing(claim, upload()), StorageError)
    assert claim.stored == stored
