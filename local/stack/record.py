"""`.local/stack.json`: how other commands find the stack that is up.

Whoever runs the stack holds a lock on the file for as long as it lives, and the kernel gives the lock back when it
dies; so a file without a lock is stale, whatever process has its pid by now.
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
    """A stack that is up, as another process needs to know it."""

    pid: int  # of the process that runs it: end this one and the whole stack ends
    app_url: str
    storage: str  # connection string
    service: Service
    pids: dict[str, int]  # process name -> pid
    urls: dict[str, str]  # process name -> address
    started_at: str  # ISO 8601


class Record:
    """The file, held locked from `open` to `close`."""

    def __init__(self, path: Path = RECORD) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[str] = path.open("a+")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise LocalError(
                "A local stack is already up on this machine.", "Use it, or end it with `make down` first."
            ) from None

    def write(self, running: Running) -> None:
        """Replace what the file says."""
        self._file.seek(0)
        self._file.truncate()
        json.dump(asdict(running), self._file, indent=2)
        self._file.flush()

    def close(self) -> None:
        """Empty the file and give the lock back."""
        self._file.seek(0)
        self._file.truncate()
        self._file.close()


def is_held(path: Path = RECORD) -> bool:
    """Whether a living process holds the file."""
    try:
        with path.open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def running(path: Path = RECORD) -> Running:
    """The stack that is up.

    Raises:
        NotRunning: there is none, or it is still starting.
    """
    text = path.read_text() if is_held(path) else ""
    if not text:
        raise NotRunning
    values = json.loads(text)
    return Running(**{**values, "service": Service(**values["service"])})


def ended(pid: int) -> bool:
    """Whether a process is gone."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False
