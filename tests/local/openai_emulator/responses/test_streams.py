"""Streamed responses: the order of the recorded service, replay, cancelling, and clients that go away."""

from __future__ import annotations

import asyncio
import base64
import gzip
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openai import AsyncOpenAI
from starlette.applications import Starlette

from local.openai_emulator.agent.conversation import Called, Cite, Prompt
from local.openai_emulator.agent.model import CallFunctions, RunCode, Say, Search, Step
from local.openai_emulator.server import serve
from local.openai_emulator.settings import Settings
from local.paths import ROOT
from tests.local.openai_emulator.client import ScriptedModel, client_of, create, ended, running_app, until
from tests.local.openai_emulator.openapi import check, events_of

RECORDED = ROOT / "../shared/data/recorded_openai"
FUNCTION = {"type": "function", "name": "f", "parameters": {}, "strict": False}


@pytest.fixture
async def checked(emulator: Starlette) -> AsyncIterator[AsyncOpenAI]:
    async with client_of(emulator, checked=True) as client:
        yield client


async def streamed(client: AsyncOpenAI, **options: Any) -> list[Any]:
    stream: Any = await create(client, stream=True, **options)
    return [event async for event in stream]


def recorded(name: str) -> Iterator[list[dict[str, Any]]]:
    text = gzip.decompress((RECORDED / name).read_bytes()).decode()
    for block in re.findall(r"string: !!binary \|\n((?:      +\S+\n)+)", text):
        body = base64.b64decode("".join(block.split())).decode()
        if body.startswith("event:"):
            yield [data for _, data in events_of(body)]


def kinds(events: list[dict[str, Any]]) -> list[tuple[str, tuple[str, ...]]]:
    """The order of events and their fields; runs of equal events count once, items of reasoning not at all."""
    found: list[tuple[str, tuple[str, ...]]] = []
    reasoning = {e["output_index"] for e in events if e.get("item", {}).get("type") == "reasoning"}
    for event in events:
        if event.get("output_index") in reasoning:
            continue
        fields = set(event) - {"obfuscation"} - ({"name"} if "function_call_arguments" in event["type"] else set())
        kind = (event["type"], tuple(sorted(fields)))
        if kind not in found[-2:]:
            found.append(kind)
    return found


async def store_with_file(client: AsyncOpenAI) -> tuple[str, str]:
    store = await client.vector_stores.create()
    file = await client.files.create(file=("guide.txt", b"Pumps are blue."), purpose="assistants")
    await client.vector_stores.files.create_and_poll(file.id, vector_store_id=store.id)
    return store.id, file.id


@pytest.mark.skipif(not RECORDED.exists(), reason="needs the recorded streams")
async def test_events_come_in_the_recorded_order(checked: AsyncOpenAI, emulator_model: ScriptedModel) -> None:
    store_id, file_id = await store_with_file(checked)
    cite = Cite(position=15, file_id=file_id, filename="guide.txt")
    emulator_model.moves = [Search(queries=("pumps",)), Say(text="Pumps are blue. As are valves.", citations=(cite,))]
    events = await streamed(checked, tools=[{"type": "file_search", "vector_store_ids": [store_id]}])
    (theirs,) = recorded("test_file_search.yaml.gz")
    assert kinds([event.to_dict() for event in events]) == kinds(theirs)

    emulator_model.moves = [RunCode(code="print(3 ** 3)"), Say(text="It is 27.")]
    events = await streamed(checked, tools=[{"type": "code_interpreter", "container": {"type": "auto"}}])
    (theirs,) = recorded("test_code_interpreter.yaml.gz")
    ours = [{k: v for k, v in event.to_dict().items() if k != "obfuscation"} for event in events]
    assert kinds(ours) == kinds(theirs)

    emulator_model.moves = [CallFunctions(calls=(Called(call_id="c1", name="f", arguments='{"city": "Bonn"}'),))]
    events = await streamed(checked, tools=[FUNCTION])
    theirs, _ = recorded("test_agent_loop_streaming.yaml.gz")
    assert kinds([event.to_dict() for event in events]) == kinds(theirs)


async def test_deltas_make_up_the_answer(checked: AsyncOpenAI, emulator_model: ScriptedModel) -> None:
    text = "  Two words,\n\n- a list\n- 数字  "
    emulator_model.moves = [Say(text=text)]
    events = await streamed(checked)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == text
    assert events[-1].response.output_text == text
    stored = await checked.responses.retrieve(events[-1].response.id)
    assert stored.to_dict() == events[-1].response.to_dict()


async def test_failures_and_limits_end_the_stream_truthfully(
    checked: AsyncOpenAI, emulator_model: ScriptedModel
) -> None:
    async def broken(_: Prompt) -> Say:
        raise RuntimeError("broken")

    emulator_model.moves = [broken]
    assert (await streamed(checked))[-1].type == "response.failed"
    emulator_model.moves = [Say(text="many words " * 30)]
    last = (await streamed(checked, max_output_tokens=16))[-1]
    assert (last.type, last.response.incomplete_details.reason) == ("response.incomplete", "max_output_tokens")


