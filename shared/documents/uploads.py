"""Documents that a caller without access to storage uploads over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.documents.conditions import NO_CONDITION, Condition
from shared.errors import BlobChanged, Busy
from shared.storage.missing import or_none

if TYPE_CHECKING:
    from shared.storage.blobs import Blobs


class Uploads:
    def __init__(self, documents: Blobs) -> None:
        self._blobs = documents

    async def put(
        self,
        path: str,
        content: bytes,
        *,
        media_type: str,
        metadata: dict[str, str],
        only_if: Condition = NO_CONDITION,
    ) -> str:
        """Write a blob over the version that is there now, and return its etag. Its event starts indexing.

        The condition keeps a late repeat of a write that failed for its caller from overwriting a newer one.

        Raises:
            Outdated: the caller's condition does not hold; nothing was written.
            Busy: another upload of this document was first; nothing was written.
        """
        blob = await or_none(self._blobs.info(path))
        etag = blob.etag if blob else None
        only_if.check(path, etag)
        missing = None if etag else "*"
        try:
            return await self._blobs.write(
                path, content, media_type=media_type, metadata=metadata, if_match=etag, if_none_match=missing
            )
        except BlobChanged as exc:
            raise Busy(
                f"The document {path!r} was written by another upload. Send yours again to replace it.",
                code="document_busy",
            ) from exc
