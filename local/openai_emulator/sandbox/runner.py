"""Runs inside the sandbox, as `python -I runner.py CHANNEL LIMITS [FOLDERS]`: drops its privileges, then runs code.

Uses only the standard library until the privileges are dropped. The channel is a socket to the host: the host sends a
length (4 bytes, big-endian) and the code; the runner replies with one byte, `0` (done) or `1` (failed). The code prints
to the inherited stdout, a pipe to the host. Nothing here protects the host: the code can change this process at will.

FOLDERS is given where a session has no file system of its own (tiers 2 and 3): `{"/mnt/data": "/real/path", ...}`. Then
paths in the text of the code lead to the real folders.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import ctypes
import functools
import importlib.util
import inspect
import io
import json
import linecache
import os
import re
import socket
import sys
import time
import traceback
import types
from pathlib import Path
from typing import Any

FOLDERS = {"/mnt/data": "/mnt/data", "/tmp": "/tmp"}  # noqa: S108  the name that code uses -> the real path
USER = 1000
DONE, FAILED, READY = b"0", b"1", b"R"
charts: Any = None  # the modules beside this file, loaded once the privileges are dropped
cells: Any = None
NICE = 3  # the emulator gets twice the processor time, so that it answers while code computes


def drop_privileges(limits: dict[str, int]) -> None:
    """Become an ordinary user and set limits, in this order: RLIMIT_NPROC has no effect for root."""
    if FOLDERS["/tmp"] == "/tmp" and os.getuid() == 0:  # noqa: S108  else the guard has done this
        os.setgroups([])
        os.setresgid(USER, USER, USER)
        os.setresuid(USER, USER, USER)
    with contextlib.suppress(ImportError):  # not on Windows
        import resource

        for name, value in limits.items():
            kind = getattr(resource, name)
            hard = resource.getrlimit(kind)[1]
            most = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(kind, (most, most))
    os.umask(0o022)


def load(name: str) -> types.ModuleType:
    """Load a file beside this one; with -I, Python does not look there."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def warm_up() -> None:
    """Import common libraries."""
    import numpy  # noqa: F401
    import pandas as pd

    pd.set_option("display.width", 160)
    pd.set_option("io.excel.xlsx.reader", "openpyxl")  # otherwise pandas 3 warns on every read
    charts.set_up(lambda: Path(FOLDERS["/mnt/data"]))


def run(code: str, cell: str, namespace: dict[str, Any]) -> bool:
    """Run one cell as a notebook does; return whether it failed."""
    linecache.cache[cell] = (len(code), None, code.splitlines(keepends=True), cell)
    begun_ns = time.time_ns()
    try:
        evaluate(code, cell, namespace)
        charts.save_figures(Path(FOLDERS["/mnt/data"]))
    except SystemExit as exc:  # as in a notebook: ends the cell, not the session
        if exc.code not in (None, 0):
            sys.stderr.write(f"SystemExit: {exc.code}\n")
            return True
    except BaseException as exc:
        sys.stderr.write(report(exc))
        charts.close_figures()
        return True
    finally:
        finish(begun_ns)
    return False


def finish(begun_ns: int) -> None:
    """Return images from outside /mnt/data, and say which characters charts lack; the code may have broken it all."""
    try:
        charts.bring_images(Path(FOLDERS["/tmp"]), Path(FOLDERS["/mnt/data"]), since_ns=begun_ns)  # noqa: S108
        sys.stdout.write(charts.missing_sentence())
    except Exception as exc:
        with contextlib.suppress(Exception):
            sys.stderr.write(report(exc))
    flush()


def evaluate(code: str, cell: str, namespace: dict[str, Any]) -> None:
    """Execute a cell; print the value of its last expression unless it ends with a semicolon."""
    tree = cells.parse(code, cell)
    if any(name != real for name, real in FOLDERS.items()):
        tree = RealPaths().visit(tree)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    execute(compile(tree, cell, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), namespace)
    if isinstance(last, ast.Expr):
        value = execute(compile(ast.Expression(last.value), cell, "eval", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), namespace)
        if value is not None and not code.rstrip().endswith(";"):
            namespace["_"] = value
            print(repr(value))  # noqa: T201


