"""How runs end: cancelled, expired, failed, incomplete, or after a restart; and several runs at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from local.openai_emulator.agent.model import ModelError, Say, Search
from tests.local.openai_emulator.assistants.api import (
    DEPRECATED,
    FUNCTION,
    OUTPUTS,
    SEARCH,
    TWO_CALLS,
    Gate,
    answer_of,
    asked,
    checked_client,
    done,
    status,
    steps_of,
    text_of,
)
from tests.local.openai_emulator.client import Clock, ScriptedModel, counted, running_app, until

pytestmark = pytest.mark.filterwarnings(DEPRECATED)


# ---- one at a time -----------------------------------------------------------------------------------------


async def test_a_thread_has_one_active_run(client: AsyncOpenAI, emulator_model: ScriptedModel) -> None:
    emulator_model.moves = [TWO_CALLS]
    run = await status(client, await asked(client, tools=[FUNCTION]), "requires_action")
    more: Any = [{"role": "user", "content": "B?"}]
    with pytest.raises(openai.BadRequestError, match=f"Thread {run.thread_id} already has an active run {run.id}."):
        await client.beta.threads.runs.create(run.thread_id, assistant_id=run.assistant_id, additional_messages=more)
    with pytest.raises(openai.BadRequestError, match=f"Can't add messages to {run.thread_id} while a run {run.id}"):
        await client.beta.threads.messages.create(run.thread_id, role="user", content="B?")
    assert len((await client.beta.threads.messages.list(run.thread_id)).data) == 1
    await client.beta.threads.runs.cancel(run.id, thread_id=run.thread_id)
    await status(client, run, "cancelled")
    await client.beta.threads.messages.create(run.thread_id, role="user", content="B?")


# ---- ends --------------------------------------------------------------------------------------------------


async def test_a_run_is_cancelled_while_the_model_thinks(
    client: AsyncOpenAI, emulator_model: ScriptedModel, emulator_clock: Clock
) -> None:
    emulator_model.moves = [Gate(), Say(text="B.")]
    run = await status(client, await asked(client, "A?"), "in_progress")
    cancelling = await client.beta.threads.runs.cancel(run.id, thread_id=run.thread_id)
    assert (cancelling.status, cancelling.cancelled_at) == ("cancelling", None)
    ended = await done(client, run)
    assert (ended.status, ended.cancelled_at) == ("cancelled", int(emulator_clock.now))
    with pytest.raises(openai.BadRequestError, match="Cannot cancel run with status 'cancelled'"):
        await client.beta.threads.runs.cancel(run.id, thread_id=run.thread_id)
    await client.beta.threads.messages.create(run.thread_id, role="user", content="B?")
    await done(client, await client.beta.threads.runs.create(run.thread_id, assistant_id=run.assistant_id))
    assert emulator_model.prompts[1].turn_starts_at == 1  # what was cancelled is not asked again


async def test_a_run_that_waits_is_cancelled(client: AsyncOpenAI, emulator_model: ScriptedModel) -> None:
    emulator_model.moves = [TWO_CALLS]
    run = await status(client, await asked(client, tools=[FUNCTION]), "requires_action")
    await client.beta.threads.runs.cancel(run.id, thread_id=run.thread_id)
    ended = await done(client, run)
    assert (ended.status, ended.required_action) == ("cancelled", None)
    (step,) = await steps_of(client, run)
    assert (step.status, step.cancelled_at) == ("cancelled", ended.cancelled_at)
    with pytest.raises(openai.BadRequestError, match='Runs in status "cancelled"'):
        await client.beta.threads.runs.submit_tool_outputs(run.id, thread_id=run.thread_id, tool_outputs=OUTPUTS)


@pytest.mark.parametrize("waits", [True, False], ids=["for outputs", "for the model"])
async def test_a_run_expires(
    client: AsyncOpenAI, emulator_model: ScriptedModel, emulator_clock: Clock, waits: bool
) -> None:
    emulator_model.moves = [TWO_CALLS if waits else Gate()]
    run = await asked(client, tools=[FUNCTION])
    await status(client, run, "requires_action" if waits else "in_progress")
    emulator_clock.now += 600
    with pytest.raises(openai.BadRequestError, match='Runs in status "expired" do not accept tool outputs'):
        await client.beta.threads.runs.submit_tool_outputs(run.id, thread_id=run.thread_id, tool_outputs=OUTPUTS)
    ended = await done(client, run)
    assert (ended.status, ended.required_action) == ("expired", None)
    assert [step.status for step in await steps_of(client, run)] == (["expired"] if waits else [])
    await client.beta.threads.messages.create(run.thread_id, role="user", content="B?")


async def test_the_sweep_expires_runs_too(
    client: AsyncOpenAI, emulator: Any, emulator_model: ScriptedModel, emulator_clock: Clock
) -> None:
    emulator_model.moves = [Gate()]
    run = await status(client, await asked(client), "in_progress")
    emulator_clock.now += 600
    await emulator.state.emulator.sweep()
    assert emulator.state.emulator.store.get("run", run.id, parent=run.thread_id)["status"] == "expired"


async def test_a_model_that_fails(client: AsyncOpenAI, emulator_model: ScriptedModel, emulator_clock: Clock) -> None:
    emulator_model.moves = [ModelError("rate_limit_exceeded", "Slow down."), ModelError("odd", "What?")]
    ended = await done(client, await asked(client))
    assert (ended.status, ended.failed_at) == ("failed", int(emulator_clock.now))
    assert ended.last_error is not None
    assert ended.last_error.to_dict() == {"code": "rate_limit_exceeded", "message": "Slow down."}
    odd = await done(client, await asked(client))
    assert odd.last_error is not None
    assert odd.last_error.code == "server_error"


async def test_an_answer_that_is_cut_off(client: AsyncOpenAI, emulator_model: ScriptedModel) -> None:
    emulator_model.moves = [counted(Say(text="word " * 300), 5, 300)]
    ended = await done(client, await asked(client, max_completion_tokens=256))
    assert ended.status == "incomplete"
    assert ended.to_dict()["incomplete_details"] == {"reason": "max_completion_tokens"}
    assert ended.usage is not None
    assert ended.usage.completion_tokens == 256
    message = await answer_of(client, ended)
    assert message.to_dict()["incomplete_details"] == {"reason": "max_tokens"}
    assert (message.status, message.completed_at, message.incomplete_at) == ("incomplete", None, message.created_at)
    assert text_of(message).count("word") < 300


async def test_a_run_beyond_max_prompt_tokens_is_incomplete(client: AsyncOpenAI, emulator_model: ScriptedModel) -> None:
    store = await client.vector_stores.create()
    resources: Any = {"file_search": {"vector_store_ids": [store.id]}}
    emulator_model.moves = [counted(Search(queries=("a",)), 200, 1), counted(Search(queries=("b",)), 200, 1)]
    run = await asked(client, tools=[SEARCH], max_prompt_tokens=256, tool_resources=resources)
    ended = await done(client, run)
    assert (ended.status, ended.to_dict()["incomplete_details"]) == ("incomplete", {"reason": "max_prompt_tokens"})
    assert [step.status for step in await steps_of(client, run)] == ["completed"]
    assert ended.usage is not None
    assert ended.usage.prompt_tokens == 400


async def test_a_thread_is_deleted_while_it_runs(
    client: AsyncOpenAI, emulator: Any, emulator_model: ScriptedModel
) -> None:
    emulator_model.moves = [Gate()]
    run = await status(client, await asked(client), "in_progress")
    await client.beta.threads.delete(run.thread_id)
    store = emulator.state.emulator.store
    assert [store.all(kind) for kind in ("thread", "message", "run", "run_step")] == [[], [], [], []]


async def test_after_a_restart(tmp_path: Path) -> None:
    """A running run has failed, a cancelling one is cancelled, one in `requires_action` keeps waiting."""
    model = ScriptedModel(TWO_CALLS, Gate())
    async with running_app(model, data=tmp_path) as app, checked_client(app) as client:
        waits = await status(client, await asked(client, tools=[FUNCTION]), "requires_action")
        works = await status(client, await asked(client), "in_progress")
        model.moves = [Gate()]
        stops = await status(client, await asked(client), "in_progress")
        app.state.emulator.assistants_api.runs.records.change(stops, status="cancelling")
    async with running_app(ScriptedModel(), data=tmp_path) as app, checked_client(app) as client:
        failed = await done(client, works)
        assert failed.last_error is not None
        assert (failed.status, failed.last_error.code) == ("failed", "server_error")
        assert (await done(client, stops)).status == "cancelled"
        await client.beta.threads.runs.submit_tool_outputs(waits.id, thread_id=waits.thread_id, tool_outputs=OUTPUTS)
        assert text_of(await answer_of(client, await done(client, waits))) == "That is all."


async def test_many_runs_at_once(client: AsyncOpenAI, emulator_model: ScriptedModel) -> None:
    gates = [Gate() for _ in range(9)]
    emulator_model.moves = list(gates)
    runs = [await asked(client, str(number)) for number in range(9)]

    async def eight_work() -> bool:
        return len(emulator_model.prompts) == 8

    await until(eight_work)
    assert (await client.beta.threads.runs.retrieve(runs[8].id, thread_id=runs[8].thread_id)).status == "queued"
    for gate in gates:
        gate.open.set()
    assert [(await done(client, run)).status for run in runs] == ["completed"] * 9
