"""One code interpreter session: files in, code run, files out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local.openai_emulator.sandbox import jail
from local.openai_emulator.sandbox.errors import SandboxUnavailable, SessionEnded
from local.openai_emulator.sandbox.folder import Folder, Stamp, check_name
from local.openai_emulator.sandbox.limits import Limits
from local.openai_emulator.sandbox.process import Process

logger = logging.getLogger(__name__)

READY, DONE, FAILED = b"R", b"0", b"1"  # replies of the runner
CHECK_BUSY_S, CHECK_IDLE_S = 0.1, 1.0  # between two checks of the watchdog, with and without running code
GRACE_S = 2.0  # how long a process may take to end after it closed its channel
MAX_CODE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of one run."""

    logs: str  # stdout and stderr in order, with a traceback after an error and the reason if the session ended
    failed: bool
    written: Mapping[str, int] = field(default_factory=dict)  # files created or changed, figures too -> bytes
    present: frozenset[str] = frozenset()  # all files; both relative to /mnt/data
    timed_out: bool = False

    @property
    def changed(self) -> tuple[str, ...]:
        """The names of the files that were written, sorted."""
        return tuple(self.written)


@dataclass(frozen=True, kw_only=True)
class SessionFile:
    """A regular file below /mnt/data."""

    filename: str  # relative, may contain slashes
    size_bytes: int


