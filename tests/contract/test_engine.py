"""What the app expects of the model service: over the unmodified SDK on our emulator, and on a real service.

The real one is asked with `LIVE=1` and `OPENAI_BASE_URL`, `OPENAI_API_KEY`, `OPENAI_MODEL`. What a fake can show is
asked of the fakes, too.
"""

from __future__ import annotations

import asyncio
import io
import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace

import pytest
import uvicorn
from azure.core.exceptions import ClientAuthenticationError
from openai import AsyncOpenAI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from local.openai_emulator.server import serve
from local.openai_emulator.settings import Settings as EmulatorSettings
from shared.engines import client as client_module
from shared.engines.assistants import AssistantsEngine
from shared.engines.base import Ask, Engine, Look, MadeFile
from shared.engines.client import open_client
from shared.engines.responses import ResponsesEngine
from shared.engines.stores import IndexState, VectorStores, Within
from shared.engines.vector_stores import OpenAIVectorStores
from shared.errors import AppError, ChainLost, ServiceBusy, ServiceError, ServiceMissing
from shared.models.runs import Function
from shared.settings import Settings
from tests.acceptance.chat_server import ChatServer
from tests.fakes import FakeEngine, FakeVectorStores

GUIDE = b"# Limits\n\nThe warning limit for response time is 350 ms. The critical limit is 900 ms.\n"
CSV = b"server,ms\nweb-01,10\nweb-01,20\nweb-02,40\n"
WEATHER = Function(name="weather", description="Of a city.", parameters={"type": "object", "properties": {}})
pytestmark = pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # each call of the Assistants API
LIVE = bool(os.environ.get("LIVE"))


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
        yield Service(made, OpenAIVectorStores(client), settings.model)


@pytest.fixture(
    params=[
        "responses",
        "assistants",
        pytest.param("live", marks=pytest.mark.skipif(not LIVE, reason="LIVE=1 is not set")),
    ]
)
async def service(request: pytest.FixtureRequest) -> AsyncIterator[Service]:
    if request.param == "live":
        async with speaking_to(Settings.from_environ({"AzureWebJobsStorage": "none", **os.environ})) as live:
            yield live
        return
    async with serve() as url, speaking_to(settings_of(f"{url}/openai/v1/"), engine=request.param) as emulated:
        yield emulated


@pytest.fixture(params=["responses", "assistants"])
async def calling(request: pytest.FixtureRequest) -> AsyncIterator[Service]:
    """A service whose model calls `weather` for two cities, then once more, before it answers."""
    with ChatServer() as model:
        model.calls("weather", [("weather", '{"city": "Rome"}'), ("weather", '{"city": "Oslo"}')], [("weather", "{}")])
        emulator = EmulatorSettings(model_url=model.url, model="chat")
        async with (
            serve(emulator) as url,
            speaking_to(settings_of(f"{url}/openai/v1/"), engine=request.param) as emulated,
        ):
            yield emulated


@pytest.fixture(params=["fake", "emulator", "live"])
async def stores(request: pytest.FixtureRequest) -> AsyncIterator[VectorStores]:
    if request.param == "fake":
        yield FakeVectorStores()
    elif request.param == "live" and not LIVE:
        pytest.skip("LIVE=1 is not set")
    elif request.param == "live":
        async with speaking_to(Settings.from_environ({"AzureWebJobsStorage": "none", **os.environ})) as live:
            yield live.stores
    else:
        async with serve() as url, speaking_to(settings_of(f"{url}/openai/v1/")) as emulated:
            yield emulated.stores


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
    """Ids of a new store and of the one file in it."""
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


# ---- files and vector stores -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["guide.md", "ünïcödé 文書.md", 'quo"te.md'])
async def test_a_file_goes_into_a_store_and_out_again(stores: VectorStores, name: str) -> None:
    store_id, file_id = await indexed(stores, name, GUIDE)
    assert dict(await stores.attributes(store_id, file_id)) == {"path": name, "etag": "0x1", "kind": "text"}
    await stores.discard(store_id, file_id)
    with pytest.raises(ServiceMissing):
        await stores.state(store_id, file_id)
    await stores.discard(store_id, file_id)  # what is gone already is fine
    await stores.discard(None, file_id)
    await stores.delete_store(store_id)
    await stores.delete_store(store_id)
    with pytest.raises(ServiceMissing):
        await stores.attach(store_id, file_id, {})


async def test_content_is_sent_from_its_start(stores: VectorStores) -> None:
    content = io.BytesIO(GUIDE)
    content.read()
    store_id = await stores.create_store("s", app="test")
    file_id = await stores.upload("guide.md", content)
    await stores.attach(store_id, file_id, {})
    assert (await settled(stores, store_id, file_id)).status == "completed"
    await stores.discard(store_id, file_id)
    await stores.delete_store(store_id)


