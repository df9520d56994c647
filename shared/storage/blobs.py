"""The adapter of Azure Storage: blobs and queues. SDK errors become `shared.errors.StorageError`."""

from __future__ import annotations

import io
import re
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import unquote
from urllib.request import getproxies

import msgspec
from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.storage.blob import ContentSettings
from azure.storage.blob.aio import BlobServiceClient, ContainerClient
from azure.storage.queue import TextBase64EncodePolicy
from azure.storage.queue.aio import QueueClient, QueueServiceClient

from shared.errors import BlobChanged, BlobMissing, ListingFailed, StorageError
from shared.settings import StorageAccount
from shared.storage.listings import WRITE_ID, BlobInfo, blobs_in

# The SDK's own retries of up to a minute would carry out a request long after its caller was told that it failed. The
# callers and the queues retry anyway.
RETRIES: dict[str, Any] = {
    "retry_total": 2,
    "initial_backoff": 0.5,
    "increment_base": 2,
    "random_jitter_range": 0.25,
    "connection_timeout": 5,
    "read_timeout": 30,
}
ASSIGN_ROLES = (
    "(The app's identity needs the roles 'Storage Blob Data Owner' and 'Storage Queue Data Contributor' there, which "
    "arrive some minutes after they are assigned, and the account's firewall has to let the app in.)"
)
# Storage encodes a name that XML cannot carry, which the SDK does not decode in `list_blob_names`.
# Source: https://learn.microsoft.com/rest/api/storageservices/list-blobs#response-body
ENCODED_NAME = re.compile(rb'<Name Encoded="true">([^<]*)</Name>')
LIST_PAGE = 1_000  # blobs a request: reading them holds the event loop for 40 ms


@dataclass(frozen=True, kw_only=True)
class Blob:
    content: bytes
    etag: str


