"""How errors of the model service are translated to errors of the app."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from azure.core.exceptions import ClientAuthenticationError
from openai import AsyncOpenAI
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse

from shared.engines import client as client_module
from shared.engines.base import MadeFile
from shared.engines.client import open_client
from shared.engines.responses import ResponsesEngine
from shared.errors import AppError, ServiceBusy, ServiceDenied, ServiceError, ServiceMissing, ServiceNotUnderstood
from tests.contract.service import Service, answering, ask_of, error_body, settings_of, speaking_to

NO_KEYS = "OperationId get-container not supported for CheckAccess."
ERRORS = [
    (400, error_body("content_filter", "Filtered."), {}, ServiceError, "content_filter", None),
    (400, {"odd": 1}, {}, ServiceError, "service_400", None),
    (401, error_body("401", "Bad key."), {}, ServiceError, "401", None),
    (403, error_body(None, "No role."), {}, ServiceDenied, "service_access_denied", None),
    (403, error_body("Forbidden", NO_KEYS), {}, ServiceError, "tokens_not_supported", None),
    (404, error_body("404", NO_KEYS), {}, ServiceError, "tokens_not_supported", None),
    (400, error_body("400", NO_KEYS), {}, ServiceError, "tokens_not_supported", None),
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
async def test_error_responses_are_translated(
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


@pytest.mark.parametrize(
    ("credential", "error"),
    [("e30.e30.sig", ServiceDenied), ("sk-proj-key", ServiceError), ("f00d" * 8, ServiceError)],
    ids=["token", "key", "Azure key"],
)
async def test_401_is_put_off_for_a_token_and_final_for_a_key(credential: str, error: type[AppError]) -> None:
    async def answer(_: Request) -> Response:
        return JSONResponse(error_body("PermissionDenied", "lacks the required data action"), 401)

    async with answering(answer) as url, speaking_to(settings_of(url, key=credential)) as service:
        with pytest.raises(error) as caught:
            await service.engine.start(ask_of(service, "Why?"))
    assert type(caught.value) is error
    assert ("Cognitive Services OpenAI Contributor" in caught.value.message) == (error is ServiceDenied)


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
async def test_an_unreachable_service_is_busy(call: str) -> None:
    async with speaking_to(settings_of("http://127.0.0.1:1/openai/v1/")) as service:
        with pytest.raises(ServiceBusy, match="cannot be reached"):
            await EVERY_CALL[call](service)


@pytest.mark.parametrize("call", EVERY_CALL)
async def test_every_call_translates_status_429(call: str) -> None:
    async def answer(_: Request) -> Response:
        return JSONResponse(error_body("429", "Slow down."), 429, {"retry-after": "3"})

    async with answering(answer) as url, speaking_to(settings_of(url)) as service:
        with pytest.raises(ServiceBusy) as caught:
            await EVERY_CALL[call](service)
    assert caught.value.retry_after_s == 3


@pytest.mark.parametrize("status", [200, 400, 404])
@pytest.mark.parametrize("call", EVERY_CALL)
async def test_the_page_of_a_stranger_says_nothing(call: str, status: int) -> None:
    """Of a gateway or a captive portal: what was asked for is neither done nor gone, and is tried again."""

    async def answer(_: Request) -> Response:
        return HTMLResponse("<h1>Please sign in</h1>", status)

    if (call, status) == ("download", 200):
        pytest.skip("The content of a file has any type.")
    async with answering(answer) as url, speaking_to(settings_of(url)) as service:
        with pytest.raises(ServiceNotUnderstood, match="Check OPENAI_BASE_URL") as caught:
            await EVERY_CALL[call](service)
    assert caught.value.unclear


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


async def test_a_missing_token_is_a_service_error() -> None:
    async def no_token() -> str:
        raise ClientAuthenticationError("No managed identity here.")

    async with AsyncOpenAI(base_url="http://127.0.0.1:1/openai/v1/", api_key=no_token, max_retries=0) as client:
        with pytest.raises(ServiceError, match="token"):
            await ResponsesEngine(client).look(("resp_1",))


async def test_a_download_that_is_too_large_is_stopped_early(
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
        assert sent_bytes < 32 * 1024 * 1024  # the server may send more, but the client has stopped reading
