"""The behaviour that the app expects of storage: the same tests on the fakes and, with the Azure SDK, on Azurite."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from azure.storage.blob.aio import BlobServiceClient
from azure.storage.queue.aio import QueueServiceClient

from local.stack.azurite import Azurite
from shared.errors import BlobChanged, BlobMissing, ListingFailed, StorageError
from shared.settings import StorageAccount
from shared.storage.blobs import AzureBlobs, AzureQueue, Blobs, connect, queue_over
from shared.storage.layout import document_name, key_of
from tests.fakes import InMemoryBlobs, InMemoryQueue

MIB = 1024 * 1024


@pytest.fixture
async def blob_service(azurite: Azurite) -> AsyncIterator[BlobServiceClient]:
    async with BlobServiceClient.from_connection_string(azurite.connection_string) as service:
        yield service


@pytest.fixture(params=["fake", "azurite"])
async def blobs(request: pytest.FixtureRequest) -> AsyncIterator[Blobs]:
    """An empty blob container."""
    if request.param == "fake":
        yield InMemoryBlobs()
        return
    service = await _service_of(request)
    async with service:
        container = service.get_container_client(f"test-{uuid.uuid4().hex}")
        await container.create_container()
        yield AzureBlobs(container)


async def drop(blobs: Blobs, name: str, content: bytes) -> str:
    """Upload a large blob, as users do, and return its etag. `AzureBlobs.write` is for the small blobs of the app."""
    if isinstance(blobs, AzureBlobs):
        await blobs._container.upload_blob(name, content, overwrite=True)
    else:
        await blobs.write(name, content, media_type="text/plain")
    return (await blobs.info(name)).etag


async def _service_of(request: pytest.FixtureRequest) -> BlobServiceClient:
    azurite: Azurite = request.getfixturevalue("azurite")
    return BlobServiceClient.from_connection_string(azurite.connection_string)


# ---- blobs -------------------------------------------------------------------------------------------------------


async def test_a_blob_is_read_as_it_was_written(blobs: Blobs) -> None:
    etag = await blobs.write("a/b.bin", b"\x00\xff", media_type="image/png", metadata={"k": "v"})
    assert not etag.startswith('"')
    blob = await blobs.read("a/b.bin")
    assert (blob.content, blob.etag) == (b"\x00\xff", etag)
    info = await blobs.info("a/b.bin")
    assert (info.name, info.etag, info.size_bytes, dict(info.metadata)) == ("a/b.bin", etag, 2, {"k": "v"})
    assert info.last_modified_at.tzinfo is not None


async def test_an_empty_blob_can_be_read(blobs: Blobs) -> None:
    etag = await blobs.write("empty", b"", media_type="text/plain")
    assert (await blobs.read("empty")).content == b""
    assert [chunk async for chunk in blobs.stream("empty", etag=etag) if chunk] == []


async def test_a_missing_blob_raises_blob_missing(blobs: Blobs) -> None:
    with pytest.raises(BlobMissing):
        await blobs.read("nothing")
    with pytest.raises(BlobMissing):
        await blobs.info("nothing")
    with pytest.raises((BlobMissing, BlobChanged)):  # Azurite checks the condition first
        _ = [chunk async for chunk in blobs.stream("nothing", etag="0x1")]
    assert await blobs.delete("nothing") is False


async def test_each_write_has_an_etag_of_its_own(blobs: Blobs) -> None:
    first = await blobs.write("a", b"same", media_type="text/plain")
    assert await blobs.write("a", b"same", media_type="text/plain") != first


async def test_if_none_match_creates_a_blob_once(blobs: Blobs) -> None:
    await blobs.write("a", b"1", media_type="text/plain", if_none_match="*")
    with pytest.raises(BlobChanged):
        await blobs.write("a", b"2", media_type="text/plain", if_none_match="*")
    assert (await blobs.read("a")).content == b"1"


async def test_if_match_replaces_only_the_version_that_was_read(blobs: Blobs) -> None:
    old = await blobs.write("a", b"1", media_type="text/plain", metadata={"k": "old"})
    new = await blobs.write("a", b"2", media_type="text/plain", if_match=old)
    with pytest.raises(BlobChanged):
        await blobs.write("a", b"3", media_type="text/plain", if_match=old)
    blob = await blobs.read("a")
    assert (blob.content, blob.etag) == (b"2", new)
    assert dict((await blobs.info("a")).metadata) == {}


async def test_replacing_a_deleted_blob_raises_blob_changed(blobs: Blobs) -> None:
    old = await blobs.write("a", b"1", media_type="text/plain")
    assert await blobs.delete("a") is True
    with pytest.raises(BlobChanged):
        await blobs.write("a", b"2", media_type="text/plain", if_match=old)
    with pytest.raises(BlobMissing):
        await blobs.read("a")


async def test_if_match_deletes_only_the_version_that_was_read(blobs: Blobs) -> None:
    old = await blobs.write("a", b"1", media_type="text/plain")
    new = await blobs.write("a", b"2", media_type="text/plain")
    with pytest.raises(BlobChanged):
        await blobs.delete("a", if_match=old)
    assert (await blobs.read("a")).content == b"2"
    assert await blobs.delete("a", if_match=new) is True
    assert [info.name async for info in blobs.list()] == []


async def test_a_listing_is_sorted_and_has_metadata(blobs: Blobs) -> None:
    for name in ("b/2", "b/1", "a", "c", "b"):
        await blobs.write(name, name.encode(), media_type="text/plain", metadata={"of": name.replace("/", "-")})
    found = [(info.name, info.size_bytes, dict(info.metadata)) async for info in blobs.list("b/")]
    assert found == [("b/1", 3, {"of": "b-1"}), ("b/2", 3, {"of": "b-2"})]
    assert [info.name async for info in blobs.list()] == ["a", "b", "b/1", "b/2", "c"]


async def test_a_long_listing_is_complete(blobs: Blobs) -> None:
    names = [f"n/{n:04}" for n in range(30)]
    for name in names:
        await blobs.write(name, b"", media_type="text/plain")
    assert [info.name async for info in blobs.list("n/")] == names


async def test_a_listing_in_pages(blobs: Blobs) -> None:
    names = [f"n/{n}" for n in range(7)]
    for name in (*names, "other"):
        await blobs.write(name, b"", media_type="text/plain", metadata={"of": name.replace("/", "-")})
    found, cursor, sizes = [], None, []
    while True:
        page, cursor = await blobs.page("n/", limit=3, cursor=cursor)
        found += [(info.name, dict(info.metadata)) for info in page]
        sizes.append(len(page))
        if cursor is None:
            break
    assert found == [(name, {"of": name.replace("/", "-")}) for name in names]
    assert sizes == [3, 3, 1]
    assert await blobs.page("none/", limit=3, cursor=None) == ([], None)


async def test_exists(blobs: Blobs) -> None:
    assert await blobs.exists("a") is False
    await blobs.write("a", b"", media_type="text/plain")
    assert await blobs.exists("a") is True


async def test_an_existing_container_is_reachable(blobs: Blobs) -> None:
    await blobs.reachable()


async def test_missing_container_and_queue_are_unreachable(
    on_azurite: OnAzurite, blob_service: BlobServiceClient
) -> None:
    name = f"none-{uuid.uuid4().hex}"
    with pytest.raises(StorageError):
        await AzureBlobs(blob_service.get_container_client(name)).reachable()
    with pytest.raises(StorageError):
        await queue_over(on_azurite.service, name).reachable()


NAMES = [
    "a name with spaces.md",
    "ünïcödé/文書 📄.pdf",
    "100%.csv",
    "a%20b.csv",
    "what?.md",
    "c#.md",
    "a+b&c=d;e,f.txt",
    "quo'te\".md",
    "dots...md",
    "(brackets) [square] {curly}.md",
]


@pytest.mark.parametrize("name", NAMES)
async def test_special_characters_in_names_are_kept(blobs: Blobs, name: str) -> None:
    etag = await blobs.write(name, b"x", media_type="text/plain")
    assert (await blobs.info(name)).name == name
    assert [info.name async for info in blobs.list()] == [name]
    assert b"".join([chunk async for chunk in blobs.stream(name, etag=etag)]) == b"x"
    assert await blobs.delete(name) is True


HOSTILE = [
    "../../answers/x",
    "a/../b",
    "a/./b",
    "..",
    ".",
    "a//b",
    "a\\..\\b",
    "a/..",
    "\x00\x1f",
    "a/",
    "%2E%2E/b",
    "%2e",
]


async def test_records_of_hostile_names_do_not_collide(blobs: Blobs) -> None:
    keys = [f"index/default/{key_of(name)}.json" for name in HOSTILE]
    for key in keys:
        await blobs.write(key, key.encode(), media_type="text/plain", if_none_match="*")
    for key in keys:
        assert (await blobs.read(key)).content == key.encode()
    assert [info.name async for info in blobs.list("index/default/")] == sorted(keys)


async def test_the_record_of_the_longest_name_can_be_written(blobs: Blobs) -> None:
    path = "監視" * 100 + "/" + "報告書" * 100 + ".md"
    await blobs.write(document_name(path), b"{}", media_type="application/json")
    assert (await blobs.read(document_name(path))).content == b"{}"


@pytest.mark.filterwarnings("ignore:Sending a large body")  # a warning of the SDK's single requests
async def test_a_large_blob_is_streamed_in_pieces(blobs: Blobs) -> None:
    content = b"".join(bytes([n]) * MIB for n in range(34))  # more than the SDK reads in its first request
    etag = await drop(blobs, "large", content)
    pieces = [piece async for piece in blobs.stream("large", etag=etag)]
    assert b"".join(pieces) == content
    assert max(map(len, pieces)) <= 4 * MIB


async def test_a_range_is_read_of_one_version(blobs: Blobs) -> None:
    old = await blobs.write("a", b"0123456789", media_type="text/plain")
    assert await blobs.read_range("a", start=2, end=5, etag=old) == b"234"
    assert await blobs.read_range("a", start=8, end=10, etag=old) == b"89"
    await blobs.write("a", b"new", media_type="text/plain")
    with pytest.raises(BlobChanged):
        await blobs.read_range("a", start=0, end=1, etag=old)


async def test_streaming_an_old_version_raises_blob_changed(blobs: Blobs) -> None:
    old = await blobs.write("a", b"old", media_type="text/plain")
    await blobs.write("a", b"new", media_type="text/plain")
    with pytest.raises(BlobChanged):
        _ = [piece async for piece in blobs.stream("a", etag=old)]


@pytest.mark.filterwarnings("ignore:Sending a large body")  # a warning of the SDK's single requests
async def test_a_stream_notices_an_overwrite_in_the_middle(azurite: Azurite, blob_service: BlobServiceClient) -> None:
    container = blob_service.get_container_client(f"test-{uuid.uuid4().hex}")
    await container.create_container()
    blobs = AzureBlobs(container)
    etag = await drop(blobs, "a", b"x" * 40 * MIB)
    stream = blobs.stream("a", etag=etag)
    await anext(stream)
    await drop(blobs, "a", b"y" * 40 * MIB)
    with pytest.raises(BlobChanged):
        _ = [piece async for piece in stream]


async def test_a_missing_container_raises_the_apps_errors(blob_service: BlobServiceClient) -> None:
    blobs = AzureBlobs(blob_service.get_container_client(f"none-{uuid.uuid4().hex}"))
    with pytest.raises(BlobMissing):
        await blobs.read("a")
    with pytest.raises(StorageError):
        await blobs.write("a", b"", media_type="text/plain")
    with pytest.raises(StorageError):
        _ = [info async for info in blobs.list()]


async def test_unreachable_storage_raises_storage_error() -> None:
    nowhere = "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=YQ==;BlobEndpoint=http://127.0.0.1:1/a;"
    async with BlobServiceClient.from_connection_string(nowhere, retry_total=0) as service:
        with pytest.raises(StorageError, match="cannot be reached"):
            await AzureBlobs(service.get_container_client("state")).read("a")


# ---- queues ------------------------------------------------------------------------------------------------------


class Message(msgspec.Struct):
    n: int
    path: str = ""


@dataclass
class OnAzurite:
    """A queue, and a client to read it."""

    queue: AzureQueue
    service: QueueServiceClient
    name: str

    async def raw(self) -> list[Any]:
        return [message async for message in self.service.get_queue_client(self.name).receive_messages()]


@pytest.fixture
async def on_azurite(azurite: Azurite) -> AsyncIterator[OnAzurite]:
    async with QueueServiceClient.from_connection_string(azurite.connection_string) as service:
        name = f"test-{uuid.uuid4().hex}"
        await service.create_queue(name)
        yield OnAzurite(queue_over(service, name), service, name)


async def test_a_queue_message_is_base64_of_json(on_azurite: OnAzurite) -> None:
    sent = Message(1, path="ünïcödé/a b.md")
    await on_azurite.queue.send(sent)
    [message] = await on_azurite.raw()
    assert json.loads(base64.b64decode(message.content, validate=True)) == msgspec.to_builtins(sent)
    assert message.expires_on.year == 9999


async def test_a_delayed_queue_message_is_not_visible_yet(on_azurite: OnAzurite) -> None:
    await on_azurite.queue.send(Message(1), delay_s=120)
    assert await on_azurite.raw() == []
    properties = await on_azurite.service.get_queue_client(on_azurite.name).get_queue_properties()
    assert properties.approximate_message_count == 1


async def test_a_missing_queue_raises_storage_error(on_azurite: OnAzurite) -> None:
    with pytest.raises(StorageError):
        await queue_over(on_azurite.service, f"none-{uuid.uuid4().hex}").send(Message(1))


async def test_the_fake_queue_keeps_message_and_delay() -> None:
    queue = InMemoryQueue()
    await queue.send(Message(1), delay_s=5)
    await queue.send(Message(2))
    assert [(sent.message["n"], sent.delay_s) for sent in (queue.take(), queue.take())] == [(2, 0), (1, 5)]


async def test_the_app_connects_to_its_storage(azurite: Azurite) -> None:
    async with connect(StorageAccount(connection_string=azurite.connection_string)) as storage:
        with pytest.raises(BlobMissing):
            await storage.documents.read(f"{uuid.uuid4().hex}.md")


# ---- names that Azurite cannot list ------------------------------------------------------------------------------


@pytest.fixture(params=["fake", "azurite"])
async def impatient(request: pytest.FixtureRequest) -> AsyncIterator[Blobs]:
    """As `blobs`, without the SDK's retries."""
    if request.param == "fake":
        yield InMemoryBlobs()
        return
    azurite: Azurite = request.getfixturevalue("azurite")
    async with BlobServiceClient.from_connection_string(azurite.connection_string, retry_total=0) as service:
        container = service.get_container_client(f"test-{uuid.uuid4().hex}")
        await container.create_container()
        yield AzureBlobs(container)


@pytest.mark.parametrize("name", ["b/\uffff.md", "b/\ufffe.md", "b/\x1b[2J.md"], ids=ascii)
async def test_a_listing_that_cannot_be_written_says_so_and_the_rest_can_be_listed(impatient: Blobs, name: str) -> None:
    """Azurite answers 500 without a code. Storage in Azure encodes the name: test_encoded_names.py."""
    blobs = impatient
    await blobs.write("a/x.md", b"x", media_type="text/plain")
    await blobs.write(name, b"x", media_type="text/plain")
    for prefix in ("", "b/"):
        with pytest.raises(ListingFailed, match="Delete that blob"):
            await anext(blobs.list(prefix))
        with pytest.raises(ListingFailed, match="control character"):
            await anext(blobs.list_names(prefix))
        with pytest.raises(ListingFailed):
            await blobs.page(prefix, limit=10, cursor=None)
    assert [found async for found in blobs.list_names("a/")] == ["a/x.md"]
    assert await blobs.delete(name)
    assert [found.name async for found in blobs.list()] == ["a/x.md"]
