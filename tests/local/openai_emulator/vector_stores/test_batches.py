"""File batches, through the SDK and the real index; every body is checked against the OpenAPI document."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from starlette.applications import Starlette

from local.openai_emulator.search.parsers.pool import ParserPool
from tests.local.openai_emulator.client import client_of, running_app


@pytest.fixture
async def checked(emulator: Starlette) -> AsyncIterator[AsyncOpenAI]:
    async with client_of(emulator, checked=True) as client:
        yield client


async def upload(client: AsyncOpenAI, name: str, content: bytes = b"Pumps are blue.") -> str:
    return (await client.files.create(file=(name, content), purpose="assistants")).id


async def test_a_batch_indexes_its_files(checked: AsyncOpenAI) -> None:
    store = await checked.vector_stores.create()
    other = await upload(checked, "other.txt")
    await checked.vector_stores.files.create_and_poll(other, vector_store_id=store.id)
    files = [("good.txt", b"Pumps are blue."), ("bad.pdf", b"%PDF-1.4 broken")]
    batch = await checked.vector_stores.file_batches.upload_and_poll(store.id, files=files)
    assert batch.status == "completed"
    counts = batch.file_counts
    assert (counts.completed, counts.failed, counts.in_progress, counts.cancelled, counts.total) == (1, 1, 0, 0, 2)
    batches = checked.vector_stores.file_batches
    page = await batches.list_files(batch.id, vector_store_id=store.id, filter="failed")
    assert [file.status for file in page.data] == ["failed"]
    assert len((await batches.list_files(batch.id, vector_store_id=store.id)).data) == 2
    assert len((await checked.vector_stores.files.list(store.id)).data) == 3


async def test_files_of_a_batch_have_their_own_attributes(checked: AsyncOpenAI) -> None:
    store = await checked.vector_stores.create()
    one, two = await upload(checked, "one.txt"), await upload(checked, "two.txt")
    files = [{"file_id": one, "attributes": {"year": 2026}}, {"file_id": two}]
    await checked.vector_stores.file_batches.create_and_poll(store.id, files=files)  # type: ignore[arg-type]
    assert (await checked.vector_stores.files.retrieve(one, vector_store_id=store.id)).attributes == {"year": 2026}
    batch = await checked.vector_stores.file_batches.create_and_poll(
        store.id, file_ids=[one, two], attributes={"year": 1999}
    )
    assert batch.file_counts.completed == 2
    assert (await checked.vector_stores.files.retrieve(two, vector_store_id=store.id)).attributes == {"year": 1999}


async def test_a_cancelled_batch_stays_cancelled_after_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, parse = threading.Event(), ParserPool.parse

    def held(self: ParserPool, path: Path, filename: str) -> Any:
        go_on.wait(60)
        return parse(self, path, filename)

    monkeypatch.setattr(ParserPool, "parse", held)
    async with running_app(data=tmp_path) as app, client_of(app, checked=True) as client:
        store = await client.vector_stores.create()
        file_ids = [await upload(client, f"{number}.txt") for number in range(4)]
        batch = await client.vector_stores.file_batches.create(store.id, file_ids=file_ids)
        assert batch.status == "in_progress"
        go_on.set()  # the two files being read cannot be interrupted; their texts are dropped
        batch = await client.vector_stores.file_batches.cancel(batch.id, vector_store_id=store.id)
        assert batch.status == "cancelled"
        assert batch.file_counts.cancelled > 0
    async with running_app(data=tmp_path) as app, client_of(app, checked=True) as client:
        batch = await client.vector_stores.file_batches.retrieve(batch.id, vector_store_id=store.id)
        assert batch.status == "cancelled"
        found = (await client.vector_stores.search(store.id, query="pumps")).data
        assert len(found) == batch.file_counts.completed


async def test_a_batch_of_nothing_or_of_the_unknown_is_refused(checked: AsyncOpenAI) -> None:
    store = await checked.vector_stores.create()
    batches = checked.vector_stores.file_batches
    with pytest.raises(openai.BadRequestError, match="Exactly one of"):
        await batches.create(store.id)
    with pytest.raises(openai.NotFoundError, match="file-missing"):
        await batches.create(store.id, file_ids=[await upload(checked, "a.txt"), "file-missing"])
    assert not (await checked.vector_stores.files.list(store.id)).data
    with pytest.raises(openai.NotFoundError, match="vsfb_missing"):
        await batches.retrieve("vsfb_missing", vector_store_id=store.id)
