"""The command line: `python -m local up | demo | ask | chat | status | cleanup | doctor | down`."""

import argparse
import os
import signal
import sys
import traceback
from collections.abc import Sequence

from local.errors import LocalError
from local.paths import COMMAND, LOGS, shown
from local.terminal import Terminal

LOOPBACK = "127.0.0.1,localhost"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    options = _parser().parse_args(arguments)
    terminal = Terminal()
    spare_loopback_from_proxies()
    # All as Ctrl-C: whatever was started is ended. SIGINT, too: what a script starts with `&` is born deaf to it.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        return _run(options, terminal)
    except LocalError as exc:
        terminal.error(str(exc), exc.advice)
        return 1
    except KeyboardInterrupt:
        terminal.say("\nInterrupted.")
        return 130
    except Exception as exc:  # whatever it is, a person gets a sentence and the details go to a file
        LOGS.mkdir(parents=True, exist_ok=True)
        (LOGS / "error.log").write_text(traceback.format_exc())
        terminal.error(
            f"Something unexpected happened: {type(exc).__name__}: {exc}", f"Details: {shown(LOGS / 'error.log')}"
        )
        return 1


def _run(options: argparse.Namespace, terminal: Terminal) -> int:
    """Each command imports what it needs, so that none waits for another's."""
    match options.command:
        case "up":
            from local.up import up

            return up(terminal, host=options.host)
        case "demo":
            from local.demo import demo

            return demo(terminal)
        case "status":
            from local.up import status

            return status(terminal)
        case "down":
            from local.up import down

            return down(terminal)
        case "cleanup":
            return _cleanup(options, terminal)
        case "doctor":
            return _doctor(options, terminal)
        case _:
            return _talk(options, terminal)


def _talk(options: argparse.Namespace, terminal: Terminal) -> int:
    from local.stack.record import running

    found = running()
    from local import chat
    from local.client import Client

    with Client(found.app_url, storage=found.storage) as client:
        if options.command == "chat":
            return chat.chat(terminal, client, collection=options.collection, thread_id=options.thread)
        run = chat.ask(
            terminal,
            client,
            options.question,
            thread_id=options.thread,
            collection=options.collection,
            files=options.file,
        )
    terminal.next_step(f'`{COMMAND} ask --thread {run["thread_id"]} "…"` asks on in this thread.')
    return 0 if run["status"] == "completed" else 1


def _cleanup(options: argparse.Namespace, terminal: Terminal) -> int:
    """At the stack that is up; or, with the app's settings in the environment or `.env`, at what they name."""
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
    """At the stack that is up, or at any app by its URL."""
    from local.doctor.finding import report

    if options.url:
        from local.doctor.azure import check_deployment

        return report(terminal, check_deployment(options.url, key=options.key, deep=options.deep))
    from local.doctor.laptop import check_laptop
    from local.stack.record import running

    return report(terminal, check_laptop(running(), deep=options.deep))


def spare_loopback_from_proxies() -> None:
    """A proxy for the internet is none for this machine; every process started from here inherits this."""
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), LOOPBACK]))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local", description="Assistant Functions on this machine, with no cloud account."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="start everything and keep it running until Ctrl-C")
    up.add_argument("--host", choices=("local", "func"), default="local", help="func: Azure Functions Core Tools")
    commands.add_parser("demo", help="drop the samples, ask three questions, show the answers")
    ask = commands.add_parser("ask", help="ask one question")
    ask.add_argument("question")
    ask.add_argument("--file", action="append", metavar="PATH", help="a data file in `documents`; may be repeated")
    chat = commands.add_parser("chat", help="ask on and on in one thread; `quit` ends")
    for command in (ask, chat):
        command.add_argument("--collection", help="the documents' folder to ask about")
        command.add_argument("--thread", metavar="ID", help="go on with this thread")
    commands.add_parser("status", help="show what is up and whether it is healthy")
    cleanup = commands.add_parser("cleanup", help="delete vector stores, files and containers that the app made")
    cleanup.add_argument("--dry-run", action="store_true", help="only list them")
    cleanup.add_argument("--all", action="store_true", help="also marked vector stores that are in no record here")
    doctor = commands.add_parser("doctor", help="say what is wrong, and the command that mends it")
    doctor.add_argument("--url", metavar="URL", help="look at this deployment instead of the stack that is up")
    doctor.add_argument("--key", default=os.environ.get("APP_KEY", ""), help="its function key; better in APP_KEY")
    doctor.add_argument("--deep", action="store_true", help="also drop a document and ask about it (a minute, one run)")
    commands.add_parser("down", help="end the stack that is up")
    return parser


if __name__ == "__main__":
    sys.exit(main())
