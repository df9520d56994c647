"""Many runs started at the same time: `python -m bench.load [--runs N] [--json FILE]`.

The benchmark fails unless every run completes exactly once: one record, one engine run and one answer per question.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx2
from azure.storage.blob import BlobServiceClient
from rich.console import Console
from rich.table import Table

from bench.common.figures import Percentiles
from bench.common.processes import memory_mb
from bench.common.stacks import fresh_stack
from local.stack.stack import Stack

RUNS = 200
POLL_EVERY_S = 0.5
WITHIN_S = 600
PAGE = 100
FINAL = {"completed", "incomplete", "failed", "cancelled", "expired"}


@dataclass(frozen=True, kw_only=True)
class Load:
    """The result. Memory is the host's resident memory."""

    runs: int
    accept_p50_s: float
    accept_p95_s: float
    all_accepted_s: float
    all_done_s: float
    answers_per_s: float
    run_p50_s: float  # created -> finished, from the runs' own timings
    run_p95_s: float
    memory_before_mb: float
    memory_after_mb: float
    statuses: dict[str, int]


async def measure(stack: Stack, count: int) -> Load:
    """Start `count` runs at once and wait until all have ended.

    Raises:
        AssertionError: a run is missing, did not complete or ran twice.
    """
    before_mb = memory_mb(stack.host.pid)
    limits = httpx2.Limits(max_connections=count)
    async with httpx2.AsyncClient(
        base_url=f"{stack.app_url}/api", timeout=WITHIN_S, limits=limits, trust_env=False
    ) as http:
        start_s = time.monotonic()
        accepted = await asyncio.gather(*(post(http, n) for n in range(count)))
        all_accepted_s = time.monotonic() - start_s
        ids = {run_id for run_id, _ in accepted}
        await until_done(http, ids, start_s)
        all_done_s = time.monotonic() - start_s
        answers = [(await http.get(f"/runs/{run_id}")).json() for run_id in ids]
    assert_completed_once(stack, ids, count)
    accept_s = Percentiles.of([seconds for _, seconds in accepted])
    run_s = Percentiles.of([answer["timings"]["total_ms"] / 1000 for answer in answers])
    return Load(
        runs=count,
        accept_p50_s=round(accept_s.p50, 2),
        accept_p95_s=round(accept_s.p95, 2),
        all_accepted_s=round(all_accepted_s, 2),
        all_done_s=round(all_done_s, 2),
        answers_per_s=round(count / all_done_s, 1),
        run_p50_s=round(run_s.p50, 2),
        run_p95_s=round(run_s.p95, 2),
        memory_before_mb=round(before_mb),
        memory_after_mb=round(memory_mb(stack.host.pid)),
        statuses=dict(Counter(answer["status"] for answer in answers)),
    )


async def post(http: httpx2.AsyncClient, n: int) -> tuple[str, float]:
    """Start a run; return its id and the seconds until the 202."""
    start_s = time.monotonic()
    response = await http.post("/runs", json={"question": f"What does document {n} say?"})
    assert response.status_code == 202, response.text
    return str(response.json()["id"]), time.monotonic() - start_s


async def until_done(http: httpx2.AsyncClient, ids: set[str], start_s: float) -> None:
    """Poll the list of runs: that is less work for the host than one request per run."""
    while True:
        left, cursor = set(ids), None
        while left:
            page = (await http.get("/runs", params={"limit": PAGE, **({"cursor": cursor} if cursor else {})})).json()
            left -= {run["id"] for run in page["runs"] if run["status"] in FINAL}
            if (cursor := page["cursor"]) is None:
                break
        if not left:
            return
        assert time.monotonic() - start_s < WITHIN_S, f"{len(left)} of {len(ids)} runs have not ended."
        await asyncio.sleep(POLL_EVERY_S)


def assert_completed_once(stack: Stack, ids: set[str], count: int) -> None:
    """Raises: AssertionError: two runs share an id or an engine run, or a run has no completed answer."""
    assert len(ids) == count, f"{count - len(ids)} runs have the id of another run."
    engine_runs = set()
    with BlobServiceClient.from_connection_string(stack.azurite.connection_string) as service:
        state, answers = service.get_container_client("state"), service.get_container_client("answers")
        for run_id in ids:
            record = json.loads(state.download_blob(f"runs/{run_id}.json").readall())
            answer = json.loads(answers.download_blob(f"{run_id}/answer.json").readall())
            assert answer["status"] == record["status"] == "completed", answer
            assert len(record["engine_runs"]) == 1, record
            engine_runs.add(record["engine_runs"][0])
    assert len(engine_runs) == count


def load_table(load: Load) -> Table:
    table = Table(title=f"{load.runs} runs at once through the local stack")
    table.add_column("measured")
    table.add_column("figure", justify="right")
    table.add_row("accepted, p50", f"{load.accept_p50_s:.2f} s")
    table.add_row("accepted, p95", f"{load.accept_p95_s:.2f} s")
    table.add_row("all accepted after", f"{load.all_accepted_s:.1f} s")
    table.add_row("all done after", f"{load.all_done_s:.1f} s")
    table.add_row("answers per second", f"{load.answers_per_s:.1f}")
    table.add_row("created -> finished, p50", f"{load.run_p50_s:.1f} s")
    table.add_row("created -> finished, p95", f"{load.run_p95_s:.1f} s")
    table.add_row("host's memory", f"{load.memory_before_mb:.0f} -> {load.memory_after_mb:.0f} MB")
    table.add_row("ended as", ", ".join(f"{n} {status}" for status, n in load.statuses.items()))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with fresh_stack() as (stack, _):
        load = asyncio.run(measure(stack, arguments.runs))
    Console(width=100).print(load_table(load))
    if arguments.json:
        arguments.json.write_text(json.dumps(asdict(load), indent=2) + "\n")


if __name__ == "__main__":
    main()
