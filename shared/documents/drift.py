"""Finds where container, records, files and vector stores disagree. Pure: it gets lists and repairs nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection as Group
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from shared.collections.attributes import source_of
from shared.collections.visibility import DocumentVisibility
from shared.documents.lifecycle import SETTLED, versions
from shared.engines.stores import FileInfo, StoreEntry, StoreInfo
from shared.formats.filetypes import service_name
from shared.models.documents import Document, DocumentSummary, Drift, DriftKind, Version, collection_of

if TYPE_CHECKING:
    from shared.storage.listings import BlobInfo

EVENT_DELAY = timedelta(seconds=5)  # events take a moment, and the service's timestamps are whole seconds of its clock
STUCK = timedelta(minutes=10)  # a document in progress whose record is older is stuck

Summaries = Mapping[str, DocumentSummary]


def of_documents(
    blobs: Mapping[str, BlobInfo], records: Summaries, *, tries: int, now: datetime, due: Group[str] = ()
) -> Iterator[Drift]:
    """Compare container and records. `due`: paths whose unfinished follow-up is late."""
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
        elif path in due:
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
        if not entry.indexing and any(file_id not in files for file_id in entry.data_file_ids):
            yield _document(entry.path, "missing", "Its copy for code interpreter is gone.", "index it again")


def of_file(file_id: str, owner: Document) -> Drift:
    return Drift(
        kind="orphaned",
        what="file",
        id=file_id,
        collection=owner.collection,
        detail=f"An interrupted upload of {owner.path} left it.",
        repair="delete it",
    )


# ---- whose a file is -----------------------------------------------------------------------------------------------


Origin = Literal["named", "busy", "ours", "unknown"]


def names_of(path: str) -> set[str]:
    """The file names that a document may have at the service, to which an ending may be added."""
    return {service_name(path, kind) for kind in ("text", "data")}


def paths_of(files: Iterable[FileInfo], paths: Iterable[str]) -> list[str]:
    """The documents that may have a file of one of these names."""
    names = {stem for file in files for stem in _stems(file.filename)}
    return [path for path in paths if names_of(path) & names]


def _stems(filename: str) -> Iterator[str]:
    """`t.csv.md` -> `t.csv.md`, `t.csv`, `t`."""
    while filename:
        yield filename
        filename = filename.rpartition(".")[0]


def origin_of(file: FileInfo, documents: Iterable[Document], *, now: datetime) -> tuple[Origin, Document | None]:
    """Decide whose a file is.

    Returns:
        `named`: a record names it. `busy`: it may be that of an upload in progress. `ours`: a version's upload fits
        it, by name, size and time. `unknown`: another app may have uploaded it.
    """
    owner: Document | None = None
    for document in documents:
        for version in versions(document):
            if file.id in version.file_ids:
                return "named", document
            if not _has_time(file, document.path, version):
                continue
            if version.sending_until and now < version.sending_until + SETTLED:
                return "busy", document
            if may_be_of(file, document.path, version):
                owner = document
    return ("ours", owner) if owner else ("unknown", None)


def may_be_of(file: FileInfo, path: str, version: Version) -> bool:
    """Whether an upload of this version may have made the file: its name, its size, and its time."""
    if not _has_time(file, path, version):
        return False
    if version.upload:
        return (file.filename, file.size_bytes) == (version.upload.name, version.upload.size_bytes)
    return file.size_bytes == version.size_bytes


def _has_time(file: FileInfo, path: str, version: Version) -> bool:
    """Whether a file of a fitting name was created while this version was uploaded."""
    if version.sent_at is None or not any(
        file.filename == name or file.filename.startswith(f"{name}.") for name in names_of(path)
    ):
        return False
    until = version.sending_until or version.sent_until or version.sent_at
    return version.sent_at - EVENT_DELAY <= file.created_at <= until + EVENT_DELAY


def is_needed(file_id: str, document: Document, *, now: datetime) -> bool:
    """Whether a record names a file, or a process may be about to name it."""
    held = versions(document)
    return any(file_id in v.file_ids for v in held) or any(v.sending_until and v.sending_until > now for v in held)


def _document(path: str, kind: DriftKind, detail: str, repair: str) -> Drift:
    return Drift(
        kind=kind,
        what="document",
        id=path,
        collection=collection_of(path),
        detail=detail,
        repair=repair,
    )
