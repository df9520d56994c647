"""The follow-up of a changed record: publish visibility, keep retired versions that are read, announce the status."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.collections.visibility import Before, VisibilityBlobs
from shared.documents.record import document_records
from shared.models.documents import Document, Version

if TYPE_CHECKING:
    from shared.push.notices import Push
    from shared.storage.blobs import Storage

READERS_MAX = timedelta(hours=1)  # a replaced version is not kept longer for runs that started before
SEARCH_MAX = timedelta(seconds=5)  # a replaced version is kept at least this long, for searches in progress


class FollowUp:
    def __init__(
        self,
        storage: Storage,
        visibility: VisibilityBlobs,
        push: Push,
        *,
        filters: bool,
        now: Callable[[], datetime],
    ) -> None:
        """`filters`: whether the engine's file search takes filters that exclude versions."""
        self._records = document_records(storage.state)
        self._visibility = visibility
        self._push = push
        self._filters = filters
        self._now = now

    async def before(self, path: str) -> Before:
        """What `publish_visibility` needs to save two requests. Call it before the record is written."""
        return await self._visibility.before(path)

    async def publish_visibility(
        self,
        path: str,
        *,
        without: tuple[Version, ...] = (),
        written: Document | None = None,
        before: Before | None = None,
    ) -> Before | None:
        """Publish the document's visibility as its current record implies.

        Args:
            path: Of the document.
            without: Retired versions whose files were deleted, which the record still lists.
            written: The record, if this process has just written it, ...
            before: ... and what `before` returned before that.

        Returns:
            The `before` of the next call with the same record, or with one that is written after this call.
        """

        def left(document: Document) -> Document:
            return replace(document, retired=tuple(v for v in document.retired if v not in without))

        async def read() -> Document | None:
            stored = await self._records.read(path)
            return left(stored.value) if stored else None

        known = (before, left(written)) if before and written else None
        return await self._visibility.publish(path, read, written=known)

    async def still_read(self, document: Document) -> tuple[Version, ...]:
        """The retired versions that an active run or search may still read."""
        readable = tuple(version for version in document.retired if version.was_complete)
        since, now = document.retired_at, self._now()
        if not readable or not since or not self._filters or document.status == "removing" or now - since > READERS_MAX:
            return ()
        if document.visibility_due or now - since < SEARCH_MAX:
            return readable
        # Visibility is published shortly after `since`: a run that started in between still searches the old version.
        return readable if await self._visibility.has_run_started_before(since + SEARCH_MAX) else ()

    async def announce(self, document: Document) -> None:
        """Announce the version's status. A repeated announcement has the same id."""
        reason = document.reason
        data = {
            "path": document.path,
            "collection": document.collection,
            "etag": document.etag,
            "status": document.status,
            "reason": {"code": reason.code, "message": reason.message} if reason else None,
        }
        event = "document.indexed" if document.status == "indexed" else "document.failed"
        await self._push.announce(event, id=f"{document.path}@{document.etag}#{document.tries}", data=data)
