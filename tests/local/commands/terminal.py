"""A command in a pseudo-terminal, as a user has it."""

from __future__ import annotations

import codecs
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from local.paths import ROOT

WITHIN_S = 300
START = (  # the pseudo-terminal becomes the one of the process, so that Ctrl-C in it is a signal
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.executable, sys.argv[1:])"
)


class Typed:
    """What a command shows, and what is typed."""

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self.process = process
        self.shown = ""
        self._master = master
        self._seen = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")  # one read may end within a character

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def until(self, text: str) -> str:
        """Wait until this was shown after what an earlier call has found; return all between."""
        deadline_s = time.monotonic() + WITHIN_S
        while (at := self.shown.find(text, self._seen)) < 0:
            assert time.monotonic() < deadline_s, f"{text!r} was not shown:\n{self.shown[self._seen :]}"
            assert self._read(), f"it ended before it showed {text!r}:\n{self.shown[self._seen :]}"
        between = self.shown[self._seen : at + len(text)]
        self._seen = at + len(text)
        return between

    def ended(self) -> int:
        """Wait until the command ends; return its exit code."""
        while self._read():
            pass
        return self.process.wait(WITHIN_S)

    def _read(self) -> bool:
        if not select.select([self._master], [], [], WITHIN_S)[0]:
            return False
        try:
            content = os.read(self._master, 65536)
        except OSError:  # Linux: no process has the terminal any more
            return False
        self.shown += self._decoder.decode(content)
        return bool(content)


@contextmanager
def command(*arguments: str, environ: Mapping[str, str]) -> Iterator[Typed]:
    """Run `python -m local` with these arguments in a pseudo-terminal."""
    import pty

    master, slave = pty.openpty()
    line = [sys.executable, "-c", START, sys.executable, "-m", "local", *arguments]
    process = subprocess.Popen(
        line, cwd=ROOT, env=dict(environ), stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    )
    os.close(slave)
    try:
        yield Typed(process, master)
    finally:
        process.kill()
        process.wait()
        os.close(master)
