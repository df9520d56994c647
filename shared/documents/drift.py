"""Finds where container, records, files and vector stores disagree. Pure: it gets lists and repairs nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection as Group
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.collections.attributes import source_of
from shared.collections.visibility import DocumentVisibility
from shared.engines.stores import FileInfo, StoreEntry, StoreInfo
from shared.models.documents import Document, DocumentSummary, Drift, DriftKind, Version, collection_of

if TYPE_CHECKING:
    from shared.storage.blobs import BlobInfo

EVENT_DELAY = timedelta(seconds=5)  # events take a moment, and the service's timestamps are whole seconds of its clock
STUCK = timedelta(minutes=10)  # a document in progress whose record is older is stuck

Summaries = Mapping[str, DocumentSummary]


def of_documents(
    blobs: Mapping[str, BlobInfo], records: Summaries, *, tries: int, now: datetime, due: Group[str] = ()
) -> Iterator[Drift]:
    """Compare container and records. `due`: paths of records with unfinished follow-up."""
    for path, blob in blobs.items():
        record = records.get(path)
        fresh = now - blob.last_modified_at < EVENT_DELAY
        if record is None:
            if not fresh:
                yield _document(path, "missing", "It has no record.", "index it")
        elif record.status == "removing":
            if now - record.updated_at > STUCK:
                yield _document(path, "stuck", "It was uploaded again during its removal.", "index it")
        elif record.etag != blob.etag:
            if not fresh:
                yield _document(path, "stale", "The blob has changed since it was indexed.", "index it again")
        elif record.status in ("indexing", "pending"):
            if now - record.updated_at > STUCK:
                yield _document(
                    path, "stuck", f"Its record has not changed since {record.updated_at:%F %T}.", "do the next step"
                )
        elif path in due and now - record.updated_at > STUCK:
            yield _document(path, "stuck", "Its last step was not finished.", "finish it")
        elif record.status == "failed" and record.reason and record.reason.retryable and record.tries < tries:
            yield _document(path, "stuck", f"It failed: {record.reason.message}", "retry")
    for path in records.keys() - blobs.keys():
        record = records[path]
        if record.status != "removing" or now - record.updated_at > STUCK:
            yield _document(path, "orphaned", "Its blob is gone.", "remove what was made of it")


def of_stores(name: str, stores: Mapping[str, StoreInfo | None]) -> Iterator[Drift]:
    """Compare a collection's record with the service."""
    for store_id, info in stores.items():
        if info is None or info.expired:
            yield Drift(
                kind="missing",
                what="vector_store",
                id=store_id,
                collection=name,
                detail="It is gone at the service." if info is None else "It has expired.",
                repair="index its documents again, in another store",
            )


def of_entries(name: str, records: Summaries, entries: Mapping[str, StoreEntry], *, now: datetime) -> Iterator[Drift]:
    """Compare records and the files of the collection's vector stores. The caller confirms each orphan."""
    held: Counter[tuple[str, str | None]] = Counter()
    for entry in entries.values():
        if source := source_of(entry.attributes):
            held[source.path, source.etag] += 1
    for path, record in records.items():
        if record.answers_etag and held[path, record.answers_etag] < record.parts and record.status != "indexing":
            yield _document(path, "missing", "Its files are gone at the service.", "index it again")
    known = {record.file_id for record in records.values()}
    for file_id, entry in entries.items():
        if file_id not in known and now - entry.created_at > EVENT_DELAY:
            source = source_of(entry.attributes)
            yield Drift(
                kind="orphaned",
                what="store_entry",
                id=file_id,
                collection=name,
                detail=f"No record names it; it was made of {source.path if source else 'an unknown document'}.",
                repair="take it out of the store and delete it",
            )


def of_data_files(entries: Group[DocumentVisibility], files: Group[str]) -> Iterator[Drift]:
    """Compare the data files that questions are offered with the files at the service."""
    for entry in entries:
        if entry.data_file_id and entry.data_file_id not in files and not entry.indexing:
            yield _document(entry.path, "missing", "Its copy for code interpreter is gone.", "index it again")


def of_uploads(documents: Group[Document], files: Group[FileInfo], names: Mapping[str, Group[str]]) -> Iterator[Drift]:
    """Files that uploads without an answer may have left.

    Files carry no attributes: a file with the name of a document, created since its untracked upload, may be one.

    Args:
        documents: Documents with uploads that may exist at the service without a record here.
        names: Path -> the file names of the document, to which an ending may be added.
    """
    for file in files:
        for document in documents:
            since = document.untracked_since
            fits = any(file.filename == name or file.filename.startswith(f"{name}.") for name in names[document.path])
            if since and file.created_at >= since - EVENT_DELAY and fits:
                yield Drift(
                    kind="orphaned",
                    what="file",
                    id=file.id,
                    collection=document.collection,
                    detail=f"An interrupted upload of {document.path} left it.",
                    repair="delete it",
                )
                break


def versions(document: Document) -> tuple[Version, ...]:
    """All versions of which the service may have files."""
    return tuple(version for version in (document.live, document.incoming, *document.retired) if version)


def _document(path: str, kind: DriftKind, detail: str, repair: str) -> Drift:
    return Drift(
        kind=kind,
        what="document",
        id=path,
        collection=collection_of(path),
        detail=detail,
        repair=repair,
    )
