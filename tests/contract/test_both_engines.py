"""Both engines must give the app the same results for the same documents, questions and scripted model.

Each test runs once per engine, through the unmodified SDK on the emulator. A real service does not follow a script:
`test_engine.py` tests it with LIVE=1.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import openai
import pytest
from openai import AsyncOpenAI

from local.openai_emulator.agent.conversation import Called, Cite, OutputFile, Prompt, Ran, Said, Searched
from local.openai_emulator.agent.model import CallFunctions, ModelError, RunCode, Say, Search, Show
from local.openai_emulator.server import serve
from shared.collections.attributes import Source
from shared.engines.assistants import AssistantsEngine
from shared.engines.base import Ask, Engine, Look
from shared.engines.client import open_client
from shared.engines.responses import ResponsesEngine
from shared.engines.vector_stores import OpenAIVectorStores
from shared.errors import ChainLost, ServiceError, ServiceMissing
from shared.runs.answers import distinct
from shared.runs.citations import citations_of
from tests.contract.service import (
    GUIDE,
    WEATHER,
    Service,
    ask_of,
    ended,
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
    documents = {file_id: Source(path="docs/guide.md", etag="0x1")}
    cited = [citation for citation, _ in citations_of(output.text, output.annotations, output.passages, documents)]
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


async def test_each_chart_and_file_is_returned_once(played: Played) -> None:
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


async def test_an_answer_that_is_cut_off_keeps_its_text(played: Played) -> None:
    played.script.moves = [Say(text="The first half", cut_off=True)]
    _, look = await played.run(replace(ask_of(played, "Why?"), max_output_tokens=500))
    assert look.status == "incomplete"
    assert look.failure is not None
    assert (look.failure.code, look.failure.retryable) == ("max_output_tokens", False)
    assert look.output is not None
    assert look.output.text == "The first half"
    assert played.script.prompts[0].max_output_tokens == 500


async def test_cancel_a_running_run_and_an_ended_run(played: Played) -> None:
    gate, begun = asyncio.Event(), asyncio.Event()

    async def waits(_: Prompt) -> Say:
        begun.set()
        await gate.wait()
        return Say(text="Too late.")

    played.script.moves = [waits]
    engine_run = await played.engine.start(ask_of(played, "Why?"))
    async with asyncio.timeout(180):
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


# ---- functions ---------------------------------------------------------------------------------------------------


async def test_outputs_are_submitted_in_each_round(played: Played) -> None:
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
async def test_outputs_submitted_twice_after_a_crash(played: Played, then: Say | CallFunctions) -> None:
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


async def test_unknown_outputs_are_rejected(played: Played) -> None:
    played.script.moves = [calls("rome")]
    ask = replace(ask_of(played, "Weather?"), functions=(WEATHER,))
    engine_run, look = await played.run(ask)
    outputs = {look.calls[0].call_id: "Sun", "call_unknown": "Rain"}
    with pytest.raises(ServiceError):
        await played.engine.answer_calls(engine_run, ask, outputs)


# ---- threads -----------------------------------------------------------------------------------------------------


def said_in(prompt: Prompt) -> list[tuple[str, str]]:
    return [(event.role, event.text) for event in prompt.events if isinstance(event, Said)]


async def test_a_follow_up_has_the_messages_of_the_thread(played: Played) -> None:
    played.script.moves = [Say(text="One."), Say(text="Two.")]
    first, _ = await played.run(ask_of(played, "First?"))
    _, look = await played.run(ask_of(played, "Second?", previous=first))
    assert look.output is not None
    assert look.output.text == "Two."
    assert said_in(played.script.prompts[-1]) == [("user", "First?"), ("assistant", "One."), ("user", "Second?")]


async def test_the_history_replaces_a_lost_chain(played: Played) -> None:
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


async def test_forget_deletes_runs_files_and_thread(played: Played) -> None:
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


async def test_one_run_of_a_thread_can_be_forgotten(played: Played) -> None:
    played.script.moves = [Say(text="One."), Say(text="Two.")]
    first, _ = await played.run(ask_of(played, "First?"))
    second, _ = await played.run(ask_of(played, "Second?", previous=first))
    await played.engine.forget((first,))
    look = await played.engine.look((second,))
    assert look.output is not None
    assert look.output.text == "Two."


@pytest.mark.parametrize("engine_run", ["resp_" + "0" * 48, "thread_unknown/run_unknown", "thread_unknown/"])
async def test_unknown_runs_and_runs_of_the_other_engine_are_missing(played: Played, engine_run: str) -> None:
    if played.engine.name == "responses" and "/" in engine_run:
        pytest.skip("The app sends no run to an engine that did not make it.")
    with pytest.raises(ServiceMissing):
        await played.engine.look((engine_run,))
    with pytest.raises(ServiceMissing):
        await played.engine.cancel(engine_run)
    with pytest.raises(ChainLost):
        await played.engine.start(ask_of(played, "And?", previous=engine_run))
    await played.engine.forget((engine_run,))