async def test_what_is_unknown_is_missing(stores: VectorStores) -> None:
    store_id = await stores.create_store("s", app="test")
    with pytest.raises(ServiceMissing):
        await stores.state(store_id, "assistant-unknown")
    with pytest.raises(ServiceMissing):
        await stores.attributes("vs_unknown", "assistant-unknown")
    with pytest.raises(ServiceMissing):
        await stores.attach("vs_unknown", "assistant-unknown", {})
    await stores.delete_store(store_id)


async def test_a_damaged_document_fails_with_a_reason(service: Service) -> None:
    store_id = await service.stores.create_store("s", app="test")
    file_id = await service.stores.upload("a.pdf", io.BytesIO(b"%PDF-1.7 this is no PDF"))
    await service.stores.attach(store_id, file_id, {})
    state = await settled(service.stores, store_id, file_id)
    assert state.status == "failed"
    assert state.code
    assert state.message
    await service.stores.discard(store_id, file_id)
    await service.stores.delete_store(store_id)


# ---- runs --------------------------------------------------------------------------------------------------------


async def test_a_cited_answer_and_its_follow_up(service: Service) -> None:
    store_id, file_id = await indexed(service.stores, "guide.md", GUIDE)
    first = await service.engine.start(
        ask_of(service, "What is the warning limit for response time?", stores=(store_id,))
    )
    look = await ended(lambda: service.engine.look((first,)))
    assert (look.status, look.failure) == ("completed", None)
    assert look.output is not None
    assert "350" in look.output.text
    assert "file_search" in [activity.type for activity in look.activity]
    assert look.output.annotations
    for annotation in look.output.annotations:
        assert (annotation.file_id, annotation.filename) == (file_id, "guide.md")
        assert 0 <= annotation.position <= len(look.output.text)
    [passage] = [p for p in look.output.passages if p.file_id == file_id][:1]
    assert "350 ms" in passage.text
    assert passage.attributes["path"] == "guide.md"
    usage = look.output.usage
    assert usage.file_search_calls >= 1
    assert usage.input_tokens > 0
    assert usage.output_tokens > 0
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens
    assert look.output.model

    second = await service.engine.start(
        ask_of(service, "And what is the critical limit?", stores=(store_id,), previous=first)
    )
    look = await ended(lambda: service.engine.look((second,)))
    assert look.output is not None
    assert "900" in look.output.text
    await service.stores.discard(store_id, file_id)
    await service.stores.delete_store(store_id)


async def test_a_chart_from_data(service: Service) -> None:
    file_id = await service.stores.upload("servers.csv", io.BytesIO(CSV))
    question = "What is the average ms by server? Create a bar chart of it."
    engine_run = await service.engine.start(ask_of(service, question, files=(file_id,)))
    look = await ended(lambda: service.engine.look((engine_run,)))
    assert (look.status, look.failure) == ("completed", None)
    assert look.output is not None
    assert "15" in look.output.text
    assert look.output.usage.code_interpreter_calls >= 1
    assert look.output.usage.code_interpreter_sessions == 1
    assert len(look.output.containers) == (0 if service.engine.name == "assistants" else 1)
    pictures = [made for made in look.output.made if made.filename.endswith(".png")]
    assert pictures
    assert (await service.engine.download(pictures[0])).startswith(b"\x89PNG\r\n")
    await service.stores.discard(None, file_id)


async def test_a_run_can_be_cancelled_at_any_time(service: Service) -> None:
    engine_run = await service.engine.start(ask_of(service, "What is there to know?"))
    with suppress(ServiceError):  # it may have ended already
        await service.engine.cancel(engine_run)
    look = await ended(lambda: service.engine.look((engine_run,)))
    assert look.status in ("cancelled", "completed")


async def test_an_unknown_run_is_missing(service: Service) -> None:
    with pytest.raises(ServiceMissing):
        await service.engine.look(("resp_" + "0" * 48,))
    with pytest.raises(ServiceError):
        await service.engine.start(ask_of(service, "And then?", previous="resp_" + "0" * 48))


