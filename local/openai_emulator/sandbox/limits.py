"""How much one session may use."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds of one session. Breaking one ends the run, and mostly the session, never the emulator."""

    wall_s: float = 60.0  # one run; then the session is killed
    cpu_s: int = 600  # each process, over the session's life
    memory_bytes: int = 1024 * MIB  # resident, all processes of the session together
    address_space_bytes: int = 4096 * MIB  # virtual, each process: an absurd allocation is a MemoryError at once
    data_bytes: int = 512 * MIB  # all of /mnt/data
    tmp_bytes: int = 128 * MIB  # /tmp, and as much again in /dev/shm
    inodes: int = 20_000  # files and folders in each of these
    processes: int = 64  # threads count
    open_files: int = 256  # each process
    output_bytes: int = 1_000_000  # of one run; the middle is left out
    read_bytes: int = 64 * MIB  # largest file handed out
    start_s: float = 60.0  # until a new session stands with its imports done
