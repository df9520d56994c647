"""The Functions host with the app as it is, killing itself at a call made for one document: for tests only.

`CRASH_PATH` names the document whose events and messages are watched. The process dies as each of them begins, and
after each call that changes something in storage, queue or vector stores: at the first such place at which none before
it has died on the same `CRASH_JOURNEY`, which `CRASH_LOG` remembers. Nothing is called at the same moment as another
for one document, so that before a call, and after one that only reads, the world is as it was after the last change.
Without `CRASH_PATH`, nobody dies.

Claims and the leases of queue messages are short, and what nobody touches is stuck soon, so that a test need not wait
for what the dead have left.
"""

import inspect
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from datetime import timedelta
from functools import wraps
from pathlib import Path
from typing import Any

import msgspec

from local.functions_host import Host
from local.functions_host.__main__ import main as run_host
from shared.documents import drift, lifecycle, reconcile
from shared.documents import indexer as documents
from shared.documents import worker as work
from shared.documents.messages import Work
from shared.engines import vector_stores
from shared.storage import blobs as storage

LEASE_S = 3
READING = ("read", "info", "exists", "list", "list_names", "page", "stream", "describe", "state", "has_file")

watched: ContextVar[bool] = ContextVar("watched", default=False)
seen: Counter[str] = Counter()  # how often this process was at a place


def switch_on() -> None:
    """Everything that the app makes from here on is watched."""
    assert Host.__init__.__kwdefaults__
    Host.__init__.__kwdefaults__["lease_s"] = LEASE_S
    lifecycle.CLAIM = drift.STUCK = timedelta(seconds=3)
    drift.EVENT_DELAY = timedelta(seconds=2)
    reconcile.CLAIM = timedelta(seconds=5)  # type: ignore[attr-defined]
    open_storage, made = storage.open_storage, vector_stores.OpenAIVectorStores
    storage.open_storage = lambda *args, **named: storage.Storage(
        **{name: Watched(adapter) for name, adapter in vars(open_storage(*args, **named)).items()}
    )
    vector_stores.OpenAIVectorStores = lambda client: Watched(made(client))  # type: ignore[assignment, misc, return-value]
    documents.Documents.index = watching(documents.Documents.index, str)  # type: ignore[method-assign]
    documents.Documents.remove = watching(documents.Documents.remove, str)  # type: ignore[method-assign]
    work.Worker.do = watching(work.Worker.do, path_in)  # type: ignore[method-assign]


class Watched:
    """An adapter after whose calls the process may die."""

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
                die_here(name, *args)

        @wraps(found)
        async def listed(*args: Any, **named: Any) -> AsyncIterator[Any]:
            async for each in found(*args, **named):
                yield each
            die_here(name, *args)

        return listed if inspect.isasyncgenfunction(found) else called


def watching(done: Callable[..., Any], path_of: Callable[[Any], str | None]) -> Callable[..., Any]:
    """The process may die within it when it is about the one document."""

    @wraps(done)
    async def within(self: Any, what: Any, **named: Any) -> None:
        if watched.get() or "CRASH_PATH" not in os.environ or path_of(what) != os.environ["CRASH_PATH"]:
            await done(self, what, **named)
            return
        note("begins")
        token = watched.set(True)
        try:
            die_here("begin")
            await done(self, what, **named)
        finally:
            watched.reset(token)
            note("ends")

    return within


def die_here(name: str, *args: Any) -> None:
    """Unless another has died at this place before."""
    if not watched.get() or name in READING:
        return
    what = args[0] if args and isinstance(args[0], str) and args[0] != os.environ["CRASH_PATH"] else ""
    call = f"{name} {what.partition('/')[0]}/" if "/" in what else name
    seen[call] += 1
    place = f"{os.environ['CRASH_JOURNEY']}: {call} #{seen[call]}"
    if place not in {line.partition(" dies ")[2] for line in Path(os.environ["CRASH_LOG"]).read_text().splitlines()}:
        note(f"dies {place}")
        os.kill(os.getpid(), signal.SIGKILL)


def note(line: str) -> None:
    with Path(os.environ["CRASH_LOG"]).open("a") as log:
        log.write(f"{os.environ['CRASH_PATH']} {line}\n")


def path_in(body: bytes) -> str | None:
    message = msgspec.json.decode(body, type=Work)
    return message.path or message.removed


if __name__ == "__main__":
    switch_on()
    code = run_host()
    sys.stdout.flush()
    os._exit(code)  # as the host does it
