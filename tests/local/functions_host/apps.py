"""Small function apps for the tests of the Functions host."""

from __future__ import annotations

import asyncio
import json
import sys
import textwrap
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2

from local.functions_host import Host
from local.stack.azurite import Azurite

HEADER = """
import asyncio
import azure.functions as func
app = func.FunctionApp()
calls = []
"""
DEADLINE_S = 180.0
ADMIN = {"x-functions-key": "key-of-this-start"}  # opens the admin endpoint


def write_app(folder: Path, source: str, *, host_json: Mapping[str, Any] | None = None, header: str = HEADER) -> Path:
    """Write a function_app.py, whose functions append their arguments to `calls`, and a host.json."""
    folder.mkdir(exist_ok=True)
    (folder / "function_app.py").write_text(header + textwrap.dedent(source))
    (folder / "host.json").write_text(json.dumps({"version": "2.0"} | dict(host_json or {})))
    return folder


def unique(prefix: str) -> str:
    """A name that no other test uses."""
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


def calls() -> list[Any]:
    """The list `calls` of the running app."""
    noted: list[Any] = sys.modules["function_app"].calls
    return noted


async def until(condition: Callable[[], Any] | Callable[[], Awaitable[Any]], *, within_s: float = DEADLINE_S) -> Any:
    """Wait until a condition, sync or async, is true, and return its value."""
    deadline = time.monotonic() + within_s
    while True:
        value = condition()
        if isinstance(value, Awaitable):
            value = await value
        if value:
            return value
        assert time.monotonic() < deadline, "the condition did not become true in time"
        await asyncio.sleep(0.005)


def host(
    folder: Path, azurite: Azurite | None = None, environ: Mapping[str, str] | None = None, **options: Any
) -> Host:
    """A host for an app, with Azurite as its storage and a short grace period."""
    settings = {"FUNCTIONS_MASTER_KEY": ADMIN["x-functions-key"]}
    if azurite:
        options.setdefault("access_log", azurite.access_log)
        settings |= {"AzureWebJobsStorage": azurite.connection_string, "AzureFunctionsWebHost__hostid": unique("host")}
    return Host(folder, environ=settings | dict(environ or {}), **{"grace_s": 1.0} | options)


@asynccontextmanager
async def client(running: Host) -> AsyncIterator[httpx2.AsyncClient]:
    """An HTTP client that calls the host's ASGI app directly."""
    transport = httpx2.ASGITransport(app=running.asgi)
    async with httpx2.AsyncClient(transport=transport, base_url="http://host.test") as made:
        yield made
