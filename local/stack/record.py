"""`.local/stack.json`: how other commands find the running stack.

The process that runs the stack holds a lock on the file. The kernel releases the lock when that process ends, so a file
without a lock is stale, even if another process has the same pid by now.
"""

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from local.errors import LocalError, NotRunning
from local.paths import LOCAL
from local.settings import Service

RECORD = LOCAL / "stack.json"


@dataclass(frozen=True, kw_only=True)
class Running:
    """Data that other processes need about a running stack."""

    pid: int  # of the process that runs the stack; ending it ends the whole stack
    app_url: str
    storage: str  # connection string
    service: Service
    pids: dict[str, int]  # process name -> pid
    urls: dict[str, str]  # process name -> address
    started_at: str  # ISO 8601


class Record:
    """The file, locked from the constructor until `close`.

    Raises:
        LocalError: another process holds the lock.
    """

    def __init__(self, path: Path = RECORD) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[str] = path.open("a+")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise LocalError(
                "A local stack is already running on this machine.", "Use it, or end it with `make down` first."
            ) from None

    def write(self, running: Running) -> None:
        """Replace the content of the file."""
        self._file.seek(0)
        self._file.truncate()
        json.dump(asdict(running), self._file, indent=2)
        self._file.flush()

    def close(self) -> None:
        """Empty the file and release the lock."""
        self._file.seek(0)
        self._file.truncate()
        self._file.close()


def is_held(path: Path = RECORD) -> bool:
    """Whether a process holds the lock."""
    try:
        with path.open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def running(path: Path = RECORD) -> Running:
    """Read the record of the running stack.

    Raises:
        NotRunning: no stack runs, or it is still starting.
    """
    text = path.read_text() if is_held(path) else ""
    if not text:
        raise NotRunning
    values = json.loads(text)
    return Running(**{**values, "service": Service(**values["service"])})


def has_ended(pid: int) -> bool:
    """Whether no process has this pid."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False
