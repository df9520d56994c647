"""What models do wrong, each row against a scripted chat-completions server: the emulator stays truthful."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from openai import AsyncOpenAI

from local.openai_emulator.agent.conversation import Prompt, Ran, Said, Searched, Toolbox
from local.openai_emulator.agent.model import ModelError, RunCode, Say, Search
from local.openai_emulator.models.chat import MAX_TOKENS, ChatModel, ready_text, shortened
from local.openai_emulator.models.chat_answers import say
from local.openai_emulator.search.passage import Passage
from tests.local.openai_emulator.client import client_of, create, running_app
from tests.local.openai_emulator.models.completions import Completions, running_completions

FOUND = Searched(
    queries=("fee",),
    passages=(
        Passage(file_id="f1", filename="fees.pdf", text="The fee is 40 EUR.", score=0.9, page=3),
        Passage(file_id="f2", filename="old.txt", text="It was 30 EUR.", score=0.5),
        Passage(file_id="f3", filename="new.txt", text="It will be 50 EUR.", score=0.4),
    ),
)
Chat = tuple[Completions, ChatModel, AsyncOpenAI]


@pytest.fixture
async def chat() -> AsyncIterator[Chat]:
    async with running_completions() as (server, model), running_app(model) as app, client_of(app) as client:  # type: ignore[arg-type]
        yield server, model, client


def prompt(*events: Any, **options: Any) -> Prompt:
    tools = Toolbox(file_search=True, code_interpreter=True)
    asked = Said(role="user", text="What is the fee?")
    return Prompt(model="m", instructions="", events=(asked, *events), turn_starts_at=0, tools=tools, **options)


async def store_of(client: AsyncOpenAI) -> str:
    store = await client.vector_stores.create()
    file = await client.files.create(file=("fees.txt", b"The fee is 40 EUR."), purpose="assistants")
    await client.vector_stores.files.create_and_poll(file.id, vector_store_id=store.id)
    return store.id


async def ask(client: AsyncOpenAI, **options: Any) -> Any:
    search = {"type": "file_search", "vector_store_ids": [await store_of(client)]}
    code = {"type": "code_interpreter", "container": {"type": "auto"}}
    return await create(client, tools=[search, code], **options)


# ---- calls -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        pytest.param("file_search", '{"queries": [', "file_search wants JSON", id="broken JSON"),
        pytest.param("file_search", "{}", "file_search wants JSON", id="no arguments"),
        pytest.param("file_search", '{"queries": []}', "file_search wants JSON", id="no queries"),
        pytest.param("file_search", '{"queries": [7, null]}', "file_search wants JSON", id="numbers"),
        pytest.param("python", "{}", "python wants JSON", id="no code"),
        pytest.param("browser", "{}", "no tool 'browser'", id="unknown tool"),
    ],
)
async def test_a_call_without_a_meaning_goes_back_to_the_model(
    chat: Chat, name: str, arguments: str, told: str
) -> None:
    server, _, client = chat
    server.call(("x", name, arguments))
    server.say("The fee is unknown.")
    response = await ask(client)
    assert (response.status, response.output_text) == ("completed", "The fee is unknown.")
    asked, answer = server.requests[1]["messages"][-2:]
    assert asked["tool_calls"][0]["function"] == {"name": name, "arguments": arguments}
    assert told in answer["content"]


async def test_a_model_that_learns_nothing_is_stopped(chat: Chat) -> None:
    server, _, client = chat
    for _ in range(4):
        server.call(("x", "browser", "{}"))
    response = await ask(client)
    assert response.status == "failed"
    assert "browser" in response.error.message


async def test_parallel_calls_all_run(chat: Chat) -> None:
    server, _, client = chat
    server.call(("a", "file_search", '{"queries": ["fee"]}'), ("b", "python", '{"code": "print(6 * 7)"}'))
    server.say("40 EUR and 42.")
    response = await ask(client, include=["code_interpreter_call.outputs"])
    assert [item.type for item in response.output] == ["file_search_call", "code_interpreter_call", "message"]
    assert "42" in server.requests[1]["messages"][-1]["content"]


async def test_only_the_first_call_runs_if_the_caller_wants_so(chat: Chat) -> None:
    server, _, client = chat
    server.call(("a", "file_search", '{"queries": ["fee"]}'), ("b", "python", '{"code": "print(6 * 7)"}'))
    server.say("40 EUR.")
    response = await ask(client, parallel_tool_calls=False)
    assert [item.type for item in response.output] == ["file_search_call", "message"]
    assert server.requests[0]["parallel_tool_calls"] is False


@pytest.mark.parametrize(
    ("message", "move"),
    [
        pytest.param(
            {"content": '<tool_call>\n{"name": "file_search", "arguments": {"queries": ["fee"]}}\n</tool_call>'},
            Search(queries=("fee",)),
            id="a call as text",
        ),
        pytest.param(
            {"content": '<think>I call <tool_call>{"name": "python"}</tool_call></think>It is 40.'},
            Say(text="It is 40."),
            id="a call in a thought",
        ),
        pytest.param({"content": "<think>Let me see."}, None, id="nothing but a thought"),
        pytest.param({"content": "Let me see.\n</think>\n\nIt is 40."}, Say(text="It is 40."), id="half a thought"),
        pytest.param({"content": [{"type": "text", "text": "It is 40."}]}, Say(text="It is 40."), id="parts"),
        pytest.param({"content": None, "refusal": "I will not."}, Say(text="I will not."), id="a refusal"),
        pytest.param({"content": ""}, None, id="empty"),
        pytest.param({"content": None}, None, id="null"),
        pytest.param(
            {
                "content": None,
                "tool_calls": [
                    {"id": "x", "type": "function", "function": {"name": "python", "arguments": {"code": "1"}}}
                ],
            },
            RunCode(code="1"),
            id="an object as arguments",
        ),
    ],
)
async def test_odd_answers(chat: Chat, message: dict[str, Any], move: Any) -> None:
    server, model, _ = chat
    server.answer({"role": "assistant", **message}, "stop")
    if move is None:
        with pytest.raises(ModelError, match="empty answer") as caught:
            await model.step(prompt())
        assert caught.value.code == "server_error"
    else:
        assert (await model.step(prompt())).move == move


async def test_a_page_instead_of_json_is_an_error_in_words(chat: Chat) -> None:
    server, model, _ = chat
    server.answers.append((200, "<html>Sign in</html>"))
    with pytest.raises(ModelError, match="tiny"):
        await model.step(prompt())


# ---- ends --------------------------------------------------------------------------------------------------------


async def test_a_content_filter_makes_the_response_incomplete(chat: Chat) -> None:
    server, _, client = chat
    server.say("The fee", "content_filter")
    response = await ask(client)
    assert (response.status, response.incomplete_details.reason) == ("incomplete", "content_filter")
    assert response.output_text == "The fee"


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        (400, "content_filter", "invalid_prompt"),
        (401, "invalid_api_key", "invalid_prompt"),
        (403, None, "invalid_prompt"),
        (404, "model_not_found", "invalid_prompt"),
        (429, "insufficient_quota", "invalid_prompt"),
        (429, "rate_limit_exceeded", "rate_limit_exceeded"),
        (500, None, "server_error"),
        (503, None, "server_error"),
    ],
)
async def test_only_what_asking_again_can_mend_is_retryable(chat: Chat, status: int, error: str, code: str) -> None:
    server, model, _ = chat
    server.refuse(status, error, "Out of paper.")
    with pytest.raises(ModelError, match="Out of paper") as caught:
        await model.step(prompt())
    assert caught.value.code == code


@pytest.mark.parametrize(
    "words",
    [
        "This model's maximum context length is 4096 tokens.",
        "the request exceeds the available context size, try increasing it",
        "input length exceeds the context window",
    ],
)
async def test_tool_results_are_shortened_for_a_short_context(chat: Chat, words: str) -> None:
    server, model, _ = chat
    long = Searched(
        queries=("fee",), passages=(Passage(file_id="f", filename="a.txt", text="word " * 4000, score=1.0),)
    )
    server.refuse(400, "context_length_exceeded", words)
    server.say("It is 40.")
    assert (await model.step(prompt(long))).move == Say(text="It is 40.")
    sizes = [len(request["messages"][-1]["content"]) for request in server.requests]
    assert sizes[1] < 4100 < sizes[0]


async def test_a_prompt_too_long_in_every_way_is_not_retryable(chat: Chat) -> None:
    server, model, _ = chat
    ran = Ran(code="1", logs="word " * 4000)
    for events, requests in ([ran], 4), ([], 1):
        server.requests.clear()
        for _ in range(requests):
            server.refuse(400, "context_length_exceeded", "The context length is exceeded.")
        with pytest.raises(ModelError) as caught:
            await model.step(prompt(*events))
        assert (caught.value.code, len(server.requests)) == ("invalid_prompt", requests)


async def test_old_turns_are_left_out_where_the_caller_allows_it(chat: Chat) -> None:
    server, model, _ = chat
    said = [Said(role="system", text="Be kind.")]
    for number in range(4):
        said += [Said(role="user", text=f"{number}?"), Said(role="assistant", text=f"{number}.")]
    thread = Prompt(model="m", instructions="", events=tuple(said[:-1]), turn_starts_at=7, tools=Toolbox())
    for _ in range(2):
        server.refuse(400, "context_length_exceeded", "The context length is exceeded.")
    server.say("Yes.")
    assert (await model.step(replace(thread, truncates=True))).move == Say(text="Yes.")
    sent = [[one["content"] for one in request["messages"]] for request in server.requests]
    assert sent == [
        ["Be kind.", "0?", "0.", "1?", "1.", "2?", "2.", "3?"],
        ["Be kind.", "2?", "2.", "3?"],
        ["Be kind.", "3?"],
    ]
    server.refuse(400, "context_length_exceeded", "The context length is exceeded.")
    with pytest.raises(ModelError) as caught:
        await model.step(thread)
    assert caught.value.code == "invalid_prompt"


def test_short_results_stay_as_they_are() -> None:
    chat = [{"role": "user", "content": "x" * 900}, {"role": "tool", "content": "y" * 200}]
    assert shortened(chat, 200) == chat


async def test_a_limit_is_always_sent_by_the_name_that_the_model_takes(chat: Chat) -> None:
    server, model, _ = chat
    server.say("a")
    server.refuse(400, "unsupported_parameter", "Use 'max_completion_tokens' instead of 'max_tokens'.")
    server.say("b")
    server.say("c")
    for limit in (None, 50, None):
        await model.step(prompt(max_output_tokens=limit))
    sent = [{key: one for key, one in request.items() if key.startswith("max_")} for request in server.requests]
    assert sent == [
        {"max_tokens": MAX_TOKENS},
        {"max_tokens": 50},
        {"max_completion_tokens": 50},
        {"max_completion_tokens": MAX_TOKENS},
    ]


# ---- texts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "mark", ["[1]", "[^1]", "[source 1]", "[Sources: 1]", "【1】", "【1†source】", "【7:1†fees.pdf】", "[1†source]"]
)
def test_common_forms_of_marks_become_citations(mark: str) -> None:
    answer = say(f"The fee is 40 EUR {mark}.", prompt(FOUND))
    assert answer.text == "The fee is 40 EUR."
    assert [(cite.position, cite.file_id) for cite in answer.citations] == [(17, "f1")]


@pytest.mark.parametrize("text", ["See [7].", "a[0] = 【9】", "2 [km]", "[2024]"])
def test_other_brackets_stay(text: str) -> None:
    assert say(text, prompt(FOUND)).text == text


WHOLE = "<think>Hm [1].</think>The fee was 30 EUR [2], a[0] < 3, then 40 EUR 【1†source】【3†source】. See (x)."


def test_a_stream_never_takes_back_what_it_said() -> None:
    final = say(WHOLE.partition("</think>")[2], prompt(FOUND)).text
    for length in range(len(WHOLE) + 1):
        assert final.startswith(ready_text(WHOLE[:length], prompt(FOUND)))
    assert ready_text(WHOLE, prompt(FOUND)) == final


async def test_a_streamed_answer_is_the_same_as_a_whole_one(chat: Chat) -> None:
    server, _, client = chat
    for stream in (False, True):
        server.call(("a", "file_search", '{"queries": ["fee"]}'))
        server.say("<think>Hm.</think>The fee is 40 EUR [1], as far as I know.")
        response = await ask(client, stream=stream)
        if stream:
            events = [event async for event in response]
            deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
            assert "".join(deltas) == "The fee is 40 EUR, as far as I know."
            response = events[-1].response
        assert response.output_text == "The fee is 40 EUR, as far as I know."
        assert [note.index for note in response.output[-1].content[0].annotations] == [17]
        assert response.usage.input_tokens == 60


# ---- what is passed on -------------------------------------------------------------------------------------------


async def test_formats_and_choices_reach_the_model(chat: Chat) -> None:
    server, _, client = chat
    fee = {"fee": {"type": "integer"}}
    schema = {"type": "object", "properties": fee, "required": ["fee"], "additionalProperties": False}
    server.call(("a", "file_search", '{"queries": ["fee"]}'))
    server.say('{"fee": 40}')
    response = await ask(
        client,
        tool_choice={"type": "file_search"},
        text={"format": {"type": "json_schema", "name": "fee", "schema": schema, "strict": True}},
    )
    assert response.output_text == '{"fee": 40}'
    first, second = server.requests
    assert first["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "fee", "schema": schema, "strict": True},
    }
    assert first["tool_choice"] == {"type": "function", "function": {"name": "file_search"}}
    assert "tool_choice" not in second
