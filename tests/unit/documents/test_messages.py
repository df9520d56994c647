"""The messages of the queues, as the app sends and reads them."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from shared.documents.messages import (
    IndexDocument,
    IndexingMessage,
    LookAtDocument,
    ReconcileCollection,
    RemoveCollection,
    RemoveDocument,
    RemoveFolder,
    RetryDocument,
    RunReport,
    deleted_path,
    indexing_message,
    poisoned_path,
)
from shared.runs.messages import RunLook, run_look


@pytest.mark.parametrize(
    "message",
    [
        IndexDocument("a/ü.md", first_at=datetime(2026, 3, 1, tzinfo=UTC), attempt=2),
        LookAtDocument("a/ü.md"),
        LookAtDocument("a/ü.md", slot_reserved=True),
        RetryDocument("a.md"),
        RemoveDocument("a.md"),
        RemoveFolder("a/"),
        RemoveCollection("a"),
        RunReport("rec_1"),
        ReconcileCollection("a"),
    ],
    ids=repr,
)
def test_the_app_reads_what_it_sends(message: IndexingMessage) -> None:
    assert indexing_message(msgspec.json.encode(message)) == message


def test_a_look_at_a_run() -> None:
    assert run_look(msgspec.json.encode(RunLook("run_1", 3))) == RunLook("run_1", 3)


def test_a_poisoned_blob_event() -> None:
    body = b"""{"Type": "BlobTrigger", "FunctionId": "Host.Functions.index_document", "BlobType": "BlockBlob",
                "ContainerName": "documents", "BlobName": "a/b c.md", "ETag": "0x8D"}"""
    assert poisoned_path(body) == "a/b c.md"


@pytest.mark.parametrize("path", ["a.md", "c/a b.md", "x/blobs/y.md", "ü/文.md", "a%20b.md"])
def test_a_deleted_blob(path: str) -> None:
    subject = f"/blobServices/default/containers/documents/blobs/{path}"
    body = msgspec.json.encode({"subject": subject, "eventType": "Microsoft.Storage.BlobDeleted", "data": {"url": "x"}})
    assert deleted_path(body) == path


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"path": 1}', b'{"do": "dance"}', b"\xff"])
@pytest.mark.parametrize("read", [indexing_message, run_look, poisoned_path, deleted_path])
def test_a_message_that_cannot_be_read_raises(read: object, body: bytes) -> None:
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
        read(body)  # type: ignore[operator]
