"""Uploads one version of a document to the service: stream, inspect, upload, attach; all of it or nothing."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import IO, TYPE_CHECKING

from shared.collections.attributes import attributes_of
from shared.collections.stores import Collections
from shared.engines.stores import IndexState, VectorStores
from shared.errors import AppError, ServiceBusy, ServiceError, StoreLost
from shared.formats.base import Part
from shared.formats.contents import Contents, look_inside
from shared.formats.datacards import Card, card_of
from shared.formats.filetypes import service_name
from shared.formats.parquet import csv_of
from shared.formats.parts import parts_of
from shared.models.documents import Version

if TYPE_CHECKING:
    from shared.storage.blobs import Blobs

SPOOL_BYTES = 4 * 1024 * 1024  # of a document held in memory; a larger one goes to a temporary file
STORE_FULL = frozenset({"vector_store_full", "file_limit_exceeded"})
STORE_GONE = frozenset({"service_object_missing", "vector_store_expired", "not_found"})


@dataclass(kw_only=True)
class Sent:
    """What is at the service so far. Parts are attached to the vector store; the data file is not."""

    parts: list[str]
    uploaded: list[str]  # all file ids, to be deleted if a later step fails
    state: IndexState = field(default_factory=lambda: IndexState(status="in_progress"))  # of the last part


class Uploader:
    def __init__(
        self,
        documents: Blobs,
        stores: VectorStores,
        collections: Collections,
        *,
        max_tokens: int,
        now: Callable[[], datetime],
    ) -> None:
        self._blobs = documents
        self._stores = stores
        self._collections = collections
        self._max_tokens = max_tokens
        self._now = now

    async def upload(self, path: str, version: Version, *, collection: str) -> tuple[Version, IndexState]:
        """Upload exactly this version. After an error, the uploaded files are deleted.

        Returns:
            The version with its files at the service, and the indexing state of the last part.

        Raises:
            BlobChanged, BlobMissing: the blob was replaced or deleted.
            UnusableFile: its content cannot be indexed.
            StoreLost: the collection's vector store is gone.
            ServiceBusy, ServiceError: the service did not accept it.
        """
        store_id = await self._collections.place(collection)
        with tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES) as content:
            async for chunk in self._blobs.stream(path, etag=version.etag):
                content.write(chunk)
            inside = await asyncio.to_thread(look_inside, path, content)
            version = replace(version, kind=inside.kind, notice=inside.notice, store_id=store_id)
            sent = Sent(parts=[], uploaded=[])
            try:
                send = self._send_data if inside.kind == "data" else self._send_text
                return await send(path, version, inside, content, sent), sent.state
            except AppError as exc:
                for file_id in sent.uploaded:
                    with suppress(AppError):  # the first error is the one to report
                        await self._stores.discard(store_id, file_id)
                if isinstance(exc, ServiceError):
                    await self._check_store(collection, store_id, exc.code)
                raise

    async def _send_data(
        self, path: str, version: Version, inside: Contents, content: IO[bytes], sent: Sent
    ) -> Version:
        """Upload the file for code interpreter, and its data card for file search."""
        name = service_name(path, "data", inside.ending)
        filename, ending = _named(path, inside), inside.ending
        with ExitStack() as copies:
            if ending == "parquet":
                content, ending = copies.enter_context(await asyncio.to_thread(csv_of, content)), "csv"
            card: Card = await asyncio.to_thread(card_of, filename, content, ending=ending)
            data_file_id = await self._upload(name, content, sent)
        version = replace(version, terms=card.terms)
        with tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES) as markdown:
            markdown.write(card.markdown.encode())
            await self._attach(path, version, f"{name}.md", Part(content=markdown), sent)
        return replace(version, parts=tuple(sent.parts), data_file_id=data_file_id)

    async def _send_text(
        self, path: str, version: Version, inside: Contents, content: IO[bytes], sent: Sent
    ) -> Version:
        """Upload the document, or its parts one after the other."""
        name = service_name(path, "text", inside.ending)
        async for part in _in_thread(inside.ending, content, max_tokens=self._max_tokens):
            try:
                await self._attach(path, version, name, part, sent)
            finally:
                if part.content is not content:
                    part.content.close()
        assert version.store_id
        self._collections.placed(version.store_id, len(sent.parts) - 1)
        return replace(version, parts=tuple(sent.parts))

    async def _attach(self, path: str, version: Version, name: str, part: Part, sent: Sent) -> None:
        assert version.store_id
        file_id = await self._upload(name, part.content, sent)
        # `since` is later than the moment at which the visibility blob listed this version.
        attributes = attributes_of(path, version, since=self._now(), first_page=part.first_page)
        sent.state = await self._stores.attach(version.store_id, file_id, attributes)
        sent.parts.append(file_id)

    async def _upload(self, name: str, content: IO[bytes], sent: Sent) -> str:
        file_id = await self._stores.upload(name, content)
        sent.uploaded.append(file_id)
        return file_id

    async def _check_store(self, collection: str, store_id: str, code: str) -> None:
        """Find out whether the vector store caused the error.

        Raises:
            StoreLost: the store is gone.
            ServiceBusy: the store is full; the next try uses another one.
        """
        if code in STORE_FULL:
            self._collections.mark_full(store_id)
            raise ServiceBusy(f"The vector store {store_id} is full.", code="vector_store_full", retry_after_s=0)
        if code not in STORE_GONE:
            return
        self._collections.forget(collection, store_id)
        if await self._collections.is_gone(store_id):
            raise StoreLost(collection, store_id)


async def _in_thread(ending: str, content: IO[bytes], *, max_tokens: int) -> AsyncIterator[Part]:
    """The parts of a text, each made in a thread, since a long PDF takes time."""
    parts = iter(parts_of(ending, content, max_tokens=max_tokens))
    while part := await asyncio.to_thread(next, parts, None):
        yield part


def _named(path: str, inside: Contents) -> str:
    """The file's own name, with the ending of its content."""
    name = path.rsplit("/", 1)[-1]
    return name if name.lower().endswith(f".{inside.ending}") else f"{name}.{inside.ending}"
