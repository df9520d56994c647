"""Chat completions: by the built-in interface, passed on to an endpoint, streamed, stored, and below a deployment."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import openai
import pytest
from openai import AsyncAzureOpenAI, AsyncOpenAI
from starlette.applications import Starlette

from local.openai_emulator.agent.conversation import Called, Said
from local.openai_emulator.agent.model import CallFunctions, Say
from tests.local.openai_emulator.client import ScriptedModel, client_of, counted, running_app
from tests.local.openai_emulator.models.completions import running_completions

HELLO: Any = [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Hello?"}]
TOOL: Any = {"type": "function", "function": {"name": "price", "parameters": {"type": "object", "properties": {}}}}


@pytest.fixture
async def client(emulator: Starlette) -> AsyncIterator[AsyncOpenAI]:
    async with client_of(emulator, checked=True) as client:
        yield client


async def test_a_question_is_answered(client: AsyncOpenAI, emulator_model: ScriptedModel) -> None:
    emulator_model.moves = [counted(Say(text="Hi there."), 7, 3)]
    completion = await client.chat.completions.create(model="m", messages=HELLO)
    assert completion.choices[0].message.content == "Hi there."
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage is not None
    assert completion.usage.total_tokens == 10
    (prompt,) = emulator_model.prompts
    assert prompt.events == (Said(role="system", text="Be short."), Said(role="user", text="Hello?"))


async def test_functions_are_called_and_answered(client: AsyncOpenAI, emulator_model: ScriptedModel) -> None:
    call = Called(call_id="c1", name="price", arguments='{"of": "a"}')
    emulator_model.moves = [CallFunctions(calls=(call,)), Say(text="It is 4.")]
    asked = await client.chat.completions.create(model="m", messages=HELLO, tools=[TOOL])
    (made,) = asked.choices[0].message.tool_calls or ()
    assert (made.id, asked.choices[0].finish_reason) == ("c1", "tool_calls")
    answer: Any = {"role": "tool", "tool_call_id": "c1", "content": "4"}
    messages: Any = [*HELLO, asked.choices[0].message.to_dict(), answer]
    done = await client.chat.completions.create(model="m", messages=messages, tools=[TOOL])
    assert done.choices[0].message.content == "It is 4."
    assert emulator_model.prompts[1].events[-1] == Called(
        call_id="c1", name="price", arguments='{"of": "a"}', output="4"
    )


async def test_a_stream_adds_up(client: AsyncOpenAI, emulator_model: ScriptedModel) -> None:
    call = Called(call_id="c1", name="price", arguments='{"of": "a", "in": "EUR"}')
    for move in (Say(text="Hi there, all."), CallFunctions(calls=(call,))):
        emulator_model.moves = [move, move]
        whole = await client.chat.completions.create(model="m", messages=HELLO, tools=[TOOL])
        async with client.chat.completions.stream(
            model="m", messages=HELLO, tools=[TOOL], stream_options={"include_usage": True}
        ) as stream:
            async for _ in stream:
                pass
            added_up = await stream.get_final_completion()
        assert added_up.choices[0].message.content == whole.choices[0].message.content
        ours, theirs = (one.choices[0].message.tool_calls or [] for one in (added_up, whole))
        assert [one.function.arguments for one in ours] == [one.function.arguments for one in theirs]  # type: ignore[union-attr]
        assert added_up.usage == whole.usage


async def test_completions_are_kept_on_demand(client: AsyncOpenAI, emulator: Starlette) -> None:
    made = await client.chat.completions.create(model="m", messages=HELLO, store=True, metadata={"a": "b"})
    await client.chat.completions.create(model="m", messages=HELLO)
    assert [one.id for one in (await client.chat.completions.list()).data] == [made.id]
    assert (await client.chat.completions.retrieve(made.id)).metadata == {"a": "b"}
    assert (await client.chat.completions.update(made.id, metadata={"c": "d"})).metadata == {"c": "d"}
    async with client_of(emulator, checked=True, strict=False) as lenient:  # its type of a message is of answers only
        kept = (await lenient.chat.completions.messages.list(made.id, order="asc")).data
    assert [message.content for message in kept] == ["Be short.", "Hello?"]
    assert (await client.chat.completions.delete(made.id)).deleted
    with pytest.raises(openai.NotFoundError):
        await client.chat.completions.retrieve(made.id)


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        ({"messages": []}, 400, "messages"),
        ({"messages": [{"role": "king", "content": "a"}]}, 400, "king"),
        ({"messages": [{"role": "tool", "tool_call_id": "x", "content": "a"}]}, 400, "tool_calls"),
        ({"extra_body": {"colour": "red"}}, 400, "Unknown parameter: 'colour'"),
        ({"temperature": 3}, 400, "temperature"),
        ({"response_format": {"type": "xml"}}, 400, "xml"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, 400, "image"),
    ],
)
async def test_what_cannot_be_done_is_refused(
    client: AsyncOpenAI, options: dict[str, Any], status: int, words: str
) -> None:
    with pytest.raises(openai.APIStatusError, match=words) as caught:
        await client.chat.completions.create(**{"model": "m", "messages": HELLO, **options})
    assert caught.value.status_code == status


async def test_azure_names_the_deployment_in_the_path(emulator: Starlette, emulator_model: ScriptedModel) -> None:
    http = httpx2.AsyncClient(transport=httpx2.ASGITransport(emulator))
    async with AsyncAzureOpenAI(
        azure_endpoint="http://emulator", api_key="x", api_version="2024-10-21", http_client=http
    ) as client:
        emulator_model.moves = [Say(text="Hi.")]
        completion = await client.chat.completions.create(model="gpt-4o", messages=HELLO)
        assert (completion.choices[0].message.content, completion.model) == ("Hi.", "gpt-4o")
        found = await client.embeddings.create(model="text-embedding-3-small", input="Hello")
        assert len(found.data[0].embedding) == 256


async def test_a_request_is_passed_on_as_it_is() -> None:
    async with running_completions() as (server, model), running_app(model) as app, client_of(app) as client:  # type: ignore[arg-type]
        server.say("Passed on.")
        server.say("Passed on in pieces.")
        server.refuse(400, "context_length_exceeded", "Too long.")
        options: Any = {"response_format": {"type": "json_object"}, "seed": 7, "max_tokens": 9}
        completion = await client.chat.completions.create(model="any", messages=HELLO, **options)
        assert completion.choices[0].message.content == "Passed on."
        assert server.requests[0].items() >= {"model": "tiny", "messages": HELLO, **options}.items()
        stream = await client.chat.completions.create(model="any", messages=HELLO, stream=True)
        pieces = [chunk.choices[0].delta.content async for chunk in stream if chunk.choices]
        assert len(pieces) > 3
        assert "".join(piece or "" for piece in pieces) == "Passed on in pieces."
        with pytest.raises(openai.BadRequestError, match="Too long") as caught:
            await client.chat.completions.create(model="any", messages=HELLO, stream=True)
        assert caught.value.code == "context_length_exceeded"
