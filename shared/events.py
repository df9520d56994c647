"""What the queues bring, as our words. A message that cannot be read raises: the host retries it, then poisons it."""

from __future__ import annotations

import msgspec

GAVE_UP = "Indexing failed several times in a row; see the app's log. Upload the file again to retry."


class _Look(msgspec.Struct):
    path: str


class _RunLook(msgspec.Struct):
    run_id: str
    generation: int


class _Poisoned(msgspec.Struct):
    """Source: BlobTriggerMessage of the Functions host; its fields are written in Pascal case."""

    BlobName: str


class _Deleted(msgspec.Struct):
    """Source: https://learn.microsoft.com/azure/event-grid/event-schema-blob-storage"""

    subject: str


def document_path(body: bytes) -> str:
    return msgspec.json.decode(body, type=_Look).path


def run_look(body: bytes) -> tuple[str, int]:
    message = msgspec.json.decode(body, type=_RunLook)
    return message.run_id, message.generation


def poisoned_path(body: bytes) -> str:
    return msgspec.json.decode(body, type=_Poisoned).BlobName


def deleted_path(body: bytes) -> str:
    """`/blobServices/default/containers/documents/blobs/<path>` -> `<path>`. The subject holds the name as it is."""
    return msgspec.json.decode(body, type=_Deleted).subject.split("/blobs/", 1)[1]
