"""A small chat-completions server. Tests hold its answers back, and set its tool calls, texts and errors."""

import asyncio
import json
import socket
import threading
import uuid
from typing import Any, Self, TypeVar

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

Json = dict[str, Any]
Calls = list[tuple[str, str]]  # name, arguments as JSON
Problem = tuple[str, str]  # code, message
T = TypeVar("T")


class ChatServer:
    """Answers "The answer is <n>."; n is the number of requests so far. After `hold`, requests wait for `release`.

    The outputs of functions follow: "The answer is 3. I was told: sun, rain."
    """

    def __init__(self) -> None:
        self._free = threading.Event()
        self._free.set()
        self.asked = 0
        self._calling: dict[str, list[Calls]] = {}
        self._saying: dict[str, str] = {}
        self._refusing: dict[str, Problem] = {}
        app = Starlette(routes=[Route("/v1/chat/completions", self._complete, methods=["POST"])])
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}/v1"

    def hold(self) -> None:
        self._free.clear()

    def release(self) -> None:
        self._free.set()

    def calls(self, word: str, *rounds: Calls) -> None:
        """For a question with this word, call these functions before the answer: each round is one response."""
        self._calling[word] = list(rounds)

    def says(self, word: str, text: str) -> None:
        """Answer a question with this word with this text, cut off at the request's token limit; a word is a token."""
        self._saying[word] = text

    def refuses(self, word: str, code: str, message: str) -> None:
        """Answer a question with this word with status 400."""
        self._refusing[word] = (code, message)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()

    async def _complete(self, request: Request) -> JSONResponse:
        body: Json = json.loads(await request.body())
        self.asked += 1
        n = self.asked
        await asyncio.to_thread(self._free.wait, 60)
        turn = _turn(body["messages"])
        if problem := _of(turn, self._refusing):
            code, message = problem
            error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
            return JSONResponse({"error": error}, status_code=400)
        told = [message["content"] for message in turn if message["role"] == "tool"]
        if calls := _next(_of(turn, self._calling) or [], len(told)):
            return _completion(body["model"], "tool_calls", tool_calls=[_call(*call) for call in calls])
        if text := _of(turn, self._saying):
            words, limit = text.split(), body.get("max_completion_tokens", body.get("max_tokens"))
            reason = "stop" if limit is None or len(words) <= limit else "length"
            return _completion(body["model"], reason, content=" ".join(words[:limit]), tokens=len(words[:limit]))
        outputs = f" I was told: {', '.join(told)}." if told else ""
        return _completion(body["model"], "stop", content=f"The answer is {n}.{outputs}")


def _turn(messages: list[Json]) -> list[Json]:
    """The last question and the messages after it."""
    return messages[max(place for place, message in enumerate(messages) if message["role"] == "user") :]


def _of(turn: list[Json], by_word: dict[str, T]) -> T | None:
    return next((found for word, found in by_word.items() if word in turn[0]["content"]), None)


def _next(rounds: list[Calls], told: int) -> Calls:
    """The next round of calls. `told`: the number of calls of this turn that have returned."""
    for calls in rounds:
        if told < len(calls):
            return calls
        told -= len(calls)
    return []


def _completion(
    model: str, reason: str, *, content: str | None = None, tool_calls: list[Json] | None = None, tokens: int = 5
) -> JSONResponse:
    message = {"role": "assistant", "content": content, **({"tool_calls": tool_calls} if tool_calls else {})}
    return JSONResponse(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": model,
            "choices": [{"index": 0, "message": message, "finish_reason": reason}],
            "usage": {"prompt_tokens": 10, "completion_tokens": tokens, "total_tokens": 10 + tokens},
        }
    )


def _call(name: str, arguments: str) -> Json:
    function = {"name": name, "arguments": arguments}
    return {"id": f"call_{uuid.uuid4().hex[:16]}", "type": "function", "function": function}
