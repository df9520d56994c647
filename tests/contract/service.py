"""Helpers for the tests of engines: clients, questions, and servers with scripted responses."""

from __future__ import annotations

import asyncio
import io
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from shared.engines.assistants import AssistantsEngine
from shared.engines.base import Ask, Engine, Look
from shared.engines.client import open_client
from shared.engines.responses import ResponsesEngine
from shared.engines.stores import IndexState, VectorStores, Within
from shared.engines.vector_stores import OpenAIVectorStores
from shared.models.runs import Function
from shared.settings import Settings

GUIDE = b"# Limits\n\nThe warning limit for response time is 350 ms. The critical limit is 900 ms.\n"
WEATHER = Function(name="weather", description="Of a city.", parameters={"type": "object", "properties": {}})


@dataclass
class Service:
    engine: Engine
    stores: VectorStores
    model: str


def settings_of(base_url: str, *, key: str = "test", model: str = "builtin") -> Settings:
    environ = {
        "AzureWebJobsStorage": "UseDevelopmentStorage=true",
        "OPENAI_BASE_URL": base_url,
        "OPENAI_API_KEY": key,
        "OPENAI_MODEL": model,
    }
    return Settings.from_environ(environ)


@asynccontextmanager
async def speaking_to(settings: Settings, *, engine: str = "responses") -> AsyncIterator[Service]:
    async with open_client(settings) as client:
        made = AssistantsEngine(client) if engine == "assistants" else ResponsesEngine(client)
        yield Service(made, OpenAIVectorStores(client, model=settings.model), settings.model)


async def ended(look: Callable[[], Awaitable[Look]]) -> Look:
    async with asyncio.timeout(120):
        while (seen := await look()).status in ("queued", "in_progress"):
            await asyncio.sleep(0.05)
        return seen


async def settled(stores: VectorStores, store_id: str, file_id: str) -> IndexState:
    async with asyncio.timeout(120):
        while (state := await stores.state(store_id, file_id)).status == "in_progress":
            await asyncio.sleep(0.05)
        return state


async def indexed(stores: VectorStores, name: str, content: bytes) -> tuple[str, str]:
    """The ids of a new store and of the one file in it."""
    store_id = await stores.create_store(f"test-{uuid.uuid4().hex[:8]}", app="test")
    file_id = await stores.upload(name, io.BytesIO(content))
    await stores.attach(store_id, file_id, {"path": name, "etag": "0x1", "kind": "text"})
    assert (await settled(stores, store_id, file_id)).status == "completed"
    return store_id, file_id


def ask_of(
    service: Service,
    question: str,
    *,
    stores: tuple[str, ...] = (),
    files: tuple[str, ...] = (),
    within: Within | None = None,
    previous: str | None = None,
) -> Ask:
    return Ask(
        run_id=f"run_{uuid.uuid4().hex[:24]}",
        question=question,
        model=service.model,
        instructions="Answer from the documents. Use Python for data. Save charts as PNG files.",
        stores=stores,
        within=within,
        file_ids=files,
        previous=previous,
    )


@asynccontextmanager
async def answering(answer: Callable[[Request], Awaitable[Response]]) -> AsyncIterator[str]:
    """A real server on a free port that calls `answer` for every request; yields its base URL."""

    async def endpoint(request: Request) -> Response:
        return await answer(request)

    methods = ["GET", "POST", "DELETE"]
    app = Starlette(routes=[Route("/{path:path}", endpoint, methods=methods)])
    config = uvicorn.Config(app, port=0, log_level="critical", lifespan="off", ws="none", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    task = asyncio.create_task(server.serve())
    try:
        while not server.started:
            await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/openai/v1/"
    finally:
        server.should_exit = True
        await task


def error_body(code: str | None, message: str) -> dict[str, object]:
    return {"error": {"code": code, "message": message, "type": "x", "param": None}}
