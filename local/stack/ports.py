"""The ports of a stack: chosen once, and kept from every other program for as long as the stack exists."""

import os
import socket
import sys
import weakref
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Self

USUAL_PORTS = {"blobs": 10000, "queues": 10001, "tables": 10002, "emulator": 8787, "host": 7071}
# A port stays bound here while a process of the stack listens on it. Other systems would refuse the second socket.
CAN_HOLD = sys.platform == "linux"


class Ports:
    """A port for each name of `USUAL_PORTS`.

    Seconds pass between the choice of a port and the moment a process listens on it, and again at each restart.
    Without a socket that holds it, the system could give the port to any outgoing connection.

    Attributes:
        numbers: Name -> port.
        moved: Names whose usual port was in use.
    """

    def __init__(self, numbers: dict[str, int], moved: list[str], held: Iterable[socket.socket]) -> None:
        self.numbers = numbers
        self.moved = moved
        weakref.finalize(self, _close, list(held))

    @classmethod
    def choose(cls, *, usual: bool) -> Self:
        """Choose free ports: the usual ones where possible, or any."""
        numbers, moved, bound = {}, [], []
        with ExitStack() as closes:  # all are open at the same time, so all ports are different
            for name, port in USUAL_PORTS.items():
                listener = closes.enter_context(socket.socket())
                if os.name == "posix":  # on Windows, it would give a port that is in use
                    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    listener.bind(("127.0.0.1", port if usual else 0))
                except OSError:
                    moved.append(name)
                    listener.bind(("127.0.0.1", 0))
                numbers[name] = listener.getsockname()[1]
                bound.append(listener)
            if not CAN_HOLD:
                return cls(numbers, moved, held=())
            closes.pop_all()
        return cls(numbers, moved, held=bound)


def _close(sockets: list[socket.socket]) -> None:
    for held in sockets:
        held.close()
