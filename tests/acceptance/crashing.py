"""Runs the app and ends the process at the n-th call to storage, a queue or the engine. For tests only.

Environment variables:
    CRASH_KEY: The Idempotency-Key of the POST whose calls are counted, together with those of its run's looks. Without
        it, nothing is counted.
    CRASH_AT: The number of the call at which the process ends, from 1; or a part of its name and first argument.
    CRASH_WHEN: `before` or `after` the effect of that call.
    CRASH_LOG: The file that each crash is appended to, and `closed RUN` when the look that closed a run has returned.

Claims are short: a test does not wait long until the claim of a dead process ends.

A crash before a call usually leaves the same state as a crash after the call before it. `before` therefore counts only
the calls where the state differs:

* The first call of a request or a look: between it and the last counted call are steps that are no call of the app,
  such as an HTTP response, or the host deleting a queue message.
* Concurrent writes: the crash leaves out one of them, after the others have had their effect.
"""

import asyncio
import importlib.util
import os
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from pathlib import Path
from typing import Any

import azure.functions as func

from local.paths import ROOT
from shared import services
from shared.http import runs as routes
from shared.runs import launching, poller, runs, transitions
from shared.runs.messages import RunLook
from shared.storage import blobs as storage
from shared.storage.layout import ACTIVE, RUNS

LISTING = ("list", "list_names", "stream")
READING = ("read", "info", "exists", *LISTING)


@dataclass
class Counted:
    """The calls of one request or look."""

    started: int = 0
    pending: int = 0
    is_closing: bool = False  # the run's marker was deleted


counted: ContextVar[Counted | None] = ContextVar("counted", default=None)  # None: calls are not counted
counted_runs: set[str] = set()  # ids of the runs whose looks are counted
calls = 0


async def before_call(name: str, *args: Any) -> None:
    """End the process if this is the call, and CRASH_WHEN is `before`."""
    if (current := counted.get()) is None:
        return
    current.started += 1
    current.pending += 1
    is_first = current.started == 1
    await asyncio.sleep(0)  # let concurrent calls start, too
    is_concurrent_write = current.pending > 1 and name not in READING
    if (is_first or is_concurrent_write) and is_crash("before", name, *args):
        while current.pending > 1:
            await asyncio.sleep(0.001)
        crash(name, *args)


def after_call(name: str, *args: Any) -> None:
    """End the process if this is the call, and CRASH_WHEN is `after`."""
    if (current := counted.get()) is None:
        return
    current.pending -= 1
    if name == "delete" and args[0].startswith(ACTIVE):
        current.is_closing = True
    if name == "write" and args[0].startswith(RUNS):
        counted_runs.add(args[0].removeprefix(RUNS).removesuffix(".json"))
    if is_crash("after", name, *args):
        crash(name, *args)


def is_crash(when: str, name: str, *args: Any) -> bool:
    """Count the call, and say whether the process is to end at it."""
    global calls
    if os.environ.get("CRASH_WHEN") != when:
        return False
    calls += 1
    at = os.environ["CRASH_AT"]
    return calls == int(at) if at.isdecimal() else at in called(name, *args)


def called(name: str, *args: Any) -> str:
    return f"{name} {args[0]}" if args and isinstance(args[0], str) else name


def crash(name: str, *args: Any) -> None:
    record(f"{os.environ['CRASH_WHEN']} {called(name, *args)}")
    os._exit(1)


def record(line: str) -> None:
    with Path(os.environ["CRASH_LOG"]).open("a") as log:
        log.write(f"{line}\n")


class Counting:
    """An adapter whose calls are counted."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found):
            return found

        @wraps(found)
        async def counted_call(*args: Any, **named: Any) -> Any:
            await before_call(name, *args)
            try:
                return await found(*args, **named)
            finally:  # a call that raises may have had its effect
                after_call(name, *args)

        @wraps(found)
        async def listed(*args: Any, **named: Any) -> AsyncIterator[Any]:
            await before_call(name, *args)
            after_call(name, *args)  # listing has no effect
            async for each in found(*args, **named):
                yield each

        return listed if name in LISTING else counted_call


def load() -> Any:
    """The app of function_app.py, with adapters that count their calls."""
    # Constants are set in each module that imports them by name.
    for module in (transitions, poller, runs):
        module.START_CLAIM = timedelta(seconds=1)  # type: ignore[attr-defined]
    poller.OVERDUE = timedelta(seconds=1)  # type: ignore[attr-defined]
    transitions.STARTING_AGAIN_S = 1
    launching.FIRST_LOOK_S = 0
    storage.open_storage = counting_storage(storage.open_storage)
    services._engine = counting_engine(services._engine)
    poller.Poller.advance = counting_look(poller.Poller.advance)  # type: ignore[method-assign]
    routes.start_run = counting_post(routes.start_run)
    spec = importlib.util.spec_from_file_location("real_function_app", ROOT / "function_app.py")
    assert spec
    assert spec.loader
    real = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(real)
    return real.app


def counting_storage(open_storage: Callable[..., Any]) -> Callable[..., Any]:
    def opened(*args: Any, **named: Any) -> storage.Storage:
        adapters = vars(open_storage(*args, **named))
        return storage.Storage(**{name: Counting(adapter) for name, adapter in adapters.items()})

    return opened


def counting_engine(made: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args: Counting(made(*args))


def counting_post(start_run: Callable[..., Any]) -> Callable[..., Any]:
    async def post(services: Any, req: func.HttpRequest) -> func.HttpResponse:
        key = os.environ.get("CRASH_KEY")
        counted.set(Counted() if key and req.headers.get("idempotency-key") == key else None)
        response: func.HttpResponse = await start_run(services, req)
        return response

    return post


def counting_look(advance: Callable[..., Any]) -> Callable[..., Any]:
    async def look(self: poller.Poller, message: RunLook) -> None:
        current = Counted() if message.run_id in counted_runs else None
        counted.set(current)
        await advance(self, message)
        if current and current.is_closing:
            record(f"closed {message.run_id}")

    return look
