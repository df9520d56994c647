"""`openai-emulator --port 8787 --data DIR`, or `python -m local.openai_emulator`: serve until SIGINT or SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from local.openai_emulator.settings import Settings
from local.plain import PlainFormatter


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    arguments = _parse(argv)
    os.umask(0o077)  # the data are documents: other users may not read them
    configure_logging(environ.get("EMULATOR_LOG_LEVEL", "WARNING"))
    try:
        settings = Settings.from_environ(environ)
        if arguments.data is not None:
            settings = replace(settings, data=arguments.data)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(settings, arguments))
    except (ValueError, OSError, RuntimeError) as exc:
        sys.stderr.write(f"openai_emulator: {exc}\n")
        return 2
    return 0


def run() -> NoReturn:
    """The installed command. At its end everything is closed; to free each object as well would take a second."""
    code = main(sys.argv[1:], os.environ)
    logging.shutdown()
    with suppress(OSError):  # nobody reads the output any more
        sys.stdout.flush()
    os._exit(code)


def configure_logging(level: str) -> None:
    """Send the log to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PlainFormatter(logging.BASIC_FORMAT))
    logging.basicConfig(level=level, handlers=[handler])


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="openai-emulator", description="A local emulator of Azure OpenAI.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8787, help="0 chooses a free port")
    parser.add_argument("--data", type=Path, help="folder for all data; without it, data is lost when the process ends")
    parser.add_argument("--port-file", type=Path, help="file to write the port to once the emulator accepts requests")
    return parser.parse_args(argv)


async def _serve(settings: Settings, arguments: argparse.Namespace) -> None:
    from local.openai_emulator.server import serve

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGBREAK", None)):
        if number is None:  # Ctrl-Break exists on Windows only
            continue
        try:
            loop.add_signal_handler(number, stop.set)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    async with serve(settings, host=arguments.host, port=arguments.port) as url:
        if arguments.port_file is not None:
            arguments.port_file.write_text(url.rpartition(":")[2])
        sys.stdout.write(f"ready {url}\n{lines_to_copy(url, key_is_set=settings.api_key is not None)}")
        sys.stdout.flush()
        await stop.wait()


def lines_to_copy(url: str, *, key_is_set: bool, windows: bool = sys.platform == "win32") -> str:
    """What to set in the shell of a client of OpenAI or of Azure OpenAI. A key is never printed."""
    key = ("%EMULATOR_API_KEY%" if windows else "$EMULATOR_API_KEY") if key_is_set else "any"
    values = {
        "OPENAI_BASE_URL": f"{url}/openai/v1/",
        "OPENAI_API_KEY": key,
        "AZURE_OPENAI_ENDPOINT": url,
        "AZURE_OPENAI_API_KEY": key,
        "OPENAI_API_VERSION": "2024-10-21",
    }
    return "".join(f"{'set' if windows else 'export'} {name}={value}\n" for name, value in values.items())


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # Windows
        return None
    return uvloop.new_event_loop


if __name__ == "__main__":
    run()
