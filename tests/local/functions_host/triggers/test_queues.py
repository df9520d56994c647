"""Queue triggers and queue outputs against the real Azurite."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue.aio import QueueClient, QueueServiceClient

from local.functions_host import Host
from local.functions_host.settings import QueueOptions
from local.stack.azurite import Azurite
from tests.local.functions_host.apps import ADMIN, calls, client, host, unique, until, write_app

NOTE = """
    @app.queue_trigger(arg_name="msg", queue_name="%QUEUE%", connection="AzureWebJobsStorage")
    async def note(msg: func.QueueMessage) -> None:
        calls.append(msg)
"""
FAIL = """
    @app.queue_trigger(arg_name="msg", queue_name="%QUEUE%", connection="AzureWebJobsStorage")
    def fail(msg: func.QueueMessage) -> None:
        calls.append(msg.dequeue_count)
        raise RuntimeError("always")
"""


@pytest.fixture
async def service(azurite: Azurite) -> AsyncIterator[QueueServiceClient]:
    """The queue service of Azurite."""
    async with QueueServiceClient.from_connection_string(azurite.connection_string) as made:
        yield made


@pytest.fixture
async def queue(service: QueueServiceClient) -> QueueClient:
    """A new queue that no other test uses."""
    return await service.create_queue(unique("queue"))


def queue_host(tmp_path: Path, azurite: Azurite, queue: str, source: str = NOTE, **queues: object) -> Host:
    """A host with a queue trigger; `queues` are the settings `extensions.queues` of host.json."""
    folder = write_app(tmp_path / "app", source, host_json={"extensions": {"queues": queues}})
    return host(folder, azurite, {"QUEUE": queue, "OTHER": f"{queue}-out"})


def encoded(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


async def peeked(service: QueueServiceClient, name: str) -> list[str]:
    """The content of all messages; empty if the queue does not exist."""
    try:
        found = await service.get_queue_client(name).peek_messages(max_messages=32)
    except ResourceNotFoundError:
        return []
    return [message.content for message in found]


async def is_empty(queue: QueueClient) -> bool:
    return (await queue.get_queue_properties()).approximate_message_count == 0


async def test_a_message_runs_the_function_with_its_metadata_and_is_deleted(
    azurite: Azurite, queue: QueueClient, tmp_path: Path
) -> None:
    async with queue_host(tmp_path, azurite, queue.queue_name):
        sent = await queue.send_message(encoded('{"a": "ü"}'))
        [message] = await until(calls)
        await until(lambda: is_empty(queue))
    assert message.get_json() == {"a": "ü"}
    assert (message.id, message.dequeue_count) == (sent.id, 1)
    assert message.insertion_time == sent.inserted_on
    assert message.expiration_time == sent.expires_on
    assert message.pop_receipt


async def test_text_and_bytes_parameters_get_the_content(azurite: Azurite, queue: QueueClient, tmp_path: Path) -> None:
    source = NOTE.replace("func.QueueMessage", "str")
    async with queue_host(tmp_path, azurite, queue.queue_name, source):
        await queue.send_message(encoded("plain"))
        assert await until(calls) == ["plain"]


async def test_plain_encoding(azurite: Azurite, queue: QueueClient, tmp_path: Path) -> None:
    async with queue_host(tmp_path, azurite, queue.queue_name, messageEncoding="none"):
        await queue.send_message("plain <text>")
        assert (await until(calls))[0].get_body() == b"plain <text>"


async def test_a_delayed_message_is_received_when_it_becomes_visible(
    azurite: Azurite, queue: QueueClient, tmp_path: Path
) -> None:
    """It is not received earlier. The log wakes the host: its next poll is minutes away."""
    async with queue_host(tmp_path, azurite, queue.queue_name, maxPollingInterval="00:10:00"):
        started = time.monotonic()
        await queue.send_message(encoded("late"), visibility_timeout=1)
        await until(calls)
        assert time.monotonic() - started >= 0.99


async def test_polling_finds_a_message_without_the_log(azurite: Azurite, queue: QueueClient, tmp_path: Path) -> None:
    folder = write_app(
        tmp_path / "app", NOTE, host_json={"extensions": {"queues": {"maxPollingInterval": "00:00:00.200"}}}
    )
    async with host(folder, azurite, {"QUEUE": queue.queue_name}, access_log=None):
        await queue.send_message(encoded("polled"))
        await until(calls)


async def test_a_failing_message_is_retried_and_then_poisoned(
    azurite: Azurite, service: QueueServiceClient, queue: QueueClient, tmp_path: Path
) -> None:
    """Five attempts; then the poison queue is created and gets the unchanged message."""
    async with queue_host(tmp_path, azurite, queue.queue_name, FAIL):
        await queue.send_message(encoded("bad"))
        poisoned = await until(lambda: peeked(service, f"{queue.queue_name}-poison"))
        await until(lambda: is_empty(queue))
        assert calls() == [1, 2, 3, 4, 5]
    assert poisoned == [encoded("bad")]


async def test_host_json_sets_the_retry_delay_and_the_number_of_attempts(
    azurite: Azurite, service: QueueServiceClient, queue: QueueClient, tmp_path: Path
) -> None:
    async with queue_host(tmp_path, azurite, queue.queue_name, FAIL, maxDequeueCount=2, visibilityTimeout="00:00:01"):
        started = time.monotonic()
        await queue.send_message(encoded("bad"))
        await until(lambda: peeked(service, f"{queue.queue_name}-poison"))
        assert calls() == [1, 2]
        assert time.monotonic() - started >= 0.99


async def test_a_message_that_is_not_base64_is_poisoned_at_once(
    azurite: Azurite, service: QueueServiceClient, queue: QueueClient, tmp_path: Path
) -> None:
    async with queue_host(tmp_path, azurite, queue.queue_name):
        await queue.send_message("not base64!")
        assert await until(lambda: peeked(service, f"{queue.queue_name}-poison")) == ["not base64!"]
        assert calls() == []


async def test_a_message_that_is_not_utf_8_never_reaches_the_function(
    azurite: Azurite, service: QueueServiceClient, queue: QueueClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is tried as often as one whose function fails, then it is poisoned as it is."""
    async with queue_host(tmp_path, azurite, queue.queue_name, maxDequeueCount=2):
        await queue.send_message(encoded(b"\xff\x00"))
        assert await until(lambda: peeked(service, f"{queue.queue_name}-poison")) == [encoded(b"\xff\x00")]
        assert calls() == []
    assert caplog.text.count("Exception binding parameter") == 2


