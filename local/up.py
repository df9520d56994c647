"""`up` runs a stack until Ctrl-C; `status` and `down` show it and end it from another terminal."""

import os
import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from local.browser import in_container, is_wanted, open_page
from local.client import Client, Json
from local.errors import LocalError
from local.paths import AGAIN, COMMAND, LOCAL, LOGS, shown
from local.settings import Service, environ_with_dotenv
from local.stack.probe import silent, storage_urls
from local.stack.record import RECORD, Record, Running, ask_to_stop, is_held, running
from local.stack.stack import Options, Stack, answers_200
from local.stack.system import has_ended
from local.terminal import Terminal
from local.watch import Watch

DATA = LOCAL / "data"
POLL_EVERY_S = 0.15
END_WITHIN_S = 30
SANDBOX_WITHIN_S = 5  # it proves itself while the stack is ready already
COLLECTIONS_SHOWN = 8
ACCESS_LINE = re.compile(r'^\S+ - - \[.*\] "')  # a request in Azurite's log; too many to show, most of them polls


def up(terminal: Terminal, *, host: str, opens: bool | None = None) -> int:
    """Run a stack on the usual ports, show its logs, and end it with Ctrl-C or SIGTERM.

    `opens`: whether the page is opened in a browser; None: where there is a desktop.
    """
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
        if is_wanted(opens, environ, is_terminal=terminal.is_terminal, in_container=in_container()):
            open_page(f"{stack.app_url}/")
        try:
            _follow(terminal, stack, record)
        except KeyboardInterrupt:
            terminal.say("\nStopping all processes …")
    terminal.say(f"All processes have ended. The data is kept in {shown(DATA)}.")
    return 0


def _welcome(terminal: Terminal, stack: Stack) -> None:
    terminal.heading(f"Ready after {stack.ready_s:.1f} s")
    terminal.pair("page", f"{stack.app_url}/")
    terminal.pair("ask", f"POST {stack.app_url}/api/runs")
    terminal.pair("documents", f"GET {stack.app_url}/api/documents")
    terminal.pair("model", stack.model.state())
    show_sandbox(terminal, stack.running())
    terminal.pair("blobs", stack.azurite.blob_endpoint)
    terminal.pair("queues", stack.azurite.queue_endpoint)
    terminal.pair("storage", f"its connection string is in {shown(RECORD)}, which only you can read")
    if stack.emulator is None:
        terminal.say(
            "  OPENAI_BASE_URL is set: the app uses that service, and the emulator is not started.", style="yellow"
        )
    if stack.moved:
        names = ", ".join(stack.moved)
        terminal.say(
            f"  The default ports of {names} are in use by other programs; free ones are used.", style="yellow"
        )
    terminal.say()
    terminal.next_step(
        f"open {stack.app_url}/ in a browser, or `{COMMAND} add PATH` and `{COMMAND} chat` in another terminal. "
        "Ctrl-C here stops everything."
    )


def show_sandbox(terminal: Terminal, found: Running, *, within_s: float = SANDBOX_WITHIN_S) -> bool:
    """Say how the code of models is isolated, as the emulator reports it; nothing without the emulator.

    Returns:
        Whether that is decided. On a slow machine, the sandbox may still be starting after `within_s`.
    """
    if not (url := found.urls.get("emulator")):
        return True
    try:
        with Client(url, storage=None) as emulator:
            deadline_s = time.monotonic() + within_s
            while is_starting(sandbox := emulator.get("/healthz").get("sandbox")) and time.monotonic() < deadline_s:
                time.sleep(POLL_EVERY_S)
    except (LocalError, ValueError):  # another program has the port, or the emulator has ended
        return True
    if line := sandbox_line(sandbox):
        terminal.pair("sandbox", line)
    return not is_starting(sandbox)


def is_starting(sandbox: object) -> bool:
    return isinstance(sandbox, dict) and sandbox.get("status") == "starting"


def sandbox_line(sandbox: object) -> str:
    """The emulator's report on its sandbox in one line: tier and isolation, else what is said about its status."""
    if not isinstance(sandbox, dict):
        return ""
    tier = f"tier {sandbox['tier']}" if "tier" in sandbox else ""
    said = [
        tier,
        *(str(sandbox[key]) for key in ("isolation", "status", "message", "reason", "remedy") if sandbox.get(key)),
    ]
    return ", ".join(filter(None, said))


