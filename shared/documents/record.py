"""The records of documents and receipts, and the summaries that listings return."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from shared.documents.lifecycle import is_due
from shared.models.documents import Document, DocumentSummary, Reason, Receipt, collection_of
from shared.storage.layout import document_name
from shared.storage.records import Records, pack, unpack

if TYPE_CHECKING:
    from shared.storage.blobs import Blobs
    from shared.storage.listings import BlobInfo


REASON_MAX_CHARS = 200  # of a reason in listings: blob metadata takes 8 KiB


def document_records(state: Blobs) -> Records[Document]:
    return Records(state, Document, name=document_name, tags=tags_of)


def receipt_records(state: Blobs) -> Records[Receipt]:
    """The key is the blob's name, `receipts/<collection>/<path>/<id>.json`; ids sort newest first."""
    return Records(state, Receipt, name=lambda key: key)


def summary_in(blob: BlobInfo) -> DocumentSummary:
    """The summary in the metadata of a listed record."""
    summary = unpack(blob.metadata["summary"], DocumentSummary)
    return replace(summary, collection=collection_of(summary.path))


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """What a listed record waits for.

    Attributes:
        claimed_until: Until then, a process claims to upload the document.
        due_at: A message for what is left to be done after its last status, or for its removal, was due then.
    """

    claimed_until: datetime | None = None
    due_at: datetime | None = None


def waiting_in(blob: BlobInfo) -> Waiting:
    times = {name: blob.metadata.get(name) for name in ("claimed_until", "due_at")}
    return Waiting(**{name: datetime.fromisoformat(text) for name, text in times.items() if text})


def summary_of(document: Document) -> DocumentSummary:
    """A document as listings show it."""
    shown = document.incoming or document.live
    return DocumentSummary(
        path=document.path,
        collection=document.collection,
        status=document.status,
        reason=_short(document),
        kind=shown.kind if shown else None,
        size_bytes=document.size_bytes,
        etag=document.etag,
        file_id=document.live.parts[0] if document.live and document.live.parts else None,
        answers_etag=document.live.etag if document.live else None,
        updated_at=document.updated_at,
        indexed_at=document.indexed_at,
        notice=shown.notice if shown else None,
        tries=document.tries,
        parts=len(document.live.parts) if document.live else 0,
    )


def _short(document: Document) -> Reason | None:
    reason = document.reason
    if reason is None or len(reason.message) <= REASON_MAX_CHARS:
        return reason
    return replace(reason, message=reason.message[: REASON_MAX_CHARS - 1] + "…")


def tags_of(document: Document) -> dict[str, str]:
    # Blob metadata takes at most 8 KiB; the collection follows from the path.
    tags = {"summary": pack(replace(summary_of(document), collection=""))}
    if document.claimed_until:
        tags["claimed_until"] = document.claimed_until.isoformat()
    if document.status == "removing" or is_due(document):
        tags["due_at"] = (document.look_at or document.updated_at).isoformat()
    return tags
