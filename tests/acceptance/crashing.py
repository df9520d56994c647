"""The app as it is, in a process that ends at the n-th call to storage, queue or engine: a switch for tests only.

`CRASH_KEY` names the Idempotency-Key of the POST from which calls are counted, those of the run's looks included;
`CRASH_AT` the call after whose effect the process ends. Without them, nothing is counted. Claims are short, so that a
test need not wait for those of the dead.
"""

import importlib.util
import os
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from datetime import timedelta
from functools import wraps
from pathlib import Path
from typing import Any

import azure.functions as func

from local.paths import ROOT
from shared import poller, runs, services, storage
from shared.http import api

counted: ContextVar[bool] = ContextVar("counted", default=False)
mine: set[str] = set()  # the runs whose looks are counted
calls = 0


def note(name: str, *args: Any) -> None:
    """One more call has had its effect."""
    global calls
    if not counted.get():
        return
    called = f"{name} {args[0]}" if args and isinstance(args[0], str) else name
    if called.startswith("write runs/"):
        mine.add(called.removeprefix("write runs/").removesuffix(".json"))
    calls += 1
    if calls == int(os.environ.get("CRASH_AT") or 0):
        with Path(os.environ["CRASH_LOG"]).open("a") as log:
            log.write(f"{calls} {called}\n")
        os._exit(1)


class Counting:
    """An adapter whose calls are counted."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found):
            return found

        @wraps(found)
        async def called(*args: Any, **named: Any) -> Any:
            try:
                return await found(*args, **named)
            finally:  # an error is an answer, too
                note(name, *args)

        @wraps(found)
        async def listed(*args: Any, **named: Any) -> AsyncIterator[Any]:
            note(name, *args)
            async for each in found(*args, **named):
                yield each

        return listed if name in ("list", "stream") else called


def load() -> Any:
    """The real function_app.py, on counting adapters."""
    poller.START_CLAIM = runs.START_CLAIM = timedelta(seconds=1)  # type: ignore[attr-defined]
    poller.OVERDUE = timedelta(seconds=1)
    poller.STARTING_AGAIN_S = 1
    poller.FIRST_LOOK_S = 0
    storage.open_storage = counting_storage(storage.open_storage)
    services._engine = counting_engine(services._engine)
    poller.Poller.advance = counting_look(poller.Poller.advance)  # type: ignore[method-assign]
    api.start_run = counting_post(api.start_run)
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
        counted.set(bool(key) and req.headers.get("idempotency-key") == key)
        response: func.HttpResponse = await start_run(services, req)
        return response

    return post


def counting_look(advance: Callable[..., Any]) -> Callable[..., Any]:
    async def look(self: poller.Poller, run_id: str, generation: int) -> None:
        counted.set(run_id in mine)
        await advance(self, run_id, generation)

    return look
