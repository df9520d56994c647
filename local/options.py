"""The commands of the command line and their options."""

import argparse
import os
from typing import Any

PICTURES = ("auto", "kitty", "iterm2", "sixel", "off")
STATUSES_OF_DOCUMENTS = ("pending", "indexing", "indexed", "failed", "unsupported", "removing")
STATUSES_OF_RUNS = (
    "queued",
    "in_progress",
    "requires_action",
    "cancelling",
    "cancelled",
    "completed",
    "incomplete",
    "failed",
    "expired",
)


def parser() -> argparse.ArgumentParser:
    """The parser of `python -m local`."""
    parser = argparse.ArgumentParser(
        prog="python -m local", description="Runs Assistant Functions on this machine, without a cloud account."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="start the stack and keep it running until Ctrl-C")
    up.add_argument("--host", choices=("local", "func"), default="local", help="func: Azure Functions Core Tools")
    up.add_argument(
        "--open",
        action=argparse.BooleanOptionalAction,
        help="open the page in a browser; without it: on a desktop, unless OPEN_PAGE=0 is set",
    )
    commands.add_parser("demo", help="upload the samples, ask three questions, show the answers")
    _add(
        commands.add_parser("add", aliases=["index"], help="put files and folders in, and wait until they are indexed")
    )
    _ask_and_chat(commands)
    _listings(commands)
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


def _add(add: argparse.ArgumentParser) -> None:
    add.add_argument("path", nargs="+", metavar="PATH", help="a file, or a folder, which becomes a collection")
    add.add_argument("--collection", help="the collection to put them into")
    add.add_argument("--watch", action="store_true", help="then keep the app in step with them until Ctrl-C")
    _target(add)


def _ask_and_chat(commands: Any) -> None:
    ask = commands.add_parser("ask", help="ask one question")
    ask.add_argument("question")
    ask.add_argument("--file", action="append", metavar="PATH", help="a data file in `documents`; may be repeated")
    chat = commands.add_parser("chat", help="ask several questions in one thread; `/help` in it lists its commands")
    for command in (ask, chat):
        command.add_argument("--collection", help="the collection to search")
        newest = "; `last` is the newest one" if command is chat else ""
        command.add_argument("--thread", metavar="ID", help=f"continue this thread{newest}")
        _charts(command)
        _target(command)


def _listings(commands: Any) -> None:
    documents = commands.add_parser("documents", help="list the documents and whether they are indexed")
    documents.add_argument("--collection", help="only those of this collection")
    documents.add_argument("--status", choices=STATUSES_OF_DOCUMENTS, help="only those with this status")
    _target(documents)
    runs = commands.add_parser("runs", help="list the newest questions, or show one with its answer")
    runs.add_argument("run", nargs="?", metavar="ID", help="the run to show")
    runs.add_argument("--status", choices=STATUSES_OF_RUNS, help="only those with this status")
    runs.add_argument("--limit", type=_positive, default=20, help="how many are listed (20)")
    _charts(runs)
    _target(runs)
    usage = commands.add_parser("usage", help="sum tokens and cost of the questions of each day")
    usage.add_argument("--days", type=_positive, default=7, help="how many days, with today (7)")
    _target(usage)


def _charts(command: argparse.ArgumentParser) -> None:
    command.add_argument("--save", metavar="FOLDER", help="where charts are written (.local/charts)")
    command.add_argument("--pictures", choices=PICTURES, default="auto", help="how charts are shown in this terminal")


def _target(command: argparse.ArgumentParser) -> None:
    command.add_argument("--url", metavar="URL", help="the app in Azure; without it, the running stack")
    command.add_argument("--key", default=os.environ.get("APP_KEY", ""), help="its function key; better set APP_KEY")
    command.add_argument(
        "--login",
        metavar="AUDIENCE",
        default=os.environ.get("APP_LOGIN", ""),
        help="instead of a key: the sign-in of `az login`, for an app with this audience (api://CLIENT_ID)",
    )
    command.add_argument("--json", action="store_true", help="print JSON on stdout, and all else on stderr")


def _positive(text: str) -> int:
    """A whole number from 1 to 10,000."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= 10_000):
        raise argparse.ArgumentTypeError("give a whole number from 1 to 10000")
    return int(text)
