"""A document's record from one state to the next. Pure: what is decided here, documents.py carries out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.errors import ServiceBusy
from shared.formats.base import UnusableFile
from shared.models.documents import Attempt, Document, DocumentStatus, Kind, Reason, Version, collection_of
from shared.models.ids import new_id

CLAIM = timedelta(minutes=10)  # as long as a function may run
SMALL_BYTES = 1024 * 1024  # is sent within a moment
ATTEMPTS_MAX = 10  # that are remembered
RETRYABLE = frozenset({"timeout", "gave_up", "vanished", "server_error", "service_busy", "cancelled"})


@dataclass(frozen=True, kw_only=True)
class Blob:
    """A blob as it was found when its document was taken up."""

    path: str
    etag: str
    size_bytes: int
    last_modified_at: datetime
    metadata: dict[str, str]


def taken_up(
    blob: Blob,
    old: Document | None,
    kind: Kind | UnusableFile,
    *,
    tries: int,
    claim: bool,
    news: bool,
    deadline_s: int,
    now: datetime,
) -> Document:
    """The blob's current version is the incoming one; or it is said at once why it cannot be."""
    refused = kind if isinstance(kind, UnusableFile) else None
    status: DocumentStatus = ("unsupported" if refused.unsupported else "failed") if refused else "indexing"
    reason = refused.reason if refused else None
    attempt = Attempt(etag=blob.etag, started_at=now, ended_at=now if refused else None, status=status, reason=reason)
    version = Version(
        etag=blob.etag,
        size_bytes=blob.size_bytes,
        last_modified_at=blob.last_modified_at,
        kind="text" if isinstance(kind, UnusableFile) else kind,
        metadata=blob.metadata,
    )
    fresh = Document(
        path=blob.path,
        collection=collection_of(blob.path),
        status=status,
        reason=reason,
        updated_at=now,
        etag=blob.etag,
        size_bytes=blob.size_bytes,
        incoming=None if refused else version,
        deadline_at=now + timedelta(seconds=deadline_s),
        claimed_until=now + CLAIM if claim else None,
        tries=tries,
        attempts=(attempt,),
        told=not refused and (not claim or blob.size_bytes > SMALL_BYTES),  # of a small one, only when it takes a while
        news_due=bool(refused) and news,
    )
    if old is None:
        return fresh
    return replace(
        fresh,
        live=old.live,
        retired=old.retired + ((old.incoming,) if old.incoming else ()),
        retired_at=old.retired_at,
        indexed_at=old.indexed_at,
        lost_since=lost_since(old),
        told=not refused,
        attempts=(*old.attempts, attempt)[-ATTEMPTS_MAX:],
        scope_due=bool(refused),
    )


def claimed(document: Document, now: datetime) -> Document:
    return replace(document, claimed_until=now + CLAIM, lost_since=lost_since(document), told=True)


def promoted(old: Document, incoming: Version, *, news: bool, now: datetime) -> Document:
    """The incoming version answers from here on, and the one before it is retired."""
    return replace(
        old,
        status="indexed",
        live=incoming,
        incoming=None,
        retired=old.retired + ((old.live,) if old.live else ()),
        retired_at=now if old.live else old.retired_at,
        reason=None,
        indexed_at=now,
        faults=0,
        tries=0,
        attempts=_ended(old.attempts, now, "indexed", None),
        told=False,
        scope_due=old.told or not is_plain(old, incoming),
        news_due=news,
    )


def is_plain(old: Document, incoming: Version) -> bool:
    """Questions need to know nothing of it once it is there: a first version, and no data file."""
    return old.live is None and not old.retired and not incoming.data_file_id


def settled(
    old: Document, status: DocumentStatus, reason: Reason, *, tries_max: int, news: bool, now: datetime
) -> Document:
    """The incoming version will not be indexed; an older one, if there is one, goes on answering."""
    if reason.retryable and old.tries >= tries_max:
        words = f"{reason.message} It was tried {old.tries} times; POST /api/documents/{{path}} tries again."
        reason = replace(reason, message=words, retryable=False)
    return replace(
        old,
        status=status,
        reason=reason,
        incoming=None,
        retired=old.retired + ((old.incoming,) if old.incoming else ()),
        claimed_until=None,
        faults=0,
        attempts=_ended(old.attempts, now, status, reason),
        told=False,
        scope_due=True,
        news_due=news,
    )


def removing(old: Document, now: datetime) -> Document:
    """The blob is gone: nothing answers any more, and everything is to be deleted."""
    return replace(
        old,
        status="removing",
        live=None,
        incoming=None,
        retired=old.retired + tuple(version for version in (old.live, old.incoming) if version),
        scope_due=True,
        news_due=False,
        claimed_until=None,
        receipt_id=old.receipt_id or new_id("rcpt", now),
    )


def unsent(old: Document, incoming: Version) -> Document:
    """What was sent is gone with its vector store: the version is to be sent once more."""
    again = replace(incoming, parts=(), data_file_id=None, store_id=None, ready=0)
    return replace(old, incoming=again, retired=(*old.retired, incoming))


def put_off(old: Document, why: ServiceBusy) -> Document:
    return replace(
        old,
        claimed_until=None,
        faults=old.faults + 1,
        told=old.incoming is not None,
        lost_since=lost_since(old) if why.unclear else old.lost_since,
        attempts=tuple(replace(a, put_off=a.put_off + 1) if not a.ended_at else a for a in old.attempts),
    )


def is_due(document: Document) -> bool:
    """It is decided what becomes of it, and that is not yet done, told or cleared away."""
    left = document.retired or document.scope_due or document.news_due
    return bool(left) and document.incoming is None and document.status != "removing"


def refusal(code: str | None, message: str | None) -> tuple[DocumentStatus, Reason]:
    """What the service's own error makes of a document."""
    code, message = code or "failed", message or "The service gave no reason."
    status: DocumentStatus = "unsupported" if code == "unsupported_file" else "failed"
    return status, Reason(code=code, message=message, retryable=code in RETRYABLE)


def too_late(document: Document) -> Reason:
    if document.faults:
        message = "The service was busy or out of reach for too long."
        return Reason(code="service_busy", message=message, retryable=True)
    return Reason(code="timeout", message="The service did not finish indexing in time.", retryable=True)


def lost_since(document: Document) -> datetime | None:
    """Since when uploads of this document may have reached the service without the record knowing.

    A claim that nobody has taken back is that of a process which died, or of one that was told nothing.
    """
    begun_at = document.claimed_until - CLAIM if document.claimed_until else None
    return min((at for at in (document.lost_since, begun_at) if at), default=None)


def _ended(
    attempts: tuple[Attempt, ...], at: datetime, status: DocumentStatus, reason: Reason | None
) -> tuple[Attempt, ...]:
    if not attempts or attempts[-1].ended_at:
        return attempts
    return (*attempts[:-1], replace(attempts[-1], ended_at=at, status=status, reason=reason))
