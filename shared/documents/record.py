"""DOC."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shared.documents.lifecycle import is_due
from shared.models.documents import Document, DocumentSummary, Reason, Receipt, collection_of
from shared.storage.records import Records, key_of, pack, unpack

if TYPE_CHECKING:
    from shared.storage.blobs import BlobInfo, Blobs


REASON_MAX_CHARS = 200  # of a reason in listings, whose room is limited


def document_records(state: Blobs) -> Records[Document]:
    return Records(state, Document, name=record_name, tags=tags_of)


def receipt_records(state: Blobs) -> Records[Receipt]:
    """By `<receipts of its path>/<id>`; ids sort newest first."""
    return Records(state, Receipt, name=lambda key: key)


def record_name(path: str) -> str:
    # The whole path below the collection: `a.pdf` and `default/a.pdf` are two documents of one collection.
    return f"index/{key_of(collection_of(path))}/{key_of(path)}.json"


def receipt_prefix(path: str) -> str:
    return f"receipts/{key_of(collection_of(path))}/{key_of(path)}/"


def summary_in(blob: BlobInfo) -> DocumentSummary:
    summary = unpack(blob.metadata["summary"], DocumentSummary)
    return replace(summary, collection=collection_of(summary.path))


def summary_of(document: Document) -> DocumentSummary:
    """What listings show."""
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
    return replace(reason, message=reason.message[:REASON_MAX_CHARS]) if reason else None


def tags_of(document: Document) -> dict[str, str]:
    # 8 KiB is all that metadata may take; the collection can be told from the path.
    tags = {"summary": pack(replace(summary_of(document), collection=""))}
    told = {"lost": document.lost_since is not None, "due": is_due(document)}
    return {**tags, **{name: "true" for name, is_so in told.items() if is_so}}