def execute(code: types.CodeType, namespace: dict[str, Any]) -> Any:
    """Execute it; if it awaits at its top level, in the event loop of the session."""
    value = eval(code, namespace)  # noqa: S307
    return loop().run_until_complete(value) if code.co_flags & inspect.CO_COROUTINE else value


@functools.cache
def loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


class RealPaths(ast.NodeTransformer):
    """Replaces the names of the session's folders in strings by their real paths."""

    NAMES = re.compile(r"(?<![\w./])(" + "|".join(FOLDERS) + r")(?![\w.-])")

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        if isinstance(node.value, str):
            node.value = self.NAMES.sub(lambda found: FOLDERS[found[1]], node.value)
        return node


def report(exc: BaseException) -> str:
    """The traceback from the first line of a cell on."""
    frames = exc.__traceback__
    while frames is not None and not frames.tb_frame.f_code.co_filename.startswith("<cell"):
        frames = frames.tb_next
    return "".join(traceback.format_exception(type(exc), exc, frames))


def flush() -> None:
    for stream in {sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__}:
        try:
            stream.flush()  # type: ignore[union-attr]
        except Exception:  # noqa: S112  the code may have closed or replaced it
            continue
    with contextlib.suppress(TypeError, OSError):  # not on Windows
        ctypes.CDLL(None).fflush(None)  # what native code printed


def receive(channel: socket.socket, size: int) -> bytes:
    content = bytearray()
    while len(content) < size:
        part = channel.recv(size - len(content))
        if not part:
            os._exit(0)  # the host closed the channel
        content += part
    return bytes(content)


def open_channel(argument: str) -> socket.socket:
    """An inherited descriptor, whose number is given, or a connection to `PORT:TOKEN`."""
    if ":" in argument:
        port, token = argument.split(":")
        channel = socket.create_connection(("127.0.0.1", int(port)))
        channel.sendall(token.encode())
        return channel
    channel = socket.socket(fileno=int(argument))
    channel.set_inheritable(False)
    os.closerange(3, channel.fileno())  # descriptors that bwrap or the guard left open
    os.closerange(channel.fileno() + 1, 4096)
    return channel


def prepare(limits: dict[str, int]) -> dict[str, Any]:
    """Give up all privileges and make the namespace of the notebook, in which cells run."""
    drop_privileges(limits)
    os.environ["TZ"] = "UTC"
    if hasattr(time, "tzset"):  # not on Windows
        time.tzset()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    notebook = types.ModuleType("__main__")
    notebook.__dict__["display"] = print
    sys.modules["__main__"] = notebook
    sys.argv = [""]
    sys.path.append(FOLDERS["/mnt/data"])
    os.chdir(FOLDERS["/mnt/data"])
    return notebook.__dict__


def serve(channel: socket.socket, namespace: dict[str, Any]) -> None:
    """Say that the session is ready, then run one cell after the other."""
    flush()
    with contextlib.suppress(AttributeError, OSError):
        os.nice(NICE)
    channel.sendall(READY)
    count = 0
    while True:
        size = int.from_bytes(receive(channel, 4), "big")
        code = receive(channel, size).decode()
        count += 1
        channel.sendall(FAILED if run(code, f"<cell {count}>", namespace) else DONE)


def load_parts() -> None:
    global charts, cells
    charts, cells = load("charts"), load("cells")


def main() -> None:
    channel = open_channel(sys.argv[1])
    FOLDERS.update(json.loads(sys.argv[3]) if len(sys.argv) > 3 else {})
    namespace = prepare(json.loads(sys.argv[2]))
    load_parts()
    warm_up()
    serve(channel, namespace)


if __name__ == "__main__":
    main()
