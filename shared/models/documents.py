"""DOC."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

DocumentStatus = Literal["pending", "indexing", "indexed", "failed", "unsupported", "removing"]
Kind = Literal["text", "data"]
DEFAULT_COLLECTION = "default"


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why something is as it is: `code` for programs, `message` for people. `retryable`: trying again can help."""

    code: str
    message: str
    retryable: bool = False


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version of a blob, and the service's copies of it."""

    etag: str
    size_bytes: int
    last_modified_at: datetime
    kind: Kind
    metadata: dict[str, str] = field(default_factory=dict)  # of the blob, as its owner set it
    store_id: str | None = None  # the vector store that holds `parts`
    parts: tuple[str, ...] = ()  # files in it: the document, its parts when it is long, or a data file's card
    ready: int = 0  # so many of the parts are known to be indexed
    data_file_id: str | None = None  # the copy for code interpreter, data files only
    terms: tuple[str, ...] = ()  # the words by which a question finds a data file
    notice: Reason | None = None  # something its owner should know, such as a name that belies the content

    @property
    def file_ids(self) -> tuple[str, ...]:
        return (*self.parts, *((self.data_file_id,) if self.data_file_id else ()))


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One try to index a version; without an end it goes on, or died with its process."""

    etag: str
    started_at: datetime
    ended_at: datetime | None = None
    status: DocumentStatus = "indexing"
    reason: Reason | None = None
    put_off: int = 0  # how often the service was too busy


@dataclass(frozen=True, kw_only=True)
class Document:
    """A blob in `documents` and where it stands.

    `live` answers questions now; `incoming` is being indexed and takes its place once it is complete; `retired` are
    versions whose files at the service nothing needs any more, or only runs that began before `retired_at`.
    """

    path: str
    collection: str
    status: DocumentStatus
    updated_at: datetime
    etag: str  # of the version last taken up, whatever became of it
    size_bytes: int
    live: Version | None = None
    incoming: Version | None = None
    retired: tuple[Version, ...] = ()
    retired_at: datetime | None = None
    reason: Reason | None = None
    indexed_at: datetime | None = None
    deadline_at: datetime | None = None
    claimed_until: datetime | None = None  # someone is sending `incoming` to the service until then
    lost_since: datetime | None = None  # uploads begun since then may have reached the service unnoticed
    faults: int = 0  # tries in a row that met a busy or unreachable service
    tries: int = 0  # times in a row that this version was begun
    attempts: tuple[Attempt, ...] = ()  # the latest ones, oldest first
    told: bool = False  # questions have been told that `incoming` is on its way
    scope_due: bool = False  # what questions may use has yet to be brought in line with this record
    news_due: bool = False  # those who asked to be told have yet to hear of `status`
    receipt_id: str | None = None  # of the removal that goes on


@dataclass(frozen=True, kw_only=True)
class DocumentSummary:
    """A document in a listing. `etag` is the version last taken up, `answers_etag` the one that answers now."""

    path: str
    collection: str
    status: DocumentStatus
    size_bytes: int
    etag: str
    updated_at: datetime
    kind: Kind | None = None
    reason: Reason | None = None
    file_id: str | None = None
    answers_etag: str | None = None
    indexed_at: datetime | None = None
    notice: Reason | None = None
    tries: int = 0
    parts: int = 0  # files in the vector store that answer for it


@dataclass(frozen=True, kw_only=True)
class Collection:
    """The documents below one top-level folder, and the vector stores that hold them."""

    name: str
    stores: tuple[str, ...]  # the last one takes what comes
    created_at: datetime
    expires_days: int | None = None  # idle days after which the service drops the stores
    removing: bool = False


@dataclass(frozen=True, kw_only=True)
class Removed:
    """One thing that was made of a document. `gone`: it was looked for afterwards, and is not there."""

    kind: Literal["store_entry", "file", "data_card", "code_interpreter_copy", "record"]
    id: str
    gone: bool


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """Proof of a removal."""

    id: str
    path: str
    collection: str
    etag: str
    requested_at: datetime
    removed_at: datetime
    removed: tuple[Removed, ...]
    complete: bool  # all of it is gone


DriftKind = Literal["missing", "stale", "orphaned", "stuck"]


@dataclass(frozen=True, kw_only=True)
class Drift:
    """A place where container, records and service disagree, and what was done about it."""

    kind: DriftKind
    what: Literal["document", "file", "store_entry", "vector_store", "scope", "receipt"]
    id: str  # the document's path, or the id at the service
    collection: str
    detail: str
    repair: str  # what mends it
    done: bool = False  # it was set going


@dataclass(frozen=True, kw_only=True)
class Report:
    """A comparison of container, records, files and vector stores."""

    id: str
    status: Literal["queued", "in_progress", "completed", "failed"]
    dry_run: bool
    created_at: datetime
    collection: str | None = None  # None: all of them
    finished_at: datetime | None = None
    collections: int = 0
    documents: int = 0  # blobs that were looked at
    counts: dict[DriftKind, int] = field(default_factory=dict)
    drift: tuple[Drift, ...] = ()  # the first 1,000
    error: str | None = None


def collection_of(path: str) -> str:
    """`reports/2026/a.pdf` is in `reports`; `a.pdf` is in `default`."""
    folder, slash, _ = path.partition("/")
    return folder if slash and folder else DEFAULT_COLLECTION
