"""Kills, freezes and disturbs the processes of a stack, at random and one thing after the other.

It runs in the main thread: the kernel ends a process when the thread that started it ends.
"""

from __future__ import annotations

import logging
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from local.errors import ProcessDied
from local.stack.process import Process
from local.stack.stack import Stack, answers_200
from tests.acceptance import storage
from tests.chaos.clients import Gate
from tests.chaos.history import Fault, History

log = logging.getLogger(__name__)

HEALTHY_WITHIN_S = 600.0
SAVED_WITHIN_S = 120.0
PATHS = ("/files*", "/vector_stores*", "/responses*", "/containers*", "/*")


class Nemesis:
    """`run` disturbs for a time; `heal` takes all faults away."""

    def __init__(self, stack: Stack, *, history: History, gate: Gate, seed: str) -> None:
        assert stack.emulator
        self._stack = stack
        self._emulator = stack.emulator
        self._history = history
        self._gate = gate
        self._random = random.Random(seed)

    def run(self, seconds: float) -> None:
        """Disturb for at least this long."""
        ends_s = time.monotonic() + seconds
        deeds: dict[Callable[[], None], int] = {
            self._kill_host: 4,
            self._kill_emulator: 3,
            self._freeze: 3,
            self._fault_rules: 6,
            self._kill_azurite: 1,
        }
        while time.monotonic() < ends_s:
            time.sleep(min(self._random.uniform(0.5, 5), max(0, ends_s - time.monotonic())))
            [deed] = self._random.choices(list(deeds), list(deeds.values()))
            deed()

    def heal(self) -> None:
        """Remove the rules, and start each process again."""
        for process in (self._emulator, self._stack.host):
            process.kill()
            process.start()
        self._wait_healthy()
        self._admin("DELETE")

    @contextmanager
    def _noted(self, what: str) -> Iterator[None]:
        fault = Fault(what=what, began_s=self._history.now_s())
        self._history.faults.append(fault)
        log.warning("%s", what)
        yield
        fault.ended_s = self._history.now_s()

    # ---- what it does ----------------------------------------------------------------------------------------------

    def _kill_host(self) -> None:
        self._kill(self._stack.host)

    def _kill_emulator(self) -> None:
        self._kill(self._emulator)

    def _kill(self, process: Process) -> None:
        with self._noted(f"kill -9 of {process.name}"):
            process.kill()
            time.sleep(self._random.choice((0, 0, self._random.uniform(0, 5))))
            process.start()
            self._wait_healthy()

    def _freeze(self) -> None:
        process = self._random.choice(self._stack.processes)
        seconds = self._random.uniform(1, 20)
        with self._noted(f"freeze of {process.name} for {seconds:.1f} s"), frozen(process):
            time.sleep(seconds)

    def _fault_rules(self) -> None:
        """Rules hold until the next ones come; a kill of the emulator ends them."""
        rules = [self._rule() for _ in range(self._random.randint(0, 3))]
        with self._noted(f"rules {rules}"):
            self._admin("DELETE")
            for rule in rules:
                self._admin("POST", json=rule)

    def _rule(self) -> dict[str, Any]:
        kind = self._random.choice(
            (
                {"status": 429, "retry_after_ms": self._random.choice((0, 500, 3_000))},
                {"status": 500},
                {"status": 503},
                {"drop": "before"},
                {"drop": "after"},
                {"drop": "after"},
                {"delay_ms": self._random.randint(100, 6_000)},
                {"delay_ms": self._random.randint(100, 6_000), "drop": "after"},
            )
        )
        return {
            "path": self._random.choice(PATHS),
            "method": self._random.choice((None, "POST", "DELETE", "DELETE")),
            "probability": self._random.choice((0.2, 0.5, 1.0)),
            "count": self._random.choice((1, 5, 30, 200)),
            "seed": self._random.randint(0, 1_000_000),
            **kind,
        }

    def _kill_azurite(self) -> None:
        """Azurite saves every five seconds; it is killed when all that it acknowledged is saved."""
        with self._noted("kill -9 of azurite after its save"), self._gate.held(), frozen(self._stack.host):
            for n in range(2):  # the second save of all files began after the first probe
                self._wait_saved(f"probe-{self._random.randint(0, 10**9)}-{n}")
            self._stack.azurite.process.kill()
            self._stack.azurite.start()
            self._stack.azurite.wait_ready(within_s=HEALTHY_WITHIN_S)
        self._wait_healthy()

    def _wait_saved(self, probe: str) -> None:
        """Write a probe into blobs and queues, and wait until the files on disk have it."""
        folder = self._stack.options.data / "azurite"
        with storage.blobs(self._stack) as blobs, storage.queues(self._stack) as queues:
            began_s = time.time()
            container, queue = blobs.create_container(probe), queues.create_queue(probe)
            container.upload_blob("probe", b"probe")
            queue.send_message("probe")
            names = ("__azurite_db_blob__.json", "__azurite_db_queue__.json")
            storage.wait_until(lambda: all(has(folder / name, probe) for name in names), within_s=SAVED_WITHIN_S)
            extents = [folder / name.replace("__.json", "_extent__.json") for name in names]
            storage.wait_until(
                lambda: all(file.stat().st_mtime >= began_s for file in extents), within_s=SAVED_WITHIN_S
            )
            container.delete_container()
            queue.delete_queue()

    # ---- for all of them -------------------------------------------------------------------------------------------

    def _wait_healthy(self) -> None:
        """Wait until emulator and host answer, also on a slow machine.

        Raises:
            ProcessDied: a process ended, or does not answer.
        """
        addresses = [(self._stack.emulator_url, "/healthz"), (self._stack.app_url, "/api/health")]
        deadline_s = time.monotonic() + HEALTHY_WITHIN_S
        while not all(answers_200(url.removeprefix("http://"), path) for url, path in addresses):
            if time.monotonic() > deadline_s:
                raise self._stack.host.late(HEALTHY_WITHIN_S)
            if ended := self._stack.ended_process():
                raise ended.died()
            time.sleep(0.1)

    def _admin(self, method: str, **more: Any) -> None:
        with httpx2.Client(
            base_url=self._stack.emulator_url,
            headers={"api-key": self._stack.admin_key},
            trust_env=False,
            timeout=HEALTHY_WITHIN_S,
        ) as http:
            http.request(method, "/admin/faults", **more).raise_for_status()


@contextmanager
def frozen(process: Process) -> Iterator[None]:
    """SIGSTOP to the process and its children; they go on when the block ends."""
    if not signal_group(process.pid, signal.SIGSTOP):
        raise ProcessDied(f"{process.name} has ended.")
    try:
        yield
    finally:
        signal_group(process.pid, signal.SIGCONT)


def has(file: Path, text: str) -> bool:
    return file.exists() and text in file.read_text(errors="replace")


def signal_group(pid: int, number: signal.Signals) -> bool:
    """Signal a process and its children. False: it has ended."""
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return False
    return True
