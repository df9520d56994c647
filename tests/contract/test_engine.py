"""What the app expects of a model service, tested through the unmodified SDK on the emulator and on a real service.

The real service is used with `LIVE=1` and `OPENAI_BASE_URL`, `OPENAI_API_KEY`, `OPENAI_MODEL`. Where possible, the
fakes of the unit tests must pass the same tests.
"""

from __future__ import annotations

import io
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from local.openai_emulator.server import serve
from local.openai_emulator.settings import Settings as EmulatorSettings
from shared.engines.stores import VectorStores
from shared.errors import ChainLost, ServiceError, ServiceMissing
from shared.settings import Settings
from tests.acceptance.chat_server import ChatServer
from tests.contract.service import GUIDE, WEATHER, Service, ask_of, ended, indexed, settings_of, settled, speaking_to
from tests.fakes import FakeEngine, FakeVectorStores

pytestmark = pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # each call of the Assistants API
CSV = b"server,ms\nweb-01,10\nweb-01,20\nweb-02,40\n"
LIVE = bool(os.environ.get("LIVE"))


@pytest.fixture(
    params=[
        "responses",
        "assistants",
        pytest.param("live", marks=pytest.mark.skipif(not LIVE, reason="LIVE=1 is not set")),
    ]
)
async def service(request: pytest.FixtureRequest) -> AsyncIterator[Service]:
    if request.param == "live":
        async with speaking_to(Settings.from_environ({"AzureWebJobsStorage": "none", **os.environ})) as live:
            yield live
        return
    async with serve() as url, speaking_to(settings_of(f"{url}/openai/v1/"), engine=request.param) as emulated:
        yield emulated


@pytest.fixture(params=["responses", "assistants"])
async def calling(request: pytest.FixtureRequest) -> AsyncIterator[Service]:
    """A service whose model calls `weather` for two cities, then once more, before it answers."""
    with ChatServer() as model:
        model.calls("weather", [("weather", '{"city": "Rome"}'), ("weather", '{"city": "Oslo"}')], [("weather", "{}")])
        emulator = EmulatorSettings(model_url=model.url, model="chat")
        async with (
            serve(emulator) as url,
            speaking_to(settings_of(f"{url}/openai/v1/"), engine=request.param) as emulated,
        ):
            yield emulated


@pytest.fixture(params=["fake", "emulator", "live"])
async def stores(request: pytest.FixtureRequest) -> AsyncIterator[VectorStores]:
    if request.param == "fake":
        yield FakeVectorStores()
    elif request.param == "live" and not LIVE:
        pytest.skip("LIVE=1 is not set")
    elif request.param == "live":
        async with speaking_to(Settings.from_environ({"AzureWebJobsStorage": "none", **os.environ})) as live:
            yield live.stores
    else:
        async with serve() as url, speaking_to(settings_of(f"{url}/openai/v1/")) as emulated:
            yield emulated.stores


# ---- files and vector stores -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["guide.md", "ünïcödé 文書.md", 'quo"te.md'])
async def test_a_file_is_added_to_a_store_and_removed(stores: VectorStores, name: str) -> None:
    store_id, file_id = await indexed(stores, name, GUIDE)
    assert dict(await stores.attributes(store_id, file_id)) == {"path": name, "etag": "0x1", "kind": "text"}
    assert await stores.discard(store_id, file_id)
    with pytest.raises(ServiceMissing):
        await stores.state(store_id, file_id)
    assert not await stores.discard(store_id, file_id)  # unknown ids are told, and ignored
    assert not await stores.discard(None, file_id)
    await stores.delete_store(store_id)
    await stores.delete_store(store_id)
    with pytest.raises(ServiceMissing):
        await stores.attach(store_id, file_id, {})


