"""The HTTP server: the same routes under `/openai/v1`, `/v1` and `/openai`, middleware and error bodies."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager

from openai.types import Model as ModelObject
from openai.types import ModelDeleted
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from local.callers import is_loopback
from local.openai_emulator.agent.model import Model
from local.openai_emulator.emulator import Emulator, open_emulator
from local.openai_emulator.errors import ApiError, not_implemented
from local.openai_emulator.http import wire
from local.openai_emulator.http.azure import gateway_body, no_deployment
from local.openai_emulator.http.faults import Faults, InjectFaults
from local.openai_emulator.http.middleware import REQUEST_IDS, Credentials, OwnCallers, RequestIds
from local.openai_emulator.http.snapshots import Gate, Snapshots
from local.openai_emulator.settings import Settings

logger = logging.getLogger(__name__)

PREFIXES = ("/openai/v1", "/v1", "/openai")  # `/openai`: for clients that send `?api-version=`
_AT_DEPLOYMENTS = ("/chat/completions", "/embeddings")
# Paths of the real API. Where the emulator has no route for one, it answers 501; all other paths get 404.
REAL_API = re.compile(
    r"(assistants|audio|batches|chat|completions|containers|conversations|dashboard|deployments|embeddings|evals|files"
    r"|fine_tuning|images|models|moderations|organization|realtime|responses|skills|threads|uploads|vector_stores"
    r"|videos|webhook_endpoints)(/|$)"
)


def create_app(
    settings: Settings | None = None,
    *,
    model: Model | None = None,
    clock: Callable[[], float] = time.time,
    warm: bool = False,
) -> Starlette:
    """Build the ASGI app; its lifespan opens and closes the emulator (`app.state.emulator`).

    Args:
        settings: Default: data in memory, any credential accepted, the builtin model.
        model: Replaces the model that the settings name.
        clock: Returns seconds since the epoch; decides when containers, vector stores and files expire.
        warm: Start the sandbox and load the index now instead of on first use.
    """
    settings = settings or Settings()
    faults, gate = Faults(), Gate()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        @asynccontextmanager
        async def opened() -> AsyncIterator[None]:
            async with open_emulator(settings, model=model, clock=clock, warm=warm) as emulator:
                app.state.emulator = emulator
                admin = [*faults.routes(), *snapshots.routes()]
                app.router.routes[:] = _routes(emulator, admin, deployments=settings.deployments)
                yield

        snapshots = Snapshots(opened, data=settings.data, gate=gate)
        await snapshots.start()
        try:
            yield
        finally:
            await snapshots.close()

    return Starlette(
        lifespan=lifespan,
        middleware=[
            Middleware(RequestIds),
            Middleware(OwnCallers, settings=settings),
            Middleware(Credentials, settings=settings, clock=clock),
            Middleware(InjectFaults, faults=faults, prefixes=PREFIXES),
            Middleware(gate.before),
        ],
        exception_handlers={ApiError: _api_error, HTTPException: _http_error, Exception: _server_error},
    )


def _routes(emulator: Emulator, admin: Sequence[BaseRoute], *, deployments: Collection[str]) -> list[BaseRoute]:
    async def health(_: Request) -> JSONResponse:
        return JSONResponse(emulator.health())

    async def list_models(_: Request) -> wire.ListPage:
        names = [emulator.model.name]
        return wire.ListPage(
            data=[wire.dump(_model(name)) for name in names], first_id=names[0], last_id=names[-1], has_more=False
        )

    async def retrieve_model(request: Request) -> ModelObject:
        return _model(request.path_params["model"])  # on Azure this is a deployment name, so any is accepted

    async def delete_model(request: Request) -> ModelDeleted:
        """Refuse, like the services, to delete a model that is not the caller's own."""
        name = request.path_params["model"]
        if not name.startswith("ft:"):
            raise ApiError(403, f"The model '{name}' is not fine-tuned: it cannot be deleted.", param="model")
        return ModelDeleted(id=name, object="model", deleted=True)

    routes = [
        *emulator.routes(),
        wire.route("GET", "/models", list_models),
        wire.route("GET", "/models/{model}", retrieve_model),
        wire.route("DELETE", "/models/{model}", delete_model),
        *_at_deployments(emulator.routes(), deployments),
        Route("/{path:path}", _nothing_here, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
    ]
    return [Route("/healthz", health), *admin, *(Mount(prefix, routes=routes) for prefix in PREFIXES)]


def _at_deployments(routes: Sequence[BaseRoute], names: Collection[str]) -> list[BaseRoute]:
    """The routes that Azure's dated API also has below a deployment. `names`: the deployments; empty: any name."""

    def known(endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            if names and request.path_params["deployment"] not in names:
                return JSONResponse(gateway_body(no_deployment(), request), status_code=404)
            return await endpoint(request)

        return answer

    return [
        Route(f"/deployments/{{deployment}}{route.path}", known(route.endpoint), methods=["POST"])
        for route in routes
        if isinstance(route, Route) and route.path in _AT_DEPLOYMENTS and "POST" in (route.methods or ())
    ]


def _model(name: str) -> ModelObject:
    return ModelObject(id=name, object="model", created=0, owned_by="openai-emulator")


async def _nothing_here(request: Request) -> Response:
    path: str = request.path_params["path"].strip("/")
    if REAL_API.match(path):
        raise not_implemented(f"{request.method} /{path}")
    error = ApiError(404, f"Invalid URL ({request.method} {request.url.path})", code="not_found")
    return JSONResponse(gateway_body(error, request), status_code=404)


# ---- errors ------------------------------------------------------------------------------------------------------


async def _api_error(_: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, ApiError)
    headers = {"x-should-retry": "false"} if exc.status == 501 else None  # otherwise the SDKs retry
    return JSONResponse(exc.body(), status_code=exc.status, headers=headers)


async def _http_error(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, HTTPException)
    message = {404: f"Invalid URL ({request.method} {request.url.path})"}.get(exc.status_code, exc.detail)
    error = ApiError(exc.status_code, message, code="not_found" if exc.status_code == 404 else None)
    return JSONResponse(error.body(), status_code=exc.status_code, headers=exc.headers)


async def _server_error(request: Request, exc: Exception) -> JSONResponse:
    """Handle any other error; adds the request ids itself because it runs outside the middleware."""
    ids = request.scope.get(REQUEST_IDS, {})
    logger.error("request.failed", exc_info=exc, extra={"path": request.url.path, **ids})
    error = ApiError(500, "The emulator had an error while processing your request; see its log.", type="server_error")
    return JSONResponse(error.body(), status_code=500, headers=ids)


# ---- on a port ---------------------------------------------------------------------------------------------------


def listen(host: str, port: int, *, api_key: str | None) -> socket.socket:
    """Bind a port; 0 chooses a free one.

    Raises:
        ValueError: the host is not a loopback address and no API key is set.
    """
    if not is_loopback(host) and not api_key:
        raise ValueError(f"Host {host} is reachable from outside: set EMULATOR_API_KEY first, or use 127.0.0.1.")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns off Nagle's algorithm, a delay of 40 ms, only if the protocol is given as TCP
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((host, port))
    return bound


@asynccontextmanager
async def serve(
    settings: Settings | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    model: Model | None = None,
    clock: Callable[[], float] = time.time,
) -> AsyncIterator[str]:
    """Serve in this event loop until the block ends; yields `http://HOST:PORT`.

    Raises:
        ValueError: see `listen`.
        RuntimeError: another emulator uses the same data folder.
    """
    import uvicorn

    settings = settings or Settings()
    started = asyncio.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            started.set()

        @contextlib.contextmanager
        def capture_signals(self):  # type: ignore[no-untyped-def]  # the caller handles signals
            yield

    with contextlib.closing(listen(host, port, api_key=settings.api_key)) as bound:
        app = create_app(settings, model=model, clock=clock, warm=True)
        async with app.router.lifespan_context(app):  # not by uvicorn, which exits the process on a failure
            config = uvicorn.Config(
                app, log_level="warning", access_log=False, ws="none", lifespan="off", timeout_graceful_shutdown=5
            )
            server = Server(config)
            task = asyncio.create_task(server.serve(sockets=[bound]), name="uvicorn")
            try:
                await started.wait()
                name = f"[{host}]" if ":" in host else host
                yield f"http://{name}:{bound.getsockname()[1]}"
            finally:
                server.should_exit = True
                await task
