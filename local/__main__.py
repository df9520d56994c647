"""The command line: `python -m local up | demo | add | ask | chat | status | cleanup | doctor | trace | down`."""

import argparse
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from local.errors import LocalError
from local.faults import os_fault
from local.paths import COMMAND, LOCAL, LOGS, shown
from local.private import OTHERS, private_folder
from local.stack.system import handle_end
from local.terminal import Terminal

LOOPBACK = "127.0.0.1,localhost"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0 if it succeeded, 1 if it failed, 2 for wrong usage, 130 if interrupted."""
    options = _parser().parse_args(arguments)
    terminal = Terminal()
    bypass_proxy_for_loopback()
    os.umask(OTHERS)
    handle_end(signal.default_int_handler)  # SIGINT too: a shell script starts `command &` with SIGINT ignored
    try:
        return _run_command(options, terminal)
    except LocalError as exc:
        terminal.error(str(exc), exc.advice)
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

            return up(terminal, host=options.host)
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
        case "add":
            return _add(options, terminal)
        case "cleanup":
            return _cleanup(options, terminal)
        case "trace":
            from local.trace import show

            return show(terminal, options.about, environ=os.environ)
        case "doctor":
            return _doctor(options, terminal)
        case _:
            return _ask_or_chat(options, terminal)


def _ask_or_chat(options: argparse.Namespace, terminal: Terminal) -> int:
    from local.stack.record import running

    found = running()
    from local import chat  # after `running`: "no stack is running" is then said at once
    from local.client import Client

    with Client(found.app_url, storage=found.storage) as client:
        if options.command == "chat":
            return chat.chat(terminal, client, collection=options.collection, thread_id=options.thread)
        try:
            run = chat.ask(
                terminal,
                client,
                options.question,
                thread_id=options.thread,
                collection=options.collection,
                files=options.file,
            )
        except chat.Interrupted:
            return 130
    terminal.next_step(f'`{COMMAND} ask --thread {run["thread_id"]} "…"` asks another question in this thread.')
    return 0 if run["status"] == "completed" else 1


def _add(options: argparse.Namespace, terminal: Terminal) -> int:
    """Add to the app at `--url`; without it, to the running stack."""
    from local.add import add
    from local.client import Client
    from local.stack.record import running

    if options.url:
        client = Client(options.url.rstrip("/"), storage=None, key=options.key or None)
    else:
        found = running()
        client = Client(found.app_url, storage=found.storage)
    with client:
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local", description="Runs Assistant Functions on this machine, without a cloud account."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="start the stack and keep it running until Ctrl-C")
    up.add_argument("--host", choices=("local", "func"), default="local", help="func: Azure Functions Core Tools")
    commands.add_parser("demo", help="upload the samples, ask three questions, show the answers")
    add = commands.add_parser("add", help="put files and folders into the app, and wait until they are indexed")
    add.add_argument("path", nargs="+", metavar="PATH", help="a file, or a folder, which becomes a collection")
    add.add_argument("--collection", help="the collection to put them into")
    add.add_argument("--watch", action="store_true", help="then keep the app in step with them until Ctrl-C")
    add.add_argument("--json", action="store_true", help="print the results as JSON")
    add.add_argument("--url", metavar="URL", help="the app in Azure; without it, the running stack")
    add.add_argument("--key", default=os.environ.get("APP_KEY", ""), help="its function key; better set APP_KEY")
    ask = commands.add_parser("ask", help="ask one question")
    ask.add_argument("question")
    ask.add_argument("--file", action="append", metavar="PATH", help="a data file in `documents`; may be repeated")
    chat = commands.add_parser("chat", help="ask several questions in one thread; `quit` ends")
    for command in (ask, chat):
        command.add_argument("--collection", help="the collection to search")
        command.add_argument("--thread", metavar="ID", help="continue this thread")
    commands.add_parser("status", help="show the running stack and its health")
    cleanup = commands.add_parser("cleanup", help="delete vector stores, files and containers that the app created")
    cleanup.add_argument("--dry-run", action="store_true", help="only list them")
    cleanup.add_argument("--all", action="store_true", help="also the app's vector stores that no record here names")
    doctor = commands.add_parser("doctor", help="find problems, and the command that fixes each")
    doctor.add_argument("--url", metavar="URL", help="check this deployment instead of the running stack")
    doctor.add_argument("--key", default=os.environ.get("APP_KEY", ""), help="its function key; better set APP_KEY")
    doctor.add_argument("--deep", action="store_true", help="also upload a document and ask about it (1 minute, 1 run)")
    trace = commands.add_parser("trace", help="show the spans of one run or document; needs `TELEMETRY=file make up`")
    trace.add_argument("about", metavar="ID", help="the id of a run, or the path of a document")
    commands.add_parser("down", help="end the running stack")
    return parser


if __name__ == "__main__":
    sys.exit(main())
