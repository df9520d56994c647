"""One suite for both engines: the same documents, questions and scripted model must give the same to the app.

Each case is played on one emulator over the unmodified SDK, once an engine, and says what both have to answer.
A real service is asked by `test_engine.py` with LIVE=1: it follows no script.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from local.openai_emulator.agent.conversation import Called, Cite, OutputFile, Prompt, Ran, Said, Searched
from local.openai_emulator.agent.model import CallFunctions, ModelError, RunCode, Say, Search, Show
from local.openai_emulator.server import serve
from shared.collections.attributes import Source
from shared.engines.assistants import AssistantsEngine
from shared.engines.base import Ask, Engine, Look
from shared.engines.client import open_client
from shared.engines.responses import ResponsesEngine
from shared.engines.vector_stores import OpenAIVectorStores
from shared.errors import ChainLost, ServiceBusy, ServiceError, ServiceMissing
from shared.runs.answers import citations_of, distinct
from tests.contract.test_engine import (
    GUIDE,
    WEATHER,
    Service,
    answering,
    ask_of,
    ended,
    error_body,
    indexed,
    settings_of,
)
from tests.local.openai_emulator.client import Clock, ScriptedModel, counted

pytestmark = pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # each call of the Assistants API

ENGINES: dict[str, type[ResponsesEngine] | type[AssistantsEngine]] = {
    "responses": ResponsesEngine,
    "assistants": AssistantsEngine,
}
PNG = (
    "import base64; open('/mnt/data/bar.png', 'wb').write(base64.b64decode('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAf"
    "FcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='))"
)
TABLE = "open('/mnt/data/out.csv', 'w').write('x\\n1\\n'); print('written')"


@dataclass
class Played(Service):
    script: ScriptedModel
    client: AsyncOpenAI
    clock: Clock

    async def run(self, ask: Ask) -> tuple[str, Look]:
        engine_run = await self.engine.start(ask)
        return engine_run, await ended(lambda: self.engine.look((engine_run,)))


@asynccontextmanager
async def playing(name: str) -> AsyncIterator[Played]:
    script, clock = ScriptedModel(), Clock()
    async with serve(model=script, clock=clock) as url, open_client(settings_of(f"{url}/openai/v1/")) as client:
        engine: Engine = ENGINES[name](client)
        yield Played(engine, OpenAIVectorStores(client), "gpt-test", script, client, clock)


@pytest.fixture(params=ENGINES)
async def played(request: pytest.FixtureRequest) -> AsyncIterator[Played]:
    async with playing(request.param) as service:
        yield service


async def answers_from_the_guide(prompt: Prompt) -> Say:
    [found] = [event for event in prompt.events if isinstance(event, Searched)]
    cite = {"file_id": found.passages[0].file_id, "filename": found.passages[0].filename}
    text = "Above 350 ms it warns 😀. Above 900 ms it is critical. Both hold."
    ends = (text.index(" It") if " It" in text else text.index(". Above") + 1, text.index(" Both"), text.index(" Both"))
    return Say(text=text, citations=tuple(Cite(position=end, **cite) for end in ends))


def made_in(prompt: Prompt) -> list[OutputFile]:
    return [file for event in prompt.events if isinstance(event, Ran) for file in event.files]


async def shows_all(prompt: Prompt) -> Say:
    text, shows = "See ", []
    for file in made_in(prompt):
        path = f"sandbox:/mnt/data/{file.filename}"
        shows.append(Show(start=len(text), end=len(text) + len(path), file=file))
        text += f"{path} and "
    return Say(text=text + "that is it.", shows=tuple(shows))


def calls(*names: str) -> CallFunctions:
    return CallFunctions(
        calls=tuple(Called(call_id=f"call_{name}", name="weather", arguments=f'{{"city": "{name}"}}') for name in names)
    )


# ---- answers -----------------------------------------------------------------------------------------------------


async def test_a_cited_answer(played: Played) -> None:
    store_id, file_id = await indexed(played.stores, "guide.md", GUIDE)
    played.script.moves = [
        counted(Search(queries=("warning limit",)), 10, 5),
        answers_from_the_guide,
    ]
    _, look = await played.run(ask_of(played, "Which limits?", stores=(store_id,)))
    output = look.output
    assert output is not None
    assert (look.status, look.failure) == ("completed", None)
    assert look.completed_at is not None
    text = "Above 350 ms it warns 😀. Above 900 ms it is critical. Both hold."
    assert output.text == text
    first, second = text.index(". Above") + 1, text.index(" Both")
    assert [(note.position, note.file_id, note.filename) for note in output.annotations] == [
        (first, file_id, "guide.md"),
        (second, file_id, "guide.md"),
        (second, file_id, "guide.md"),
    ]
    cited = citations_of(
        output.text, output.annotations, output.passages, {file_id: Source(path="docs/guide.md", etag="0x1")}
    )
    assert [citation.document for citation in cited] == ["docs/guide.md"] * 3
    assert [citation.quote for citation in cited] == [
        "The warning limit for response time is 350 ms.",
        "The critical limit is 900 ms.",
        "The critical limit is 900 ms.",
    ]
    assert [(p.file_id, p.filename, p.attributes["path"]) for p in output.passages] == [
        (file_id, "guide.md", "guide.md")
    ]
    assert [(a.type, a.status) for a in look.activity] == [("file_search", "completed"), ("message", "completed")]
    usage = output.usage
    assert usage.file_search_calls == 1
    assert (usage.code_interpreter_calls, usage.code_interpreter_sessions) == (0, 0)
    assert usage.input_tokens > 10
    assert usage.output_tokens > 5
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens


async def test_charts_and_files_each_once(played: Played) -> None:
    played.script.moves = [counted(RunCode(code=PNG), 7, 3), counted(RunCode(code=TABLE), 8, 2), shows_all]
    engine_run, look = await played.run(ask_of(played, "Draw."))
    output = look.output
    assert output is not None
    assert output.text == "See sandbox:/mnt/data/bar.png and sandbox:/mnt/data/out.csv and that is it."
    files = distinct(output.made)
    assert [file.filename for file in files] == ["bar.png", "out.csv"]
    assert [output.text[file.start : file.end] for file in files] == [
        "sandbox:/mnt/data/bar.png",
        "sandbox:/mnt/data/out.csv",
    ]
    picture, table = [await played.engine.download(file) for file in files]
    assert picture.startswith(b"\x89PNG\r\n")
    assert len(picture) == 70
    assert table == b"x\n1\n"
    assert (output.usage.code_interpreter_calls, output.usage.code_interpreter_sessions) == (2, 1)
    assert [(a.type, a.status) for a in look.activity] == [
        ("code_interpreter", "completed"),
        ("code_interpreter", "completed"),
        ("message", "completed"),
    ]
    await played.engine.forget((engine_run,))


async def test_a_chart_that_the_answer_does_not_name(played: Played) -> None:
    played.script.moves = [RunCode(code=PNG), Say(text="Done.")]
    _, look = await played.run(ask_of(played, "Draw."))
    assert look.output is not None
    [file] = distinct(look.output.made)
    assert (file.filename, file.start) == ("bar.png", None)
    assert (await played.engine.download(file)).startswith(b"\x89PNG\r\n")


async def test_the_tokens_of_every_step_count(played: Played) -> None:
    played.script.moves = [counted(RunCode(code="print(1)"), 100, 10), counted(Say(text="One."), 200, 20)]
    _, look = await played.run(ask_of(played, "Why?"))
    assert look.output is not None
    usage = look.output.usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (300, 30, 330)
    assert look.output.model == "gpt-test"


# ---- endings -----------------------------------------------------------------------------------------------------

FAILURES = [
    (ModelError("server_error", "It broke."), "server_error", True),
    (ModelError("rate_limit_exceeded", "Too many."), "rate_limit_exceeded", True),
    (ModelError("invalid_prompt", "Not that."), "invalid_prompt", False),
]


@pytest.mark.parametrize(("error", "code", "retryable"), FAILURES)
async def test_a_model_that_fails(played: Played, error: ModelError, code: str, retryable: bool) -> None:
    played.script.moves = [error]
    _, look = await played.run(ask_of(played, "Why?"))
    assert look.status == "failed"
    assert look.failure is not None
    assert (look.failure.code, look.failure.message, look.failure.retryable) == (code, error.message, retryable)
    assert look.output is not None
    assert look.output.text == ""


async def test_an_answer_that_is_cut_off_keeps_what_there_is(played: Played) -> None:
    played.script.moves = [Say(text="The first half", cut_off=True)]
    _, look = await played.run(replace(ask_of(played, "Why?"), max_output_tokens=500))
    assert look.status == "incomplete"
    assert look.failure is not None
    assert (look.failure.code, look.failure.retryable) == ("max_output_tokens", False)
    assert look.output is not None
    assert look.output.text == "The first half"
    assert played.script.prompts[0].max_output_tokens == 500


async def test_cancelled_while_it_runs_and_after_it_has_ended(played: Played) -> None:
    gate, begun = asyncio.Event(), asyncio.Event()

    async def waits(_: Prompt) -> Say:
        begun.set()
        await gate.wait()
        return Say(text="Too late.")

    played.script.moves = [waits]
    engine_run = await played.engine.start(ask_of(played, "Why?"))
    async with asyncio.timeout(20):
        await begun.wait()
    assert (await played.engine.look((engine_run,))).status == "in_progress"
    await played.engine.cancel(engine_run)
    look = await ended(lambda: played.engine.look((engine_run,)))
    gate.set()
    assert (look.status, look.failure) == ("cancelled", None)
    assert look.output is not None
    assert look.output.text == ""
    await played.engine.cancel(engine_run)
    assert (await played.engine.look((engine_run,))).status == "cancelled"

    engine_run, look = await played.run(ask_of(played, "And this?"))
    assert look.status == "completed"
    await played.engine.cancel(engine_run)
    assert (await played.engine.look((engine_run,))).status == "completed"


async def test_a_run_of_the_service_that_expires() -> None:
    """The Responses API knows no such ending."""
    async with playing("assistants") as played:
        played.script.moves = [calls("rome")]
        ask = replace(ask_of(played, "Weather?"), functions=(WEATHER,))
        engine_run, look = await played.run(ask)
        assert look.status == "requires_action"
        played.clock.now += 3600
        look = await played.engine.look((engine_run,))
        assert look.status == "failed"
        assert look.failure is not None
        assert (look.failure.code, look.failure.retryable) == ("expired", True)


# ---- functions ---------------------------------------------------------------------------------------------------


async def test_outputs_are_handed_in_round_by_round(played: Played) -> None:
    played.script.moves = [
        counted(calls("rome", "oslo"), 10, 5),
        counted(calls("bonn"), 20, 5),
        counted(Say(text="Fine."), 30, 5),
    ]
    ask = replace(ask_of(played, "Weather?"), functions=(WEATHER,))
    engine_runs = [await played.engine.start(ask)]
    for cities in (["rome", "oslo"], ["bonn"]):
        look = await ended(lambda: played.engine.look(engine_runs))
        assert look.status == "requires_action"
        assert [(call.name, call.arguments) for call in look.calls] == [
            ("weather", f'{{"city": "{city}"}}') for city in cities
        ]
        outputs = {call.call_id: f"Sun over {call.arguments}" for call in look.calls}
        after = await played.engine.answer_calls(engine_runs[-1], ask, outputs)
        if after != engine_runs[-1]:
            engine_runs.append(after)
    look = await ended(lambda: played.engine.look(engine_runs))
    assert (look.status, look.calls) == ("completed", ())
    assert look.output is not None
    assert look.output.text == "Fine."
    usage = look.output.usage
    assert (usage.input_tokens, usage.output_tokens) == (60, 15)
    told = [event.output for event in played.script.prompts[-1].events if isinstance(event, Called)]
    assert told == [f'Sun over {{"city": "{city}"}}' for city in ("rome", "oslo", "bonn")]


@pytest.mark.parametrize("then", [Say(text="Fine."), calls("bonn")])
async def test_outputs_handed_in_twice_after_a_crash(played: Played, then: Say | CallFunctions) -> None:
    played.script.moves = [calls("rome"), then, then]
    ask = replace(ask_of(played, "Weather?"), functions=(WEATHER,))
    engine_run, look = await played.run(ask)
    outputs = {call.call_id: "Sun" for call in look.calls}
    first = await played.engine.answer_calls(engine_run, ask, outputs)
    look = await ended(lambda: played.engine.look((engine_run, first)))
    again = await played.engine.answer_calls(engine_run, ask, outputs)
    twice = await ended(lambda: played.engine.look((engine_run, again)))
    assert twice.status == look.status == ("completed" if isinstance(then, Say) else "requires_action")
    assert [call.arguments for call in twice.calls] == [call.arguments for call in look.calls]


async def test_unknown_outputs_are_refused(played: Played) -> None:
    played.script.moves = [calls("rome")]
    ask = replace(ask_of(played, "Weather?"), functions=(WEATHER,))
    engine_run, look = await played.run(ask)
    outputs = {look.calls[0].call_id: "Sun", "call_unknown": "Rain"}
    with pytest.raises(ServiceError):
        await played.engine.answer_calls(engine_run, ask, outputs)


# ---- threads -----------------------------------------------------------------------------------------------------


def said_in(prompt: Prompt) -> list[tuple[str, str]]:
    return [(event.role, event.text) for event in prompt.events if isinstance(event, Said)]


async def test_a_follow_up_knows_what_was_said(played: Played) -> None:
    played.script.moves = [Say(text="One."), Say(text="Two.")]
    first, _ = await played.run(ask_of(played, "First?"))
    _, look = await played.run(ask_of(played, "Second?", previous=first))
    assert look.output is not None
    assert look.output.text == "Two."
    assert said_in(played.script.prompts[-1]) == [("user", "First?"), ("assistant", "One."), ("user", "Second?")]


async def test_a_lost_chain_is_told_in_words(played: Played) -> None:
    first, _ = await played.run(ask_of(played, "First?"))
    await played.engine.forget((first,))
    ask = ask_of(played, "Second?", previous=first)
    with pytest.raises(ChainLost):
        await played.engine.start(ask)
    said = (("user", "First?"), ("assistant", "One."))
    engine_run, look = await played.run(replace(ask, previous=None, history=said))
    assert look.status == "completed"
    assert said_in(played.script.prompts[-1]) == [*said, ("user", "Second?")]
    await played.engine.forget((engine_run,))
    with pytest.raises(ServiceMissing):
        await played.engine.look((engine_run,))


async def test_what_is_forgotten_leaves_nothing(played: Played) -> None:
    played.script.moves = [RunCode(code=PNG), RunCode(code=TABLE), shows_all, Say(text="Two.")]
    first, look = await played.run(ask_of(played, "Draw."))
    assert look.output is not None
    second, _ = await played.run(ask_of(played, "And?", previous=first))
    await played.engine.forget((first, second))
    await played.engine.forget((first, second))
    for engine_run in (first, second):
        with pytest.raises(ServiceMissing):
            await played.engine.look((engine_run,))
    assert [file.id async for file in played.client.files.list()] == []
    if "/" in first:
        with pytest.raises(openai.NotFoundError):
            await played.client.beta.threads.retrieve(first.partition("/")[0])


async def test_of_a_thread_one_run_can_be_forgotten(played: Played) -> None:
    played.script.moves = [Say(text="One."), Say(text="Two.")]
    first, _ = await played.run(ask_of(played, "First?"))
    second, _ = await played.run(ask_of(played, "Second?", previous=first))
    await played.engine.forget((first,))
    look = await played.engine.look((second,))
    assert look.output is not None
    assert look.output.text == "Two."


@pytest.mark.parametrize("engine_run", ["resp_" + "0" * 48, "thread_unknown/run_unknown", "thread_unknown/"])
async def test_what_is_unknown_or_of_the_other_engine_is_missing(played: Played, engine_run: str) -> None:
    if played.engine.name == "responses" and "/" in engine_run:
        pytest.skip("The app sends no run to an engine that did not make it.")
    with pytest.raises(ServiceMissing):
        await played.engine.look((engine_run,))
    with pytest.raises(ServiceMissing):
        await played.engine.cancel(engine_run)
    with pytest.raises(ChainLost):
        await played.engine.start(ask_of(played, "And?", previous=engine_run))
    await played.engine.forget((engine_run,))


# ---- the Assistants engine alone ---------------------------------------------------------------------------------


async def test_a_start_repeated_after_a_crash_makes_no_second_run() -> None:
    async with playing("assistants") as played:
        first, _ = await played.run(ask_of(played, "First?"))
        thread_id = first.partition("/")[0]
        ask = ask_of(played, "Second?", previous=first)
        # It died between the message and the run.
        await played.client.beta.threads.messages.create(
            thread_id, role="user", content=ask.question, metadata={"run_id": ask.run_id}
        )
        second, _ = await played.run(ask)
        assert await played.engine.start(ask) == second  # it died before it could say so
        assert len([run async for run in played.client.beta.threads.runs.list(thread_id)]) == 2
        texts = [text for role, text in said_in(played.script.prompts[-1]) if role == "user"]
        assert texts == ["First?", "Second?"]


async def test_a_thread_whose_run_still_waits_is_freed() -> None:
    """Its own run of ours has expired meanwhile: the service's is in the way."""
    async with playing("assistants") as played:
        played.script.moves = [calls("rome"), Say(text="Two.")]
        first, look = await played.run(replace(ask_of(played, "Weather?"), functions=(WEATHER,)))
        assert look.status == "requires_action"
        ask = ask_of(played, "Second?", previous=first)
        with pytest.raises(ServiceBusy):
            await played.engine.start(ask)
        async with asyncio.timeout(20):
            while True:
                try:
                    second = await played.engine.start(ask)
                    break
                except ServiceBusy:
                    await asyncio.sleep(0.05)
        assert (await ended(lambda: played.engine.look((second,)))).status == "completed"


