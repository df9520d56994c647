"""Starts and kills one jailed process and connects to it. It does not deal with code cells or files."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import signal
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from local.openai_emulator.sandbox import jail, seccomp, watchdog
from local.openai_emulator.sandbox.errors import SandboxUnavailable
from local.openai_emulator.sandbox.interpreter import this_interpreter
from local.openai_emulator.sandbox.limits import Limits
from local.openai_emulator.sandbox.output import Output

_Stack = contextlib.ExitStack | contextlib.AsyncExitStack

MAX_KILL_ROUNDS = 200  # a process may start another one before it is killed
NOBODY = 65534  # uid of sessions on the host if the emulator runs as root


class Process:
    """A running `bwrap`, a channel to the runner inside it, and the output of the session."""

    def __init__(self, bwrap: subprocess.Popen[bytes], channel: socket.socket, output: Output) -> None:
        self.bwrap = bwrap
        self.channel = channel  # non-blocking
        self.output = output
        self.init_pid = 0  # process 1 of the session, as the host numbers it
        self._killing = asyncio.Lock()
        self._init: int | None = None  # its pidfd: a process that reuses the number is never killed
        self._runner_pid = 0  # the process that runs the cells, as the host numbers it
        self._runner: int | None = None  # its pidfd

    @classmethod
    async def start(cls, limits: Limits, *, with_proc: bool, files: Sequence[tuple[bytes, str]] = ()) -> Process:
        """Start the runner in its jail.

        Args:
            limits: Its resource limits.
            with_proc: Mount a /proc inside.
            files: Small files to copy in: content and path inside.

        Raises:
            SandboxUnavailable: bwrap could not build the jail.
        """
        async with contextlib.AsyncExitStack() as kept:
            with contextlib.ExitStack() as host_ends, contextlib.ExitStack() as child_ends:
                channel, inside = _socket_pair(kept, child_ends)
                info, info_in = _socket_pair(host_ends, child_ends)
                go, go_out = _socket_pair(host_ends, child_ends)
                output, output_in = _output(limits, kept, child_ends)
                files = [*files, *this_interpreter().environment_files()]
                copies = [(_memory_file(child_ends, content), place) for content, place in files]
                filter_fd = _memory_file(child_ends, seccomp.program())
                bwrap = _spawn(
                    *(jail.bwrap(), *jail.arguments(limits, as_root=is_root(), with_proc=with_proc, files=copies)),
                    *("--seccomp", str(filter_fd), "--info-fd", str(info_in.fileno())),
                    *(("--userns-block-fd", str(go_out.fileno())) if is_root() else ()),
                    *("--", *jail.command(limits, channel=inside.fileno())),
                    output=output_in,
                    inherit=[s.fileno() for s in (inside, info_in, go_out)] + [filter_fd, *(fd for fd, _ in copies)],
                )
                process = cls(bwrap, channel, output)
                kept.push_async_callback(process.kill)
                child_ends.close()  # otherwise the end of bwrap's messages is never seen
                await process._begin(info, go)
            kept.pop_all()
        return process

    async def _begin(self, info: socket.socket, go: socket.socket) -> None:
        """Read the pid of the session's process 1; as root, map the session's user."""
        said = b""
        while part := await asyncio.get_running_loop().sock_recv(info, 4096):
            said += part
        if not said:
            await self.wait()
            raise SandboxUnavailable(self.output.take().strip() or "bwrap ended without a message")
        self.init_pid = int(json.loads(said)["child-pid"])
        self._init = os.pidfd_open(self.init_pid)
        if is_root():
            _map_user(self.init_pid)
            go.send(b"1")

    def arm(self) -> None:
        """Call once the session is ready and before it runs untrusted code: note the runner, and mark all processes.

        If memory runs out, the kernel kills the marked ones first. What they start is marked, too; a session cannot
        change the mark, since its /proc is read-only.
        """
        inside = list(watchdog.processes(self.init_pid))[1:]
        if not inside:
            raise SandboxUnavailable("its processes can't be seen from outside")
        self._runner_pid = inside[0]
        self._runner = os.pidfd_open(self._runner_pid)
        for pid in (self.init_pid, *inside):
            with contextlib.suppress(OSError):
                Path(f"/proc/{pid}/oom_score_adj").write_text("1000")

    async def pause(self) -> bool:
        """Stop the runner and kill what its code left running, so that nothing runs between two cells.

        Returns:
            False if something could not be killed.
        """
        self._signal_runner(signal.SIGSTOP)
        for _ in range(MAX_KILL_ROUNDS):
            others = watchdog.living(self.init_pid) - {self.init_pid, self._runner_pid}
            if not others:
                return True
            for pid in others:
                self._kill_inside(pid)
            await asyncio.sleep(0.001)
        return False

    def resume(self) -> None:
        self._signal_runner(signal.SIGCONT)

    def _signal_runner(self, number: signal.Signals) -> None:
        if self._runner is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._runner, number)

    def _kill_inside(self, pid: int) -> None:
        """Kill a process of the session; never another process that has got its number meanwhile."""
        with contextlib.suppress(ProcessLookupError):
            descriptor = os.pidfd_open(pid)
            try:
                if pid in watchdog.living(self.init_pid):
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            finally:
                os.close(descriptor)

    async def wait(self) -> int:
        """Wait until bwrap has ended; return its exit status."""
        if self.bwrap.poll() is None:
            ending = os.pidfd_open(self.bwrap.pid)
            try:
                await _readable(ending)
            finally:
                os.close(ending)
        return self.bwrap.wait()

    async def kill(self) -> int:
        """Kill all processes of the session and return bwrap's exit status."""
        async with self._killing:
            if self._init is None:  # not known yet, or killed already
                with contextlib.suppress(ProcessLookupError):
                    self.bwrap.kill()
                return await self.wait()
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._init, signal.SIGKILL)  # the kernel then kills the whole pid namespace
            try:
                await _readable(self._init)  # when the last process has ended
            finally:
                os.close(self._init)
                self._init = None
            return await self.wait()

    def close(self) -> None:
        if self._runner is not None:
            os.close(self._runner)
            self._runner = None
        self.channel.close()
        self.output.close()


