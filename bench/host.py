"""Latency and throughput of the Functions host alone, with the real Azurite: `python -m bench.host [--json FILE]`."""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

from azure.core.pipeline.transport import RequestsTransport
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient
from rich.console import Console
from rich.table import Table

from bench.common.figures import Figure
from bench.common.processes import memory_mb, processor_s
from local.paths import ROOT
from local.stack.azurite import Azurite

STARTS = 7
REQUESTS = 6000
CONNECTIONS = 32
SENDS = 60
DROPS = 60
DELAYED = 8
IDLE_S = 5.0
PAUSE_S = 0.05  # between two sends; each is handled before the next

APP = """
import json, time
import azure.functions as func
import azurefunctions.extensions.bindings.blob as bindings

app = func.FunctionApp()
seen = {}

def note(key):
    seen[key] = time.time()

@app.route(route="hello", auth_level="ANONYMOUS")
async def hello(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("hello")

@app.route(route="hello-sync", auth_level="ANONYMOUS")
def hello_sync(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("hello")

@app.route(route="seen", auth_level="ANONYMOUS")
async def what_was_seen(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(json.dumps(seen))

@app.queue_trigger(arg_name="msg", queue_name="bench", connection="AzureWebJobsStorage")
async def on_message(msg: func.QueueMessage) -> None:
    note(msg.get_body().decode())

@app.blob_trigger(arg_name="blob", path="events/{name}", connection="AzureWebJobsStorage",
                  source=func.BlobSource.EVENT_GRID)
async def on_event(blob: bindings.BlobClient) -> None:
    note(blob.blob_name)
    blob.close()

@app.blob_trigger(arg_name="blob", path="scanned/{name}", connection="AzureWebJobsStorage")
async def on_scan(blob: func.InputStream) -> None:
    note(blob.name.partition("/")[2])
"""


@contextmanager
def running_host(folder: Path, azurite: Azurite) -> Iterator[tuple[str, float, int]]:
    """Start a host; yield its address, the seconds until it was ready and its process id."""
    command = [sys.executable, "-m", "local.functions_host", "--app", str(folder), "--port", "0"]
    command += ["--access-log", str(azurite.access_log)]
    environ = os.environ | {"AzureWebJobsStorage": azurite.connection_string}
    begun = time.perf_counter()
    null = subprocess.DEVNULL
    with subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=null, text=True) as process:
        assert process.stdout
        url = process.stdout.readline().split()[1]
        try:
            yield url, time.perf_counter() - begun, process.pid
        finally:
            process.send_signal(signal.SIGTERM)


async def send_requests(url: str, path: str) -> tuple[float, list[float]]:
    """Send `REQUESTS` requests over `CONNECTIONS` connections; return the requests per second and each one's ms."""
    host, port = urlsplit(url).hostname, urlsplit(url).port
    request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    took_ms: list[float] = []

    async def one_connection() -> None:
        reader, writer = await asyncio.open_connection(host, port)
        for _ in range(REQUESTS // CONNECTIONS):
            begun = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            await reader.readexactly(len("5\r\nhello\r\n0\r\n\r\n"))  # chunked, as the Functions host answers
            took_ms.append((time.perf_counter() - begun) * 1000)
        writer.close()

    begun = time.perf_counter()
    await asyncio.gather(*(one_connection() for _ in range(CONNECTIONS)))
    return len(took_ms) / (time.perf_counter() - begun), took_ms


def latencies(url: str, count: int, send: Callable[[str], float]) -> list[float]:
    """Milliseconds from each send until its function runs.

    Args:
        url: The host's address.
        count: How many to send.
        send: Sends one item with the given key; returns when the function is due, in seconds since the epoch.
    """
    due = {}
    for number in range(count):
        key = f"{send.__name__}-{number}"
        due[key] = send(key)
        time.sleep(PAUSE_S)
    deadline = time.monotonic() + 30
    while not due.keys() <= (seen := json.load(urlopen(f"{url}/api/seen"))).keys():
        assert time.monotonic() < deadline, "a function has not run within 30 s"
        time.sleep(0.1)
    return [(seen[key] - at) * 1000 for key, at in due.items()]


def measure(azurite: Azurite, folder: Path) -> Iterator[Figure]:
    """Measure one thing after the other, so that they do not disturb each other."""
    queue = QueueServiceClient.from_connection_string(azurite.connection_string, transport=RequestsTransport())
    blobs = BlobServiceClient.from_connection_string(azurite.connection_string, transport=RequestsTransport())
    with queue, blobs:
        messages = queue.create_queue("bench")
        events, scanned = blobs.create_container("events"), blobs.create_container("scanned")

        def message(key: str) -> float:
            at = time.time()
            messages.send_message(base64.b64encode(key.encode()).decode())
            return at

        def delayed(key: str) -> float:
            sent = messages.send_message(base64.b64encode(key.encode()).decode(), visibility_timeout=1)
            assert sent
            return time.time() + 1

        def event(key: str) -> float:
            at = time.time()
            events.upload_blob(key, b"x" * 2048)
            return at

        def scan(key: str) -> float:
            at = time.time()
            scanned.upload_blob(key, b"x" * 2048)
            return at

        ready_s = []
        for _ in range(STARTS):
            with running_host(folder, azurite) as (_, took_s, _):
                ready_s.append(took_s)
        yield Figure(name="start to ready", unit="ms", values=[s * 1000 for s in ready_s])
        with running_host(folder, azurite) as (url, _, pid):
            for path, kind in (("/api/hello", "async"), ("/api/hello-sync", "sync")):
                asyncio.run(send_requests(url, path))
                rate, took_ms = asyncio.run(send_requests(url, path))
                yield Figure(name=f"HTTP, {kind}, {CONNECTIONS} connections", unit="req/s", values=[rate])
                yield Figure(name=f"HTTP, {kind}, one request of {CONNECTIONS} at once", unit="ms", values=took_ms)
            yield Figure(name="queue send -> function", unit="ms", values=latencies(url, SENDS, message))
            yield Figure(
                name="delayed message -> function, late by", unit="ms", values=latencies(url, DELAYED, delayed)
            )
            yield Figure(name="blob drop -> function, Event Grid", unit="ms", values=latencies(url, DROPS, event))
            yield Figure(name="blob drop -> function, scan", unit="ms", values=latencies(url, DROPS, scan))
            before_s = processor_s(pid)
            time.sleep(IDLE_S)
            share = (processor_s(pid) - before_s) / IDLE_S * 100
            yield Figure(name="idle, of one core", unit="%", values=[share])
            yield Figure(name="memory", unit="MB", values=[memory_mb(pid)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    file = parser.parse_args().json
    with tempfile.TemporaryDirectory() as folder:
        app = Path(folder) / "app"
        app.mkdir()
        (app / "function_app.py").write_text(APP)
        (app / "host.json").write_text('{"version": "2.0"}')
        with Azurite(log=Path(folder) / "access.log") as azurite:
            figures = list(measure(azurite, app))
    table = Table(title="Functions host")
    for column in ("", "unit", "p50", "p95", "max", "n"):
        table.add_column(column, justify="left" if column in {"", "unit"} else "right")
    for figure in figures:
        numbers = (f"{value:,.1f}" for value in asdict(figure.percentiles).values())
        table.add_row(figure.name, figure.unit, *numbers, str(len(figure.values)))
    Console(width=110).print(table)
    if file:
        file.write_text(json.dumps([asdict(figure) | asdict(figure.percentiles) for figure in figures], indent=1))


if __name__ == "__main__":
    main()
