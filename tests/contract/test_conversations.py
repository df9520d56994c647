"""What a conversation holds at the service, and starting it once: on the emulator, through the unmodified SDK."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace

import openai
import pytest

from local.openai_emulator.agent.conversation import Called, Prompt, Ran
from local.openai_emulator.agent.model import CallFunctions, RunCode, Say
from shared.errors import ChainLost, ServiceMissing
from tests.contract.service import WEATHER, ask_of, ended
from tests.contract.test_both_engines import ENGINES, Played, playing, said_in

pytestmark = pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # each call of the Assistants API

SHOW_ALL = "import pathlib; print(sorted((p.name, p.read_text()) for p in pathlib.Path('/mnt/data').glob('*.csv')))"
SAID = (("user", "First?"), ("assistant", "One."))


async def sales(played: Played, content: bytes) -> str:
    return await played.stores.upload("sales.csv", io.BytesIO(content))


def logs(played: Played) -> str:
    """What the code of the last run has printed."""
    return [event.logs for event in played.script.prompts[-1].events if isinstance(event, Ran)][-1].strip()


@pytest.mark.parametrize("name", ENGINES)
async def test_a_new_conversation_sees_the_current_file_under_its_own_name(name: str) -> None:
    async with playing(name) as played:
        played.script.moves = [RunCode(code=SHOW_ALL), Say(text="One.")] * 2
        old = await sales(played, b"1")
        await played.run(ask_of(played, "First?", files=(old,)))
        assert logs(played) == "[('sales.csv', '1')]"
        new = await sales(played, b"2")
        await played.stores.discard(None, old)
        await played.run(replace(ask_of(played, "Second?", files=(new,)), history=SAID))
        assert logs(played) == "[('sales.csv', '2')]"
        assert said_in(played.script.prompts[-1])[-3:] == [*SAID, ("user", "Second?")]


@pytest.mark.parametrize("name", ENGINES)
async def test_a_file_is_added_to_the_container_of_the_conversation(name: str) -> None:
    async with playing(name) as played:
        played.script.moves = [
            RunCode(code=f"x = 7; {SHOW_ALL}"),
            Say(text="One."),
            RunCode(code=f"print(x); {SHOW_ALL}"),
        ]
        first, _ = await played.run(ask_of(played, "First?", files=(await sales(played, b"1"),)))
        stock = await played.stores.upload("stock.csv", io.BytesIO(b"2"))
        await played.run(ask_of(played, "Second?", files=(stock,), previous=first))
        assert logs(played) == "7\n[('sales.csv', '1'), ('stock.csv', '2')]"


@pytest.mark.parametrize("name", ENGINES)
async def test_a_missing_file_is_no_lost_conversation(name: str) -> None:
    async with playing(name) as played:
        first, _ = await played.run(ask_of(played, "First?"))
        gone = await sales(played, b"1")
        await played.stores.discard(None, gone)
        for previous in (first, None):
            with pytest.raises(ServiceMissing) as caught:
                await played.engine.start(ask_of(played, "Second?", files=(gone,), previous=previous))
            assert not isinstance(caught.value, ChainLost)
            assert not await played.stores.has_file(gone)


async def test_containers_are_deleted_with_their_runs() -> None:
    async with playing("responses") as played:
        played.script.moves = [RunCode(code="print(1)"), Say(text="One.")]
        engine_run, look = await played.run(ask_of(played, "First?"))
        assert look.output
        [container_id] = look.output.containers
        for _ in range(2):  # unknown ids are ignored
            await played.engine.forget((engine_run,), containers=(container_id,))
        with pytest.raises(openai.NotFoundError):
            await played.client.containers.retrieve(container_id)


# ---- starting once -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("history", [(), SAID], ids=["new", "as text"])
async def test_a_start_whose_answer_was_lost_is_found_by_the_next_one(history: tuple[tuple[str, str], ...]) -> None:
    async with playing("assistants") as played:
        ask = replace(ask_of(played, "Why?"), history=history)
        place = await played.engine.prepare(ask)
        assert place
        ask = replace(ask, place=place)
        assert await played.engine.prepare(ask) == place
        first = await played.engine.start(ask)
        assert await played.engine.start(ask) == first
        await ended(lambda: played.engine.look((first,)))
        assert await played.engine.start(ask) == first, "also when it has ended"
        assert len([run async for run in played.client.beta.threads.runs.list(place.rstrip("/"))]) == 1
        assert said_in(played.script.prompts[-1]) == [*history, ("user", "Why?")]


async def test_a_start_that_died_between_two_messages_adds_the_others() -> None:
    async with playing("assistants") as played:
        ask = replace(ask_of(played, "Why?"), history=SAID)
        place = await played.engine.prepare(ask)
        assert place
        await played.client.beta.threads.messages.create(
            place.rstrip("/"), role="user", content="First?", metadata={"run_id": ask.run_id}
        )
        await played.run(replace(ask, place=place))
        assert said_in(played.script.prompts[-1]) == [*SAID, ("user", "Why?")]


@pytest.mark.parametrize("died", ["before the run", "running", "waiting", "ended"])
async def test_what_no_record_names_is_deleted_by_its_place(died: str) -> None:
    gate, begun = asyncio.Event(), asyncio.Event()

    async def waits(_: Prompt) -> Say:
        begun.set()
        await gate.wait()
        return Say(text="Late.")

    async with playing("assistants") as played:
        calls = CallFunctions(calls=(Called(call_id="call_1", name="weather", arguments="{}"),))
        played.script.moves = {"running": [waits], "waiting": [calls]}.get(died, [Say(text="One.")])  # type: ignore[assignment]
        ask = replace(ask_of(played, "Why?"), functions=(WEATHER,))
        place = await played.engine.prepare(ask)
        assert place
        if died != "before the run":
            started = await played.engine.start(replace(ask, place=place))
            async with asyncio.timeout(180):
                if died == "running":
                    await begun.wait()
                else:
                    await ended(lambda: played.engine.look((started,)))
        for _ in range(2):
            await played.engine.forget((), run_id=ask.run_id, place=place)
        gate.set()
        with pytest.raises(openai.NotFoundError):
            await played.client.beta.threads.retrieve(place.rstrip("/"))


async def test_the_other_runs_of_a_thread_stay() -> None:
    async with playing("assistants") as played:
        played.script.moves = [Say(text="One."), Say(text="Two.")]
        first, _ = await played.run(ask_of(played, "First?"))
        ask = ask_of(played, "Second?", previous=first)
        await played.run(ask)  # and the answer to its start was lost
        await played.engine.forget((), run_id=ask.run_id, place=first)
        thread_id = first.partition("/")[0]
        texts = [m.content[0].text.value async for m in played.client.beta.threads.messages.list(thread_id)]  # type: ignore[union-attr]
        assert texts == ["One.", "First?"]


async def test_the_metadata_name_run_and_app() -> None:
    """The webhook of a response that the app does not know leads to its run."""
    async with playing("responses") as played:
        engine_run, look = await played.run(replace(ask_of(played, "Why?"), app="app_1"))
        metadata = (await played.client.responses.retrieve(engine_run)).metadata
        assert metadata
        assert metadata["app"] == "app_1"
        assert look.output
        assert not {"app", "run_id", "made_by"} & look.output.metadata.keys()