async def test_noise_is_left_out_on_demand(checked: AsyncOpenAI) -> None:
    for wanted in (True, False):
        events = await streamed(checked, stream_options={"include_obfuscation": wanted})
        deltas = [event.to_dict() for event in events if event.type == "response.output_text.delta"]
        assert deltas
        assert all(("obfuscation" in delta) == wanted for delta in deltas)


async def test_a_stream_is_replayed_from_storage_after_a_restart(tmp_path: Path) -> None:
    async with running_app(data=tmp_path) as app, client_of(app, checked=True) as client:
        first = [event.to_dict() for event in await streamed(client, background=True)]
        plain = await create(client)
    assert [event["type"] for event in first[:3]] == ["response.created", "response.queued", "response.in_progress"]
    response_id = first[0]["response"]["id"]
    async with running_app(data=tmp_path) as app, client_of(app, checked=True) as client:
        again = await client.responses.retrieve(response_id, stream=True)
        assert [event.to_dict() async for event in again] == first
        rest = await client.responses.retrieve(response_id, stream=True, starting_after=4)
        assert [event.to_dict() async for event in rest] == first[5:]
        made = [event async for event in await client.responses.retrieve(plain.id, stream=True)]
        assert made[-1].type == "response.completed"
        assert made[-1].response.output_text == plain.output_text


class Slow(ScriptedModel):
    """Writes one word, then waits."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on, self.stopped = asyncio.Event(), asyncio.Event()

    async def stream(self, prompt: Prompt) -> AsyncIterator[str | Step]:
        yield "One "
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.stopped.set()
            raise
        yield Step(move=Say(text="One two."))


async def first_delta(stream: Any) -> Any:
    async for event in stream:
        if event.type == "response.output_text.delta":
            return event
    raise AssertionError("no delta came")


async def test_words_come_while_the_model_writes() -> None:
    model = Slow()
    async with serve(model=model) as url, AsyncOpenAI(api_key="x", base_url=f"{url}/v1") as client:
        stream: Any = await create(client, stream=True, background=True)
        assert (await first_delta(stream)).delta == "One "
        model.go_on.set()
        events = [event async for event in stream]
        assert [event.delta for event in events if event.type == "response.output_text.delta"] == ["two."]
        assert events[-1].response.output_text == "One two."


async def test_cancelling_ends_the_stream() -> None:
    model = Slow()
    async with serve(model=model) as url, AsyncOpenAI(api_key="x", base_url=f"{url}/v1") as client:
        stream: Any = await create(client, stream=True, background=True)
        response_id = (await anext(aiter(stream))).response.id
        await first_delta(stream)
        cancelled = await client.responses.cancel(response_id)
        assert cancelled.status == "cancelled"
        assert [event async for event in stream] == []
        again: Any = await client.responses.retrieve(response_id, stream=True)
        assert [event.type async for event in again][-1] == "response.output_text.delta"


@pytest.mark.parametrize("background", [False, True])
async def test_a_client_that_goes_away_costs_nothing(background: bool) -> None:
    model = Slow()
    async with serve(model=model) as url, AsyncOpenAI(api_key="x", base_url=f"{url}/v1") as client:
        stream: Any = await create(client, stream=True, background=background)
        response_id = (await anext(aiter(stream))).response.id
        await first_delta(stream)
        await stream.close()
        if background:  # goes on, and the client may come back
            model.go_on.set()
            assert (await ended(client, response_id)).output_text == "One two."
        else:
            await asyncio.wait_for(model.stopped.wait(), 180)

            async def is_cancelled() -> bool:
                return (await client.responses.retrieve(response_id)).status == "cancelled"

            await until(is_cancelled)


async def test_a_stream_cut_by_a_stop_ends_with_a_failure(tmp_path: Path) -> None:
    model = Slow()
    settings = Settings(data=tmp_path)
    async with serve(settings, model=model) as url, AsyncOpenAI(api_key="x", base_url=f"{url}/v1") as client:
        stream: Any = await create(client, stream=True, background=True)
        response_id = (await anext(aiter(stream))).response.id
        await first_delta(stream)
        await stream.close()
    async with running_app(data=tmp_path) as app, client_of(app, checked=True) as client:
        again: Any = await client.responses.retrieve(response_id, stream=True)
        assert [event.type async for event in again][-2:] == ["response.output_text.delta", "response.failed"]


async def post(app: Starlette, body: dict[str, Any]) -> list[tuple[str, Any]]:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://emulator") as http:
        answer = await http.post("/v1/responses", json=body, headers={"api-key": "x"}, timeout=60)
        assert answer.headers["content-type"].startswith("text/event-stream")
        check(answer)
        return events_of(answer.text)


async def test_an_event_is_named_like_its_type(emulator: Starlette) -> None:
    events = await post(emulator, {"model": "m", "input": "Hello?", "stream": True})
    assert all(name == data["type"] for name, data in events)
