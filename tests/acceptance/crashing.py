"""The app as it is, in a process that ends at the n-th call to storage, queue or engine: a switch for tests only.

`CRASH_KEY` names the Idempotency-Key of the POST from which calls are counted, those of the run's looks included;
`CRASH_AT` the call at which the process ends, and `CRASH_WHEN` whether `before` or `after` its effect. Without them,
nothing is counted. Claims are short, so that a test need not wait for those of the dead.

Before most calls, the world is as it was after the one before, so that `before` counts only those where it is not: the
first call of a request or a look, since what led to it (an HTTP answer, a queue message deleted by the host) is no call
of ours, and writes made at the same moment, of which it leaves out one and lets the others have their effect.
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
from shared.runs import poller, runs
from shared.storage import blobs as storage

LISTING = ("list", "list_names", "stream")
READING = ("read", "info", "exists", *LISTING)


@dataclass
class Work:
    """One request or look whose calls are counted."""

    begun: int = 0
    under_way: int = 0


work: ContextVar[Work | None] = ContextVar("work", default=None)
mine: set[str] = set()  # the runs whose looks are counted
calls = 0


async def begin(name: str, *args: Any) -> None:
    """One more call is about to be made."""
    if (now := work.get()) is None:
        return
    now.begun += 1
    now.under_way += 1
    is_first = now.begun == 1
    await asyncio.sleep(0)  # those made at the same moment begin, too
    is_one_of_several = now.under_way > 1 and name not in READING
    if (is_first or is_one_of_several) and is_here("before"):
        while now.under_way > 1:
            await asyncio.sleep(0.001)
        end(name, *args)


def note(name: str, *args: Any) -> None:
    """It has had its effect."""
    if (now := work.get()) is None:
        return
    now.under_way -= 1
    if name == "write" and args[0].startswith("runs/"):
        mine.add(args[0].removeprefix("runs/").removesuffix(".json"))
    if is_here("after"):
        end(name, *args)


def is_here(when: str) -> bool:
    """Count one call, when it is this that is counted."""
    global calls
    if os.environ.get("CRASH_WHEN") != when:
        return False
    calls += 1
    return calls == int(os.environ["CRASH_AT"])


def end(name: str, *args: Any) -> None:
    called = f"{name} {args[0]}" if args and isinstance(args[0], str) else name
    with Path(os.environ["CRASH_LOG"]).open("a") as log:
        log.write(f"{os.environ['CRASH_WHEN']} {called}\n")
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
            await begin(name, *args)
            try:
                return await found(*args, **named)
            finally:  # an error is an answer, too
                note(name, *args)

        @wraps(found)
        async def listed(*args: Any, **named: Any) -> AsyncIterator[Any]:
            await begin(name, *args)
            note(name, *args)  # it has no effect
            async for each in found(*args, **named):
                yield each

        return listed if name in LISTING else called


def load() -> Any:
    """The real function_app.py, on counting adapters."""
    poller.START_CLAIM = runs.START_CLAIM = timedelta(seconds=1)  # type: ignore[attr-defined]
    poller.OVERDUE = timedelta(seconds=1)  # type: ignore[attr-defined]
    poller.STARTING_AGAIN_S = 1  # type: ignore[attr-defined]
    poller.FIRST_LOOK_S = 0  # type: ignore[attr-defined]
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
        work.set(Work() if key and req.headers.get("idempotency-key") == key else None)
        response: func.HttpResponse = await start_run(services, req)
        return response

    return post


def counting_look(advance: Callable[..., Any]) -> Callable[..., Any]:
    async def look(self: poller.Poller, run_id: str, generation: int) -> None:
        work.set(Work() if run_id in mine else None)
        await advance(self, run_id, generation)

    return look
