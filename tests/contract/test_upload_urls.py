"""A signed upload URL, with plain HTTP against Azurite; and the key that signs it where there is an identity."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.storage.blob import UserDelegationKey
from azure.storage.blob.aio import BlobServiceClient, ContainerClient

from local.stack.azurite import Azurite
from shared.errors import StorageError
from shared.settings import StorageAccount
from shared.storage.upload_urls import VALID_FOR, UploadUrls

HEADERS = {"x-ms-blob-type": "BlockBlob", "Content-Type": "text/markdown", "x-ms-meta-team": "hr"}
CONTENT = b"The door code is 7315."


def utc_now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
async def documents(azurite: Azurite) -> AsyncIterator[ContainerClient]:
    async with BlobServiceClient.from_connection_string(azurite.connection_string) as service:
        container = service.get_container_client("documents")
        if not await container.exists():
            await container.create_container()
        yield container


def urls(azurite: Azurite, now: Any = utc_now) -> UploadUrls:
    return UploadUrls(StorageAccount(connection_string=azurite.connection_string), client_id=None, now=now)


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(trust_env=False) as client:
        yield client


@pytest.mark.parametrize("name", ["a.md", "ein Maß/ü 100%.md", "a+b&c=d;e?f#g.md", "quo'te\".md", "文書 📄.md"])
async def test_a_file_is_uploaded_with_plain_http(
    azurite: Azurite, documents: ContainerClient, http: httpx2.AsyncClient, name: str
) -> None:
    path = f"up-{uuid.uuid4().hex}/{name}"
    signed = await urls(azurite).create(path)
    assert timedelta(minutes=14) < signed.expires_at - utc_now() <= VALID_FOR
    assert (await http.put(signed.url, content=CONTENT, headers=HEADERS)).status_code == 201
    stored = await documents.get_blob_client(path).get_blob_properties()
    assert (stored.size, stored.metadata) == (len(CONTENT), {"team": "hr"})
    assert stored.content_settings.content_type == "text/markdown"

    again = await http.put(
        signed.url, content=b"Another.", headers=HEADERS
    )  # valid until its end: it replaces the blob
    assert again.status_code == 201
    assert (await documents.get_blob_client(path).get_blob_properties()).size == 8


async def test_the_url_is_for_one_blob_and_for_writing(
    azurite: Azurite, documents: ContainerClient, http: httpx2.AsyncClient
) -> None:
    folder = f"up-{uuid.uuid4().hex}"
    signed = await urls(azurite).create(f"{folder}/a.md")
    await documents.upload_blob(f"{folder}/a.md", b"Old.")
    for method in ("GET", "HEAD", "DELETE"):
        assert (await http.request(method, signed.url)).status_code == 403, method
    for other in (f"{folder}/b.md", f"{folder}/a.md/b.md", f"{folder}/A.md", f"{folder}"):
        url = signed.url.replace(f"{folder}/a.md?", f"{other}?")
        assert (await http.put(url, content=CONTENT, headers=HEADERS)).status_code == 403, other
    for other in (signed.url.replace("/documents/", "/state/"), signed.url.replace("/a.md?", "?restype=container&")):
        assert (await http.put(other, content=CONTENT, headers=HEADERS)).status_code in (400, 403)
    longer = signed.url.replace("se=2", "se=3")
    assert (await http.put(longer, content=CONTENT, headers=HEADERS)).status_code == 403
    assert [name async for name in documents.list_blob_names(name_starts_with=folder)] == [f"{folder}/a.md"]
    assert await (await documents.download_blob(f"{folder}/a.md")).readall() == b"Old."


async def test_the_url_ends(azurite: Azurite, documents: ContainerClient, http: httpx2.AsyncClient) -> None:
    path = f"up-{uuid.uuid4().hex}/a.md"
    late = await urls(azurite, lambda: utc_now() - VALID_FOR - timedelta(seconds=2)).create(path)
    assert (await http.put(late.url, content=CONTENT, headers=HEADERS)).status_code == 403
    assert not await documents.get_blob_client(path).exists()


# ---- by identity -------------------------------------------------------------------------------------------------


def delegation_key() -> UserDelegationKey:
    key = UserDelegationKey()
    key.signed_oid, key.signed_tid, key.value = "oid", "tid", "c2VjcmV0"
    key.signed_start, key.signed_expiry = "2026-11-25T11:55:00Z", "2026-11-25T12:15:00Z"
    key.signed_service, key.signed_version = "b", "2025-07-05"
    return key


async def test_with_an_identity_a_key_of_the_service_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    now, asked = datetime(2026, 11, 25, 12, tzinfo=UTC), []

    async def issue(self: BlobServiceClient, start: datetime, end: datetime, **_: Any) -> UserDelegationKey:
        asked.append((start, end))
        return delegation_key()

    monkeypatch.setattr(BlobServiceClient, "get_user_delegation_key", issue)
    account = StorageAccount(
        blob_url="https://acct.blob.core.windows.net", queue_url="https://acct.queue.core.windows.net"
    )
    signed = await UploadUrls(account, client_id=None, now=lambda: now).create("c/ü.md")
    blob, _, signature = signed.url.partition("?")
    assert blob == "https://acct.blob.core.windows.net/documents/c/%C3%BC.md"
    assert asked == [(now - timedelta(minutes=5), signed.expires_at)]
    assert {"sp=cw", "sr=b", "spr=https", "skoid=oid", "sktid=tid"} <= set(signature.split("&"))
    assert "c2VjcmV0" not in signature


async def test_without_the_role_storage_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(self: BlobServiceClient, start: datetime, end: datetime, **_: Any) -> UserDelegationKey:
        raise ClientAuthenticationError("This request is not authorized to perform this operation.")

    monkeypatch.setattr(BlobServiceClient, "get_user_delegation_key", refuse)
    account = StorageAccount(
        blob_url="https://acct.blob.core.windows.net", queue_url="https://acct.queue.core.windows.net"
    )
    with pytest.raises(StorageError):
        await UploadUrls(account, client_id=None, now=utc_now).create("c/a.md")