async def test_entries_since_a_time(stores: VectorStores) -> None:
    store_id, file_id = await indexed(stores, "a.md", GUIDE)
    [entry] = [entry async for entry in stores.entries(store_id)]
    assert entry.file_id == file_id
    for since, expected in ((entry.created_at, [file_id]), (entry.created_at + timedelta(hours=1), [])):
        assert [e.file_id async for e in stores.entries(store_id, since=since)] == expected
    await stores.discard(store_id, file_id)
    await stores.delete_store(store_id)


async def test_content_is_uploaded_from_its_start(stores: VectorStores) -> None:
    content = io.BytesIO(GUIDE)
    content.read()
    store_id = await stores.create_store("s", app="test")
    file_id = await stores.upload("guide.md", content)
    await stores.attach(store_id, file_id, {})
    assert (await settled(stores, store_id, file_id)).status == "completed"
    await stores.discard(store_id, file_id)
    await stores.delete_store(store_id)


async def test_unknown_ids_are_missing(stores: VectorStores) -> None:
    store_id = await stores.create_store("s", app="test")
    with pytest.raises(ServiceMissing):
        await stores.state(store_id, "assistant-unknown")
    with pytest.raises(ServiceMissing):
        await stores.attributes("vs_unknown", "assistant-unknown")
    with pytest.raises(ServiceMissing):
        await stores.attach("vs_unknown", "assistant-unknown", {})
    await stores.delete_store(store_id)


async def test_a_damaged_document_fails_with_a_reason(service: Service) -> None:
    store_id = await service.stores.create_store("s", app="test")
    file_id = await service.stores.upload("a.pdf", io.BytesIO(b"%PDF-1.7 this is no PDF"))
    await service.stores.attach(store_id, file_id, {})
    state = await settled(service.stores, store_id, file_id)
    assert state.status == "failed"
    assert state.code
    assert state.message
    await service.stores.discard(store_id, file_id)
    await service.stores.delete_store(store_id)


# ---- runs --------------------------------------------------------------------------------------------------------


async def test_a_cited_answer_and_its_follow_up(service: Service) -> None:
    store_id, file_id = await indexed(service.stores, "guide.md", GUIDE)
    first = await service.engine.start(
        ask_of(service, "What is the warning limit for response time?", stores=(store_id,))
    )
    look = await ended(lambda: service.engine.look((first,)))
    assert (look.status, look.failure) == ("completed", None)
    assert look.output is not None
    assert "350" in look.output.text
    assert "file_search" in [activity.type for activity in look.activity]
    assert look.output.annotations
    for annotation in look.output.annotations:
        assert (annotation.file_id, annotation.filename) == (file_id, "guide.md")
        assert 0 <= annotation.position <= len(look.output.text)
    [passage] = [p for p in look.output.passages if p.file_id == file_id][:1]
    assert "350 ms" in passage.text
    assert passage.attributes["path"] == "guide.md"
    usage = look.output.usage
    assert usage.file_search_calls >= 1
    assert usage.input_tokens > 0
    assert usage.output_tokens > 0
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens
    assert look.output.model

    second = await service.engine.start(
        ask_of(service, "And what is the critical limit?", stores=(store_id,), previous=first)
    )
    look = await ended(lambda: service.engine.look((second,)))
    assert look.output is not None
    assert "900" in look.output.text
    await service.stores.discard(store_id, file_id)
    await service.stores.delete_store(store_id)


async def test_a_chart_from_data(service: Service) -> None:
    file_id = await service.stores.upload("servers.csv", io.BytesIO(CSV))
    question = "What is the average ms by server? Create a bar chart of it."
    engine_run = await service.engine.start(ask_of(service, question, files=(file_id,)))
    look = await ended(lambda: service.engine.look((engine_run,)))
    assert (look.status, look.failure) == ("completed", None)
    assert look.output is not None
    assert "15" in look.output.text
    assert look.output.usage.code_interpreter_calls >= 1
    assert look.output.usage.code_interpreter_sessions == 1
    assert len(look.output.containers) == (0 if service.engine.name == "assistants" else 1)
    pictures = [made for made in look.output.made if made.filename.endswith(".png")]
    assert pictures
    assert (await service.engine.download(pictures[0])).startswith(b"\x89PNG\r\n")
    await service.stores.discard(None, file_id)


