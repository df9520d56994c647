"""Only the Assistants engine: repeated starts, a blocked thread, its assistant, a server without the API."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from local.openai_emulator.agent.model import Say
from shared.engines.assistants import AssistantsEngine
from shared.engines.client import open_client
from shared.engines.vector_stores import OpenAIVectorStores
from shared.errors import ServiceBusy, ServiceError
from tests.contract.service import WEATHER, Service, answering, ask_of, ended, error_body, settings_of
from tests.contract.test_both_engines import calls, playing, said_in

pytestmark = pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # each call of the Assistants API


async def test_an_expired_run_of_the_service() -> None:
    """The Responses API has no status `expired`."""
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


async def test_a_start_repeated_after_a_crash_makes_no_second_run() -> None:
    async with playing("assistants") as played:
        first, _ = await played.run(ask_of(played, "First?"))
        thread_id = first.partition("/")[0]
        ask = ask_of(played, "Second?", previous=first)
        # A crash between creating the message and creating the run.
        await played.client.beta.threads.messages.create(
            thread_id, role="user", content=ask.question, metadata={"run_id": ask.run_id}
        )
        second, _ = await played.run(ask)
        assert await played.engine.start(ask) == second  # a crash before the id was stored
        assert len([run async for run in played.client.beta.threads.runs.list(thread_id)]) == 2
        texts = [text for role, text in said_in(played.script.prompts[-1]) if role == "user"]
        assert texts == ["First?", "Second?"]


async def test_the_waiting_run_of_a_thread_is_cancelled_by_the_next_start() -> None:
    """The run of the app has expired, but the run of the service still waits and blocks the thread."""
    async with playing("assistants") as played:
        played.script.moves = [calls("rome"), Say(text="Two.")]
        first, look = await played.run(replace(ask_of(played, "Weather?"), functions=(WEATHER,)))
        assert look.status == "requires_action"
        ask = ask_of(played, "Second?", previous=first)
        with pytest.raises(ServiceBusy):
            await played.engine.start(ask)
        async with asyncio.timeout(180):
            while True:
                try:
                    second = await played.engine.start(ask)
                    break
                except ServiceBusy:
                    await asyncio.sleep(0.05)
        assert (await ended(lambda: played.engine.look((second,)))).status == "completed"


async def test_a_deleted_assistant_is_created_again() -> None:
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
