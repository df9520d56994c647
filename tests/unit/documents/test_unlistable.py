"""A blob whose name storage cannot list: what else can be compared is compared, and the name is told."""

from __future__ import annotations

import json
import logging

import azure.functions as func
import pytest

from shared.errors import ListingFailed
from shared.http.documents import list_documents
from shared.http.route import answer
from tests.unit.documents.test_reconcile import LATER, reconciled
from tests.unit.world import World

BAD = "bad/a\uffff.md"


@pytest.fixture
async def with_bad_name(world: World) -> World:
    """Documents, one of them with the name, and a blob without an event."""
    await world.drop("c/a.md")
    await world.drop("bad/b.md")
    await world.drop(BAD)
    assert (await world.document(BAD)).status == "unsupported"
    world.blobs.put("c/new.md", b"Words.")
    world.clock.forward(LATER)
    return world


async def test_reconcile_compares_the_other_collections(with_bad_name: World) -> None:
    world = with_bad_name
    report = await reconciled(world)
    assert report.status == "completed"
    assert (await world.document("c/new.md")).status == "indexed"
    assert (await world.document("bad/b.md")).status == "indexed", "what cannot be listed is not taken for deleted"
    assert [drift.id for drift in report.drift] == ["c/new.md"]
    whole, one = report.unseen
    assert ascii(BAD) in whole
    assert "Delete that blob" in whole
    assert "The collection 'bad'" in one
    world.blobs.take_away(BAD)
    assert (await reconciled(world)).unseen == ()


async def test_the_sweep_names_the_document_and_takes_none_for_deleted(
    with_bad_name: World, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        assert await with_bad_name.app.library.sweep.run() == 0
    assert with_bad_name.indexing.messages == []
    (record,) = caplog.records
    assert record.getMessage().startswith("document.listing_failed")
    assert "a\\uffff.md" in record.getMessage().replace("\\\\", "\\")


async def test_a_caller_is_told_what_to_do(with_bad_name: World) -> None:
    with pytest.raises(ListingFailed):
        await with_bad_name.listing()
    request = func.HttpRequest(method="GET", url="https://x/api/documents", headers={}, params={}, body=b"")
    response = await answer(lambda: with_bad_name.app, request, list_documents)
    problem = json.loads(response.get_body())
    assert (response.status_code, problem["code"]) == (503, "listing_failed")
    assert "Delete that blob" in problem["detail"]
