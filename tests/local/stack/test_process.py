"""Processes: their logs, their end with all children, and their end when the parent dies."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from local.errors import ProcessDied
from local.paths import ROOT
from local.stack.process import Process
from local.stack.system import has_ended

PRINT_AND_SLEEP = "import time; print('up', flush=True); time.sleep(60)"
PRINT_PID_AND_SLEEP = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
SPAWN = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {PRINT_PID_AND_SLEEP!r}])"
IGNORE_SIGTERM = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def wait_for(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def gone(pid: int) -> bool:
    """Whether a process has ended; a zombie counts as ended."""
    try:
        return has_ended(pid) or Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_the_error_of_an_ended_process_has_its_last_lines(tmp_path: Path) -> None:
    process = Process(
        "azurite", [sys.executable, "-c", "print('no port left'); raise SystemExit(3)"], log=tmp_path / "log"
    )
    with process, pytest.raises(ProcessDied, match=r"(?s)azurite ended with exit code 3.*no port left") as caught:
        process.wait_until(lambda: False, within_s=10)
    assert str(tmp_path / "log") in caught.value.advice


def test_a_process_that_is_not_ready_in_time_raises(tmp_path: Path) -> None:
    with (
        Process("emulator", [sys.executable, "-c", PRINT_AND_SLEEP], log=tmp_path / "log") as process,
        pytest.raises(ProcessDied, match="emulator was not ready"),
    ):
        process.wait_until(lambda: False, within_s=0.05)


def test_the_error_of_a_killed_process_names_the_signal(tmp_path: Path) -> None:
    with Process("host", [sys.executable, "-c", PRINT_AND_SLEEP], log=tmp_path / "log") as process:
        process.wait_until(lambda: "up" in process.output(), within_s=10)
        os.kill(process.pid, signal.SIGKILL)
        wait_for(lambda: not process.alive)
        assert "host was ended by SIGKILL" in str(process.died())


def test_stop_ends_children_too(tmp_path: Path) -> None:
    process = Process("host", [sys.executable, "-c", SPAWN], log=tmp_path / "log")
    with process:
        process.wait_until(lambda: process.output().endswith("\n"), within_s=10)
        grandchild = int(process.output())
    wait_for(lambda: gone(grandchild))


def test_stop_kills_a_process_that_ignores_sigterm(tmp_path: Path) -> None:
    process = Process("host", [sys.executable, "-c", IGNORE_SIGTERM], log=tmp_path / "log")
    process.start()
    process.wait_until(lambda: "up" in process.output(), within_s=10)
    process.stop(grace_s=0.05)
    assert not process.alive


def test_output_is_only_that_since_the_last_start(tmp_path: Path) -> None:
    process = Process("host", [sys.executable, "-c", "print('once')"], log=tmp_path / "log")
    for _ in range(2):
        process.start()
        wait_for(lambda: not process.alive)
    assert process.output() == "once\n"
    assert process.log.read_text() == "once\nonce\n"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_a_process_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    code = f"""
import sys, time
from pathlib import Path
from local.stack.process import Process
process = Process("host", [sys.executable, "-c", {PRINT_AND_SLEEP!r}], log=Path({str(tmp_path / "log")!r}))
process.start()
process.wait_until(lambda: "up" in process.output(), within_s=10)
print(process.pid, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert not gone(child)
        parent.kill()
    wait_for(lambda: gone(child))
