"""`python -m local.functions_host`: prints `ready http://HOST:PORT` when it serves, ends on SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from local.functions_host import EventQueue, Host, HostError, serving

QUIET = ("azure", "uvicorn", "asyncio")  # libraries that are heard from WARNING on


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the host until it is told to end; 1 when the app is refused."""
    options = parser().parse_args(arguments)
    configure_logging()
    try:
        run(options)
    except (HostError, OSError) as exc:
        cause = "".join(traceback.format_exception(exc.__cause__)) if exc.__cause__ else ""
        sys.stderr.write(f"{cause}The host cannot run this app: {exc}\n")
        return 1
    return 0


def run(options: argparse.Namespace) -> None:
    gc.set_threshold(50_000, 20, 20)  # thousands of small objects a request, all short-lived: 8 % less time than 700
    try:
        import uvloop
    except ImportError:  # Windows
        asyncio.run(serve(options))
    else:
        uvloop.run(serve(options))


async def serve(options: argparse.Namespace) -> None:
    """Start, say so, and wait for the signal."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            asyncio.get_running_loop().add_signal_handler(number, ended.set)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: ended.set())
    host = Host(
        options.app,
        access_log=options.access_log,
        settings_file=options.settings,
        auth=options.auth,
        event_queues=options.event_queue,
    )
    starting = asyncio.create_task(started(host, options, ended))
    waiting = asyncio.create_task(ended.wait())
    await asyncio.wait((starting, waiting), return_when=asyncio.FIRST_COMPLETED)
    if not starting.done() and not host.running:  # told to end while it waits for storage
        starting.cancel()
    waiting.cancel()
    await asyncio.gather(starting, waiting, return_exceptions=True)
    if not starting.cancelled() and (exc := starting.exception()):
        raise exc


async def started(host: Host, options: argparse.Namespace, ended: asyncio.Event) -> None:
    async with host, serving(host.asgi, host=options.host, port=options.port) as url:
        sys.stdout.write(f"ready {url}\n")
        sys.stdout.flush()
        await ended.wait()
        await host.stop_listening()


def event_queue(text: str) -> EventQueue:
    try:
        return EventQueue.parse(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m local.functions_host", description=__doc__)
    made.add_argument("--app", type=Path, default=Path(), help="folder with function_app.py and host.json")
    made.add_argument("--host", default="127.0.0.1")
    made.add_argument("--port", type=int, default=7071, help="0 takes a free one")
    made.add_argument("--access-log", type=Path, help="the file Azurite's output is appended to")
    made.add_argument("--settings", type=Path, help="instead of local.settings.json")
    made.add_argument("--auth", action="store_true", help="ask for keys, as in Azure")
    made.add_argument(
        "--event-queue",
        type=event_queue,
        action="append",
        default=[],
        metavar="CONTAINER=QUEUE",
        help="put the container's BlobDeleted events on the queue, as an Event Grid subscription would",
    )
    return made


def configure_logging() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(WithExtra("[%(asctime)s] %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


class WithExtra(logging.Formatter):
    """Writes what was given in `extra` behind the message, `name=value`."""

    KNOWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

    def formatMessage(self, record: logging.LogRecord) -> str:
        extra = "".join(f" {name}={value}" for name, value in vars(record).items() if name not in self.KNOWN)
        return super().formatMessage(record) + extra


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    sys.stdout.flush()
    os._exit(code)  # a sync function that never ends keeps its thread, and a thread would keep the process
