"""A document and what becomes of it. All frozen; stored as JSON in the container `state`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

DocumentStatus = Literal["pending", "indexing", "indexed", "failed", "unsupported", "removing"]
Kind = Literal["text", "data"]
DEFAULT_COLLECTION = "default"


@dataclass(frozen=True, kw_only=True)
class Reason:
    """The cause of a status: `code` for programs, `message` for people. `retryable`: another try can succeed."""

    code: str
    message: str
    retryable: bool = False


@dataclass(frozen=True, kw_only=True)
class Upload:
    """The file that is about to be uploaded: its name and size at the service."""

    name: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version of a blob, and its files at the service.

    It is unsent without `sent_at`, being sent with `sending_until`, and sent otherwise. When the process that sends it
    dies, it stays "being sent": the service may have files of it whose ids nobody knows.
    """

    etag: str
    size_bytes: int
    last_modified_at: datetime
    kind: Kind
    metadata: dict[str, str] = field(default_factory=dict)  # the blob's metadata
    store_id: str | None = None  # the vector store that holds `parts`
    parts: tuple[str, ...] = ()  # file ids in the store: the document, its parts when it is long, or a data card
    ready: int = 0  # the first `ready` parts are indexed
    data_file_id: str | None = None  # the original for code interpreter, data files only
    clean_file_ids: tuple[str, ...] = ()  # clean copies of its tables, beside the original
    terms: tuple[str, ...] = ()  # the words by which a question selects a data file
    notice: Reason | None = None  # a warning, such as a file name that does not fit the content
    text: bytes | None = None  # its text for `collections/texts.py`, if that is short; a long one has a blob
    sent_at: datetime | None = None  # its upload may have begun then
    sending_until: datetime | None = None  # until then it may be uploaded: files without a record here may exist
    sent_until: datetime | None = None  # when its upload had ended
    upload: Upload | None = None  # the upload that began last; None: of the whole blob, under its own name

    @property
    def data_file_ids(self) -> tuple[str, ...]:
        """The files for code interpreter."""
        return (*((self.data_file_id,) if self.data_file_id else ()), *self.clean_file_ids)

    @property
    def file_ids(self) -> tuple[str, ...]:
        return (*self.parts, *self.data_file_ids)

    @property
    def may_exist(self) -> bool:
        """Whether the service may have files of it."""
        return self.sent_at is not None or bool(self.file_ids)

    @property
    def is_sent(self) -> bool:
        """Whether all its files are at the service, and known."""
        return bool(self.parts) and self.sending_until is None

    @property
    def was_complete(self) -> bool:
        """Whether all its parts were indexed, so that questions may have found it."""
        return bool(self.parts) and self.ready >= len(self.parts)


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One try to index a version. Without `ended_at`, it is running, or its process died."""

    etag: str
    started_at: datetime
    ended_at: datetime | None = None
    status: DocumentStatus = "indexing"
    reason: Reason | None = None
    put_off: int = 0  # how often it was postponed since the service was busy


@dataclass(frozen=True, kw_only=True)
class Removed:
    """One thing that was made of a document. `gone`: a later lookup did not find it."""

    kind: Literal["store_entry", "file", "data_card", "code_interpreter_copy", "record"]
    id: str
    gone: bool


@dataclass(frozen=True, kw_only=True)
class Document:
    """The record of a blob in the container `documents`.

    `live` is the version that questions find. `incoming` is being indexed and then replaces `live`. `retired` are
    versions that were replaced, given up or removed: questions must not find them, and they stay in the record until
    the service is proven to have nothing of them. A version that was live is kept while a run is active that started
    before `retired_at`.
    """

    path: str
    collection: str
    status: DocumentStatus
    updated_at: datetime
    etag: str  # of the version that was processed last, whatever its status
    size_bytes: int
    live: Version | None = None
    incoming: Version | None = None
    retired: tuple[Version, ...] = ()
    retired_at: datetime | None = None
    reason: Reason | None = None
    indexed_at: datetime | None = None
    deadline_at: datetime | None = None
    look_at: datetime | None = None  # a message for the next try to delete what is retired is due then
    faults: int = 0  # consecutive tries at which the service was busy or unreachable
    trace: str | None = None  # `traceparent` of the event of this version
    blocked: Reason | None = None  # the last fault, if somebody may have to change the set-up
    tries: int = 0  # how often indexing of this version was started
    attempts: tuple[Attempt, ...] = ()  # the last ten, oldest first
    incoming_published: bool = False  # the visibility blob lists `incoming`
    visibility_due: bool = False  # the visibility blob must be brought in line with this record
    notice_due: bool = False  # `status` must be announced to the subscribers
    receipt_id: str | None = None  # of the removal in progress, also when the blob has returned meanwhile
    receipt_etag: str | None = None  # the version that was removed
    removed: tuple[Removed, ...] = ()  # what that removal has deleted so far

    @property
    def claimed_until(self) -> datetime | None:
        """A process is uploading `incoming` until then."""
        return self.incoming.sending_until if self.incoming else None


@dataclass(frozen=True, kw_only=True)
class DocumentSummary:
    """A document in a listing. `etag` is the version processed last, `answers_etag` the one that questions find."""

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
    parts: int = 0  # its files in the vector store


@dataclass(frozen=True, kw_only=True)
class Collection:
    """The documents below one top-level folder, and their vector stores."""

    name: str
    stores: tuple[str, ...]  # new files go into the last one
    created_at: datetime
    expires_days: int | None = None  # idle days after which the service deletes the stores
    removing: bool = False  # it is being deleted and refuses documents


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """Proof that a document was removed. `returned`: its blob was uploaded again before all of that was done."""

    id: str
    path: str
    collection: str
    etag: str
    requested_at: datetime
    removed_at: datetime
    removed: tuple[Removed, ...]
    complete: bool  # everything in `removed` is gone
    returned: bool = False


DriftKind = Literal["missing", "stale", "orphaned", "stuck"]


@dataclass(frozen=True, kw_only=True)
class Drift:
    """One difference between container, records and service, and its repair."""

    kind: DriftKind
    what: Literal["document", "file", "store_entry", "vector_store", "visibility", "receipt", "text"]
    id: str  # the document's path, or the id at the service
    collection: str
    detail: str
    repair: str  # how it is repaired
    done: bool = False  # the repair was started


@dataclass(frozen=True, kw_only=True)
class Report:
    """The report of a reconcile pass: a comparison of container, records, files and vector stores."""

    id: str
    status: Literal["queued", "in_progress", "completed", "failed"]
    dry_run: bool
    created_at: datetime
    collection: str | None = None  # None: all collections
    finished_at: datetime | None = None
    collections: int = 0
    documents: int = 0  # blobs that were compared
    counts: dict[DriftKind, int] = field(default_factory=dict)
    drift: tuple[Drift, ...] = ()  # the first 1,000
    unseen: tuple[str, ...] = ()  # what could not be compared, and why
    error: str | None = None


def collection_of(path: str) -> str:
    """`reports/2026/a.pdf` is in `reports`; `a.pdf` is in `default`."""
    folder, slash, _ = path.partition("/")
    return folder if slash and folder else DEFAULT_COLLECTION
