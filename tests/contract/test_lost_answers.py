"""A conditional write whose answer is lost: the SDK repeats it, and the app must recognize its own first try."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from azure.storage.blob.aio import BlobServiceClient

from local.stack.azurite import Azurite
from shared.errors import BlobChanged
from shared.storage.blobs import RETRIES, AzureBlobs
from shared.storage.records import Records
from tests.storage_proxy import Proxy, proxy_before


@dataclass(frozen=True)
class Counter:
    value: int


@dataclass(frozen=True)
class Place:
    """The same blob container, through the proxy and directly."""

    proxy: Proxy
    blobs: AzureBlobs
    direct: AzureBlobs


@pytest.fixture
async def place(azurite: Azurite) -> AsyncIterator[Place]:
    name = f"test-{uuid.uuid4().hex}"
    async with BlobServiceClient.from_connection_string(azurite.connection_string) as direct:
        await direct.get_container_client(name).create_container()
        port = urlsplit(direct.url).port
        assert port
        async with proxy_before(port) as proxy:
            through = proxy.connection_string(azurite.connection_string)
            async with BlobServiceClient.from_connection_string(through, **RETRIES) as service:
                yield Place(
                    proxy,
                    AzureBlobs(service.get_container_client(name)),
                    AzureBlobs(direct.get_container_client(name)),
                )


async def test_the_first_version_of_a_blob(place: Place) -> None:
    place.proxy.lose("PUT")
    etag = await place.blobs.write("a", b"1", media_type="text/plain", metadata={"k": "v"}, if_none_match="*")
    info = await place.direct.info("a")
    assert (info.etag, dict(info.metadata)) == (etag, {"k": "v"})
    assert len([request for request in place.proxy.requests if request.startswith("PUT")]) == 2


async def test_the_next_version_of_a_blob(place: Place) -> None:
    first = await place.blobs.write("a", b"1", media_type="text/plain")
    place.proxy.lose("PUT")
    second = await place.blobs.write("a", b"2", media_type="text/plain", if_match=first)
    assert (await place.direct.read("a")).content == b"2"
    assert (await place.direct.info("a")).etag == second


async def test_an_empty_blob_whose_metadata_is_everything(place: Place) -> None:
    first = await place.blobs.write("a", b"", media_type="text/plain", metadata={"entry": "1"}, if_none_match="*")
    place.proxy.lose("PUT")
    await place.blobs.write("a", b"", media_type="text/plain", metadata={"entry": "2"}, if_match=first)
    assert dict((await place.direct.info("a")).metadata) == {"entry": "2"}


async def test_a_record_is_updated_once(place: Place) -> None:
    records = Records(place.blobs, Counter, name=lambda key: f"{key}.json")
    await records.create("a", Counter(0))
    place.proxy.lose("PUT")
    await records.update("a", lambda counter: Counter(counter.value + 1))
    found = await records.read("a")
    assert found
    assert found.value == Counter(1)


@pytest.mark.parametrize("content", [b"theirs", b"ours"], ids=["other content", "the same content"])
async def test_a_write_of_somebody_else_is_not_taken_for_our_own(place: Place, content: bytes) -> None:
    await place.direct.write("a", content, media_type="text/plain", if_none_match="*")
    with pytest.raises(BlobChanged):
        await place.blobs.write("a", b"ours", media_type="text/plain", if_none_match="*")


async def test_our_write_was_overwritten_before_the_repeat(place: Place) -> None:
    """Ours was carried out, and replaced at once: it is no success, since a reader sees the other one."""
    first = await place.direct.write("a", b"1", media_type="text/plain")
    await place.direct.write("a", b"2", media_type="text/plain", if_match=first)
    with pytest.raises(BlobChanged):
        await place.blobs.write("a", b"3", media_type="text/plain", if_match=first)


async def test_a_deletion(place: Place) -> None:
    etag = await place.blobs.write("a", b"1", media_type="text/plain")
    place.proxy.lose("DELETE")
    await place.blobs.delete("a", if_match=etag)
    assert not await place.direct.exists("a")
