"""Measures from outside what a session uses. Kernel limits apply to each process; this checks their sum.

A control group could do the same in the kernel, but needs root or a delegated subtree.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

from local.openai_emulator.sandbox.folder import Folder
from local.openai_emulator.sandbox.limits import Limits


@contextlib.contextmanager
def as_user(uid: int | None) -> Iterator[None]:
    """Let this thread look at processes as their own user does; of use as root without CAP_SYS_PTRACE.

    This is root in a default Docker container, which may not measure the processes of other users. Both calls of the
    kernel concern the calling thread only: setfsuid(2), capabilities(7).
    """
    if uid is None or not hasattr(os, "geteuid") or os.geteuid() != 0:
        yield
        return
    _look_as(uid)
    try:
        yield
    finally:
        _look_as(0)


def _look_as(uid: int) -> None:
    libc = ctypes.CDLL(None)
    libc.setfsgid(uid)
    libc.setfsuid(uid)
    header, sets = struct.pack("=Ii", 0x20080522, 0), ctypes.create_string_buffer(24)
    if libc.capget(header, sets) == 0:  # effective, permitted, inheritable, low half first, then high
        _, low, inheritable, _, high, inheritable_high = struct.unpack("=6I", sets.raw)
        libc.capset(header, struct.pack("=6I", low, low, inheritable, high, high, inheritable_high))


def excess(init_pid: int, folders: Sequence[Folder], limits: Limits, *, own_disk: bool = True) -> str | None:
    """The limit that the session exceeds, as a sentence, or None.

    Args:
        init_pid: The ancestor of all processes of the session, as the host numbers it.
        folders: Its writable folders.
        limits: The session's limits.
        own_disk: The folders are file systems of their own, whose sizes the kernel limits.
    """
    if memory_bytes(init_pid, enough_bytes=limits.memory_bytes) > limits.memory_bytes:
        return f"It used more than {limits.memory_bytes // 2**20:,} MiB of memory."
    if descriptors(init_pid) > limits.descriptors:
        return f"It opened more than {limits.descriptors:,} files, pipes and sockets."
    if len(living(init_pid)) > limits.processes + 2:  # and process 1
        return f"It started more than {limits.processes} processes."
    if own_disk:
        return f"{_too_many_files(limits)}." if any(folder.inodes() > limits.inodes for folder in folders) else None
    usage = [folder.usage(limits.inodes) for folder in folders]
    if any(count > limits.inodes for count, _ in usage):
        return f"{_too_many_files(limits)}, or folders that cannot be looked into."
    allowed_bytes = limits.data_bytes + limits.tmp_bytes
    if sum(size_bytes for _, size_bytes in usage) + unlinked_bytes(init_pid) > allowed_bytes:
        return f"It wrote more than {allowed_bytes // 2**20:,} MiB of files."
    return None


def _too_many_files(limits: Limits) -> str:
    return f"It made more than {limits.inodes:,} files"


def unlinked_bytes(init_pid: int) -> int:
    """Allocated bytes of files that the session has deleted but still holds open or mapped."""
    sizes: dict[tuple[int, int], int] = {}
    for pid in processes(init_pid):
        with contextlib.suppress(OSError):
            for opened in os.scandir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    found = opened.stat()
                    if stat.S_ISREG(found.st_mode) and found.st_nlink == 0:
                        sizes[found.st_dev, found.st_ino] = found.st_blocks * 512
        for text in _read_all([Path(f"/proc/{pid}/maps")]):
            for line in text.splitlines():
                if line.endswith(" (deleted)"):
                    place, _, _, _, inode, _ = line.split(maxsplit=5)
                    first, last = (int(end, 16) for end in place.split("-"))
                    sizes.setdefault((pid, int(inode)), last - first)
    return sum(sizes.values())


def memory_bytes(init_pid: int, *, enough_bytes: int = 0) -> int:
    """Memory of all processes of the session, with what is swapped out and with page tables.

    Shared memory counts once. If the sum that counts it for each process, which is faster to get, is at most
    `enough_bytes`, that sum is returned instead. Memory that no process maps can't be seen from here: the system call
    filter keeps sessions from making it.
    """
    pids = list(processes(init_pid))
    resident = sum(_kilobytes(pid, "status", ("VmRSS:", "VmSwap:", "VmPTE:")) for pid in pids) * 1024
    return resident if resident <= enough_bytes else sum(proportional_bytes(pid) for pid in pids)


def descriptors(init_pid: int) -> int:
    """The open descriptors of all processes of the session."""
    count = 0
    for pid in processes(init_pid):
        with contextlib.suppress(OSError):
            count += len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208  this runs often
    return count


def processes(pid: int) -> Iterator[int]:
    """The process and its descendants. In a pid namespace every orphan becomes a child of process 1.

    A process whose parent ends meanwhile may be missing: see `is_quiet`.
    """
    yield pid
    for child in sorted(children(pid)):
        yield from processes(child)


def children(pid: int) -> set[int]:
    return {int(child) for text in _of_threads(pid, "children") for child in text.split()}


def is_quiet(init_pid: int, runner_pid: int) -> bool:
    """Whether no process of the session runs, for certain: also none that forks and ends again and again.

    The runner is stopped, so its children only become fewer: all have ended, and while that was seen no orphan came to
    it. Any other process is then an orphan of process 1, or below one, and process 1 has none.
    """
    if not is_stopped(runner_pid):
        return False
    ended = children(runner_pid)
    for pid in ended:
        if any(_state(text) not in "ZX" for text in _read_all([Path(f"/proc/{pid}/stat")])):
            return False
    return children(runner_pid) == ended and children(init_pid) <= {runner_pid} and is_stopped(runner_pid)


def living(pid: int) -> set[int]:
    """`processes` without those that have ended and wait for their parent."""
    return {
        one for one in processes(pid) for text in _read_all([Path(f"/proc/{one}/stat")]) if _state(text) not in "ZX"
    }


def is_stopped(pid: int) -> bool:
    """Whether no thread of the process runs: it has been stopped, or has ended."""
    return all(_state(text) in "TtZX" for text in _of_threads(pid, "stat"))


def _of_threads(pid: int, file: str) -> Iterator[str]:
    try:
        threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208  this runs often
    except OSError:  # the process has ended
        return
    yield from _read_all([Path(f"/proc/{pid}/task/{thread}/{file}") for thread in threads])


def _state(text: str) -> str:
    return text.rpartition(")")[2].split()[0]


def proportional_bytes(pid: int) -> int:
    shared = _kilobytes(pid, "smaps_rollup", ("Pss:", "SwapPss:"))
    return (shared + _kilobytes(pid, "status", ("VmPTE:",)) if shared else 0) * 1024


def _kilobytes(pid: int, file: str, names: Sequence[str]) -> int:
    lines = [line for text in _read_all([Path(f"/proc/{pid}/{file}")]) for line in text.splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith(tuple(names)))


def _read_all(paths: Iterator[Path] | Sequence[Path]) -> Iterator[str]:
    for path in paths:
        try:
            yield path.read_text()
        except OSError:  # the process has ended
            continue
