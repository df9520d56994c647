"""What writers, watchers and askers are: clients of the app, each in a thread of its own."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx2

from tests.chaos.history import History

ANSWER_S = 40  # a request without an answer for so long is given up; longer than a freeze


def api_client(app_url: str, *, answer_s: float = ANSWER_S) -> httpx2.Client:
    return httpx2.Client(base_url=f"{app_url}/api", timeout=answer_s, trust_env=False)


class Gate:
    """Lets the nemesis hold all clients back between two of their operations.

    Clients do each operation inside `with gate.open():`. `with gate.held():` waits for their end, and holds the next.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._held = False

    @contextmanager
    def open(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._held)
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    @contextmanager
    def held(self) -> Iterator[None]:
        with self._changed:
            self._held = True
            self._changed.wait_for(lambda: self._inside == 0)
        try:
            yield
        finally:
            with self._changed:
                self._held = False
                self._changed.notify_all()


@dataclass(frozen=True, kw_only=True)
class Site:
    """Where the clients work, and what they share."""

    app_url: str
    storage: str  # connection string
    callback_url: str
    history: History = field(default_factory=History)
    gate: Gate = field(default_factory=Gate)
    threads: dict[str, list[str]] = field(default_factory=dict)  # path -> threads in which it was asked about


class Client(ABC):
    """Acts in a thread until it is stopped."""

    def __init__(self, site: Site, name: str) -> None:
        self.name = name
        self.site = site
        self.history = site.history
        self.http = api_client(site.app_url)
        self.stopped = threading.Event()
        self._thread = threading.Thread(target=self.act, name=name, daemon=True)

    @abstractmethod
    def act(self) -> None:
        """Act until `stopped`."""

    def start(self) -> None:
        self._thread.start()

    def stop(self, *, within_s: float) -> None:
        """Wait until its last operation has ended."""
        self.stopped.set()
        if self._thread.ident is not None:
            self._thread.join(within_s)
            assert not self._thread.is_alive(), f"{self.name} still waits for an answer after {within_s:.0f} s."
        self.close()

    def close(self) -> None:
        self.http.close()
