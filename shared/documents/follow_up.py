"""The follow-up of a changed record: publish visibility, keep retired versions that are read, announce the status."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.collections.visibility import VisibilityBlobs
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

    async def publish_visibility(self, path: str, *, without: tuple[Version, ...] = ()) -> None:
        """Publish the document's visibility as its current record implies.

        Args:
            without: Retired versions whose files were deleted, which the record still lists.
        """

        async def read() -> Document | None:
            stored = await self._records.read(path)
            if stored is None:
                return None
            return replace(stored.value, retired=tuple(v for v in stored.value.retired if v not in without))

        await self._visibility.publish(path, read)

    async def is_retired_needed(self, document: Document) -> bool:
        """Whether an active run or search may still need the retired versions."""
        since = document.retired_at
        if not since or not self._filters or self._now() - since > READERS_MAX:
            return False
        if document.visibility_due or self._now() - since < SEARCH_MAX:
            return True
        # Visibility is published shortly after `since`: a run that started in between still searches the old version.
        return await self._visibility.has_run_started_before(since + SEARCH_MAX)

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
