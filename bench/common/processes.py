"""Processor time and memory of a process, read from /proc (Linux only)."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SAMPLE_EVERY_S = 0.02


def processor_s(pid: int) -> float:
    """Processor seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int) -> float:
    """Resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


class MemoryPeak:
    """The memory of a process at the start and at its peak."""

    def __init__(self, pid: int) -> None:
        self.mb = self.start_mb = memory_mb(pid)

    @property
    def increase_mb(self) -> int:
        return round(self.mb - self.start_mb)


@contextmanager
def watched_memory(pid: int) -> Iterator[MemoryPeak]:
    """Sample the memory of a process while the block runs."""
    peak, ended = MemoryPeak(pid), threading.Event()

    def watch() -> None:
        while not ended.wait(SAMPLE_EVERY_S):
            peak.mb = max(peak.mb, memory_mb(pid))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()