async def test_functions_are_called_in_rounds(calling: Service) -> None:
    ask = replace(ask_of(calling, "How is the weather?"), functions=(WEATHER,))
    engine_runs = [await calling.engine.start(ask)]
    asked: list[list[tuple[str, str]]] = []
    for outputs in (["sun", "snow"], ["hail"]):
        look = await ended(lambda: calling.engine.look(engine_runs))
        assert (look.status, len(look.calls)) == ("requires_action", len(outputs))
        asked.append([(call.name, call.arguments) for call in look.calls])
        handed = {call.call_id: output for call, output in zip(look.calls, outputs, strict=True)}
        engine_run = await calling.engine.answer_calls(engine_runs[-1], ask, handed)
        if engine_run != engine_runs[-1]:
            engine_runs.append(engine_run)
    look = await ended(lambda: calling.engine.look(engine_runs))
    assert asked == [[("weather", '{"city": "Rome"}'), ("weather", '{"city": "Oslo"}')], [("weather", "{}")]]
    assert look.output is not None
    assert (look.status, look.calls) == ("completed", ())
    assert "I was told: sun, snow, hail." in look.output.text
    assert (look.output.usage.input_tokens, look.output.usage.output_tokens) == (30, 15)


async def test_a_run_that_waits_for_its_calls_can_be_left(calling: Service) -> None:
    ask = replace(ask_of(calling, "How is the weather?"), functions=(WEATHER,))
    engine_run = await calling.engine.start(ask)
    await ended(lambda: calling.engine.look((engine_run,)))
    with suppress(ServiceError):  # a response that asked for functions has completed
        await calling.engine.cancel(engine_run)
    again = await calling.engine.start(ask_of(calling, "Something else?"))
    assert (await ended(lambda: calling.engine.look((again,)))).status == "completed"


async def test_what_is_forgotten_cannot_be_continued_but_told(service: Service) -> None:
    first = await service.engine.start(ask_of(service, "What is there to know?"))
    await ended(lambda: service.engine.look((first,)))
    await service.engine.forget((first,))
    await service.engine.forget((first,))  # what is gone already is fine
    with pytest.raises(ServiceMissing):
        await service.engine.look((first,))
    follow_up = ask_of(service, "And then?", previous=first)
    with pytest.raises(ChainLost):
        await service.engine.start(follow_up)
    said = (("user", "What is there to know?"), ("assistant", "Little."))
    told = await service.engine.start(replace(follow_up, previous=None, history=said))
    assert (await ended(lambda: service.engine.look((told,)))).status == "completed"


async def test_the_fake_engine_keeps_the_contract() -> None:
    engine = FakeEngine()
    service = Service(engine, FakeVectorStores(), "fake")
    engine_run = await engine.start(ask_of(service, "Why?"))
    look = await ended(lambda: engine.look((engine_run,)))
    assert look.status == "completed"
    assert look.output is not None
    await engine.cancel(engine_run)
    assert (await engine.look((engine_run,))).status == "cancelled"
    with pytest.raises(ServiceMissing):
        await engine.look(("resp_unknown",))
    with pytest.raises(ServiceMissing):
        await engine.cancel("resp_unknown")


# ---- errors ------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def answering(answer: Callable[[Request], Awaitable[Response]]) -> AsyncIterator[str]:
    """A real server on a free port that answers every request so; yields its base URL."""

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


ERRORS = [
    (400, error_body("content_filter", "Filtered."), {}, ServiceError, "content_filter", None),
    (400, {"odd": 1}, {}, ServiceError, "service_400", None),
    (401, error_body("401", "Bad key."), {}, ServiceError, "401", None),
    (403, error_body(None, "No role."), {}, ServiceError, "service_403", None),
    (404, error_body("not_found", "No such thing."), {}, ServiceMissing, "service_object_missing", None),
    (408, error_body(None, "Slow."), {}, ServiceBusy, "service_busy", None),
    (409, error_body(None, "Conflict."), {}, ServiceBusy, "service_busy", None),
    (
        429,
        error_body("rate_limit_exceeded", "Slow down."),
        {"retry-after-ms": "1500"},
        ServiceBusy,
        "rate_limit_exceeded",
        1.5,
    ),
    (429, error_body("429", "Slow down."), {"retry-after": "20"}, ServiceBusy, "429", 20.0),
    (429, error_body("429", "Slow down."), {"retry-after": "Mon, 23 Nov 2026 10:00:00 GMT"}, ServiceBusy, "429", None),
    (429, error_body("429", "Slow down."), {"retry-after": "nan"}, ServiceBusy, "429", None),
    (429, error_body("429", "Slow down."), {"retry-after": "-3"}, ServiceBusy, "429", None),
    (500, error_body("server_error", "Oops."), {}, ServiceBusy, "server_error", None),
    (502, None, {}, ServiceBusy, "service_busy", None),
    (503, None, {"retry-after": "7"}, ServiceBusy, "service_busy", 7.0),
]


