"""Tier 2: a session that shares the machine's namespaces, held by Landlock, seccomp and limits (see `guard.py`).

For a Linux without user namespaces: Docker's default settings, Ubuntu's AppArmor rule. As root, each session has a user
of its own. Its folders are on this machine's disk; paths in the text of the code lead there (see `runner.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from local.openai_emulator.sandbox import guard, jail, seccomp, watchdog
from local.openai_emulator.sandbox.errors import SandboxUnavailable
from local.openai_emulator.sandbox.folder import Folder
from local.openai_emulator.sandbox.interpreter import VENV, VERSION, is_below, this_interpreter
from local.openai_emulator.sandbox.limits import Limits
from local.openai_emulator.sandbox.output import Output
from local.openai_emulator.sandbox.process import Process, is_root, memory_file, output_pipe, socket_pair, spawn

GUARD = str(Path(__file__).with_name("guard.py"))
DEVICES = ("/dev/urandom", "/dev/random")  # not /dev/zero, whose shared memory nothing counts
PREFIX, LOCK = "sandbox-", "lock"
FIRST_USER, USERS = 64_000, 1_000
KILL_S = 30.0  # for the guard, which ends the session within milliseconds

_users = itertools.cycle(range(FIRST_USER, FIRST_USER + USERS))


class Home:
    """A folder of one emulator, with a folder for each session, and the virtual environment of those of tier 2."""

    def __init__(self, *, with_environment: bool) -> None:
        remove_stale()
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        self.folder.chmod(0o711)
        self._lock = _lock(self.folder)
        self.venv = self.folder / "venv"
        self._names = itertools.count()
        if with_environment:
            self._make_environment()

    def _make_environment(self) -> None:
        interpreter = this_interpreter()
        for content, inside in interpreter.environment_files(sites=interpreter.sites):
            place = self.venv / Path(inside).relative_to(VENV)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        (self.venv / "bin").mkdir()
        for name in ("python", "python3", VERSION):
            (self.venv / "bin" / name).symlink_to(interpreter.program)

    def session_folders(self, *, uid: int | None) -> dict[str, str]:
        """New folders of a session: the name that code uses -> the path."""
        own = self.folder / f"session-{next(self._names)}"
        folders = {jail.DATA: own / "data", jail.TMP: own / "tmp"}
        for folder in folders.values():
            folder.mkdir(parents=True, mode=0o700)
            if uid is not None:
                os.chown(folder, uid, uid)
        return {name: str(folder) for name, folder in folders.items()}

    def environment(self, folders: dict[str, str]) -> dict[str, str]:
        tmp = folders[jail.TMP]
        path = f"{self.venv}/bin:/usr/local/bin:/usr/bin:/bin"
        own = {"PATH": path, "HOME": tmp, "TMPDIR": tmp, "MPLCONFIGDIR": f"{tmp}/matplotlib"}
        return jail.ENVIRONMENT | own

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._lock is not None:
            self._lock.close()


def remove_stale() -> None:
    """Delete the folders of emulators that were killed: nobody holds their lock."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            if folder.is_symlink() or not (folder / LOCK).exists():
                continue
            lock = _lock(folder)
            if lock is not None:
                shutil.rmtree(folder, ignore_errors=True)
                lock.close()


def _lock(folder: Path) -> IO[bytes] | None:
    """Lock the folder until the file is closed or this process ends; None if another process has it.

    On a system without such locks, the file is returned, which there cannot be deleted while it is open.
    """
    lock = (folder / LOCK).open("ab")
    with contextlib.suppress(ImportError):  # on Windows
        import fcntl

        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            return None
    return lock


