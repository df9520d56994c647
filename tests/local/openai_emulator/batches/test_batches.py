"""Batches over the other endpoints, through the SDK; every body is checked against the OpenAPI document."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from openai.types import Batch
from starlette.applications import Starlette

from local.openai_emulator.agent.conversation import Prompt
from local.openai_emulator.agent.model import Say
from tests.local.openai_emulator.client import ScriptedModel, client_of, running_app, until


@pytest.fixture
async def client(emulator: Starlette) -> AsyncIterator[AsyncOpenAI]:
    async with client_of(emulator, checked=True) as client:
        yield client


def line(custom_id: str, text: str = "Hello?", url: str = "/v1/responses", **body: Any) -> dict[str, Any]:
    return {"custom_id": custom_id, "method": "POST", "url": url, "body": {"model": "m", "input": text, **body}}


async def begin(client: AsyncOpenAI, *lines: Any, endpoint: Any = "/v1/responses") -> Batch:
    content = "\n".join(one if isinstance(one, str) else json.dumps(one) for one in lines).encode()
    file = await client.files.create(file=("batch.jsonl", content), purpose="batch")
    return await client.batches.create(input_file_id=file.id, endpoint=endpoint, completion_window="24h")


async def ended(client: AsyncOpenAI, batch: Batch) -> Batch:
    async def look() -> Batch | None:
        now = await client.batches.retrieve(batch.id)
        return now if now.status in ("completed", "failed", "cancelled") else None

    found: Batch = await until(look)
    return found


async def outputs(client: AsyncOpenAI, file_id: str | None) -> list[dict[str, Any]]:
    assert file_id is not None
    return [json.loads(one) for one in (await client.files.content(file_id)).text.splitlines()]


async def test_each_request_is_answered(client: AsyncOpenAI, emulator_model: ScriptedModel) -> None:
    emulator_model.moves = [Say(text="One."), Say(text="Two.")]
    batch = await ended(client, await begin(client, line("a"), line("b"), line("c", max_output_tokens=1)))
    assert batch.status == "completed"
    counts = batch.request_counts
    assert counts is not None
    assert (counts.total, counts.completed, counts.failed) == (3, 2, 1)
    done = await outputs(client, batch.output_file_id)
    assert [one["custom_id"] for one in done] == ["a", "b"]
    assert done[1]["response"]["body"]["output"][0]["content"][0]["text"] == "Two."
    (refused,) = await outputs(client, batch.error_file_id)
    assert (refused["custom_id"], refused["response"]["status_code"]) == ("c", 400)
    assert [one.id for one in (await client.batches.list()).data] == [batch.id]


async def test_other_endpoints(client: AsyncOpenAI) -> None:
    url = "/v1/embeddings"
    batch = await ended(client, await begin(client, line("a", url=url), endpoint=url))
    (done,) = await outputs(client, batch.output_file_id)
    assert len(done["response"]["body"]["data"][0]["embedding"]) == 256


@pytest.mark.parametrize(
    ("lines", "number", "words"),
    [
        (["{"], 1, "not a valid request"),
        ([line("a"), line("a")], 2, "used before"),
        ([line("a"), line("b", url="/v1/files")], 2, "not the batch's endpoint"),
        (["[]"], 1, "not a valid request"),
        ([" "], 1, "no request"),
    ],
)
async def test_a_malformed_file_fails_the_batch(client: AsyncOpenAI, lines: list[Any], number: int, words: str) -> None:
    batch = await ended(client, await begin(client, *lines))
    assert batch.status == "failed"
    assert batch.errors is not None
    (error,) = batch.errors.data or ()
    assert error.line == number
    assert words in str(error.message)


async def test_a_file_of_another_purpose_is_refused(client: AsyncOpenAI) -> None:
    file = await client.files.create(file=("a.txt", b"x"), purpose="assistants")
    with pytest.raises(openai.BadRequestError, match="cannot be a batch"):
        await client.batches.create(input_file_id=file.id, endpoint="/v1/responses", completion_window="24h")
    with pytest.raises(openai.NotFoundError):
        await client.batches.retrieve("batch_missing")


async def test_a_batch_goes_on_after_a_restart_and_can_be_cancelled(tmp_path: Path) -> None:
    waits = asyncio.Event()

    async def wait(_: Prompt) -> Say:
        await waits.wait()
        return Say(text="Late.")

    model = ScriptedModel(Say(text="One."), wait)
    async with running_app(model, data=tmp_path) as app, client_of(app, checked=True) as client:
        batch = await begin(client, line("a"), line("b"), line("c"))

        async def one_is_done() -> bool:
            return len(model.prompts) == 2

        await until(one_is_done)
    model = ScriptedModel(Say(text="Two."), wait)
    async with running_app(model, data=tmp_path) as app, client_of(app, checked=True) as client:

        async def two_are_done() -> bool:
            counts = (await client.batches.retrieve(batch.id)).request_counts
            return counts is not None and counts.completed == 2

        await until(two_are_done)
        assert (await client.batches.cancel(batch.id)).status == "cancelling"
        batch = await ended(client, batch)
        assert batch.status == "cancelled"
        assert [one["custom_id"] for one in await outputs(client, batch.output_file_id)] == ["a", "b"]