@pytest.mark.parametrize(("status", "body", "headers", "error", "code", "retry_after_s"), ERRORS)
async def test_the_errors_of_the_service_are_ours(
    status: int,
    body: dict[str, object] | None,
    headers: dict[str, str],
    error: type[AppError],
    code: str,
    retry_after_s: float | None,
) -> None:
    requests = 0

    async def answer(_: Request) -> Response:
        nonlocal requests
        requests += 1
        sent = {**headers, "apim-request-id": "id-of-the-request"}
        return JSONResponse(body, status, sent) if body else HTMLResponse("<h1>Gateway</h1>", status, sent)

    async with answering(answer) as url, speaking_to(settings_of(url)) as service:
        with pytest.raises(error) as caught:
            await service.engine.start(ask_of(service, "Why?"))
    assert type(caught.value) is error
    assert caught.value.code == code
    assert "starting the run" in caught.value.message
    assert "id-of-the-request" in caught.value.message
    assert getattr(caught.value, "retry_after_s", None) == retry_after_s
    assert requests == 1, "nothing is retried inside"


EVERY_CALL: dict[str, Callable[[Service], Awaitable[object]]] = {
    "start": lambda s: s.engine.start(ask_of(s, "Why?")),
    "look": lambda s: s.engine.look(("resp_1",)),
    "cancel": lambda s: s.engine.cancel("resp_1"),
    "download": lambda s: s.engine.download(MadeFile(container_id="c", file_id="f", filename="a.png")),
    "create_store": lambda s: s.stores.create_store("a", app="test"),
    "delete_store": lambda s: s.stores.delete_store("vs_1"),
    "upload": lambda s: s.stores.upload("a.md", io.BytesIO(b"x")),
    "attach": lambda s: s.stores.attach("vs_1", "file-1", {}),
    "state": lambda s: s.stores.state("vs_1", "file-1"),
    "attributes": lambda s: s.stores.attributes("vs_1", "file-1"),
    "discard": lambda s: s.stores.discard("vs_1", "file-1"),
}


@pytest.mark.parametrize("call", EVERY_CALL)
async def test_a_service_out_of_reach_is_busy(call: str) -> None:
    async with speaking_to(settings_of("http://127.0.0.1:1/openai/v1/")) as service:
        with pytest.raises(ServiceBusy, match="cannot be reached"):
            await EVERY_CALL[call](service)


@pytest.mark.parametrize("call", EVERY_CALL)
async def test_every_call_translates_a_throttle(call: str) -> None:
    async def answer(_: Request) -> Response:
        return JSONResponse(error_body("429", "Slow down."), 429, {"retry-after": "3"})

    async with answering(answer) as url, speaking_to(settings_of(url)) as service:
        with pytest.raises(ServiceBusy) as caught:
            await EVERY_CALL[call](service)
    assert caught.value.retry_after_s == 3


@pytest.mark.parametrize(
    "call", sorted(EVERY_CALL.keys() - {"cancel", "delete_store", "discard", "download", "attach"})
)
async def test_a_page_in_place_of_an_answer_is_an_error_of_ours(call: str) -> None:
    """A gateway or a captive portal answers 200 with HTML."""

    async def answer(_: Request) -> Response:
        return HTMLResponse("<h1>Please sign in</h1>")

    async with answering(answer) as url, speaking_to(settings_of(url)) as service:
        with pytest.raises(ServiceError):
            await EVERY_CALL[call](service)


async def test_a_timeout_is_busy() -> None:
    gone = asyncio.Event()

    async def answer(_: Request) -> Response:
        await gone.wait()
        return JSONResponse({})

    async with answering(answer) as url, open_client(settings_of(url)) as client:
        engine = ResponsesEngine(client.with_options(timeout=0.2))
        with pytest.raises(ServiceBusy):
            await engine.look(("resp_1",))
        gone.set()


async def test_a_token_that_cannot_be_had_is_an_error_of_ours() -> None:
    async def no_token() -> str:
        raise ClientAuthenticationError("No managed identity here.")

    async with AsyncOpenAI(base_url="http://127.0.0.1:1/openai/v1/", api_key=no_token, max_retries=0) as client:
        with pytest.raises(ServiceError, match="token"):
            await ResponsesEngine(client).look(("resp_1",))


async def test_a_made_file_that_is_too_large_is_refused_before_all_of_it_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client_module, "DOWNLOAD_MAX_BYTES", 1024 * 1024)
    sent_bytes = 0

    async def content() -> AsyncIterator[bytes]:
        nonlocal sent_bytes
        for _ in range(64):
            sent_bytes += 1024 * 1024
            yield b"x" * 1024 * 1024

    async def answer(_: Request) -> Response:
        return StreamingResponse(content(), media_type="application/octet-stream")

    made = MadeFile(container_id="c", file_id="f", filename="big.bin")
    async with answering(answer) as url, speaking_to(settings_of(url)) as service:
        with pytest.raises(ServiceError, match=r"big\.bin"):
            await service.engine.download(made)
        assert sent_bytes < 32 * 1024 * 1024  # by now: what the server goes on to send, nobody reads