class Blobs(Protocol):
    """One blob container. Etags are without quotes, as Event Grid sends them."""

    async def read(self, name: str) -> Blob: ...

    async def write(
        self,
        name: str,
        content: bytes,
        *,
        media_type: str,
        metadata: Mapping[str, str] | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> str:
        """Write a whole blob and return its new etag. `if_none_match="*"`: only if it does not exist.

        When the answer to a conditional write is lost, the SDK repeats the write and meets its own first try. That
        counts as success: each conditional write carries a random id in the blob's metadata.

        Raises:
            BlobChanged: the condition did not hold; nothing was written.

        Source: https://learn.microsoft.com/rest/api/storageservices/put-blob
        """
        ...

    async def info(self, name: str) -> BlobInfo:
        """Raises BlobMissing."""
        ...

    async def delete(self, name: str, *, if_match: str | None = None) -> bool:
        """Delete a blob. False: it did not exist. Raises BlobChanged when its etag is not `if_match`."""
        ...

    def list(self, prefix: str = "") -> AsyncIterator[BlobInfo]:
        """Blobs in the order of their names, with metadata."""
        ...

    def list_names(self, prefix: str = "") -> AsyncIterator[str]:
        """Names in order. Cheaper than `list`: 5,000 names a request."""
        ...

    async def page(self, prefix: str, *, limit: int, cursor: str | None) -> tuple[Sequence[BlobInfo], str | None]:
        """One page of a listing, and the cursor of the next page; None: this is the last one.

        Raises:
            BlobMissing: storage rejects the cursor.
        """
        ...

    async def exists(self, name: str) -> bool: ...

    async def reachable(self) -> None:
        """Raises StorageError when the container does not exist, or access is denied."""
        ...

    async def read_range(self, name: str, *, start: int, end: int, etag: str) -> bytes:
        """The bytes from `start` to before `end` of exactly this version. Raises BlobChanged, as `stream` does."""
        ...

    def stream(self, name: str, *, etag: str) -> AsyncIterator[bytes]:
        """The content of exactly this version, 4 MiB at a time. Raises BlobChanged when the blob has another etag."""
        ...


class Queue(Protocol):
    async def reachable(self) -> None:
        """Raises StorageError when the queue does not exist, or access is denied."""
        ...

    async def send(self, message: msgspec.Struct, *, delay_s: int = 0) -> None:
        """Enqueue a message as base64 of JSON, as the Functions host expects, visible after `delay_s` seconds."""
        ...


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except ResourceNotFoundError as exc:
        raise BlobMissing(f"{what} does not exist.") from exc
    except (ResourceExistsError, ResourceModifiedError) as exc:
        raise BlobChanged(f"{what} was written by someone else.") from exc
    except HttpResponseError as exc:
        if exc.status_code in (409, 412):
            raise BlobChanged(f"{what} was written by someone else.") from exc
        if exc.status_code is None:  # no token was issued
            raise StorageError(f"{what}: storage cannot be reached: {exc.message}") from exc
        code = getattr(exc, "error_code", None) or ""
        role = f" {ASSIGN_ROLES}" if exc.status_code == 403 else ""
        raise StorageError(f"{what}: storage answered {exc.status_code} {code}".rstrip() + role) from exc
    except AzureError as exc:
        raise StorageError(f"{what}: storage cannot be reached.") from exc


@contextmanager
def _listing(container: str, prefix: str) -> Iterator[None]:
    """As `_translated`, for listings.

    Azurite answers 500 without a code when a name has a character that XML cannot carry; storage in Azure encodes it.
    """
    try:
        with _translated(prefix):
            yield
    except StorageError as exc:
        cause = exc.__cause__
        if isinstance(cause, HttpResponseError) and cause.status_code == 500 and not getattr(cause, "error_code", None):
            where = f"{container!r}{f' below {prefix!r}' if prefix else ''}"
            raise ListingFailed(
                f"Storage cannot list the container {where}: it answers 500 without a code. "
                "Azurite does so when a blob's name has a control character, U+FFFE or U+FFFF. "
                "Delete that blob with a storage client, by its name."
            ) from exc
        raise


class AzureBlobs:
    def __init__(self, container: ContainerClient) -> None:
        self._container = container

    async def read(self, name: str) -> Blob:
        with _translated(name):
            download = await self._container.download_blob(name)
            return Blob(content=await download.readall(), etag=download.properties.etag.strip('"'))

    async def write(
        self,
        name: str,
        content: bytes,
        *,
        media_type: str,
        metadata: Mapping[str, str] | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> str:
        conditions = {"match_condition": MatchConditions.IfMissing} if if_none_match else _only_if(if_match)
        write_id = {WRITE_ID: uuid.uuid4().hex} if conditions else {}
        try:
            with _translated(name):
                answer = await self._container.get_blob_client(name).upload_blob(
                    io.BytesIO(content),  # sent in pieces: a large body does not block the event loop
                    length=len(content),
                    overwrite=True,
                    metadata={**(metadata or {}), **write_id},
                    content_settings=ContentSettings(content_type=media_type),
                    **conditions,
                )
        except BlobChanged:
            if etag := await self._etag_of(name, write_id):
                return etag
            raise
        return str(answer["etag"]).strip('"')

    async def _etag_of(self, name: str, write_id: Mapping[str, str]) -> str | None:
        """The etag of the blob if this write wrote it; None if another one did."""
        try:
            with _translated(name):
                found = await self._container.get_blob_client(name).get_blob_properties()
        except BlobMissing:
            return None
        is_own = (found.metadata or {}).get(WRITE_ID) == write_id[WRITE_ID]
        return str(found.etag).strip('"') if is_own else None

    async def info(self, name: str) -> BlobInfo:
        with _translated(name):
            return _info(await self._container.get_blob_client(name).get_blob_properties())

    async def delete(self, name: str, *, if_match: str | None = None) -> bool:
        try:
            with _translated(name):
                await self._container.delete_blob(name, **_only_if(if_match))
        except BlobMissing:
            return False
        except BlobChanged:
            if await self.exists(name):
                raise
            # Another process deleted it, or this one did, and the answer to its first try was lost.
        return True

    async def list(self, prefix: str = "") -> AsyncIterator[BlobInfo]:
        cursor: str | None = None
        while True:
            page, cursor = await self.page(prefix, limit=LIST_PAGE, cursor=cursor)
            for info in page:
                yield info
            if not cursor:
                return

    async def list_names(self, prefix: str = "") -> AsyncIterator[str]:
        encoded: set[str] = set()

        def note_encoded(response: Any) -> None:
            encoded.update(name.decode() for name in ENCODED_NAME.findall(response.http_response.body()))

        with _listing(self._container.container_name, prefix):
            names = self._container.list_blob_names(name_starts_with=prefix, raw_response_hook=note_encoded)
            async for name in names:
                yield unquote(name) if name in encoded else name

    async def page(self, prefix: str, *, limit: int, cursor: str | None) -> tuple[Sequence[BlobInfo], str | None]:
        content = b""

        def keep(response: Any) -> None:
            nonlocal content
            content = response.http_response.body()

        # Of the SDK's two listings, this one does not read the properties of the blobs: `blobs_in` is ten times faster.
        listing = self._container.list_blob_names(
            name_starts_with=prefix, include=["metadata"], results_per_page=limit, raw_response_hook=keep
        )
        pages: Any = listing.by_page(cursor)
        with _listing(self._container.container_name, prefix):
            await anext(pages)
        return blobs_in(content), pages.continuation_token or None

    async def exists(self, name: str) -> bool:
        with _translated(name):
            return await self._container.get_blob_client(name).exists()

    async def reachable(self) -> None:
        with _translated(f"The container {self._container.container_name}"):
            await self._container.get_container_properties()

    async def read_range(self, name: str, *, start: int, end: int, etag: str) -> bytes:
        with _translated(name):
            part = await self._container.download_blob(name, offset=start, length=end - start, **_only_if(etag))
            content: bytes = await part.readall()
            return content

    async def stream(self, name: str, *, etag: str) -> AsyncIterator[bytes]:
        with _translated(name):
            download = await self._container.download_blob(name, **_only_if(etag))
            async for chunk in download.chunks():
                yield chunk


def _only_if(etag: str | None) -> dict[str, Any]:
    return {"etag": f'"{etag}"', "match_condition": MatchConditions.IfNotModified} if etag else {}


def _info(blob: Any) -> BlobInfo:
    return BlobInfo(
        name=blob.name,
        etag=blob.etag.strip('"'),
        size_bytes=blob.size,
        last_modified_at=blob.last_modified,
        metadata={key: value for key, value in (blob.metadata or {}).items() if key != WRITE_ID},
    )


class AzureQueue:
    def __init__(self, queue: QueueClient) -> None:
        self._queue = queue

    async def reachable(self) -> None:
        with _translated(f"The queue {self._queue.queue_name}"):
            await self._queue.get_queue_properties()

    async def send(self, message: msgspec.Struct, *, delay_s: int = 0) -> None:
        with _translated(self._queue.queue_name):
            # -1: the message never expires. After the default of 7 days, an outage would lose it.
            await self._queue.send_message(
                msgspec.json.encode(message).decode(), visibility_timeout=delay_s, time_to_live=-1
            )


@dataclass(frozen=True, kw_only=True)
class Storage:
    """The containers and queues of the app."""

    documents: Blobs
    answers: Blobs
    state: Blobs
    runs: Queue
    indexing: Queue
    callbacks: Queue


@asynccontextmanager
async def connect(account: StorageAccount, *, client_id: str | None = None) -> AsyncIterator[Storage]:
    """The app's storage, closed at the end of the block."""
    blobs, queues = _clients(account, client_id)
    async with blobs, queues:
        yield storage_of(blobs, queues)


def open_storage(account: StorageAccount, *, client_id: str | None = None) -> Storage:
    """The app's storage, open as long as the process runs."""
    return storage_of(*_clients(account, client_id))


def storage_of(blobs: BlobServiceClient, queues: QueueServiceClient) -> Storage:
    return Storage(
        documents=AzureBlobs(blobs.get_container_client("documents")),
        answers=AzureBlobs(blobs.get_container_client("answers")),
        state=AzureBlobs(blobs.get_container_client("state")),
        runs=queue_over(queues, "runs"),
        indexing=queue_over(queues, "indexing"),
        callbacks=queue_over(queues, "callbacks"),
    )


def queue_over(queues: QueueServiceClient, name: str) -> AzureQueue:
    # The SDK sends plain text by default; the Functions host expects base64.
    return AzureQueue(queues.get_queue_client(name, message_encode_policy=TextBase64EncodePolicy()))


def _clients(account: StorageAccount, client_id: str | None) -> tuple[BlobServiceClient, QueueServiceClient]:
    # aiohttp looks for a proxy in a thread at each request: do so only when a proxy is set.
    options: dict[str, Any] = {**RETRIES, "use_env_settings": bool(getproxies().keys() - {"no"})}
    if account.connection_string:
        return (
            BlobServiceClient.from_connection_string(account.connection_string, **options),
            QueueServiceClient.from_connection_string(account.connection_string, **options),
        )
    from azure.identity.aio import DefaultAzureCredential  # imported on use: heavy, and not needed on a laptop

    credential = DefaultAzureCredential(managed_identity_client_id=client_id)
    assert account.blob_url and account.queue_url  # StorageAccount holds both or a connection string
    return (
        BlobServiceClient(account.blob_url, credential=credential, **options),
        QueueServiceClient(account.queue_url, credential=credential, **options),
    )
