"""DOC."""

from __future__ import annotations

import msgspec


class Work(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One message; one of its fields says what it is about."""

    path: str | None = None  # look at this document
    admitted: bool = False  # it is its turn to be sent
    retry: bool = False  # index it anew
    removed: str | None = None  # its blob is gone
    folder: str | None = None  # delete the blobs below it
    collection: str | None = None  # delete it
    report: str | None = None  # compare everything
    reconcile: str | None = None  # compare this collection, of which a store was lost


GAVE_UP = "Indexing failed several times in a row; see the app's log. Upload the file again to retry."


class _Look(msgspec.Struct):
    path: str


class _Poisoned(msgspec.Struct):
    """Source: BlobTriggerMessage of the Functions host; its fields are written in Pascal case."""

    BlobName: str


class _Deleted(msgspec.Struct):
    """Source: https://learn.microsoft.com/azure/event-grid/event-schema-blob-storage"""

    subject: str


def document_path(body: bytes) -> str:
    return msgspec.json.decode(body, type=_Look).path


def poisoned_path(body: bytes) -> str:
    return msgspec.json.decode(body, type=_Poisoned).BlobName


def deleted_path(body: bytes) -> str:
    """`/blobServices/default/containers/documents/blobs/<path>` -> `<path>`. The subject holds the name as it is."""
    return msgspec.json.decode(body, type=_Deleted).subject.split("/blobs/", 1)[1]
