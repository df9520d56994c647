"""Structured output of the built-in model through the APIs, streamed and not, with the SDK's own parsers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any, Literal

import openai
import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel, ConfigDict

from local.openai_emulator.models.offline.builtin import BuiltinModel
from tests.local.openai_emulator.client import client_of, running_app, until

TICKET = "Extract the ticket.\nTitle: Router is down\nPriority: high\nAffected users: 12"
NOTHING = "Extract the ticket.\nTitle: Router is down"
STORED = b"# Retention\n\nThe retention of logs is 90 days. The owner is Maria Lopez.\n"


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Ticket(Strict):
    title: str
    priority: Literal["low", "high"]
    affected_users: int
    assignee: str | None


class Retention(Strict):
    log_retention_days: int
    owner: str


@pytest.fixture
async def client() -> AsyncIterator[AsyncOpenAI]:
    async with running_app(BuiltinModel()) as app, client_of(app, checked=True) as client:  # type: ignore[arg-type]
        yield client


@pytest.fixture
async def store_id(client: AsyncOpenAI) -> str:
    file = await client.files.create(file=("policy.md", STORED), purpose="assistants")
    store = await client.vector_stores.create(file_ids=[file.id])

    async def indexed() -> bool:
        return (await client.vector_stores.retrieve(store.id)).status == "completed"

    await until(indexed)
    return store.id


def search(store_id: str) -> Any:
    return [{"type": "file_search", "vector_store_ids": [store_id]}]


FILLED = Ticket(title="Router is down", priority="high", affected_users=12, assignee=None)


@pytest.mark.parametrize("streamed", [False, True])
async def test_responses_fill_a_schema_or_refuse(client: AsyncOpenAI, streamed: bool) -> None:
    async def parsed(text: str) -> Any:
        if not streamed:
            return await client.responses.parse(model="m", input=text, text_format=Ticket)
        async with client.responses.stream(model="m", input=text, text_format=Ticket) as stream:
            types = [event.type async for event in stream]
            final = await stream.get_final_response()
        assert types[-1] == "response.completed"
        refused = final.output[0].content[0].type == "refusal"  # type: ignore[union-attr]
        assert ("response.refusal.done" in types) == ("response.refusal.delta" in types) == refused
        return final

    assert (await parsed(TICKET)).output_parsed == FILLED
    refused = await parsed(NOTHING)
    (part,) = refused.output[0].content
    assert part.type == "refusal"
    assert "`priority`" in part.refusal
    assert "`affected_users`" in part.refusal
    assert "`assignee`" not in part.refusal
    again = await client.responses.retrieve(refused.id)
    assert again.output[0].content[0].refusal == part.refusal  # type: ignore[union-attr]


async def test_a_refusal_can_be_replayed_and_continued(client: AsyncOpenAI) -> None:
    made = await client.responses.parse(model="m", input=NOTHING, text_format=Ticket)
    events = [event async for event in await client.responses.retrieve(made.id, stream=True)]
    assert [event.type for event in events].count("response.refusal.done") == 1
    assert events[-1].response.output[0].content[0].type == "refusal"  # type: ignore[union-attr]
    more = "Priority: low\nAffected users: 3"
    done = await client.responses.parse(model="m", input=more, previous_response_id=made.id, text_format=Ticket)
    assert done.output_parsed == Ticket(title="Router is down", priority="low", affected_users=3, assignee=None)
    history: Any = [{"role": "user", "content": NOTHING}, made.output[0].to_dict(), {"role": "user", "content": more}]
    assert (await client.responses.parse(model="m", input=history, text_format=Ticket)).output_parsed is not None


async def test_responses_quote_what_file_search_finds(client: AsyncOpenAI, store_id: str) -> None:
    made = await client.responses.parse(
        model="m", input="How long are logs kept, and who owns it?", tools=search(store_id), text_format=Retention
    )
    assert made.output_parsed == Retention(log_retention_days=90, owner="Maria Lopez")
    (note,) = made.output[-1].content[0].annotations  # type: ignore[union-attr]
    assert note.filename == "policy.md"


@pytest.mark.parametrize("streamed", [False, True])
async def test_chat_completions_fill_a_schema_or_refuse(client: AsyncOpenAI, streamed: bool) -> None:
    async def message(text: str) -> Any:
        messages: Any = [{"role": "user", "content": text}]
        if not streamed:
            made = await client.chat.completions.parse(model="m", messages=messages, response_format=Ticket)
            return made.choices[0].message
        async with client.chat.completions.stream(model="m", messages=messages, response_format=Ticket) as stream:
            types = [event.type async for event in stream]
            final = await stream.get_final_completion()
        assert ("refusal.done" in types) == bool(final.choices[0].message.refusal)
        return final.choices[0].message

    assert (await message(TICKET)).parsed == FILLED
    refused = await message(NOTHING)
    assert refused.content is None
    assert "`priority`" in refused.refusal


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("streamed", [False, True])
async def test_runs_fill_a_schema_or_refuse(client: AsyncOpenAI, store_id: str, streamed: bool) -> None:
    def wanted(name: str, schema: dict[str, Any]) -> Any:
        return {"type": "json_schema", "json_schema": {"name": name, "strict": True, "schema": schema}}

    assistant = await client.beta.assistants.create(
        model="m",
        tools=[{"type": "file_search"}],
        tool_resources={"file_search": {"vector_store_ids": [store_id]}},
        response_format=wanted("retention", Retention.model_json_schema()),
    )
    thread = await client.beta.threads.create(messages=[{"role": "user", "content": "How long are logs kept?"}])

    async def answer(**options: Any) -> Any:
        named = {"thread_id": thread.id, "assistant_id": assistant.id, **options}
        if streamed:
            async with client.beta.threads.runs.stream(**named) as stream:
                await stream.until_done()
                (final,) = await stream.get_final_messages()
        else:
            run = await client.beta.threads.runs.create_and_poll(**named, poll_interval_ms=10)
            assert run.status == "completed"
        (message, *_) = (await client.beta.threads.messages.list(thread.id)).data
        if streamed:
            assert final.content == message.content
        return message.content[0]

    part = await answer()
    assert Retention.model_validate_json(part.text.value) == Retention(log_retention_days=90, owner="Maria Lopez")
    part = await answer(response_format=wanted("ticket", Ticket.model_json_schema()))
    assert part.type == "refusal"
    assert "`priority`" in part.refusal


async def test_json_objects_and_strict_functions(client: AsyncOpenAI) -> None:
    made = await client.responses.create(
        model="m",
        input="Reply in JSON with the keys 'title' and 'owner'.\nTitle: Router",
        text={"format": {"type": "json_object"}},
    )
    assert json.loads(made.output_text) == {"title": "Router", "owner": None}

    class Weather(BaseModel):
        """Current weather of a place"""

        city: str
        unit: Literal["celsius", "fahrenheit"] | None
        day: str | None

    tool = openai.pydantic_function_tool(Weather, name="get_weather")
    asked: Any = [{"role": "user", "content": "What is the weather in Paris in celsius?"}]
    completion = await client.chat.completions.parse(model="m", messages=asked, tools=[tool])
    (call,) = completion.choices[0].message.tool_calls or ()
    assert call.function.parsed_arguments == Weather(city="Paris", unit="celsius", day=None)


@pytest.mark.parametrize(
    ("response_format", "words"),
    [
        ({"type": "xml"}, "Invalid value: 'xml'"),
        ({"type": "json_schema"}, "Missing required parameter: 'response_format.json_schema'"),
        ({"type": "json_schema", "json_schema": {"schema": {}}}, "response_format.json_schema.name"),
    ],
)
async def test_a_wrong_format_is_refused(client: AsyncOpenAI, response_format: Any, words: str) -> None:
    messages: Any = [{"role": "user", "content": "Hi"}]
    with pytest.raises(openai.BadRequestError, match=words):
        await client.chat.completions.create(model="m", messages=messages, response_format=response_format)