def _spawn(*command: str, output: int, inherit: list[int]) -> subprocess.Popen[bytes]:
    """Start a process; blocks for a few ms. asyncio's own function can hang forever if it is cancelled."""
    try:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, pass_fds=inherit, env={}
        )
    except OSError as exc:
        raise SandboxUnavailable(f"bwrap does not start: {exc}") from exc


async def _readable(descriptor: int) -> None:
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)


def _map_user(pid: int) -> None:
    """Map root to root, as bwrap needs to read what it mounts, and the runner's later user to NOBODY."""
    for kind in ("uid_map", "gid_map"):
        Path(f"/proc/{pid}/{kind}").write_text(f"0 0 1\n{jail.USER} {NOBODY} 1\n")


@functools.cache
def is_root() -> bool:
    """Whether this process is root and may use the uid `NOBODY`, which a container with one user has not."""
    if os.geteuid() != 0:
        return False
    ranges = [[int(n) for n in line.split()] for line in Path("/proc/self/uid_map").read_text().splitlines()]
    return any(first <= NOBODY < first + count for first, _, count in ranges)


def _socket_pair(host_ends: _Stack, child_ends: _Stack) -> tuple[socket.socket, socket.socket]:
    here, there = socket.socketpair()
    here.setblocking(False)
    return host_ends.enter_context(here), child_ends.enter_context(there)


def _output(limits: Limits, host_ends: _Stack, child_ends: _Stack) -> tuple[Output, int]:
    here, there = os.pipe()
    output = Output(here, limit_bytes=limits.output_bytes)
    host_ends.callback(output.close)
    child_ends.callback(os.close, there)
    return output, there


def _memory_file(stack: _Stack, content: bytes) -> int:
    """A file descriptor from which bwrap reads `content`."""
    descriptor = os.memfd_create("sandbox")
    stack.callback(os.close, descriptor)
    os.write(descriptor, content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
