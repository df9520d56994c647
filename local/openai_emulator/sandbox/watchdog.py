"""Measures from outside what a session uses. Kernel limits apply to each process; this checks their sum.

A control group could do the same in the kernel, but needs root or a delegated subtree.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from local.openai_emulator.sandbox.folder import Folder
from local.openai_emulator.sandbox.limits import Limits


def excess(init_pid: int, folders: Sequence[Folder], limits: Limits) -> str | None:
    """The limit that the session exceeds, as a sentence, or None.

    Args:
        init_pid: Process 1 of the session, as the host numbers it.
        folders: Its writable file systems.
        limits: The session's limits.
    """
    if memory_bytes(init_pid, enough_bytes=limits.memory_bytes) > limits.memory_bytes:
        return f"It used more than {limits.memory_bytes // 2**20:,} MiB of memory."
    for folder in folders:
        if folder.inodes() > limits.inodes:
            return f"It made more than {limits.inodes:,} files."
    return None


def memory_bytes(init_pid: int, *, enough_bytes: int = 0) -> int:
    """Memory of all processes of the session.

    Shared memory counts once. If the sum that counts it for each process, which is faster to get, is at most
    `enough_bytes`, that sum is returned instead.
    """
    pids = list(processes(init_pid))
    resident = sum(_resident_bytes(pid) for pid in pids)
    return resident if resident <= enough_bytes else sum(proportional_bytes(pid) for pid in pids)


def processes(pid: int) -> Iterator[int]:
    """The process and its descendants. In a pid namespace every orphan becomes a child of process 1."""
    yield pid
    for children in _read_all(Path(f"/proc/{pid}/task").glob("*/children")):
        for child in children.split():
            yield from processes(int(child))


def _resident_bytes(pid: int) -> int:
    return sum(int(statm.split()[1]) * os.sysconf("SC_PAGE_SIZE") for statm in _read_all([Path(f"/proc/{pid}/statm")]))


def proportional_bytes(pid: int) -> int:
    for rollup in _read_all([Path(f"/proc/{pid}/smaps_rollup")]):
        for line in rollup.splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def _read_all(paths: Iterator[Path] | Sequence[Path]) -> Iterator[str]:
    for path in paths:
        try:
            yield path.read_text()
        except OSError:  # the process has ended
            continue
