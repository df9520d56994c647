"""Conversations, references to items, and histories that clients keep, all checked against the OpenAPI document."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from starlette.applications import Starlette

from local.openai_emulator.agent.conversation import Called, Ran, Said, Searched
from local.openai_emulator.agent.model import CallFunctions, RunCode, Say, Search
from tests.local.openai_emulator.client import ScriptedModel, client_of, create, running_app

FUNCTION = {"type": "function", "name": "price", "parameters": {}, "strict": False}
ASKED: Any = {"type": "message", "role": "user", "content": "Hello?"}


@pytest.fixture
async def client(emulator: Starlette) -> AsyncIterator[AsyncOpenAI]:
    async with client_of(emulator, checked=True) as client:
        yield client


async def tools_of(client: AsyncOpenAI) -> list[Any]:
    store = await client.vector_stores.create()
    file = await client.files.create(file=("guide.txt", b"Pumps are blue."), purpose="assistants")
    await client.vector_stores.files.create_and_poll(file.id, vector_store_id=store.id)
    search = {"type": "file_search", "vector_store_ids": [store.id]}
    return [search, {"type": "code_interpreter", "container": {"type": "auto"}}]


async def test_a_conversation_holds_items(client: AsyncOpenAI) -> None:
    conversation = await client.conversations.create(items=[ASKED], metadata={"a": "b"})
    assert (await client.conversations.retrieve(conversation.id)).metadata == {"a": "b"}
    assert (await client.conversations.update(conversation.id, metadata={"c": "d"})).metadata == {"c": "d"}
    added = await client.conversations.items.create(conversation.id, items=[{**ASKED, "content": "And?"}])
    items = client.conversations.items
    listed = [item async for item in items.list(conversation.id, order="asc", limit=1)]
    assert [item.content[0].text for item in listed] == ["Hello?", "And?"]  # type: ignore[union-attr]
    assert (await items.retrieve(added.data[0].id, conversation_id=conversation.id)) == listed[1]
    await items.delete(listed[0].id, conversation_id=conversation.id)  # type: ignore[arg-type]
    assert len((await items.list(conversation.id)).data) == 1
    assert (await client.conversations.delete(conversation.id)).deleted
    with pytest.raises(openai.NotFoundError):
        await client.conversations.retrieve(conversation.id)


async def test_responses_continue_a_conversation(client: AsyncOpenAI, emulator_model: ScriptedModel) -> None:
    conversation = await client.conversations.create(items=[{**ASKED, "role": "developer", "content": "Be short."}])
    emulator_model.moves = [Search(queries=("pumps",)), Say(text="Blue."), Say(text="Yes.")]
    first = await create(client, conversation=conversation.id, tools=await tools_of(client))
    assert first.conversation is not None
    assert first.conversation.id == conversation.id
    await create(client, input="Sure?", conversation={"id": conversation.id})
    events = emulator_model.prompts[-1].events
    assert [type(event) for event in events] == [Said, Said, Searched, Said, Said]
    assert isinstance(events[2], Searched)
    assert events[2].passages[0].text == "Pumps are blue."
    items = [item.type async for item in client.conversations.items.list(conversation.id, order="asc")]
    assert items == ["message", "message", "file_search_call", "message", "message", "message"]


async def test_functions_in_a_conversation(client: AsyncOpenAI, emulator_model: ScriptedModel) -> None:
    conversation = await client.conversations.create()
    emulator_model.moves = [CallFunctions(calls=(Called(call_id="c1", name="price", arguments="{}"),)), Say(text="4.")]
    await create(client, conversation=conversation.id, tools=[FUNCTION])
    with pytest.raises(openai.BadRequestError, match="No tool output found"):
        await create(client, conversation=conversation.id, input="And?")
    output: Any = {"type": "function_call_output", "call_id": "c1", "output": "4"}
    await create(client, conversation=conversation.id, input=[output])
    assert emulator_model.prompts[-1].events[-1] == Called(call_id="c1", name="price", arguments="{}", output="4")


async def test_a_conversation_survives_a_restart(tmp_path: Path) -> None:
    async with running_app(data=tmp_path) as app, client_of(app, checked=True) as client:
        conversation = await client.conversations.create()
        await create(client, conversation=conversation.id)
    model = ScriptedModel()
    async with running_app(model, data=tmp_path) as app, client_of(app, checked=True) as client:
        await create(client, conversation=conversation.id, input="And?")
        assert [event.text for event in model.prompts[0].events if isinstance(event, Said)] == [
            "Hello?",
            "That is all.",
            "And?",
        ]


async def test_a_history_that_the_client_keeps_is_as_good_as_a_stored_one(
    client: AsyncOpenAI, emulator_model: ScriptedModel
) -> None:
    """What openai-agents' SQLiteSession does: all output items come back, without results."""
    moves = [Search(queries=("pumps",)), RunCode(code="print(6 * 7)"), Say(text="Blue, 42.")]
    emulator_model.moves = [*moves, Say(text="Yes."), Say(text="Yes."), Say(text="Yes.")]
    tools = await tools_of(client)
    first = await create(client, tools=tools)
    assert first.output[0].results is None  # type: ignore[union-attr]
    await create(client, tools=tools, input="Sure?", previous_response_id=first.id)
    stored = emulator_model.prompts[-1].events
    items: Any = [ASKED, *(item.to_dict() for item in first.output)]
    await create(client, tools=tools, input=[*items, {**ASKED, "content": "Sure?"}])
    assert emulator_model.prompts[-1].events == stored
    references: Any = [{"type": "item_reference", "id": item.id} for item in first.output]
    await create(client, tools=tools, input=[ASKED, *references, {**ASKED, "content": "Sure?"}])
    assert emulator_model.prompts[-1].events == stored
    assert any(isinstance(event, Ran) and event.logs == "42\n" for event in stored)


async def test_a_search_of_another_service_is_not_an_empty_one(
    client: AsyncOpenAI, emulator_model: ScriptedModel
) -> None:
    unknown: Any = {"type": "file_search_call", "id": "fs_other", "status": "completed", "queries": ["a"]}
    await create(client, input=[ASKED, {**unknown, "results": None}, {**ASKED, "content": "And?"}])
    assert [type(event) for event in emulator_model.prompts[-1].events] == [Said, Said]


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        ({"conversation": "conv_missing"}, 404, "conv_missing"),
        ({"conversation": {"name": "x"}}, 400, "id of a conversation"),
        ({"input": [{"type": "item_reference", "id": "msg_missing"}]}, 400, "'msg_missing' not found"),
        ({"conversation": "conv_a", "previous_response_id": "resp_a"}, 400, "Mutually exclusive"),
    ],
)
async def test_what_does_not_exist_is_refused(
    client: AsyncOpenAI, options: dict[str, Any], status: int, words: str
) -> None:
    with pytest.raises(openai.APIStatusError, match=words) as caught:
        await create(client, **options)
    assert caught.value.status_code == status
