"""The messages of the queues `indexing` and `document-events`, and of their poison queues.

A message that cannot be decoded raises: the host retries it and then moves it to the poison queue.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from shared.telemetry import trace_for_message


class _Message(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="do"):
    """A message of the queue `indexing`; its field `do` says what is to be done. `trace`: of the span that sent it."""

    trace: str | msgspec.UnsetType = msgspec.field(default_factory=trace_for_message)


class IndexDocument(_Message, frozen=True, tag="index"):
    """Handle the event of a blob again. `attempt` counts from 1, `first_at` is the time of the first try."""

    path: str
    first_at: datetime
    attempt: int


class LookAtDocument(_Message, frozen=True, tag="look"):
    """Do the document's next step. `slot_reserved`: it may be uploaded without another upload slot."""

    path: str
    slot_reserved: bool = False


class RetryDocument(_Message, frozen=True, tag="retry"):
    """Index the document's current version again."""

    path: str


class RemoveDocument(_Message, frozen=True, tag="remove"):
    """The document's blob was deleted: remove everything that was made of it."""

    path: str


class RemoveFolder(_Message, frozen=True, tag="remove_folder"):
    """Delete the blobs below the folder, which ends with a slash."""

    folder: str


class RemoveCollection(_Message, frozen=True, tag="remove_collection"):
    """Delete the collection's blobs, and then its vector stores."""

    collection: str


class RunReport(_Message, frozen=True, tag="run_report"):
    """Do the reconcile pass of this report."""

    report_id: str


class ReconcileCollection(_Message, frozen=True, tag="reconcile_collection"):
    """Start a reconcile pass of the collection: one of its vector stores was lost."""

    collection: str


IndexingMessage = (
    IndexDocument
    | LookAtDocument
    | RetryDocument
    | RemoveDocument
    | RemoveFolder
    | RemoveCollection
    | RunReport
    | ReconcileCollection
)


_decoder: msgspec.json.Decoder[IndexingMessage] = msgspec.json.Decoder(IndexingMessage)


def indexing_message(body: bytes) -> IndexingMessage:
    return _decoder.decode(body)


class _Poisoned(msgspec.Struct):
    """Source: BlobTriggerMessage of the Functions host; its fields are written in Pascal case."""

    BlobName: str


class _Deleted(msgspec.Struct):
    """Source: https://learn.microsoft.com/azure/event-grid/event-schema-blob-storage"""

    subject: str


def poisoned_path(body: bytes) -> str:
    """The path in a message of `webjobs-blobtrigger-poison`."""
    return msgspec.json.decode(body, type=_Poisoned).BlobName


def deleted_path(body: bytes) -> str:
    """`/blobServices/default/containers/documents/blobs/<path>` -> `<path>`. The subject is not URL-encoded."""
    return msgspec.json.decode(body, type=_Deleted).subject.split("/blobs/", 1)[1]
