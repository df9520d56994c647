"""How fast the product is, over the real processes: `python -m bench.speed [--json FILE]`."""

import argparse
import json
import os
import statistics
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

from local.client import Client
from local.paths import ROOT, SAMPLES
from local.stack.stack import Options, Stack

STARTS = 3
POSTS = 60
DROPS = 30
RUNS = 20
IMPORTS = 7
TEXT_BYTES = 2048
LOOK_EVERY_S = 0.02
ASKED_ABOUT = ("monitoring-guide.pdf", "server-metrics-february.csv")
QUESTIONS = (
    "What are the recommended alert thresholds for HTTP monitoring?",
    "What is the average response time by server in February? Create a chart.",
)
T = TypeVar("T")
IMPORT = "import time; t = time.perf_counter(); import function_app; print(time.perf_counter() - t)"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured thing; `values` in `unit`, of which the `judged_by` is held against the target."""

    name: str
    unit: str
    values: list[float]
    target: float
    judged_by: str = "p50"

    @property
    def statistics(self) -> dict[str, float]:
        """Median, 95th percentile (nearest rank) and maximum."""
        ordered = sorted(self.values)
        rank = max(0, -(-95 * len(ordered) // 100) - 1)
        return {"p50": statistics.median(ordered), "p95": ordered[rank], "max": ordered[-1]}

    @property
    def met(self) -> bool:
        """Whether the target was met."""
        return self.statistics[self.judged_by] < self.target


def main() -> int:
    """Measure everything, print the table, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures = [imports(), *over_the_stack()]
    Console().print(table(figures))
    if options.json:
        rows = [{**asdict(figure), **figure.statistics, "met": figure.met} for figure in figures]
        options.json.write_text(
            json.dumps({"cores": os.cpu_count(), "load": os.getloadavg(), "figures": rows}, indent=2) + "\n"
        )
    return 0


def imports() -> Figure:
    """`import function_app` in a fresh process; the first one, which may compile, is not counted."""
    command = [sys.executable, "-c", IMPORT]
    outputs = [subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout for _ in range(IMPORTS + 1)]
    return Figure(name="import function_app", unit="ms", values=[float(o) * 1000 for o in outputs[1:]], target=400)


def over_the_stack() -> Iterator[Figure]:
    """Everything that takes the real processes, measured one thing at a time."""
    ready_s = []
    with tempfile.TemporaryDirectory() as folder, ExitStack() as ending:
        options = Options(data=Path(folder, "data"), logs=Path(folder, "logs"))
        for _ in range(STARTS - 1):
            with Stack(options) as stack:
                ready_s.append(stack.ready_s)
        stack = ending.enter_context(Stack(options))
        ready_s.append(stack.ready_s)
        yield Figure(name="stack ready", unit="s", values=ready_s, target=4, judged_by="max")

        client = ending.enter_context(Client(stack.app_url, storage=stack.azurite.connection_string))
        client.wait_indexed({name: client.drop(SAMPLES / name, name) for name in ASKED_ABOUT}, on_final=lambda _: None)
        yield Figure(
            name="2 kB blob drop -> indexed", unit="s", values=[dropped(client, n) for n in range(DROPS)], target=1
        )

        posts_ms, lags_s = [], []
        blobs = ending.enter_context(BlobServiceClient.from_connection_string(stack.azurite.connection_string))
        openai = ending.enter_context(OpenAI(base_url=stack.service.base_url, api_key=stack.service.api_key))
        for number in range(POSTS):
            accepted = client.ask(QUESTIONS[number % len(QUESTIONS) if number < RUNS else 0])
            posts_ms.append(accepted.post_s * 1000)
            if number < RUNS:
                lags_s.append(lag(blobs, openai, accepted.id))
            client.wait(accepted, on_look=lambda _: None)
        yield Figure(name="POST /api/runs -> 202", unit="ms", values=posts_ms, target=40)
        yield Figure(name="engine finished -> answer.json", unit="s", values=lags_s, target=1, judged_by="max")


def dropped(client: Client, number: int) -> float:
    """Seconds from a blob's upload until the API says that it is indexed."""
    sentence = f"Server number {number} is restarted on Sundays by the maintenance team of the night shift. "
    text = (sentence * (TEXT_BYTES // len(sentence) + 1))[:TEXT_BYTES].encode()
    name = f"notes/note-{number}.txt"
    begun_s = time.monotonic()
    done = client.wait_indexed({name: client.drop_bytes(text, name)}, on_final=lambda _: None)
    if done.get(name, {}).get("status") != "indexed":
        raise SystemExit(f"{name} was not indexed: {done}")
    return time.monotonic() - begun_s


def lag(blobs: BlobServiceClient, openai: OpenAI, run_id: str) -> float:
    """Seconds from the service's own `completed` until the answer is in storage, each looked at every 20 ms."""

    def engine_run() -> str | None:
        record = json.loads(blobs.get_blob_client("state", f"runs/{run_id}.json").download_blob().readall())
        return str(record["engine_runs"][-1]) if record["engine_runs"] else None

    def answered() -> bool:
        try:
            blobs.get_blob_client("answers", f"{run_id}/answer.json").get_blob_properties()
        except ResourceNotFoundError:
            return False
        return True

    response_id = until(engine_run)
    until(lambda: openai.responses.retrieve(response_id).status not in ("queued", "in_progress"))
    finished_s = time.monotonic()
    until(answered)
    return time.monotonic() - finished_s


def until(look: Callable[[], T | None]) -> T:
    """What `look` sees once it sees something."""
    deadline_s = time.monotonic() + 60
    while not (seen := look()):
        if time.monotonic() > deadline_s:
            raise SystemExit("A run did not end within 60 s.")
        time.sleep(LOOK_EVERY_S)
    return seen


def table(figures: list[Figure]) -> Table:
    """The figures as people read them."""
    title = f"Speed ({os.cpu_count()} cores, {os.getloadavg()[1]:.1f} busy in the last 5 minutes)"
    rows = Table(title=title, box=box.SIMPLE)
    rows.add_column("measured", no_wrap=True)
    for name in ("n", "p50", "p95", "max", "target"):
        rows.add_column(name, justify="right", no_wrap=True)
    rows.add_column("")
    for figure in figures:
        digits = 0 if figure.unit == "ms" else 2
        values = [f"{figure.statistics[name]:.{digits}f} {figure.unit}" for name in ("p50", "p95", "max")]
        target = f"{figure.judged_by} < {figure.target:g} {figure.unit}"
        rows.add_row(figure.name, str(len(figure.values)), *values, target, "met" if figure.met else "missed")
    return rows


if __name__ == "__main__":
    sys.exit(main())
