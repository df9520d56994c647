"""A session's processes: starts them in a jail (tier 1), pauses and kills them. It does not deal with code or files."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Protocol, Self

from local.openai_emulator.sandbox import jail, seccomp, watchdog
from local.openai_emulator.sandbox.errors import SandboxUnavailable
from local.openai_emulator.sandbox.folder import Folder
from local.openai_emulator.sandbox.interpreter import this_interpreter
from local.openai_emulator.sandbox.limits import Limits
from local.openai_emulator.sandbox.output import Output

_Stack = contextlib.ExitStack | contextlib.AsyncExitStack

KILL_ALL_S = 30.0  # for what code left running, which may start more before it is killed
NOBODY = 65534  # uid of sessions on the host if the emulator runs as root


class Started(Protocol):
    """What ends when a session has ended; a part of `subprocess.Popen`."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def wait(self) -> int: ...

    def kill(self) -> None: ...


class Process:
    """The processes of a session, the channel to its runner, and its output. Each tier starts and kills its own way."""

    marks_first = True  # the kernel may end process `init_pid`, too, if memory runs out: all others then end

    def __init__(self, started: Started, channel: socket.socket, output: Output) -> None:
        self.started = started
        self.channel = channel  # non-blocking
        self.output = output
        self.init_pid = 0  # the ancestor of all processes of the session, as the host numbers it
        self.folders: dict[str, str] = {}  # the name that code uses -> this machine's path; /mnt/data first
        self.own_disk = True  # the folders are file systems of their own, of limited size
        self._runner_pid = 0  # the process that runs the cells, as the host numbers it
        self._runner: int | None = None  # its pidfd

    def arm(self) -> None:
        """Call once the session is ready and before it runs untrusted code: note the runner, and mark its processes.

        If memory runs out, the kernel kills the marked ones first. What they start is marked, too; a session cannot
        change the mark, since its /proc is read-only.
        """
        inside = list(watchdog.processes(self.init_pid))[1:]
        if not inside:
            raise SandboxUnavailable("its processes can't be seen from outside")
        self._runner_pid = inside[0]
        self._runner = os.pidfd_open(self._runner_pid)
        for pid in (self.init_pid, *inside) if self.marks_first else inside:
            with contextlib.suppress(OSError):
                Path(f"/proc/{pid}/oom_score_adj").write_text("1000")

    def open_folder(self, path: str) -> Folder:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        if self.own_disk and is_root():
            os.fchown(descriptor, NOBODY, NOBODY)
        return Folder(descriptor)

    def excess(self, folders: Sequence[Folder], limits: Limits) -> str | None:
        """The limit that the session exceeds, as a sentence, or None. Blocks."""
        return watchdog.excess(self.init_pid, folders, limits, own_disk=self.own_disk)

    def named(self, logs: str) -> str:
        """Output with the names that code uses instead of real paths."""
        for name, path in self.folders.items():
            logs = logs.replace(path, name)
        return logs

    async def pause(self) -> bool:
        """Stop the runner and kill what its code left running, so that nothing runs between two cells.

        Returns:
            False if something could not be killed.
        """
        try:
            async with asyncio.timeout(KILL_ALL_S):
                while not watchdog.is_quiet(self.init_pid, self._runner_pid):
                    self._signal_runner(signal.SIGSTOP)  # again, since a child may wake it
                    others = watchdog.living(self.init_pid) - {self.init_pid, self._runner_pid}
                    for number in (signal.SIGSTOP, signal.SIGKILL):  # no shell shall report that its child was killed
                        for pid in others:
                            self._signal_inside(pid, number)
                    await asyncio.sleep(0.001)
        except TimeoutError:
            return False
        return True

    def resume(self) -> None:
        self._signal_runner(signal.SIGCONT)

    def _signal_runner(self, number: signal.Signals) -> None:
        if self._runner is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._runner, number)

    def _signal_inside(self, pid: int, number: signal.Signals) -> None:
        """Signal a process of the session; never another process that has got its number meanwhile."""
        with contextlib.suppress(ProcessLookupError):
            descriptor = os.pidfd_open(pid)
            try:
                if pid in watchdog.living(self.init_pid):
                    signal.pidfd_send_signal(descriptor, number)
            finally:
                os.close(descriptor)

    async def wait(self) -> int:
        """Wait until the session has ended; return the exit status."""
        if self.started.poll() is None:
            ending = os.pidfd_open(self.started.pid)
            try:
                await readable(ending)
            finally:
                os.close(ending)
        return self.started.wait()

    async def kill(self) -> int:
        """Kill all processes of the session and return the exit status."""
        raise NotImplementedError

    def close(self) -> None:
        if self._runner is not None:
            os.close(self._runner)
            self._runner = None
        self.channel.close()
        self.output.close()


