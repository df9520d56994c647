"""Event Grid: both webhooks, and the storage events from Azurite's access log."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
from azure.storage.blob import BlobBlock
from azure.storage.blob.aio import BlobClient, BlobServiceClient, ContainerClient
from azure.storage.queue.aio import QueueServiceClient

from local.functions_host import EventQueue, Host
from local.stack.azurite import Azurite
from tests.local.functions_host.apps import calls, client, host, unique, until, write_app

NOTE = """
    @app.blob_trigger(arg_name="blob", path="%CONTAINER%/{name}", connection="AzureWebJobsStorage",
                      source=func.BlobSource.EVENT_GRID)
    async def note(blob: func.InputStream) -> None:
        calls.append((blob.name.partition("/")[2], blob.read()))
"""
TRIGGER = """
    @app.event_grid_trigger(arg_name="event")
    def on_event(event: func.EventGridEvent) -> None:
        calls.append((event.id, event.event_type, event.subject, event.get_json()))
        if event.id == "bad":
            raise RuntimeError("always")
"""
NOTIFICATION = {"aeg-event-type": "Notification"}


def event_host(tmp_path: Path, azurite: Azurite, container: str, source: str = NOTE, **options: Any) -> Host:
    """A host with a blob trigger that gets the events of a container."""
    environ = {"CONTAINER": container} | options.pop("environ", {})
    return host(write_app(tmp_path / "app", source), azurite, environ, **options)


def event(subject: str, **changes: object) -> dict[str, object]:
    """An event in Event Grid's schema."""
    return {
        "id": "1",
        "topic": "/subscriptions/s",
        "subject": subject,
        "eventType": "Microsoft.Storage.BlobCreated",
        "eventTime": "2026-11-22T10:00:00.1234567Z",
        "data": {"api": "PutBlob"},
        "dataVersion": "",
        "metadataVersion": "1",
    } | changes


async def test_a_written_blob_raises_an_event_for_each_version(
    azurite: Azurite, container: ContainerClient, tmp_path: Path
) -> None:
    """Put Blob, Put Block List and Copy Blob raise an event; a change of metadata raises none."""
    async with event_host(tmp_path, azurite, container.container_name):
        await container.upload_blob("a b/ü.txt", b"1")
        await container.get_blob_client("a b/ü.txt").set_blob_metadata({"a": "b"})
        blocks = container.get_blob_client("blocks")
        await blocks.stage_block("aaaa", b"2")
        await blocks.commit_block_list([BlobBlock("aaaa")])
        await container.get_blob_client("copy").start_copy_from_url(blocks.url)
        await until(lambda: len(calls()) == 3)
        assert sorted(calls()) == [("a b/ü.txt", b"1"), ("blocks", b"2"), ("copy", b"2")]
        await container.upload_blob("a b/ü.txt", b"3", overwrite=True)
        await until(lambda: len(calls()) == 4)
        await asyncio.sleep(0.1)
        assert calls()[3:] == [("a b/ü.txt", b"3")]


async def test_only_blobs_of_the_triggers_path_are_delivered(
    azurite: Azurite, blob_service: BlobServiceClient, container: ContainerClient, tmp_path: Path
) -> None:
    """No blobs of other containers, and none that the path pattern does not match."""
    other = await blob_service.create_container(f"{container.container_name}-old")
    source = NOTE.replace("{name}", "in/{name}.txt")
    async with event_host(tmp_path, azurite, container.container_name, source):
        await other.upload_blob("in/a.txt", b"1")
        await container.upload_blob("in/a.pdf", b"2")
        await container.upload_blob("in/a.txt", b"3")
        await until(calls)
        await asyncio.sleep(0.1)
        assert calls() == [("in/a.txt", b"3")]


async def test_a_restarted_host_delivers_the_events_it_missed(
    azurite: Azurite, container: ContainerClient, tmp_path: Path
) -> None:
    """Events that were delivered before the restart are not delivered again."""
    environ = {"AzureFunctionsWebHost__hostid": unique("host")}
    async with event_host(tmp_path, azurite, container.container_name, environ=environ):
        await container.upload_blob("before", b"1")
        await until(calls)
    await container.upload_blob("while-down", b"2")
    async with event_host(tmp_path, azurite, container.container_name, environ=environ):
        await until(calls)
        await container.upload_blob("after", b"3")
        await until(lambda: len(calls()) == 2)
        assert calls() == [("while-down", b"2"), ("after", b"3")]


