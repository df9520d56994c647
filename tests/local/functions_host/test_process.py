"""The host as a process, as the stack starts it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from azure.storage.blob import ContainerClient
from azure.storage.queue import QueueClient

from local.functions_host.settings import STORAGE
from local.functions_host.storage import Storage, end_without
from local.paths import ROOT
from local.stack.azurite import Azurite
from tests.local.functions_host.apps import calls, client, host, unique, until, write_app
from tests.storage_proxy import proxies_in_thread

APP = """
    @app.route(route="page", auth_level="ANONYMOUS")
    async def page(req: func.HttpRequest) -> str:
        return "page"

    @app.queue_trigger(arg_name="msg", queue_name="nobody-sends", connection="AzureWebJobsStorage")
    async def note(msg: func.QueueMessage) -> None: ...
"""

SDK_TRIES = 6  # of one call at most: three by `storage.options`, each of them twice by aiohttp


@contextmanager
def started(folder: Path, *arguments: str, storage: str = "") -> Iterator[subprocess.Popen[str]]:
    """A running `python -m local.functions_host` on a free port."""
    command = [sys.executable, "-m", "local.functions_host", "--app", str(folder), "--port", "0", *arguments]
    environ = os.environ | ({STORAGE: storage} if storage else {})
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, env=environ, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_prints_a_ready_line_and_ends_on_a_signal(azurite: Azurite, tmp_path: Path, number: signal.Signals) -> None:
    """Standard output has one line; the log is on standard error."""
    folder = write_app(tmp_path / "app", APP)
    log = str(azurite.access_log)
    with started(folder, "--access-log", log, storage=azurite.connection_string) as process:
        assert process.stdout
        word, url = process.stdout.readline().split()
        assert word == "ready"
        assert httpx2.get(f"{url}/api/page").text == "page"
        process.send_signal(number)
        out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (0, "")
    assert "Executed 'Functions.page' (Succeeded" in err


def test_as_azure_it_ignores_sigterm_and_lets_requests_end_on_sigint(tmp_path: Path) -> None:
    source = """
        @app.route(route="wait", auth_level="ANONYMOUS")
        async def wait(req: func.HttpRequest) -> str:
            import logging, pathlib
            logging.warning("waiting")
            while not pathlib.Path(req.params["for"]).exists():
                await asyncio.sleep(0.01)
            return "done"
    """
    sign = tmp_path / "sign"
    with started(write_app(tmp_path / "app", source), "--as-azure") as process, ThreadPoolExecutor() as pool:
        assert process.stdout
        assert process.stderr
        url = process.stdout.readline().split()[1]
        process.terminate()
        answer = pool.submit(httpx2.get, f"{url}/api/wait?for={sign}", timeout=60)
        assert any("waiting" in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        assert eventually(lambda: refuses_connections(url))
        sign.touch()
        assert answer.result().text == "done"
        process.communicate(timeout=30)
    assert process.returncode == 0


def eventually(condition: Callable[[], bool], *, within_s: float = 180) -> bool:
    deadline = time.monotonic() + within_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def refuses_connections(url: str) -> bool:
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname, parts.port)).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        return False  # it waited in the queue of the socket that was just closed: the next one is refused
    return False


async def test_an_event_without_a_function_is_dropped_but_ends_the_host_as_azure(
    azurite: Azurite, tmp_path: Path
) -> None:
    source = """
        @app.blob_trigger(arg_name="blob", path="any/{name}", connection="AzureWebJobsStorage",
                          source=func.BlobSource.EVENT_GRID)
        async def on_blob(blob: func.InputStream) -> None: ...
    """
    folder = write_app(tmp_path / "app", source)
    event = {"data": {"blobType": "BlockBlob", "url": f"{azurite.blob_endpoint}/any/a"}}
    headers = {"aeg-event-type": "Notification"}
    for as_azure in (False, True):
        ended = asyncio.Event()
        async with (
            host(folder, azurite, as_azure=as_azure, shut_down=ended.set, grace_s=0) as running,
            client(running) as http,
        ):
            assert (await http.post("/runtime/webhooks/blobs", json=[event], headers=headers)).status_code == 202
            if as_azure:
                await asyncio.wait_for(ended.wait(), 180)
            else:
                queue = f"azure-webjobs-blobtrigger-{running.settings.host_id}"
                with QueueClient.from_connection_string(azurite.connection_string, queue) as internal:
                    await until(lambda: internal.get_queue_properties().approximate_message_count == 0)
                assert not ended.is_set()


async def test_as_azure_the_host_ends_when_storage_is_gone() -> None:
    gone = "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=a2V5;BlobEndpoint=http://127.0.0.1:9/a;"
    storage = Storage({STORAGE: gone + "QueueEndpoint=http://127.0.0.1:9/a;"})
    ended = asyncio.Event()
    try:
        await asyncio.wait_for(end_without(storage, {None}, ended.set, gone_s=0, every_s=0), 180)
    finally:
        await storage.close()
    assert ended.is_set()


def test_it_waits_for_storage_and_ends_on_a_signal_meanwhile(tmp_path: Path) -> None:
    endpoints = "BlobEndpoint=http://127.0.0.1:9/a;QueueEndpoint=http://127.0.0.1:9/a;"
    nobody = f"DefaultEndpointsProtocol=http;AccountName=a;AccountKey=a2V5;{endpoints}"
    with started(write_app(tmp_path / "app", APP), storage=nobody) as process:
        assert process.stderr
        assert any("host.waits_for_storage" in line for line in process.stderr)
        process.terminate()
        out, _ = process.communicate(timeout=120)
    assert (process.returncode, out) == (0, "")


async def test_it_waits_for_storage_whose_port_is_open_before_it_answers(azurite: Azurite, tmp_path: Path) -> None:
    """As with a container: connections are accepted and closed."""
    with proxies_in_thread(azurite.ports[1]) as [queues]:
        queues.outage = "cut"
        storage = queues.connection_string(azurite.connection_string)
        log = str(azurite.access_log)
        arguments = ("--access-log", log, "--event-queue", f"{unique('c')}={unique('q')}")
        with started(write_app(tmp_path / "app", APP), *arguments, storage=storage) as process:
            assert process.stdout
            await until(lambda: sum(request.startswith("PUT") for request in queues.requests) > SDK_TRIES)
            queues.outage = None
            word, _ = process.stdout.readline().split()
            assert word == "ready"


def test_a_rejected_app_is_reported_in_one_line(tmp_path: Path) -> None:
    folder = write_app(tmp_path / "app", "@app.route()\ndef bad(req: int) -> str: ...")
    with started(folder) as process:
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (1, "")
    assert err.splitlines()[-1].startswith("The host cannot run this app: cannot load the bad function")


def test_a_wrong_option_is_explained(tmp_path: Path) -> None:
    with started(tmp_path, "--event-queue", "documents") as process:
        _, err = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "CONTAINER=QUEUE" in err


def test_it_ends_although_a_function_never_returns(azurite: Azurite, tmp_path: Path) -> None:
    """Running functions get a few seconds; then the process ends, and the message becomes visible again."""
    name = unique("queue")
    source = f"""
        import logging, threading

        @app.queue_trigger(arg_name="msg", queue_name="{name}", connection="AzureWebJobsStorage")
        def endless(msg: func.QueueMessage) -> None:
            logging.warning("endless began")
            threading.Event().wait()
    """
    with QueueClient.from_connection_string(azurite.connection_string, name) as queue:
        queue.create_queue()
        queue.send_message("eA==")
        folder, log = write_app(tmp_path / "app", source), str(azurite.access_log)
        with started(folder, "--access-log", log, storage=azurite.connection_string) as process:
            assert process.stderr
            assert any("endless began" in line for line in process.stderr)
            process.terminate()
            process.communicate(timeout=120)
        assert process.returncode == 0
        assert queue.peek_messages()[0].dequeue_count == 1


async def test_it_continues_after_a_restart_of_azurite(tmp_path: Path) -> None:
    """Azurite loses its data; the listeners continue, and the host creates its internal queues again."""
    source = """
        @app.queue_trigger(arg_name="msg", queue_name="restart", connection="AzureWebJobsStorage")
        async def on_message(msg: func.QueueMessage) -> None:
            calls.append(msg.get_body())

        @app.blob_trigger(arg_name="blob", path="restart/{name}", connection="AzureWebJobsStorage",
                          source=func.BlobSource.EVENT_GRID)
        async def on_blob(blob: func.InputStream) -> None:
            calls.append(blob.read())
    """
    host_json = {"extensions": {"queues": {"maxPollingInterval": "00:00:00.5"}}}
    folder = write_app(tmp_path / "app", source, host_json=host_json)
    with Azurite(log=tmp_path / "access.log") as azurite:
        async with host(folder, azurite):
            azurite.stop()
            azurite.start()
            await asyncio.to_thread(azurite.wait_ready)
            with (
                QueueClient.from_connection_string(azurite.connection_string, "restart") as queue,
                ContainerClient.from_connection_string(azurite.connection_string, "restart") as container,
            ):
                await asyncio.to_thread(queue.create_queue)
                await asyncio.to_thread(queue.send_message, "eA==")
                await asyncio.to_thread(container.create_container)
                await asyncio.to_thread(container.upload_blob, "a", b"y")
                await until(lambda: sorted(calls()) == [b"x", b"y"])
