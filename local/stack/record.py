"""`.local/stack.json`: how other commands of the same user find the running stack. Nobody else may read it.

It has the keys that this start made, and no other: the key of a real model service stays in the environment or `.env`.

The process that runs the stack holds a lock on the file. The kernel releases the lock when that process ends, so a file
without a lock is stale, even if another process has the same pid by now.
"""

import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from local.errors import LocalError, NotRunning
from local.paths import LOCAL
from local.private import private_file, private_folder
from local.settings import EMULATOR_KEY, Service, environ_with_dotenv

RECORD = LOCAL / "stack.json"


@dataclass(frozen=True, kw_only=True)
class Running:
    """Data that other processes need about a running stack."""

    pid: int  # of the process that runs the stack; ending it ends the whole stack
    app_url: str
    storage: str  # connection string
    admin_key: str  # opens the admin paths of the host and of the emulator
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
        private_folder(path.parent)
        self._file: IO[str] = private_file(path).open("a+")
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
        json.dump({**asdict(running), "service": recorded(running.service)}, self._file, indent=2)
        self._file.flush()

    def close(self) -> None:
        """Empty the file and release the lock."""
        self._file.seek(0)
        self._file.truncate()
        self._file.close()


def is_held(path: Path = RECORD) -> bool:
    """Whether a process holds the lock."""
    try:
        with private_file(path).open("a+") as file:
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
    return Running(**{**values, "service": restored(values["service"], environ_with_dotenv())})


def recorded(service: Service) -> dict[str, Any]:
    """A service without its key."""
    return {"base_url": service.base_url, "model": service.model, "is_emulator": service.is_emulator}


def restored(content: Mapping[str, Any], environ: Mapping[str, str]) -> Service:
    """A recorded service, with the key that the environment names for the same address; else without a key."""
    base_url, model = str(content["base_url"]), str(content["model"])
    own = environ.get("OPENAI_API_KEY", "") if environ.get("OPENAI_BASE_URL") == base_url else ""
    return Service(base_url=base_url, model=model, api_key=EMULATOR_KEY if content["is_emulator"] else own)


def has_ended(pid: int) -> bool:
    """Whether no process has this pid."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False
