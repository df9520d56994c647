"""`.local/stack.json`: how other commands of the same user find the running stack. Nobody else may read it.

It has the keys that this start made, and no other: the key of a real model service stays in the environment or `.env`.

The process that runs the stack holds a lock on the file. The kernel releases the lock when that process ends, so a file
without a lock is stale, even if another process has the same pid by now.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from local.errors import LocalError, NotRunning
from local.paths import COMMAND, LOCAL
from local.private import private_file, private_folder
from local.settings import EMULATOR_KEY, Service, environ_with_dotenv
from local.stack.model import Model
from local.stack.system import try_lock

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
    model: Model  # which answers the questions
    given: list[str] = field(default_factory=list)  # names of settings of the model from the shell of `make up`


class Record:
    """The file, locked from the constructor until `close`.

    Raises:
        LocalError: another process holds the lock.
    """

    def __init__(self, path: Path = RECORD) -> None:
        private_folder(path.parent)
        self._file: IO[str] = private_file(path).open("a+")
        if not try_lock(self._file):
            self._file.close()
            raise LocalError(
                "A local stack is already running on this machine.",
                f"Use it (`{COMMAND} status` shows it), or end it with `make down` first.",
            )
        self._stop = stop_file(path)
        self._stop.unlink(missing_ok=True)

    def write(self, running: Running) -> None:
        """Replace the content of the file."""
        self._file.seek(0)
        self._file.truncate()
        json.dump({**asdict(running), "service": recorded(running.service)}, self._file, indent=2)
        self._file.flush()

    @property
    def stop_asked(self) -> bool:
        """Whether `ask_to_stop` was called."""
        return self._stop.exists()

    def close(self) -> None:
        """Empty the file and release the lock."""
        self._file.seek(0)
        self._file.truncate()
        self._file.close()


def is_held(path: Path = RECORD) -> bool:
    """Whether a process holds the lock."""
    try:
        with path.open() as file:
            return not try_lock(file, shared=True)
    except FileNotFoundError:
        return False


def ask_to_stop(path: Path = RECORD) -> None:
    """Ask the process that runs the stack to end it. A signal would end it at once on Windows, without its children."""
    stop_file(path).touch()


def stop_file(path: Path) -> Path:
    return path.with_suffix(".stop")


def running(path: Path = RECORD) -> Running:
    """Read the record of the running stack.

    Raises:
        NotRunning: no stack runs, or it is still starting.
    """
    text = path.read_text() if is_held(path) else ""
    if not text:
        raise NotRunning
    values = json.loads(text)
    service = restored(values["service"], environ_with_dotenv())
    return Running(**{**values, "service": service, "model": Model(**values["model"])})


def recorded(service: Service) -> dict[str, Any]:
    """A service without its key."""
    return {"base_url": service.base_url, "model": service.model, "is_emulator": service.is_emulator}


def restored(content: Mapping[str, Any], environ: Mapping[str, str]) -> Service:
    """A recorded service, with the key that the environment names for the same address; else without a key."""
    base_url, model = str(content["base_url"]), str(content["model"])
    own = environ.get("OPENAI_API_KEY", "") if environ.get("OPENAI_BASE_URL") == base_url else ""
    return Service(base_url=base_url, model=model, api_key=EMULATOR_KEY if content["is_emulator"] else own)
