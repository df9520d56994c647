"""Reconcile: compare container, records, files and vector stores, say where they disagree, and mend it.

Events are lost, processes die and people delete things at the service by hand. What is found is mended by the same
steps that events lead to, so that it is safe beside live indexing: nothing is decided here that the document's record,
read again at that moment, does not confirm. It is also how a container that was full before the app came is indexed.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from shared.collections.attributes import source_of
from shared.collections.stores import Collections
from shared.collections.visibility import Entry, entry_of
from shared.documents import drift
from shared.documents.indexer import Documents
from shared.documents.lifecycle import CLAIM
from shared.documents.record import document_records, receipt_records, summary_in
from shared.engines.stores import FileInfo, StoreEntry, VectorStores
from shared.errors import BlobChanged, NotFound, ServiceBusy, ServiceMissing
from shared.formats.filetypes import service_name
from shared.models.documents import Document, DocumentSummary, Drift, DriftKind, Report, collection_of
from shared.models.ids import new_id
from shared.storage.records import Records, key_of, unpack

if TYPE_CHECKING:
    from shared.storage.blobs import BlobInfo, Blobs, Queue

log = logging.getLogger(__name__)

DRIFT_MAX = 1_000  # places that a report names; all are counted and mended
AT_ONCE = 16
LONGEST = timedelta(hours=3)  # what is older got lost
ALWAYS = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Ordered:
    report_id: str


@dataclass(kw_only=True)
class Pass:
    """One comparison as it goes on: what was found, and the service's files once they were asked for."""

    report: Report
    counts: Counter[DriftKind] = field(default_factory=Counter)
    found: list[Drift] = field(default_factory=list)
    documents: int = 0
    collections: int = 0
    files: dict[str, FileInfo] | None = None

    def note(self, place: Drift) -> None:
        self.counts[place.kind] += 1
        if len(self.found) < DRIFT_MAX:
            self.found.append(replace(place, done=not self.report.dry_run))

    def told(self) -> Report:
        return replace(
            self.report,
            counts=dict(self.counts),
            drift=tuple(self.found),
            documents=self.documents,
            collections=self.collections,
        )


