"""Clients write and ask while the processes are killed, frozen and disturbed at random; afterwards all must be right.

`make chaos SEED=7 SECONDS=600` runs it for longer. The choices come from the seed; what they meet depends on the
machine, so the same seed need not fail twice.
"""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from local.stack.stack import Options, Stack
from tests.acceptance.conftest import CALLBACK_SECRET
from tests.acceptance.receiver import Receiver
from tests.chaos import aftermath, checks, contents
from tests.chaos.askers import Asker
from tests.chaos.clients import Client, Site, api_client
from tests.chaos.history import History
from tests.chaos.nemesis import Nemesis
from tests.chaos.writer import Watcher, Writer
from tests.forked import forked

pytestmark = [pytest.mark.long, pytest.mark.acceptance]
log = logging.getLogger(__name__)

SEED = int(os.environ.get("CHAOS_SEED") or 1)
SECONDS = float(os.environ.get("CHAOS_SECONDS") or 60)
CALM_S = 20.0
WRITERS, ASKERS = 2, 3
ENDED_WITHIN_S = 300.0  # a client's last operation
CALM_WITHIN_S = 900.0
RIGHT_WITHIN_S = float(os.environ.get("CHAOS_RIGHT_WITHIN_S") or 900)
EVENTS_MAX = 12  # of each violation's history on the screen; the file has all


@dataclass
class World:
    stack: Stack
    receiver: Receiver
    site: Site
    folder: Path


@pytest.fixture
def world(tmp_path: Path, plain_environ: dict[str, str]) -> Iterator[World]:
    """A stack of its own, whose Azurite keeps its data on disk."""
    environ = {
        **plain_environ,
        "SWEEP_SCHEDULE": "*/5 * * * * *",
        "CALLBACK_HOSTS": "127.0.0.1",
        "CALLBACK_ALLOW_PRIVATE": "true",
        "CALLBACK_SECRET": CALLBACK_SECRET,
    }
    stack = Stack(Options(data=tmp_path / "data", logs=tmp_path / "logs", keep=True), environ=environ)
    stack.host.command[stack.host.command.index("local.functions_host")] = "tests.chaos.host"
    answers = [503 if n % 10 == SEED % 10 else 200 for n in range(10_000)]  # never two refusals in a row
    with Receiver(answers=answers) as receiver, forked(stack):
        with api_client(stack.app_url) as http:
            hook = {"callback_url": f"{receiver.url}{aftermath.HOOK}", "events": ["document.removed"]}
            http.post("/hooks", json=hook).raise_for_status()
        site = Site(
            app_url=stack.app_url,
            storage=stack.azurite.connection_string,
            callback_url=f"{receiver.url}{aftermath.CALLBACK}",
        )
        yield World(stack, receiver, site, tmp_path)


def test_without_faults_all_is_right(world: World) -> None:
    play(world, lambda _: time.sleep(CALM_S))


def test_after_random_faults_all_is_right(world: World) -> None:
    play(world, lambda nemesis: nemesis.run(SECONDS))


def play(world: World, disturb: Callable[[Nemesis], None]) -> None:
    """Let the clients work during `disturb`, heal, and check what is left."""
    items, site = contents.catalogue(), world.site
    watcher, last = Watcher(items, site), Asker(items, site, seed=f"{SEED}-last")
    clients: list[Client] = [Writer(items[n::WRITERS], site, seed=f"{SEED}-writer-{n}") for n in range(WRITERS)]
    clients += [Asker(items, site, seed=f"{SEED}-asker-{n}") for n in range(ASKERS)]
    nemesis = Nemesis(world.stack, history=site.history, gate=site.gate, seed=f"{SEED}-nemesis")
    with ExitStack() as ends:
        for client in (last, watcher, *clients):
            ends.callback(client.stop, within_s=ENDED_WITHIN_S)
        for client in (watcher, *clients):
            client.start()
        disturb(nemesis)
        for client in clients:
            client.stopped.set()
        for client in clients:
            client.stop(within_s=ENDED_WITHIN_S)
        nemesis.heal()
        survey = aftermath.Survey(world.stack, world.receiver, items)
        log.warning("Healed; waiting for the end of all runs and messages")
        survey.wait_calm(within_s=CALM_WITHIN_S)
        watcher.look()
        for item in items * 2:  # a second question about an item can continue a thread
            last.ask(item)
        found = settled(world, survey, items)
    assert not found, report(world, found)


def settled(world: World, survey: aftermath.Survey, items: list[contents.Item]) -> list[checks.Violation]:
    """The violations that are left when all that waiting can mend is mended. Reconcile is the last net."""
    deadline_s = time.monotonic() + RIGHT_WITHIN_S
    while True:
        survey.wait_calm(within_s=max(1, deadline_s - time.monotonic()))
        survey.reconcile(dry_run=False)
        survey.wait_calm(within_s=max(1, deadline_s - time.monotonic()))
        found = checks.violations(world.site.history, survey.collect(), items)
        if all(one.lasts for one in found) or time.monotonic() > deadline_s:
            return found
        log.warning("Not right yet: %s", dict(Counter(one.kind for one in found)))
        time.sleep(5)


def report(world: World, found: list[checks.Violation]) -> str:
    """The violations, each with the history of its path and run; all faults; where the rest is, and what to do."""
    history = world.site.history
    lines = [f"{len(found)} violations with seed {SEED} and {SECONDS:.0f} s:"]
    lines += [f"* {one.kind}: {one.path or ''} {one.run_id or ''} {one.detail}" for one in found]
    for one in found:
        about = sorted(set(history.about(path=one.path)) | set(history.about(run_id=one.run_id)))
        lines += ["", f"{one.kind} {one.path or ''} {one.run_id or ''}", *about]
    schedule = ["", "The faults:", *(f"{f.began_s:8.2f} s  {f.what}"[:160] for f in history.faults)]
    file = world.folder / "chaos.txt"
    file.write_text("\n".join([*lines, *schedule]))
    counts = f"{len(history.operations)} writes, {len(history.questions)} questions, {len(history.faults)} faults"
    return "\n".join(
        [
            *lines[: 1 + len(found)],
            *schedule,
            *shortest(history, found),
            f"{counts}. All histories are in {file}, the logs in {world.folder / 'logs'}.",
            f"To try again: make chaos SEED={SEED} SECONDS={SECONDS:.0f}",
        ]
    )


def shortest(history: History, found: list[checks.Violation]) -> list[str]:
    """The shortest history of a path or run that explains a violation, and its end at least."""
    about = [history.about(path=one.path, run_id=one.run_id) for one in found]
    best = min((lines for lines in about if lines), key=len, default=[])
    return ["", "The shortest of their histories:", *best[-EVENTS_MAX:], ""]
