"""Bodies, answers and notifications of documents, collections and search."""

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
    schema_only,
)
from shared.http.shapes.base import Body
from shared.http.shapes.runs import ADVANCED
from shared.models.documents import DEFAULT_COLLECTION, Attempt, DocumentStatus, DocumentSummary, Kind, Reason, Receipt


class SearchBody(Body, frozen=True):
    """A search for passages, without an answer of a model."""

    query: Annotated[str, Meta(description="The text to search for.", examples=["door code"]), schema_only(minLength=1)]
    collection: Annotated[
        str, Meta(description="The collection to search."), schema_only(minLength=1, maxLength=COLLECTION_MAX_CHARS)
    ] = DEFAULT_COLLECTION
    filters: Annotated[
        dict[str, Any] | None,
        Meta(
            description="A filter on the blobs' metadata: {type: eq|ne|gt|gte|lt|lte|in|nin, key, value}, or {type: "
            "and|or, filters: [...]}.",
            examples=[{"type": "eq", "key": "team", "value": "hr"}],
        ),
        ADVANCED,
    ] = None
    limit: Annotated[int, Meta(ge=1, le=RESULTS_MAX, description="The maximum number of passages.")] = RESULTS_DEFAULT


class CollectionBody(Body, frozen=True):
    """The settings of a collection."""

    expires_days: Annotated[
        Annotated[int, Meta(ge=1, le=EXPIRY_MAX_DAYS)] | None,
        Meta(description="The service deletes its vector stores after this many days without use; null: never."),
    ]


class DocumentPage(msgspec.Struct, frozen=True, kw_only=True):
    documents: list[DocumentSummary]
    cursor: str | None


class PlaceText(msgspec.Struct, frozen=True, kw_only=True):
    """The text of a page, a slide, a section or a data card. Which of them it is, is named as in a citation."""

    page: int | None
    slide: int | None
    section: str | None
    text: str


class DocumentText(msgspec.Struct, frozen=True, kw_only=True):
    """The text of a document, in its order. `complete` is false when some of it is not here."""

    path: str
    etag: str
    places: list[PlaceText]
    complete: bool


class DocumentView(msgspec.Struct, frozen=True, kw_only=True):
    """A document with its attempts, the newest first. `metadata` is that of the blob."""

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
    """The path, folder or collection that is being deleted; GET /api/receipts lists what was removed."""

    deleting: str


class ReceiptPage(msgspec.Struct, frozen=True, kw_only=True):
    receipts: list[Receipt]
    cursor: str | None


class SearchResults(msgspec.Struct, frozen=True, kw_only=True):
    """Passages, best first. `indexing`: the number of documents with a version that is still being indexed."""

    query: str
    collection: str
    results: Annotated[
        list[Hit],
        Meta(
            description="The passages. `text` and `section` are the documents' own words, neither Markdown nor HTML, "
            "and not escaped: escape them for where they are shown."
        ),
    ]
    indexing: int


class CollectionPage(msgspec.Struct, frozen=True, kw_only=True):
    collections: list[CollectionView]
    cursor: str | None


class DocumentNotice(msgspec.Struct, frozen=True, kw_only=True):
    """The new state of a document. A removed document has a `receipt`."""

    path: str
    collection: str
    etag: str
    status: DocumentStatus | None = None
    reason: Reason | None = None
    receipt: str | None = None


class DocumentChanged(msgspec.Struct, frozen=True, kw_only=True):
    """The notification that a document was indexed or removed, or could not be indexed."""

    type: Literal["document.indexed", "document.failed", "document.removed"]
    timestamp: datetime
    data: DocumentNotice


class Uploaded(msgspec.Struct, frozen=True, kw_only=True):
    """A stored document; GET /api/documents/{path} returns its index status."""

    path: str
    collection: str
    etag: str
    size_bytes: int


class UploadBody(Body, frozen=True):
    """What the document to upload will be."""

    content_type: Annotated[
        str, Meta(description="The media type of the file."), schema_only(minLength=1, maxLength=200)
    ] = "application/octet-stream"
    metadata: Annotated[
        dict[str, str],
        Meta(description="Metadata of the blob, for search filters.", examples=[{"team": "hr"}]),
        ADVANCED,
    ] = {}


class UploadTarget(msgspec.Struct, frozen=True, kw_only=True):
    """PUT the file to `url` with these headers before `expires_at`. A document over `max_bytes` cannot be indexed."""

    path: str
    collection: str
    url: str
    headers: dict[str, str]
    expires_at: datetime
    max_bytes: int
    method: Literal["PUT"] = "PUT"
