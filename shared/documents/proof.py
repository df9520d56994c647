"""Deletes what the service has of a version, and proves that it is gone.

Files whose ids are known are deleted and looked up. After an upload without an answer, the ids are not known: the
entries of the vector stores carry path and etag, and an unattached file is recognized by its name, its size and its
time, as the record said them before the upload. A file that another app may have uploaded is never deleted.
"""

from __future__ import annotations

from asyncio import gather
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from shared.collections.attributes import source_of
from shared.collections.stores import Collections
from shared.documents import drift, lifecycle
from shared.documents.record import document_records, summary_in
from shared.engines.stores import FileInfo, StoreEntry, VectorStores
from shared.errors import ServiceMissing
from shared.models.documents import Document, Removed, Version
from shared.storage.layout import DOCUMENTS

if TYPE_CHECKING:
    from shared.storage.blobs import Storage

ThingKind = Literal["store_entry", "file", "data_card", "code_interpreter_copy"]


@dataclass(frozen=True)
class Held:
    """A file at the service: its id, the vector store that may hold it, and how receipts call it."""

    file_id: str
    store_id: str | None
    kind: ThingKind


class Proof:
    def __init__(
        self, storage: Storage, stores: VectorStores, collections: Collections, now: Callable[[], datetime]
    ) -> None:
        self._state = storage.state
        self._records = document_records(storage.state)
        self._stores = stores
        self._collections = collections
        self._now = now

    async def delete(self, document: Document, version: Version) -> tuple[Removed, ...] | None:
        """Delete all files of a retired version, and look them up.

        Returns:
            What was deleted; `gone` is false for what the service still has. None: it is too early to tell, since
            listings lack a new file for some seconds.

        Raises:
            ServiceBusy: the rest was not deleted.
        """
        if not lifecycle.is_settled(version, self._now()):
            return None
        others = {i for v in lifecycle.versions(document) if v is not version for i in v.file_ids}
        held = [file for file in _known(version) if file.file_id not in others]
        if version.sending_until:
            found = await self._unknown(document, version)
            if found is None:
                return None
            held += [file for file in found if file.file_id not in others]
        removed: list[Removed] = []
        for file in dict.fromkeys(held):
            confirmed = await self._stores.discard(file.store_id, file.file_id)
            removed += await self._looked_up(file, fully=not confirmed or document.receipt_id is not None)
        return tuple(removed)

    async def delete_again(self, thing: Removed) -> Removed:
        """Delete a thing of a receipt that is not gone, and look it up. The record it names is gone."""
        if thing.gone or thing.kind == "record":
            return replace(thing, gone=True)
        store_id, _, file_id = thing.id.rpartition("/")
        kind: ThingKind = "file" if thing.kind == "store_entry" else thing.kind
        await self._stores.discard(store_id or None, file_id)
        found = await self._looked_up(Held(file_id, store_id or None, kind), fully=True)
        return replace(thing, gone=all(seen.gone for seen in found))

    async def _looked_up(self, file: Held, *, fully: bool) -> list[Removed]:
        """Look up a deleted file: its entry, which may answer; the file too, if its deletion was not confirmed."""
        is_entry = file.kind != "code_interpreter_copy" and bool(file.store_id)
        looks = [self._entry(file)] if is_entry else []
        if fully or not is_entry:
            looks.append(self._file(file))
        return await gather(*looks)

    async def _entry(self, file: Held) -> Removed:
        assert file.store_id
        gone = not await self._is_attached(file.store_id, file.file_id)
        return Removed(kind="store_entry", id=f"{file.store_id}/{file.file_id}", gone=gone)

    async def _file(self, file: Held) -> Removed:
        return Removed(kind=file.kind, id=file.file_id, gone=not await self._stores.has_file(file.file_id))

    # ---- files whose ids are not known ---------------------------------------------------------------------------

    async def _unknown(self, document: Document, version: Version) -> list[Held] | None:
        """What an upload without an answer has left. None: it cannot be told yet."""
        assert version.sent_at
        since = version.sent_at - drift.EVENT_DELAY
        stores = {store.id: store.made_for async for store in self._stores.list_stores()}
        app = await self._collections.app()
        held: list[Held] = []
        for store_id in [id for id, made_for in stores.items() if made_for == (app, document.collection)]:
            try:
                entries = [entry async for entry in self._stores.entries(store_id, since=since)]
            except ServiceMissing:
                return None  # the store was listed: one of the two answers is untrue
            for entry in entries:
                source = source_of(entry.attributes)
                if source and (source.path, source.etag) == (document.path, version.etag):
                    held.append(Held(entry.file_id, store_id, "file"))
        files = [file async for file in self._stores.files_since(since)]
        attached = {file.file_id for file in held}
        fitting = [f for f in files if drift.may_be_of(f, document.path, version) and f.id not in attached]
        found = await self.origins(fitting)
        if any(origin == "busy" for origin, _ in found.values()):
            return None
        ours = [i for i, (origin, owner) in found.items() if origin == "ours" and owner and owner.path == document.path]
        return held + [Held(file_id, None, "file") for file_id in ours]

    async def entries(self, store_id: str) -> list[StoreEntry]:
        """All files of a store; none when it is missing."""
        try:
            return [entry async for entry in self._stores.entries(store_id)]
        except ServiceMissing:
            return []

    async def origins(self, files: Sequence[FileInfo]) -> dict[str, tuple[drift.Origin, Document | None]]:
        """Find out who uploaded each of these files, by the records, and by the stores that hold it."""
        if not files:
            return {}
        paths = [summary_in(blob).path async for blob in self._state.list(DOCUMENTS)]
        wanted = drift.paths_of(files, paths)
        documents = [stored.value for path in wanted if (stored := await self._records.read(path))]
        origins = {file.id: drift.origin_of(file, documents, now=self._now()) for file in files}
        ours = [file_id for file_id, (origin, _) in origins.items() if origin == "ours"]
        if ours:
            stores = [store async for store in self._stores.list_stores()]
            app = await self._collections.app()
            shared = any(store.made_for is None or store.made_for[0] != app for store in stores)
            for file_id in ours:
                if shared or await self._is_attached_to(file_id, [store.id for store in stores]):
                    origins[file_id] = ("unknown", None)
        return origins

    async def has_all(self, version: Version) -> bool:
        """Whether the vector store holds all parts of a version."""
        for file_id in version.parts:
            if not await self._is_attached(version.store_id or "", file_id):
                return False
        return True

    async def empty(self, store_id: str) -> None:
        """Delete the files that a store of this app holds, but for those that a record names."""
        for entry in await self.entries(store_id):
            source = source_of(entry.attributes)
            stored = await self._records.read(source.path) if source else None
            if stored is None or not drift.is_needed(entry.file_id, stored.value, now=self._now()):
                await self._stores.discard(store_id, entry.file_id)

    async def _is_attached_to(self, file_id: str, store_ids: Iterable[str]) -> bool:
        for store_id in store_ids:
            if await self._is_attached(store_id, file_id):
                return True
        return False

    async def _is_attached(self, store_id: str, file_id: str) -> bool:
        try:
            await self._stores.state(store_id, file_id)
        except ServiceMissing:
            return False
        return True


def _known(version: Version) -> list[Held]:
    kind: ThingKind = "data_card" if version.data_file_id else "file"
    held = [Held(file_id, version.store_id, kind) for file_id in version.parts]
    return held + [Held(file_id, None, "code_interpreter_copy") for file_id in version.data_file_ids]
