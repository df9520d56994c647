"""The command line: `python -m local COMMAND`; local/options.py names the commands and their options."""

import argparse
import json
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from local.errors import LocalError, as_problem
from local.faults import os_fault
from local.options import parser
from local.paths import COMMAND, LOCAL, LOGS, shown
from local.private import OTHERS, private_folder
from local.stack.system import handle_end
from local.terminal import Terminal

if TYPE_CHECKING:
    from local.commands.pictures import Charts

LOOPBACK = "127.0.0.1,localhost"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0 if it succeeded, 1 if it failed, 2 for wrong usage, 130 if interrupted."""
    options = parser().parse_args(arguments)
    as_json = getattr(options, "json", False)
    terminal = Terminal(on=sys.stderr) if as_json else Terminal()
    bypass_proxy_for_loopback()
    os.umask(OTHERS)
    handle_end(signal.default_int_handler)  # SIGINT too: a shell script starts `command &` with SIGINT ignored
    try:
        return _run_command(options, terminal)
    except LocalError as exc:
        terminal.error(str(exc), exc.advice)
        if as_json:
            sys.stdout.write(json.dumps(as_problem(exc)) + "\n")
        return 1
    except KeyboardInterrupt:
        terminal.say("\nInterrupted.")
        return 130
    except Exception as exc:  # the user sees one sentence; the traceback goes to a file
        fault = os_fault(exc) if isinstance(exc, OSError) else None
        if fault:
            terminal.error(fault.message, fault.advice)
        else:
            terminal.error(f"Unexpected error: {type(exc).__name__}: {exc}", _keep_traceback())
        return 1


def _keep_traceback() -> str:
    """Write the traceback of the current exception to a file, or say it if no file can be written."""
    text = traceback.format_exc()
    try:
        LOGS.mkdir(parents=True, exist_ok=True)
        (LOGS / "error.log").write_text(text, encoding="utf-8")
    except OSError:
        return text
    return f"The traceback is in {shown(LOGS / 'error.log')}."


def _run_command(options: argparse.Namespace, terminal: Terminal) -> int:
    """Run a command. Its module is imported only now: the imports of all commands take about a second."""
    match options.command:
        case "up":
            from local.up import up

            return up(terminal, host=options.host, opens=options.open)
        case "demo":
            from local.demo import demo

            private_folder(LOCAL)
            return demo(terminal)
        case "status":
            from local.up import status

            return status(terminal)
        case "down":
            from local.up import down

            return down(terminal)
        case "add" | "index":
            return _add(options, terminal)
        case "cleanup":
            return _cleanup(options, terminal)
        case "trace":
            from local.trace import show

            return show(terminal, options.about, environ=os.environ)
        case "doctor":
            return _doctor(options, terminal)
        case "ask" | "chat":
            return _ask_or_chat(options, terminal)
        case _:
            return _list(options, terminal)


def _ask_or_chat(options: argparse.Namespace, terminal: Terminal) -> int:
    from local.commands.target import client_of

    handle_end(_leave)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with client_of(options) as client:  # before other imports: "no stack is running" is then said at once
        from local.commands import asking
        from local.commands.chat import chat
        from local.commands.lines import Lines

        charts = _charts(options)
        if options.command == "chat":
            lines = Lines(LOCAL / "chat_history", is_quiet=options.json)
            chosen = {"collection": options.collection, "thread_id": options.thread}
            return chat(terminal, client, lines, **chosen, charts=charts, as_json=options.json)
        try:
            run = asking.ask(
                terminal,
                client,
                options.question,
                thread_id=options.thread,
                collection=options.collection,
                files=options.file,
                charts=charts,
            )
        except asking.Interrupted as exc:
            if options.json:
                sys.stdout.write(json.dumps(exc.as_json()) + "\n")
            return 130
    if options.json:
        sys.stdout.write(json.dumps(run) + "\n")
    else:
        terminal.next_step(f'`{COMMAND} ask --thread {run["thread_id"]} "…"` asks another question in this thread.')
    return 0 if run["status"] == "completed" else 1


def _leave(number: int, _: FrameType | None) -> None:
    """A signal that ends the process ends a chat, too; a question that runs is cancelled first."""
    raise SystemExit(128 + number)


def _charts(options: argparse.Namespace) -> "Charts":
    from local.commands import sixel
    from local.commands.pictures import FOLDER, Charts, protocol

    folder = Path(options.save or FOLDER)
    if options.json or options.pictures == "off":
        return Charts(folder)
    if options.pictures != "auto":
        return Charts(folder, options.pictures)
    how = protocol(os.environ, is_terminal=sys.stdout.isatty())
    if how or os.environ.get("TERM", "dumb") == "dumb":
        return Charts(folder, how)
    return Charts(folder, shows_sixels=cache(sixel.is_shown))


def _list(options: argparse.Namespace, terminal: Terminal) -> int:
    from local.commands import listings
    from local.commands.target import client_of

    with client_of(options) as client:
        if options.command == "usage":
            return listings.usage(terminal, client, days=options.days, as_json=options.json)
        if options.command == "documents":
            chosen = {"collection": options.collection, "status": options.status}
            return listings.documents(terminal, client, **chosen, as_json=options.json)
        if options.run:
            return listings.one_run(terminal, client, options.run, charts=_charts(options), as_json=options.json)
        return listings.runs(terminal, client, status=options.status, limit=options.limit, as_json=options.json)


def _add(options: argparse.Namespace, terminal: Terminal) -> int:
    from local.commands.add import add
    from local.commands.target import client_of

    with client_of(options) as client:
        paths = [Path(path) for path in options.path]
        return add(terminal, client, paths, collection=options.collection, watch=options.watch, as_json=options.json)


def _cleanup(options: argparse.Namespace, terminal: Terminal) -> int:
    """Clean up the storage account and service in the environment or `.env`; else those of the running stack."""
    from local.cleanup import cleanup
    from local.settings import Service, environ_with_dotenv
    from local.stack.record import running

    environ = environ_with_dotenv()
    storage, service = environ.get("AzureWebJobsStorage"), Service.from_environ(environ)
    if not storage or not service:
        found = running()
        storage, service = found.storage, found.service
    return cleanup(terminal, storage=storage, service=service, dry_run=options.dry_run, everything=options.all)


def _doctor(options: argparse.Namespace, terminal: Terminal) -> int:
    """Check the app at `--url`; without it, the running stack."""
    from local.doctor.finding import report

    if options.url:
        from local.doctor.azure import check_deployment

        return report(terminal, check_deployment(options.url, key=options.key, deep=options.deep))
    from local.doctor.laptop import check_laptop
    from local.stack.record import running

    return report(terminal, check_laptop(running(), deep=options.deep))


def bypass_proxy_for_loopback() -> None:
    """Add loopback to `NO_PROXY`, for this process and its children."""
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), LOOPBACK]))


if __name__ == "__main__":
    sys.exit(main())
