"""`POST /admin/reset` and `/admin/snapshots`: all data emptied, copied aside under a name, or put back.

The emulator is closed meanwhile: requests that come in wait, and what runs ends as it does when the process ends.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from local.openai_emulator.errors import invalid, not_found
from local.openai_emulator.http import data_folder, wire
from local.openai_emulator.http.data_folder import SNAPSHOTS

_PATIENCE_S = 10  # for the requests in work, before the emulator is closed under them
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class CreateSnapshot(wire.RequestBody):
    """The body of `POST /admin/snapshots`; an older snapshot of this name is replaced."""

    name: Annotated[str, Field(pattern=rf"^{_NAME.pattern}$")]


class SnapshotList(BaseModel):
    """Wire: `GET /admin/snapshots`."""

    object: Literal["list"] = "list"
    data: list[dict[str, Any]]


class Gate:
    """Middleware that counts the requests in work, and lets new ones wait while the data are exchanged."""

    def __init__(self) -> None:
        self._app: ASGIApp | None = None
        self._open = asyncio.Event()
        self._open.set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._in_work = 0

    def before(self, app: ASGIApp) -> Gate:
        self._app = app
        return self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self._app is not None
        if scope["type"] != "http" or scope["path"].startswith("/admin/"):
            await self._app(scope, receive, send)
            return
        await self._open.wait()
        self._in_work += 1
        self._idle.clear()
        try:
            await self._app(scope, receive, send)
        finally:
            self._in_work -= 1
            if not self._in_work:
                self._idle.set()

    @asynccontextmanager
    async def closed(self) -> AsyncIterator[None]:
        """Hold new requests back until the block ends; it begins when those in work have ended, or soon after."""
        self._open.clear()
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await self._idle.wait()
        except TimeoutError:
            pass  # a stream, or a slow model
        try:
            yield
        finally:
            self._open.set()


class Snapshots:
    def __init__(
        self, open_: Callable[[], AbstractAsyncContextManager[None]], *, data: Path | None, gate: Gate
    ) -> None:
        """`open_`: opens the emulator and installs its routes; `data`: None if the data are in memory."""
        self._open = open_
        self._data = data
        self._gate = gate
        self._running = AsyncExitStack()
        self._lock = asyncio.Lock()

    def routes(self) -> list[BaseRoute]:
        return [
            wire.route("POST", "/admin/reset", self._reset),
            wire.route("POST", "/admin/snapshots", self._create),
            wire.route("GET", "/admin/snapshots", self._list),
            wire.route("POST", "/admin/snapshots/{name}/restore", self._restore),
            wire.route("DELETE", "/admin/snapshots/{name}", self._delete),
        ]

    async def start(self) -> None:
        """Open the emulator, after what an earlier process began with its data is finished or undone."""
        if self._data is not None:
            await asyncio.to_thread(data_folder.recover, self._data)
        await self._running.enter_async_context(self._open())

    async def close(self) -> None:
        await self._running.aclose()

    # ---- the API -----------------------------------------------------------------------------------------------

    async def _reset(self, _: Request) -> JSONResponse:
        data = self._data
        await self._while_closed(lambda: None if data is None else data_folder.exchange(data, None))
        return JSONResponse({"object": "reset"})

    async def _create(self, request: Request) -> JSONResponse:
        asked = await wire.read_body(request, CreateSnapshot)
        data = self._folder()
        await self._while_closed(lambda: data_folder.copy(data, data / SNAPSHOTS / asked.name))
        return JSONResponse({"object": "snapshot", "name": asked.name}, status_code=201)

    async def _list(self, _: Request) -> SnapshotList:
        names = sorted(one.name for one in (self._folder() / SNAPSHOTS).glob("*") if _NAME.fullmatch(one.name))
        return SnapshotList(data=[{"object": "snapshot", "name": name} for name in names])

    async def _restore(self, request: Request) -> JSONResponse:
        source, data = self._get(request), self._folder()
        await self._while_closed(lambda: data_folder.exchange(data, source))
        return JSONResponse({"object": "snapshot", "name": source.name})

    async def _delete(self, request: Request) -> wire.Deleted:
        source = self._get(request)
        async with self._lock:
            await asyncio.to_thread(data_folder.delete, source)
        return wire.Deleted(id=source.name, object="snapshot.deleted")

    def _folder(self) -> Path:
        if self._data is None:
            raise invalid("Snapshots need a data folder: start the emulator with --data DIR.", code="no_data_folder")
        return self._data

    def _get(self, request: Request) -> Path:
        name: str = request.path_params["name"]
        source = self._folder() / SNAPSHOTS / name
        if not _NAME.fullmatch(name) or not source.is_dir():
            raise not_found("snapshot", name)
        return source

    async def _while_closed(self, change: Callable[[], None]) -> None:
        """Close the emulator, change its files in a thread, and open it again."""
        async with self._lock, self._gate.closed():
            await self._running.aclose()
            try:
                await asyncio.to_thread(change)
            finally:
                await self.start()