async def test_base64_with_a_newline_is_decoded(azurite: Azurite, queue: QueueClient, tmp_path: Path) -> None:
    async with queue_host(tmp_path, azurite, queue.queue_name):
        await queue.send_message("YWJj\nZGVm")
        assert (await until(calls))[0].get_body() == b"abcdef"


@pytest.mark.parametrize("content", ["YQ", "-_-_", "YQ==YQ=="])
async def test_other_base64_is_poisoned_at_once(
    azurite: Azurite, service: QueueServiceClient, queue: QueueClient, tmp_path: Path, content: str
) -> None:
    async with queue_host(tmp_path, azurite, queue.queue_name):
        await queue.send_message(content)
        assert await until(lambda: peeked(service, f"{queue.queue_name}-poison")) == [content]
        assert calls() == []


async def test_every_try_has_the_retry_count_zero(azurite: Azurite, queue: QueueClient, tmp_path: Path) -> None:
    """It counts the tries of a retry policy only; the tries of a message are in its dequeue count."""
    source = """
        @app.queue_trigger(arg_name="msg", queue_name="%QUEUE%", connection="AzureWebJobsStorage")
        def fail(msg: func.QueueMessage, context: func.Context) -> None:
            calls.append((msg.dequeue_count, context.retry_context.retry_count))
            raise RuntimeError("always")
    """
    async with queue_host(tmp_path, azurite, queue.queue_name, source, maxDequeueCount=2):
        await queue.send_message(encoded("bad"))
        await until(lambda: calls() == [(1, 0), (2, 0)])


def test_without_a_threshold_half_a_batch_for_each_core_may_run_when_the_next_is_read() -> None:
    options = QueueOptions.from_host_json({"batchSize": 12})
    assert options.new_batch_threshold == 6 * (os.cpu_count() or 1)
    assert QueueOptions.from_host_json({"batchSize": 12, "newBatchThreshold": 3}).new_batch_threshold == 3


async def test_the_host_waits_for_a_missing_queue_and_does_not_create_it(
    azurite: Azurite, service: QueueServiceClient, tmp_path: Path
) -> None:
    name = unique("queue")
    async with queue_host(tmp_path, azurite, name):
        await asyncio.sleep(0.3)
        assert name not in [found.name async for found in service.list_queues()]
        queue = await service.create_queue(name)
        await queue.send_message(encoded("at last"))
        await until(calls)