async def test_a_blob_that_was_deleted_before_its_event_is_skipped(
    azurite: Azurite, container: ContainerClient, tmp_path: Path
) -> None:
    await container.upload_blob("gone", b"1")
    await container.delete_blob("gone")
    async with event_host(tmp_path, azurite, container.container_name):
        await container.upload_blob("there", b"2")
        assert await until(calls) == [("there", b"2")]


async def test_the_event_queue_gets_the_events_of_deleted_blobs_only(
    azurite: Azurite, container: ContainerClient, tmp_path: Path
) -> None:
    """They have Event Grid's schema; a queue trigger receives them."""
    source = """
        @app.queue_trigger(arg_name="msg", queue_name="%EVENTS%", connection="AzureWebJobsStorage")
        async def on_event(msg: func.QueueMessage) -> None:
            calls.append(msg.get_json())
    """
    name, queue = container.container_name, unique("events")
    subscription = EventQueue(container=name, queue=queue)
    environ = {"EVENTS": queue}
    async with event_host(tmp_path, azurite, name, source, environ=environ, event_queues=[subscription]):
        await container.upload_blob("a b/ü.txt", b"1")
        await container.delete_blob("a b/ü.txt")
        [received] = await until(calls)
    assert received["eventType"] == "Microsoft.Storage.BlobDeleted"
    assert received["subject"] == f"/blobServices/default/containers/{name}/blobs/a b/ü.txt"
    assert received["data"]["api"] == "DeleteBlob"
    assert received["data"]["url"] == container.get_blob_client("a b/ü.txt").url
    assert received["topic"].endswith("/storageAccounts/devstoreaccount1")
    assert received.keys() == {
        "topic", "subject", "eventType", "id", "eventTime", "data", "dataVersion", "metadataVersion",
    }  # fmt: skip


async def test_the_event_queue_uses_base64_even_if_host_json_does_not(
    azurite: Azurite, container: ContainerClient, tmp_path: Path
) -> None:
    name, queue = container.container_name, unique("events")
    folder = write_app(tmp_path / "app", NOTE, host_json={"extensions": {"queues": {"messageEncoding": "none"}}})
    subscription = EventQueue(container=name, queue=queue)
    async with (
        QueueServiceClient.from_connection_string(azurite.connection_string) as queues,
        host(folder, azurite, {"CONTAINER": name}, event_queues=[subscription]),
    ):
        await container.upload_blob("a", b"1")
        await container.delete_blob("a")
        [message] = await until(lambda: queues.get_queue_client(queue).peek_messages())
    assert json.loads(base64.b64decode(message.content))["eventType"] == "Microsoft.Storage.BlobDeleted"


@pytest.mark.parametrize("text", ["documents", "=queue", "documents="])
def test_a_wrong_event_queue_option_raises(text: str) -> None:
    with pytest.raises(ValueError, match="CONTAINER=QUEUE"):
        EventQueue.parse(text)


# ---- /runtime/webhooks/blobs ---------------------------------------------------------------------------------------


async def post_blob_event(http: httpx2.AsyncClient, function: str, events: object) -> int:
    url = f"/runtime/webhooks/blobs?functionName=Host.Functions.{function}"
    return (await http.post(url, json=events, headers=NOTIFICATION)).status_code


def blob_event(blob: BlobClient, **data: object) -> dict[str, object]:
    """An event about a blob, with a subject that names nothing."""
    return event("/nothing", data={"blobType": "BlockBlob", "url": blob.url} | data)


async def test_the_blobs_webhook_runs_the_function_for_the_url_without_an_etag_check(
    azurite: Azurite, container: ContainerClient, tmp_path: Path
) -> None:
    """The same event twice runs the function twice, whatever its type and its subject."""
    blob = await container.upload_blob("folder/ä b.txt", b"1")
    sent = blob_event(blob)
    async with (
        event_host(tmp_path, azurite, container.container_name, access_log=None) as running,
        client(running) as http,
    ):
        assert await post_blob_event(http, "note", [sent]) == 202
        await until(calls)
        assert await post_blob_event(http, "NOTE", [sent | {"eventType": "Microsoft.Storage.BlobDeleted"}]) == 202
        await until(lambda: calls() == [("folder/ä b.txt", b"1")] * 2)


