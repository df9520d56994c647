"""A server that receives webhooks."""

import socket
import threading
from dataclasses import dataclass, field
from typing import Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


@dataclass(frozen=True)
class Received:
    path: str
    body: bytes
    headers: dict[str, str]


@dataclass
class Receiver:
    """Answers with the statuses in `answers`, one after the other, then with 200. `received`: all requests so far."""

    answers: list[int] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)

    def __post_init__(self) -> None:
        app = Starlette(routes=[Route("/{path:path}", self._take, methods=["POST"])])
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def at(self, path: str) -> list[Received]:
        return [received for received in self.received if received.path == path]

    def ids(self, path: str) -> set[str]:
        """The ids of what was sent to a path. Delivery is at least once: what comes twice has the same id."""
        return {received.headers["webhook-id"] for received in self.at(path)}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()

    async def _take(self, request: Request) -> Response:
        self.received.append(Received(request.url.path, await request.body(), dict(request.headers)))
        return Response(status_code=self.answers.pop(0) if self.answers else 200)
