"""Serves an ASGI app over HTTP/1.1."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

from local.functions_host.http.connection import App, Connection


@contextlib.asynccontextmanager
async def serving(app: App, *, host: str = "127.0.0.1", port: int = 0, grace_s: float = 2) -> AsyncIterator[str]:
    """Serve an app and yield its address, `http://127.0.0.1:<port>`; port 0 takes a free port.

    At the end, new connections are refused at once, and running requests have `grace_s` to end.

    Raises:
        OSError: the port is in use.
    """
    connections: set[Connection] = set()
    with listening(host, port) as listener:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Connection(app, connections), sock=listener, backlog=2048)
        try:
            yield f"http://{host}:{listener.getsockname()[1]}"
        finally:
            server.close()
            answering = [task for connection in list(connections) if (task := connection.shut_down())]
            if answering:
                await asyncio.wait(answering, timeout=grace_s)
            for connection in list(connections):
                connection.abort()
            await asyncio.gather(*answering, return_exceptions=True)


@contextlib.contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.setblocking(False)
        yield listener
