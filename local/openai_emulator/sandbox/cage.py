"""Tier 2: a session that shares the machine's namespaces, held by Landlock, seccomp and limits (see `guard.py`).

For a Linux without user namespaces: Docker's default settings, Ubuntu's AppArmor rule. As root, each session has a user
of its own. Its folders are on this machine's disk; paths in the text of the code lead there (see `runner.py`).

A session is forked from a `CageServer`, or is a program of its own, which does its own imports (`Caged.start`).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from local.openai_emulator.sandbox import guard, jail, seccomp, watchdog
from local.openai_emulator.sandbox.errors import SandboxUnavailable
from local.openai_emulator.sandbox.folder import Folder, delete_tree
from local.openai_emulator.sandbox.forked import Forked, ForkServer
from local.openai_emulator.sandbox.interpreter import VENV, VERSION, is_below, this_interpreter
from local.openai_emulator.sandbox.limits import Limits
from local.openai_emulator.sandbox.output import Output
from local.openai_emulator.sandbox.process import (
    Process,
    Started,
    is_root,
    memory_file,
    output_pipe,
    socket_pair,
    spawn,
)

GUARD = str(Path(__file__).with_name("guard.py"))
DEVICES = ("/dev/urandom", "/dev/random")  # not /dev/zero, whose shared memory nothing counts
PREFIX, LOCK = "sandbox-", "lock"
LOCK_TRIES = 20
FIRST_USER, USERS = 64_000, 1_000
KILL_S = 30.0  # for the guard, which ends the session within milliseconds

_users = itertools.cycle(range(FIRST_USER, FIRST_USER + USERS))


class Home:
    """A folder of one emulator, with a folder for each session, and the virtual environment of those of tier 2."""

    def __init__(self, *, with_environment: bool) -> None:
        remove_stale()
        self.folder, self._lock = _new_folder()
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
        delete_tree(self.folder)
        self._lock.close()
        delete_tree(self.folder)  # the lock, on Windows


def _new_folder() -> tuple[Path, IO[bytes]]:
    """A folder and its lock.

    Between its creation and its lock, `remove_stale` of another process takes it for stale: then the next one is tried.

    Raises:
        SandboxUnavailable: no folder can be locked here.
    """
    for _ in range(LOCK_TRIES):
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        with contextlib.suppress(FileNotFoundError):
            folder.chmod(0o711)
            lock = _lock(folder)
            if lock is not None and _is_at(folder / LOCK, lock):
                return folder, lock
            if lock is not None:
                lock.close()
    raise SandboxUnavailable(f"no folder in {tempfile.gettempdir()} can be locked")


def _is_at(path: Path, file: IO[bytes]) -> bool:
    return path.exists() and os.path.samestat(path.stat(), os.fstat(file.fileno()))


def remove_stale() -> None:
    """Delete the folders of emulators that were killed: nobody holds their lock."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            if folder.is_symlink() or not is_own(folder) or not (folder / LOCK).exists():
                continue
            lock = _lock(folder)
            if lock is not None:
                delete_tree(folder)
                lock.close()
                delete_tree(folder)  # the lock, on Windows


def is_own(folder: Path) -> bool:
    """Whether this user made it: in a folder of all users, another one may have put anything under such a name."""
    return not hasattr(os, "getuid") or folder.lstat().st_uid == os.getuid()


