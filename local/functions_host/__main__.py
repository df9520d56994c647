"""`python -m local.functions_host`: runs an app, prints `ready http://HOST:PORT`, ends on SIGTERM or SIGINT."""

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
from local.functions_host.host import GRACE_S
from local.functions_host.logs import configure_logging

GRACE_AS_AZURE_S = 30.0  # how long running requests may take when the real host ends


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the host until a signal ends it; return 0, or 1 if the app is rejected or the port is in use."""
    options = parser().parse_args(arguments)
    configure_logging(as_azure=options.as_azure)
    try:
        run(options)
    except (HostError, OSError) as exc:
        cause = "".join(traceback.format_exception(exc.__cause__)) if exc.__cause__ else ""
        sys.stderr.write(f"{cause}The host cannot run this app: {exc}\n")
        return 1
    return 0


def run(options: argparse.Namespace) -> None:
    gc.set_threshold(50_000, 20, 20)  # requests create many short-lived objects: 8 % faster than the default of 700
    try:
        import uvloop
    except ImportError:  # Windows
        asyncio.run(serve(options))
    else:
        uvloop.run(serve(options))


async def serve(options: argparse.Namespace) -> None:
    """Start the host, print the ready line and wait for the signal."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, getattr(signal, "SIGBREAK", None)):
        if number is None:  # Ctrl-Break exists on Windows only
            continue
        handle = ignore if options.as_azure and number == signal.SIGTERM else ended.set
        try:
            loop.add_signal_handler(number, handle)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_, handle=handle: loop.call_soon_threadsafe(handle))
    host = Host(
        options.app,
        access_log=options.access_log,
        settings_file=options.settings,
        auth=options.auth,
        event_queues=options.event_queue,
        as_azure=options.as_azure,
        shut_down=ended.set,
        grace_s=GRACE_AS_AZURE_S if options.as_azure else GRACE_S,
    )
    starting = asyncio.create_task(run_until(ended, host, options))
    waiting = asyncio.create_task(ended.wait())
    await asyncio.wait((starting, waiting), return_when=asyncio.FIRST_COMPLETED)
    if not starting.done() and not host.running:  # the signal came while the host waits for storage
        starting.cancel()
    waiting.cancel()
    await asyncio.gather(starting, waiting, return_exceptions=True)
    if not starting.cancelled() and (exc := starting.exception()):
        raise exc


async def run_until(ended: asyncio.Event, host: Host, options: argparse.Namespace) -> None:
    grace_s = GRACE_AS_AZURE_S if options.as_azure else GRACE_S
    async with host, serving(host.asgi, host=options.host, port=options.port, grace_s=grace_s) as url:
        sys.stdout.write(f"ready {url}\n")
        sys.stdout.flush()
        await ended.wait()
        await host.stop_listening()


def ignore() -> None:
    """Do nothing on SIGTERM, as the real host."""


def event_queue(text: str) -> EventQueue:
    try:
        return EventQueue.parse(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc


def parser() -> argparse.ArgumentParser:
    arguments = argparse.ArgumentParser(prog="python -m local.functions_host", description=__doc__)
    arguments.add_argument("--app", type=Path, default=Path(), help="folder with function_app.py and host.json")
    arguments.add_argument("--host", default="127.0.0.1")
    arguments.add_argument("--port", type=int, default=7071, help="0 takes a free port")
    arguments.add_argument("--access-log", type=Path, help="Azurite's log file; the host reads requests from it")
    arguments.add_argument("--settings", type=Path, help="a file to use instead of local.settings.json")
    arguments.add_argument("--auth", action="store_true", help="require keys, as in Azure")
    arguments.add_argument(
        "--event-queue",
        type=event_queue,
        action="append",
        default=[],
        metavar="CONTAINER=QUEUE",
        help="send the container's BlobDeleted events to the queue, as an Event Grid subscription does",
    )
    arguments.add_argument("--as-azure", action="store_true", help="be as unkind as the real host, see README.md")
    return arguments


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    sys.stdout.flush()
    os._exit(code)  # a normal exit would wait for the threads of sync functions, which may never end
