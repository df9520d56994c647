"""What the queues bring."""

from __future__ import annotations

import msgspec
import pytest

from shared.documents.messages import deleted_path, document_path, poisoned_path
from shared.runs.messages import run_look


def test_the_app_reads_what_it_sends() -> None:
    assert document_path('{"path": "a/ü.md"}'.encode()) == "a/ü.md"
    assert run_look(b'{"run_id": "run_1", "generation": 3}') == ("run_1", 3)


def test_a_poisoned_blob_event() -> None:
    body = b"""{"Type": "BlobTrigger", "FunctionId": "Host.Functions.index_document", "BlobType": "BlockBlob",
                "ContainerName": "documents", "BlobName": "a/b c.md", "ETag": "0x8D"}"""
    assert poisoned_path(body) == "a/b c.md"


@pytest.mark.parametrize("path", ["a.md", "c/a b.md", "x/blobs/y.md", "ü/文.md", "a%20b.md"])
def test_a_deleted_blob(path: str) -> None:
    subject = f"/blobServices/default/containers/documents/blobs/{path}"
    body = msgspec.json.encode({"subject": subject, "eventType": "Microsoft.Storage.BlobDeleted", "data": {"url": "x"}})
    assert deleted_path(body) == path


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"path": 1}', b"\xff"])
@pytest.mark.parametrize("read", [document_path, run_look, poisoned_path, deleted_path])
def test_what_cannot_be_read_raises(read: object, body: bytes) -> None:
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
        read(body)  # type: ignore[operator]