async def test_a_run_can_be_cancelled_at_any_time(service: Service) -> None:
    engine_run = await service.engine.start(ask_of(service, "What is there to know?"))
    with suppress(ServiceError):  # it may have ended already
        await service.engine.cancel(engine_run)
    look = await ended(lambda: service.engine.look((engine_run,)))
    assert look.status in ("cancelled", "completed")


async def test_an_unknown_run_is_missing(service: Service) -> None:
    with pytest.raises(ServiceMissing):
        await service.engine.look(("resp_" + "0" * 48,))
    with pytest.raises(ServiceError):
        await service.engine.start(ask_of(service, "And then?", previous="resp_" + "0" * 48))


async def test_functions_are_called_in_two_rounds(calling: Service) -> None:
    ask = replace(ask_of(calling, "How is the weather?"), functions=(WEATHER,))
    engine_runs = [await calling.engine.start(ask)]
    asked: list[list[tuple[str, str]]] = []
    for outputs in (["sun", "snow"], ["hail"]):
        look = await ended(lambda: calling.engine.look(engine_runs))
        assert (look.status, len(look.calls)) == ("requires_action", len(outputs))
        asked.append([(call.name, call.arguments) for call in look.calls])
        handed = {call.call_id: output for call, output in zip(look.calls, outputs, strict=True)}
        engine_run = await calling.engine.answer_calls(engine_runs[-1], ask, handed)
        if engine_run != engine_runs[-1]:
            engine_runs.append(engine_run)
    look = await ended(lambda: calling.engine.look(engine_runs))
    assert asked == [[("weather", '{"city": "Rome"}'), ("weather", '{"city": "Oslo"}')], [("weather", "{}")]]
    assert look.output is not None
    assert (look.status, look.calls) == ("completed", ())
    assert "I was told: sun, snow, hail." in look.output.text
    assert (look.output.usage.input_tokens, look.output.usage.output_tokens) == (30, 15)


async def test_a_run_that_waits_for_calls_can_be_abandoned(calling: Service) -> None:
    ask = replace(ask_of(calling, "How is the weather?"), functions=(WEATHER,))
    engine_run = await calling.engine.start(ask)
    await ended(lambda: calling.engine.look((engine_run,)))
    with suppress(ServiceError):  # a response that asked for functions has completed
        await calling.engine.cancel(engine_run)
    again = await calling.engine.start(ask_of(calling, "Something else?"))
    assert (await ended(lambda: calling.engine.look((again,)))).status == "completed"


async def test_a_deleted_run_cannot_be_continued_but_its_history_can_be_sent(service: Service) -> None:
    first = await service.engine.start(ask_of(service, "What is there to know?"))
    await ended(lambda: service.engine.look((first,)))
    await service.engine.forget((first,))
    await service.engine.forget((first,))  # unknown ids are ignored
    with pytest.raises(ServiceMissing):
        await service.engine.look((first,))
    follow_up = ask_of(service, "And then?", previous=first)
    with pytest.raises(ChainLost):
        await service.engine.start(follow_up)
    said = (("user", "What is there to know?"), ("assistant", "Little."))
    told = await service.engine.start(replace(follow_up, previous=None, history=said))
    assert (await ended(lambda: service.engine.look((told,)))).status == "completed"


async def test_the_fake_engine_keeps_the_contract() -> None:
    engine = FakeEngine()
    service = Service(engine, FakeVectorStores(), "fake")
    engine_run = await engine.start(ask_of(service, "Why?"))
    look = await ended(lambda: engine.look((engine_run,)))
    assert look.status == "completed"
    assert look.output is not None
    await engine.cancel(engine_run)
    assert (await engine.look((engine_run,))).status == "cancelled"
    with pytest.raises(ServiceMissing):
        await engine.look(("resp_unknown",))
    with pytest.raises(ServiceMissing):
        await engine.cancel("resp_unknown")
