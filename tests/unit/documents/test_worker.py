"""Messages of the queue `indexing` that the host gives up: each kind is poisoned once, and nothing stays locked."""

from __future__ import annotations

import logging
from typing import get_args

import msgspec
import pytest

from shared import services
from shared.documents.messages import (
    IndexDocument,
    IndexingMessage,
    LookAtDocument,
    ReconcileCollection,
    RemoveCollection,
    RemoveDocument,
    RemoveFolder,
    RetryDocument,
    RunReport,
)
from shared.errors import StorageError
from tests.unit.world import World


async def give_up(world: World, message: IndexingMessage) -> None:
    """The host moved the message to the poison queue, after five deliveries that failed."""
    await world.app.library.worker.give_up(msgspec.json.encode(message))


def test_every_kind_of_message_is_poisoned_below() -> None:
    poisoned = {LookAtDocument, RetryDocument, RemoveDocument, RemoveFolder, RemoveCollection, RunReport}
    assert set(get_args(IndexingMessage)) == poisoned | {ReconcileCollection, IndexDocument}


@pytest.mark.parametrize("message", [LookAtDocument("c/a.md"), RetryDocument("c/a.md")], ids=repr)
async def test_a_document_fails(world: World, message: IndexingMessage) -> None:
    world.outside.fail("stores.upload", StorageError("No."))
    world.blobs.put("c/a.md", b"Words.")
    with pytest.raises(StorageError):
        await world.documents.index("c/a.md")
    await give_up(world, message)
    document = await world.document("c/a.md")
    assert (document.status, document.reason and document.reason.code) == ("failed", "gave_up")


async def test_a_removal_is_found_by_a_reconcile_pass(world: World) -> None:
    await world.drop("c/a.md")
    world.blobs.take_away("c/a.md")
    await give_up(world, RemoveDocument("c/a.md"))
    await world.settle()
    assert await world.listing() == {}
    assert world.live_text("c") == []


async def test_a_folder_keeps_its_blobs_and_can_be_deleted_again(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    await world.drop("c/x/a.md")
    with caplog.at_level(logging.ERROR):
        await give_up(world, RemoveFolder("c/x/"))
    assert "folder.removal_failed" in caplog.text
    await world.app.library.removal.begin_folder("c/x/")
    await world.settle()
    await world.documents.remove("c/x/a.md")
    await world.settle()
    assert await world.listing() == {}


async def test_a_collection_in_deletion_does_not_stay_locked(world: World) -> None:
    await world.drop("c/a.md")
    await world.app.library.removal.begin_collection("c")
    sent = world.indexing.take()
    assert sent.message == msgspec.to_builtins(RemoveCollection("c"))
    found = await world.app.library.collections.find("c")
    assert found
    assert found.removing
    await give_up(world, RemoveCollection("c"))
    found = await world.app.library.collections.find("c")
    assert found
    assert not found.removing
    await world.drop("c/b.md", b"New words.")
    assert (await world.document("c/b.md")).status == "indexed"


async def test_a_report_fails(world: World) -> None:
    report = await world.app.library.reconciliation.order(dry_run=True)
    await give_up(world, RunReport(report.id))
    assert (await world.app.library.reconciliation.find(report.id)).status == "failed"


async def test_the_pass_of_a_collection_is_left_to_the_timer(world: World, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        await give_up(world, ReconcileCollection("c"))
    assert "collection.reconcile_failed" in caplog.text


async def test_a_blob_event_is_tried_again(world: World) -> None:
    world.blobs.put("c/a.md", b"Words.")
    await give_up(world, IndexDocument("c/a.md", first_at=world.clock(), attempt=3))
    assert world.indexing.messages[0].delay_s > 4
    await world.settle()
    assert (await world.document("c/a.md")).status == "indexed"


@pytest.mark.parametrize("body", [b"", b"no JSON", b'{"do": "dance"}', b"\xff", b"{}"])
@pytest.mark.parametrize("handler", ["give_up", "give_up_event", "give_up_deletion"])
async def test_a_message_that_cannot_be_read_is_logged_and_dropped(
    world: World, handler: str, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        await services.give_up(getattr(world.app.library.worker, handler), body, message_id="the-id")
    assert "poison.dropped message=the-id" in caplog.text
    assert world.indexing.messages == []
