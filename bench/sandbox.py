"""Times of a code interpreter session: `python -m bench.sandbox [--rounds N] [--json FILE]`."""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Awaitable
from pathlib import Path

from local.openai_emulator.sandbox import Sandbox

CHART = "import matplotlib.pyplot as plt\nplt.plot([1, 3, 2])\nplt.show()"


async def timed(work: Awaitable[object]) -> float:
    """The duration in milliseconds."""
    began = time.perf_counter()
    await work
    return (time.perf_counter() - began) * 1000


async def measure(rounds: int) -> dict[str, list[float]]:
    """The durations in ms by name, one per round."""
    sandbox = Sandbox()
    found: dict[str, list[float]] = {"start, proof of isolation included": [await timed(sandbox.start())]}
    for _ in range(rounds):
        began = time.perf_counter()
        session = await sandbox.open()
        await session.run("1 + 1")
        found.setdefault("open to first line, spare ready", []).append((time.perf_counter() - began) * 1000)
        found.setdefault("first chart", []).append(await timed(session.run(CHART)))
        found.setdefault("next cell", []).append(await timed(session.run("1 + 1")))
        found.setdefault("next chart", []).append(await timed(session.run(CHART)))
        found.setdefault("close", []).append(await timed(session.close()))
        began = time.perf_counter()
        session = await sandbox.open()  # takes the spare session, or waits for it
        if round_is_cold := (time.perf_counter() - began) > 0.05:
            found.setdefault("open, spare not ready yet", []).append((time.perf_counter() - began) * 1000)
        await session.close()
        await asyncio.sleep(3 if round_is_cold else 0)  # until the next spare session is ready
    await sandbox.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found = asyncio.run(measure(arguments.rounds))
    print(f"{'':38}{'median ms':>12}{'min':>10}{'max':>10}")
    for name, values in found.items():
        print(f"{name:38}{statistics.median(values):12.1f}{min(values):10.1f}{max(values):10.1f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
