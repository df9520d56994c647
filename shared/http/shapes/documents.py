"""DOC."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from shared.collections.search import Hit
from shared.documents.collection_view import CollectionView
from shared.http.fields import (
    COLLECTION_MAX_CHARS,
    EXPIRY_MAX_DAYS,
    RESULTS_DEFAULT,
    RESULTS_MAX,
    shown,
)
from shared.http.shapes.base import Body
from shared.http.shapes.runs import ADVANCED
from shared.models.documents import DEFAULT_COLLECTION, Attempt, DocumentStatus, DocumentSummary, Kind, Reason, Receipt


class SearchBody(Body, frozen=True):
    """A query for passages, without an answer."""

    query: Annotated[str, Meta(description="What to look for.", examples=["door code"]), shown(minLength=1)]
    collection: Annotated[
        str, Meta(description="The collection to search."), shown(minLength=1, maxLength=COLLECTION_MAX_CHARS)
    ] = DEFAULT_COLLECTION
    filters: Annotated[
        dict[str, Any] | None,
        Meta(
            description="Which documents, by their blobs' metadata: {type: eq|ne|gt|gte|lt|lte|in|nin, key, value}, or "
            "{type: and|or, filters: [...]}.",
            examples=[{"type": "eq", "key": "team", "value": "hr"}],
        ),
        ADVANCED,
    ] = None
    limit: Annotated[int, Meta(ge=1, le=RESULTS_MAX, description="How many passages at most.")] = RESULTS_DEFAULT


class CollectionBody(Body, frozen=True):
    """What can be set of a collection."""

    expires_days: Annotated[
        Annotated[int, Meta(ge=1, le=EXPIRY_MAX_DAYS)] | None,
        Meta(description="Idle days after which the service drops its vector stores; null: never."),
    ]


class DocumentPage(msgspec.Struct, frozen=True, kw_only=True):
    documents: list[DocumentSummary]
    cursor: str | None


class DocumentView(msgspec.Struct, frozen=True, kw_only=True):
    """A document with the history of its attempts, the newest first. `metadata` is its blob's."""

    path: str
    collection: str
    status: DocumentStatus
    size_bytes: int
    etag: str
    answers_etag: str | None
    kind: Kind | None
    parts: int
    reason: Reason | None
    notice: Reason | None
    metadata: dict[str, str]
    tries: int
    attempts: list[Attempt]
    updated_at: datetime
    indexed_at: datetime | None
    deadline_at: datetime | None


class Deleting(msgspec.Struct, frozen=True, kw_only=True):
    """What is going to be gone; GET /api/receipts proves it afterwards."""

    deleting: str


class ReceiptPage(msgspec.Struct, frozen=True, kw_only=True):
    receipts: list[Receipt]
    cursor: str | None


class SearchResults(msgspec.Struct, frozen=True, kw_only=True):
    """Passages, best first. `indexing`: documents of the collection of which a version is still to come."""

    query: str
    collection: str
    results: list[Hit]
    indexing: int


class CollectionPage(msgspec.Struct, frozen=True, kw_only=True):
    collections: list[CollectionView]


class DocumentNotice(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a document. `receipt` is there when it was removed."""

    path: str
    collection: str
    etag: str
    status: DocumentStatus | None = None
    reason: Reason | None = None
    receipt: str | None = None


class DocumentChanged(msgspec.Struct, frozen=True, kw_only=True):
    """What a hook gets when a document was indexed or removed, or could not be indexed."""

    type: Literal["document.indexed", "document.failed", "document.removed"]
    timestamp: datetime
    data: DocumentNotice


class Uploaded(msgspec.Struct, frozen=True, kw_only=True):
    """A document that is stored; GET /api/documents says when it is indexed."""

    path: str
    collection: str
    etag: str
    size_bytes: int
