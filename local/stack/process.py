"""A process of the stack: it runs in its own process group, logs to a file and is stopped with its children."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from local.errors import ProcessDied
from local.private import OTHERS, private_file
from local.stack.system import OWN_GROUP, end_group

TIED = Path(__file__).with_name("tied.py")
POLL_EVERY_S = 0.01


class Process:
    """A command whose output goes to an append-only log file.

    Args:
        name: For messages, such as "azurite".
        command: Program and arguments.
        log: Standard output and error are appended to it.
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
        """Start the process without waiting.

        Call this from the main thread: the kernel ends the process when the calling thread ends.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with private_file(self.log).open("ab") as output:
            self._log_start_bytes = output.tell()
            self._popen = subprocess.Popen(
                [*tie(), *self.command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self.environ,
                cwd=self.cwd,
                umask=OTHERS,
                **OWN_GROUP,
            )

    @property
    def pid(self) -> int:
        """Id of the process and of its process group."""
        if self._popen is None:
            raise ProcessDied(f"{self.name} was never started.")
        return self._popen.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._popen is not None and self._popen.poll() is None

    def output(self) -> str:
        """The output since the last start."""
        with self.log.open("rb") as log:
            log.seek(self._log_start_bytes)
            return log.read().decode(errors="replace")

    def wait_until(self, ready: Callable[[], bool], *, within_s: float) -> None:
        """Wait for a condition.

        Raises:
            ProcessDied: the process ended, or the condition was not met within `within_s`.
        """
        deadline = time.monotonic() + within_s
        while not ready():
            if not self.alive:
                raise self.died()
            if time.monotonic() > deadline:
                raise self.late(within_s)
            time.sleep(POLL_EVERY_S)

    def died(self) -> ProcessDied:
        """The error for a process that ended, with its exit code or signal and its last lines."""
        code = self._popen.poll() if self._popen else None
        how = f"was ended by {signal.Signals(-code).name}" if code and code < 0 else f"ended with exit code {code}"
        return ProcessDied(f"{self.name} {how}.{self._last_lines()}", self._advice())

    def late(self, within_s: float) -> ProcessDied:
        """The error for a process that runs but was not ready in time."""
        return ProcessDied(f"{self.name} was not ready within {within_s:.0f} s.{self._last_lines()}", self._advice())

    def _last_lines(self, count: int = 12) -> str:
        lines = self.output().strip().splitlines()[-count:]
        return " Its last lines:" + "".join(f"\n    {line}" for line in lines) if lines else " It wrote nothing."

    def _advice(self) -> str:
        return f"The whole log is {self.log}."

    def terminate(self) -> None:
        """Send SIGTERM to the process group without waiting."""
        if self._popen is not None:
            end_group(self._popen.pid, kill=False)

    def stop(self, *, grace_s: float = 5.0) -> None:
        """Stop the process group: SIGTERM, and SIGKILL after `grace_s`. Does nothing if it was stopped before."""
        if self._popen is None:
            return
        end_group(self._popen.pid, kill=not grace_s)
        try:
            self._popen.wait(grace_s or None)
        except subprocess.TimeoutExpired:
            pass
        finally:
            end_group(self._popen.pid, kill=True)  # children that are still running
            self._popen.wait()
            self._popen = None

    def kill(self) -> None:
        """Send SIGKILL to the process group, as in a crash."""
        self.stop(grace_s=0)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def tie() -> list[str]:
    """The words before a command that end it when this process ends; on Windows none, since a process cannot become
    another one there.
    """
    return [] if sys.platform == "win32" else [sys.executable, "-I", "-S", str(TIED), str(os.getpid())]