def _lock(folder: Path) -> IO[bytes] | None:
    """Lock the folder until the file is closed or this process ends; None if another process has it."""
    lock = (folder / LOCK).open("ab")
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(lock.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        return None
    return lock


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What is one session's own."""

    uid: int | None  # its user; None: the emulator's
    folders: dict[str, str]  # the name that code uses -> the path

    @classmethod
    @contextlib.contextmanager
    def make(cls, home: Home, *, uid: int | None) -> Iterator[Cell]:
        """A new one; deleted after an error."""
        cell = cls(uid=uid, folders=home.session_folders(uid=uid))
        try:
            yield cell
        except BaseException:
            cell.delete()
            raise

    def put(self, files: Sequence[tuple[bytes, str]]) -> None:
        """Copy small files into `/tmp`: content and path inside."""
        for content, place in files:
            _copy_in(content, Path(self.folders[jail.TMP]) / Path(place).relative_to(jail.TMP), self.uid)

    def delete(self) -> None:
        delete_tree(Path(self.folders[jail.DATA]).parent)

    def plan(self, home: Home, limits: Limits) -> dict[str, Any]:
        """What its guard is told."""
        return {
            "uid": self.uid,
            "folders": self.folders,
            "writable": [*self.folders.values(), "/dev/null"],
            "environment": home.environment(self.folders),
            "limits": rlimits(limits, uid=self.uid),
        }


class Caged(Process):
    """A session behind a guard."""

    marks_first = False  # without the guard nothing would end what the runner has started

    def __init__(
        self, started: Started, channel: socket.socket, output: Output, *, lifeline: socket.socket, cell: Cell
    ) -> None:
        super().__init__(started, channel, output)
        self.init_pid = started.pid
        self.own_disk = False
        self.folders, self.uid = cell.folders, cell.uid
        self._lifeline, self._cell = lifeline, cell

    @classmethod
    async def start(cls, limits: Limits, home: Home, *, files: Sequence[tuple[bytes, str]]) -> Caged:
        """Start the runner behind its guard.

        Raises:
            SandboxUnavailable: the guard does not start.
        """
        with (
            Cell.make(home, uid=_free_user()) as cell,
            contextlib.ExitStack() as kept,
            contextlib.ExitStack() as child_ends,
        ):
            channel, inside = socket_pair(kept, child_ends)
            lifeline, lifeline_end = socket_pair(kept, child_ends)
            output, output_in = output_pipe(limits, kept, child_ends)
            cell.put(files)
            filter_fd = memory_file(child_ends, system_calls())
            own = cell.plan(home, limits)
            plan = common_plan(home) | own
            plan |= {"channel": inside.fileno(), "lifeline": lifeline_end.fileno(), "filter": filter_fd}
            plan["command"] = [
                *runner_command(home),
                str(inside.fileno()),
                *map(json.dumps, (own["limits"], cell.folders)),
            ]
            started = spawn(
                *(this_interpreter().program, "-I", GUARD, json.dumps(plan)),
                output=output_in,
                inherit=[inside.fileno(), lifeline_end.fileno(), filter_fd],
            )
            kept.pop_all()
        return cls(started, channel, output, lifeline=lifeline, cell=cell)

    def excess(self, folders: Sequence[Folder], limits: Limits) -> str | None:
        with watchdog.as_user(self.uid):
            return super().excess(folders, limits)

    async def kill(self) -> int:
        """End all processes of the session and return the exit status."""
        with contextlib.suppress(OSError):
            self._lifeline.shutdown(socket.SHUT_WR)
        try:
            async with asyncio.timeout(KILL_S):
                return await self.wait()
        except TimeoutError:
            self.started.kill()  # its death signal then ends the runner
            return await self.wait()

    def close(self) -> None:
        super().close()
        self._lifeline.close()
        self._cell.delete()


class CagedFork(Forked, Caged):
    """A session behind a guard that was forked. It does not need the server any more."""


class CageServer(ForkServer):
    """The fork server of tier 2. It is not confined: it has to give each session what the others may not see."""

    def __init__(self, started: Started, channel: socket.socket, output: Output, *, home: Home, cell: Cell) -> None:
        super().__init__(started, channel, output)
        self._home, self._cell = home, cell

    @classmethod
    async def start(cls, limits: Limits, home: Home, *, files: Sequence[tuple[bytes, str]]) -> CageServer:
        """Start it; it does its imports in folders like those of a session, with the environment of one.

        Raises:
            SandboxUnavailable: it does not start.
        """
        with (
            Cell.make(home, uid=None) as cell,
            contextlib.ExitStack() as kept,
            contextlib.ExitStack() as child_ends,
        ):
            cell.put(files)
            environment = home.environment(cell.folders)
            os.makedirs(environment["MPLCONFIGDIR"], exist_ok=True)  # noqa: PTH103
            plan = common_plan(home) | {
                "guarded": True,
                "cache": environment["MPLCONFIGDIR"],
                "filter": system_calls().hex(),
            }
            channel, control = socket_pair(kept, child_ends)
            output, output_in = output_pipe(limits, kept, child_ends)
            plan_fd = memory_file(child_ends, json.dumps(plan).encode())
            started = spawn(
                *server_command(home, control=control.fileno(), plan=plan_fd),
                output=output_in,
                inherit=[control.fileno(), plan_fd],
                environment=environment,
            )
            kept.pop_all()
        return cls(started, channel, output, home=home, cell=cell)

    async def fork(self, limits: Limits) -> CagedFork:
        with Cell.make(self._home, uid=_free_user()) as cell:
            child, channel, output = await self.request(limits, cell.plan(self._home, limits))
        return CagedFork(child, channel, output, lifeline=child.report, cell=cell)

    def close_now(self) -> None:
        """End it; its sessions go on until they are closed. Blocks for some milliseconds."""
        self.started.kill()
        self.started.wait()
        self.close()
        self._cell.delete()


def common_plan(home: Home) -> dict[str, Any]:
    """What the guards of all sessions are told."""
    return {
        "through_closed_folders": is_root() and not all(map(_is_open, _needed(home))),
        "readable": [*readable_places(home), *DEVICES],
    }


def system_calls() -> bytes:
    """The filter of system calls."""
    return seccomp.program(shared=True, signals=guard.landlock_version() >= 6)


def runner_command(home: Home) -> tuple[str, ...]:
    return (f"{home.venv}/bin/python", "-I", str(jail.BESIDE[0]))


def server_command(home: Home, *, control: int, plan: int) -> tuple[str, ...]:
    return (f"{home.venv}/bin/python", "-I", str(jail.BESIDE_FORK_SERVER[0]), str(control), str(plan))


def rlimits(limits: Limits, *, uid: int | None) -> dict[str, int]:
    """The kernel's limits of each process; without a user of its own, its processes are counted with the others."""
    more = {"RLIMIT_NPROC": _threads_of_this_user() if uid is None else 0}
    return {name: value + more.get(name, 0) for name, value in jail.rlimits(limits).items()}


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
