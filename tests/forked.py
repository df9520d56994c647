"""Starts `python -m MODULE` in a copy of a process that has imported what it needs: most of a start is imports.

For tests that start a process of the stack again and again. What runs then is the same: `__main__` of the module, in
a process group of its own, with its output in the log. Variables that Python itself reads at its start have no effect.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.context import ForkServerProcess
from typing import cast

from local.private import OTHERS, private_file
from local.stack.process import Process
from local.stack.stack import Stack

IMPORTED = (  # by the emulator, by the host, and by the app at its first requests
    "local.openai_emulator.__main__",
    "local.openai_emulator.server",
    "local.functions_host.__main__",
    "azure.storage.blob.aio",
    "azure.storage.queue.aio",
    "openai",
    "openai.resources.responses",
    "openai.resources.vector_stores",
    "shared.services",
    "uvicorn",
    "uvloop",
)
PR_SET_PDEATHSIG = 1


class Forked(Process):
    """The same command as that of another process; its first words are `python -m MODULE`."""

    def start(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        private_file(self.log).touch()
        self._log_start_bytes = self.log.stat().st_size
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__, *IMPORTED])
        arguments = (self.command[2], self.command[3:], dict(self.environ or os.environ), str(self.log), str(self.cwd))
        process = context.Process(target=run, args=arguments, daemon=True)  # ends with this process at the latest
        process.start()
        self._popen = cast("subprocess.Popen[bytes]", Copy(process))


class Copy:
    """As much of `subprocess.Popen` as `Process` uses."""

    def __init__(self, process: ForkServerProcess) -> None:
        self._process = process
        assert process.pid is not None
        self.pid = process.pid
        with suppress(ProcessLookupError):  # it has ended
            while process.is_alive() and os.getpgid(self.pid) != self.pid:  # then it can be stopped as a group
                time.sleep(0.001)

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout or 0)
        return self._process.exitcode


def run(module: str, arguments: Sequence[str], environ: dict[str, str], log: str, folder: str) -> None:
    """Become the process."""
    os.setsid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)  # as `tied.py` does
    os.umask(OTHERS)
    os.chdir(folder)
    output = os.open(log, os.O_WRONLY | os.O_APPEND)
    for number, file in enumerate((os.open(os.devnull, os.O_RDONLY), output, output)):
        os.dup2(file, number)
    os.environ.clear()
    os.environ.update(environ)
    sys.argv[1:] = arguments
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def forked(stack: Stack) -> Stack:
    """Let this stack fork its host and its emulator, where that is possible. The emulator is `cold_emulator`."""
    if sys.platform == "linux":
        stack.host = fork(stack.host)
        if stack.emulator:
            stack.emulator = fork(stack.emulator)
            stack.emulator.command[2] = "tests.cold_emulator"
    return stack


def fork(process: Process) -> Forked:
    return Forked(process.name, process.command, log=process.log, environ=process.environ, cwd=process.cwd)
