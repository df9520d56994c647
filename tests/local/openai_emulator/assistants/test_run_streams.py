"""Streamed runs: the order of the events, what they add up to, functions, cancelling, and clients that go away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from openai import AsyncOpenAI

from local.openai_emulator.agent.conversation import Cite, Prompt
from local.openai_emulator.agent.model import RunCode, Say, Search, Step
from local.openai_emulator.server import serve
from tests.local.openai_emulator.assistants.api import (
    CODE,
    DEPRECATED,
    FUNCTION,
    OUTPUTS,
    SEARCH,
    TWO_CALLS,
    answer_of,
    asked,
    assistant_with,
    done,
    status,
    steps_of,
    text_of,
)
from tests.local.openai_emulator.client import ScriptedModel

pytestmark = pytest.mark.filterwarnings(DEPRECATED)
SAID = [
    "thread.run.step.created",
    "thread.run.step.in_progress",
    "thread.message.created",
    "thread.message.in_progress",
    "thread.message.delta",
    "thread.message.completed",
    "thread.run.step.completed",
    "thread.run.completed",
]
BEGUN = ["thread.run.created", "thread.run.queued", "thread.run.in_progress"]
TOOL = [
    "thread.run.step.created",
    "thread.run.step.in_progress",
    "thread.run.step.delta",
    "thread.run.step.completed",
]


def names(events: list[Any]) -> list[str]:
    """The events in order; runs of equal ones count once."""
    found: list[str] = []
    for event in events:
        if [event.event] != found[-1:]:
            found.append(event.event)
    return found


async def streamed(client: AsyncOpenAI, **options: Any) -> list[Any]:
    return [event async for event in await asked(client, stream=True, **options)]  # type: ignore[attr-defined]


async def test_an_answer_comes_in_the_order_of_the_service(client: AsyncOpenAI) -> None:
    events = await streamed(client)
    assert names(events) == ["thread.created", *BEGUN, *SAID]
    run = events[-1].data
    assert (run.status, run.usage.total_tokens > 0) == ("completed", True)
    assert (await client.beta.threads.runs.retrieve(run.id, thread_id=run.thread_id)) == run


async def test_deltas_add_up_to_the_stored_message(client: AsyncOpenAI, emulator_model: ScriptedModel) -> None:
    store = await client.vector_stores.create()
    file = await client.files.create(file=("guide.txt", b"Pumps are blue."), purpose="assistants")
    await client.vector_stores.files.create_and_poll(file.id, vector_store_id=store.id)
    cites = tuple(Cite(position=place, file_id=file.id, filename="guide.txt") for place in (15, 30))
    emulator_model.moves = [
        Search(queries=("pumps",)),
        RunCode(code="import matplotlib.pyplot as p\np.plot([1, 2])\np.savefig('/mnt/data/a.png')\nprint(1)"),
        Say(text="Pumps are blue. Valves are red. ", citations=cites),
    ]
    resources: Any = {"file_search": {"vector_store_ids": [store.id]}}
    assistant = await assistant_with(client, SEARCH, CODE, tool_resources=resources)
    thread = await client.beta.threads.create(messages=[{"role": "user", "content": "Colours?"}])
    manager = client.beta.threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id)
    async with manager as stream:
        seen = [event async for event in stream]
        (added_up,) = await stream.get_final_messages()
        steps = await stream.get_final_run_steps()
    assert names(seen) == [*BEGUN, *TOOL, *TOOL, *SAID]
    message = (await client.beta.threads.messages.list(thread.id, limit=1)).data[0]
    parts = [part async for part in assembled(seen)]
    assert parts == [part.to_dict() for part in message.content]
    assert [part["type"] for part in parts] == ["image_file", "text"]
    assert len(parts[1]["text"]["annotations"]) == 2
    assert added_up.id == message.id
    run = await client.beta.threads.runs.retrieve(steps[0].run_id, thread_id=thread.id)
    assert [step.id for step in steps] == [step.id for step in await steps_of(client, run)]


async def assembled(events: list[Any]) -> AsyncIterator[dict[str, Any]]:
    """The content of the message that the deltas describe."""
    parts: dict[int, dict[str, Any]] = {}
    for event in events:
        for part in event.data.delta.content if event.event == "thread.message.delta" else ():
            new = part.to_dict()
            place = new.pop("index")
            if place not in parts:
                parts[place] = {**new, "text": {"value": "", "annotations": []}} if new["type"] == "text" else new
            if new["type"] == "text":
                parts[place]["text"]["value"] += new["text"]["value"]
                notes = [{k: v for k, v in note.items() if k != "index"} for note in new["text"]["annotations"]]
                parts[place]["text"]["annotations"] += notes
    for _, part in sorted(parts.items()):
        yield part


async def test_functions_are_answered_in_a_second_stream(client: AsyncOpenAI, emulator_model: ScriptedModel) -> None:
    emulator_model.moves = [TWO_CALLS, Say(text="It is 1 and 2.")]
    events = await streamed(client, tools=[FUNCTION])
    assert names(events) == ["thread.created", *BEGUN, *TOOL[:3], "thread.run.requires_action"]
    run = events[-1].data
    stream: Any = await client.beta.threads.runs.submit_tool_outputs(
        run.id, thread_id=run.thread_id, tool_outputs=OUTPUTS, stream=True
    )
    assert names([event async for event in stream]) == ["thread.run.step.completed", *BEGUN[1:], *SAID]
    assert text_of(await answer_of(client, run)) == "It is 1 and 2."


async def test_wrong_outputs_are_refused_before_a_stream_begins(
    client: AsyncOpenAI, emulator_model: ScriptedModel
) -> None:
    emulator_model.moves = [TWO_CALLS]
    run = await status(client, await asked(client, tools=[FUNCTION]), "requires_action")
    with pytest.raises(Exception, match="Expected tool outputs"):
        await client.beta.threads.runs.submit_tool_outputs(
            run.id, thread_id=run.thread_id, tool_outputs=OUTPUTS[:1], stream=True
        )


async def test_a_failure_is_the_last_event(client: AsyncOpenAI, emulator_model: ScriptedModel) -> None:
    async def broken(_: Prompt) -> Say:
        raise RuntimeError("broken")

    emulator_model.moves = [broken]
    events = await streamed(client)
    assert (events[-1].event, events[-1].data.last_error.code) == ("thread.run.failed", "server_error")


class Slow(ScriptedModel):
    """Writes one word, then waits."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = asyncio.Event()

    async def stream(self, prompt: Prompt) -> AsyncIterator[str | Step]:
        yield "One "
        await self.go_on.wait()
        yield Step(move=Say(text="One two."))


