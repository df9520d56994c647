"""Notices what stops answering while the stack runs: processes that hang, and a model's server that has ended."""

import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Self

EVERY_S = 3.0


class Watch:
    """Asks each part again and again, in a thread, until the `with` block ends: an answer can take seconds.

    Args:
        parts: Name -> whether it answers.
        every_s: Pause between two rounds.
    """

    def __init__(self, parts: Mapping[str, Callable[[], bool]], *, every_s: float = EVERY_S) -> None:
        self._parts = parts
        self._every_s = every_s
        self._news: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()

    def news(self) -> Iterator[str]:
        """Lines about parts that stopped or began to answer since the last call."""
        while not self._news.empty():
            yield self._news.get()

    def _watch(self) -> None:
        answering = dict.fromkeys(self._parts, True)
        while not self._ended.is_set():
            for name, answers in self._parts.items():
                now = answers()
                if now != answering[name]:
                    self._news.put(changed(name, answers=now))
                answering[name] = now
            self._ended.wait(self._every_s)


def changed(name: str, *, answers: bool) -> str:
    if answers:
        return f"  {name} answers again."
    return f"  {name} does not answer. Questions and documents wait or fail until it does."