def _follow(terminal: Terminal, stack: Stack, record: Record) -> None:
    """Show the log lines of all processes, and what does not answer, until another process asks for the end.

    Raises:
        ProcessDied: one of the processes ended.
    """
    logs = {process.name: new_lines(process.log) for process in stack.processes}
    storage = storage_urls(stack.azurite.connection_string)
    with Watch({"storage": lambda: not silent(storage), "the model's server": stack.model.reached}) as watch:
        while not record.stop_asked:
            for line in watch.news():
                terminal.say(line, style="yellow")
            for name, lines in logs.items():
                for line in next(lines):
                    if not ACCESS_LINE.match(line):
                        terminal.log(name, line)
            if ended := stack.ended_process():
                raise ended.died()
            time.sleep(POLL_EVERY_S)


def new_lines(log: Path) -> Iterator[list[str]]:
    """Yield, each time, the complete lines appended to a file since the last time; existing lines are skipped."""
    with log.open("rb") as file:
        file.seek(0, os.SEEK_END)
        rest = b""
        while True:
            *lines, rest = (rest + file.read()).split(b"\n")
            yield [line.decode(errors="replace") for line in lines if line.strip()]


def status(terminal: Terminal) -> int:
    """Show the running stack, its health and its documents.

    Raises:
        NotRunning: no stack runs.
        LocalError: a process is not healthy.
    """
    found = running()
    terminal.heading(f"Up since {found.started_at}")
    healthy = {name: not has_ended(pid) for name, pid in found.pids.items()}
    healthy["functions host"] &= answers_200(found.app_url.removeprefix("http://"), "/api/health")
    healthy["azurite"] &= not silent(storage_urls(found.storage))
    if "emulator" in healthy:
        healthy["emulator"] &= answers_200(found.urls["emulator"].removeprefix("http://"), "/healthz")
    for name, pid in found.pids.items():
        url = found.urls.get(name, "")
        terminal.pair(name, f"{'healthy' if healthy[name] else 'NOT healthy':<12} {url}  (pid {pid})")
    terminal.pair("model", found.model.state())
    show_sandbox(terminal, found)
    if not all(healthy.values()):
        raise LocalError("Not everything is healthy.", f"See {shown(LOGS)}; {AGAIN}.")
    require_model(found)
    with Client(found.app_url, storage=found.storage) as client:
        for name, counts in count_documents(client.documents()).items():
            terminal.pair(name, counts)
    terminal.next_step(f'`{COMMAND} ask "…"`, `{COMMAND} chat`, or `make down`.')
    return 0


def require_model(found: Running) -> None:
    """Raises LocalError: the model's server does not answer."""
    if not found.model.reached():
        raise LocalError(
            f"The model's server at {found.model.url} does not answer, so questions fail.",
            "Start it, or check its address and the network, then run the command again.",
        )


def count_documents(documents: list[Json]) -> dict[str, str]:
    """Count documents by status and by collection (the `COLLECTIONS_SHOWN` largest), as text for people."""
    statuses = Counter(document["status"] for document in documents).most_common()
    collections = Counter(document["collection"] for document in documents).most_common()
    largest = [f"{name} {n:,}" for name, n in collections[:COLLECTIONS_SHOWN]]
    if more := len(collections) - len(largest):
        largest.append(f"and {more:,} more")
    return {
        "documents": ", ".join(f"{n:,} {status}" for status, n in statuses) or "none",
        "collections": ", ".join(largest) or "none",
    }


def down(terminal: Terminal) -> int:
    """End the running stack, whichever terminal it runs in.

    Raises:
        NotRunning: no stack runs.
        LocalError: it did not end within `END_WITHIN_S`.
    """
    found = running()
    ask_to_stop()
    deadline_s = time.monotonic() + END_WITHIN_S
    while is_held():
        if time.monotonic() > deadline_s:
            raise LocalError(f"The stack did not end within {END_WITHIN_S} s.", f"End its process, {found.pid}.")
        time.sleep(POLL_EVERY_S)
    terminal.say(f"The stack has ended; its data is kept in {shown(DATA)}.")
    terminal.next_step(f"`make up` starts it again{with_settings(found.given)}.")
    return 0


def with_settings(given: list[str]) -> str:
    """What to keep in mind for a restart: settings that only the shell of `make up` had."""
    names = " and ".join(filter(None, [", ".join(given[:-1]), *given[-1:]]))
    return f"; it ran with {names}, set in its terminal: set them there again, or in `.env`" if given else ""
