"""Vector stores, their files and searching them, through the SDK and the real index."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from local.openai_emulator.errors import ApiError
from local.openai_emulator.search.parsers.pool import ParserPool
from tests.local.openai_emulator.client import Clock, client_of, running_app, until

GUIDE = b"Pumps must be inspected every 14 days. The inspector writes a report of at most two pages."
MENU = b"On Fridays the canteen serves fish with potatoes. Vegetarians get lentil soup."


async def upload(client: AsyncOpenAI, name: str, content: bytes) -> str:
    return (await client.files.create(file=(name, content), purpose="assistants")).id


async def indexed(client: AsyncOpenAI, store_id: str, name: str, content: bytes, **options: Any) -> str:
    file_id = await upload(client, name, content)
    file = await client.vector_stores.files.create_and_poll(file_id, vector_store_id=store_id, **options)
    assert file.status == "completed", file.last_error
    return file_id


async def test_a_store_counts_its_files(openai_client: AsyncOpenAI) -> None:
    file_id = await upload(openai_client, "guide.txt", GUIDE)
    store = await openai_client.vector_stores.create(name="s", file_ids=[file_id], metadata={"team": "a"})
    assert (store.name, store.status, store.metadata) == ("s", "in_progress", {"team": "a"})
    assert (store.file_counts.in_progress, store.file_counts.total, store.usage_bytes) == (1, 1, 0)
    await openai_client.vector_stores.files.poll(file_id, vector_store_id=store.id)
    store = await openai_client.vector_stores.retrieve(store.id)
    assert (store.status, store.file_counts.completed) == ("completed", 1)
    assert store.usage_bytes > 0


async def test_search_finds_the_passage(openai_client: AsyncOpenAI) -> None:
    store = await openai_client.vector_stores.create()
    guide = await indexed(openai_client, store.id, "guide.txt", GUIDE, attributes={"year": 2026, "kind": "guide"})
    await indexed(openai_client, store.id, "menu.txt", MENU, attributes={"year": 2020, "kind": "menu"})

    found = (await openai_client.vector_stores.search(store.id, query="How often are pumps inspected?")).data
    assert found[0].file_id == guide
    assert "14 days" in found[0].content[0].text
    assert found[0].attributes == {"year": 2026, "kind": "guide"}
    assert 0 < found[0].score <= 1

    only = await openai_client.vector_stores.search(
        store.id,
        query=["pumps", "inspection"],
        filters={"type": "lt", "key": "year", "value": 2025},
        max_num_results=1,
    )
    assert [result.filename for result in only.data] == ["menu.txt"]


async def test_attributes_can_change(openai_client: AsyncOpenAI) -> None:
    store = await openai_client.vector_stores.create()
    file_id = await indexed(openai_client, store.id, "guide.txt", GUIDE, attributes={"a": "b"})
    file = await openai_client.vector_stores.files.update(file_id, vector_store_id=store.id, attributes={"page": 7})
    assert file.attributes == {"page": 7}
    found = await openai_client.vector_stores.search(
        store.id, query="pumps", filters={"type": "eq", "key": "page", "value": 7}
    )
    assert found.data[0].attributes == {"page": 7}


async def test_a_bad_file_fails_with_a_reason(openai_client: AsyncOpenAI) -> None:
    store = await openai_client.vector_stores.create()
    file_id = await upload(openai_client, "a.pdf", b"%PDF-1.7 this is no PDF")
    file = await openai_client.vector_stores.files.create_and_poll(file_id, vector_store_id=store.id)
    assert file.status == "failed"
    assert file.last_error is not None
    assert file.last_error.code in ("invalid_file", "unsupported_file")
    failed = await openai_client.vector_stores.files.list(store.id, filter="failed")
    assert [one.id for one in failed.data] == [file_id]
    assert (await openai_client.vector_stores.retrieve(store.id)).file_counts.failed == 1


async def test_chunks_follow_the_strategy(openai_client: AsyncOpenAI) -> None:
    store = await openai_client.vector_stores.create()
    long = " ".join(f"Sentence number {n} stands here." for n in range(200)).encode()
    static: Any = {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 50}}
    file_id = await indexed(openai_client, store.id, "long.txt", long, chunking_strategy=static)
    file = await openai_client.vector_stores.files.retrieve(file_id, vector_store_id=store.id)
    assert file.chunking_strategy is not None
    assert file.chunking_strategy.to_dict() == static
    content = await openai_client.vector_stores.files.content(file_id, vector_store_id=store.id)
    assert len(content.data) > 10


async def test_taken_out_and_deleted_files_are_found_no_more(openai_client: AsyncOpenAI) -> None:
    one, other = [await openai_client.vector_stores.create(name=name) for name in "ab"]
    file_id = await indexed(openai_client, one.id, "guide.txt", GUIDE)
    await openai_client.vector_stores.files.create_and_poll(file_id, vector_store_id=other.id)

    deleted = await openai_client.vector_stores.files.delete(file_id, vector_store_id=one.id)
    assert deleted.object == "vector_store.file.deleted"
    assert (await openai_client.vector_stores.search(one.id, query="pumps")).data == []
    assert (await openai_client.vector_stores.search(other.id, query="pumps")).data

    await openai_client.files.delete(file_id)
    assert (await openai_client.vector_stores.search(other.id, query="pumps")).data == []
    assert (await openai_client.vector_stores.retrieve(other.id)).file_counts.total == 0


async def test_a_store_is_changed_listed_and_deleted(openai_client: AsyncOpenAI) -> None:
    stores = [await openai_client.vector_stores.create(name=str(n)) for n in range(3)]
    changed = await openai_client.vector_stores.update(
        stores[0].id, name="new", metadata={"k": "v"}, expires_after={"anchor": "last_active_at", "days": 1}
    )
    assert (changed.name, changed.metadata) == ("new", {"k": "v"})
    assert changed.expires_at == (changed.last_active_at or 0) + 86_400
    assert [store.name async for store in openai_client.vector_stores.list(limit=2)] == ["2", "1", "new"]
    before = await openai_client.vector_stores.list(limit=1, before=stores[0].id)
    assert [store.name for store in before.data] == ["1"]
    assert (await openai_client.vector_stores.delete(stores[0].id)).deleted
    with pytest.raises(openai.NotFoundError):
        await openai_client.vector_stores.retrieve(stores[0].id)


async def test_an_expired_store_cannot_be_searched(openai_client: AsyncOpenAI, emulator_clock: Clock) -> None:
    store = await openai_client.vector_stores.create(expires_after={"anchor": "last_active_at", "days": 1})
    emulator_clock.now += 86_401
    assert (await openai_client.vector_stores.retrieve(store.id)).status == "expired"
    with pytest.raises(openai.BadRequestError, match="expired"):
        await openai_client.vector_stores.search(store.id, query="x")


@pytest.mark.parametrize(
    ("attributes", "param"),
    [
        pytest.param({str(n): n for n in range(17)}, "attributes", id="17 pairs"),
        pytest.param({"k" * 65: "v"}, "attributes", id="key of 65"),
        pytest.param({"k": "v" * 513}, "attributes", id="value of 513"),
        pytest.param({"k": None}, "attributes", id="null"),
        pytest.param({"k": ["v"]}, "attributes", id="a list"),
    ],
)
async def test_attributes_have_limits(openai_client: AsyncOpenAI, attributes: Any, param: str) -> None:
    store = await openai_client.vector_stores.create()
    file_id = await upload(openai_client, "a.txt", GUIDE)
    with pytest.raises(openai.BadRequestError) as caught:
        await openai_client.vector_stores.files.create(store.id, file_id=file_id, attributes=attributes)
    assert (caught.value.param or "").startswith(param)


@pytest.mark.parametrize(("size", "overlap"), [(99, 0), (4097, 0), (200, 101), (200, -1)])
async def test_chunking_has_limits(openai_client: AsyncOpenAI, size: int, overlap: int) -> None:
    store = await openai_client.vector_stores.create()
    file_id = await upload(openai_client, "a.txt", GUIDE)
    static: Any = {"type": "static", "static": {"max_chunk_size_tokens": size, "chunk_overlap_tokens": overlap}}
    with pytest.raises(openai.BadRequestError) as caught:
        await openai_client.vector_stores.files.create(store.id, file_id=file_id, chunking_strategy=static)
    assert (caught.value.param or "").startswith("chunking_strategy")


@pytest.mark.parametrize("filters", [{"type": "like", "key": "a", "value": "b"}, {"type": "and", "filters": "x"}])
async def test_a_malformed_filter_is_refused(openai_client: AsyncOpenAI, filters: Any) -> None:
    store = await openai_client.vector_stores.create()
    with pytest.raises(openai.BadRequestError) as caught:
        await openai_client.vector_stores.search(store.id, query="x", filters=filters)
    assert (caught.value.param or "").startswith("filters")


async def test_unfinished_indexing_resumes_after_a_restart(tmp_path: Path) -> None:
    """An emulator closed before it has indexed a file indexes all files after its next start."""
    async with running_app(data=tmp_path) as app, client_of(app) as client:
        ids = [await upload(client, f"{n}.txt", GUIDE) for n in range(5)]
        store = await client.vector_stores.create(file_ids=ids)
        assert store.file_counts.in_progress == 5
    async with running_app(data=tmp_path) as app, client_of(app) as client:
        await until(lambda: _completed(client, store.id, 5))
        assert len((await client.vector_stores.search(store.id, query="pumps")).data) == 5


async def _completed(client: AsyncOpenAI, store_id: str, number: int) -> bool:
    return (await client.vector_stores.retrieve(store_id)).file_counts.completed == number


class HeldParsers:
    """While `hold`, a file that is being indexed stops inside the parser."""

    def __init__(self, parse: Callable[..., Any]) -> None:
        self._parse = parse
        self.entered, self.go = threading.Event(), threading.Event()
        self.go.set()

    def __call__(self, *arguments: Any) -> Any:
        self.entered.set()
        assert self.go.wait(60)
        return self._parse(*arguments)

    def hold(self) -> None:
        self.entered.clear()
        self.go.clear()

    async def wait_entered(self) -> None:
        assert await asyncio.to_thread(self.entered.wait, 60)


@pytest.fixture
def parsers(monkeypatch: pytest.MonkeyPatch) -> Iterator[HeldParsers]:
    held = HeldParsers(ParserPool.parse)
    monkeypatch.setattr(ParserPool, "parse", lambda *arguments: held(*arguments))
    yield held
    held.go.set()


Ids = tuple[str, str]  # store, file


async def detach(client: AsyncOpenAI, ids: Ids) -> None:
    await client.vector_stores.files.delete(ids[1], vector_store_id=ids[0])


async def delete_file(client: AsyncOpenAI, ids: Ids) -> None:
    await client.files.delete(ids[1])


async def delete_store(client: AsyncOpenAI, ids: Ids) -> None:
    await client.vector_stores.delete(ids[0])


Removal = Callable[[AsyncOpenAI, Ids], Awaitable[None]]


@pytest.mark.parametrize("remove", [detach, delete_file, delete_store])
async def test_what_is_removed_while_it_is_indexed_is_found_nowhere(
    emulator: Any, openai_client: AsyncOpenAI, parsers: HeldParsers, remove: Removal
) -> None:
    store, other = await openai_client.vector_stores.create(), await openai_client.vector_stores.create()
    guide = await indexed(openai_client, other.id, "guide.txt", GUIDE)
    parsers.hold()
    await openai_client.vector_stores.files.create(store.id, file_id=guide)
    await parsers.wait_entered()
    await remove(openai_client, (store.id, guide))
    parsers.go.set()
    await indexed(openai_client, other.id, "menu.txt", MENU)
    await indexed(openai_client, other.id, "menu2.txt", MENU)  # both threads that index have taken up other files
    index = emulator.state.emulator._index
    assert await index.search([store.id], ["pumps inspected"]) == []
    in_other = {passage.filename for passage in await index.search([other.id], ["pumps inspected"])}
    assert ("guide.txt" in in_other) == (remove is not delete_file)


async def test_a_file_attached_again_at_once_is_found(openai_client: AsyncOpenAI, parsers: HeldParsers) -> None:
    store = await openai_client.vector_stores.create()
    guide = await upload(openai_client, "guide.txt", GUIDE)
    parsers.hold()
    await openai_client.vector_stores.files.create(store.id, file_id=guide, attributes={"turn": 1})
    await parsers.wait_entered()
    await asyncio.gather(
        detach(openai_client, (store.id, guide)),
        openai_client.vector_stores.files.create(store.id, file_id=guide, attributes={"turn": 2}),
    )
    parsers.go.set()
    file = await openai_client.vector_stores.files.poll(guide, vector_store_id=store.id)
    assert file.status == "completed"
    found = await openai_client.vector_stores.search(store.id, query="pumps inspected")
    assert [(one.file_id, one.attributes) for one in found.data] == [(guide, {"turn": 2})]


async def test_a_store_deleted_while_a_request_is_read_takes_no_file(emulator: Any, openai_client: AsyncOpenAI) -> None:
    store = await openai_client.vector_stores.create()
    guide = await upload(openai_client, "guide.txt", GUIDE)
    await delete_store(openai_client, (store.id, guide))
    with pytest.raises(ApiError) as caught:
        emulator.state.emulator.vector_store_files.attach(store.id, guide)
    assert caught.value.status == 404


async def test_a_removal_that_a_crash_interrupted_is_finished_at_the_start(tmp_path: Path) -> None:
    """A process can die after the deletion is on record and before the index knows."""
    async with running_app(data=tmp_path) as app, client_of(app) as client:
        stores = [(await client.vector_stores.create()).id for _ in range(3)]
        kept = await indexed(client, stores[0], "kept.txt", GUIDE)
        detached = await indexed(client, stores[0], "detached.txt", GUIDE)
        deleted = await indexed(client, stores[1], "deleted.txt", GUIDE)
        await indexed(client, stores[2], "in deleted store.txt", GUIDE)
        records = app.state.emulator.store
        records.delete("vector_store_file", detached, parent=stores[0])
        records.delete("file", deleted)
        records.delete("vector_store", stores[2])
    async with running_app(data=tmp_path) as app, client_of(app) as client:
        index = app.state.emulator._index
        found = await index.search(stores, ["pumps inspected"])
        assert [passage.file_id for passage in found] == [kept]
        assert [file.id async for file in client.vector_stores.files.list(stores[0])] == [kept]
        assert [file.id async for file in client.vector_stores.files.list(stores[1])] == []
        assert app.state.emulator.store.all("vector_store_file", parent=stores[2]) == []
