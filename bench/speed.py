"""Latency of the whole local stack, compared with targets: `python -m bench.speed [--json FILE]`."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient
from openai import OpenAI
from rich import box
from rich.console import Console
from rich.table import Table

from bench.common.figures import Figure
from local.client import Client
from local.errors import RequestFailed
from local.paths import ROOT, SAMPLES
from local.stack.stack import Options, Stack

STARTS = 3
POSTS = 60
DROPS = 30
RUNS = 20
IMPORTS = 7
TEXT_BYTES = 2048
POLL_EVERY_S = 0.02
NOTE = "notes/note-{}.txt"
INDEXED = ("monitoring-guide.pdf", "server-metrics-february.csv")
ASKED = (
    "What are the recommended alert thresholds for HTTP monitoring?",
    "What is the average response time by server in February? Create a chart.",
)
T = TypeVar("T")
IMPORT = "import time; t = time.perf_counter(); import function_app; print(time.perf_counter() - t)"


@dataclass(frozen=True, kw_only=True)
class JudgedFigure(Figure):
    """A figure with a target: the highest value that one of its percentiles should have."""

    target: float
    judged_by: str = "p50"  # or "p95", "max"

    @property
    def met(self) -> bool:
        return bool(getattr(self.percentiles, self.judged_by) < self.target)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures = [imports(), *over_the_stack()]
    Console().print(table(figures))
    if options.json:
        rows = [{**asdict(figure), **asdict(figure.percentiles), "met": figure.met} for figure in figures]
        options.json.write_text(
            json.dumps({"cores": os.cpu_count(), "load": os.getloadavg(), "figures": rows}, indent=2) + "\n"
        )
    return 0


def imports() -> JudgedFigure:
    """Measure `import function_app` in a new process. The first import is not counted: it compiles to bytecode."""
    command = [sys.executable, "-c", IMPORT]
    with tempfile.TemporaryDirectory() as folder:
        environ = {**os.environ, "PYTHONPYCACHEPREFIX": folder}
        environ.pop("PYTHONDONTWRITEBYTECODE", None)
        outputs = [
            subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, check=True).stdout
            for _ in range(IMPORTS + 1)
        ]
    return JudgedFigure(
        name="import function_app", unit="ms", values=[float(o) * 1000 for o in outputs[1:]], target=400
    )


def over_the_stack() -> Iterator[JudgedFigure]:
    """Measure the stack's start, indexing, POST and the delay of answers, one thing at a time."""
    ready_s = []
    with tempfile.TemporaryDirectory() as folder, ExitStack() as ending:
        options = Options(data=Path(folder, "data"), logs=Path(folder, "logs"))
        for _ in range(STARTS - 1):
            with Stack(options) as stack:
                ready_s.append(stack.ready_s)
        stack = ending.enter_context(Stack(options))
        ready_s.append(stack.ready_s)
        yield JudgedFigure(name="stack ready", unit="s", values=ready_s, target=4, judged_by="max")

        blobs = ending.enter_context(BlobServiceClient.from_connection_string(stack.azurite.connection_string))
        client = ending.enter_context(Client(stack.app_url, storage=stack.azurite.connection_string))
        client.wait_indexed({name: client.drop(SAMPLES / name, name) for name in INDEXED}, on_final=lambda _: None)
        for what in ("dropped", "replaced"):
            values = [indexing_s(client, n, what) for n in range(DROPS)]
            yield JudgedFigure(name=f"2 kB blob {what} -> indexed", unit="s", values=values, target=1)
        values = [removal_s(client, blobs, n) for n in range(DROPS)]
        yield JudgedFigure(name="2 kB blob deleted -> gone", unit="s", values=values, target=1)

        posts_ms, lags_s = [], []
        openai = ending.enter_context(OpenAI(base_url=stack.service.base_url, api_key=stack.service.api_key))
        for number in range(POSTS):
            accepted = client.ask(ASKED[number % len(ASKED) if number < RUNS else 0])
            posts_ms.append(accepted.post_s * 1000)
            if number < RUNS:
                lags_s.append(answer_delay_s(blobs, openai, accepted.id))
            client.wait(accepted, on_look=lambda _: None)
        yield JudgedFigure(name="POST /api/runs -> 202", unit="ms", values=posts_ms, target=40)
        yield JudgedFigure(name="engine finished -> answer.json", unit="s", values=lags_s, target=1, judged_by="max")


def indexing_s(client: Client, number: int, what: str) -> float:
    """Seconds from a blob's upload until the API says that it is indexed."""
    sentence = f"Server number {number}, {what}, is restarted on Sundays by the maintenance team of the night shift. "
    text = (sentence * (TEXT_BYTES // len(sentence) + 1))[:TEXT_BYTES].encode()
    name = NOTE.format(number)
    begun_s = time.monotonic()
    done = client.wait_indexed({name: client.drop_bytes(text, name)}, on_final=lambda _: None)
    if done.get(name, {}).get("status") != "indexed":
        raise SystemExit(f"{name} was not indexed: {done}")
    return time.monotonic() - begun_s


def removal_s(client: Client, blobs: BlobServiceClient, number: int) -> float:
    """Seconds from the deletion of a blob until the app has nothing of it any more."""

    def is_gone() -> bool:
        try:
            client.get(f"/api/documents/{NOTE.format(number)}")
        except RequestFailed as exc:
            if exc.code == "document_not_found":
                return True
            raise
        return False

    begun_s = time.monotonic()
    blobs.get_blob_client("documents", NOTE.format(number)).delete_blob()
    poll_until(is_gone)
    return time.monotonic() - begun_s


def answer_delay_s(blobs: BlobServiceClient, openai: OpenAI, run_id: str) -> float:
    """Seconds from the end of the response at the service until `answer.json` exists; both are polled every 20 ms."""

    def engine_run() -> str | None:
        record = json.loads(blobs.get_blob_client("state", f"runs/{run_id}.json").download_blob().readall())
        return str(record["engine_runs"][-1]) if record["engine_runs"] else None

    def answered() -> bool:
        try:
            blobs.get_blob_client("answers", f"{run_id}/answer.json").get_blob_properties()
        except ResourceNotFoundError:
            return False
        return True

    response_id = poll_until(engine_run)
    poll_until(lambda: openai.responses.retrieve(response_id).status not in ("queued", "in_progress"))
    finished_s = time.monotonic()
    poll_until(answered)
    return time.monotonic() - finished_s


def poll_until(look: Callable[[], T | None]) -> T:
    """Call `look` until it returns a true value, and return that value."""
    deadline_s = time.monotonic() + 60
    while not (seen := look()):
        if time.monotonic() > deadline_s:
            raise SystemExit("A run did not end within 60 s.")
        time.sleep(POLL_EVERY_S)
    return seen


def table(figures: list[JudgedFigure]) -> Table:
    title = f"Speed ({os.cpu_count()} cores, {os.getloadavg()[1]:.1f} busy in the last 5 minutes)"
    rows = Table(title=title, box=box.SIMPLE)
    rows.add_column("measured", no_wrap=True)
    for name in ("n", "p50", "p95", "max", "target"):
        rows.add_column(name, justify="right", no_wrap=True)
    rows.add_column("")
    for figure in figures:
        digits = 0 if figure.unit == "ms" else 2
        values = [f"{value:.{digits}f} {figure.unit}" for value in asdict(figure.percentiles).values()]
        target = f"{figure.judged_by} < {figure.target:g} {figure.unit}"
        rows.add_row(figure.name, str(len(figure.values)), *values, target, "met" if figure.met else "missed")
    return rows


if __name__ == "__main__":
    sys.exit(main())
