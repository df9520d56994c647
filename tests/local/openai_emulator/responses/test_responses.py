"""Responses, through the SDK, with a scripted model and the real search and sandbox."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from openai.types.responses import Response

from local.openai_emulator.agent.conversation import Called, Cite, Prompt, Said, Searched
from local.openai_emulator.agent.model import CallFunctions, ModelError, Say, Search
from tests.local.openai_emulator.client import ScriptedModel, client_of, counted, create, ended, running_app

CODE: Any = {"type": "code_interpreter", "container": {"type": "auto"}}
EVERYTHING: Any = ["file_search_call.results", "code_interpreter_call.outputs"]


async def store_with(client: AsyncOpenAI, name: str, content: bytes, **attributes: Any) -> tuple[str, str]:
    store = await client.vector_stores.create()
    file = await client.files.create(file=(name, content), purpose="assistants")
    await client.vector_stores.files.create_and_poll(file.id, vector_store_id=store.id, attributes=attributes)
    return store.id, file.id


# ---- saying something --------------------------------------------------------------------------------------


async def test_an_answer_at_once(openai_client: AsyncOpenAI, emulator_model: ScriptedModel) -> None:
    emulator_model.moves = [Say(text="Hello!")]
    emulator_model.about = {"answered_by": "a script"}
    response = await create(openai_client, instructions="Be kind.", metadata={"run": "1"}, temperature=0.5)
    assert (response.status, response.output_text, response.model) == ("completed", "Hello!", "gpt-test")
    assert response.metadata == {"run": "1", "answered_by": "a script"}
    assert response.error is None
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens) == (5, 2)  # "Be kind." + "Hello?", "Hello!"
    prompt = emulator_model.prompts[0]
    assert (prompt.instructions, prompt.temperature, prompt.model) == ("Be kind.", 0.5, "gpt-test")
    assert prompt.events == (Said(role="user", text="Hello?"),)
    assert await openai_client.responses.retrieve(response.id) == response


async def test_an_answer_in_the_background(openai_client: AsyncOpenAI, emulator_model: ScriptedModel) -> None:
    emulator_model.moves = [Say(text="Done.")]
    response = await create(openai_client, background=True)
    assert (response.status, response.output) == ("queued", [])
    assert (await ended(openai_client, response.id)).output_text == "Done."


async def test_a_conversation_is_carried_on(openai_client: AsyncOpenAI, emulator_model: ScriptedModel) -> None:
    emulator_model.moves = [Say(text="One."), Say(text="Two.")]
    first = await create(openai_client, input="A?", instructions="I")
    second = await create(openai_client, input="B?", previous_response_id=first.id)
    prompt = emulator_model.prompts[1]
    assert [event.text for event in prompt.events if isinstance(event, Said)] == ["A?", "One.", "B?"]
    assert (prompt.turn_starts_at, prompt.instructions) == (2, "")
    assert second.previous_response_id == first.id


async def test_input_may_be_items(openai_client: AsyncOpenAI, emulator_model: ScriptedModel) -> None:
    items: Any = [
        {"role": "developer", "content": "Rules."},
        {"role": "assistant", "content": [{"type": "output_text", "text": "Hi.", "annotations": []}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "A?"}]},
    ]
    response = await create(openai_client, input=items)
    said = [(event.role, event.text) for event in emulator_model.prompts[0].events if isinstance(event, Said)]
    assert said == [("developer", "Rules."), ("assistant", "Hi."), ("user", "A?")]
    listed: Any = [item async for item in openai_client.responses.input_items.list(response.id, order="asc", limit=2)]
    assert [(item.role, item.content[0].text) for item in listed] == said


async def test_the_output_of_one_response_can_be_the_input_of_the_next(
    openai_client: AsyncOpenAI, emulator_model: ScriptedModel
) -> None:
    store_id, file_id = await store_with(openai_client, "a.txt", b"The fee is 40 EUR.")
    emulator_model.moves = [Search(queries=("fee",)), Say(text="40.", citations=(cite(file_id),)), Say(text="Yes.")]
    tools: Any = [{"type": "file_search", "vector_store_ids": [store_id]}]
    first = await create(openai_client, tools=tools, include=EVERYTHING)
    said: Any = [item.to_dict() for item in first.output]
    second = await create(openai_client, input=[*said, {"role": "user", "content": "Sure?"}])
    assert second.status == "completed"
    searched, answer, _ = emulator_model.prompts[-1].events
    assert isinstance(searched, Searched)
    assert searched.passages[0].text == "The fee is 40 EUR."
    assert isinstance(answer, Said)
    assert answer.citations[0].file_id == file_id


def cite(file_id: str, position: int = 0) -> Cite:
    return Cite(position=position, file_id=file_id, filename="whatever the model calls it")


# ---- searching ---------------------------------------------------------------------------------------------


async def test_file_search_and_citations(openai_client: AsyncOpenAI, emulator_model: ScriptedModel) -> None:
    store_id, file_id = await store_with(openai_client, "fees.txt", b"The fee is 40 EUR.", path="a/fees.txt")
    answer = Say(text="It is 40 EUR.", citations=(cite(file_id, 12), cite("file-invented", 3)))
    emulator_model.moves = [Search(queries=("fee", "cost")), answer]
    tools: Any = [{"type": "file_search", "vector_store_ids": [store_id], "max_num_results": 3}]
    response = await create(openai_client, tools=tools, background=True)
    response = await ended(openai_client, response.id)
    search, message = response.output
    assert search.type == "file_search_call"
    assert (search.status, search.queries, search.results) == ("completed", ["fee", "cost"], None)
    assert message.type == "message"
    content = message.content[0]
    assert content.type == "output_text"
    assert [note.to_dict() for note in content.annotations] == [
        {"type": "file_citation", "file_id": file_id, "filename": "fees.txt", "index": 12}
    ]
    assert response.to_dict()["tools"] == [
        {
            "type": "file_search",
            "vector_store_ids": [store_id],
            "filters": None,
            "max_num_results": 3,
            "ranking_options": {"ranker": "auto", "score_threshold": 0.0},
        }
    ]
    with_results: Any = await openai_client.responses.retrieve(response.id, include=EVERYTHING)
    (result,) = with_results.output[0].results
    assert (result.file_id, result.filename, result.text) == (file_id, "fees.txt", "The fee is 40 EUR.")
    assert result.attributes == {"path": "a/fees.txt"}
    assert 0 < result.score <= 1


async def test_a_filter_narrows_the_search(openai_client: AsyncOpenAI, emulator_model: ScriptedModel) -> None:
    store_id, _ = await store_with(openai_client, "a.txt", b"The fee is 40 EUR.", year=2020)
    emulator_model.moves = [Search(queries=("fee",))]
    filters = {"type": "and", "filters": [{"type": "gt", "key": "year", "value": 2021}]}
    tools: Any = [{"type": "file_search", "vector_store_ids": [store_id], "filters": filters}]
    response: Any = await create(openai_client, tools=tools, include=EVERYTHING)
    assert response.output[0].results == []


# ---- functions of the caller's -----------------------------------------------------------------------------


async def test_functions_are_handed_over_and_answered(
    openai_client: AsyncOpenAI, emulator_model: ScriptedModel
) -> None:
    call = Called(call_id="call_1", name="now", arguments="{}")
    emulator_model.moves = [CallFunctions(calls=(call,)), Say(text="Noon."), Say(text="Still noon.")]
    tools: Any = [{"type": "function", "name": "now", "parameters": {"type": "object"}, "strict": False}]
    first: Any = await create(openai_client, tools=tools)
    assert first.status == "completed"
    assert (first.output[0].type, first.output[0].call_id, first.output[0].name) == ("function_call", "call_1", "now")
    with pytest.raises(openai.BadRequestError, match="No tool output found for function call call_1"):
        await create(openai_client, previous_response_id=first.id, input="And?")
    output: Any = [{"type": "function_call_output", "call_id": "call_1", "output": "12:00"}]
    second = await create(openai_client, previous_response_id=first.id, input=output)
    assert second.output_text == "Noon."
    prompt = emulator_model.prompts[1]
    answered = Called(call_id="call_1", name="now", arguments="{}", output="12:00")
    assert prompt.events == (Said(role="user", text="Hello?"), answered)
    assert prompt.turn_starts_at == 1
    await create(openai_client, previous_response_id=second.id, input="Sure?")
    assert [event for event in emulator_model.prompts[2].events if isinstance(event, Called)] == [answered]
    with pytest.raises(openai.BadRequestError, match="No tool call found"):
        await create(openai_client, input=output)


# ---- limits and failures -----------------------------------------------------------------------------------


async def test_a_model_that_fails(openai_client: AsyncOpenAI, emulator_model: ScriptedModel) -> None:
    emulator_model.moves = [ModelError("rate_limit_exceeded", "Too many tokens."), ModelError("odd_code", "Odd.")]
    for code, message in (("rate_limit_exceeded", "Too many tokens."), ("server_error", "Odd.")):
        response = await create(openai_client)
        assert response.status == "failed"
        assert response.error is not None
        assert (response.error.code, response.error.message) == (code, message)


async def test_a_model_that_breaks(openai_client: AsyncOpenAI, emulator_model: ScriptedModel) -> None:
    async def breaks(_: Prompt) -> Say:
        raise KeyError("secret")

    emulator_model.moves = [breaks]
    response = await create(openai_client)
    assert response.status == "failed"
    assert response.error is not None
    assert response.error.code == "server_error"
    assert "secret" not in response.error.message


async def test_output_is_cut_at_its_limit(openai_client: AsyncOpenAI, emulator_model: ScriptedModel) -> None:
    emulator_model.moves = [Say(text="word " * 50)]
    response: Any = await create(openai_client, max_output_tokens=16)
    assert (response.status, response.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert response.output[0].status == "incomplete"
    assert response.output_text.split() == ["word"] * 16
    assert response.usage.output_tokens == 16


async def test_usage_is_summed_over_the_steps(openai_client: AsyncOpenAI, emulator_model: ScriptedModel) -> None:
    emulator_model.moves = [counted(Search(queries=("q",)), 10, 3), counted(Say(text="ok"), 20, 4)]
    store_id, _ = await store_with(openai_client, "a.txt", b"A text.")
    tools: Any = [{"type": "file_search", "vector_store_ids": [store_id]}]
    response = await create(openai_client, tools=tools)
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens, response.usage.total_tokens) == (30, 7, 37)


async def test_metadata_of_the_caller_comes_first(openai_client: AsyncOpenAI, emulator_model: ScriptedModel) -> None:
    emulator_model.about = {"k0": "not mine", "answered_by": "x"}
    metadata = {f"k{n}": str(n) for n in range(16)}
    assert (await create(openai_client, metadata=metadata)).metadata == metadata


@pytest.mark.parametrize(
    ("options", "status", "param"),
    [
        pytest.param({"stream": False, "input": []}, 400, "input", id="no input"),
        pytest.param({"unknown": 1}, 400, "unknown", id="unknown parameter"),
        pytest.param({"temperature": 3}, 400, "temperature", id="temperature"),
        pytest.param({"max_output_tokens": 1}, 400, "max_output_tokens", id="max_output_tokens"),
        pytest.param({"metadata": {"k": "v" * 513}}, 400, "metadata.k", id="metadata"),
        pytest.param({"include": ["nonsense"]}, 400, "include[0]", id="include"),
        pytest.param({"background": True, "store": False}, 400, "store", id="background needs store"),
        pytest.param({"previous_response_id": "resp_x"}, 400, "previous_response_id", id="no such response"),
        pytest.param({"tools": [{"type": "code_interpreter"}]}, 400, "tools[0].container", id="no container"),
        pytest.param({"tools": [{"type": "file_search", "vector_store_ids": ["vs_x"]}]}, 404, "id", id="no such store"),
        pytest.param({"tools": [{**CODE, "container": "cntr_x"}]}, 404, "id", id="no such container"),
        pytest.param({"tools": [{"type": "web_search"}]}, 501, "tools[0].type", id="web search"),
        pytest.param({"text": {"format": {"type": "xml"}}}, 400, "text.format.type", id="an unknown format"),
        pytest.param({"text": {"format": {"type": "json_schema"}}}, 400, "text.format.name", id="no schema"),
        pytest.param(
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]},
            400,
            "input[0].content[0].image_url",
            id="an image that is no image",
        ),
    ],
)
async def test_what_is_refused(openai_client: AsyncOpenAI, options: dict[str, Any], status: int, param: str) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        await openai_client.post("/responses", cast_to=Response, body={"model": "m", "input": "x", **options})
    assert (caught.value.status_code, caught.value.param) == (status, param)


# ---- keeping -----------------------------------------------------------------------------------------------


async def test_a_response_that_is_not_stored_is_not_found(openai_client: AsyncOpenAI) -> None:
    response = await create(openai_client, store=False)
    assert response.status == "completed"
    with pytest.raises(openai.NotFoundError):
        await openai_client.responses.retrieve(response.id)


async def test_a_response_is_deleted_even_while_it_runs(
    openai_client: AsyncOpenAI, emulator_model: ScriptedModel
) -> None:
    started = asyncio.Event()

    async def never(_: Prompt) -> Say:
        started.set()
        await asyncio.Event().wait()
        raise AssertionError

    emulator_model.moves = [never]
    response = await create(openai_client, background=True)
    await started.wait()
    await openai_client.responses.delete(response.id)
    with pytest.raises(openai.NotFoundError):
        await openai_client.responses.retrieve(response.id)


async def test_only_background_responses_can_be_cancelled(openai_client: AsyncOpenAI) -> None:
    response = await create(openai_client)
    with pytest.raises(openai.BadRequestError, match="synchronous"):
        await openai_client.responses.cancel(response.id)


async def test_a_response_that_ran_when_the_emulator_ended_fails(tmp_path: Path) -> None:
    started = asyncio.Event()

    async def never(_: Prompt) -> Say:
        started.set()
        await asyncio.Event().wait()
        raise AssertionError

    model = ScriptedModel(Say(text="First."), never)
    async with running_app(model, data=tmp_path) as app, client_of(app) as client:
        first = await create(client)
        second = await create(client, background=True, previous_response_id=first.id)
        await started.wait()
    async with running_app(ScriptedModel(), data=tmp_path) as app, client_of(app) as client:
        assert (await client.responses.retrieve(first.id)).output_text == "First."
        failed = await client.responses.retrieve(second.id)
        assert failed.status == "failed"
        assert failed.error is not None
        assert failed.error.code == "server_error"
