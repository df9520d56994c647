"""The resource limits of one session."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of one session. Exceeding one ends the run and mostly the session, never the emulator."""

    wall_s: float = 60.0  # of one run; then the session is killed
    cpu_s: int = 600  # of each process, in total
    memory_bytes: int = 1024 * MIB  # resident memory of all processes together
    address_space_bytes: int = 4096 * MIB  # virtual, of each process; a huge allocation raises MemoryError
    data_bytes: int = 512 * MIB  # of /mnt/data
    tmp_bytes: int = 128 * MIB  # of /tmp, and of /dev/shm
    inodes: int = 20_000  # files and folders in each of these file systems
    processes: int = 64  # including threads
    open_files: int = 256  # of each process
    descriptors: int = 1_024  # open files, pipes and sockets of all processes, whose kernel memory nothing else counts
    output_bytes: int = 1_000_000  # of one run; the middle of longer output is dropped
    read_bytes: int = 64 * MIB  # of one file read from a session
    start_s: float = 60.0  # until a new session has started and done its imports
