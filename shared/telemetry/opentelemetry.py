"""Spans and metrics by OpenTelemetry: to the console, a file, an OTLP collector, or Application Insights."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from shared.telemetry import TRACE_PARENT, Value

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter
    from opentelemetry.sdk.metrics.export import MetricReader
    from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
    from opentelemetry.trace import Span, SpanContext, Tracer

# OpenTelemetry is imported in the functions: a check that imports every module then needs none of its packages.

NAME = "assistant-functions"
EXPORT_EVERY_MS = 60_000


class OpenTelemetry:
    """Implements `Backend` with a tracer and a meter of its own: the global ones may belong to somebody else."""

    def __init__(self, tracer: Tracer, meter: Meter) -> None:
        self._tracer = tracer
        self._meter = meter
        self._instruments: dict[str, Any] = {}

    @contextmanager
    def span(self, name: str, parent: str | None, ids: Mapping[str, Value]) -> Iterator[None]:
        from opentelemetry.trace import NonRecordingSpan, get_current_span, set_span_in_context

        remote = _context_of(parent)
        opened = get_current_span().get_span_context()
        context = None
        if remote and (not opened.is_valid or opened.trace_id != remote.trace_id):
            context = set_span_in_context(NonRecordingSpan(remote))
        with self._tracer.start_as_current_span(
            name, context=context, attributes=dict(ids), record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield
            except BaseException as exc:
                _mark_failed(span, exc)
                raise

    def note(self, name: str, ids: Mapping[str, Value]) -> None:
        from opentelemetry.trace import get_current_span

        get_current_span().add_event(name, dict(ids))

    def current(self) -> str | None:
        from opentelemetry.trace import get_current_span

        context = get_current_span().get_span_context()
        if not context.is_valid:
            return None
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"

    def count(self, name: str, amount: float, labels: Mapping[str, Value]) -> None:
        if name not in self._instruments:
            self._instruments[name] = self._meter.create_counter(name)
        self._instruments[name].add(amount, dict(labels))

    def measure(self, name: str, value: float, labels: Mapping[str, Value]) -> None:
        if name not in self._instruments:
            self._instruments[name] = self._meter.create_histogram(name)
        self._instruments[name].record(value, dict(labels))


def open_backend(environ: Mapping[str, str]) -> OpenTelemetry:
    """The backend that the setting TELEMETRY names.

    Raises:
        ModuleNotFoundError: its exporter is not installed.
    """
    from opentelemetry.sdk.metrics.export import ConsoleMetricExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SimpleSpanProcessor

    kind, _, path = environ["TELEMETRY"].partition(":")
    match kind:
        case "console":
            return backend_of(SimpleSpanProcessor(ConsoleSpanExporter()), _every(ConsoleMetricExporter()))
        case "file":
            return backend_of(SimpleSpanProcessor(cast(Any, FileExporter(Path(path or "trace.jsonl")))))
        case "otlp":
            from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

            return backend_of(BatchSpanProcessor(OTLPSpanExporter()), _every(OTLPMetricExporter()))
        case _:
            return _azure(environ)


def backend_of(
    processor: SpanProcessor, *readers: MetricReader, provider: TracerProvider | None = None
) -> OpenTelemetry:
    from opentelemetry.sdk.metrics import MeterProvider

    tracing = provider or _provider()
    tracing.add_span_processor(processor)
    metering = MeterProvider(resource=tracing.resource, metric_readers=readers)
    return OpenTelemetry(tracing.get_tracer(NAME), metering.get_meter(NAME))


def _provider() -> TracerProvider:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    return TracerProvider(resource=Resource.create({"service.name": NAME}))


def _azure(environ: Mapping[str, str]) -> OpenTelemetry:
    """Application Insights, with the app's identity: the connection string is no secret there.

    Source: https://learn.microsoft.com/azure/azure-monitor/app/azure-ad-authentication
    """
    from azure.identity import ManagedIdentityCredential
    from azure.monitor.opentelemetry.exporter import AzureMonitorMetricExporter, AzureMonitorTraceExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    options: dict[str, Any] = {"connection_string": environ["APPLICATIONINSIGHTS_CONNECTION_STRING"]}
    if client_id := environ.get("AZURE_CLIENT_ID"):
        options["credential"] = ManagedIdentityCredential(client_id=client_id)
    provider = _provider()
    spans = AzureMonitorTraceExporter(tracer_provider=provider, **options)  # or it looks for a global one
    return backend_of(BatchSpanProcessor(spans), _every(AzureMonitorMetricExporter(**options)), provider=provider)


def _every(exporter: Any) -> MetricReader:
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    return PeriodicExportingMetricReader(exporter, export_interval_millis=EXPORT_EVERY_MS)


class FileExporter:
    """A `SpanExporter` that appends each span as a line of JSON, in one write: several processes share the file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def export(self, spans: Sequence[ReadableSpan]) -> Any:
        from opentelemetry.sdk.trace.export import SpanExportResult

        lines = "".join(json.dumps(_line(span)) + "\n" for span in spans)
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, lines.encode())
        finally:
            os.close(file)
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Nothing is open between two spans."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True


def _line(span: ReadableSpan) -> dict[str, Any]:
    from opentelemetry.trace import StatusCode

    assert span.context and span.start_time and span.end_time
    return {
        "trace": f"{span.context.trace_id:032x}",
        "span": f"{span.context.span_id:016x}",
        "parent": f"{span.parent.span_id:016x}" if span.parent else None,
        "name": span.name,
        "start_ms": span.start_time // 1_000_000,
        "took_ms": (span.end_time - span.start_time) // 1_000_000,
        "pid": os.getpid(),
        "failed": span.status.status_code is StatusCode.ERROR,
        "ids": dict(span.attributes or {}),
        "events": [event.name for event in span.events],
    }


def _context_of(parent: str | None) -> SpanContext | None:
    from opentelemetry.trace import SpanContext, TraceFlags

    match = TRACE_PARENT.fullmatch(parent or "")
    if match is None:
        return None
    trace_id, span_id = int(match[1], 16), int(match[2], 16)
    context = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    return context if context.is_valid else None


def _mark_failed(span: Span, exc: BaseException) -> None:
    """The kind of the error only: its message can quote a document, a question or the service."""
    from opentelemetry.trace import StatusCode

    span.set_status(StatusCode.ERROR)
    span.set_attribute("error", str(getattr(exc, "code", type(exc).__name__)))
