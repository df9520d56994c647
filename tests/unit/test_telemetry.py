"""One trace from a question to its answer and from a blob to `indexed`, across every message; nothing but ids in it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from shared import telemetry
from shared.documents.messages import LookAtDocument, indexing_message
from shared.engines.stores import IndexState
from shared.errors import ServiceBusy
from shared.logs import event
from shared.push.outbound import Sender, UrlPolicy
from shared.runs.messages import RunLook, run_look
from shared.telemetry.traced import traced
from tests.unit.world import World

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Recorded:
    """An OpenTelemetry backend whose spans and metrics stay in memory."""

    def __init__(self) -> None:
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        from shared.telemetry.opentelemetry import backend_of

        self.exporter: Any = InMemorySpanExporter()
        self.reader: Any = InMemoryMetricReader()
        self.backend = backend_of(SimpleSpanProcessor(self.exporter), self.reader)

    @property
    def spans(self) -> list[Any]:
        return list(self.exporter.get_finished_spans())

    def traces(self) -> dict[int, set[str]]:
        found: dict[int, set[str]] = {}
        for span in self.spans:
            found.setdefault(span.context.trace_id, set()).add(span.name)
        return found

    def metric(self, name: str) -> list[Any]:
        data = self.reader.get_metrics_data()
        if data is None:
            return []
        metrics = [m for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics]
        return [point for metric in metrics if metric.name == name for point in metric.data.data_points]


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    pytest.importorskip("opentelemetry.sdk", reason="`pip install opentelemetry-sdk` for the tests of telemetry.")
    found = Recorded()
    telemetry.use(found.backend)
    yield found
    telemetry.use(None)


def traced_world() -> World:
    """A world whose app calls its fakes through spans, as `Services.from_settings` does."""
    world = World()
    world.blobs, world.state, world.answers = (traced(b, b.label) for b in (world.blobs, world.state, world.answers))
    world.engine, world.stores = traced(world.engine, "engine"), traced(world.stores, "stores")
    world.app = world.instance()
    return world


async def test_a_run_is_one_trace_over_all_its_messages(recorded: Recorded) -> None:
    world = traced_world()
    with telemetry.span("start_run", parent=PARENT):
        run = await world.ask("A very secret question")
    while world.queue.messages:
        sent = world.queue.take()
        world.clock.now = max(world.clock.now, sent.due_at)
        body = msgspec.json.encode(sent.message)
        with telemetry.span("advance_run", parent=telemetry.trace_in(body)):
            await world.poller.advance(run_look(body))
    assert world.answer(run.id).status == "completed"
    [(trace_id, names)] = recorded.traces().items()
    assert f"{trace_id:032x}" == PARENT.split("-")[1], "the caller's trace goes on"
    assert {"start_run", "advance_run", "run.look", "engine.start", "engine.look", "answers.write"} <= names
    ids = {span.context.span_id for span in recorded.spans}
    roots = [span for span in recorded.spans if span.parent is None or span.parent.span_id not in ids]
    assert [span.name for span in roots] == ["start_run"], "every span hangs on the request"
    assert "secret question" not in str([(span.attributes, span.events) for span in recorded.spans])


async def test_a_document_is_one_trace_from_its_blob_to_indexed(recorded: Recorded) -> None:
    world = traced_world()
    path = "c/a.md"
    world.stores.states["a.md"] = [IndexState(status="in_progress")] * 3
    world.blobs.put(path, b"Confidential words.")
    with telemetry.span("index_document", path=path):
        await world.documents.index(path)
    while world.indexing.messages:
        sent = world.indexing.take()
        world.clock.now = max(world.clock.now, sent.due_at)
        body = msgspec.json.encode(sent.message)
        with telemetry.span("check_indexing", parent=telemetry.trace_in(body)):
            await world.app.library.worker.do(body)
    assert len(recorded.traces()) == 1
    assert (await world.document(path)).status == "indexed"
    noted = [event.name for span in recorded.spans for event in span.events]
    assert "document.indexed" in noted
    assert "Confidential" not in str([(span.attributes, span.events) for span in recorded.spans])


async def test_a_run_that_the_sweep_rescues_stays_in_its_trace(recorded: Recorded) -> None:
    world = traced_world()
    with telemetry.span("start_run", parent=PARENT):
        run = await world.ask()
    world.queue.messages.clear()
    world.clock.forward(60)
    with telemetry.span("sweep_runs"):
        assert await world.poller.sweep() == 1
    sent = world.queue.take()
    with telemetry.span("advance_run", parent=sent.message["trace"]):
        await world.poller.advance(RunLook(run.id, sent.message["generation"]))
    looks = [span for span in recorded.spans if span.name == "run.look"]
    assert {f"{span.context.trace_id:032x}" for span in looks} == {PARENT.split("-")[1]}


async def test_the_metrics(recorded: Recorded) -> None:
    world = traced_world()
    await world.drop("c/a.md")
    await world.ask(collection="c")
    await world.finish()
    await world.app.library.sweep.run()
    assert [(p.value, dict(p.attributes)) for p in recorded.metric("runs.ended")] == [(1, {"status": "completed"})]
    assert [dict(p.attributes) for p in recorded.metric("documents.ended")] == [{"status": "indexed"}]
    for name in ("runs.duration", "runs.tokens", "runs.cost", "runs.lag", "documents.backlog_age"):
        assert recorded.metric(name), name


async def test_refusals_of_the_service_are_counted_by_code(recorded: Recorded) -> None:
    world = traced_world()
    world.outside.fail("engine.start", ServiceBusy("Slow down.", code="rate_limit_exceeded"))
    await world.ask()
    [point] = recorded.metric("service.refusals")
    assert (point.value, dict(point.attributes)) == (1, {"code": "rate_limit_exceeded"})
    [failed] = [span for span in recorded.spans if span.name == "engine.start"]
    assert failed.attributes["error"] == "rate_limit_exceeded"
    assert "Slow down" not in str((failed.attributes, failed.events, failed.status.description))


async def test_a_callback_has_a_span_without_its_url(recorded: Recorded) -> None:
    sender = traced(Sender(UrlPolicy(hosts=("127.0.0.1",), allow_private=True)), "push")
    with pytest.raises(ServiceBusy):
        await sender.post("http://127.0.0.1:9/hook?sig=secret", b"An answer.", {"Authorization": "secret"})
    [span] = recorded.spans
    assert span.name == "push.post"
    assert "secret" not in str([span.attributes, span.events, span.status.description])


def test_off_nothing_of_it_is_in_a_message() -> None:
    assert msgspec.json.encode(RunLook("run_1", 3)) == b'{"run_id":"run_1","generation":3}'
    assert msgspec.json.encode(LookAtDocument("a.md")) == b'{"do":"look","path":"a.md","slot_reserved":false}'
    assert run_look(b'{"run_id":"run_1","generation":3,"trace":"00-1"}').run_id == "run_1"
    traced_body = b'{"do":"look","path":"a.md","trace":"00-1"}'
    assert replace_trace(indexing_message(traced_body)) == LookAtDocument("a.md")
    assert telemetry.current() is None
    assert telemetry.trace_in(traced_body) is None
    world = World()
    assert traced(world.engine, "engine") is world.engine


def replace_trace(message: Any) -> Any:
    return msgspec.structs.replace(message, trace=msgspec.UNSET)


@pytest.mark.parametrize("text", [None, "", "00-1-2-3", 7, "zz" + PARENT[2:], PARENT + "-more", "\ud800"])
def test_a_trace_from_outside_that_is_none_is_ignored(text: object) -> None:
    assert telemetry.parent_in(text) is None


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"trace": 7}', b"\xff", b'{"trace": null}'])
def test_a_message_without_a_trace_has_none(recorded: Recorded, body: bytes) -> None:
    assert telemetry.trace_in(body) is None


def test_an_unknown_setting_is_named_and_the_app_loads(caplog: pytest.LogCaptureFixture) -> None:
    telemetry.start({"TELEMETRY": "jaeger"})
    assert "TELEMETRY is 'jaeger'; it must be one of off, console" in caplog.text
    assert not telemetry.is_on()


def test_a_missing_package_is_named_and_the_app_loads(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "shared.telemetry.opentelemetry", None)
    telemetry.start({"TELEMETRY": "console"})
    assert "is not installed, which TELEMETRY=console needs" in caplog.text
    assert not telemetry.is_on()


def test_azure_needs_its_connection_string(caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("azure.monitor.opentelemetry.exporter", reason="the exporter is not installed")
    telemetry.start({"TELEMETRY": "azure"})
    assert "TELEMETRY=azure cannot be used" in caplog.text
    assert not telemetry.is_on()


def test_off_nothing_is_imported() -> None:
    program = "import sys, function_app; print([m for m in sys.modules if m.startswith('opentelemetry')])"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=300)
    assert result.stdout.strip() == "[]"


def test_events_on_spans_carry_ids_only(recorded: Recorded) -> None:
    import logging

    with telemetry.span("x"):
        event(logging.getLogger("t"), logging.INFO, "run.put_off", run_id="run_1", why="text of the service")
    [span] = recorded.spans
    assert dict(span.events[0].attributes) == {"run_id": "run_1"}
