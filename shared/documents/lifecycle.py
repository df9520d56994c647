"""A document's record from one state to the next. Pure: `indexer.py` carries out what is decided here."""

from __future__ import annotations

import math
from collections.abc import Collection as Group
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import TYPE_CHECKING

from shared.delays import retry_delay_s
from shared.errors import ServiceBlocked, ServiceBusy
from shared.formats.base import UnusableFile
from shared.models.documents import (
    Attempt,
    Document,
    DocumentStatus,
    Kind,
    Reason,
    Receipt,
    Removed,
    Version,
    collection_of,
)
from shared.models.ids import made_at, new_id
from shared.storage.layout import document_name

if TYPE_CHECKING:
    from shared.storage.listings import BlobInfo

READERS_LOOK_S = 5  # how often to look whether a replaced version is still read, at first
READERS_LOOK_MAX_S = 60
CLAIM = timedelta(seconds=60)  # renewed while the upload is running
SETTLED = timedelta(seconds=15)  # for so long after an upload, the service's listings may lack its file
SMALL_BYTES = 1024 * 1024  # uploaded at once
EARLY = timedelta(seconds=1)  # queues deliver to the second
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
        return NextStep.CHECK if incoming.is_sent else NextStep.SEND
    return NextStep.CLEAR if document.status == "removing" or is_due(document) else NextStep.NOTHING


def is_early(document: Document, now: datetime) -> bool:
    """Whether only retired versions are left to be deleted, and the message for the next try is due later."""
    return next_step(document, now) is NextStep.CLEAR and bool(document.look_at and now < document.look_at - EARLY)


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
        incoming=None if refused else sending(version, now) if claim else version,
        deadline_at=now + timedelta(seconds=deadline_s),
        tries=tries,
        attempts=(attempt,),
        # A small first version that is uploaded at once is indexed before it would be published.
        incoming_published=not refused and (not claim or blob.size_bytes > SMALL_BYTES),
        notice_due=bool(refused) and news,
    )
    return _after(old, fresh) if old else fresh


def _after(old: Document, fresh: Document) -> Document:
    """The fresh record of a document that has an older one: the live version stays, and what is to be deleted."""
    return replace(
        fresh,
        live=old.live,
        retired=old.retired + _existing(old.incoming),
        retired_at=old.retired_at,
        indexed_at=old.indexed_at,
        incoming_published=fresh.incoming is not None,
        attempts=(*old.attempts, *fresh.attempts)[-ATTEMPTS_MAX:],
        visibility_due=fresh.incoming is None,
        receipt_id=old.receipt_id,
        receipt_etag=old.receipt_etag,
        removed=old.removed,
    )


def published(document: Document) -> Document:
    """The visibility blob is going to list the incoming version."""
    return replace(document, incoming_published=True) if document.incoming else document


# ---- the upload of the incoming version --------------------------------------------------------------------------


def sending(version: Version, now: datetime) -> Version:
    """A process uploads it now. This is written before the upload begins."""
    return replace(version, sent_at=now, sending_until=now + CLAIM)


def claimed(document: Document, now: datetime) -> Document:
    """A process uploads the incoming version now. What a dead process has sent of it is retired."""
    assert document.incoming
    return replace(
        document,
        incoming=sending(_unsent(document.incoming), now),
        retired=document.retired + _existing(document.incoming),
        incoming_published=True,
    )


def renewed(document: Document, now: datetime) -> Document:
    """The upload is still running."""
    assert document.incoming
    return replace(document, incoming=replace(document.incoming, sending_until=now + CLAIM), updated_at=now)


def given_up(document: Document, left: Version) -> Document:
    """The upload of the incoming version failed: it is to be uploaded again, and what it left is retired."""
    assert document.incoming
    return replace(document, incoming=_unsent(document.incoming), retired=document.retired + _existing(left))


def told(document: Document, sent: Version) -> Document:
    """Another process changed the record during the upload: name the files that this upload has left."""

    def is_it(version: Version | None) -> bool:
        return version is not None and (version.etag, version.sent_at) == (sent.etag, sent.sent_at)

    incoming = document.incoming
    if incoming and is_it(incoming):
        incoming = _unsent(incoming)
    others = tuple(version for version in document.retired if not is_it(version))
    return replace(document, incoming=incoming, retired=others + _existing(sent), look_at=None)


def remains(path: str, sent: Version, now: datetime) -> Document:
    """The record of a document that was removed while it was being uploaded: what the upload has left."""
    fresh = Document(
        path=path,
        collection=collection_of(path),
        status="removing",
        updated_at=now,
        etag=sent.etag,
        size_bytes=sent.size_bytes,
        incoming=sent,
    )
    return removing(fresh, now)


def _unsent(version: Version) -> Version:
    return replace(
        version,
        parts=(),
        data_file_id=None,
        clean_file_ids=(),
        store_id=None,
        ready=0,
        sent_at=None,
        sending_until=None,
        sent_until=None,
        upload=None,
    )


def _existing(*versions: Version | None) -> tuple[Version, ...]:
    """Those of which the service may have files: the record keeps them until that is disproved."""
    return tuple(version for version in versions if version and version.may_exist)


# ---- its end -----------------------------------------------------------------------------------------------------


