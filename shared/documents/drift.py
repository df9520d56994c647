"""Where container, records, files and vector stores disagree. Pure: lists are handed in, and nothing is mended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection as Group
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.collections.attributes import source_of
from shared.collections.visibility import Entry
from shared.engines.stores import FileInfo, StoreEntry, StoreInfo
from shared.models.documents import Document, DocumentSummary, Drift, DriftKind, Version, collection_of

if TYPE_CHECKING:
    from shared.storage.blobs import BlobInfo

ON_ITS_WAY = timedelta(seconds=5)  # an event takes a moment, and the service counts in whole seconds by its own clock
STUCK = timedelta(minutes=10)  # nothing has happened to a document for so long

Summaries = Mapping[str, DocumentSummary]


def of_documents(
    blobs: Mapping[str, BlobInfo], records: Summaries, *, tries: int, now: datetime, due: Group[str] = ()
) -> Iterator[Drift]:
    """Container against records. `due`: paths of records that say what is still to be told or cleared away."""
    for path, blob in blobs.items():
        record = records.get(path)
        fresh = now - blob.last_modified_at < ON_ITS_WAY
        if record is None:
            if not fresh:
                yield _document(path, "missing", "Nothing was made of it.", "index it")
        elif record.status == "removing":
            if now - record.updated_at > STUCK:
                yield _document(path, "stuck", "It came back while it was removed.", "index it")
        elif record.etag != blob.etag:
            if not fresh:
                yield _document(path, "stale", "The blob has changed since.", "index it anew")
        elif record.status in ("indexing", "pending"):
            if now - record.updated_at > STUCK:
                yield _document(path, "stuck", f"Nothing has happened since {record.updated_at:%F %T}.", "go on")
        elif path in due and now - record.updated_at > STUCK:
            yield _document(path, "stuck", "Its last step was not done.", "do it")
        elif record.status == "failed" and record.reason and record.reason.retryable and record.tries < tries:
            yield _document(path, "stuck", f"It failed: {record.reason.message}", "try again")
    for path in records.keys() - blobs.keys():
        record = records[path]
        if record.status != "removing" or now - record.updated_at > STUCK:
            yield _document(path, "orphaned", "Its blob is gone.", "remove what was made of it")


def of_stores(name: str, stores: Mapping[str, StoreInfo | None]) -> Iterator[Drift]:
    """A collection's record against the service."""
    for store_id, info in stores.items():
        if info is None or info.expired:
            yield Drift(
                kind="missing",
                what="vector_store",
                id=store_id,
                collection=name,
                detail="It is gone at the service." if info is None else "It has expired.",
                repair="index its documents anew, in another store",
            )


def of_entries(name: str, records: Summaries, entries: Mapping[str, StoreEntry], *, now: datetime) -> Iterator[Drift]:
    """Records against what the collection's vector stores hold. An orphan is a suspicion: its record decides."""
    held: Counter[tuple[str, str | None]] = Counter()
    for entry in entries.values():
        if source := source_of(entry.attributes):
            held[source.path, source.etag] += 1
    for path, record in records.items():
        if record.answers_etag and held[path, record.answers_etag] < record.parts and record.status != "indexing":
            yield _document(path, "missing", "Its files are gone at the service.", "index it anew")
    known = {record.file_id for record in records.values()}
    for file_id, entry in entries.items():
        if file_id not in known and now - entry.created_at > ON_ITS_WAY:
            source = source_of(entry.attributes)
            yield Drift(
                kind="orphaned",
                what="store_entry",
                id=file_id,
                collection=name,
                detail=f"No record names it; it was made of {source.path if source else 'something unknown'}.",
                repair="take it out of the store and delete it",
            )


def of_data_files(entries: Group[Entry], files: Group[str]) -> Iterator[Drift]:
    """What code interpreter is to be given against the files that there are."""
    for entry in entries:
        if entry.data_file_id and entry.data_file_id not in files and not entry.indexing:
            yield _document(entry.path, "missing", "Its copy for code interpreter is gone.", "index it anew")


def of_uploads(losers: Group[Document], files: Group[FileInfo], names: Mapping[str, Group[str]]) -> Iterator[Drift]:
    """Files that may have come of uploads whose end the app did not see.

    They carry no mark: what has the name of a document that was being sent, and came since then, may be one.

    Args:
        names: Path -> the names under which the document may have been sent, also with another ending behind them.
    """
    for file in files:
        for document in losers:
            since = document.lost_since
            fits = any(file.filename == name or file.filename.startswith(f"{name}.") for name in names[document.path])
            if since and file.created_at >= since - ON_ITS_WAY and fits:
                yield Drift(
                    kind="orphaned",
                    what="file",
                    id=file.id,
                    collection=document.collection,
                    detail=f"It came of an upload of {document.path} that was cut off.",
                    repair="delete it",
                )
                break


def versions(document: Document) -> tuple[Version, ...]:
    """All that the service may hold of it."""
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
