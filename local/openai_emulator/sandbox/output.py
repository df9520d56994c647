"""Collects the output of a session from a pipe or a file, up to a limit."""

from __future__ import annotations

import array
import asyncio
import os
from pathlib import Path

READ_BYTES = 1 << 16


class Output:
    """The read end of the pipe that all processes of a session print to; owns the descriptor."""

    def __init__(self, descriptor: int, *, limit_bytes: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._half = limit_bytes // 2
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(descriptor, self._read)
        self._open = True
        self.clear()

    def clear(self) -> None:
        self._head, self._tail, self._dropped = bytearray(), bytearray(), 0

    def close(self) -> None:
        if self._open:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._open = False

    def take(self) -> str:
        """Return and clear the output so far. The middle of long output is replaced by a note."""
        self._read_available()
        self._trim()
        note = f"\n... {self._dropped:,} bytes of output left out ...\n".encode() if self._dropped else b""
        content = bytes(self._head) + note + bytes(self._tail)
        self.clear()
        return content.decode(errors="replace")

    def _read_available(self) -> None:
        """Read only what the pipe holds now: a background process may print forever."""
        waiting = _bytes_waiting(self._descriptor) if self._open else 0
        while waiting > 0 and (count := self._read()):
            waiting -= count

    def _read(self) -> int:
        try:
            content = os.read(self._descriptor, READ_BYTES)
        except BlockingIOError:
            return 0
        if not content:
            self._loop.remove_reader(self._descriptor)  # all writers have closed it
        self._keep(content)
        return len(content)

    def _keep(self, content: bytes) -> None:
        room = self._half - len(self._head)
        self._head += content[:room]
        self._tail += content[room:]
        if len(self._tail) > 2 * self._half:
            self._trim()

    def _trim(self) -> None:
        surplus = len(self._tail) - self._half
        if surplus > 0:
            self._dropped += surplus
            del self._tail[:surplus]


class FileOutput:
    """Like `Output`, from a file that the session appends to: works on every system."""

    def __init__(self, path: Path, *, limit_bytes: int) -> None:
        self.writer = path.open("wb")  # for the session's process
        self._reader = path.open("rb")
        self._half = limit_bytes // 2

    def clear(self) -> None:
        self._reader.seek(0, os.SEEK_END)

    def close(self) -> None:
        self.writer.close()
        self._reader.close()

    def take(self) -> str:
        """Return the output since the last call. The middle of long output is replaced by a note."""
        first, end = self._reader.tell(), os.fstat(self._reader.fileno()).st_size
        content = self._reader.read(min(end - first, 2 * self._half))
        if dropped := max(0, end - first - 2 * self._half):
            self._reader.seek(end - self._half)
            note = f"\n... {dropped:,} bytes of output left out ...\n".encode()
            content = content[: self._half] + note + self._reader.read(self._half)
        return content.decode(errors="replace")


def _bytes_waiting(descriptor: int) -> int:
    import fcntl  # not on Windows, where this is never called
    import termios

    count = array.array("i", [0])
    fcntl.ioctl(descriptor, termios.FIONREAD, count)
    return count[0]
