"""How late answers are, and what waiting for them costs, under several ways to wait: a simulation, no clock involved.

`python -m bench.polling [--json FILE]`. Run lengths are spread evenly over the logarithm within each class; a look
takes 50 ms. Billed is memory of 2 GB times the time a function runs, at least 1 s an execution (Flex Consumption).
Source: https://learn.microsoft.com/azure/azure-functions/flex-consumption-plan#billing
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from shared.delays import look_delay_s

LOOK_S = 0.05
MEMORY_GB = 2.0
LEAST_BILLED_S = 1.0
CLASSES = {"0.3-10 s": (0.3, 10), "10-60 s": (10, 60), "1-10 min": (60, 600), "10-60 min": (600, 3600)}
RUNS = 2_000


@dataclass(frozen=True, kw_only=True)
class Way:
    """A way to wait. `inside`: the function stays and sleeps, so that all the time is billed."""

    name: str
    delay_s: Callable[[float], float]
    transactions_a_look: int
    executions_a_look: int = 1
    inside: bool = False


WAYS = (
    # Receive, read the record, write it, send the next message, delete this one.
    Way(name="this app", delay_s=look_delay_s, transactions_a_look=5),
    Way(name="tutorial: a loop of 2 s", delay_s=lambda _: 2, transactions_a_look=0, inside=True),
    Way(name="SDK: a loop of 1 s", delay_s=lambda _: 1, transactions_a_look=0, inside=True),
    # A timer, an orchestrator's replay and an activity: about ten of queue and table, two executions.
    Way(name="Durable, every 5 s", delay_s=lambda _: 5, transactions_a_look=10, executions_a_look=2),
    Way(name="Durable, every 10 s", delay_s=lambda _: 10, transactions_a_look=10, executions_a_look=2),
)


@dataclass(frozen=True, kw_only=True)
class Row:
    way: str
    runs: str
    lag_p50_s: float
    lag_p95_s: float
    lag_p95_share: float  # of the run's length
    looks: float
    transactions_per_1000: int
    gb_s_per_1000: int


def wait_for(way: Way, run_s: float) -> tuple[float, int]:
    """How late the end is seen, and at which look."""
    at_s, looks = way.delay_s(0.0) + LOOK_S, 1
    while at_s < run_s:
        at_s += way.delay_s(at_s) + LOOK_S
        looks += 1
    return at_s - run_s, looks


def measure(way: Way, name: str, bounds: tuple[float, float]) -> Row:
    rng = random.Random(7)  # the same runs for every way
    low, high = (math.log(bound) for bound in bounds)
    lengths = [math.exp(rng.uniform(low, high)) for _ in range(RUNS)]
    waits = [wait_for(way, run_s) for run_s in lengths]
    lags = sorted(lag for lag, _ in waits)
    shares = sorted(lag / run_s for (lag, _), run_s in zip(waits, lengths, strict=True))
    looks = statistics.mean(looks for _, looks in waits)
    if way.inside:
        billed_s = statistics.mean(run_s + lag for run_s, (lag, _) in zip(lengths, waits, strict=True))
    else:
        billed_s = looks * way.executions_a_look * LEAST_BILLED_S
    return Row(
        way=way.name,
        runs=name,
        lag_p50_s=round(statistics.median(lags), 2),
        lag_p95_s=round(lags[int(RUNS * 0.95)], 2),
        lag_p95_share=round(shares[int(RUNS * 0.95)], 3),
        looks=round(looks, 1),
        transactions_per_1000=round(looks * way.transactions_a_look * 1000),
        gb_s_per_1000=round(billed_s * MEMORY_GB * 1000),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = [measure(way, name, bounds) for name, bounds in CLASSES.items() for way in WAYS]
    table = Table(title="Waiting for runs (simulated, 2,000 runs a row)")
    table.add_column("runs")
    table.add_column("way to wait")
    for column in ("lag p50", "lag p95", "of the run", "looks", "transactions/1,000", "GB-s/1,000"):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(
            row.runs,
            row.way,
            f"{row.lag_p50_s:.2f} s",
            f"{row.lag_p95_s:.2f} s",
            f"{row.lag_p95_share:.0%}",
            f"{row.looks:.1f}",
            f"{row.transactions_per_1000:,}",
            f"{row.gb_s_per_1000:,}",
            end_section=row.way == WAYS[-1].name,
        )
    Console(width=120).print(table)
    minute = {way.name: wait_for(way, 60.0)[1] for way in WAYS}
    Console(width=120).print(f"Looks at a run of one minute: {', '.join(f'{k} {v}' for k, v in minute.items())}.")
    if arguments.json:
        figures = {"rows": [asdict(row) for row in rows], "looks_at_a_minute": minute}
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
