"""One process of the stack: started in a group of its own, watched by its log, ended whole."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from local.errors import ProcessDied

TIED = Path(__file__).with_name("tied.py")
LOOK_EVERY_S = 0.01


class Process:
    """A command whose output goes to an append-only log file.

    Args:
        name: As people see it, "azurite".
        command: Program and arguments.
        log: Where standard output and error go; never cut, so that it can be followed.
        environ: The whole environment; this process's own when None.
        cwd: The folder it starts in.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        environ: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.name = name
        self.command = list(command)
        self.log = log
        self.environ = environ
        self.cwd = cwd
        self._popen: subprocess.Popen[bytes] | None = None
        self._log_start_bytes = 0

    def start(self) -> None:
        """Start it and return at once. Call this from a thread that lives on: the process is tied to it."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self._log_start_bytes = output.tell()
            self._popen = subprocess.Popen(
                [sys.executable, "-I", "-S", str(TIED), str(os.getpid()), *self.command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self.environ,
                cwd=self.cwd,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Of the running process and of its group."""
        if self._popen is None:
            raise ProcessDied(f"{self.name} was never started.")
        return self._popen.pid

    @property
    def alive(self) -> bool:
        """Whether it runs now."""
        return self._popen is not None and self._popen.poll() is None

    def output(self) -> str:
        """What it has written since it was last started."""
        with self.log.open("rb") as log:
            log.seek(self._log_start_bytes)
            return log.read().decode(errors="replace")

    def wait_until(self, ready: Callable[[], bool], *, within_s: float) -> None:
        """Wait for a condition, and raise `ProcessDied` when the process ends first or the time is over."""
        deadline = time.monotonic() + within_s
        while not ready():
            if not self.alive:
                raise self.died()
            if time.monotonic() > deadline:
                raise self.late(within_s)
            time.sleep(LOOK_EVERY_S)

    def died(self) -> ProcessDied:
        """The error that says how it ended and what it said last."""
        code = self._popen.poll() if self._popen else None
        how = f"was ended by {signal.Signals(-code).name}" if code and code < 0 else f"ended with exit code {code}"
        return ProcessDied(f"{self.name} {how}.{self._last_lines()}", self._advice())

    def late(self, within_s: float) -> ProcessDied:
        """The error that says that it runs but was not ready in time."""
        return ProcessDied(f"{self.name} was not ready within {within_s:.0f} s.{self._last_lines()}", self._advice())

    def _last_lines(self, count: int = 12) -> str:
        lines = self.output().strip().splitlines()[-count:]
        return " Its last lines:" + "".join(f"\n    {line}" for line in lines) if lines else " It wrote nothing."

    def _advice(self) -> str:
        return f"The whole log is {self.log}."

    def ask_to_end(self) -> None:
        """SIGTERM, without waiting."""
        if self._popen is not None:
            signal_group(self._popen.pid, signal.SIGTERM)

    def stop(self, *, grace_s: float = 5.0) -> None:
        """End it and every process of its group: SIGTERM, then SIGKILL after `grace_s`. Stopping twice does nothing."""
        if self._popen is None:
            return
        signal_group(self._popen.pid, signal.SIGTERM if grace_s else signal.SIGKILL)
        try:
            self._popen.wait(grace_s or None)
        except subprocess.TimeoutExpired:
            pass
        finally:
            signal_group(self._popen.pid, signal.SIGKILL)  # what its leader left behind
            self._popen.wait()
            self._popen = None

    def kill(self) -> None:
        """End it as a crash would: SIGKILL to the whole group, nothing is finished."""
        self.stop(grace_s=0)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def signal_group(pid: int, number: signal.Signals) -> bool:
    """Send a signal to the group that `pid` leads; False when there is none any more."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True
