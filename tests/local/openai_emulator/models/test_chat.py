"""`ChatModel`, against a small chat-completions server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from local.openai_emulator.agent.conversation import (
    Called,
    Cite,
    DataFile,
    Event,
    OutputFile,
    Prompt,
    Ran,
    Said,
    Searched,
    Toolbox,
)
from local.openai_emulator.agent.model import CallFunctions, ModelError, RunCode, Say, Search, Show, Usage
from local.openai_emulator.models.chat import ChatModel
from local.openai_emulator.models.chat_answers import say
from local.openai_emulator.search.passage import Passage
from tests.local.openai_emulator.client import client_of, running_app
from tests.local.openai_emulator.models.completions import Completions, running_completions

ASKED = Said(role="user", text="What is the fee?")
FOUND = Searched(
    queries=("fee",),
    passages=(
        Passage(file_id="f1", filename="fees.pdf", text="The fee is 40 EUR.", score=0.9, page=3),
        Passage(file_id="f2", filename="old.txt", text="It was 30 EUR.", score=0.5),
    ),
)
CHART = OutputFile(file_id="cfile_1", filename="chart.png", container_id="cntr_1", is_image=True)
TABLE = OutputFile(file_id="cfile_2", filename="table.csv", container_id="cntr_1", is_image=False)


def prompt(*events: Event, turn_starts_at: int = 0, **tools: Any) -> Prompt:
    return Prompt(
        model="deployment",
        instructions="Be short.",
        events=(ASKED, *events),
        turn_starts_at=turn_starts_at,
        tools=Toolbox(**tools),
        temperature=0.1,
        max_output_tokens=50,
    )


@pytest.fixture
async def emulator_chat() -> AsyncIterator[tuple[Completions, ChatModel]]:
    async with running_completions() as chat:
        yield chat


Chat = tuple[Completions, ChatModel]


async def test_it_searches_runs_and_answers(emulator_chat: Chat) -> None:
    server, model = emulator_chat
    server.call(("x", "file_search", '{"queries": ["fee", "cost"]}'))
    step = await model.step(prompt(file_search=True, code_interpreter=True))
    assert step.move == Search(queries=("fee", "cost"))
    assert step.usage == Usage(input_tokens=30, output_tokens=4)

    server.call(("y", "python", '{"code": "print(40)"}'))
    files = (DataFile(filename="d.csv", size_bytes=1),)
    step = await model.step(prompt(FOUND, file_search=True, code_interpreter=True, data_files=files))
    assert step.move == RunCode(code="print(40)")

    ran = Ran(code="print(40)", logs="40\n", files=(TABLE,))
    server.say("It is 40 EUR [1].")
    step = await model.step(prompt(FOUND, ran, file_search=True, code_interpreter=True))
    assert step.move == Say(text="It is 40 EUR.", citations=(Cite(position=12, file_id="f1", filename="fees.pdf"),))

    first, second, third = server.requests
    assert server.keys[0] == "Bearer key"
    assert (first["model"], first["temperature"], first["max_tokens"]) == ("tiny", 0.1, 50)
    assert [tool["function"]["name"] for tool in first["tools"]] == ["file_search", "python"]
    assert "/mnt/data/d.csv" in second["messages"][0]["content"]
    roles = [message["role"] for message in third["messages"]]
    assert roles == ["system", "user", "assistant", "tool", "assistant", "tool"]
    assert third["messages"][3]["content"] == "[1] fees.pdf, page 3\nThe fee is 40 EUR.\n\n[2] old.txt\nIt was 30 EUR."
    assert third["messages"][5]["content"] == "40\n\nFile written: /mnt/data/table.csv"
    assert third["messages"][2]["tool_calls"][0]["id"] == third["messages"][3]["tool_call_id"]


async def test_it_calls_the_callers_functions(emulator_chat: Chat) -> None:
    server, model = emulator_chat
    function = {"name": "now", "description": "", "parameters": {"type": "object"}, "strict": None}
    server.call(("c1", "now", "{}"), ("c2", "now", '{"zone": "UTC"}'))
    step = await model.step(prompt(functions=[function]))
    calls = (
        Called(call_id="c1", name="now", arguments="{}"),
        Called(call_id="c2", name="now", arguments='{"zone": "UTC"}'),
    )
    assert step.move == CallFunctions(calls=calls)
    server.say("Noon.")
    await model.step(prompt(Called(call_id="c1", name="now", arguments="{}", output="12:00")))
    assert server.requests[1]["messages"][-1] == {"role": "tool", "tool_call_id": "c1", "content": "12:00"}
    assert "tools" not in server.requests[1]


async def test_a_cut_answer_is_marked(emulator_chat: Chat) -> None:
    server, model = emulator_chat
    server.say("It is", finish_reason="length")
    assert (await model.step(prompt())).move == Say(text="It is", cut_off=True)


@pytest.mark.parametrize(
    ("status", "code"), [(429, "rate_limit_exceeded"), (500, "server_error"), (404, "invalid_prompt")]
)
async def test_errors_carry_the_servers_words(emulator_chat: Chat, status: int, code: str) -> None:
    server, model = emulator_chat
    server.answers.append((status, {"error": {"message": "Out of paper.", "type": "x", "code": None, "param": None}}))
    with pytest.raises(ModelError, match="Out of paper") as caught:
        await model.step(prompt())
    assert caught.value.code == code


async def test_an_unreachable_server_is_a_server_error() -> None:
    model = ChatModel("http://127.0.0.1:9/v1", "tiny")
    model._client = model._client.with_options(max_retries=0)
    with pytest.raises(ModelError) as caught:
        await model.step(prompt())
    assert caught.value.code == "server_error"
    await model.close()


@pytest.mark.parametrize(
    ("said", "text", "cited"),
    [
        pytest.param("40 EUR [1].", "40 EUR.", [(6, "f1")], id="one"),
        pytest.param("40 [1][2] or 30 [2].", "40 or 30.", [(2, "f1"), (2, "f2"), (8, "f2")], id="several"),
        pytest.param("40 [1, 2].", "40.", [(2, "f1"), (2, "f2")], id="a list"),
        pytest.param("See [7] and a[0].", "See [7] and a[0].", [], id="no markers"),
    ],
)
def test_marks_become_citations(said: str, text: str, cited: list[tuple[int, str]]) -> None:
    answer = say(said, prompt(FOUND))
    assert answer.text == text
    assert [(cite.position, cite.file_id) for cite in answer.citations] == cited


def test_files_that_are_named_are_shown() -> None:
    answer = say(
        "See [chart](sandbox:/mnt/data/chart.png) and table.csv.", prompt(Ran(code="", logs="", files=(CHART, TABLE)))
    )
    assert [answer.text[show.start : show.end] for show in answer.shows] == ["sandbox:/mnt/data/chart.png", "table.csv"]
    assert [show.file for show in answer.shows] == [CHART, TABLE]


def test_images_that_are_not_named_are_added() -> None:
    other = OutputFile(file_id="cfile_3", filename="b.png", container_id="cntr_1", is_image=True)
    answer = say("Done. ", prompt(Ran(code="", logs="", files=(CHART, TABLE, other))))
    assert answer.text == "Done.\n\nCreated: chart.png, b.png."
    assert answer.shows == (Show(start=16, end=25, file=CHART), Show(start=27, end=32, file=other))
    earlier = say("Done.", prompt(Ran(code="", logs="", files=(CHART,)), turn_starts_at=2))
    assert (earlier.text, earlier.shows) == ("Done.", ())


async def test_the_whole_emulator_answers_with_it(emulator_chat: Chat) -> None:
    server, model = emulator_chat
    async with running_app(model) as app, client_of(app) as client:  # type: ignore[arg-type]
        store = await client.vector_stores.create()
        file = await client.files.create(file=("fees.txt", b"The fee is 40 EUR."), purpose="assistants")
        await client.vector_stores.files.create_and_poll(file.id, vector_store_id=store.id)
        server.call(("x", "file_search", '{"queries": ["fee"]}'))
        server.call(("y", "python", "{\"code\": \"open('/mnt/data/fee.txt', 'w').write('40')\"}"))
        server.say("It is 40 EUR [1]; see fee.txt.")
        tools: Any = [
            {"type": "file_search", "vector_store_ids": [store.id]},
            {"type": "code_interpreter", "container": {"type": "auto"}},
        ]
        response: Any = await client.responses.create(model="gpt-test", input="What is the fee?", tools=tools)
        assert [item.type for item in response.output] == ["file_search_call", "code_interpreter_call", "message"]
        assert response.output_text == "It is 40 EUR; see fee.txt."
        cited, shown = response.output[2].content[0].annotations
        assert (cited.file_id, cited.index) == (file.id, 12)
        assert (shown.filename, shown.start_index, shown.end_index) == ("fee.txt", 18, 25)
        assert response.usage.input_tokens == 90
        assert response.metadata == {"answered_by": "tiny (chat completions)"}
