"""Reconcile: compare container, records, files and vector stores, report the differences, and repair them.

Events get lost, processes die, and people delete things at the service by hand. A repair starts the same steps as an
event does, so it is safe beside live indexing: each difference is confirmed by the document's record, read again at
that moment. A container that was filled before the app was deployed is indexed in this way, too.
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
from shared.collections.visibility import DocumentVisibility, VisibilityBlobs, visibility_of
from shared.documents import drift
from shared.documents.follow_up import FollowUp
from shared.documents.lifecycle import CLAIM
from shared.documents.messages import RemoveDocument, RetryDocument, RunReport
from shared.documents.record import document_records, receipt_records, summary_in
from shared.engines.stores import FileInfo, StoreEntry, VectorStores
from shared.errors import NotFound, ServiceBusy, ServiceMissing
from shared.formats.filetypes import service_name
from shared.logs import event
from shared.models.documents import Document, DocumentSummary, Drift, DriftKind, Report, collection_of
from shared.models.ids import new_id
from shared.storage.layout import DOCUMENTS, TIMER_REPORT, documents_in, receipts_in, report_name
from shared.storage.records import Records

if TYPE_CHECKING:
    from shared.storage.blobs import BlobInfo, Storage

log = logging.getLogger(__name__)

DRIFT_MAX = 1_000  # differences that a report lists; all are counted and repaired
AT_ONCE = 16
SILENCE_MAX = timedelta(minutes=5)  # a pass whose report was not written for longer is that of a dead process
ALWAYS = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class TimerReport:
    """The report that the timer ordered last."""

    report_id: str


@dataclass(kw_only=True)
class Pass:
    """A pass in progress: what it found, and the service's files once they were listed."""

    report: Report
    counts: Counter[DriftKind] = field(default_factory=Counter)
    found: list[Drift] = field(default_factory=list)
    documents: int = 0
    collections: int = 0
    files: dict[str, FileInfo] | None = None

    def note(self, difference: Drift) -> None:
        self.counts[difference.kind] += 1
        if len(self.found) < DRIFT_MAX:
            self.found.append(replace(difference, done=not self.report.dry_run))

    def summary(self) -> Report:
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
        storage: Storage,
        stores: VectorStores,
        collections: Collections,
        visibility: VisibilityBlobs,
        follow_up: FollowUp,
        *,
        tries: int,
        now: Callable[[], datetime],
    ) -> None:
        self._blobs = storage.documents
        self._state = storage.state
        self._queue = storage.indexing
        self._stores = stores
        self._collections = collections
        self._follow_up = follow_up
        self._tries = tries
        self._now = now
        self._records = document_records(storage.state)
        self._visibility_blobs = visibility
        self._receipts = receipt_records(storage.state)
        self._reports = Records(storage.state, Report, name=report_name)
        self._timer_report = Records(storage.state, TimerReport, name=lambda _: TIMER_REPORT)

    # ---- reports -------------------------------------------------------------------------------------------------

    async def order(self, *, dry_run: bool, collection: str | None = None) -> Report:
        """Enqueue a pass. `dry_run`: it reports and repairs nothing."""
        now = self._now()
        report = Report(id=new_id("rec", now), status="queued", dry_run=dry_run, created_at=now, collection=collection)
        await self._reports.create(report.id, report)
        await self._queue.send(RunReport(report.id))
        return report

    async def order_by_timer(self) -> None:
        """Enqueue a pass, unless the one that the timer ordered before is still running."""
        before = await self._timer_report.read("")
        report = await self._reports.read(before.value.report_id) if before else None
        if report and report.value.finished_at is None and await self._is_running(report.value):
            event(log, logging.INFO, "reconcile.still_running", report_id=report.value.id)
            return
        ordered = await self.order(dry_run=False)
        await self._timer_report.put("", TimerReport(report_id=ordered.id))

    async def _is_running(self, report: Report) -> bool:
        """Whether a process still works on the pass: it writes the report after each collection."""
        written_at = (await self._state.info(report_name(report.id))).last_modified_at
        return self._now() - written_at < SILENCE_MAX

    async def find(self, report_id: str) -> Report:
        """Raises NotFound."""
        stored = await self._reports.read(report_id)
        if stored is None:
            raise NotFound("There is no such report.", code="report_not_found")
        return stored.value

    async def run(self, report_id: str) -> None:
        """Do one pass and write its report. An interrupted pass starts again."""
        report = await self.find(report_id)
        if report.status in ("completed", "failed"):
            return
        current = Pass(report=replace(report, status="in_progress"))
        await self._reports.put(report_id, current.report)
        error = None
        try:
            await self._compare(current)
        except ServiceBusy as exc:
            error = f"The pass stopped since the service was busy: {exc.message} The next pass does the rest."
        ended = replace(
            current.summary(), status="failed" if error else "completed", error=error, finished_at=self._now()
        )
        await self._reports.put(report_id, ended)
        event(log, logging.INFO, "reconcile.ended", report_id=report_id, drift=dict(current.counts))

    async def fail(self, report_id: str) -> None:
        """The host gave up on this pass."""
        error = "The pass failed several times in a row; see the app's log."
        report = replace(await self.find(report_id), status="failed", error=error, finished_at=self._now())
        await self._reports.put(report_id, report)

    async def _compare(self, current: Pass) -> None:
        only = current.report.collection
        for name in [only] if only else await self._names():
            await self._collection(current, name)
            current.collections += 1
            await self._reports.put(current.report.id, current.summary())
        if only is None:
            await self._orphaned_stores(current)

    async def _names(self) -> list[str]:
        """Collections with a blob, a document record or a record of their own."""
        names = {collection_of(name) async for name in self._blobs.list_names()}
        async for blob in self._state.list(DOCUMENTS):
            names.add(summary_in(blob).collection)
        names.update([collection.name async for collection in self._collections.all()])
        return sorted(names)

    # ---- one collection ------------------------------------------------------------------------------------------

    async def _collection(self, current: Pass, name: str) -> None:
        """Compare one collection.

        The records are listed after the entries of the vector stores, so an entry made meanwhile is no orphan.
        """
        collection = await self._collections.find(name)
        stores = await self._collections.describe(collection) if collection else {}
        await self._repair_all(current, drift.of_stores(name, stores))
        held = await self._entries([store_id for store_id, info in stores.items() if info and not info.expired])
        entries = {file_id: entry for file_id, (entry, _) in held.items()}
        blobs = {blob.name: blob async for blob in self._blobs_in(name)}
        records, untracked, due = await self._recorded(name)
        current.documents += len(blobs)
        now = self._now()
        there = {path: record for path, record in records.items() if path in blobs and record.etag == blobs[path].etag}
        differences = drift.of_entries(name, there, entries, now=now)
        stores_of = {file_id: store_id for file_id, (_, store_id) in held.items()}
        await self._repair_all(
            current, [p for p in differences if await self._confirmed(p, entries)], stores_of=stores_of
        )
        # After the orphans: once a document is being uploaded, its orphans are not confirmed.
        await self._repair_all(current, drift.of_documents(blobs, records, tries=self._tries, now=now, due=due))
        await self._visibility(current, name)
        await self._untracked_uploads(current, untracked)
        await self._open_receipts(current, name)

    async def _blobs_in(self, name: str) -> AsyncIterator[BlobInfo]:
        async for blob in self._blobs.list(f"{name}/" if name != "default" else ""):
            if collection_of(blob.name) == name:
                yield blob

    async def _recorded(self, name: str) -> tuple[dict[str, DocumentSummary], list[str], set[str]]:
        """A collection's records; the paths of those with untracked uploads; of those with unfinished follow-up."""
        records: dict[str, DocumentSummary] = {}
        untracked, due = [], set()
        async for blob in self._state.list(documents_in(name)):
            summary = summary_in(blob)
            records[summary.path] = summary
            if "untracked" in blob.metadata:
                untracked.append(summary.path)
            if "due" in blob.metadata:
                due.add(summary.path)
        return records, untracked, due

    async def _entries(self, store_ids: Iterable[str]) -> dict[str, tuple[StoreEntry, str]]:
        """File id -> its entry in a vector store, and the id of that store."""
        return {e.file_id: (e, store_id) for store_id in store_ids async for e in self._stores.entries(store_id)}

    async def _confirmed(self, difference: Drift, entries: dict[str, StoreEntry]) -> bool:
        """Confirm an orphan by the record as it is now: a process may be uploading the document at this moment."""
        if difference.what != "store_entry":
            return True
        source = source_of(entries[difference.id].attributes)
        stored = await self._records.read(source.path) if source else None
        if stored is None:
            return True
        document = stored.value
        return not self._is_claimed(document) and not any(difference.id in v.file_ids for v in drift.versions(document))

    async def _visibility(self, current: Pass, name: str) -> None:
        """Compare visibility blobs and records, and the data files that they name with the files at the service."""
        published = [visibility async for visibility in self._visibility_blobs.list(name)]
        if any(visibility.data_file_id for visibility in published):
            await self._repair_all(current, drift.of_data_files(published, await self._files(current)))
        for visibility in published:
            if await self._is_published(visibility):
                continue
            difference = Drift(
                kind="stale",
                what="visibility",
                id=visibility.path,
                collection=name,
                detail="Its visibility differs from its record.",
                repair="publish it again",
            )
            await self._repair_all(current, [difference])

    async def _is_published(self, visibility: DocumentVisibility) -> bool:
        """Whether a document's visibility follows from its record, or its process is about to publish it.

        The blob is read again after the record: the listing is older than the record.
        """
        stored = await self._records.read(visibility.path)
        if stored is None:
            return False
        if stored.value.visibility_due or self._is_claimed(stored.value):
            return True
        implied = visibility_of(stored.value)
        return implied in (visibility, await self._visibility_blobs.find(visibility.path))

    async def _untracked_uploads(self, current: Pass, paths: list[str]) -> None:
        """Find files of interrupted uploads: a file that is in no record and in no vector store."""
        read = [stored.value for stored in [await self._records.read(path) for path in paths] if stored]
        documents = [document for document in read if document.untracked_since and not self._is_claimed(document)]
        if not documents:
            return
        # Listed again, after the records: the list from the start of the pass may lack later uploads.
        since = min(document.untracked_since for document in documents if document.untracked_since) - drift.EVENT_DELAY
        files = [file async for file in self._stores.files_since(since)]
        known, busy = await self._in_use({document.path for document in documents})
        names = {document.path: _names_of(document.path) - busy for document in documents}
        known.update(file_id for d in documents for v in drift.versions(d) for file_id in v.file_ids)
        stores = [store.id async for store in self._stores.list_stores()]
        suspects = [
            difference for difference in drift.of_uploads(documents, files, names) if difference.id not in known
        ]
        await self._repair_all(
            current, [difference for difference in suspects if not await self._is_attached(difference.id, stores)]
        )
        documents = [document for document in documents if names[document.path] == _names_of(document.path)]
        if not current.report.dry_run:
            for document in documents:
                await self._clear_untracked(document.path)

    async def _open_receipts(self, current: Pass, name: str) -> None:
        """Find removals that were interrupted between deleting the record and closing the receipt."""
        names = [
            blob.name
            async for blob in self._state.list(receipts_in(name))
            if "complete" not in blob.metadata and self._now() - blob.last_modified_at > drift.STUCK
        ]
        for stored in [await self._receipts.read_named(found) for found in names]:
            if stored is None or await self._records.read(stored.value.path):
                continue
            difference = Drift(
                kind="stuck",
                what="receipt",
                id=stored.value.path,
                collection=name,
                detail="Its receipt was not closed.",
                repair="close it",
            )
            await self._repair_all(current, [difference])

    async def _in_use(self, except_for: set[str]) -> tuple[set[str], set[str]]:
        """Ids of published data files; and the file names of other documents that are being uploaded."""
        data_files = {v.data_file_id async for v in self._visibility_blobs.list() if v.data_file_id}
        records = [summary_in(blob) async for blob in self._state.list(DOCUMENTS)]
        uploading = [r.path for r in records if r.status == "indexing" and r.path not in except_for]
        return data_files, {name for path in uploading for name in _names_of(path)}

    async def _orphaned_stores(self, current: Pass) -> None:
        """Find stores of this app that no collection's record names: a process died before it wrote the record."""
        app = await self._collections.app()
        async for store in self._stores.list_stores():
            if store.made_for is None or store.made_for[0] != app or self._now() - store.created_at < CLAIM:
                continue
            found = await self._collections.find(store.made_for[1])
            if found and store.id in found.stores:
                continue
            difference = Drift(
                kind="orphaned",
                what="vector_store",
                id=store.id,
                collection=store.made_for[1],
                detail="No collection's record names it.",
                repair="delete it",
            )
            await self._repair_all(current, [difference])

    # ---- repairs -------------------------------------------------------------------------------------------------

    async def _repair_all(
        self, current: Pass, differences: Iterable[Drift], *, stores_of: dict[str, str] | None = None
    ) -> None:
        """Record each difference; unless it is a dry run, start its repair."""
        slots = asyncio.Semaphore(AT_ONCE)

        async def repair(difference: Drift) -> None:
            async with slots:
                await self._repair(difference, (stores_of or {}).get(difference.id))

        found_now = list(differences)
        for difference in found_now:
            current.note(difference)
        if not current.report.dry_run:
            await asyncio.gather(*map(repair, found_now))

    async def _repair(self, difference: Drift, store_id: str | None) -> None:
        match difference.what, difference.kind:
            case ("document", "orphaned") | ("receipt", _):
                await self._queue.send(RemoveDocument(difference.id))
            case "document", _:  # through the queue, so that a full container is not uploaded all at once
                await self._queue.send(RetryDocument(difference.id))
            case "store_entry" | "file", _:
                await self._stores.discard(store_id, difference.id)
            case "vector_store", "missing":
                await self._collections.lose(difference.collection, difference.id)
            case "vector_store", _:
                await self._stores.delete_store(difference.id)
            case "visibility", _:
                await self._follow_up.publish_visibility(difference.id)

    async def _files(self, current: Pass) -> dict[str, FileInfo]:
        if current.files is None:
            current.files = {file.id: file async for file in self._stores.files_since(ALWAYS)}
        return current.files

    async def _is_attached(self, file_id: str, stores: list[str]) -> bool:
        for store_id in stores:
            try:
                await self._stores.state(store_id, file_id)
            except ServiceMissing:
                continue
            return True
        return False

    async def _clear_untracked(self, path: str) -> None:
        """No upload of this document is untracked any more, unless a process is uploading it."""
        await self._records.update(path, lambda d: d if self._is_claimed(d) else replace(d, untracked_since=None))

    def _is_claimed(self, document: Document) -> bool:
        return document.claimed_until is not None and document.claimed_until > self._now()


def _names_of(path: str) -> set[str]:
    """The file names that a document may have at the service."""
    return {service_name(path, kind) for kind in ("text", "data")}
