"""Responses that run code, in one emulator with the real sandbox."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from openai import AsyncOpenAI
from starlette.applications import Starlette

from local.openai_emulator.agent.conversation import OutputFile, Prompt, Ran
from local.openai_emulator.agent.model import RunCode, Say, Show
from local.openai_emulator.sandbox import SandboxUnavailable
from tests.local.openai_emulator.client import Clock, ScriptedModel, client_of, create, running_app, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHART = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.savefig('/mnt/data/chart.png')\nprint('drawn')"
CODE: Any = {"type": "code_interpreter", "container": {"type": "auto"}}
EVERYTHING: Any = ["file_search_call.results", "code_interpreter_call.outputs"]


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
async def openai_client(emulator: Starlette) -> AsyncIterator[AsyncOpenAI]:
    async with client_of(emulator) as client:
        yield client


@pytest.fixture
def emulator_model(module_model: ScriptedModel) -> Iterator[ScriptedModel]:
    module_model.moves.clear()
    module_model.prompts.clear()
    yield module_model


async def shows_chart(prompt: Prompt) -> Say:
    (file,) = [file for event in prompt.events if isinstance(event, Ran) for file in event.files]
    invented = OutputFile(file_id="cfile_none", filename="x", container_id="cntr_none", is_image=True)
    return Say(text="See chart.png.", shows=(Show(start=4, end=13, file=file), Show(start=0, end=3, file=invented)))


async def test_code_makes_a_chart(openai_client: AsyncOpenAI, emulator_model: ScriptedModel) -> None:
    emulator_model.moves = [RunCode(code=CHART), shows_chart, RunCode(code="print(plt.__name__)"), Say(text="Ok.")]
    uploaded = await openai_client.files.create(file=("d.csv", b"x\n1\n"), purpose="assistants")
    tool = {**CODE, "container": {"type": "auto", "file_ids": [uploaded.id]}}
    response: Any = await create(openai_client, tools=[tool], include=EVERYTHING)
    call, message = response.output
    assert (call.status, call.code) == ("completed", CHART)
    logs, image = call.outputs
    assert logs.logs == "drawn\n"
    assert base64.b64decode(image.url.removeprefix("data:image/png;base64,")).startswith(b"\x89PNG")
    (note,) = message.content[0].annotations
    assert (note.type, note.start_index, note.end_index, note.filename) == (
        "container_file_citation",
        4,
        13,
        "chart.png",
    )
    chart = await openai_client.containers.files.content.retrieve(note.file_id, container_id=note.container_id)
    assert chart.read().startswith(b"\x89PNG")
    listed = [file async for file in openai_client.containers.files.list(note.container_id)]
    assert {(file.path, file.source) for file in listed} == {
        ("/mnt/data/d.csv", "user"),
        ("/mnt/data/chart.png", "assistant"),
    }
    # the next turn goes on in the same container: what was imported is there still
    other = await openai_client.files.create(file=("d.csv", b"x\n2\n"), purpose="assistants")
    tool = {**CODE, "container": {"type": "auto", "file_ids": [uploaded.id, other.id]}}
    second: Any = await create(openai_client, tools=[tool], previous_response_id=response.id, include=EVERYTHING)
    assert second.output[0].container_id == note.container_id
    assert second.output[0].outputs[0].logs == "matplotlib.pyplot\n"
    names = [file.filename for file in emulator_model.prompts[2].tools.data_files]
    assert names == ["d.csv", "chart.png", "d-1.csv"]


async def test_the_model_gets_the_traceback_of_failed_code(
    openai_client: AsyncOpenAI, emulator_model: ScriptedModel
) -> None:
    emulator_model.moves = [RunCode(code="1 / 0"), Say(text="Sorry.")]
    container = await openai_client.containers.create(name="own")
    tool = {**CODE, "container": container.id}
    response: Any = await create(openai_client, tools=[tool], include=EVERYTHING)
    assert response.output[0].container_id == container.id
    assert response.output[0].status == "completed"
    assert "ZeroDivisionError" in response.output[0].outputs[0].logs
    ran = emulator_model.prompts[1].events[-1]
    assert isinstance(ran, Ran)
    assert ran.failed


async def test_a_killed_session_comes_back_with_its_files(
    openai_client: AsyncOpenAI, emulator_model: ScriptedModel
) -> None:
    emulator_model.moves = [
        RunCode(code="open('/mnt/data/a.txt', 'w').write('kept')"),
        RunCode(code="import os; os._exit(3)"),
        RunCode(code="print(open('/mnt/data/a.txt').read())"),
    ]
    response: Any = await create(openai_client, tools=[CODE], include=EVERYTHING)
    assert [item.status for item in response.output] == ["completed", "failed", "completed", "completed"]
    assert response.output[2].outputs[0].logs.endswith("are there.]\nkept\n")  # and told that its variables are gone


async def test_without_a_sandbox_no_code_runs(
    openai_client: AsyncOpenAI, emulator: Any, emulator_model: ScriptedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse() -> None:
        raise SandboxUnavailable("user namespaces are off")

    monkeypatch.setattr(emulator.state.emulator.containers, "_open_session", refuse)
    emulator_model.moves = [RunCode(code="print(1)"), Say(text="I cannot compute.")]
    response: Any = await create(openai_client, tools=[CODE], include=EVERYTHING)
    assert (response.status, response.output[0].status) == ("completed", "failed")
    assert "user namespaces are off" in response.output[0].outputs[0].logs
    ran = emulator_model.prompts[1].events[-1]
    assert isinstance(ran, Ran)
    assert ran.failed


async def test_steps_are_seen_while_they_are_done(openai_client: AsyncOpenAI, emulator_model: ScriptedModel) -> None:
    emulator_model.moves = [RunCode(code="import time\ntime.sleep(60)")]
    response = await create(openai_client, tools=[CODE], background=True)

    async def running() -> Any:
        now = await openai_client.responses.retrieve(response.id)
        return now.output and now

    now: Any = await until(running)
    assert (now.status, now.output[0].status, now.output[0].code) == (
        "in_progress",
        "interpreting",
        "import time\ntime.sleep(60)",
    )
    cancelled: Any = await openai_client.responses.cancel(response.id)
    assert (cancelled.status, cancelled.output[0].status) == ("cancelled", "incomplete")
    assert await openai_client.responses.cancel(response.id) == cancelled
    assert (await openai_client.responses.retrieve(response.id)).status == "cancelled"


async def test_a_container_of_an_earlier_turn_that_expired_is_replaced(
    openai_client: AsyncOpenAI, emulator: Any, emulator_model: ScriptedModel, emulator_clock: Clock
) -> None:
    emulator_model.moves = [RunCode(code="1"), Say(text="a"), RunCode(code="2"), Say(text="b")]
    first: Any = await create(openai_client, tools=[CODE])
    emulator_clock.now += 21 * 60
    second: Any = await create(openai_client, tools=[CODE], previous_response_id=first.id)
    assert first.output[0].container_id != second.output[0].container_id
    await emulator.state.emulator.sweep()
    expired = await openai_client.containers.retrieve(first.output[0].container_id)
    assert expired.status == "expired"
    assert first.output[0].container_id not in emulator.state.emulator.containers._sessions
    assert second.output[0].container_id in emulator.state.emulator.containers._sessions


async def test_files_with_impossible_names_stay_inside(
    openai_client: AsyncOpenAI, emulator_model: ScriptedModel
) -> None:
    names = [b"a\xff.png", b"b\nc.png", b"ok.txt"]
    code = f"for name in {names}:\n    open(b'/mnt/data/' + name, 'w').write('x')"
    emulator_model.moves = [RunCode(code=code), Say(text="Ok.")]
    response: Any = await create(openai_client, tools=[CODE])
    assert response.output[0].status == "completed"
    listed = [file.path async for file in openai_client.containers.files.list(response.output[0].container_id)]
    assert listed == ["/mnt/data/ok.txt"]


async def test_files_come_and_go_while_the_session_lives(
    openai_client: AsyncOpenAI, emulator_model: ScriptedModel
) -> None:
    container = await openai_client.containers.create(name="c")
    tool = {**CODE, "container": container.id}
    listing = RunCode(code="import os; print(sorted(os.listdir('/mnt/data')))")
    emulator_model.moves = [listing, Say(text="1"), listing, Say(text="2"), listing, Say(text="3")]

    async def listed() -> str:
        response: Any = await create(openai_client, tools=[tool], include=EVERYTHING)
        text: str = response.output[0].outputs[0].logs
        return text

    assert await listed() == "[]\n"
    file = await openai_client.containers.files.create(container.id, file=("a.txt", b"x"))
    assert await listed() == "['a.txt']\n"
    await openai_client.containers.files.delete(file.id, container_id=container.id)
    assert await listed() == "[]\n"
