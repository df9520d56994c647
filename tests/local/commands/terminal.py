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
from pathlib import Path

from local.paths import ROOT

WITHIN_S = 300
LOOK_S = 0.01
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

    def interrupt(self) -> None:
        """Press Ctrl-C once the command sleeps.

        Python's line editor does not see a signal that arrives after it has shown its prompt and before it waits
        for a key. A user presses Ctrl-C once more; a test would not know whether the first one still comes.
        """
        deadline_s = time.monotonic() + WITHIN_S
        while not _sleeps(self.process.pid):
            assert time.monotonic() < deadline_s, "it never waited for anything"
            time.sleep(LOOK_S)
        self.type("\x03")

    def until(self, text: str) -> str:
        """Wait until this was shown after what an earlier call has found; return all between."""
        deadline_s = time.monotonic() + WITHIN_S
        while (at := self.shown.find(text, self._seen)) < 0:
            assert time.monotonic() < deadline_s, f"{text!r} was not shown:\n{self.shown[self._seen :]}"
            assert self._read(), f"nothing came, or it ended, before it showed {text!r}:\n{self.shown[self._seen :]}"
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


def _sleeps(pid: int) -> bool:
    """Whether the first thread of a process waits for something; True where the system does not tell."""
    stat = Path(f"/proc/{pid}/task/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "S"
