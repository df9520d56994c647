"""Runs and their steps, through the SDK, with a scripted model; responses are checked against the OpenAPI document."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from openai.types.beta.threads import Run

from local.openai_emulator.agent.conversation import Called, Cite, Prompt, Said, Searched
from local.openai_emulator.agent.model import Say, Search
from tests.local.openai_emulator.assistants.api import (
    CONTENT,
    DEPRECATED,
    FUNCTION,
    OUTPUTS,
    SEARCH,
    TWO_CALLS,
    Gate,
    answer_of,
    asked,
    assistant_with,
    done,
    status,
    steps_of,
    text_of,
)
from tests.local.openai_emulator.client import Clock, ScriptedModel, counted

pytestmark = pytest.mark.filterwarnings(DEPRECATED)

# ---- answering ---------------------------------------------------------------------------------------------


def _queued(run: Run, now: int) -> dict[str, object]:
    """The run as it is returned when it is created."""
    return {
        "id": run.id,
        "object": "thread.run",
        "created_at": now,
        "thread_id": run.thread_id,
        "assistant_id": run.assistant_id,
        "status": "queued",
        "required_action": None,
        "last_error": None,
        "expires_at": now + 600,
        "started_at": None,
        "cancelled_at": None,
        "failed_at": None,
        "completed_at": None,
        "incomplete_details": None,
        "model": "gpt-test",
        "instructions": "",
        "tools": [],
        "metadata": {"k": "v", "answered_by": "a script"},
        "usage": None,
        "temperature": 1.0,
        "top_p": 1.0,
        "max_prompt_tokens": None,
        "max_completion_tokens": None,
        "truncation_strategy": {"type": "auto", "last_messages": None},
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "response_format": "auto",
    }


async def test_a_run_and_its_answer(client: AsyncOpenAI, emulator_model: ScriptedModel, emulator_clock: Clock) -> None:
    gate = Gate()
    emulator_model.moves = [gate]
    emulator_model.about = {"answered_by": "a script"}
    run = await asked(client, "Hello?", metadata={"k": "v"})
    now = int(emulator_clock.now)
    assert run.to_dict() == _queued(run, now)
    working = await status(client, run, "in_progress")
    assert (working.started_at, working.usage, working.completed_at) == (now, None, None)
    emulator_clock.now += 5
    gate.open.set()
    ended = await done(client, run)
    assert (ended.status, ended.completed_at, ended.expires_at) == ("completed", now + 5, None)
    assert ended.usage is not None
    assert (ended.usage.prompt_tokens, ended.usage.completion_tokens, ended.usage.total_tokens) == (2, 3, 5)
    message = await answer_of(client, run)
    assert (text_of(message), message.role, message.status) == ("At last.", "assistant", "completed")
    (step,) = await steps_of(client, run)
    assert (step.type, step.status, step.completed_at) == ("message_creation", "completed", now + 5)
    assert step.to_dict()["usage"] == ended.to_dict()["usage"]
    assert step.to_dict()["step_details"] == {
        "type": "message_creation",
        "message_creation": {"message_id": message.id},
    }
    assert await client.beta.threads.runs.steps.retrieve(step.id, thread_id=run.thread_id, run_id=run.id) == step


async def test_a_run_may_differ_from_its_assistant(client: AsyncOpenAI, emulator_model: ScriptedModel) -> None:
    assistant = await assistant_with(client, FUNCTION, instructions="Base.", temperature=0.1)
    thread = await client.beta.threads.create(messages=[{"role": "user", "content": "A?"}])
    run = await client.beta.threads.runs.create(
        thread.id,
        assistant_id=assistant.id,
        model="other",
        additional_instructions="More.",
        additional_messages=[{"role": "user", "content": "B?"}],
        tools=[],
        temperature=0.9,
        top_p=0.5,
        max_prompt_tokens=1000,
        max_completion_tokens=300,
        truncation_strategy={"type": "last_messages", "last_messages": 1},
        tool_choice={"type": "function", "function": {"name": "price"}},
        parallel_tool_calls=False,
        response_format={"type": "text"},
    )
    given = run.to_dict()
    assert {name: given[name] for name in ("model", "instructions", "tools", "temperature", "top_p")} == {
        "model": "other",
        "instructions": "Base.\nMore.",
        "tools": [],
        "temperature": 0.9,
        "top_p": 0.5,
    }
    assert given["truncation_strategy"] == {"type": "last_messages", "last_messages": 1}
    assert given["tool_choice"] == {"type": "function", "function": {"name": "price"}}
    assert given["response_format"] == {"type": "text"}
    await done(client, run)
    prompt = emulator_model.prompts[0]
    assert (prompt.model, prompt.instructions, prompt.temperature, prompt.max_output_tokens) == (
        "other",
        "Base.\nMore.",
        0.9,
        300,
    )
    assert prompt.events == (Said(role="user", text="B?"),)
    assert prompt.tools.functions == ()
    instead = await client.beta.threads.runs.create(thread.id, assistant_id=assistant.id, instructions="Else.")
    assert instead.instructions == "Else."
    await done(client, instead)
    assert [function["name"] for function in emulator_model.prompts[1].tools.functions] == ["price"]


async def test_a_thread_is_carried_on(client: AsyncOpenAI, emulator_model: ScriptedModel) -> None:
    emulator_model.moves = [Say(text="One."), Say(text="Two."), Say(text="Three.")]
    run = await done(client, await asked(client, "A?"))
    await client.beta.threads.messages.create(run.thread_id, role="user", content="B?")
    await client.beta.threads.messages.create(run.thread_id, role="user", content="C?")
    await done(client, await client.beta.threads.runs.create(run.thread_id, assistant_id=run.assistant_id))
    prompt = emulator_model.prompts[1]
    said = [event.text for event in prompt.events if isinstance(event, Said)]
    assert (said, prompt.turn_starts_at) == (["A?", "One.", "B?", "C?"], 2)
    await done(client, await client.beta.threads.runs.create(run.thread_id, assistant_id=run.assistant_id))
    assert emulator_model.prompts[2].turn_starts_at == 5  # nothing new was asked


async def test_runs_are_listed_and_modified(client: AsyncOpenAI) -> None:
    first = await done(client, await asked(client))
    runs = client.beta.threads.runs
    second = await done(client, await runs.create(first.thread_id, assistant_id=first.assistant_id))
    assert [run.id async for run in runs.list(first.thread_id, limit=1)] == [second.id, first.id]
    assert [run.id for run in (await runs.list(first.thread_id, after=second.id)).data] == [first.id]
    changed = await runs.update(first.id, thread_id=first.thread_id, metadata={"k": "v"})
    assert (changed.metadata, changed.status) == ({"k": "v"}, "completed")
    with pytest.raises(openai.NotFoundError):
        await runs.retrieve("run_none", thread_id=first.thread_id)
    other = await client.beta.threads.create()
    with pytest.raises(openai.NotFoundError):
        await runs.retrieve(first.id, thread_id=other.id)


async def test_metadata_changed_while_it_runs_are_kept(client: AsyncOpenAI, emulator_model: ScriptedModel) -> None:
    gate = Gate()
    emulator_model.moves = [gate]
    run = await status(client, await asked(client), "in_progress")
    await client.beta.threads.runs.update(run.id, thread_id=run.thread_id, metadata={"k": "v"})
    gate.open.set()
    assert (await done(client, run)).metadata == {"k": "v"}


@pytest.mark.parametrize(
    ("options", "status_code", "param"),
    [
        ({"response_format": {"type": "json_schema"}}, 400, "response_format.json_schema"),
        ({"max_prompt_tokens": 1}, 400, "max_prompt_tokens"),
        ({"truncation_strategy": {"type": "last_messages", "last_messages": 0}}, 400, None),
        ({"tool_choice": "sometimes"}, 400, None),
        ({"assistant_id": "asst_none"}, 404, "id"),
        ({"additional_messages": [{"role": "user", "content": ""}]}, 400, "content"),
        ({"include": ["everything"]}, 400, "include"),
    ],
)
async def test_invalid_run_options_are_refused(
    client: AsyncOpenAI, options: Any, status_code: int, param: str | None
) -> None:
    assistant = await assistant_with(client)
    thread = await client.beta.threads.create()
    with pytest.raises(openai.APIStatusError) as caught:
        await client.beta.threads.runs.create(thread.id, **{"assistant_id": assistant.id, **options})
    assert caught.value.status_code == status_code
    assert param in (None, caught.value.param)
    assert (await client.beta.threads.runs.list(thread.id)).data == []
    assert (await client.beta.threads.messages.list(thread.id)).data == []


# ---- searching ---------------------------------------------------------------------------------------------


async def _check_search_step(client: AsyncOpenAI, run: Run) -> None:
    """Its usage, its options, and its results: with their text only if `include` names it."""
    search, _ = await steps_of(client, run)
    assert (search.status, search.to_dict()["usage"]) == (
        "completed",
        {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12},
    )
    call: Any = search.step_details.tool_calls[0]  # type: ignore[union-attr]
    assert call.file_search.ranking_options.to_dict() == {"ranker": "auto", "score_threshold": 0.0}
    assert {(result.file_name, result.content) for result in call.file_search.results} == {
        ("fees.txt", None),
        ("late.txt", None),
    }
    full, _ = await steps_of(client, run, include=[CONTENT])
    results: Any = full.step_details.tool_calls[0].file_search.results  # type: ignore[union-attr]
    assert {result.content[0].text for result in results} == {"The fee is 40 EUR.", "The late fee is 9 EUR."}
    one = await client.beta.threads.runs.steps.retrieve(
        search.id, thread_id=run.thread_id, run_id=run.id, include=[CONTENT]
    )
    assert one == full


async def test_a_search_and_its_citations(client: AsyncOpenAI, emulator_model: ScriptedModel) -> None:
    """Searches the assistant's store and the thread's attachments; the client does not wait for indexing."""
    ids = []
    for name, content in (("fees.txt", b"The fee is 40 EUR."), ("late.txt", b"The late fee is 9 EUR.")):
        ids.append((await client.files.create(file=(name, content), purpose="assistants")).id)
    store = await client.vector_stores.create()
    await client.vector_stores.files.create_and_poll(ids[0], vector_store_id=store.id)
    tool: Any = {
        "type": "file_search",
        "file_search": {"max_num_results": 7, "ranking_options": {"score_threshold": 0}},
    }
    assistant = await assistant_with(client, tool, tool_resources={"file_search": {"vector_store_ids": [store.id]}})

    async def says(prompt: Prompt) -> Say:
        searched = prompt.events[-1]
        assert isinstance(searched, Searched)
        assert {passage.file_id for passage in searched.passages} == set(ids)
        cites = [Cite(position=at, file_id=id, filename="?") for at, id in ((12, ids[1]), (6, ids[0]), (3, "file-no"))]
        return Say(text="40 EUR, 9 EUR", citations=tuple(cites))

    emulator_model.moves = [counted(Search(queries=("fee",)), 10, 2), says]
    attached: Any = [{"file_id": ids[1], "tools": [SEARCH]}]
    run = await client.beta.threads.create_and_run(
        assistant_id=assistant.id, thread={"messages": [{"role": "user", "content": "?", "attachments": attached}]}
    )
    assert (await done(client, run)).status == "completed"
    message = await answer_of(client, run)
    text = message.content[0].text  # type: ignore[union-attr]
    markers = [note.text for note in text.annotations]
    assert text.value == f"40 EUR{markers[0]}, 9 EU{markers[1]}R"
    assert [note.to_dict()["file_citation"] for note in text.annotations] == [{"file_id": id} for id in ids]
    for note in text.annotations:
        assert text.value[note.start_index : note.end_index] == note.text
        assert note.text.startswith("【1:")
        assert note.text.endswith("†source】")
    await _check_search_step(client, run)


async def test_a_later_run_sees_earlier_search_results(client: AsyncOpenAI, emulator_model: ScriptedModel) -> None:
    store = await client.vector_stores.create()
    file = await client.files.create(file=("a.txt", b"The fee is 40 EUR."), purpose="assistants")
    await client.vector_stores.files.create_and_poll(file.id, vector_store_id=store.id)
    resources: Any = {"file_search": {"vector_store_ids": [store.id]}}
    cite = (Cite(position=3, file_id=file.id, filename=""),)
    emulator_model.moves = [Search(queries=("fee",)), Say(text="40.", citations=cite), Say(text="Yes.", citations=cite)]
    run = await done(client, await asked(client, tools=[SEARCH], tool_resources=resources))
    await client.beta.threads.messages.create(run.thread_id, role="user", content="Sure?")
    second = await client.beta.threads.runs.create(run.thread_id, assistant_id=run.assistant_id)
    await done(client, second)
    events = emulator_model.prompts[2].events
    assert [type(event) for event in events] == [Said, Searched, Said, Said]
    assert events[2] == Said(
        role="assistant", text="40.", citations=(Cite(position=3, file_id=file.id, filename="a.txt"),)
    )
    assert "【1:0†source】" in text_of(await answer_of(client, second))
    assert not emulator_model.prompts[2].tools.file_search  # the store was the first run's alone


async def test_a_run_without_its_store_fails(client: AsyncOpenAI) -> None:
    store = await client.vector_stores.create()
    assistant = await assistant_with(client, SEARCH, tool_resources={"file_search": {"vector_store_ids": [store.id]}})
    await client.vector_stores.delete(store.id)
    run = await client.beta.threads.create_and_run(assistant_id=assistant.id)
    ended = await done(client, run)
    assert ended.status == "failed"
    assert ended.last_error is not None
    assert store.id in ended.last_error.message


# ---- functions of the caller's -----------------------------------------------------------------------------


async def test_functions_are_called_and_answered(
    client: AsyncOpenAI, emulator_model: ScriptedModel, emulator_clock: Clock
) -> None:
    emulator_model.moves = [counted(TWO_CALLS, 10, 4), counted(Say(text="Three."), 20, 1), Say(text="Yes.")]
    run = await status(client, await asked(client, tools=[FUNCTION]), "requires_action")
    assert run.required_action is not None
    assert run.required_action.to_dict() == {
        "type": "submit_tool_outputs",
        "submit_tool_outputs": {
            "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "price", "arguments": '{"of": "a"}'}},
                {"id": "call_2", "type": "function", "function": {"name": "price", "arguments": '{"of": "b"}'}},
            ]
        },
    }
    (step,) = await steps_of(client, run)
    assert (step.status, step.usage) == ("in_progress", None)
    assert [call.function.output for call in step.step_details.tool_calls] == [None, None]  # type: ignore[union-attr]
    emulator_clock.now += 60
    queued = await client.beta.threads.runs.submit_tool_outputs(run.id, thread_id=run.thread_id, tool_outputs=OUTPUTS)
    assert (queued.status, queued.required_action, queued.expires_at) == ("queued", None, run.expires_at)
    ended = await done(client, run)
    assert ended.to_dict()["usage"] == {"prompt_tokens": 30, "completion_tokens": 5, "total_tokens": 35}
    assert ended.started_at == run.started_at
    step, said = await steps_of(client, run)
    assert [call.function.output for call in step.step_details.tool_calls] == ["1", "2"]  # type: ignore[union-attr]
    assert (step.status, step.to_dict()["usage"]["total_tokens"]) == ("completed", 14)  # type: ignore[index]
    assert said.to_dict()["usage"]["total_tokens"] == 21  # type: ignore[index]
    answered = [
        Called(call_id="call_1", name="price", arguments='{"of": "a"}', output="1"),
        Called(call_id="call_2", name="price", arguments='{"of": "b"}', output="2"),
    ]
    prompt = emulator_model.prompts[1]
    assert (list(prompt.events[1:]), prompt.turn_starts_at) == (answered, 0)
    await client.beta.threads.messages.create(run.thread_id, role="user", content="Sure?")
    await done(client, await client.beta.threads.runs.create(run.thread_id, assistant_id=run.assistant_id))
    assert list(emulator_model.prompts[2].events[1:3]) == answered


@pytest.mark.parametrize(
    "outputs",
    [[], OUTPUTS[:1], [*OUTPUTS, OUTPUTS[0]], [OUTPUTS[0], {"tool_call_id": "call_9", "output": "x"}]],
    ids=["none", "partial", "twice", "unknown"],
)
async def test_outputs_must_match_the_calls_exactly(
    client: AsyncOpenAI, emulator_model: ScriptedModel, outputs: Any
) -> None:
    emulator_model.moves = [TWO_CALLS]
    run = await status(client, await asked(client, tools=[FUNCTION]), "requires_action")
    submit = client.beta.threads.runs.submit_tool_outputs
    with pytest.raises(openai.BadRequestError, match="Expected tool outputs for call_ids"):
        await submit(run.id, thread_id=run.thread_id, tool_outputs=outputs)
    assert (await client.beta.threads.runs.retrieve(run.id, thread_id=run.thread_id)) == run
    await submit(run.id, thread_id=run.thread_id, tool_outputs=OUTPUTS)
    assert (await done(client, run)).status == "completed"
    with pytest.raises(openai.BadRequestError, match='Runs in status "completed" do not accept tool outputs'):
        await submit(run.id, thread_id=run.thread_id, tool_outputs=OUTPUTS)


async def test_functions_may_be_called_again_and_again(client: AsyncOpenAI, emulator_model: ScriptedModel) -> None:
    """Uses the SDK's helper; the second round repeats the call ids of the first, as some models do."""
    emulator_model.moves = [TWO_CALLS, TWO_CALLS, Say(text="Done.")]
    run = await status(client, await asked(client, tools=[FUNCTION]), "requires_action")
    for expected in ("requires_action", "completed"):
        run = await client.beta.threads.runs.submit_tool_outputs_and_poll(
            run_id=run.id, thread_id=run.thread_id, tool_outputs=OUTPUTS
        )
        assert run.status == expected
    assert len(emulator_model.prompts[2].events) == 5


async def test_one_call_at_a_time(client: AsyncOpenAI, emulator_model: ScriptedModel) -> None:
    emulator_model.moves = [TWO_CALLS, Say(text="Done.")]
    run = await asked(client, tools=[FUNCTION], parallel_tool_calls=False)
    run = await status(client, run, "requires_action")
    assert run.required_action is not None
    assert [call.id for call in run.required_action.submit_tool_outputs.tool_calls] == ["call_1"]
    await client.beta.threads.runs.submit_tool_outputs(run.id, thread_id=run.thread_id, tool_outputs=OUTPUTS[:1])
    assert (await done(client, run)).status == "completed"
