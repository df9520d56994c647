"""A small chat-completions server whose answers a test can hold back, and which calls functions as a test says."""

import asyncio
import json
import socket
import threading
import uuid
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

Calls = list[tuple[str, str]]  # name, arguments as JSON


class ChatServer:
    """Says "The answer is <n>.", n counting the requests it has answered; waits while held.

    Behind it stands what functions returned: "The answer is 3. I was told: sun, rain."
    """

    def __init__(self) -> None:
        self._free = threading.Event()
        self._free.set()
        self.asked = 0
        self._calling: dict[str, list[Calls]] = {}
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
        """A question with this word in it calls these functions before it is answered, round after round."""
        self._calling[word] = list(rounds)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()

    async def _complete(self, request: Request) -> JSONResponse:
        body: dict[str, Any] = json.loads(await request.body())
        self.asked += 1
        n = self.asked
        await asyncio.to_thread(self._free.wait, 60)
        calls, told = self._next(body["messages"])
        message: dict[str, Any] = {"role": "assistant", "content": f"The answer is {n}."}
        if calls:
            message = {"role": "assistant", "content": None, "tool_calls": [_call(*call) for call in calls]}
        elif told:
            message["content"] += f" I was told: {', '.join(told)}."
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}
        return JSONResponse(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1,
                "model": body["model"],
                "choices": [choice],
                "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
            }
        )

    def _next(self, messages: list[dict[str, Any]]) -> tuple[Calls, list[str]]:
        """What to call now, and what this turn's calls have returned so far."""
        start = max(place for place, message in enumerate(messages) if message["role"] == "user")
        turn = messages[start:]
        told = [message["content"] for message in turn if message["role"] == "tool"]
        for word, rounds in self._calling.items():
            if word in turn[0]["content"]:
                done = 0
                while done < len(rounds) and len(told) >= sum(len(calls) for calls in rounds[: done + 1]):
                    done += 1
                return (rounds[done] if done < len(rounds) else []), told
        return [], told


def _call(name: str, arguments: str) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"id": f"call_{uuid.uuid4().hex[:16]}", "type": "function", "function": function}
