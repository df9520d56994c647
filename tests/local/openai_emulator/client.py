"""Shared by the emulator's tests: a scripted model, an emulator in this process, and waiting for conditions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
from openai import AsyncOpenAI
from openai.types.responses import Response
from starlette.applications import Starlette

from local.openai_emulator.agent.conversation import Prompt
from local.openai_emulator.agent.model import CallFunctions, ModelError, RunCode, Say, Search, Step, Usage
from local.openai_emulator.server import create_app
from local.openai_emulator.settings import Settings
from tests.local.openai_emulator.openapi import check_answer

Move = Search | RunCode | CallFunctions | Say
Scripted = Move | Step | ModelError | Callable[[Prompt], Awaitable[Move]]


class ScriptedModel:
    """Returns the given moves, one per step, and records every prompt."""

    name = "scripted"

    def __init__(self, *moves: Scripted, about: Mapping[str, str] | None = None) -> None:
        self.moves = list(moves)
        self.about = about or {}
        self.prompts: list[Prompt] = []

    async def step(self, prompt: Prompt) -> Step:
        self.prompts.append(prompt)
        move: Any = self.moves.pop(0) if self.moves else Say(text="That is all.")
        if isinstance(move, ModelError):
            raise move
        if isinstance(move, Step):
            return move
        if callable(move):
            move = await move(prompt)
        return Step(move=move)


class Clock:
    """Returns seconds since the epoch; stands still until a test changes `now`."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def counted(move: Move, input_tokens: int, output_tokens: int) -> Step:
    return Step(move=move, usage=Usage(input_tokens=input_tokens, output_tokens=output_tokens))


@asynccontextmanager
async def running_app(
    model: ScriptedModel | None = None,
    *,
    data: Path | None = None,
    clock: Callable[[], float] = time.time,
    api_key: str | None = None,
) -> AsyncIterator[Starlette]:
    """Run the emulator in this event loop until the block ends."""
    app = create_app(Settings(data=data, api_key=api_key), model=model or ScriptedModel(), clock=clock)
    async with app.router.lifespan_context(app):
        yield app


def client_of(
    app: Starlette, *, api_key: str = "test", path: str = "/openai/v1/", checked: bool = False, strict: bool = True
) -> AsyncOpenAI:
    """`checked`: every answer is checked against the OpenAPI document; `strict`: and against the SDK's types."""
    hooks = {"response": [check_answer]} if checked else {}
    transport = httpx2.ASGITransport(app)
    return AsyncOpenAI(
        api_key=api_key,
        base_url=f"http://emulator{path}",
        http_client=httpx2.AsyncClient(transport=transport, event_hooks=hooks),
        max_retries=0,
        _strict_response_validation=strict,
    )


async def until(condition: Callable[[], Awaitable[Any]], *, within_s: float = 180) -> Any:
    """Wait until the condition is true; return its value."""
    async with asyncio.timeout(within_s):
        while not (value := await condition()):
            await asyncio.sleep(0.01)
        return value


async def create(client: AsyncOpenAI, **options: Any) -> Response:
    response: Response = await client.responses.create(**{"model": "gpt-test", "input": "Hello?", **options})
    return response


async def ended(client: AsyncOpenAI, response_id: str, **options: Any) -> Response:
    async def look() -> Response | None:
        response = await client.responses.retrieve(response_id, **options)
        return None if response.status in ("queued", "in_progress") else response

    response: Response = await until(look)
    return response
