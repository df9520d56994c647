"""`POST /responses/compact`, and its result as the input of a response and of a conversation."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from starlette.applications import Starlette

from local.openai_emulator.agent.conversation import Called, Said
from local.openai_emulator.agent.model import Say
from tests.local.openai_emulator.client import ScriptedModel, client_of, create

CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}


async def compact(emulator: Starlette, **asked: Any) -> Any:
    async with client_of(emulator, checked=True, strict=False) as client:
        return await client.responses.compact(model="m", **asked)


async def test_a_compacted_conversation_goes_on(
    emulator: Starlette, openai_client: AsyncOpenAI, emulator_model: ScriptedModel
) -> None:
    emulator_model.moves = [Say(text="Blue.")]
    first = await create(openai_client, input="Which colour?")
    output = [
        *({"role": "user", "content": "And the other?"}, CALL),
        {"type": "function_call_output", "call_id": "c1", "output": "x" * 9000},
    ]
    made = await compact(emulator, input=output, previous_response_id=first.id)
    assert (made.object, made.id[:5], made.usage.input_tokens > 0) == ("response.compaction", "resp_", True)
    assert [item.type for item in made.output] == ["message", "message", "compaction"]
    assert [item.content[0].text for item in made.output[:2]] == ["Which colour?", "And the other?"]

    rules = {"role": "developer", "content": "Be brief."}
    items: Any = [rules, *(item.to_dict(warnings=False) for item in made.output), {"role": "user", "content": "Why?"}]
    second = await create(openai_client, input=items)
    expected = ["Be brief.", "Which colour?", "Blue.", "And the other?", "Why?"]
    events = emulator_model.prompts[-1].events
    assert [event.text for event in events if isinstance(event, Said)] == expected
    (called,) = [event for event in events if isinstance(event, Called)]
    assert called.output is not None
    assert (called.name, len(called.output) < 3000) == ("f", True)
    await create(openai_client, input="Sure?", previous_response_id=second.id)
    said = [event.text for event in emulator_model.prompts[-1].events if isinstance(event, Said)]
    assert said == [*expected, "That is all.", "Sure?"]


async def test_a_conversation_keeps_a_compaction(
    emulator: Starlette, openai_client: AsyncOpenAI, emulator_model: ScriptedModel
) -> None:
    made = await compact(emulator, input=[{"role": "user", "content": "A?"}, {"role": "assistant", "content": "B."}])
    conversation = await openai_client.conversations.create(
        items=[item.to_dict(warnings=False) for item in made.output]
    )
    await create(openai_client, input="C?", conversation=conversation.id)
    said = [event.text for event in emulator_model.prompts[-1].events if isinstance(event, Said)]
    assert said == ["A?", "B.", "C?"]


@pytest.mark.parametrize("content", ["nonsense", "", "é", "W10=x", "eyJhIjoxfQ==", "WzFd"])
async def test_content_of_others_is_refused(openai_client: AsyncOpenAI, content: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await create(openai_client, input=[{"type": "compaction", "encrypted_content": content}])
    assert caught.value.code == "invalid_encrypted_content"


async def test_an_empty_name_of_a_model_is_refused(openai_client: AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await openai_client.responses.compact(model="", input="A?")
    assert caught.value.param == "model"


async def test_there_must_be_something_to_compact(openai_client: AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await openai_client.responses.compact(model="m")
    assert caught.value.code == "missing_required_parameter"