async def test_batch_size_and_threshold_limit_concurrent_calls(
    azurite: Azurite, queue: QueueClient, tmp_path: Path
) -> None:
    """A batch of two, and another one while at most one call runs: at most three calls at the same time."""
    source = """
        gate, running = asyncio.Event(), []

        @app.queue_trigger(arg_name="msg", queue_name="%QUEUE%", connection="AzureWebJobsStorage")
        async def slow(msg: func.QueueMessage) -> None:
            running.append(1)
            calls.append(len(running))
            if len(calls) > 1:
                await gate.wait()
            running.pop()
    """
    for _ in range(8):
        await queue.send_message(encoded("x"))
    async with queue_host(tmp_path, azurite, queue.queue_name, source, batchSize=2, newBatchThreshold=1):
        await until(lambda: max(calls(), default=0) == 3)
        await asyncio.sleep(0.3)
        assert max(calls()) == 3
        sys.modules["function_app"].gate.set()
        await until(lambda: len(calls()) == 8)
        assert max(calls()) == 3


async def test_a_long_call_keeps_its_message_hidden(azurite: Azurite, queue: QueueClient, tmp_path: Path) -> None:
    """The visibility timeout is two seconds, the call takes three, and the message is delivered once."""
    source = """
        @app.queue_trigger(arg_name="msg", queue_name="%QUEUE%", connection="AzureWebJobsStorage")
        async def slow(msg: func.QueueMessage) -> None:
            calls.append("in")
            await asyncio.sleep(3)
            calls.append("out")
    """
    folder = write_app(
        tmp_path / "app", source, host_json={"extensions": {"queues": {"maxPollingInterval": "00:00:00.2"}}}
    )
    async with host(folder, azurite, {"QUEUE": queue.queue_name}, lease_s=2):
        await queue.send_message(encoded("x"))
        await until(lambda: "out" in calls())
        await until(lambda: is_empty(queue))
        assert calls() == ["in", "out"]


async def test_a_stopping_host_waits_for_a_running_call(azurite: Azurite, queue: QueueClient, tmp_path: Path) -> None:
    source = """
        @app.queue_trigger(arg_name="msg", queue_name="%QUEUE%", connection="AzureWebJobsStorage")
        async def slow(msg: func.QueueMessage) -> None:
            calls.append("in")
            await asyncio.sleep(0.3)
            calls.append("out")
    """
    async with queue_host(tmp_path, azurite, queue.queue_name, source):
        await queue.send_message(encoded("x"))
        noted = await until(calls)
    assert noted == ["in", "out"]
    assert await is_empty(queue)


async def test_the_message_of_a_cancelled_call_becomes_visible_again(
    azurite: Azurite, queue: QueueClient, tmp_path: Path
) -> None:
    source = """
        @app.queue_trigger(arg_name="msg", queue_name="%QUEUE%", connection="AzureWebJobsStorage")
        async def slow(msg: func.QueueMessage) -> None:
            calls.append("in")
            await asyncio.Event().wait()
    """
    folder = write_app(tmp_path / "app", source)
    async with host(folder, azurite, {"QUEUE": queue.queue_name}, grace_s=0.1):
        await queue.send_message(encoded("x"))
        await until(calls)
    assert (await queue.peek_messages())[0].dequeue_count == 1


async def test_an_output_creates_its_queue_and_sends_each_item_of_a_list(
    azurite: Azurite, service: QueueServiceClient, queue: QueueClient, tmp_path: Path
) -> None:
    source = """
        import typing

        @app.route(route="send", auth_level="ANONYMOUS")
        @app.queue_output(arg_name="out", queue_name="%OTHER%", connection="AzureWebJobsStorage")
        def send(req: func.HttpRequest, out: func.Out[typing.List[str]]) -> str:
            out.set(["one", "two"])
            return "sent"

        @app.queue_trigger(arg_name="msg", queue_name="%QUEUE%", connection="AzureWebJobsStorage")
        @app.queue_output(arg_name="$return", queue_name="%OTHER%", connection="AzureWebJobsStorage")
        async def forward(msg: func.QueueMessage) -> str:
            return "forwarded " + msg.get_body().decode()
    """
    async with queue_host(tmp_path, azurite, queue.queue_name, source) as running, client(running) as http:
        assert (await http.get("/api/send")).text == "sent"
        await queue.send_message(encoded("three"))
        messages = await until(lambda: all_of(service, f"{queue.queue_name}-out", 3))
    assert sorted(messages) == sorted(encoded(text) for text in ("one", "two", "forwarded three"))


async def all_of(service: QueueServiceClient, name: str, count: int) -> list[str]:
    messages = await peeked(service, name)
    return messages if len(messages) == count else []


async def test_the_admin_endpoint_runs_a_queue_function_with_its_input(
    azurite: Azurite, queue: QueueClient, tmp_path: Path
) -> None:
    async with queue_host(tmp_path, azurite, queue.queue_name) as running, client(running) as http:
        body = {"input": json.dumps({"a": 1})}
        assert (await http.post("/admin/functions/note", json=body, headers=ADMIN)).status_code == 202
        assert (await until(calls))[0].get_json() == {"a": 1}