class Session:
    """An isolated Python process that keeps its state between runs. `Sandbox.open` creates it."""

    def __init__(self, process: Process, limits: Limits) -> None:
        self.alive = False  # False until the process is ready and after it has ended
        self.closed = False
        self._process = process
        self._limits = limits
        self._folders: list[Folder] = []  # the writable ones, /mnt/data first
        self._lock = asyncio.Lock()
        self._busy = asyncio.Event()
        self._exceeded_limit: str | None = None
        self._watching: asyncio.Task[None] | None = None

    @classmethod
    async def launch(cls, limits: Limits, start: Callable[[], Awaitable[Process]]) -> Session:
        """Start a session and wait until its imports are done.

        Args:
            limits: Its resource limits.
            start: Starts its process; of a tier.

        Raises:
            SandboxUnavailable: the start or the imports failed; the text is their output.
        """
        process = await start()
        session = cls(process, limits)
        try:
            async with asyncio.timeout(limits.start_s):
                if await session._answer() != READY:
                    await process.wait()
                    raise SandboxUnavailable(process.output.take().strip())
            process.arm()
            session._open_folders()
        except TimeoutError:
            await session.close()
            raise SandboxUnavailable(f"A session was not ready within {limits.start_s:.0f} s.") from None
        except BaseException:
            await session.close()
            raise
        process.output.clear()
        session.alive = True
        session._watching = asyncio.create_task(session._watch())
        return session

    def _open_folders(self) -> None:
        """Open the writable folders before untrusted code runs there."""
        self._folders = [self._process.open_folder(path) for path in self._process.folders.values()]

    @property
    def _data(self) -> Folder:
        return self._folders[0]

    async def put(self, filename: str, source: Path) -> None:
        """Copy a host file to /mnt/data; replaces a file of that name.

        Raises:
            FileRefused: the name is not allowed, or the folder is full.
            SessionEnded: the process has ended.
        """
        check_name(filename)
        await self.restore(filename, source)

    async def restore(self, filename: str, source: Path) -> None:
        """Like `put`, for a file that an earlier session had: its name may contain slashes."""
        self._require_alive()
        async with self._lock:
            await asyncio.to_thread(self._data.write, filename, source)

    async def remove(self, filename: str) -> None:
        """Delete a file, if it is there.

        Raises:
            FileRefused: something on its path is not a folder.
            OSError: it could not be deleted.
        """
        async with self._lock:
            await asyncio.to_thread(self._data.remove, filename)

    async def run(self, code: str, *, wall_s: float | None = None) -> Outcome:
        """Run one cell. A run that exceeds a limit or is cancelled ends the session.

        Args:
            wall_s: The time limit of this run, in place of the session's.

        Raises:
            SessionEnded: the process had ended before.
        """
        content = code.encode(errors="replace")
        if len(content) > MAX_CODE_BYTES:
            return Outcome(logs=f"The code is longer than {MAX_CODE_BYTES:,} bytes.", failed=True)
        async with self._lock:
            self._require_alive()
            await self._require_silence()
            before = await asyncio.to_thread(self._data.files)
            self._busy.set()
            try:
                self._process.resume()
                failed, ending = await self._exchange(content, wall_s=wall_s or self._limits.wall_s)
                if not ending and (ending := await self._settle()):
                    failed = True
            except BaseException:
                await self._end()
                raise
            finally:
                self._busy.clear()
            written, present = await asyncio.to_thread(self._compare, before)
            logs = self._process.named(self._process.output.take())
            if ending:
                logs += f"\n[The session has ended. {ending}]\n"
            timed_out = ending.startswith("It ran longer")
            return Outcome(logs=logs, failed=failed, written=written, present=present, timed_out=timed_out)

    def _compare(self, before: Mapping[str, Stamp]) -> tuple[dict[str, int], frozenset[str]]:
        """The files that differ from `before`, with their bytes, apparent or allocated, and the names of all files."""
        after = self._data.files()
        written = {
            name: max(stamp.size_bytes, stamp.disk_bytes) for name, stamp in after.items() if before.get(name) != stamp
        }
        return written, frozenset(after)

    async def _exchange(self, content: bytes, *, wall_s: float) -> tuple[bool, str]:
        """Send the code and wait; returns whether it failed, and why the session ended (empty if it did not)."""
        channel, loop = self._process.channel, asyncio.get_running_loop()
        try:
            async with asyncio.timeout(wall_s):
                await loop.sock_sendall(channel, len(content).to_bytes(4, "big") + content)
                answer = await self._answer()
        except TimeoutError:
            await self._end()
            return True, f"It ran longer than {wall_s:g} s."
        except OSError:
            answer = b""
        if answer in (DONE, FAILED):
            return answer == FAILED, ""
        with contextlib.suppress(TimeoutError):  # it may be ending by itself; its status then says why
            await asyncio.wait_for(self._process.wait(), GRACE_S)
        status = await self._end()
        return True, self._exceeded_limit or _ending(status, self._limits)

    async def _settle(self) -> str:
        """Stop what still runs after a cell, and measure what is left; returns why the session ended, or nothing.

        A cell may be over before the watchdog looks.
        """
        if not await self._process.pause():
            await self._end()
            return "It started processes that could not be ended."
        if await self._is_over_a_limit():
            await self._end()
        return self._exceeded_limit or ""

    async def _is_over_a_limit(self) -> bool:
        excess = await asyncio.to_thread(self._process.excess, self._folders, self._limits)
        if excess and not self._exceeded_limit:
            logger.warning("sandbox.limit", extra={"limit": excess})
            self._exceeded_limit = excess
        return bool(excess)

    async def _answer(self) -> bytes:
        return await asyncio.get_running_loop().sock_recv(self._process.channel, 1)

    async def files(self) -> list[SessionFile]:
        """The regular files below /mnt/data, sorted. Works until `close`, also after the process has ended."""
        found = await asyncio.to_thread(self._data.files)
        return [SessionFile(filename=name, size_bytes=stamp.size_bytes) for name, stamp in found.items()]

    async def read(self, filename: str) -> bytes:
        """The content of a file. Works until `close`, also after the process has ended.

        Raises:
            FileNotFoundError: there is no such file.
            FileRefused: it is not a regular file, is too large, or its name is not allowed.
        """
        return await asyncio.to_thread(self._data.read, filename, limit_bytes=self._limits.read_bytes)

    async def font_cache(self) -> list[tuple[bytes, str]]:
        """matplotlib's font cache from this session, for later sessions: content and path inside."""
        folder = self._folders[jail.WRITABLE.index(jail.TMP)]
        found = await asyncio.to_thread(folder.files)
        names = [name for name in found if name.startswith("matplotlib/fontlist")]
        limit = self._limits.read_bytes
        return [(await asyncio.to_thread(folder.read, n, limit_bytes=limit), f"{jail.TMP}/{n}") for n in names]

    @property
    def init_pid(self) -> int:
        """Process 1 of the session, as the host numbers it."""
        return self._process.init_pid

    async def close(self) -> None:
        """End the process and release its files."""
        self.closed = True
        await self._end()
        if self._watching:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching
        self._process.close()
        for folder in self._folders:
            folder.close()

    async def _end(self) -> int:
        self.alive = False
        return await self._process.kill()

    async def _watch(self) -> None:
        """Check the session's use of resources and end it beyond a limit; also detects that the process has ended."""
        try:
            while self._process.started.poll() is None:
                if await self._is_over_a_limit():
                    break
                await asyncio.sleep(CHECK_BUSY_S if self._busy.is_set() else 0)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._busy.wait(), CHECK_IDLE_S)
        finally:  # no code may run without the watchdog
            await self._end()

    async def _require_silence(self) -> None:
        """End a session that sent data between two runs: code has replied in the runner's place."""
        try:
            if not self._process.channel.recv(1):
                return  # it has ended, which the next exchange finds
        except BlockingIOError:
            return
        await self._end()
        raise SessionEnded("The session's process broke the protocol.")

    def _require_alive(self) -> None:
        if not self.alive:
            raise SessionEnded(self._exceeded_limit or "The session's process has ended.")


def _ending(status: int, limits: Limits) -> str:
    """Why a process ended, from bwrap's exit status (128 + the signal's number)."""
    if sys.platform == "win32":
        return f"The process ended itself with exit code {status}."
    if status == 128 + signal.SIGXCPU:
        return f"It used more than {limits.cpu_s} s of processor time."
    if status in (128 + signal.SIGKILL, -signal.SIGKILL):
        return "The process was killed."
    if status > 128:
        return f"The process crashed ({signal.Signals(status - 128).name})."
    return f"The process ended itself with exit code {status}."
