"""What some Azure resources refuse, and how the adapters go on: parameters, filters, searches, files of containers."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from openai.types.responses import ResponseCodeInterpreterToolCall
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from shared.engines.base import MadeFile
from shared.engines.images import content_of, with_images
from shared.engines.stores import Within
from shared.errors import ServiceError, ServiceMissing
from tests.contract.service import answering, ask_of, settings_of, speaking_to

PNG = b"\x89PNG\r\n\x1a\n"
DATA_URL = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
NO_TOKENS = {"code": "BadRequest", "message": "search_vector_store not supported for CheckAccess", "param": None}
WITHIN = Within(as_of=datetime(2026, 11, 26, tzinfo=UTC), excluded=("v1", "v2"))
STORE = {"id": "vs_1", "object": "vector_store", "created_at": 1, "name": "a", "status": "completed", "usage_bytes": 1}
STORE |= {"file_counts": {"total": 1, "completed": 1, "failed": 0, "in_progress": 0, "cancelled": 0}, "metadata": {}}


def refusal(param: str, message: str, code: str = "unsupported_parameter") -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "param": param, "type": "invalid_request_error"}}


def response_of(asked: dict[str, Any], output: list[dict[str, Any]]) -> dict[str, Any]:
    rest = {"object": "response", "created_at": 1, "model": asked["model"], "status": "completed", "tools": []}
    return {"id": "resp_1", "output": output, "parallel_tool_calls": False, "tool_choice": "auto", **rest}


@pytest.mark.parametrize(
    ("given", "param", "message", "code"),
    [
        (
            {"temperature": 0.2},
            "temperature",
            "Unsupported parameter: 'temperature' is not supported with this model.",
            "unsupported_parameter",
        ),
        (
            {"temperature": 0.2, "reasoning": "low"},
            "reasoning.effort",
            "Unsupported parameter: 'reasoning.effort' is not supported with this model.",
            "unsupported_parameter",
        ),
        (
            {"verbosity": "low"},
            "text.verbosity",
            "Unsupported value: 'low' is not supported with this model.",
            "unsupported_value",
        ),
    ],
    ids=["temperature", "reasoning", "verbosity"],
)
async def test_a_parameter_that_the_model_refuses_is_left_out_from_then_on(
    given: dict[str, Any], param: str, message: str, code: str
) -> None:
    bodies: list[dict[str, Any]] = []
    field = param.partition(".")[0]

    async def answer(request: Request) -> Response:
        bodies.append(json.loads(await request.body()))
        if field in bodies[-1]:
            return JSONResponse(refusal(param, message, code), 400)
        return JSONResponse(response_of(bodies[-1], []))

    async with answering(answer) as url, speaking_to(settings_of(url)) as service:
        ask = replace(ask_of(service, "Why?"), **given)
        assert await service.engine.start(ask) == "resp_1"
        assert await service.engine.start(ask) == "resp_1"
    assert [field in body for body in bodies] == [True, False, False]
    kept = {"temperature": 0.2} if len(given) > 1 else {}
    assert {name: bodies[-1][name] for name in kept} == kept


async def test_reasoning_and_verbosity_are_sent() -> None:
    bodies: list[dict[str, Any]] = []

    async def answer(request: Request) -> Response:
        bodies.append(json.loads(await request.body()))
        return JSONResponse(response_of(bodies[-1], []))

    async with answering(answer) as url, speaking_to(settings_of(url)) as service:
        await service.engine.start(replace(ask_of(service, "Why?"), reasoning="low", verbosity="high"))
        await service.engine.start(ask_of(service, "Why?"))
    assert (bodies[0]["reasoning"], bodies[0]["text"]) == ({"effort": "low"}, {"verbosity": "high"})
    assert not {"reasoning", "text", "temperature"} & bodies[1].keys()


async def test_another_refusal_is_not_repeated() -> None:
    requests = 0

    async def answer(_: Request) -> Response:
        nonlocal requests
        requests += 1
        return JSONResponse(refusal("model", "No such model.", "invalid_value"), 400)

    async with answering(answer) as url, speaking_to(settings_of(url)) as service:
        with pytest.raises(ServiceError, match="No such model"):
            await service.engine.start(
                replace(ask_of(service, "Why?"), temperature=0.1, within=WITHIN, stores=("vs_1",))
            )
    assert requests == 1


async def test_a_service_without_nin_gets_one_ne_for_each_value() -> None:
    filters: list[list[dict[str, Any]]] = []

    async def answer(request: Request) -> Response:
        asked = json.loads(await request.body())
        filters.append((asked.get("filters") or asked["tools"][0]["filters"])["filters"])
        if any(part["type"] == "nin" for part in filters[-1]):
            return JSONResponse(refusal("filters", "Invalid filter type: 'nin'.", "invalid_value"), 400)
        if request.url.path.endswith("/search"):
            return JSONResponse({"object": "vector_store.search_results.page", "data": [], "search_query": ["x"]})
        return JSONResponse(response_of(asked, []))

    wanted = [{"type": "ne", "key": "version", "value": value} for value in ("v1", "v2")]
    async with answering(answer) as url, speaking_to(settings_of(url)) as service:
        assert await service.stores.search("vs_1", "x", limit=5, within=WITHIN) == []
        assert await service.engine.start(replace(ask_of(service, "Why?"), stores=("vs_1",), within=WITHIN))
    assert [part[1:] == wanted for part in filters] == [False, True, False, True]


RESULT = {"file_id": "file-1", "filename": "a.md", "text": "The limit is 350 ms.", "score": 0.8, "attributes": {"a": 1}}
FOUND = {"id": "fs_1", "type": "file_search_call", "status": "completed", "queries": ["x"], "results": [RESULT, RESULT]}


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"error": NO_TOKENS}),
        (403, {"error": NO_TOKENS}),
        (404, {"error": {"code": "404", "message": "No such."}}),
    ],
    ids=["400 CheckAccess", "403 CheckAccess", "404"],
)
async def test_a_search_that_the_endpoint_refuses_is_made_by_a_response(status: int, body: dict[str, Any]) -> None:
    paths: list[str] = []

    async def answer(request: Request) -> Response:
        paths.append(request.url.path.removeprefix("/openai/v1/"))
        if paths[-1].endswith("/search"):
            return JSONResponse(body, status)
        if paths[-1] == "vector_stores/vs_1":
            return JSONResponse(STORE)
        asked = json.loads(await request.body())
        assert (asked["store"], asked["tool_choice"]) == (False, {"type": "file_search"})
        assert asked["tools"][0]["filters"]["filters"][1]["value"] == ["v1", "v2"]
        return JSONResponse(response_of(asked, [FOUND]))

    async with answering(answer) as url, speaking_to(settings_of(url)) as service:
        for _ in range(2):
            [passage] = await service.stores.search("vs_1", "limits", limit=5, within=WITHIN)
            assert (passage.text, passage.attributes) == ("The limit is 350 ms.", {"a": 1})
    assert paths.count("vector_stores/vs_1/search") == 1
    assert paths.count("responses") == 2


async def test_only_a_store_that_is_missing_is_called_missing() -> None:
    async def answer(_: Request) -> Response:
        return JSONResponse({"error": {"code": "404", "message": "No such."}}, 404)

    async with answering(answer) as url, speaking_to(settings_of(url)) as service:
        with pytest.raises(ServiceMissing, match="retrieving vs_1"):
            await service.stores.search("vs_1", "limits", limit=5, within=WITHIN)


async def test_a_listing_without_order_and_limit_is_read_whole() -> None:
    async def answer(request: Request) -> Response:
        if "order" in request.query_params:
            return JSONResponse(refusal("order", "Unknown parameter.", "unknown_parameter"), 400)
        files = [{"id": f"file-{n}", "filename": "a", "bytes": 1, "created_at": n, "object": "file"} for n in (1, 9, 5)]
        data = [{**file, "purpose": "assistants", "status": "processed"} for file in files]
        return JSONResponse({"object": "list", "data": data, "has_more": False})

    async with answering(answer) as url, speaking_to(settings_of(url)) as service:
        since = datetime.fromtimestamp(5, UTC)
        assert [file.id async for file in service.stores.files_since(since)] == ["file-9", "file-5"]


# ---- charts ------------------------------------------------------------------------------------------------------


def call_of(*urls: str) -> ResponseCodeInterpreterToolCall:
    outputs = [{"type": "image", "url": url} for url in urls]
    return ResponseCodeInterpreterToolCall.model_validate(
        {
            "id": "ci_1",
            "type": "code_interpreter_call",
            "status": "completed",
            "code": "plot()",
            "container_id": "cntr_1",
            "outputs": outputs,
        }
    )


@pytest.mark.parametrize("status", [400, 401, 403, 404])
async def test_a_chart_whose_file_is_refused_comes_from_the_outputs(status: int) -> None:
    text = "Done: [chart](sandbox:/mnt/data/a.png)"
    cited = {"type": "container_file_citation", "container_id": "cntr_1", "file_id": "cfile_1", "filename": "a.png"}
    part = {"type": "output_text", "text": text, "annotations": [{**cited, "start_index": 6, "end_index": 20}]}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}

    async def answer(request: Request) -> Response:
        if "/containers/" in request.url.path:
            return JSONResponse(
                {"error": {**NO_TOKENS, "message": "get-container not supported for CheckAccess"}}, status
            )
        return JSONResponse(response_of({"model": "m"}, [call_of(DATA_URL).model_dump(), message]))

    async with answering(answer) as url, speaking_to(settings_of(url)) as service:
        look = await service.engine.look(("resp_1",))
        assert look.output
        [file] = look.output.made
        assert (file.filename, await service.engine.download(file)) == ("a.png", PNG)


def test_images_without_a_name_are_kept_apart_and_never_mixed_up() -> None:
    one = MadeFile(container_id="cntr_1", file_id="cfile_1", filename="a.png")
    made, others = with_images([one], [call_of(DATA_URL, DATA_URL)])
    assert made[0].url is None, "two images for one file: neither is certain"
    assert [(image.filename, image.file_id) for image in others] == [("chart-1.png", ""), ("chart-2.png", "")]
    made, others = with_images([one], [call_of(DATA_URL)])
    assert (made[0].url, others) == (DATA_URL, ())


@pytest.mark.parametrize("url", ["https://elsewhere.example/a.png", "data:text/html,x", "", "data:image/png;base64,*"])
def test_no_other_url_is_fetched(url: str) -> None:
    with pytest.raises(ServiceError) as caught:
        content_of(url)
    assert caught.value.code == "image_not_given"
