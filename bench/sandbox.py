"""Times and memory of code interpreter sessions, beside a plain Python: `python -m bench.sandbox [--json FILE]`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Iterator
from pathlib import Path
from unittest import mock

from local.openai_emulator.sandbox import Sandbox, SandboxUnavailable, jail
from local.openai_emulator.sandbox import sandbox as sandbox_module
from local.openai_emulator.sandbox.tiers import Bubblewrap, Forking, Isolation, Landlock
from local.openai_emulator.sandbox.watchdog import processes, proportional_bytes

CHART = "import matplotlib.pyplot as plt\nplt.plot([1, 3, 2])\nplt.show()"
PLAIN = f"import numpy, pandas\n{CHART.replace('plt.show()', '')}plt.savefig('/dev/null', dpi=150, format='png')"
MIB = 1024 * 1024

Found = dict[str, list[float]]


async def timed(work: Awaitable[object]) -> float:
    """The duration in milliseconds."""
    began = time.perf_counter()
    await work
    return (time.perf_counter() - began) * 1000


async def first_line(sandbox: Sandbox, found: Found, name: str) -> None:
    """Open a session, run a first line and a first chart, and close it."""
    began = time.perf_counter()
    session = await sandbox.open()
    await session.run("1 + 1")
    found.setdefault(f"{name}, first line", []).append((time.perf_counter() - began) * 1000)
    found.setdefault("first chart", []).append(await timed(session.run(CHART)))
    found.setdefault("next cell", []).append(await timed(session.run("1 + 1")))
    found.setdefault("next chart", []).append(await timed(session.run(CHART)))
    found.setdefault("close", []).append(await timed(session.close()))


async def ready(sandbox: Sandbox) -> None:
    """Wait until the spare session has started."""
    assert sandbox._spare is not None
    await asyncio.wait([sandbox._spare])


async def measure(tier: int, rounds: int, sessions: int) -> Found:
    """The values by name: ms, one per round, and MiB. Sessions are forked if the machine allows it.

    Raises:
        SandboxUnavailable: this machine has not got the tier.
    """
    sandbox = Sandbox(tiers=(tier,), trusted=True)
    found: Found = {"start, proof of isolation included": [await timed(sandbox.start())]}
    for _ in range(rounds):
        await ready(sandbox)
        await first_line(sandbox, found, "spare ready")
        await ready(sandbox)
        spare = await sandbox.open()  # so that the next one starts only now
        await first_line(sandbox, found, "no spare")
        await spare.close()
    await sandbox.close()
    if tier < 3:
        found[f"{sessions} live sessions, MiB"] = [await memory_mib(tier, sessions)]
    return found


async def memory_mib(tier: int, sessions: int) -> float:
    """The proportional memory of that many sessions that have drawn a chart, and of what they were forked from."""
    sandbox = Sandbox(tiers=(tier,), trusted=True)
    await sandbox.start()
    opened = [await sandbox.open() for _ in range(sessions)]
    for session in opened:
        await session.run(CHART)
    pids = {pid for session in opened for pid in processes(session.init_pid)}
    if isinstance(isolation := sandbox._isolation, Forking) and isolation.server:
        pids |= set(processes(isolation.server.init_pid or isolation.server.server_pid))
    size = sum(proportional_bytes(pid) for pid in pids)
    await sandbox.close()
    return size / MIB


@contextlib.contextmanager
def without_fork_server() -> Iterator[None]:
    """Every session does its own imports."""

    def alone(number: int) -> Iterator[Isolation]:
        return iter([Landlock()]) if number == 2 else map(Bubblewrap, jail.bwraps())

    with mock.patch.object(sandbox_module, "isolations", alone):
        yield


def plain(rounds: int) -> Found:
    """The same without isolation: a new interpreter each time, its end included."""
    found: Found = {}
    for name, code in (("python -I, first line", "1 + 1"), ("python -I, first chart", PLAIN)):
        for _ in range(rounds):
            began = time.perf_counter()
            subprocess.run([sys.executable, "-I", "-c", code], check=True, env={"MPLBACKEND": "Agg", "HOME": "/tmp"})
            found.setdefault(name, []).append((time.perf_counter() - began) * 1000)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    print(f"{'ms':56}{'median':>10}{'min':>10}{'max':>10}")
    all_found = {"plain": plain(arguments.rounds)}
    ways: list[tuple[str, int, contextlib.AbstractContextManager[None]]] = [
        ("tier 1", 1, contextlib.nullcontext()),
        ("tier 1, not forked", 1, without_fork_server()),
        ("tier 2", 2, contextlib.nullcontext()),
        ("tier 2, not forked", 2, without_fork_server()),
    ]
    for name, tier, way in ways:
        try:
            with way:
                all_found[name] = asyncio.run(measure(tier, arguments.rounds, arguments.sessions))
        except SandboxUnavailable as exc:
            print(f"{name}: {exc}")
    for where, found in all_found.items():
        for name, values in found.items():
            print(f"{where + ': ' + name:56}{statistics.median(values):10.1f}{min(values):10.1f}{max(values):10.1f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(all_found, indent=2))


if __name__ == "__main__":
    main()
