"""The steps of a run: what was searched, which code ran. They are kept with the run, so they are bounded."""

from __future__ import annotations

from openai.types.responses import Response

from shared.engines.base import (
    CODE_MAX_CHARS,
    PRINTED_MAX_CHARS,
    QUERIES_MAX,
    QUERY_MAX_CHARS,
    STEPS_MAX,
    Look,
    Output,
    bounded,
)
from shared.engines.responses import look_of
from shared.models.runs import Activity
from shared.runs.runs import Question
from tests.unit.world import World

SEARCH = {
    "type": "file_search_call",
    "id": "fs_1",
    "status": "completed",
    "queries": ["door code", "4711"],
    "results": None,
}
CODE = {
    "type": "code_interpreter_call",
    "id": "ci_1",
    "status": "in_progress",
    "code": "print(1)",
    "container_id": "c",
    "outputs": [
        {"type": "logs", "logs": "1"},
        {"type": "image", "url": "https://x/y.png"},
        {"type": "logs", "logs": "2"},
    ],
}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "weather", "arguments": "{}"}


def response(*output: object) -> Response:
    return Response.model_validate(
        {
            "id": "resp_1",
            "object": "response",
            "created_at": 0,
            "model": "m",
            "status": "in_progress",
            "output": list(output),
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
        }
    )


def test_a_step_says_what_was_searched_and_which_code_runs() -> None:
    assert look_of(response(SEARCH, CODE, CALL)).activity == (
        Activity(type="file_search", status="completed", queries=("door code", "4711")),
        Activity(type="code_interpreter", status="in_progress", code="print(1)", output="1\n2"),
        Activity(type="function", status="completed", name="weather"),
    )


def test_steps_are_bounded() -> None:
    endless = "x" * 1_000_000
    step = Activity(type="t", status="s", queries=(endless,) * 99, name=endless, code=endless, output=endless)
    steps = bounded([Activity(type="first", status="s"), *[step] * 500])
    assert len(steps) == STEPS_MAX
    assert {each.type for each in steps} == {"t"}
    assert (len(steps[0].queries), len(steps[0].queries[0])) == (QUERIES_MAX, QUERY_MAX_CHARS)
    assert (len(steps[0].code or ""), len(steps[0].output or "")) == (CODE_MAX_CHARS, PRINTED_MAX_CHARS)
    assert (steps[0].code or "").endswith("…")


async def test_the_answer_has_the_steps(world: World) -> None:
    """Also after the engine has forgotten the run."""
    await world.drop("a.md")
    steps = (Activity(type="code_interpreter", status="completed", code="print(1)", output="1"),)
    run = await world.runs.start(Question(question="What?"))
    await world.poller._ending.finish(
        await world.poller._records.find(run.id),
        "completed",
        Look(status="completed", activity=steps, output=Output(text="So.")),
        None,
    )
    assert (await world.app.publisher.read(run.id)).steps == steps