def promoted(old: Document, incoming: Version, *, news: bool, now: datetime) -> Document:
    """The incoming version becomes the live one, and the one before it is retired."""
    return replace(
        old,
        status="indexed",
        live=incoming,
        incoming=None,
        retired=old.retired + _existing(old.live),
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
        retired=old.retired + _existing(old.incoming),
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
        retired=old.retired + _existing(old.live, old.incoming),
        visibility_due=True,
        notice_due=False,
        look_at=None,
        receipt_id=old.receipt_id or new_id("rcpt", now),
        receipt_etag=old.receipt_etag or old.etag,
    )


def unsent(old: Document, incoming: Version) -> Document:
    """The uploaded files are gone with their vector store: the version is to be uploaded again."""
    return replace(old, incoming=_unsent(incoming), retired=old.retired + _existing(incoming))


def put_off(old: Document, why: ServiceBusy) -> Document:
    return replace(
        old,
        faults=old.faults + 1,
        blocked=Reason(code=why.code, message=why.message, retryable=True) if isinstance(why, ServiceBlocked) else None,
        incoming_published=old.incoming is not None,
        attempts=tuple(replace(a, put_off=a.put_off + 1) if not a.ended_at else a for a in old.attempts),
    )


# ---- what is retired ---------------------------------------------------------------------------------------------


def versions(document: Document) -> tuple[Version, ...]:
    """All versions of which the service may have files."""
    return tuple(version for version in (document.live, document.incoming, *document.retired) if version)


def is_settled(version: Version, now: datetime) -> bool:
    """Whether the service's listings are complete for this version: its upload ended long enough ago."""
    return version.sending_until is None or now >= version.sending_until + SETTLED


def cleared(old: Document, gone: Group[Version], removed: tuple[Removed, ...]) -> Document:
    """Published, announced, and these retired versions are proven gone."""
    left = tuple(version for version in old.retired if version not in gone)
    return replace(
        old,
        visibility_due=False,
        notice_due=False,
        retired=left,
        retired_at=old.retired_at if left else None,
        removed=old.removed + removed if old.receipt_id else (),
        look_at=None,
        faults=0 if not left or gone else old.faults,
    )


def clean_delay_s(document: Document, read: Group[Version], fault: ServiceBusy | None, now: datetime) -> int:
    """Seconds until the next try to delete what is retired.

    Args:
        read: Versions that runs and searches still read.
    """
    left = [version for version in document.retired if version not in read]
    early = [version.sending_until for version in left if version.sending_until and not is_settled(version, now)]
    if fault or len(early) < len(left):
        return retry_delay_s(document.faults + 1, fault.retry_after_s if fault else None)
    delays = [math.ceil((until + SETTLED - now).total_seconds()) for until in early]
    if read and document.retired_at:
        delays.append(reader_delay_s(now - document.retired_at))
    return min(delays, default=0)


def reader_delay_s(age: timedelta) -> int:
    """Seconds until the next look whether a version that was replaced so long ago is still read."""
    return int(min(max(age.total_seconds() / 4, READERS_LOOK_S), READERS_LOOK_MAX_S))


def looked_for(document: Document, read: Group[Version], delay_s: int, now: datetime) -> Document:
    """The next try to delete what is retired comes after `delay_s`."""
    if not document.retired:
        return document
    failed = any(version not in read and is_settled(version, now) for version in document.retired)
    faults = document.faults + 1 if failed else document.faults
    return replace(document, faults=faults, look_at=now + timedelta(seconds=delay_s))


def receipt_closed(document: Document) -> Document:
    """The document has returned, and what was removed of it before is gone."""
    return replace(document, receipt_id=None, receipt_etag=None, removed=())


def receipt_of(document: Document, left: Sequence[Removed], now: datetime) -> Receipt:
    """The receipt of a removal; complete when nothing is `left`. The record itself goes last, unless it returned."""
    assert document.receipt_id
    returned = document.status != "removing"
    record = () if returned else (Removed(kind="record", id=document_name(document.path), gone=not left),)
    return Receipt(
        id=document.receipt_id,
        path=document.path,
        collection=document.collection,
        etag=document.receipt_etag or document.etag,
        requested_at=made_at(document.receipt_id),
        removed_at=now,
        removed=(*dict.fromkeys((*document.removed, *left)), *record),
        complete=not left,
        returned=returned,
    )


def is_due(document: Document) -> bool:
    """Whether its status is final, but retired files, visibility, announcement or receipt are still to be done."""
    left = document.retired or document.visibility_due or document.notice_due or document.receipt_id
    return bool(left) and document.incoming is None and document.status != "removing"


def refusal(code: str | None, message: str | None) -> tuple[DocumentStatus, Reason]:
    """The status and reason that follow from an error of the service."""
    code, message = code or "failed", message or "The service gave no reason."
    status: DocumentStatus = "unsupported" if code == "unsupported_file" else "failed"
    return status, Reason(code=code, message=message, retryable=code in RETRYABLE)


def too_late(document: Document) -> Reason:
    if document.faults and document.blocked:
        return document.blocked
    if document.faults:
        message = "The service was busy or could not be reached for too long."
        return Reason(code="service_busy", message=message, retryable=True)
    return Reason(code="timeout", message="The service did not finish indexing in time.", retryable=True)


def _ended(
    attempts: tuple[Attempt, ...], at: datetime, status: DocumentStatus, reason: Reason | None
) -> tuple[Attempt, ...]:
    if not attempts or attempts[-1].ended_at:
        return attempts
    return (*attempts[:-1], replace(attempts[-1], ended_at=at, status=status, reason=reason))