async def test_an_assistant_that_was_deleted_is_made_again() -> None:
    async with playing("assistants") as played:
        first, _ = await played.run(ask_of(played, "First?"))
        async for assistant in played.client.beta.assistants.list():
            await played.client.beta.assistants.delete(assistant.id)
        _, look = await played.run(ask_of(played, "Second?"))
        assert look.status == "completed"
        async for assistant in played.client.beta.assistants.list():
            await played.client.beta.assistants.delete(assistant.id)
        _, look = await played.run(ask_of(played, "Third?", previous=first))
        assert look.status == "completed"


async def test_restarts_share_one_assistant() -> None:
    async with playing("assistants") as played:
        await played.run(ask_of(played, "First?"))
        played.engine = AssistantsEngine(played.client)
        await played.run(ask_of(played, "Second?"))
        assert len([assistant async for assistant in played.client.beta.assistants.list()]) == 1


@pytest.mark.parametrize("status", [404, 410])
@pytest.mark.parametrize("previous", [None, "thread_1/run_1"])
async def test_a_service_without_the_api_names_the_setting(status: int, previous: str | None) -> None:
    async def answer(_: Request) -> Response:
        body: dict[str, Any] = error_body("not_found", "The Assistants API has been retired.")
        return JSONResponse(body, status)

    async with answering(answer) as url, open_client(settings_of(url)) as client:
        engine = AssistantsEngine(client)
        service = Service(engine, OpenAIVectorStores(client), "gpt-test")
        with pytest.raises(ServiceError, match="ENGINE=responses") as caught:
            await engine.start(ask_of(service, "Why?", previous=previous))
    assert type(caught.value) is ServiceError
    assert caught.value.code == "assistants_api_retired"
