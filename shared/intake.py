"""One version of a document on its way into the service: streamed, uploaded, attached; all of it or nothing."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import suppress
from dataclasses import replace
from typing import IO, TYPE_CHECKING

from shared.collections import Collections
from shared.datacards import Card, NotATable, card_of
from shared.engines.base import VectorStores
from shared.errors import AppError
from shared.filetypes import attributes_of, ending_of, service_name
from shared.models import Kind, Version

if TYPE_CHECKING:
    from shared.storage import Blobs

SPOOL_BYTES = 4 * 1024 * 1024  # held in memory while a document passes through; more goes to a temporary file


class Intake:
    def __init__(self, documents: Blobs, stores: VectorStores, collections: Collections) -> None:
        self._blobs = documents
        self._stores = stores
        self._collections = collections

    async def take_in(self, path: str, version: Version, *, collection: str) -> Version:
        """Send exactly this version to the service; the answer names the service's copies. What failed is cleaned up.

        Raises:
            BlobChanged, BlobMissing: the blob is another by now, or gone.
            NotATable: a data file without a table in it.
            ServiceBusy, ServiceError: the service did not take it.
        """
        store = await self._collections.find_or_make(collection)
        with tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES) as content:
            async for chunk in self._blobs.stream(path, etag=version.etag):
                content.write(chunk)
            kind, card = await asyncio.to_thread(_kind_and_card, path, version.kind, content)
            version = replace(version, kind=kind, terms=card.terms if card else ())
            made: list[str] = []  # ids at the service; the last one is attached
            try:
                await self._hand_over(made, service_name(path, kind), content, card)
                attributes = attributes_of(path, etag=version.etag, collection=collection, kind=kind)
                await self._stores.attach(store.store_id, made[-1], attributes)
            except AppError:
                for file_id in made:
                    with suppress(AppError):  # the first error is the one to report
                        await self._stores.discard(store.store_id, file_id)
                raise
        return replace(version, file_id=made[-1], data_file_id=made[0] if card else None)

    async def _hand_over(self, made: list[str], name: str, content: IO[bytes], card: Card | None) -> None:
        """Upload the file and, for data, its card; `made` has what was uploaded also when the next step fails."""
        made.append(await self._stores.upload(name, content))
        if card:
            with tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES) as markdown:
                markdown.write(card.markdown.encode())
                made.append(await self._stores.upload(f"{name}.md", markdown))


def _kind_and_card(path: str, kind: Kind, content: IO[bytes]) -> tuple[Kind, Card | None]:
    """A data file has a card. JSON has one when it is a table; other JSON is text."""
    name = path.rsplit("/", 1)[-1]
    if ending_of(path) == "json":
        try:
            return "data", card_of(name, content)
        except NotATable:
            return "text", None
    return (kind, card_of(name, content)) if kind == "data" else (kind, None)
