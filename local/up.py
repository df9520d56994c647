"""`up`, `status` and `down`: a stack that runs until Ctrl-C, and how to ask after it and end it from elsewhere."""

import os
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from local.client import Client, Json
from local.errors import LocalError
from local.paths import COMMAND, LOCAL, LOGS, shown
from local.settings import Service, environ_with_dotenv
from local.stack.record import Record, ended, is_held, running
from local.stack.stack import Options, Stack, answers_200
from local.terminal import Terminal

DATA = LOCAL / "data"
LOOK_EVERY_S = 0.15
END_WITHIN_S = 30
COLLECTIONS_SHOWN = 8
ACCESS_LINE = re.compile(r'^\S+ - - \[.*\] "')  # Azurite's, one for each of the many polls; they stay in its file


def up(terminal: Terminal, *, host: str) -> int:
    """Run a stack on the usual ports, show its logs, and end it with Ctrl-C or SIGTERM."""
    environ = environ_with_dotenv()
    options = Options(data=DATA, keep=True, usual_ports=True, host=host, service=Service.from_environ(environ))
    with ExitStack() as ending:
        record = Record()
        ending.callback(record.close)
        stack = Stack(options, environ=environ)
        terminal.say("Starting Azurite, the OpenAI service and the Functions host …")
        ending.enter_context(stack)
        record.write(stack.running())
        _welcome(terminal, stack)
        try:
            _follow(terminal, stack)
        except KeyboardInterrupt:
            terminal.say("\nEnding every process …")
    terminal.say(f"All ended. The data stay in {shown(DATA)}.")
    return 0


def _welcome(terminal: Terminal, stack: Stack) -> None:
    terminal.heading(f"Ready after {stack.ready_s:.1f} s")
    terminal.pair("ask", f"POST {stack.app_url}/api/runs")
    terminal.pair("documents", f"GET {stack.app_url}/api/documents")
    terminal.pair("model", f"{stack.service.model} at {stack.service.base_url}")
    terminal.pair("blobs", stack.azurite.blob_endpoint)
    terminal.pair("queues", stack.azurite.queue_endpoint)
    usual = not {"blobs", "queues", "tables"} & set(stack.moved)
    terminal.pair("storage", "UseDevelopmentStorage=true" if usual else stack.azurite.connection_string)
    if stack.emulator is None:
        terminal.say(
            "  OPENAI_BASE_URL is set: questions go to that service; the emulator was not started.", style="yellow"
        )
    if stack.moved:
        terminal.say(f"  The usual ports of {', '.join(stack.moved)} were taken: these are others.", style="yellow")
    terminal.say()
    terminal.next_step(f"`{COMMAND} chat` in another terminal. Ctrl-C here ends everything.")


def _follow(terminal: Terminal, stack: Stack) -> None:
    """Show what the processes write until one of them ends by itself."""
    logs = {process.name: new_lines(process.log) for process in stack.processes}
    while True:
        for name, lines in logs.items():
            for line in next(lines):
                if not ACCESS_LINE.match(line):
                    terminal.log(name, line)
        if fallen := stack.fallen():
            raise fallen.died()
        time.sleep(LOOK_EVERY_S)


def new_lines(log: Path) -> Iterator[list[str]]:
    """The whole lines that a growing file got since the last look, from its end on."""
    with log.open("rb") as file:
        file.seek(0, os.SEEK_END)
        rest = b""
        while True:
            *lines, rest = (rest + file.read()).split(b"\n")
            yield [line.decode(errors="replace") for line in lines if line.strip()]


def status(terminal: Terminal) -> int:
    """Show what is up and whether it is well; 1 when something is not."""
    found = running()
    terminal.heading(f"Up since {found.started_at}")
    well = {name: not ended(pid) for name, pid in found.pids.items()}
    well["functions host"] &= answers_200(found.app_url.removeprefix("http://"), "/api/health")
    for name, pid in found.pids.items():
        where = found.urls.get(name, "")
        terminal.pair(name, f"{'healthy' if well[name] else 'NOT healthy':<12} {where}  (pid {pid})")
    terminal.pair("model", f"{found.service.model} at {found.service.base_url}")
    if not all(well.values()):
        raise LocalError("Not everything is healthy.", f"Look into {shown(LOGS)}, then `make down` and `make up`.")
    with Client(found.app_url, storage=found.storage) as client:
        for name, counts in counted(client.documents()).items():
            terminal.pair(name, counts)
    terminal.next_step(f'`{COMMAND} ask "…"`, `{COMMAND} chat`, or `make down`.')
    return 0


def counted(documents: list[Json]) -> dict[str, str]:
    """Documents by status, and by the collections that hold most."""
    statuses = Counter(document["status"] for document in documents).most_common()
    collections = Counter(document["collection"] for document in documents).most_common()
    held = [f"{name} {n:,}" for name, n in collections[:COLLECTIONS_SHOWN]]
    if more := len(collections) - len(held):
        held.append(f"and {more:,} more")
    return {
        "documents": ", ".join(f"{n:,} {status}" for status, n in statuses) or "none",
        "collections": ", ".join(held) or "none",
    }


def down(terminal: Terminal) -> int:
    """End the stack that is up, wherever it runs."""
    found = running()
    os.kill(found.pid, signal.SIGTERM)  # the lock on the record says that this pid is still its
    deadline_s = time.monotonic() + END_WITHIN_S
    while is_held():
        if time.monotonic() > deadline_s:
            raise LocalError(f"The stack did not end within {END_WITHIN_S} s.", f"End it with `kill -9 {found.pid}`.")
        time.sleep(LOOK_EVERY_S)
    terminal.say(f"The stack has ended; its data stay in {shown(DATA)}.")
    terminal.next_step("`make up` starts it again.")
    return 0
