"""Uploads one version of a document to the service: stream, inspect, upload, attach.

It deletes nothing after an error: what is at the service by then goes into the record, and is deleted from there.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from io import SEEK_END
from typing import IO, TYPE_CHECKING

from shared.collections.attributes import attributes_of
from shared.collections.stores import Collections
from shared.collections.texts import Texts
from shared.documents.claims import Claim
from shared.documents.disk import SPOOL_BYTES, Disk
from shared.engines.stores import IndexState, VectorStores
from shared.errors import AppError, ServiceBusy, ServiceError, StoreLost
from shared.formats.base import Part
from shared.formats.contents import Contents, look_inside
from shared.formats.datacards import Card, card_of
from shared.formats.filetypes import service_name
from shared.formats.parquet import CSV_MAX_BYTES, csv_of
from shared.formats.parts import parts_of
from shared.formats.places.reading import of_card, places_of
from shared.models.documents import Upload, Version

if TYPE_CHECKING:
    from shared.storage.blobs import Blobs

STORE_FULL = frozenset({"vector_store_full", "file_limit_exceeded"})
STORE_GONE = frozenset({"service_object_missing", "vector_store_expired", "not_found"})


class Sent:
    """What is at the service so far of a version that is being uploaded."""

    def __init__(self, version: Version) -> None:
        self.version = version  # with the files that are known, also after an error
        self.state = IndexState(status="in_progress")  # of the last part
        self.unclear = False  # an upload got no answer: there may be a file more

    def left(self, now: datetime) -> Version:
        """The version as a failed upload leaves it."""
        return replace(
            self.version,
            sent_at=self.version.sent_at if self.unclear or self.version.file_ids else None,
            sending_until=now if self.unclear else None,
        )

    def complete(self, now: datetime) -> Version:
        return replace(self.version, sending_until=None, sent_until=now, upload=None)


class Uploader:
    def __init__(
        self,
        documents: Blobs,
        stores: VectorStores,
        collections: Collections,
        texts: Texts,
        disk: Disk,
        *,
        max_tokens: int,
        now: Callable[[], datetime],
    ) -> None:
        self._blobs = documents
        self._stores = stores
        self._collections = collections
        self._texts = texts
        self._disk = disk
        self._max_tokens = max_tokens
        self._now = now

    async def upload(self, claim: Claim, sent: Sent) -> None:
        """Upload exactly this version. `sent` holds its files at the service, also after an error.

        Raises:
            BlobChanged, BlobMissing: the blob was replaced or deleted, or the claim is lost.
            UnusableFile: its content cannot be indexed, or the temporary disk is too small for it.
            StoreLost: the collection's vector store is gone.
            ServiceBusy, ServiceError: the service did not accept it.
        """
        async with self._disk.hold(claim.stored.value.path, sent.version.size_bytes):
            await self._upload_whole(claim, sent)

    async def _upload_whole(self, claim: Claim, sent: Sent) -> None:
        document, etag = claim.stored.value, sent.version.etag
        path, collection = document.path, document.collection
        store_id = await self._collections.place(collection)
        with tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES) as content:
            async for chunk in self._blobs.stream(path, etag=etag):
                content.write(chunk)
            inside = await asyncio.to_thread(look_inside, path, content)
            sent.version = replace(sent.version, kind=inside.kind, notice=inside.notice, store_id=store_id)
            try:
                await (self._send_data if inside.kind == "data" else self._send_text)(claim, inside, content, sent)
            except ServiceError as exc:
                await self._check_store(collection, store_id, exc)
                raise

    async def _send_data(self, claim: Claim, inside: Contents, content: IO[bytes], sent: Sent) -> None:
        """Upload the file for code interpreter, and its data card for file search."""
        path = claim.stored.value.path
        name = service_name(path, "data", inside.ending)
        filename, ending = _named(path, inside), inside.ending
        with ExitStack() as copies:
            if ending == "parquet":
                # The file is there twice meanwhile: its own copy, and that of the process that converts it.
                left_bytes = self._disk.max_bytes - 2 * sent.version.size_bytes
                csv = await asyncio.to_thread(csv_of, content, max_bytes=min(CSV_MAX_BYTES, left_bytes))
                content, ending = copies.enter_context(csv), "csv"
            card: Card = await asyncio.to_thread(card_of, filename, content, ending=ending)
            await self._texts.keep(path, sent.version.etag, of_card(card.markdown))
            sent.version = replace(sent.version, terms=card.terms)
            data_file_id = await self._upload_file(claim, name, content, sent)
            sent.version = replace(sent.version, data_file_id=data_file_id)
        with tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES) as markdown:
            markdown.write(card.markdown.encode())
            await self._attach(claim, f"{name}.md", Part(content=markdown), sent)

    async def _send_text(self, claim: Claim, inside: Contents, content: IO[bytes], sent: Sent) -> None:
        """Upload the document, or its parts one after the other."""
        places = await asyncio.to_thread(places_of, inside.ending, content)
        await self._texts.keep(claim.stored.value.path, sent.version.etag, places)
        name = service_name(claim.stored.value.path, "text", inside.ending)
        async for part in _in_thread(inside.ending, content, max_tokens=self._max_tokens):
            try:
                await self._attach(claim, name, part, sent)
            finally:
                if part.content is not content:
                    part.content.close()
        assert sent.version.store_id
        self._collections.placed(sent.version.store_id, len(sent.version.parts) - 1)

    async def _attach(self, claim: Claim, name: str, part: Part, sent: Sent) -> None:
        file_id = await self._upload_file(claim, name, part.content, sent)
        sent.version = version = replace(sent.version, parts=(*sent.version.parts, file_id))
        assert version.store_id
        # `since` is later than the moment at which the visibility blob listed this version.
        attributes = attributes_of(claim.stored.value.path, version, since=self._now())
        claim.check()
        sent.state = await self._stores.attach(version.store_id, file_id, attributes)

    async def _upload_file(self, claim: Claim, name: str, content: IO[bytes], sent: Sent) -> str:
        """Upload one file. The record says so before, unless it is the whole blob, which the claim has said."""
        size_bytes = content.seek(0, SEEK_END)
        if sent.version.file_ids or size_bytes != sent.version.size_bytes:
            sent.version = replace(sent.version, upload=Upload(name=name, size_bytes=size_bytes))
            await claim.note(sent.version)
        claim.check()
        sent.unclear = True
        try:
            file_id = await self._stores.upload(name, content)
        except AppError as exc:
            sent.unclear = isinstance(exc, ServiceBusy) and exc.unclear
            raise
        sent.unclear = False
        return file_id

    async def _check_store(self, collection: str, store_id: str, error: ServiceError) -> None:
        """Find out whether the vector store caused the error.

        Raises:
            StoreLost: the store is gone.
            ServiceBusy: the store is full; the next try uses another one.
        """
        if error.code in STORE_FULL:
            self._collections.mark_full(store_id)
            raise ServiceBusy(f"The vector store {store_id} is full.", code="vector_store_full", retry_after_s=0)
        if error.code not in STORE_GONE:
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
