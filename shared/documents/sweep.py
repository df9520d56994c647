"""Finds documents whose event or message is lost or hidden, every minute and by names and etags alone.

A Functions host that dies keeps the messages that it had fetched hidden for ten minutes. Two listings, of the blobs and
of the records, show which documents wait for such a message: to be indexed, to be removed, or to have what is retired
deleted. Each gets a new one. A pass of reconcile.py compares with the service, too, and is rarer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from shared import telemetry
from shared.documents.messages import IndexDocument, RemoveDocument, RetryDocument
from shared.documents.record import Waiting, summary_in, waiting_in
from shared.errors import ListingFailed
from shared.formats.filetypes import bad_path
from shared.logs import event
from shared.models.documents import DocumentSummary
from shared.storage.layout import DOCUMENTS

if TYPE_CHECKING:
    from shared.storage.blobs import Storage
    from shared.storage.listings import BlobInfo

log = logging.getLogger(__name__)

EVENT_MAX_AGE = timedelta(seconds=20)  # an event or message that is later than this is lost or hidden
STEP_MAX_AGE = timedelta(seconds=60)  # a try to delete files that is later than this is lost or hidden
CLAIM_GRACE = timedelta(seconds=5)  # for clocks that differ
REST = 20  # a sweep takes at most one part in so many of the time: on a laptop, one is due every ten seconds
REST_MAX = timedelta(seconds=50)  # less than a minute: in Azure, each one that is due is done
SUSPECTS_MAX = 10
MESSAGES_MAX = 200  # of one sweep: the next one finds the rest

Message = IndexDocument | RemoveDocument | RetryDocument


class DocumentSweep:
    def __init__(self, storage: Storage, *, now: Callable[[], datetime]) -> None:
        self._blobs = storage.documents
        self._state = storage.state
        self._queue = storage.indexing
        self._now = now
        self._ended_at, self._rest = now(), timedelta()

    async def run(self) -> int:
        """Enqueue a message for each document that waits for a lost one. Returns their number.

        0 without a look when the last sweep has ended a moment ago: with many documents, a listing takes seconds.
        """
        begun_at = self._now()
        if timedelta() <= begun_at - self._ended_at < self._rest:
            return 0
        sent = await self._sweep()
        self._ended_at = self._now()
        self._rest = min(REST * (self._ended_at - begun_at), REST_MAX)
        return sent

    async def _sweep(self) -> int:
        records: dict[str, tuple[DocumentSummary, Waiting]] = {}
        async for record in self._state.list(DOCUMENTS):
            summary = summary_in(record)
            records[summary.path] = summary, waiting_in(record)
        waiting = [summary.updated_at for summary, _ in records.values() if summary.status == "indexing"]
        telemetry.measure("documents.backlog_age", (self._now() - min(waiting, default=self._now())).total_seconds())
        try:
            blobs = {blob.name: blob async for blob in self._blobs.list()}
        except ListingFailed as exc:  # a retry changes nothing: the next sweep looks again
            event(log, logging.ERROR, f"document.{exc.code}", detail=exc.message + unlistable(records))
            return 0
        sent = 0
        for message in islice(overdue(blobs, records, now=self._now()), MESSAGES_MAX):
            event(log, logging.WARNING, "document.overdue", path=message.path, message=type(message).__name__)
            await self._queue.send(message)
            sent += 1
        return sent


def unlistable(paths: Iterable[str]) -> str:
    """A sentence that names documents for which storage may not be able to list them: the app takes no such name."""
    found = sorted(path for path in paths if bad_path(path))[:SUSPECTS_MAX]
    return f" It can be one of: {', '.join(map(ascii, found))}." if found else ""


def overdue(
    blobs: Mapping[str, BlobInfo], records: Mapping[str, tuple[DocumentSummary, Waiting]], *, now: datetime
) -> Iterator[Message]:
    """The messages for documents whose own message is overdue. Pure."""
    expected_at = _events_until(blobs, records, now)
    for path, blob in blobs.items():
        summary, waiting = records.get(path, (None, Waiting()))
        if summary is None or summary.etag != blob.etag or summary.status == "removing":
            is_fresh = expected_at - blob.last_modified_at < EVENT_MAX_AGE
            if not is_fresh and (summary is None or now - summary.updated_at > EVENT_MAX_AGE):
                yield IndexDocument(path, first_at=now, attempt=1)
        elif _is_late(waiting.claimed_until, now, CLAIM_GRACE) or _is_late(waiting.due_at, now, STEP_MAX_AGE):
            yield RetryDocument(path)
    for path in records.keys() - blobs.keys():
        summary, waiting = records[path]
        if summary.status == "removing":
            is_late = _is_late(waiting.due_at or summary.updated_at, now, STEP_MAX_AGE)
        else:
            is_late = _is_late(summary.updated_at, now, EVENT_MAX_AGE)
        if is_late:
            yield RemoveDocument(path)


def _events_until(
    blobs: Mapping[str, BlobInfo], records: Mapping[str, tuple[DocumentSummary, Waiting]], now: datetime
) -> datetime:
    """Events of blobs that were written before this moment should have come.

    Events come about in the order of the writes. While documents finish, a backlog is worked off, and only blobs older
    than the newest one that was taken up are late: a second message for each that waits would double the work.
    """
    taken_up = [
        (blob.last_modified_at, summary)
        for path, blob in blobs.items()
        if path in records and (summary := records[path][0]).etag == blob.etag
    ]
    ended = [summary.updated_at for _, summary in taken_up if summary.status not in {"indexing", "removing"}]
    if not ended or now - max(ended) > EVENT_MAX_AGE:
        return now
    return max(written_at for written_at, _ in taken_up)


def _is_late(due_at: datetime | None, now: datetime, grace: timedelta) -> bool:
    return due_at is not None and now - due_at > grace
