"""The Functions host running the app, which kills itself at a call that it makes for one document. For tests only.

Environment variables:
    CRASH_PATH: The document whose events and queue messages are watched. Without it, the process never dies.
    CRASH_JOURNEY: The name of what is done to the document: `index`, `replace` or `delete`.
    CRASH_LOG: The file that remembers where processes have died.

The process can die when the handling of an event or message begins, and after each call that changes something in
storage, a queue or a vector store. It dies at the first of these places where no process has died before on the same
journey. No two calls are made at the same time for one document. So a crash before a call, or after one that only
reads, would leave the same state as a crash after the last change.

Claims, the visibility timeout of queue messages and the time after which a document counts as stuck are short: a test
does not wait long until another process takes over.
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

from local.functions_host import Host
from local.functions_host.__main__ import main as run_host
from shared.documents import drift, lifecycle, reconcile, uploading  # noqa: F401  else the first upload imports it
from shared.documents.indexer import Documents
from shared.documents.messages import LookAtDocument, RemoveDocument, RetryDocument, indexing_message
from shared.documents.worker import Worker
from shared.engines import vector_stores
from shared.storage import blobs as storage

LEASE_S = 3
REPEATED_MAX = 6  # of one call: a claim is renewed the more often the slower the machine is
READING = (
    *("read", "info", "exists", "list", "list_names", "page", "stream"),
    *("describe", "state", "has_file", "entries", "files_since", "list_stores"),
)

watched: ContextVar[bool] = ContextVar("watched", default=False)
seen: Counter[str] = Counter()  # how often this process has made a call


def switch_on() -> None:
    """Watch every adapter that the app makes from now on."""
    assert Host.__init__.__kwdefaults__
    Host.__init__.__kwdefaults__["lease_s"] = LEASE_S
    # Constants are set in each module that imports them by name.
    lifecycle.CLAIM = drift.STUCK = timedelta(seconds=3)
    lifecycle.SETTLED = drift.SETTLED = timedelta(seconds=2)  # type: ignore[attr-defined]
    drift.EVENT_DELAY = timedelta(seconds=2)
    reconcile.CLAIM = timedelta(seconds=5)  # type: ignore[attr-defined]
    open_storage, made = storage.open_storage, vector_stores.OpenAIVectorStores
    storage.open_storage = lambda *args, **named: storage.Storage(
        **{name: Watched(adapter) for name, adapter in vars(open_storage(*args, **named)).items()}
    )
    vector_stores.OpenAIVectorStores = lambda *args, **named: Watched(made(*args, **named))  # type: ignore[assignment, misc, return-value]
    Documents.index = watching(Documents.index, str)  # type: ignore[method-assign]
    Documents.remove = watching(Documents.remove, str)  # type: ignore[method-assign]
    Worker.do = watching(Worker.do, path_in)  # type: ignore[method-assign]


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
            finally:  # a call that raises may have had its effect
                crash_once(name, *args)

        @wraps(found)
        async def listed(*args: Any, **named: Any) -> AsyncIterator[Any]:
            async for each in found(*args, **named):
                yield each
            crash_once(name, *args)

        return listed if inspect.isasyncgenfunction(found) else called


def watching(handle: Callable[..., Any], path_of: Callable[[Any], str | None]) -> Callable[..., Any]:
    """`handle`, watched when `path_of` its argument is CRASH_PATH."""

    @wraps(handle)
    async def watched_handle(self: Any, what: Any, **named: Any) -> None:
        if watched.get() or "CRASH_PATH" not in os.environ or path_of(what) != os.environ["CRASH_PATH"]:
            await handle(self, what, **named)
            return
        note("begins")
        token = watched.set(True)
        try:
            crash_once("begin")
            await handle(self, what, **named)
        finally:
            watched.reset(token)
            note("ends")

    return watched_handle


def crash_once(name: str, *args: Any) -> None:
    """Kill this process, unless another one has died at this place before."""
    if not watched.get() or name in READING:
        return
    what = args[0] if args and isinstance(args[0], str) and args[0] != os.environ["CRASH_PATH"] else ""
    call = f"{name} {what.partition('/')[0]}/" if "/" in what else name
    seen[call] += 1
    if seen[call] > REPEATED_MAX:
        return
    place = f"{os.environ['CRASH_JOURNEY']}: {call} #{seen[call]}"
    if place not in {line.partition(" dies ")[2] for line in Path(os.environ["CRASH_LOG"]).read_text().splitlines()}:
        note(f"dies {place}")
        os.kill(os.getpid(), signal.SIGKILL)


def note(line: str) -> None:
    with Path(os.environ["CRASH_LOG"]).open("a") as log:
        log.write(f"{os.environ['CRASH_PATH']} {line}\n")


def path_in(body: bytes) -> str | None:
    """The document that a message of the queue `indexing` is about; None when it is about something else."""
    match indexing_message(body):
        case LookAtDocument(path) | RetryDocument(path) | RemoveDocument(path):
            return path
    return None


if __name__ == "__main__":
    switch_on()
    code = run_host()
    sys.stdout.flush()
    os._exit(code)  # as local/functions_host/__main__.py does