class Caged(Process):
    """A session behind a guard."""

    def __init__(
        self, started: subprocess.Popen[bytes], channel: socket.socket, output: Output, lifeline: socket.socket
    ) -> None:
        super().__init__(started, channel, output)
        self.init_pid = started.pid
        self.own_disk = False
        self.uid: int | None = None
        self._lifeline = lifeline

    @classmethod
    async def start(cls, limits: Limits, home: Home, *, files: Sequence[tuple[bytes, str]]) -> Caged:
        """Start the runner behind its guard.

        Raises:
            SandboxUnavailable: the guard does not start.
        """
        with contextlib.ExitStack() as kept, contextlib.ExitStack() as child_ends:
            channel, inside = socket_pair(kept, child_ends)
            lifeline, lifeline_end = socket_pair(kept, child_ends)
            output, output_in = output_pipe(limits, kept, child_ends)
            uid = _free_user()
            folders = home.session_folders(uid=uid)
            kept.callback(shutil.rmtree, Path(folders[jail.DATA]).parent, ignore_errors=True)
            for content, place in files:
                _copy_in(content, Path(folders[jail.TMP]) / Path(place).relative_to(jail.TMP), uid)
            filter_fd = memory_file(child_ends, seccomp.program(shared=True, signals=guard.landlock_version() >= 6))
            plan = {
                "channel": inside.fileno(),
                "lifeline": lifeline_end.fileno(),
                "filter": filter_fd,
                "uid": uid,
                "through_closed_folders": uid is not None and not all(map(_is_open, _needed(home))),
                "readable": [*readable_places(home), *DEVICES],
                "writable": [*folders.values(), "/dev/null"],
                "environment": home.environment(folders),
                "command": command(home, limits, folders, channel=inside.fileno(), uid=uid),
            }
            started = spawn(
                *(this_interpreter().program, "-I", GUARD, json.dumps(plan)),
                output=output_in,
                inherit=[inside.fileno(), lifeline_end.fileno(), filter_fd],
            )
            process = cls(started, channel, output, lifeline)
            process.folders, process.uid = folders, uid
            kept.pop_all()
        return process

    def excess(self, folders: Sequence[Folder], limits: Limits) -> str | None:
        with watchdog.as_user(self.uid):
            return super().excess(folders, limits)

    async def kill(self) -> int:
        """End all processes of the session and return the exit status."""
        self._lifeline.close()
        try:
            async with asyncio.timeout(KILL_S):
                return await self.wait()
        except TimeoutError:
            self.started.kill()  # its death signal then ends the runner
            return await self.wait()

    def close(self) -> None:
        super().close()
        self._lifeline.close()
        shutil.rmtree(Path(self.folders[jail.DATA]).parent, ignore_errors=True)


def command(home: Home, limits: Limits, folders: dict[str, str], *, channel: int, uid: int | None) -> list[str]:
    rlimits = jail.rlimits(limits)
    if uid is None:  # the kernel counts all processes of this user, so only new ones have this limit
        rlimits["RLIMIT_NPROC"] += _threads_of_this_user()
    return [
        *(f"{home.venv}/bin/python", "-I", str(jail.RUNNER)),
        *(str(channel), json.dumps(rlimits), json.dumps(folders)),
    ]


def readable_places(home: Home) -> list[str]:
    """Everything that a session may read: what tier 1 mounts."""
    private = jail.private_places()
    system = [path for place in jail.SYSTEM if Path(place).exists() for path in _without(place, private)]
    return [*system, *jail.ETC, *_needed(home)]


def _needed(home: Home) -> list[str]:
    return [*(source for source, _ in jail.python_mounts()), *map(str, jail.BESIDE), str(home.venv)]


def _without(place: str, private: Sequence[str]) -> Iterator[str]:
    """The folder, or those of its children that are not private; Landlock can only add."""
    if place in private:
        return
    if not any(is_below(one, [place]) for one in private):
        yield place
        return
    for child in Path(place).iterdir():
        yield from _without(str(child), private)


def _is_open(path: str) -> bool:
    """Whether every user may get to the path and read it."""
    opened = all(parent.stat().st_mode & 0o001 for parent in Path(path).parents)
    return opened and Path(path).stat().st_mode & 0o004 != 0


def _free_user() -> int | None:
    return next(_users) if is_root() else None


def _threads_of_this_user() -> int:
    count, uid = 0, os.getuid()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if process.stat().st_uid == uid:
                count += len(os.listdir(process / "task"))  # noqa: PTH208
    return count


def _copy_in(content: bytes, place: Path, uid: int | None) -> None:
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(content)
    if uid is not None:
        for path in (place.parent, place):
            os.chown(path, uid, uid)


def require() -> None:
    """Raises SandboxUnavailable: this kernel has not what a cage needs."""
    if sys.platform != "linux":
        raise SandboxUnavailable(f"this is {sys.platform}, not Linux")
    if guard.landlock_version() == 0:
        raise SandboxUnavailable("this kernel has no Landlock (it came with Linux 5.13)")
