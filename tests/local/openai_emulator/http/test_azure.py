"""Azure's error bodies and content-filter fields at dated paths, seen by the SDK's unmodified Azure client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import openai
import pytest
from openai import AsyncAzureOpenAI

from local.openai_emulator.agent.model import Say
from local.openai_emulator.server import create_app
from local.openai_emulator.settings import Settings
from tests.local.openai_emulator.client import ScriptedModel
from tests.local.openai_emulator.openapi import events_of

VERSION = "2024-10-21"
HELLO: Any = [{"role": "user", "content": "Hello?"}]
CATEGORIES = {"hate", "self_harm", "sexual", "violence"}


@pytest.fixture
async def transport() -> AsyncIterator[httpx2.ASGITransport]:
    model = ScriptedModel(*[Say(text="Hi there, all.")] * 9)
    app = create_app(Settings(api_key="key", deployments=frozenset({"gpt-4o"})), model=model)
    async with app.router.lifespan_context(app):
        yield httpx2.ASGITransport(app)


@pytest.fixture
async def client(transport: httpx2.ASGITransport) -> AsyncIterator[AsyncAzureOpenAI]:
    async with azure(transport) as client:
        yield client


def azure(transport: httpx2.ASGITransport, *, key: str = "key", retries: int = 0) -> AsyncAzureOpenAI:
    return AsyncAzureOpenAI(
        azure_endpoint="http://emulator",
        api_key=key,
        api_version=VERSION,
        http_client=httpx2.AsyncClient(transport=transport),
        max_retries=retries,
    )


async def fault(transport: httpx2.ASGITransport, **rule: Any) -> None:
    async with httpx2.AsyncClient(transport=transport, base_url="http://e", headers={"api-key": "key"}) as http:
        answer = await http.post("/admin/faults", json={"path": "/deployments/*", **rule})
        assert answer.status_code == 201, answer.text


async def error_of(client: AsyncAzureOpenAI, **options: Any) -> openai.APIStatusError:
    with pytest.raises(openai.APIStatusError) as caught:
        await client.chat.completions.create(**{"model": "gpt-4o", "messages": HELLO, **options})
    return caught.value


async def test_an_unknown_deployment(client: AsyncAzureOpenAI) -> None:
    error = await error_of(client, model="gpt-5-typo")
    assert (error.status_code, error.code) == (404, "DeploymentNotFound")
    body: Any = error.body
    assert set(body) == {"code", "message"}
    assert body["message"].startswith("The API deployment for this resource does not exist.")
    with pytest.raises(openai.NotFoundError, match="API deployment"):
        await client.embeddings.create(model="ada", input="a")


async def test_a_wrong_key(transport: httpx2.ASGITransport) -> None:
    async with azure(transport, key="wrong") as client:
        error = await error_of(client)
    assert (error.status_code, error.code) == (401, "401")
    assert "invalid subscription key" in error.message


async def test_a_rate_limit(client: AsyncAzureOpenAI, transport: httpx2.ASGITransport) -> None:
    await fault(transport, status=429, retry_after_ms=7000, count=1)
    error = await error_of(client)
    assert (error.status_code, error.code) == (429, "429")
    assert f"ChatCompletions_Create Operation under Azure OpenAI API version {VERSION}" in error.message
    assert "retry after 7 seconds" in error.message
    assert error.response.headers["retry-after"] == "7"
    await fault(transport, status=429, count=1)
    assert (await error_of(client)).response.headers["retry-after"] == "1"


async def test_the_sdk_asks_again_after_a_rate_limit(transport: httpx2.ASGITransport) -> None:
    await fault(transport, status=429, retry_after_ms=1, count=1)
    async with azure(transport, retries=1) as client:
        completion = await client.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert completion.choices[0].message.content == "Hi there, all."


async def test_a_prompt_that_the_content_filter_stops(
    client: AsyncAzureOpenAI, transport: httpx2.ASGITransport
) -> None:
    await fault(transport, status=400, code="content_filter")
    error = await error_of(client)
    body: Any = error.body
    assert (error.status_code, error.code, error.param) == (400, "content_filter", "prompt")
    assert body["innererror"]["code"] == "ResponsibleAIPolicyViolation"
    found = body["innererror"]["content_filter_result"]
    assert {*CATEGORIES, "jailbreak"} == found.keys()
    assert [name for name, one in found.items() if one["filtered"]] == ["violence"]


async def test_answers_say_what_the_content_filter_found(client: AsyncAzureOpenAI) -> None:
    completion = (await client.chat.completions.create(model="gpt-4o", messages=HELLO)).to_dict()
    (of_prompt,) = completion["prompt_filter_results"]  # type: ignore[misc]
    assert of_prompt["content_filter_results"].keys() >= CATEGORIES  # type: ignore[index]
    (choice,) = completion["choices"]  # type: ignore[misc]
    assert choice["content_filter_results"].keys() == CATEGORIES  # type: ignore[index]


async def test_streams_begin_with_a_chunk_about_the_prompt(client: AsyncAzureOpenAI) -> None:
    stream = await client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)
    first, *chunks = [chunk.to_dict() async for chunk in stream]
    assert (first["choices"], first["id"]) == ([], "")
    assert "prompt_filter_results" in first
    choices: list[Any] = [chunk["choices"][0] for chunk in chunks]  # type: ignore[index]
    texts = [choice["delta"].get("content") for choice in choices]
    assert "".join(text or "" for text in texts) == "Hi there, all."
    found = [set(choice["content_filter_results"]) for choice in choices]
    assert found == [CATEGORIES if text else set() for text in texts]
    async with client.chat.completions.stream(model="gpt-4o", messages=HELLO) as helper:
        final = await helper.get_final_completion()
    assert final.choices[0].message.content == "Hi there, all."


async def test_elsewhere_nothing_of_it_is_there(transport: httpx2.ASGITransport) -> None:
    await fault(transport, path="/files", status=429)
    async with httpx2.AsyncClient(transport=transport, base_url="http://e", headers={"api-key": "key"}) as http:
        made = (await http.post("/openai/v1/chat/completions", json={"model": "m", "messages": HELLO})).json()
        assert "prompt_filter_results" not in made
        assert (await http.get("/openai/v1/files")).json()["error"]["code"] == "rate_limit_exceeded"


async def test_responses_say_what_the_content_filter_found(transport: httpx2.ASGITransport) -> None:
    headers = {"api-key": "key"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://e", headers=headers) as http:
        made = (await http.post("/openai/v1/responses", json={"model": "m", "input": "Hello?"})).json()
        prompt, completion = made["content_filters"]
        assert (prompt["source_type"], completion["source_type"]) == ("prompt", "completion")
        assert not prompt["blocked"]
        assert not completion["blocked"]
        assert prompt["content_filter_results"].keys() == {*CATEGORIES, "jailbreak"}
        assert completion["content_filter_results"].keys() == CATEGORIES
        assert completion["content_filter_offsets"]["end_offset"] == len("Hi there, all.")
        again = (await http.get(f"/openai/v1/responses/{made['id']}")).json()
        assert again["content_filters"] == made["content_filters"]
        assert "content_filters" not in (await http.get(f"/v1/responses/{made['id']}")).json()


async def test_a_streamed_response_has_them_at_its_end(transport: httpx2.ASGITransport) -> None:
    async with httpx2.AsyncClient(transport=transport, base_url="http://e", headers={"api-key": "key"}) as http:
        asked = {"model": "m", "input": "Hello?", "stream": True}
        text = (await http.post("/openai/v1/responses", json=asked)).text
        found = {data["type"]: data["response"]["content_filters"] for _, data in events_of(text) if "response" in data}
        assert found["response.created"] is None
        assert len(found["response.completed"]) == 2
