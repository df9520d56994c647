"""Runs that run code, in one emulator with the real sandbox; the last test also uses the builtin model over TCP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from openai import AsyncOpenAI
from starlette.applications import Starlette

from local.openai_emulator.agent.conversation import Prompt, Ran
from local.openai_emulator.agent.model import RunCode, Say, Show
from local.openai_emulator.sandbox import SandboxUnavailable
from local.openai_emulator.server import serve
from tests.local.openai_emulator.assistants.api import (
    CODE,
    DEPRECATED,
    SEARCH,
    answer_of,
    asked,
    assistant_with,
    checked_client,
    done,
    status,
    steps_of,
    text_of,
)
from tests.local.openai_emulator.client import Clock, ScriptedModel, running_app, until
from tests.local.openai_emulator.openapi import check_answer

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.filterwarnings(DEPRECATED)]

CHART = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.savefig('/mnt/data/chart.png')\nprint('drawn')"
TABLE = "open('/mnt/data/out.csv', 'w').write('x\\n1\\n')"
LISTING = RunCode(code="import os; print(sorted(os.listdir('/mnt/data')))")


@pytest.fixture(scope="module")
def module_model() -> ScriptedModel:
    return ScriptedModel()


@pytest.fixture(scope="module")
def emulator_clock() -> Clock:
    return Clock()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def emulator(module_model: ScriptedModel, emulator_clock: Clock) -> AsyncIterator[Starlette]:
    async with running_app(module_model, clock=emulator_clock) as app:
        yield app


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(emulator: Starlette) -> AsyncIterator[AsyncOpenAI]:
    async with checked_client(emulator) as client:
        yield client


@pytest.fixture
def emulator_model(module_model: ScriptedModel) -> Iterator[ScriptedModel]:
    module_model.moves.clear()
    module_model.prompts.clear()
    yield module_model


def outputs_of(step: Any) -> list[dict[str, Any]]:
    return [output.to_dict() for output in step.step_details.tool_calls[0].code_interpreter.outputs]


async def shows_files(prompt: Prompt) -> Say:
    """Names every file that the code created, as models do."""
    text, shows = "See ", []
    for file in [file for event in prompt.events if isinstance(event, Ran) for file in event.files]:
        name = f"sandbox:/mnt/data/{file.filename}"
        shows.append(Show(start=len(text), end=len(text) + len(name), file=file))
        text += f"{name} "
    return Say(text=text, shows=tuple(shows))


async def test_code_makes_files(client: AsyncOpenAI, emulator_model: ScriptedModel) -> None:
    emulator_model.moves = [RunCode(code=CHART), RunCode(code=TABLE), shows_files]
    run = await asked(client, tools=[CODE])
    assert (await done(client, run)).status == "completed"
    drawn, written, _ = await steps_of(client, run)
    logs, image = outputs_of(drawn)
    assert logs == {"type": "logs", "logs": "drawn\n"}
    chart_id = image["image"]["file_id"]
    assert drawn.step_details.tool_calls[0].code_interpreter.input == CHART  # type: ignore[union-attr]
    assert [output["type"] for output in outputs_of(written)] == ["logs"]  # a table is no image
    picture, text = (await answer_of(client, run)).content
    assert picture.to_dict() == {"type": "image_file", "image_file": {"file_id": chart_id}}
    assert text.type == "text"
    first, second = text.text.annotations
    assert (first.type, second.type) == ("file_path", "file_path")
    assert first.to_dict() | second.to_dict() == second.to_dict()  # of one shape
    assert (first.text, second.text) == ("sandbox:/mnt/data/chart.png", "sandbox:/mnt/data/out.csv")
    assert text.text.value[second.start_index : second.end_index] == second.text
    assert first.to_dict()["file_path"] == {"file_id": chart_id}
    table = await client.files.retrieve(second.file_path.file_id)  # type: ignore[union-attr]
    assert (table.purpose, table.filename, table.bytes) == ("assistants_output", "out.csv", 4)
    assert (await client.files.content(table.id)).read() == b"x\n1\n"
    assert (await client.files.content(chart_id)).read().startswith(b"\x89PNG")
    listed = [file.id async for file in client.files.list(purpose="assistants_output")]
    assert {chart_id, table.id} <= set(listed)


async def test_a_file_that_changes_is_a_new_file(client: AsyncOpenAI, emulator_model: ScriptedModel) -> None:
    """A message shows each image once, in its last version; an earlier message keeps its own version."""
    emulator_model.moves = [RunCode(code=CHART), RunCode(code=CHART.replace("2]", "3]")), Say(text="Ok.")]
    run = await asked(client, tools=[CODE])
    await done(client, run)
    one, two, _ = await steps_of(client, run)
    ids = [outputs_of(step)[1]["image"]["file_id"] for step in (one, two)]
    blocks = (await answer_of(client, run)).content
    assert [block.image_file.file_id for block in blocks if block.type == "image_file"] == [ids[1]]
    assert (await client.files.content(ids[0])).read() != (await client.files.content(ids[1])).read()


async def test_the_files_of_assistant_thread_and_message(client: AsyncOpenAI, emulator_model: ScriptedModel) -> None:
    """A thread has one container: files of one run exist in the next, and are deleted with the thread."""
    ids = [
        (await client.files.create(file=(f"{name}.csv", b"x\n1\n"), purpose="assistants")).id
        for name in ("assistant", "thread", "message", "late")
    ]
    resources: Any = [{"code_interpreter": {"file_ids": [id]}} for id in ids]
    assistant = await assistant_with(client, CODE, tool_resources=resources[0])
    attached: Any = [{"file_id": ids[2], "tools": [CODE]}]
    thread = await client.beta.threads.create(
        tool_resources=resources[1], messages=[{"role": "user", "content": "?", "attachments": attached}]
    )
    emulator_model.moves = [
        LISTING,
        RunCode(code="kept = 7; " + TABLE),
        Say(text="a"),
        LISTING,
        RunCode(code="print(kept)"),
        Say(text="b"),
    ]
    first = await done(client, await client.beta.threads.runs.create(thread.id, assistant_id=assistant.id))
    (logs,) = outputs_of((await steps_of(client, first))[0])
    assert logs["logs"] == "['assistant.csv', 'message.csv', 'thread.csv']\n"
    await client.files.delete(ids[1])
    late: Any = [{"file_id": ids[3], "tools": [CODE]}]
    await client.beta.threads.messages.create(thread.id, role="user", content="?", attachments=late)
    second = await done(client, await client.beta.threads.runs.create(thread.id, assistant_id=assistant.id))
    listing, kept, _ = await steps_of(client, second)
    assert outputs_of(listing)[0]["logs"] == "['assistant.csv', 'late.csv', 'message.csv', 'out.csv', 'thread.csv']\n"
    assert outputs_of(kept)[0]["logs"] == "7\n"
    names = {file.filename for file in emulator_model.prompts[3].tools.data_files}
    assert names == {"assistant.csv", "thread.csv", "message.csv", "out.csv", "late.csv"}
    before = [container.id async for container in client.containers.list()]
    await client.beta.threads.delete(thread.id)
    assert len([container.id async for container in client.containers.list()]) == len(before) - 1


async def test_a_deleted_file_does_not_stop_the_thread(client: AsyncOpenAI, emulator_model: ScriptedModel) -> None:
    file = await client.files.create(file=("a.csv", b"x\n1\n"), purpose="assistants")
    assistant = await assistant_with(client, CODE, tool_resources={"code_interpreter": {"file_ids": [file.id]}})
    await client.files.delete(file.id)
    emulator_model.moves = [LISTING]
    run = await client.beta.threads.create_and_run(assistant_id=assistant.id)
    assert (await done(client, run)).status == "completed"
    assert outputs_of((await steps_of(client, run))[0])[0]["logs"] == "[]\n"


async def test_a_container_that_expired_is_replaced(
    client: AsyncOpenAI, emulator_model: ScriptedModel, emulator_clock: Clock
) -> None:
    emulator_model.moves = [RunCode(code="kept = 7"), Say(text="a"), RunCode(code="print(kept)"), Say(text="b")]
    run = await done(client, await asked(client, tools=[CODE]))
    emulator_clock.now += 21 * 60
    again = await client.beta.threads.runs.create(run.thread_id, assistant_id=run.assistant_id)
    assert (await done(client, again)).status == "completed"
    (logs,) = outputs_of((await steps_of(client, again))[0])
    assert "NameError" in logs["logs"]


async def test_code_that_raises_is_a_completed_step(client: AsyncOpenAI, emulator_model: ScriptedModel) -> None:
    emulator_model.moves = [RunCode(code="1 / 0"), Say(text="Sorry.")]
    run = await asked(client, tools=[CODE])
    assert (await done(client, run)).status == "completed"
    step = (await steps_of(client, run))[0]
    assert (step.status, step.last_error) == ("completed", None)
    assert "ZeroDivisionError" in outputs_of(step)[0]["logs"]


async def test_without_a_sandbox_no_code_runs(
    client: AsyncOpenAI, emulator: Any, emulator_model: ScriptedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse() -> None:
        raise SandboxUnavailable("user namespaces are off")

    monkeypatch.setattr(emulator.state.emulator.containers, "_open_session", refuse)
    emulator_model.moves = [RunCode(code="print(1)"), Say(text="I cannot compute.")]
    run = await asked(client, tools=[CODE])
    assert (await done(client, run)).status == "completed"
    step = (await steps_of(client, run))[0]
    assert step.status == "failed"
    assert step.last_error is not None
    assert "user namespaces are off" in step.last_error.message


async def test_a_run_is_cancelled_while_its_code_runs(
    client: AsyncOpenAI, emulator: Any, emulator_model: ScriptedModel
) -> None:
    code = "import time\nopen('/mnt/data/begun', 'w').close()\ntime.sleep(60)"
    emulator_model.moves = [RunCode(code="1"), RunCode(code=code)]
    run = await asked(client, tools=[CODE])

    async def sleeping() -> bool:
        steps = await steps_of(client, run)
        return len(steps) == 2 and steps[1].status == "in_progress"

    await until(sleeping)
    assert (await client.beta.threads.runs.cancel(run.id, thread_id=run.thread_id)).status == "cancelling"
    ended = await status(client, run, "cancelled")
    assert ended.usage is not None
    first, second = await steps_of(client, run)
    assert (first.status, second.status, second.cancelled_at) == ("completed", "cancelled", ended.cancelled_at)
    container_id = emulator.state.emulator.store.get("thread", run.thread_id)["container_id"]
    assert container_id not in emulator.state.emulator.containers._sessions


async def test_everything_real() -> None:
    """The builtin model, over TCP: quotes an attached document, charts an attached table, computes a follow-up."""
    async with serve() as url, AsyncOpenAI(api_key="x", base_url=f"{url}/openai/v1/") as client:
        client._client.event_hooks["response"].append(check_answer)
        guide = await client.files.create(
            file=("guide.md", b"# Pumps\n\nPumps must be inspected every 14 days.\n"), purpose="assistants"
        )
        table = await client.files.create(
            file=("sales.csv", b"region,sales\nnorth,10\nsouth,25\neast,5\n"), purpose="assistants"
        )
        assistant = await assistant_with(client, CODE, SEARCH)
        thread = await client.beta.threads.create()

        async def ask(question: str, *attachments: Any) -> Any:
            given: Any = list(attachments)
            await client.beta.threads.messages.create(thread.id, role="user", content=question, attachments=given)
            run = await client.beta.threads.runs.create_and_poll(
                thread_id=thread.id, assistant_id=assistant.id, poll_interval_ms=50
            )
            assert run.status == "completed"
            assert "answered_by" in (run.metadata or {})
            return await answer_of(client, run)

        quoted = await ask("How often must pumps be inspected?", {"file_id": guide.id, "tools": [SEARCH]})
        (note,) = quoted.content[0].text.annotations
        assert text_of(quoted) == f"Pumps must be inspected every 14 days.{note.text}"
        assert note.file_citation.file_id == guide.id
        drawn = await ask("Draw a bar chart of sales by region.", {"file_id": table.id, "tools": [CODE]})
        image, text = drawn.content
        assert (await client.files.content(image.image_file.file_id)).read().startswith(b"\x89PNG")
        assert text.text.annotations[0].file_path.file_id == image.image_file.file_id
        follow_up = await ask("And which region is lowest?")
        assert "east" in text_of(follow_up)
