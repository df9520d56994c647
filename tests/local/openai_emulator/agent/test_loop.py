"""The agent loop alone, without an API."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from local.openai_emulator.agent.conversation import Cite, OutputFile, Prompt, Ran, Said, Searched, Toolbox
from local.openai_emulator.agent.loop import Progress, ToolFinished, ToolStarted, TurnEnded, grounded, run_turn
from local.openai_emulator.agent.model import ModelError, RunCode, Say, Search, Show, Usage
from local.openai_emulator.agent.tools import ToolBroken
from local.openai_emulator.search.passage import Passage
from tests.local.openai_emulator.client import ScriptedModel, counted

PASSAGE = Passage(file_id="f1", filename="a.txt", text="A passage.", score=0.9)
CHART = OutputFile(file_id="cfile_1", filename="chart.png", container_id="cntr_1", is_image=True)


class Tools:
    def __init__(self, *, broken: str | None = None) -> None:
        self.broken = broken

    async def search(self, queries: Sequence[str]) -> Searched:
        if self.broken:
            raise ToolBroken(self.broken)
        return Searched(queries=tuple(queries), passages=(PASSAGE,))

    async def run(self, code: str) -> Ran:
        if self.broken:
            raise ToolBroken(self.broken)
        return Ran(code=code, logs="ok\n")


def prompt(*, file_search: bool = True, code_interpreter: bool = True, max_output_tokens: int | None = None) -> Prompt:
    return Prompt(
        model="m",
        instructions="",
        events=(Said(role="user", text="Q?"),),
        turn_starts_at=0,
        tools=Toolbox(file_search=file_search, code_interpreter=code_interpreter),
        max_output_tokens=max_output_tokens,
    )


async def turn(
    model: ScriptedModel,
    given: Prompt | None = None,
    *,
    tools: Tools | None = None,
    max_steps: int = 20,
    max_tool_calls: int | None = None,
) -> list[Progress]:
    steps = run_turn(model, given or prompt(), tools or Tools(), max_steps=max_steps, max_tool_calls=max_tool_calls)
    return [progress async for progress in steps]


async def test_each_tool_call_is_reported_at_start_and_end() -> None:
    search, code = Search(queries=("q",)), RunCode(code="1")
    model = ScriptedModel(counted(search, 1, 2), counted(code, 10, 20), counted(Say(text="a"), 100, 200))
    assert await turn(model) == [
        ToolStarted(move=search, usage=Usage(input_tokens=1, output_tokens=2)),
        ToolFinished(event=Searched(queries=("q",), passages=(PASSAGE,))),
        ToolStarted(move=code, usage=Usage(input_tokens=11, output_tokens=22)),
        ToolFinished(event=Ran(code="1", logs="ok\n")),
        TurnEnded(move=Say(text="a"), usage=Usage(input_tokens=111, output_tokens=222)),
    ]
    assert [len(seen.events) for seen in model.prompts] == [1, 2, 3]
    assert {seen.turn_starts_at for seen in model.prompts} == {0}


async def test_a_model_that_never_answers_is_stopped() -> None:
    model = ScriptedModel(*[Search(queries=("q",))] * 9)
    with pytest.raises(ModelError, match="did not answer within 5 steps"):
        await turn(model, max_steps=5)
    assert len(model.prompts) == 5


async def test_a_tool_that_was_not_offered_is_never_run() -> None:
    model = ScriptedModel(RunCode(code="1"), Say(text="a"))
    (ended,) = await turn(model, prompt(code_interpreter=False))
    assert isinstance(ended, TurnEnded)


async def test_tool_calls_beyond_the_limit_are_ignored() -> None:
    model = ScriptedModel(Search(queries=("q",)), Search(queries=("r",)), Say(text="a"))
    progress = await turn(model, max_tool_calls=1)
    assert [type(one) for one in progress] == [ToolStarted, ToolFinished, TurnEnded]
    assert not model.prompts[1].tools.file_search
    assert not model.prompts[1].tools.code_interpreter


async def test_the_model_gets_the_error_of_a_failed_tool() -> None:
    model = ScriptedModel(RunCode(code="1"), Search(queries=("q",)), Say(text="a"))
    progress = await turn(model, tools=Tools(broken="no sandbox"))
    assert progress[1] == ToolFinished(event=Ran(code="1", logs="no sandbox", failed=True), broken=True)
    assert progress[3] == ToolFinished(event=Searched(queries=("q",), passages=()), broken=True)


async def test_the_output_limit_holds_for_all_steps_together() -> None:
    model = ScriptedModel(counted(RunCode(code="1"), 5, 6), counted(RunCode(code="2"), 5, 6))
    progress = await turn(model, prompt(max_output_tokens=10))
    assert model.prompts[1].max_output_tokens == 4
    assert progress[-1] == TurnEnded(move=None, usage=Usage(input_tokens=10, output_tokens=10), cut_off=True)


async def test_a_cut_answer_loses_the_citations_after_the_cut() -> None:
    text = "one two three four five six seven eight nine ten eleven twelve"
    said = Say(
        text=text,
        citations=(Cite(position=3, file_id="f1", filename=""), Cite(position=len(text), file_id="f1", filename="")),
    )
    model = ScriptedModel(Search(queries=("q",)), said)
    *_, ended = await turn(model, prompt(max_output_tokens=5))
    assert isinstance(ended, TurnEnded)
    assert isinstance(ended.move, Say)
    assert ended.cut_off
    assert ended.move.text == "one two three four"  # four tokens are left: one went into the query
    assert [cite.position for cite in ended.move.citations] == [3]


def test_an_answer_keeps_only_citations_of_returned_files() -> None:
    events = (
        Searched(queries=("q",), passages=(PASSAGE,)),
        Said(role="assistant", text="", citations=(Cite(position=0, file_id="f2", filename="b.txt"),)),
        Ran(code="", logs="", files=(CHART,)),
    )
    other = OutputFile(file_id="cfile_2", filename="chart.png", container_id="cntr_1", is_image=True)
    say = Say(
        text="chart.png",
        citations=tuple(Cite(position=99, file_id=id, filename="?") for id in ("f1", "f2", "f3")),
        shows=(Show(start=0, end=9, file=CHART), Show(start=0, end=9, file=other), Show(start=5, end=99, file=CHART)),
    )
    kept = grounded(say, events)
    assert kept.citations == (
        Cite(position=9, file_id="f1", filename="a.txt"),
        Cite(position=9, file_id="f2", filename="b.txt"),
    )
    assert kept.shows == (Show(start=0, end=9, file=CHART),)
