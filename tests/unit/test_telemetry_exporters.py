"""Spans and metrics reach their receivers: a collector of OpenTelemetry and Application Insights' ingestion endpoint.

The program runs in a process of its own, because exporters send what is left when it ends.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from local.paths import ROOT

PROGRAM = """
import os
from shared import telemetry

telemetry.start(os.environ)
assert telemetry.is_on()
with telemetry.span("run.look", run_id="run_1"):
    telemetry.count("runs.ended", status="completed")
"""
KEY = "00000000-0000-4000-8000-000000000000"


@contextmanager
def receiver() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """The URL of a server that accepts everything, and the paths and bodies that it received."""
    received: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append((self.path, gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body))
            answer = b'{"itemsReceived": 1, "itemsAccepted": 1, "errors": []}' if "track" in self.path else b""
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            """Nothing is printed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", received
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def run(**environ: str) -> None:
    command, env = [sys.executable, "-c", PROGRAM], os.environ | environ
    done = subprocess.run(command, cwd=ROOT, env=env, check=True, timeout=300, capture_output=True, text=True)
    assert done.stderr == "", "no exporter complains"


def test_a_collector_of_opentelemetry_gets_spans_and_metrics() -> None:
    trace = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    metrics = pytest.importorskip("opentelemetry.proto.collector.metrics.v1.metrics_service_pb2")
    with receiver() as (url, received):
        run(TELEMETRY="otlp", OTEL_EXPORTER_OTLP_ENDPOINT=url)
    bodies = dict(received)
    spans = trace.ExportTraceServiceRequest.FromString(bodies["/v1/traces"])
    [span] = [s for r in spans.resource_spans for scope in r.scope_spans for s in scope.spans]
    assert span.name == "run.look"
    assert {a.key: a.value.string_value for a in span.attributes}["run_id"] == "run_1"
    counted = metrics.ExportMetricsServiceRequest.FromString(bodies["/v1/metrics"])
    assert "runs.ended" in {
        m.name for r in counted.resource_metrics for scope in r.scope_metrics for m in scope.metrics
    }


def test_application_insights_gets_spans_and_metrics() -> None:
    pytest.importorskip("azure.monitor.opentelemetry.exporter")
    with receiver() as (url, received):
        run(
            TELEMETRY="azure",
            APPLICATIONINSIGHTS_CONNECTION_STRING=f"InstrumentationKey={KEY};IngestionEndpoint={url}",
            APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL="true",  # reports about the exporter itself
            APPLICATIONINSIGHTS_SDKSTATS_DISABLED="true",
        )
    sent = [envelope for path, body in received if "track" in path for envelope in json.loads(body)]
    data = [(envelope["data"]["baseType"], envelope["data"]["baseData"]) for envelope in sent]
    [span] = [base for kind, base in data if kind == "RemoteDependencyData"]
    assert (span["name"], span["properties"]["run_id"]) == ("run.look", "run_1")
    metrics = {metric["name"] for kind, base in data if kind == "MetricData" for metric in base["metrics"]}
    assert "runs.ended" in metrics
    assert {envelope["tags"]["ai.cloud.role"] for envelope in sent} == {"assistant-functions"}
