"""The clock, crashes, and the calls out of the process that every fake makes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from functools import wraps
from random import Random
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Clock:
    """The time changes only when a test moves it."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 22, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Crash(BaseException):
    """The process ends here. It is a BaseException: no `except Exception` of the app catches it."""


Action = Callable[[], Awaitable[object]]
Fault = Callable[[str], BaseException | None]  # given the name of a call; None: this call goes well


class Outside:
    """All calls that leave the process. `calls` lists their names, such as `state.write runs/run_1.json`."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self._crash_at: tuple[int, bool] | None = None
        self._meanwhile: list[tuple[str, bool, Action]] = []
        self._errors: dict[str, list[BaseException]] = defaultdict(list)
        self._lost: dict[str, list[BaseException]] = defaultdict(list)
        self._twice: list[str] = []
        self._nth: tuple[int, bool, Action] | None = None
        self._is_aside = False
        self._random: tuple[Random, float, Sequence[tuple[Fault, bool]]] | None = None
        self._fault_at: tuple[int, bool, Fault] | None = None

    def crash_at(self, n: int, *, after: bool) -> None:
        """Crash before or after the n-th call from now, counted from 1. With `after`, the call takes effect."""
        self._crash_at = (len(self.calls) + n, after)

    def meanwhile(self, action: Action, *, before: str = "", after: str = "") -> None:
        """Run the action once, before or after the next call whose name begins so, as another instance would."""
        self._meanwhile.append((before or after, bool(after), action))

    def meanwhile_nth(self, n: int, action: Action, *, after: bool) -> None:
        """Run the action once, before or after the n-th call from now, counted from 1."""
        self._nth = (len(self.calls) + n, after, action)

    def fail(self, call: str, *errors: BaseException) -> None:
        """The next calls of this name, such as `engine.start`, raise these errors, one each."""
        self._errors[call] += errors

    def fail_at(self, n: int, error: Fault, *, after: bool) -> None:
        """The n-th call from now raises this error, given the call's name. With `after`, the call takes effect."""
        self._fault_at = (len(self.calls) + n, after, error)

    def lose_answer(self, call: str, *errors: BaseException) -> None:
        """The next calls of this name are carried out, and raise these errors, one each."""
        self._lost[call] += errors

    def do_twice(self, call: str) -> None:
        """The next call of this name is carried out twice, and its second answer is returned."""
        self._twice.append(call)

    def is_twice(self, name: str) -> bool:
        found = next((call for call in self._twice if name.split(" ")[0] == call), None)
        if found:
            self._twice.remove(found)
        return found is not None

    def fail_at_random(self, drawn: Random, share: float, faults: Sequence[tuple[Fault, bool]]) -> None:
        """From now on, a share of the calls meets one of these faults, as `fail_at` describes them."""
        self._random = (drawn, share, faults)

    def calm(self) -> None:
        """No fault is planned any more."""
        self._random = self._fault_at = self._crash_at = None

    @contextmanager
    def aside(self) -> Iterator[None]:
        """What is called within is no call of the app: it meets no fault, and is not counted."""
        calls, self.calls = self.calls, []
        kept, self._is_aside = self._is_aside, True
        try:
            yield
        finally:
            self.calls, self._is_aside = calls, kept

    def switch_on(self) -> None:
        """Start a new process: cancel the planned crash."""
        self._crash_at = None

    @asynccontextmanager
    async def call(self, name: str) -> AsyncIterator[None]:
        if self._is_aside:
            yield
            return
        self.calls.append(name)
        n = len(self.calls)
        if self._random and self._random[0].random() < self._random[1]:
            fault, after = self._random[0].choice(self._random[2])
            self._fault_at = (n, after, fault)
        await self._act(n, name, after=False)
        if self._crash_at == (n, False):
            raise Crash(f"before {name}")
        if errors := self._errors[name.split(" ")[0]]:
            raise errors.pop(0)
        self._fault(n, name, after=False)
        try:
            yield
            if lost := self._lost[name.split(" ")[0]]:
                raise lost.pop(0)
            self._fault(n, name, after=True)
        finally:  # also after an error
            if self._crash_at == (n, True):
                raise Crash(f"after {name}")
            await self._act(n, name, after=True)

    def _fault(self, n: int, name: str, *, after: bool) -> None:
        error = self._fault_at[2](name) if self._fault_at and self._fault_at[:2] == (n, after) else None
        if error:
            raise error

    async def _act(self, n: int, name: str, *, after: bool) -> None:
        if self._nth and self._nth[:2] == (n, after):
            (_, _, action), self._nth = self._nth, None
            await action()
        due = [entry for entry in self._meanwhile if entry[1] == after and name.startswith(entry[0])]
        for entry in due:
            self._meanwhile.remove(entry)  # before the action, which can make the same call
            await entry[2]()


def outside(method: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Decorates a method of a fake that is a call out of the process."""

    @wraps(method)
    async def called(*args: P.args, **named: P.kwargs) -> T:
        fake: Any = args[0]
        what = f" {args[1]}" if len(args) > 1 and isinstance(args[1], str) else ""
        name = f"{fake.label}.{method.__name__}{what}"
        async with fake.outside.call(name):
            if fake.outside.is_twice(name):
                await method(*args, **named)
            return await method(*args, **named)

    return called
