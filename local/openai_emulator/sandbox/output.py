"""What a session prints, gathered from a pipe as it comes and kept to a bound."""

from __future__ import annotations

import array
import asyncio
import os

READ_BYTES = 1 << 16


class Output:
    """The read end of the pipe that is stdout and stderr of everything in a session; owns the descriptor."""

    def __init__(self, descriptor: int, *, limit_bytes: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._half = limit_bytes // 2
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(descriptor, self._read)
        self._open = True
        self.clear()

    def clear(self) -> None:
        self._head, self._tail, self._left_out = bytearray(), bytearray(), 0

    def close(self) -> None:
        if self._open:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._open = False

    def take(self) -> str:
        """All that was printed until now; starts anew. The middle of long output is left out, with a note."""
        self._read_what_is_there()
        self._trim()
        note = f"\n... {self._left_out:,} bytes of output left out ...\n".encode() if self._left_out else b""
        content = bytes(self._head) + note + bytes(self._tail)
        self.clear()
        return content.decode(errors="replace")

    def _read_what_is_there(self) -> None:
        """Read what the pipe holds now, and no more: a background process may print without end."""
        waiting = _bytes_waiting(self._descriptor) if self._open else 0
        while waiting > 0 and (count := self._read()):
            waiting -= count

    def _read(self) -> int:
        try:
            content = os.read(self._descriptor, READ_BYTES)
        except BlockingIOError:
            return 0
        if not content:
            self._loop.remove_reader(self._descriptor)  # every writer is gone
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
            self._left_out += surplus
            del self._tail[:surplus]


def _bytes_waiting(descriptor: int) -> int:
    import fcntl  # not on Windows, where this is never called
    import termios

    count = array.array("i", [0])
    fcntl.ioctl(descriptor, termios.FIONREAD, count)
    return count[0]