async def first_delta(stream: Any) -> Any:
    async for event in stream:
        if event.event == "thread.message.delta":
            return event.data
    raise AssertionError("no delta came")


async def test_cancelling_ends_stream_and_message() -> None:
    async with serve(model=Slow()) as url, AsyncOpenAI(api_key="x", base_url=f"{url}/v1") as client:
        stream: Any = await asked(client, stream=True)
        thread_id = (await anext(aiter(stream))).data.id
        delta = await first_delta(stream)
        (run,) = (await client.beta.threads.runs.list(thread_id)).data
        await client.beta.threads.runs.cancel(run.id, thread_id=thread_id)
        assert names([event async for event in stream]) == [
            "thread.run.cancelling",
            "thread.message.incomplete",
            "thread.run.step.cancelled",
            "thread.run.cancelled",
        ]
        message = await client.beta.threads.messages.retrieve(delta.id, thread_id=thread_id)
        assert (text_of(message), message.incomplete_details.reason) == ("One ", "run_cancelled")  # type: ignore[union-attr]


async def test_a_run_goes_on_without_its_client() -> None:
    model = Slow()
    async with serve(model=model) as url, AsyncOpenAI(api_key="x", base_url=f"{url}/v1") as client:
        stream: Any = await asked(client, stream=True)
        thread_id = (await anext(aiter(stream))).data.id
        await first_delta(stream)
        await stream.close()
        model.go_on.set()
        (run,) = (await client.beta.threads.runs.list(thread_id)).data
        assert (await done(client, run)).status == "completed"
        assert text_of(await answer_of(client, run)) == "One two."
