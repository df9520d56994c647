"""Runs inside the sandbox, as `python -I runner.py CHANNEL LIMITS`: gives up its rights, then runs code as it comes.

Stdlib only until the rights are gone. The channel is a socket to the host: it brings a length (4 bytes, big-endian) and
that much code; one byte goes back, `0` (done) or `1` (failed). What the code prints goes to the inherited stdout, which
is a pipe to the host. Nothing here guards the host: the code can rewrite this process as it likes.
"""

from __future__ import annotations

import ast
import contextlib
import ctypes
import io
import json
import linecache
import os
import resource
import socket
import sys
import time
import traceback
import types
from pathlib import Path
from typing import Any

FOLDER = Path("/mnt/data")
USER = 1000
DONE, FAILED, READY = b"0", b"1", b"R"


def give_up_rights(limits: dict[str, int]) -> None:
    """Become an ordinary user, with limits: only then do they bind (RLIMIT_NPROC does not bind for the real root)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")  # when memory runs out, this goes first
    if os.getuid() == 0:
        os.setgroups([])
        os.setresgid(USER, USER, USER)
        os.setresuid(USER, USER, USER)
    for name, value in limits.items():
        resource.setrlimit(getattr(resource, name), (value, value))
    os.umask(0o022)


def warm_up() -> None:
    """Import what nearly every cell imports, and make `plt.show()` save."""
    import matplotlib.figure
    import matplotlib.font_manager
    import matplotlib.pyplot as plt
    import numpy  # noqa: F401
    import pandas as pd

    pd.set_option("display.width", 160)
    pd.set_option("io.excel.xlsx.reader", "openpyxl")  # pandas 3 warns on every read unless one is named
    savefig = matplotlib.figure.Figure.savefig

    def savefig_and_note(self: Any, fname: Any, *args: Any, **kwargs: Any) -> None:
        savefig(self, fname, *args, **kwargs)
        if isinstance(fname, str | os.PathLike):
            self.saved_by_user = True

    matplotlib.figure.Figure.savefig = savefig_and_note  # type: ignore[method-assign]
    matplotlib.figure.Figure.show = lambda self, warn=True: save_figure(self)  # type: ignore[method-assign]
    plt.show = lambda *args, **kwargs: save_figures()


def save_figures() -> None:
    """Save every open figure that the code did not save itself as `figure-N.png`, and close them all."""
    plt = sys.modules["matplotlib.pyplot"]
    try:
        for number in plt.get_fignums():
            save_figure(plt.figure(number))
    finally:
        plt.close("all")


def save_figure(figure: Any) -> None:
    if not getattr(figure, "saved_by_user", False):
        number = next(n for n in range(1, 100_000) if not (FOLDER / f"figure-{n}.png").exists())
        figure.savefig(FOLDER / f"figure-{number}.png", dpi=150, bbox_inches="tight")


def run(code: str, cell: str, namespace: dict[str, Any]) -> bool:
    """Run one cell as a notebook would; whether it failed."""
    linecache.cache[cell] = (len(code), None, code.splitlines(keepends=True), cell)
    try:
        evaluate(code, cell, namespace)
        if "matplotlib.pyplot" in sys.modules:
            save_figures()
    except SystemExit as exc:  # as in a notebook: it ends the cell and leaves the session
        if exc.code not in (None, 0):
            sys.stderr.write(f"SystemExit: {exc.code}\n")
            return True
    except BaseException as exc:
        sys.stderr.write(report(exc))
        if "matplotlib.pyplot" in sys.modules:
            sys.modules["matplotlib.pyplot"].close("all")
        return True
    finally:
        flush()
    return False


def evaluate(code: str, cell: str, namespace: dict[str, Any]) -> None:
    """Execute, and print the value of a last expression, unless a semicolon follows it."""
    tree = ast.parse(code, cell)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, cell, "exec"), namespace)  # noqa: S102
    if isinstance(last, ast.Expr):
        value = eval(compile(ast.Expression(last.value), cell, "eval"), namespace)  # noqa: S307
        if value is not None and not code.rstrip().endswith(";"):
            namespace["_"] = value
            print(repr(value))  # noqa: T201


def report(exc: BaseException) -> str:
    """The traceback without the frames of this file."""
    frames = exc.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename == __file__:
        frames = frames.tb_next
    return "".join(traceback.format_exception(type(exc), exc, frames))


def flush() -> None:
    for stream in {sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__}:
        try:
            stream.flush()  # type: ignore[union-attr]
        except Exception:  # noqa: S112  the code may have closed or replaced it
            continue
    ctypes.CDLL(None).fflush(None)  # what native code printed


def receive(channel: socket.socket, size: int) -> bytes:
    content = bytearray()
    while len(content) < size:
        part = channel.recv(size - len(content))
        if not part:
            os._exit(0)  # the host is gone
        content += part
    return bytes(content)


def main() -> None:
    channel = socket.socket(fileno=int(sys.argv[1]))
    channel.set_inheritable(False)
    os.closerange(3, channel.fileno())  # what bwrap left open
    os.closerange(channel.fileno() + 1, 4096)
    give_up_rights(json.loads(sys.argv[2]))
    os.environ["TZ"] = "UTC"
    time.tzset()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    notebook = types.ModuleType("__main__")
    notebook.__dict__["display"] = print
    sys.modules["__main__"] = notebook
    sys.argv = [""]
    sys.path.append(str(FOLDER))
    warm_up()
    flush()
    channel.sendall(READY)
    count = 0
    while True:
        size = int.from_bytes(receive(channel, 4), "big")
        code = receive(channel, size).decode()
        count += 1
        channel.sendall(FAILED if run(code, f"<cell {count}>", notebook.__dict__) else DONE)


if __name__ == "__main__":
    main()
