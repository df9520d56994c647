"""Reconcile: compare container, records, files and vector stores, report the differences, and repair them.

Events get lost, processes die, and people delete things at the service by hand. A repair starts the same steps as an
event does, so it is safe beside live indexing: each difference is confirmed by the document's record, read again at
that moment. A container that was filled before the app was deployed is indexed in this way, too.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from shared.collections.attributes import source_of
from shared.collections.stores import Collections
from shared.collections.texts import Texts
from shared.collections.visibility import DocumentVisibility, VisibilityBlobs, visibility_of
from shared.documents import drift, lifecycle
from shared.documents.follow_up import FollowUp
from shared.documents.lifecycle import CLAIM
from shared.documents.messages import RemoveDocument, RetryDocument, RunReport
from shared.documents.proof import Proof
from shared.documents.record import document_records, receipt_records, summary_in, waiting_in
from shared.documents.sweep import unlistable
from shared.engines.stores import FileInfo, StoreEntry, StoreInfo, VectorStores
from shared.errors import ListingFailed, NotFound, ServiceBusy
from shared.logs import event
from shared.models.documents import Collection, Document, DocumentSummary, Drift, DriftKind, Report, collection_of
from shared.models.ids import new_id
from shared.storage.layout import DOCUMENTS, TIMER_REPORT, documents_in, receipts_in, report_name
from shared.storage.records import Records

if TYPE_CHECKING:
    from shared.storage.blobs import Storage
    from shared.storage.listings import BlobInfo

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
    unseen: list[str] = field(default_factory=list)
    files: dict[str, FileInfo] | None = None
    attached: set[str] = field(default_factory=set)  # the files in the vector stores that were compared

    def note(self, difference: Drift) -> None:
        self.counts[difference.kind] += 1
        if len(self.found) < DRIFT_MAX:
            self.found.append(replace(difference, done=not self.report.dry_run))

    def summary(self) -> Report:
        found = replace(self.report, counts=dict(self.counts), drift=tuple(self.found), unseen=tuple(self.unseen))
        return replace(found, documents=self.documents, collections=self.collections)


class Reconciliation:
    def __init__(
        self,
        storage: Storage,
        stores: VectorStores,
        collections: Collections,
        visibility: VisibilityBlobs,
        follow_up: FollowUp,
        proof: Proof,
        texts: Texts,
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
        self._proof = proof
        self._texts = texts
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
        for name in [only] if only else await self._names(current):
            try:
                await self._collection(current, name)
                current.collections += 1
            except ListingFailed as exc:
                current.unseen.append(f"The collection {name!r}: {exc.message}")
            await self._reports.put(current.report.id, current.summary())
        if only is None:
            await self._orphaned_texts(current)
            for what, compare in (("vector stores", self._orphaned_stores), ("files", self._orphaned_files)):
                try:
                    await compare(current)
                except ServiceBusy as exc:
                    current.unseen.append(f"The {what} without a record: {exc.message}")

    async def _names(self, current: Pass) -> list[str]:
        """Collections with a blob, a document record or a record of their own."""
        paths = [summary_in(blob).path async for blob in self._state.list(DOCUMENTS)]
        try:
            paths += [name async for name in self._blobs.list_names()]
        except ListingFailed as exc:
            current.unseen.append(f"Collections without a record: {exc.message}{unlistable(paths)}")
        return sorted({c.name async for c in self._collections.all()}.union(map(collection_of, paths)))

    # ---- one collection ------------------------------------------------------------------------------------------

    async def _collection(self, current: Pass, name: str) -> None:
        """Compare one collection.

        The records are listed after the entries of the vector stores, so an entry made meanwhile is no orphan.
        """
        collection = await self._collections.find(name)
        stores = await self._described(current, collection) if collection else {}
        lost = {store_id: info for store_id, info in stores.items() if await self._is_lost(store_id, info)}
        await self._repair_all(current, drift.of_stores(name, lost))
        compared = [store_id for store_id in stores if store_id not in lost]
        held = await self._entries(current, compared)
        blobs = {blob.name: blob async for blob in self._blobs_in(name)}
        records, due = await self._recorded(name)
        current.documents += len(blobs)
        if held is not None and len(stores) == len(collection.stores if collection else ()):
            there = {path: r for path, r in records.items() if path in blobs and r.etag == blobs[path].etag}
            await self._compare_entries(current, name, held, there, compared)
        # After the orphans: once a document is being uploaded, its orphans are not confirmed.
        differences = drift.of_documents(blobs, records, tries=self._tries, now=self._now(), due=due)
        await self._repair_all(current, differences)
        await self._visibility(current, name)
        await self._open_receipts(current, name)

    async def _described(self, current: Pass, collection: Collection) -> dict[str, StoreInfo | None]:
        """The collection's stores, without those that the service does not tell about."""
        described: dict[str, StoreInfo | None] = {}
        for store_id in collection.stores:
            try:
                described |= await self._collections.describe(replace(collection, stores=(store_id,)))
            except ServiceBusy as exc:
                current.unseen.append(f"The vector store {store_id} of {collection.name!r}: {exc.message}")
        return described

    async def _is_lost(self, store_id: str, info: StoreInfo | None) -> bool:
        return info.expired if info else await self._collections.is_gone(store_id)

    async def _compare_entries(
        self,
        current: Pass,
        name: str,
        held: dict[str, tuple[StoreEntry, str]],
        records: Mapping[str, DocumentSummary],
        compared: Sequence[str],
    ) -> None:
        """Compare the entries of the collection's vector stores with the records of documents whose blob is there."""
        entries = {file_id: entry for file_id, (entry, _) in held.items()}
        stores_of = {file_id: store_id for file_id, (_, store_id) in held.items()}
        differences = drift.of_entries(name, records, entries, now=self._now())
        confirmed = [found for found in differences if await self._confirmed(found, entries, compared)]
        await self._repair_all(current, confirmed, stores_of=stores_of)

    async def _blobs_in(self, name: str) -> AsyncIterator[BlobInfo]:
        async for blob in self._blobs.list(f"{name}/" if name != "default" else ""):
            if collection_of(blob.name) == name:
                yield blob

    async def _recorded(self, name: str) -> tuple[dict[str, DocumentSummary], set[str]]:
        """A collection's records; the paths of those with unfinished follow-up."""
        records: dict[str, DocumentSummary] = {}
        due = set()
        async for blob in self._state.list(documents_in(name)):
            summary = summary_in(blob)
            records[summary.path] = summary
            waiting = waiting_in(blob)
            if waiting.due_at and self._now() - waiting.due_at > drift.STUCK:
                due.add(summary.path)
        return records, due

    async def _entries(self, current: Pass, store_ids: Iterable[str]) -> dict[str, tuple[StoreEntry, str]] | None:
        """File id -> its entry in a vector store, and the id of that store. None: a store does not tell."""
        held: dict[str, tuple[StoreEntry, str]] = {}
        is_whole = True
        for store_id in store_ids:
            try:
                held |= {entry.file_id: (entry, store_id) for entry in await self._proof.entries(store_id)}
            except ServiceBusy as exc:
                current.unseen.append(f"The files of the vector store {store_id}: {exc.message}")
                is_whole = False
        current.attached.update(held)
        return held if is_whole else None

    async def _confirmed(self, difference: Drift, entries: dict[str, StoreEntry], compared: Sequence[str]) -> bool:
        """Confirm a difference by the record as it is now, and by a look at the files that a listing lacks."""
        if difference.what == "store_entry":
            source = source_of(entries[difference.id].attributes)
            stored = await self._records.read(source.path) if source else None
            return stored is None or not drift.is_needed(difference.id, stored.value, now=self._now())
        stored = await self._records.read(difference.id)
        live = stored.value.live if stored else None
        return live is not None and (live.store_id not in compared or not await self._proof.has_all(live))

    async def _visibility(self, current: Pass, name: str) -> None:
        """Compare visibility blobs and records, and the data files that they name with the files at the service."""
        published = [visibility async for visibility in self._visibility_blobs.list(name)]
        if any(visibility.data_file_id for visibility in published):
            try:
                await self._repair_all(current, drift.of_data_files(published, await self._files(current)))
            except ServiceBusy as exc:
                current.unseen.append(f"The data files of {name!r}: {exc.message}")
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

    async def _orphaned_files(self, current: Pass) -> None:
        """Find files of this app that no record names and no store holds: uploads that got no answer left them.

        The records are read after the list of files: an upload that began meanwhile is in its document's record.
        """
        files = [file async for file in self._stores.files_since(ALWAYS)]
        data_files = {file_id async for v in self._visibility_blobs.list() for file_id in v.data_file_ids}
        loose = [file for file in files if file.id not in current.attached and file.id not in data_files]
        origins = await self._proof.origins(loose)
        await self._repair_all(
            current,
            [
                drift.of_file(file_id, owner)
                for file_id, (origin, owner) in origins.items()
                if origin == "ours" and owner
            ],
        )
        unknown = sum(origin == "unknown" for origin, _ in origins.values())
        if unknown:
            current.unseen.append(
                f"{unknown:,} files that fit no document of this app, or that another app may have uploaded: they stay."
            )

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

    async def _orphaned_texts(self, current: Pass) -> None:
        """Find texts of versions that are in no record: a process died before it deleted them."""
        texts = [version async for version in self._texts.versions()]
        etags = {summary.path: summary.etag for summary in [summary_in(b) async for b in self._state.list(DOCUMENTS)]}
        for path in {text.path for text in texts if etags.get(text.path) != text.etag}:
            if not await self._unused_texts(path):
                continue
            difference = Drift(
                kind="orphaned",
                what="text",
                id=path,
                collection=collection_of(path),
                detail="The app keeps the text of a version that its record does not name.",
                repair="delete it",
            )
            await self._repair_all(current, [difference])

    async def _unused_texts(self, path: str) -> set[str]:
        """Etags of versions that have a text and are not in the record, which is written before a text."""
        kept = await self._texts.kept(path)
        stored = await self._records.read(path)
        return kept - {version.etag for version in lifecycle.versions(stored.value)} if stored else kept

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
                await self._proof.empty(difference.id)  # deleting a store leaves its files
                await self._stores.delete_store(difference.id)
            case "text", _:
                await self._texts.drop(difference.id, await self._unused_texts(difference.id))
            case "visibility", _:
                await self._follow_up.publish_visibility(difference.id)

    async def _files(self, current: Pass) -> dict[str, FileInfo]:
        if current.files is None:
            current.files = {file.id: file async for file in self._stores.files_since(ALWAYS)}
        return current.files

    def _is_claimed(self, document: Document) -> bool:
        return document.claimed_until is not None and document.claimed_until > self._now()
