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
from shared.documents.disk import SPOOL_BYTES, Disk, copies_max_bytes
from shared.documents.sent import Sent
from shared.engines.stores import VectorStores
from shared.errors import AppError, ServiceBusy, ServiceError, StoreLost
from shared.formats.base import FILE_MAX_BYTES, Part
from shared.formats.contents import Contents, look_inside
from shared.formats.datacards import NOTICE_MAX_CHARS, read_data, with_notice
from shared.formats.filetypes import service_name
from shared.formats.parquet import csv_of
from shared.formats.parts import parts_of
from shared.formats.places.base import Reading
from shared.formats.places.reading import of_card, reading_of
from shared.formats.workbooks import xlsx_of
from shared.models.documents import Reason, Upload

if TYPE_CHECKING:
    from shared.storage.blobs import Blobs

STORE_FULL = frozenset({"vector_store_full", "file_limit_exceeded"})
STORE_GONE = frozenset({"service_object_missing", "vector_store_expired", "not_found"})
TABLES_OF = {"parquet": (csv_of, "csv"), "xls": (xlsx_of, "xlsx"), "ods": (xlsx_of, "xlsx")}


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
        """Upload the file and clean copies of its tables for code interpreter, and its data card for file search."""
        path = claim.stored.value.path
        name = service_name(path, "data", inside.ending)
        filename, ending = _named(path, inside), inside.ending
        taken_bytes = 0
        with ExitStack() as copies:
            if ending in TABLES_OF:
                # The file is there twice meanwhile: its own copy, and that of the process that converts it.
                left_bytes = self._disk.max_bytes - 2 * sent.version.size_bytes
                convert, ending = TABLES_OF[ending]
                table = await asyncio.to_thread(convert, content, max_bytes=min(FILE_MAX_BYTES, left_bytes))
                content = copies.enter_context(table)
                taken_bytes = content.seek(0, SEEK_END)
            max_bytes = copies_max_bytes(
                path, sent.version.size_bytes, max_bytes=self._disk.max_bytes, taken_bytes=taken_bytes
            )
            tables, card = await asyncio.to_thread(read_data, filename, ending, content, copies_max_bytes=max_bytes)
            copies.enter_context(tables)
            text = await self._texts.keep(path, sent.version.etag, of_card(card.markdown))
            notice = with_notice(inside.notice, card.notice)
            sent.version = replace(sent.version, text=text, terms=card.terms, notice=notice)
            data_file_id = await self._upload_file(claim, name, content, sent)
            sent.version = replace(sent.version, data_file_id=data_file_id)
            for copy_name, copy in tables.copies(name):
                clean_file_id = await self._upload_file(claim, copy_name, copy, sent)
                sent.version = replace(sent.version, clean_file_ids=(*sent.version.clean_file_ids, clean_file_id))
        with _file(card.markdown) as markdown:
            await self._attach(claim, f"{name}.md", Part(content=markdown), sent)

    async def _send_text(self, claim: Claim, inside: Contents, content: IO[bytes], sent: Sent) -> None:
        """Upload the document, or its parts one after the other; then what its reader at the service may leave out."""
        path = claim.stored.value.path
        reading = await asyncio.to_thread(reading_of, inside.ending, content)
        text = await self._texts.keep(path, sent.version.etag, reading.places)
        sent.version = replace(sent.version, text=text, notice=_notice(inside.notice, reading))
        name, ending = service_name(path, "text", inside.ending), inside.ending
        with ExitStack() as files:
            if reading.markdown is not None:
                content, ending = files.enter_context(await asyncio.to_thread(_file, reading.markdown)), "md"
                name = name if name.endswith(".md") else f"{name}.md"
            async for part in _in_thread(ending, content, max_tokens=self._max_tokens):
                try:
                    await self._attach(claim, name, part, sent)
                finally:
                    if part.content is not content:
                        part.content.close()
            if beside := await asyncio.to_thread(lambda: reading.beside):
                part = Part(content=files.enter_context(await asyncio.to_thread(_file, beside)))
                await self._attach(claim, f"{name}.beside.md", part, sent)
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


def _file(text: str) -> IO[bytes]:
    """A temporary file that the caller closes."""
    file = tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES)  # noqa: SIM115
    file.write(text.encode("utf-8", "replace"))
    return file


def _notice(first: Reason | None, reading: Reading) -> Reason | None:
    """What the user should know. The app has decoded the text of what it turned into Markdown."""
    if reading.markdown is not None and first and first.code == "not_utf8":
        first = None
    if not reading.lost:
        return first
    return with_notice(first, Reason(code="not_everything_read", message=" ".join(reading.lost)[:NOTICE_MAX_CHARS]))