async def test_the_blobs_webhook_accepts_and_drops_a_misspelt_function(
    azurite: Azurite, container: ContainerClient, tmp_path: Path
) -> None:
    blob = await container.upload_blob("a.txt", b"1")
    async with (
        event_host(tmp_path, azurite, container.container_name, access_log=None) as running,
        client(running) as http,
    ):
        assert await post_blob_event(http, "nobody", [blob_event(blob)]) == 202
        for data in ({"url": "no URL"}, {"url": None}, {"blobType": "none"}):
            assert await post_blob_event(http, "note", [blob_event(blob, **data)]) == 500
        assert await post_blob_event(http, "note", [blob_event(blob)]) == 202
        assert await until(calls) == [("a.txt", b"1")]


# ---- /runtime/webhooks/EventGrid -----------------------------------------------------------------------------------


@pytest.mark.parametrize("webhook", ["EventGrid?functionName=on_event", "blobs?functionName=Host.Functions.note"])
async def test_the_handshake_is_answered(
    azurite: Azurite, container: ContainerClient, tmp_path: Path, webhook: str
) -> None:
    async with (
        event_host(tmp_path, azurite, container.container_name, NOTE + TRIGGER) as running,
        client(running) as http,
    ):
        asked = event("", eventType="Microsoft.EventGrid.SubscriptionValidationEvent", data={"validationCode": "42"})
        headers = {"aeg-event-type": "SubscriptionValidation"}
        answer = await http.post(f"/runtime/webhooks/{webhook}", json=[asked], headers=headers)
        assert (answer.status_code, answer.json()) == (200, {"validationResponse": "42"})


async def test_each_event_of_a_delivery_runs_the_function(tmp_path: Path) -> None:
    async with host(write_app(tmp_path / "app", TRIGGER)) as running, client(running) as http:
        events = [event("/a", id="1"), event("/b", id="2")]
        answer = await http.post("/runtime/webhooks/EventGrid?functionName=on_event", json=events, headers=NOTIFICATION)
        assert answer.status_code == 202
        assert sorted(calls()) == [
            ("1", "Microsoft.Storage.BlobCreated", "/a", {"api": "PutBlob"}),
            ("2", "Microsoft.Storage.BlobCreated", "/b", {"api": "PutBlob"}),
        ]


async def test_a_cloud_event_is_refused_but_its_handshake_is_answered(tmp_path: Path) -> None:
    sent = {"specversion": "1.0", "id": "7", "type": "t", "source": "/s", "data": {}}
    headers = {"content-type": "application/cloudevents+json"}
    url = "/runtime/webhooks/EventGrid?functionName=on_event"
    async with host(write_app(tmp_path / "app", TRIGGER)) as running, client(running) as http:
        asked = await http.request("OPTIONS", url, headers={"WebHook-Request-Origin": "eventgrid.azure.net"})
        assert asked.headers["webhook-allowed-origin"] == "eventgrid.azure.net"
        assert "webhook-allowed-rate" not in asked.headers
        assert (await http.post(url, content=json.dumps(sent), headers=headers)).status_code == 400
        assert calls() == []


@pytest.mark.parametrize(
    ("function", "headers", "body", "status"),
    [
        pytest.param("on_event", NOTIFICATION, [event("/a", id="bad")], 500, id="failing function"),
        pytest.param("nobody", NOTIFICATION, [event("/a")], 404, id="unknown function"),
        pytest.param("ON_EVENT", NOTIFICATION, [event("/a")], 404, id="other case"),
        pytest.param("on_event", {}, [event("/a")], 400, id="no header"),
        pytest.param("on_event", NOTIFICATION, ["text"], 500, id="no event"),
        pytest.param("on_event", {"aeg-event-type": "Unsubscribe"}, [], 202, id="unsubscribe"),
        pytest.param("on_event", {"aeg-event-type": "SubscriptionValidation"}, [{}], 500, id="no code"),
    ],
)
async def test_other_requests_get_the_real_hosts_status(
    tmp_path: Path, function: str, headers: dict[str, str], body: object, status: int
) -> None:
    url = f"/runtime/webhooks/EventGrid?functionName={function}"
    async with host(write_app(tmp_path / "app", TRIGGER)) as running, client(running) as http:
        assert (await http.post(url, json=body, headers=headers)).status_code == status
