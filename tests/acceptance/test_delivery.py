"""Duplicate, late and poisoned messages, and dying processes: each run has one answer, and the index is correct."""

import time
from collections.abc import Callable

import pytest

from local.client import Accepted, Client
from local.stack.stack import Stack
from tests.acceptance import storage
from tests.acceptance.chat_server import ChatServer

pytestmark = pytest.mark.aside

Drop = Callable[[dict[str, bytes]], dict[str, storage.Json]]


def ask(client: Client, question: str, collection: str) -> storage.Json:
    return client.wait(client.ask(question, collection=collection), on_look=lambda _: None, within_s=120)


def emulator_files(stack: Stack) -> set[str]:
    import openai

    with openai.OpenAI(base_url=stack.service.base_url, api_key="local") as service:
        return {file.id for file in service.files.list()}


def test_after_overwriting_a_document_its_new_content_is_used(
    client: Client, collection: str, drop: Drop, stack: Stack
) -> None:
    path = f"{collection}/door.md"
    drop({path: b"# Door\n\nThe code of the front door is 4711.\n"})
    assert "4711" in ask(client, "What is the code of the front door?", collection)["answer"]
    before = emulator_files(stack)
    document = drop({path: b"# Door\n\nThe code of the front door is 8822.\n"})[path]
    run = ask(client, "What is the code of the front door?", collection)
    assert "8822" in run["answer"]
    assert "4711" not in run["markdown"]
    assert run["citations"][0]["etag"] == document["etag"]
    storage.wait_until(lambda: len(emulator_files(stack)) == len(before))  # the file of the old version is deleted


def test_the_same_blob_event_twice_indexes_once(client: Client, collection: str, drop: Drop, stack: Stack) -> None:
    path = f"{collection}/once.txt"
    drop({path: b"The spare key lies under the third flower pot."})
    before = emulator_files(stack)
    import httpx2

    event = {
        "id": "twice",
        "topic": "/subscriptions/0/resourceGroups/r/providers/Microsoft.Storage/storageAccounts/devstoreaccount1",
        "subject": f"/blobServices/default/containers/documents/blobs/{path}",
        "eventType": "Microsoft.Storage.BlobCreated",
        "eventTime": "2026-01-01T00:00:00Z",
        "data": {"api": "PutBlob", "blobType": "BlockBlob", "url": f"{stack.azurite.blob_endpoint}/documents/{path}"},
        "dataVersion": "",
        "metadataVersion": "1",
    }
    url = f"{stack.app_url}/runtime/webhooks/blobs?functionName=Host.Functions.index_document"
    for _ in range(3):
        answer = httpx2.post(url, json=[event], headers={"aeg-event-type": "Notification"}, trust_env=False)
        assert answer.status_code == 202
    drop({f"{collection}/later.txt": b"A later document: the events above are handled before it."})
    assert len(emulator_files(stack)) == len(before) + 1
    run = ask(client, "Where is the spare key?", collection)
    assert "third flower pot" in run["answer"]
    assert len({citation["file_id"] for citation in run["citations"]}) == 1


def test_a_deleted_document_is_not_used(client: Client, collection: str, drop: Drop, stack: Stack) -> None:
    path = f"{collection}/secret.txt"
    drop({path: b"The vault opens with the word sesame.", f"{collection}/other.txt": b"The canteen opens at noon."})
    before = emulator_files(stack)
    with storage.blobs(stack) as service:
        service.get_blob_client("documents", path).delete_blob()
    storage.wait_until(lambda: path not in {document["path"] for document in client.documents()})
    assert len(emulator_files(stack)) == len(before) - 1
    assert "sesame" not in ask(client, "Which word opens the vault?", collection)["markdown"]


def test_a_poisoned_run_ends_as_failed(slow_client: Client, slow_stack: Stack) -> None:
    accepted = slow_client.ask("How long does this take?")
    storage.send(slow_stack, "runs-poison", {"run_id": accepted.id, "generation": 1})
    run = slow_client.wait(accepted, on_look=lambda _: None, within_s=30)
    assert run["status"] == "failed"
    assert run["error"]["code"] == "internal_error"
    assert run["error"]["retryable"] is True
    assert storage.read_json(slow_stack, "answers", f"{accepted.id}/answer.json")["status"] == "failed"
    assert storage.names(slow_stack, "state", f"active/{accepted.id}") == []


def test_a_malformed_message_does_not_affect_other_runs(
    slow_client: Client, slow_stack: Stack, chat_server: ChatServer
) -> None:
    storage.send(slow_stack, "runs", {"unknown": "field"})
    chat_server.release()
    run = slow_client.wait(slow_client.ask("Is anybody there?"), on_look=lambda _: None)
    assert run["status"] == "completed"


@pytest.mark.parametrize("killed_after_s", [0.0, 1.0, 1.5], ids=lambda s: f"{s} s")
def test_a_host_killed_in_the_middle_of_a_run_leaves_one_answer(
    slow_client: Client, slow_stack: Stack, chat_server: ChatServer, killed_after_s: float
) -> None:
    asked_before = chat_server.asked
    accepted = slow_client.ask("What is the answer?")
    time.sleep(killed_after_s)  # the process is killed at different moments of the run
    slow_stack.host.kill()
    chat_server.release()  # the service finishes while no process polls
    slow_stack.start_again(slow_stack.host)
    run = finished(slow_client, accepted)
    assert run["status"] == "completed"
    assert chat_server.asked == asked_before + 1  # the engine was not started a second time
    assert run["answer"] == f"The answer is {chat_server.asked}."
    assert storage.names(slow_stack, "answers", accepted.id) == [
        f"{accepted.id}/answer.json",
        f"{accepted.id}/answer.md",
    ]


def test_a_lost_queue_message_is_found_by_the_sweep(
    slow_client: Client, slow_stack: Stack, chat_server: ChatServer
) -> None:
    from azure.storage.queue import QueueServiceClient

    accepted = slow_client.ask("Where did the message go?")
    slow_stack.host.kill()
    with QueueServiceClient.from_connection_string(slow_stack.azurite.connection_string) as service:
        service.get_queue_client("runs").clear_messages()
    chat_server.release()
    slow_stack.start_again(slow_stack.host)
    assert finished(slow_client, accepted)["status"] == "completed"


def test_a_question_asked_while_the_service_is_down_is_answered_later(
    slow_client: Client, slow_stack: Stack, chat_server: ChatServer
) -> None:
    chat_server.release()
    emulator = slow_stack.emulator
    assert emulator
    emulator.kill()
    accepted = slow_client.ask("Is the service there?")
    run, done = slow_client.look(accepted)
    assert (run["status"], done) == ("queued", False)
    slow_stack.start_again(emulator)
    assert finished(slow_client, accepted)["status"] == "completed"


def test_a_document_uploaded_while_the_host_is_down_is_indexed_later(
    client: Client, collection: str, stack: Stack
) -> None:
    stack.host.kill()
    etag = client.drop_bytes(b"The night shift starts at 22:00.", f"{collection}/shift.txt")
    stack.start_again(stack.host)
    final = client.wait_indexed({f"{collection}/shift.txt": etag}, on_final=lambda _: None)
    assert final[f"{collection}/shift.txt"]["status"] == "indexed"


def finished(client: Client, accepted: Accepted) -> storage.Json:
    """Wait for the run after a restart of the host, as long as the sweep can take."""
    return client.wait(accepted, on_look=lambda _: None, within_s=60)