class Jailed(Process):
    """A session inside `bwrap`."""

    def __init__(self, started: Started, channel: socket.socket, output: Output) -> None:
        super().__init__(started, channel, output)
        self._killing = asyncio.Lock()
        self._init: int | None = None  # its pidfd: a process that reuses the number is never killed

    @classmethod
    async def start(cls, limits: Limits, *, with_proc: bool, files: Sequence[tuple[bytes, str]], bwrap: str) -> Self:
        """Start the runner in its jail.

        Args:
            limits: Its resource limits.
            bwrap: The path of the program.
            with_proc: Mount a /proc inside.
            files: Small files to copy in: content and path inside.

        Raises:
            SandboxUnavailable: bwrap could not build the jail.
        """
        async with contextlib.AsyncExitStack() as kept:
            with contextlib.ExitStack() as host_ends, contextlib.ExitStack() as child_ends:
                channel, inside = socket_pair(kept, child_ends)
                info, info_in = socket_pair(host_ends, child_ends)
                go, go_out = socket_pair(host_ends, child_ends)
                output, output_in = output_pipe(limits, kept, child_ends)
                own = [(path.read_bytes(), f"/sandbox/{path.name}") for path in cls.programs()]
                files = [*files, *this_interpreter().environment_files(), *own]
                copies = [(memory_file(child_ends, content), place) for content, place in files]
                words = jail.arguments(limits, as_root=is_root(), with_proc=with_proc, files=copies)
                words, command, inherited = cls.plan(words, limits, inside.fileno(), child_ends)
                # not as arguments, which a session can read: they hold paths of this machine
                words_fd = memory_file(child_ends, b"".join(os.fsencode(word) + b"\0" for word in words))
                started = spawn(
                    *(bwrap, "--args", str(words_fd), "--info-fd", str(info_in.fileno())),
                    *(("--userns-block-fd", str(go_out.fileno())) if is_root() else ()),
                    *("--", *command),
                    output=output_in,
                    name="bwrap",
                    inherit=[s.fileno() for s in (inside, info_in, go_out)]
                    + [words_fd, *inherited, *(fd for fd, _ in copies)],
                )
                process = cls(started, channel, output)
                kept.push_async_callback(process.kill)
                child_ends.close()  # otherwise the end of bwrap's messages is never seen
                await process._begin(info, go)
            kept.pop_all()
        return process

    @classmethod
    def programs(cls) -> Sequence[Path]:
        """What runs inside."""
        return jail.BESIDE

    @classmethod
    def plan(
        cls, words: list[str], limits: Limits, channel: int, files: contextlib.ExitStack
    ) -> tuple[list[str], tuple[str, ...], list[int]]:
        """The arguments of bwrap, the command that it starts, and descriptors that it inherits beside the channel."""
        filter_fd = memory_file(files, seccomp.program())
        return [*words, "--seccomp", str(filter_fd)], jail.command(limits, channel=channel), [filter_fd]

    async def _begin(self, info: socket.socket, go: socket.socket) -> None:
        """Read the pid of the session's process 1; as root, map the session's user."""
        said = b""
        while part := await asyncio.get_running_loop().sock_recv(info, 4096):
            said += part
        if not said:
            await self.wait()
            raise SandboxUnavailable(self.output.take().strip() or "bwrap ended without a message")
        self.init_pid = int(json.loads(said)["child-pid"])
        self.folders = {place: f"/proc/{self.init_pid}/root{place}" for place in jail.WRITABLE}
        self._init = os.pidfd_open(self.init_pid)
        if is_root():
            _map_user(self.init_pid)
            go.send(b"1")

    async def kill(self) -> int:
        """Kill all processes of the session and return bwrap's exit status."""
        async with self._killing:
            if self._init is None:  # not known yet, or killed already
                with contextlib.suppress(ProcessLookupError):
                    self.started.kill()
                return await self.wait()
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._init, signal.SIGKILL)  # the kernel then kills the whole pid namespace
            try:
                await readable(self._init)  # when the last process has ended
            finally:
                os.close(self._init)
                self._init = None
            return await self.wait()


def spawn(
    *command: str,
    output: int,
    inherit: list[int],
    name: str | None = None,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> subprocess.Popen[bytes]:
    """Start a process; blocks for a few ms. asyncio's own function can hang forever if it is cancelled.

    Args:
        command: The path of the program and its arguments.
        output: The descriptor of its output and errors.
        inherit: Descriptors that it keeps.
        name: What the program is told that it is called; None: its path.
        environment: All of its environment.
    """
    try:
        return subprocess.Popen(
            [name or command[0], *command[1:]],
            executable=command[0],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=inherit,
            env=environment,
            start_new_session=True,
        )
    except OSError as exc:
        raise SandboxUnavailable(f"{command[0]} does not start: {exc}") from exc


async def readable(descriptor: int) -> None:
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


def socket_pair(host_ends: _Stack, child_ends: _Stack) -> tuple[socket.socket, socket.socket]:
    here, there = socket.socketpair()
    here.setblocking(False)
    return host_ends.enter_context(here), child_ends.enter_context(there)


def output_pipe(limits: Limits, host_ends: _Stack, child_ends: _Stack) -> tuple[Output, int]:
    here, there = os.pipe()
    output = Output(here, limit_bytes=limits.output_bytes)
    host_ends.callback(output.close)
    child_ends.callback(os.close, there)
    return output, there


def memory_file(stack: _Stack, content: bytes) -> int:
    """A file descriptor from which bwrap reads `content`."""
    descriptor = os.memfd_create("sandbox")
    stack.callback(os.close, descriptor)
    os.write(descriptor, content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
