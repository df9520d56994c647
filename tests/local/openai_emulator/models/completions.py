"""A chat-completions server for tests: it returns the given answers, whole or streamed, and records the requests."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from local.openai_emulator.models.chat import ChatModel


class Completions:
    """Streams an answer word by word if asked to; `calls` come in two pieces then."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, Any] | str]] = []
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.url = ""

    def say(self, content: Any, finish_reason: str = "stop", **fields: Any) -> None:
        self.answer({"role": "assistant", "content": content, **fields}, finish_reason)

    def call(self, *calls: tuple[str, str, Any]) -> None:
        tool_calls = [
            {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
            for id, name, arguments in calls
        ]
        self.answer({"role": "assistant", "content": None, "tool_calls": tool_calls}, "tool_calls")

    def answer(self, message: dict[str, Any], finish_reason: str) -> None:
        choice = {"index": 0, "message": message, "finish_reason": finish_reason, "logprobs": None}
        usage = {"prompt_tokens": 30, "completion_tokens": 4, "total_tokens": 34}
        body = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
        self.answers.append((200, body))

    def refuse(self, status: int, code: str | None, message: str) -> None:
        self.answers.append((status, {"error": {"message": message, "type": "x", "code": code, "param": None}}))

    async def complete(self, request: Request) -> Response:
        self.requests.append(await request.json())
        self.keys.append(request.headers.get("authorization"))
        status, body = self.answers.pop(0)
        if isinstance(body, str):
            return Response(body, media_type="text/html")
        if status == 200 and self.requests[-1].get("stream"):
            return StreamingResponse(_chunks(body), media_type="text/event-stream")
        return JSONResponse(body, status_code=status, headers={"x-should-retry": "false"})


async def _chunks(body: dict[str, Any]) -> AsyncIterator[str]:
    message, reason = body["choices"][0]["message"], body["choices"][0]["finish_reason"]
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": word} for word in (message["content"] or "").replace(" ", "\0 ").split("\0")]
    for index, call in enumerate(message.get("tool_calls") or ()):
        function = call["function"]
        begun = {**call, "index": index, "function": {"name": function["name"], "arguments": function["arguments"][:5]}}
        deltas += [
            {"tool_calls": [begun]},
            {"tool_calls": [{"index": index, "function": {"arguments": function["arguments"][5:]}}]},
        ]
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    for delta in deltas:
        yield f"data: {json.dumps({**head, 'choices': [{'index': 0, 'delta': delta, 'finish_reason': None}]})}\n\n"
    yield f"data: {json.dumps({**head, 'choices': [{'index': 0, 'delta': {}, 'finish_reason': reason}]})}\n\n"
    yield f"data: {json.dumps({**head, 'choices': [], 'usage': body['usage']})}\n\n"
    yield "data: [DONE]\n\n"


class Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]
        yield


@contextlib.asynccontextmanager
async def running_completions(
    completions: Completions | None = None,
) -> AsyncIterator[tuple[Completions, ChatModel]]:
    completions = completions or Completions()
    app = Starlette(routes=[Route("/v1/chat/completions", completions.complete, methods=["POST"])])
    server = Server(uvicorn.Config(app, log_level="warning", ws="none", lifespan="off"))
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        serving = asyncio.create_task(server.serve(sockets=[bound]))
        completions.url = f"http://127.0.0.1:{bound.getsockname()[1]}/v1"
        model = ChatModel(completions.url, "tiny", "key")
        yield completions, model
        await model.close()
        server.should_exit = True
        await serving
