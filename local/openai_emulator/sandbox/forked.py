"""Fork servers: a process that has done the imports forks the sessions of a tier (see `forkserver.py`).

`ForkServer` and `Forked` are the server and a session of any tier; `JailedServer` and `JailedFork` those of tier 1.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from local.openai_emulator.sandbox import jail, seccomp, watchdog
from local.openai_emulator.sandbox.errors import SandboxUnavailable
from local.openai_emulator.sandbox.limits import Limits
from local.openai_emulator.sandbox.output import Output
from local.openai_emulator.sandbox.process import (
    Jailed,
    Process,
    Started,
    is_root,
    memory_file,
    output_pipe,
    readable,
    socket_pair,
)

REQUEST, READY = b"F", b"R"
REAP_S = 0.2  # for the jail's process 1, which reaps within a millisecond
KILLED = 128 + 9  # SIGKILL, which is missing on Windows
REPORT_BYTES = 1024


class ForkServer(Process):
    """The process that forks sessions. Nothing but our own code runs in it."""

    def __init__(self, started: Started, channel: socket.socket, output: Output) -> None:
        super().__init__(started, channel, output)
        self._requests = asyncio.Lock()

    async def warm(self, limits: Limits) -> None:
        """Wait until its imports are done. Raises SandboxUnavailable."""
        try:
            async with asyncio.timeout(limits.start_s):
                answer = await asyncio.get_running_loop().sock_recv(self.channel, 1)
        except TimeoutError:
            raise SandboxUnavailable(f"the fork server was not ready within {limits.start_s:.0f} s") from None
        if answer != READY:
            await self.wait()
            raise SandboxUnavailable(f"the fork server ended: {self.output.take().strip()}")

    def has_ended(self) -> bool:
        try:
            return not self.channel.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    @property
    def server_pid(self) -> int:
        """The process that forks, as this machine numbers it."""
        return self.started.pid

    async def fork(self, limits: Limits) -> Process:
        """A new session, whose runner is not yet ready.

        Raises:
            SandboxUnavailable: there is none; the text is its output.
        """
        raise NotImplementedError

    async def request(self, limits: Limits, own: Mapping[str, Any]) -> tuple[Child, socket.socket, Output]:
        """Fork the process that waits for the session's end; the channel of the runner, and the output.

        Args:
            limits: Of the session.
            own: What is this session's own, as the plan of the server is of all; in JSON.

        Raises:
            SandboxUnavailable: there is no session.
        """
        with contextlib.ExitStack() as kept, contextlib.ExitStack() as child_ends:
            channel, inside = socket_pair(kept, child_ends)
            report, report_in = socket_pair(kept, child_ends)
            output, output_in = output_pipe(limits, kept, child_ends)
            own_fd = memory_file(child_ends, json.dumps(own).encode())
            async with self._requests:
                try:
                    ends = [inside.fileno(), output_in, report_in.fileno(), own_fd]
                    socket.send_fds(self.channel, [REQUEST], ends)
                except OSError as exc:
                    raise SandboxUnavailable(f"the fork server has ended: {exc}") from exc
                child_ends.close()
                try:
                    async with asyncio.timeout(limits.start_s):
                        await readable(report.fileno())
                except TimeoutError:
                    raise SandboxUnavailable(f"no session was forked within {limits.start_s:.0f} s") from None
            said, descriptors, _, _ = socket.recv_fds(report, REPORT_BYTES, 1)
            if not descriptors:
                raise SandboxUnavailable(f"no session could be forked: {said.decode(errors='replace') or 'it ended'}")
            os.set_inheritable(descriptors[0], False)
            child = Child(descriptors[0], report)
            kept.pop_all()
        return child, channel, output

    def close_now(self) -> None:
        """End it; blocks for some milliseconds."""
        raise NotImplementedError


class Forked(Process):
    """A session forked from a server."""

    started: Child

    async def wait(self) -> int:
        if self.started.poll() is None:
            ending = os.dup(self.started.descriptor)
            try:
                await readable(ending)
            finally:
                os.close(ending)
        return self.started.wait()

    def close(self) -> None:
        super().close()
        self.started.close()


class JailedServer(ForkServer, Jailed):
    """The fork server of tier 1, in a jail."""

    @classmethod
    def programs(cls) -> Sequence[Path]:
        return [*jail.BESIDE, *jail.BESIDE_FORK_SERVER]

    @classmethod
    def plan(
        cls, words: list[str], limits: Limits, channel: int, files: contextlib.ExitStack
    ) -> tuple[list[str], tuple[str, ...], list[int]]:
        words, plan = jail.for_fork_server(words, limits, as_root=is_root())
        plan_fd = memory_file(files, json.dumps(plan | {"filter": seccomp.program().hex()}).encode())
        return words, jail.fork_server_command(control=channel, plan=plan_fd), [plan_fd]

    @property
    def server_pid(self) -> int:
        return min(watchdog.children(self.init_pid))

    async def fork(self, limits: Limits) -> JailedFork:
        return JailedFork(*await self.request(limits, {}))

    def close_now(self) -> None:
        """End it and all sessions forked from it; blocks for some milliseconds."""
        if self._init is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._init, signal.SIGKILL)
            os.close(self._init)
            self._init = None
        self.started.wait()
        self.close()


class JailedFork(Forked, Jailed):
    """A session of tier 1. It ends with the server."""

    def __init__(self, child: Child, channel: socket.socket, output: Output) -> None:
        super().__init__(child, channel, output)
        self.init_pid = child.pid
        self.folders = {place: f"/proc/{self.init_pid}/root{place}" for place in jail.WRITABLE}
        self._init = os.dup(child.descriptor)


class Child:
    """The process that waits for the end of a forked session, no child of this process; owns both descriptors."""

    def __init__(self, descriptor: int, report: socket.socket) -> None:
        self.descriptor = descriptor  # a pidfd
        self.pid = _pid(descriptor)
        self.report = report  # a guard ends the session when it is closed
        self._status: int | None = None

    def poll(self) -> int | None:
        """The exit status, as it told; of a process that was killed it is that of SIGKILL. None: it runs."""
        if self._status is None and select.select([self.descriptor], [], [], 0)[0]:
            self._await_reaping()
            self._status = self._told()
        return self._status

    def _told(self) -> int:
        try:
            said = self.report.recv(REPORT_BYTES)
        except OSError:
            said = b""
        return said[-1] if said else KILLED

    def _await_reaping(self) -> None:
        """Until the process is gone from /proc, as after the end of a child of one's own."""
        end = time.monotonic() + REAP_S
        with contextlib.suppress(ProcessLookupError):
            while time.monotonic() < end:
                signal.pidfd_send_signal(self.descriptor, 0)
                time.sleep(0.0002)

    def wait(self) -> int:
        """The exit status; blocks until it has ended."""
        while (status := self.poll()) is None:
            select.select([self.descriptor], [], [])
        return status

    def kill(self) -> None:
        if self.descriptor >= 0:
            signal.pidfd_send_signal(self.descriptor, signal.SIGKILL)

    def close(self) -> None:
        """Call once it has ended."""
        if self.descriptor >= 0:
            self.wait()
            os.close(self.descriptor)
            self.report.close()
            self.descriptor = -1


def _pid(descriptor: int) -> int:
    """The process of a pidfd, as this machine numbers it; see proc_pid_fdinfo(5)."""
    lines = Path(f"/proc/self/fdinfo/{descriptor}").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pid:"))
