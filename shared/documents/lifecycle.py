"""A document's record from one state to the next. Pure: `indexer.py` carries out what is decided here."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import TYPE_CHECKING

from shared.errors import ServiceBusy
from shared.formats.base import UnusableFile
from shared.models.documents import Attempt, Document, DocumentStatus, Kind, Reason, Version, collection_of
from shared.models.ids import new_id

if TYPE_CHECKING:
    from shared.storage.blobs import BlobInfo

CLAIM = timedelta(seconds=60)  # renewed while the upload is running
SMALL_BYTES = 1024 * 1024  # uploaded at once
ATTEMPTS_MAX = 10  # kept in a record
RETRYABLE = frozenset({"timeout", "gave_up", "vanished", "server_error", "service_busy", "cancelled"})


class NextStep(Enum):
    """What is to be done next for a document."""

    WAIT = auto()  # another process is uploading it
    EXPIRE = auto()  # its deadline is over
    SEND = auto()  # upload the incoming version
    CHECK = auto()  # ask the service whether the incoming version is indexed
    CLEAR = auto()  # publish, announce, delete what is retired or removed
    NOTHING = auto()


def next_step(document: Document, now: datetime) -> NextStep:
    """Decide the next step from the record alone."""
    if document.claimed_until and document.claimed_until > now:
        return NextStep.WAIT
    if incoming := document.incoming:
        if document.deadline_at and now > document.deadline_at:
            return NextStep.EXPIRE
        return NextStep.CHECK if incoming.parts else NextStep.SEND
    if document.retired or document.visibility_due or document.notice_due or document.status == "removing":
        return NextStep.CLEAR
    return NextStep.NOTHING


def taken_up(
    blob: BlobInfo,
    old: Document | None,
    kind: Kind | UnusableFile,
    *,
    tries: int,
    claim: bool,
    news: bool,
    deadline_s: int,
    now: datetime,
) -> Document:
    """The blob's current version becomes the incoming one, or the document is refused with a reason.

    Args:
        claim: The caller uploads it now.
        news: Somebody is subscribed to what becomes of it.
    """
    refused = kind if isinstance(kind, UnusableFile) else None
    status: DocumentStatus = ("unsupported" if refused.unsupported else "failed") if refused else "indexing"
    reason = refused.reason if refused else None
    attempt = Attempt(etag=blob.etag, started_at=now, ended_at=now if refused else None, status=status, reason=reason)
    version = Version(
        etag=blob.etag,
        size_bytes=blob.size_bytes,
        last_modified_at=blob.last_modified_at,
        kind="text" if isinstance(kind, UnusableFile) else kind,
        metadata=dict(blob.metadata),
    )
    fresh = Document(
        path=blob.name,
        collection=collection_of(blob.name),
        status=status,
        reason=reason,
        updated_at=now,
        etag=blob.etag,
        size_bytes=blob.size_bytes,
        incoming=None if refused else version,
        deadline_at=now + timedelta(seconds=deadline_s),
        claimed_at=now if claim else None,
        claimed_until=now + CLAIM if claim else None,
        tries=tries,
        attempts=(attempt,),
        # A small first version that is uploaded at once is indexed before it would be published.
        incoming_published=not refused and (not claim or blob.size_bytes > SMALL_BYTES),
        notice_due=bool(refused) and news,
    )
    return _after(old, fresh) if old else fresh


def _after(old: Document, fresh: Document) -> Document:
    """The fresh record of a document that has an older one: the live version stays."""
    return replace(
        fresh,
        live=old.live,
        retired=old.retired + ((old.incoming,) if old.incoming else ()),
        retired_at=old.retired_at,
        indexed_at=old.indexed_at,
        untracked_since=untracked_since(old),
        incoming_published=fresh.incoming is not None,
        attempts=(*old.attempts, *fresh.attempts)[-ATTEMPTS_MAX:],
        visibility_due=fresh.incoming is None,
    )


def published(document: Document) -> Document:
    """The visibility blob is going to list the incoming version."""
    return replace(document, incoming_published=True) if document.incoming else document


def claimed(document: Document, now: datetime) -> Document:
    return replace(
        document,
        claimed_at=now,
        claimed_until=now + CLAIM,
        untracked_since=untracked_since(document),
        incoming_published=True,
    )


def renewed(document: Document, now: datetime) -> Document:
    """The upload is still running."""
    return replace(document, claimed_until=now + CLAIM, updated_at=now)


def promoted(old: Document, incoming: Version, *, news: bool, now: datetime) -> Document:
    """The incoming version becomes the live one, and the one before it is retired."""
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
        incoming_published=False,
        visibility_due=old.incoming_published or not is_plain(old, incoming),
        notice_due=news,
    )


def is_plain(old: Document, incoming: Version) -> bool:
    """Whether the document needs no visibility blob: a first version, and no data file."""
    return old.live is None and not old.retired and not incoming.data_file_id


def settled(
    old: Document, status: DocumentStatus, reason: Reason, *, tries_max: int, news: bool, now: datetime
) -> Document:
    """The incoming version is not indexed; the live one, if there is one, stays."""
    if reason.retryable and old.tries >= tries_max:
        message = f"{reason.message} It was tried {old.tries} times; POST /api/documents/{{path}} tries again."
        reason = replace(reason, message=message, retryable=False)
    return replace(
        old,
        status=status,
        reason=reason,
        incoming=None,
        retired=old.retired + ((old.incoming,) if old.incoming else ()),
        claimed_until=None,
        faults=0,
        attempts=_ended(old.attempts, now, status, reason),
        incoming_published=False,
        visibility_due=True,
        notice_due=news,
    )


def removing(old: Document, now: datetime) -> Document:
    """The blob is gone: no version is live, and everything at the service is to be deleted."""
    return replace(
        old,
        status="removing",
        live=None,
        incoming=None,
        retired=old.retired + tuple(version for version in (old.live, old.incoming) if version),
        visibility_due=True,
        notice_due=False,
        claimed_until=None,
        receipt_id=old.receipt_id or new_id("rcpt", now),
    )


def unsent(old: Document, incoming: Version) -> Document:
    """The uploaded files are gone with their vector store: the version is to be uploaded again."""
    again = replace(incoming, parts=(), data_file_id=None, store_id=None, ready=0)
    return replace(old, incoming=again, retired=(*old.retired, incoming))


def put_off(old: Document, why: ServiceBusy) -> Document:
    return replace(
        old,
        claimed_until=None,
        faults=old.faults + 1,
        incoming_published=old.incoming is not None,
        untracked_since=untracked_since(old) if why.unclear else old.untracked_since,
        attempts=tuple(replace(a, put_off=a.put_off + 1) if not a.ended_at else a for a in old.attempts),
    )


def is_due(document: Document) -> bool:
    """Whether its status is final, but retired files, visibility or announcement are still to be done."""
    left = document.retired or document.visibility_due or document.notice_due
    return bool(left) and document.incoming is None and document.status != "removing"


def refusal(code: str | None, message: str | None) -> tuple[DocumentStatus, Reason]:
    """The status and reason that follow from an error of the service."""
    code, message = code or "failed", message or "The service gave no reason."
    status: DocumentStatus = "unsupported" if code == "unsupported_file" else "failed"
    return status, Reason(code=code, message=message, retryable=code in RETRYABLE)


def too_late(document: Document) -> Reason:
    if document.faults:
        message = "The service was busy or could not be reached for too long."
        return Reason(code="service_busy", message=message, retryable=True)
    return Reason(code="timeout", message="The service did not finish indexing in time.", retryable=True)


def untracked_since(document: Document) -> datetime | None:
    """The time since when uploads may exist at the service without a record here.

    A claim that was not released belongs to a process that died, or to an upload that got no answer.
    """
    begun_at = document.claimed_at if document.claimed_until else None
    return min((at for at in (document.untracked_since, begun_at) if at), default=None)


def _ended(
    attempts: tuple[Attempt, ...], at: datetime, status: DocumentStatus, reason: Reason | None
) -> tuple[Attempt, ...]:
    if not attempts or attempts[-1].ended_at:
        return attempts
    return (*attempts[:-1], replace(attempts[-1], ended_at=at, status=status, reason=reason))
