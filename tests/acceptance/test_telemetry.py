"""The spans of a question and of a document over real processes: each is one trace, and `local trace` prints it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.client import Client
from local.paths import ROOT
from local.stack.stack import Options, Stack
from local.trace import spans_in, trees_of
from tests.acceptance.api import Api
from tests.acceptance.storage import wait_until
from tests.forked import forked

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(scope="module")
def spans_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("opentelemetry.sdk", reason="`pip install opentelemetry-sdk` for the tests of telemetry.")
    return tmp_path_factory.mktemp("telemetry") / "trace.jsonl"


@pytest.fixture(scope="module")
def traced_stack(spans_file: Path, plain_environ: dict[str, str]) -> Iterator[Stack]:
    folder = spans_file.parent
    environ = {**plain_environ, "TELEMETRY": f"file:{spans_file}", "SWEEP_SCHEDULE": "*/5 * * * * *"}
    with forked(Stack(Options(data=folder / "data", logs=folder / "logs"), environ=environ)) as running:
        yield running


def names_of(spans_file: Path, run_id: str) -> set[str]:
    return {span.name for trace in trees_of(spans_in(spans_file.read_text()), run_id) for span in trace}


def test_each_is_one_trace_over_two_processes(traced_stack: Stack, spans_file: Path) -> None:
    path = "traced/guide.md"
    with Client(traced_stack.app_url, storage=traced_stack.azurite.connection_string) as client:
        etag = client.drop_bytes(b"# Limits\n\nThe warning limit for the response time is 350 ms.\n", path)
        [document] = client.wait_indexed({path: etag}, on_final=lambda _: None, within_s=300).values()
    assert document["status"] == "indexed"
    asked = {"question": "What is the warning limit?", "collection": "traced"}
    api = Api(traced_stack.app_url)
    with api.http:
        run_id = api("POST", "/runs", 202, asked, traceparent=PARENT)["id"]
        # The host dies before the run has ended: another process goes on with the trace.
        traced_stack.host.kill()
        traced_stack.start_again(traced_stack.host)
        api.until({"id": run_id}, "completed")
    wait_until(lambda: "advance_run" in names_of(spans_file, run_id))  # the last one ends after the answer is there
    [run] = trees_of(spans_in(spans_file.read_text()), run_id)
    names = {span.name for span in run}
    assert run[0].trace == PARENT.split("-")[1]
    assert {"start_run", "advance_run", "run.look", "engine.start", "engine.look"} <= names
    assert any(span.ids.get("blob") == f"{run_id}/answer.json" for span in run)
    assert len({span.pid for span in run}) == 2
    # The host that started may deliver the event of the blob once more: another trace, which finds nothing to do.
    [indexing] = [
        trace
        for trace in trees_of(spans_in(spans_file.read_text()), path)
        if "document.indexed" in {event for span in trace for event in span.events}
    ]
    assert {"index_document", "stores.upload", "stores.attach"} <= {span.name for span in indexing}
    text = spans_file.read_text()
    assert "warning limit" not in text, "no question, no answer, no document"


def test_local_trace_prints_the_tree(traced_stack: Stack, spans_file: Path) -> None:
    command = [sys.executable, "-m", "local", "trace", "traced/guide.md"]
    environ = {**os.environ, "TELEMETRY": f"file:{spans_file}"}
    result = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True, timeout=120)
    assert "index_document path=traced/guide.md" in result.stdout
    assert "stores.upload" in result.stdout