class Reconciliation:
    def __init__(
        self,
        *,
        documents: Blobs,
        state: Blobs,
        indexing: Queue,
        stores: VectorStores,
        collections: Collections,
        indexer: Documents,
        tries: int,
        now: Callable[[], datetime],
    ) -> None:
        self._blobs = documents
        self._state = state
        self._queue = indexing
        self._stores = stores
        self._collections = collections
        self._indexer = indexer
        self._tries = tries
        self._now = now
        self._records = document_records(state)
        self._receipts = receipt_records(state)
        self._reports = Records(state, Report, name=lambda id: f"reports/{id}.json")
        self._regular = Records(state, Ordered, name=lambda key: f"reconcile/{key}.json")

    # ---- reports -------------------------------------------------------------------------------------------------

    async def order(self, *, dry_run: bool, collection: str | None = None) -> Report:
        """Begin a pass; the queue does it. `dry_run`: nothing is mended."""
        now = self._now()
        report = Report(id=new_id("rec", now), status="queued", dry_run=dry_run, created_at=now, collection=collection)
        await self._reports.create(report.id, report)
        await self._queue.send({"report": report.id})
        return report

    async def order_regularly(self) -> None:
        """As the timer does: nothing, while the pass that it ordered before goes on."""
        before = await self._regular.read("regular")
        report = await self._reports.read(before.value.report_id) if before else None
        if report and report.value.finished_at is None and self._now() - report.value.created_at < LONGEST:
            log.info("reconcile.goes_on", extra={"report_id": report.value.id})
            return
        ordered = await self.order(dry_run=False)
        await self._regular.put("regular", Ordered(report_id=ordered.id))

    async def find(self, report_id: str) -> Report:
        """Raises NotFound."""
        stored = await self._reports.read(report_id)
        if stored is None:
            raise NotFound("There is no such report.", code="report_not_found")
        return stored.value

    async def run(self, report_id: str) -> None:
        """Do one pass and write its report. A pass that was cut off is done again from its start."""
        report = await self.find(report_id)
        if report.status in ("completed", "failed"):
            return
        going = Pass(report=replace(report, status="in_progress"))
        await self._reports.put(report_id, going.report)
        error = None
        try:
            await self._compare(going)
        except ServiceBusy as exc:
            error = f"It was cut short, since the service was busy: {exc.message} The next pass does the rest."
        ended = replace(going.told(), status="failed" if error else "completed", error=error, finished_at=self._now())
        await self._reports.put(report_id, ended)
        log.info("reconcile.ended", extra={"report_id": report_id, "drift": dict(going.counts)})

    async def fail(self, report_id: str) -> None:
        """The host has given up on it."""
        error = "The pass failed several times in a row; see the app's log."
        report = replace(await self.find(report_id), status="failed", error=error, finished_at=self._now())
        await self._reports.put(report_id, report)

    async def _compare(self, going: Pass) -> None:
        only = going.report.collection
        for name in [only] if only else await self._names():
            await self._collection(going, name)
            going.collections += 1
            await self._reports.put(going.report.id, going.told())
        if only is None:
            await self._stores_of_nobody(going)

    async def _names(self) -> list[str]:
        """Every collection that there is a blob, a document's record or a record of."""
        names = {collection_of(name) async for name in self._blobs.list_names()}
        async for blob in self._state.list("index/"):
            names.add(summary_in(blob).collection)
        names.update([collection.name async for collection in self._collections.all()])
        return sorted(names)

    # ---- one collection ------------------------------------------------------------------------------------------

    async def _collection(self, going: Pass, name: str) -> None:
        """The records are listed after the entries: an entry of a document that came meanwhile is no orphan."""
        collection = await self._collections.find(name)
        stores = await self._collections.describe(collection) if collection else {}
        await self._mend(going, drift.of_stores(name, stores))
        held = await self._entries([store_id for store_id, info in stores.items() if info and not info.expired])
        entries = {file_id: entry for file_id, (entry, _) in held.items()}
        blobs = {blob.name: blob async for blob in self._blobs_in(name)}
        records, losers, due = await self._recorded(name)
        going.documents += len(blobs)
        now = self._now()
        there = {path: record for path, record in records.items() if path in blobs and record.etag == blobs[path].etag}
        places = drift.of_entries(name, there, entries, now=now)
        stores_of = {file_id: store_id for file_id, (_, store_id) in held.items()}
        await self._mend(going, [p for p in places if await self._confirmed(p, entries)], stores_of=stores_of)
        # Behind the orphans: once a document is being sent, what is left of it is not looked into.
        await self._mend(going, drift.of_documents(blobs, records, tries=self._tries, now=now, due=due))
        await self._questions(going, name)
        await self._lost_uploads(going, losers)
        await self._open_receipts(going, name)

    async def _blobs_in(self, name: str) -> AsyncIterator[BlobInfo]:
        async for blob in self._blobs.list(f"{name}/" if name != "default" else ""):
            if collection_of(blob.name) == name:
                yield blob

    async def _recorded(self, name: str) -> tuple[dict[str, DocumentSummary], list[str], set[str]]:
        """All records of a collection; the paths of those whose uploads may have got lost, and of those with a rest."""
        records: dict[str, DocumentSummary] = {}
        losers, due = [], set()
        async for blob in self._state.list(f"index/{key_of(name)}/"):
            summary = summary_in(blob)
            records[summary.path] = summary
            if "lost" in blob.metadata:
                losers.append(summary.path)
            if "due" in blob.metadata:
                due.add(summary.path)
        return records, losers, due

    async def _entries(self, store_ids: Iterable[str]) -> dict[str, tuple[StoreEntry, str]]:
        """File id -> its entry, and the store that it is in."""
        return {e.file_id: (e, store_id) for store_id in store_ids async for e in self._stores.entries(store_id)}

    async def _confirmed(self, place: Drift, entries: dict[str, StoreEntry]) -> bool:
        """An orphan is asked of the record as it is now: someone may be sending the document at this moment."""
        if place.what != "store_entry":
            return True
        source = source_of(entries[place.id].attributes)
        stored = await self._records.read(source.path) if source else None
        if stored is None:
            return True
        document = stored.value
        return not self._is_claimed(document) and not any(place.id in v.file_ids for v in drift.versions(document))

    async def _questions(self, going: Pass, name: str) -> None:
        """What questions are told of a document should be what its record says, and be there."""
        told = [unpack(b.metadata["entry"], Entry) async for b in self._state.list(f"scope/{key_of(name)}/")]
        if any(entry.data_file_id for entry in told):
            await self._mend(going, drift.of_data_files(told, await self._files(going)))
        for entry in told:
            stored = await self._records.read(entry.path)
            if stored and (stored.value.scope_due or entry_of(stored.value) == entry):
                continue
            place = Drift(
                kind="stale",
                what="scope",
                id=entry.path,
                collection=name,
                detail="Questions are told something old of it.",
                repair="tell them anew",
            )
            await self._mend(going, [place])

    async def _lost_uploads(self, going: Pass, losers: list[str]) -> None:
        """Only what is in no record and in no vector store is taken for the rest of an upload that was cut off."""
        read = [stored.value for stored in [await self._records.read(path) for path in losers] if stored]
        documents = [document for document in read if document.lost_since and not self._is_claimed(document)]
        if not documents:
            return
        # Listed anew, behind the records: a list from the beginning of the pass may lack what was cut off since.
        since = min(document.lost_since for document in documents if document.lost_since) - drift.ON_ITS_WAY
        files = [file async for file in self._stores.files_since(since)]
        known, busy = await self._in_use({document.path for document in documents})
        names = {document.path: _names_of(document.path) - busy for document in documents}
        known.update(file_id for d in documents for v in drift.versions(d) for file_id in v.file_ids)
        stores = [store.id async for store in self._stores.list_stores()]
        suspects = [place for place in drift.of_uploads(documents, files, names) if place.id not in known]
        await self._mend(going, [place for place in suspects if not await self._is_attached(place.id, stores)])
        documents = [document for document in documents if names[document.path] == _names_of(document.path)]
        if not going.report.dry_run:
            for document in documents:
                await self._forget_loss(document.path)

    async def _open_receipts(self, going: Pass, name: str) -> None:
        """A removal that was cut off between its record and its receipt, and whose message is lost."""
        names = [
            blob.name
            async for blob in self._state.list(f"receipts/{key_of(name)}/")
            if "complete" not in blob.metadata and self._now() - blob.last_modified_at > drift.STUCK
        ]
        for stored in [await self._receipts.read_named(found) for found in names]:
            if stored is None or await self._records.read(stored.value.path):
                continue
            place = Drift(
                kind="stuck",
                what="receipt",
                id=stored.value.path,
                collection=name,
                detail="Its receipt was not closed.",
                repair="close it",
            )
            await self._mend(going, [place])

    async def _in_use(self, losers: set[str]) -> tuple[set[str], set[str]]:
        """Data files that questions are told of; and names under which other documents are being sent just now."""
        told = [unpack(blob.metadata["entry"], Entry) async for blob in self._state.list("scope/")]
        records = [summary_in(blob) async for blob in self._state.list("index/")]
        sending = [r.path for r in records if r.status == "indexing" and r.path not in losers]
        names = {name for path in sending for name in _names_of(path)}
        return {entry.data_file_id for entry in told if entry.data_file_id}, names

    async def _stores_of_nobody(self, going: Pass) -> None:
        """Stores of this app that no collection's record names: a process died between making and noting one."""
        app = await self._collections.app()
        async for store in self._stores.list_stores():
            if store.made_for is None or store.made_for[0] != app or self._now() - store.created_at < CLAIM:
                continue
            found = await self._collections.find(store.made_for[1])
            if found and store.id in found.stores:
                continue
            place = Drift(
                kind="orphaned",
                what="vector_store",
                id=store.id,
                collection=store.made_for[1],
                detail="No collection's record names it.",
                repair="delete it",
            )
            await self._mend(going, [place])

    # ---- repairs -------------------------------------------------------------------------------------------------

    async def _mend(self, going: Pass, places: Iterable[Drift], *, stores_of: dict[str, str] | None = None) -> None:
        """Note each, and unless it is a dry run set its repair going."""
        slots = asyncio.Semaphore(AT_ONCE)

        async def mend(place: Drift) -> None:
            async with slots:
                await self._repair(place, (stores_of or {}).get(place.id))

        noted = list(places)
        for place in noted:
            going.note(place)
        if not going.report.dry_run:
            await asyncio.gather(*map(mend, noted))

    async def _repair(self, place: Drift, store_id: str | None) -> None:
        match place.what, place.kind:
            case ("document", "orphaned") | ("receipt", _):
                await self._queue.send({"removed": place.id})
            case "document", _:  # through the queue: a full container must not come upon the service all at once
                await self._queue.send({"path": place.id, "retry": True})
            case "store_entry" | "file", _:
                await self._stores.discard(store_id, place.id)
            case "vector_store", "missing":
                await self._collections.lose(place.collection, place.id)
            case "vector_store", _:
                await self._stores.delete_store(place.id)
            case "scope", _:
                await self._indexer.tell_scope(place.id)

    async def _files(self, going: Pass) -> dict[str, FileInfo]:
        if going.files is None:
            going.files = {file.id: file async for file in self._stores.files_since(ALWAYS)}
        return going.files

    async def _is_attached(self, file_id: str, stores: list[str]) -> bool:
        for store_id in stores:
            try:
                await self._stores.state(store_id, file_id)
            except ServiceMissing:
                continue
            return True
        return False

    async def _forget_loss(self, path: str) -> None:
        stored = await self._records.read(path)
        if stored and not self._is_claimed(stored.value):
            try:
                await self._records.replace(path, stored, replace(stored.value, lost_since=None))
            except BlobChanged:
                log.info("reconcile.changed_meanwhile", extra={"path": path})  # the next pass sees to it

    def _is_claimed(self, document: Document) -> bool:
        return document.claimed_until is not None and document.claimed_until > self._now()


def _names_of(path: str) -> set[str]:
    """The names under which a document may be sent to the service."""
    return {service_name(path, kind) for kind in ("text", "data")}
