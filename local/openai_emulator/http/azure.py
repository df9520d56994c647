"""Azure's own ways: error bodies of its gateway at dated `?api-version=` paths, and what its content filter adds.

Other errors of the service behind the gateway have OpenAI's format there, too.
Sources: https://learn.microsoft.com/azure/ai-foundry/openai/how-to/troubleshoot-errors
https://learn.microsoft.com/azure/ai-foundry/openai/concepts/content-filter-annotations
https://github.com/Azure/azure-rest-api-specs/pull/42141 (responses)
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

from starlette.requests import Request

from local.openai_emulator.errors import ApiError
from local.openai_emulator.http.streams import Event

CONTENT_FILTER, NO_DEPLOYMENT = "content_filter", "DeploymentNotFound"
_ACCESS_DENIED = (
    "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an"
    " active subscription and use a correct regional API endpoint for your resource."
)
_NO_DEPLOYMENT = (
    "The API deployment for this resource does not exist. If you created the deployment within the last 5 minutes,"
    " please wait a moment and try again."
)
_FILTERED = (
    "The response was filtered due to the prompt triggering Azure OpenAI's content management policy. Please modify"
    " your prompt and retry. To learn more about our content filtering policies please read our documentation:"
    " https://go.microsoft.com/fwlink/?linkid=2198766"
)
_CATEGORIES = ("hate", "self_harm", "sexual", "violence")
_OPERATIONS = {"/chat/completions": "ChatCompletions_Create", "/embeddings": "Embeddings_Create"}


def is_dated(request: Request) -> bool:
    path = request.scope["path"]
    return path.startswith("/openai/") and not path.startswith("/openai/v1/") and "api-version" in request.query_params


def is_azure(request: Request) -> bool:
    """Whether a path is one of Azure, dated or not."""
    return str(request.scope["path"]).startswith("/openai/")


def gateway_body(error: ApiError, request: Request, *, retry_after_s: int = 1) -> dict[str, Any]:
    """The body of an error that Azure's gateway answers before the service; elsewhere OpenAI's.

    Those are a refused credential, an unknown path, an unknown deployment, and a rate limit.
    """
    if error.code == CONTENT_FILTER and error.status == 400 and is_azure(request):
        return _filtered_body()
    if error.code == NO_DEPLOYMENT and is_azure(request):
        return {"error": {"code": NO_DEPLOYMENT, "message": _NO_DEPLOYMENT}}
    if error.status not in (401, 404, 429) or not is_dated(request):
        return error.body()
    messages = {401: _ACCESS_DENIED, 404: "Resource not found", 429: _too_many(request, retry_after_s)}
    return {"error": {"code": str(error.status), "message": messages[error.status]}}


def no_deployment() -> ApiError:
    return ApiError(404, _NO_DEPLOYMENT, code=NO_DEPLOYMENT)


def _too_many(request: Request, retry_after_s: int) -> str:
    path = re.sub(r"^/openai(?:/deployments/[^/]+)?", "", request.scope["path"])
    operation = _OPERATIONS.get(path, path.strip("/").replace("/", "_"))
    return (
        f"Requests to the {operation} Operation under Azure OpenAI API version {request.query_params['api-version']}"
        f" have exceeded call rate limit of your current OpenAI S0 pricing tier. Please retry after {retry_after_s}"
        f" second{'' if retry_after_s == 1 else 's'}. Please go here: https://aka.ms/oai/quotaincrease if you would"
        " like to further increase the default rate limit."
    )


# ---- the content filter ------------------------------------------------------------------------------------------


def _filtered_body() -> dict[str, Any]:
    found = {**_nothing_found(), "jailbreak": {"filtered": False, "detected": False}}
    found["violence"] = {"filtered": True, "severity": "medium"}
    inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": found}
    about = {"message": _FILTERED, "type": None, "param": "prompt", "code": CONTENT_FILTER, "status": 400}
    return {"error": {**about, "innererror": inner}}


def _nothing_found() -> dict[str, dict[str, Any]]:
    return {category: {"filtered": False, "severity": "safe"} for category in _CATEGORIES}


def _of_prompt() -> list[dict[str, Any]]:
    found = {**_nothing_found(), "jailbreak": {"filtered": False, "detected": False}}
    return [{"prompt_index": 0, "content_filter_results": found}]


def with_filters(completion: Mapping[str, Any]) -> dict[str, Any]:
    """A chat completion with what the content filter found: nothing. What is there already stays."""
    choices = [{"content_filter_results": _nothing_found(), **choice} for choice in completion["choices"]]
    return {"prompt_filter_results": _of_prompt(), **completion, "choices": choices}


async def chunks_with_filters(chunks: AsyncIterator[dict[str, Any]]) -> AsyncIterator[dict[str, Any]]:
    """The same for a stream: a first chunk about the prompt, then each choice with its own results."""
    about = {"id": "", "object": "", "created": 0, "model": "", "choices": []}
    yield {**about, "prompt_filter_results": _of_prompt()}
    async for chunk in chunks:
        choices = [
            {**choice, "content_filter_results": _nothing_found() if (choice.get("delta") or {}).get("content") else {}}
            for choice in chunk["choices"]
        ]
        yield {**chunk, "choices": choices}


def response_with_filters(response: Mapping[str, Any]) -> dict[str, Any]:
    """A response with what the content filter found: nothing; null while the response is not completed.

    The offsets count characters. The service's prompt has more of them, because it includes what the service adds.
    """
    if response["status"] != "completed":
        return {**response, "content_filters": None}
    contents = [content for item in response["output"] if item["type"] == "message" for content in item["content"]]
    n_answered = sum(len(content.get("text") or "") for content in contents)
    jailbreak = {"jailbreak": {"filtered": False, "detected": False}}
    return {
        **response,
        "content_filters": [
            _found_of("prompt", {**_nothing_found(), **jailbreak}, len(response.get("instructions") or "")),
            _found_of("completion", _nothing_found(), n_answered),
        ],
    }


def _found_of(source: str, results: Mapping[str, Any], n_characters: int) -> dict[str, Any]:
    return {
        "blocked": False,
        "source_type": source,
        "content_filter_raw": [],
        "content_filter_results": results,
        "content_filter_offsets": {"start_offset": 0, "end_offset": n_characters, "check_offset": 0},
    }


async def events_with_filters(events: AsyncIterator[Event]) -> AsyncIterator[Event]:
    """The same for the responses in the events of a stream."""
    async with aclosing(events) as all_events:  # type: ignore[type-var]
        async for name, data in all_events:
            yield name, {**data, "response": response_with_filters(data["response"])} if "response" in data else data
