"""`Client` with the real processes."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.client import LARGE_BYTES, Client, collection_of
from local.errors import LocalError, RequestFailed
from local.stack.stack import Stack

pytestmark = pytest.mark.acceptance
TEXT = b"# Tea\n\nThe kitchen's green tea is brewed at 78 degrees for two minutes.\n"


@pytest.fixture
def client(stack: Stack) -> Iterator[Client]:
    with Client(stack.app_url, storage=stack.azurite.connection_string) as client:
        yield client


def test_drop_ask_and_read_the_answer(client: Client) -> None:
    collection = f"tea-{uuid.uuid4().hex[:8]}"
    path = f"{collection}/tea.md"
    seen: list[dict[str, Any]] = []
    final = client.wait_indexed({path: client.drop_bytes(TEXT, path)}, on_final=seen.append)
    assert final[path]["status"] == "indexed"
    assert seen == [final[path]]

    accepted = client.ask("At how many degrees is green tea brewed?", collection=collection)
    looks: list[dict[str, Any]] = []
    run = client.wait(accepted, on_look=looks.append)
    assert (run["id"], run["thread_id"], run["status"]) == (accepted.id, accepted.thread_id, "completed")
    assert "78" in run["answer"]
    assert {citation["document"] for citation in run["citations"]} == {path}
    assert looks[-1] == run
    assert f"{run['id']}/answer.json" in client.answer_blobs(run["id"])
    assert "78" in (client.read_answer_blob(f"{run['id']}/answer.md") or b"").decode()


@pytest.mark.parametrize("from_file", [True, False], ids=["file", "bytes"])
def test_a_large_file_goes_to_the_upload_url(
    client: Client, stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, from_file: bool
) -> None:
    """Without access to storage: only the app's URL takes it."""
    monkeypatch.setattr("local.client.LARGE_BYTES", len(TEXT) - 1)
    path = f"tea-{uuid.uuid4().hex[:8]}/ein Maß/tea ü.md"
    (tmp_path / "tea.md").write_bytes(TEXT)
    no_access = stack.azurite.connection_string.replace(stack.azurite.account_key, "bm9uZQ==")
    with Client(stack.app_url, storage=no_access) as stranger:
        etag = stranger.drop(tmp_path / "tea.md", path) if from_file else stranger.drop_bytes(TEXT, path)
        with pytest.raises(LocalError, match="Storage failed"):
            stranger.drop_bytes(b"small", path)
    final = client.wait_indexed({path: etag}, on_final=lambda _: None)
    assert final[path]["status"] == "indexed"


def test_large_means_over_8_mib() -> None:
    assert LARGE_BYTES == 8 * 1024 * 1024


def test_a_missing_answer_is_none(client: Client) -> None:
    assert client.read_answer_blob("run_missing/answer.json") is None
    assert client.answer_blobs("run_missing") == []


def test_waiting_for_a_missing_document_ends_after_the_timeout(client: Client) -> None:
    assert client.wait_indexed({"missing.md": "0x1"}, on_final=lambda _: None, within_s=0.1) == {}


def test_documents_of_several_collections_are_waited_for(client: Client) -> None:
    paths = [f"{name}-{uuid.uuid4().hex[:8]}/tea.md" for name in ("green", "black")]
    final = client.wait_indexed({path: client.drop_bytes(TEXT, path) for path in paths}, on_final=lambda _: None)
    assert final.keys() == set(paths)
    assert [document["path"] for document in client.documents(paths[0].split("/")[0])] == [paths[0]]
    assert set(paths) <= {document["path"] for document in client.documents()}


@pytest.mark.parametrize(("path", "collection"), [("tea.md", "default"), ("tea/a.md", "tea"), ("tea/b/c.md", "tea")])
def test_a_collection_is_the_top_folder(path: str, collection: str) -> None:
    assert collection_of(path) == collection


def test_all_pages_of_documents_are_read(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    collection = f"tea-{uuid.uuid4().hex[:8]}"
    etags = {path: client.drop_bytes(TEXT, path) for path in (f"{collection}/{n}.md" for n in range(5))}
    client.wait_indexed(etags, on_final=lambda _: None)
    monkeypatch.setattr("local.client.PAGE", 2)
    assert [document["path"] for document in client.documents(collection)] == sorted(etags)


def test_a_rejected_request_raises_with_its_reason(client: Client) -> None:
    with pytest.raises(RequestFailed) as caught:
        client.ask("Anything?", thread_id="thread_that_never_was")
    assert caught.value.status in (400, 404, 422)
    assert caught.value.code
    assert str(caught.value)


def test_the_error_names_an_app_that_does_not_answer(stack: Stack) -> None:
    with (
        Client("http://127.0.0.1:9", storage=stack.azurite.connection_string) as client,
        pytest.raises(LocalError, match=r"The app at http://127\.0\.0\.1:9 did not answer"),
    ):
        client.documents()


def test_storage_that_does_not_answer_raises(stack: Stack) -> None:
    gone = stack.azurite.connection_string.replace(f":{stack.azurite.ports[0]}/", ":9/")
    with Client(stack.app_url, storage=gone) as client, pytest.raises(LocalError, match="Storage failed"):
        client.drop_bytes(TEXT, "tea.md")
