"""Small real things in place of storage and the model service, and what happens to them: crashes and rivals.

Every call of a fake passes its `Outside`, where a test can end the process before or after the n-th call, let somebody
else act in between, or make a call fail. Each fake passes the same contract tests as the real thing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import wraps
from itertools import count
from typing import IO, Any, ParamSpec, TypeVar

import msgspec

from shared.engines.base import Ask, Call, Look, MadeFile, Output
from shared.engines.stores import Attributes, FileInfo, IndexState, Passage, StoreEntry, StoreInfo, Within
from shared.errors import BadRequest, BlobChanged, BlobMissing, ChainLost, ServiceBusy, ServiceError, ServiceMissing
from shared.storage.blobs import Blob, BlobInfo

MIDNIGHT = datetime(2026, 11, 22, tzinfo=UTC)

P = ParamSpec("P")
T = TypeVar("T")


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 22, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Crash(BaseException):
    """The process ends here; no `except Exception` sees it."""


Action = Callable[[], Awaitable[object]]


class Outside:
    """All that lies outside the process. `calls` names every call so far, as in `state.write runs/run_1.json`."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self._crash_at: tuple[int, bool] | None = None
        self._meanwhile: list[tuple[str, bool, Action]] = []
        self._errors: dict[str, list[BaseException]] = defaultdict(list)
        self._nth: tuple[int, bool, Action] | None = None

    def crash_at(self, n: int, *, after: bool) -> None:
        """End the process before or after the n-th call from now, counted from 1; the effect of `after` stays."""
        self._crash_at = (len(self.calls) + n, after)

    def meanwhile(self, action: Action, *, before: str = "", after: str = "") -> None:
        """Do this once, before or after the next call whose name begins so: another instance is at work, too."""
        self._meanwhile.append((before or after, bool(after), action))

    def meanwhile_nth(self, n: int, action: Action, *, after: bool) -> None:
        """The same before or after the n-th call from now, counted from 1."""
        self._nth = (len(self.calls) + n, after, action)

    def fail(self, call: str, *errors: BaseException) -> None:
        """The next calls of this name, such as `engine.start`, raise these instead."""
        self._errors[call] += errors

    def switch_on(self) -> None:
        """A new process: no crash is planned any more."""
        self._crash_at = None

    @asynccontextmanager
    async def call(self, name: str) -> AsyncIterator[None]:
        self.calls.append(name)
        n = len(self.calls)
        await self._act(n, name, after=False)
        if self._crash_at == (n, False):
            raise Crash(f"before {name}")
        if errors := self._errors[name.split(" ")[0]]:
            raise errors.pop(0)
        try:
            yield
        finally:  # an error is an answer, too
            if self._crash_at == (n, True):
                raise Crash(f"after {name}")
            await self._act(n, name, after=True)

    async def _act(self, n: int, name: str, *, after: bool) -> None:
        if self._nth and self._nth[:2] == (n, after):
            (_, _, action), self._nth = self._nth, None
            await action()
        due = [entry for entry in self._meanwhile if entry[1] == after and name.startswith(entry[0])]
        for entry in due:
            self._meanwhile.remove(entry)  # first: the action may make the same call
            await entry[2]()


def outside(method: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """A method of a fake that is a call to the outside."""

    @wraps(method)
    async def called(*args: P.args, **named: P.kwargs) -> T:
        fake: Any = args[0]
        what = f" {args[1]}" if len(args) > 1 and isinstance(args[1], str) else ""
        async with fake.outside.call(f"{fake.label}.{method.__name__}{what}"):
            return await method(*args, **named)

    return called


# ---- storage -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Kept:
    content: bytes
    media_type: str
    info: BlobInfo


class InMemoryBlobs:
    def __init__(self, label: str = "blobs", outside: Outside | None = None, clock: Clock | None = None) -> None:
        self.label = label
        self.outside = outside or Outside()
        self._clock = clock or Clock()
        self._kept: dict[str, _Kept] = {}
        self._etags = count(1)

    @outside
    async def read(self, name: str) -> Blob:
        kept = self._find(name)
        return Blob(content=kept.content, etag=kept.info.etag)

    @outside
    async def write(
        self,
        name: str,
        content: bytes,
        *,
        media_type: str,
        metadata: Mapping[str, str] | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> str:
        old = self._kept.get(name)
        if (if_match and (old is None or old.info.etag != if_match)) or (if_none_match and old):
            raise BlobChanged(f"{name} was written by someone else.")
        return self.put(name, content, media_type=media_type, metadata=metadata)

    @outside
    async def info(self, name: str) -> BlobInfo:
        return self._find(name).info

    @outside
    async def delete(self, name: str, *, if_match: str | None = None) -> bool:
        old = self._kept.get(name)
        if old and if_match and old.info.etag != if_match:
            raise BlobChanged(f"{name} was written by someone else.")
        return self._kept.pop(name, None) is not None

    @outside
    async def reachable(self) -> None:
        pass

    @outside
    async def exists(self, name: str) -> bool:
        return name in self._kept

    @outside
    async def page(self, prefix: str, *, limit: int, cursor: str | None) -> tuple[Sequence[BlobInfo], str | None]:
        found = [name for name in self.names(prefix) if cursor is None or name > cursor]
        page = [self._kept[name].info for name in found[:limit]]
        return page, page[-1].name if len(found) > limit else None

    async def list_names(self, prefix: str = "") -> AsyncIterator[str]:
        async with self.outside.call(f"{self.label}.list_names {prefix}"):
            found = self.names(prefix)
        for name in found:
            yield name

    async def list(self, prefix: str = "") -> AsyncIterator[BlobInfo]:
        async with self.outside.call(f"{self.label}.list {prefix}"):
            found = [self._kept[name].info for name in sorted(self._kept) if name.startswith(prefix)]
        for info in found:
            yield info

    async def stream(self, name: str, *, etag: str) -> AsyncIterator[bytes]:
        async with self.outside.call(f"{self.label}.stream {name}"):
            kept = self._find(name)
            if kept.info.etag != etag:
                raise BlobChanged(f"{name} was written by someone else.")
        for start in range(0, len(kept.content), 4 * 1024 * 1024):
            yield kept.content[start : start + 4 * 1024 * 1024]

    # ---- for tests: at once, and not counted as a call of the app

    def put(
        self, name: str, content: bytes, *, media_type: str = "text/plain", metadata: Mapping[str, str] | None = None
    ) -> str:
        info = BlobInfo(
            name=name,
            etag=f"0x{next(self._etags):X}",
            size_bytes=len(content),
            last_modified_at=self._clock(),
            metadata=dict(metadata or {}),
        )
        self._kept[name] = _Kept(content, media_type, info)
        return info.etag

    def take_away(self, name: str) -> None:
        del self._kept[name]

    def names(self, prefix: str = "") -> Sequence[str]:
        return sorted(name for name in self._kept if name.startswith(prefix))

    def info_of(self, name: str) -> BlobInfo:
        return self._kept[name].info

    def content(self, name: str) -> bytes:
        return self._kept[name].content

    def _find(self, name: str) -> _Kept:
        if name not in self._kept:
            raise BlobMissing(f"{name} does not exist.")
        return self._kept[name]


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A queue message on its way."""

    message: dict[str, Any]
    delay_s: int
    due_at: datetime


class InMemoryQueue:
    def __init__(self, label: str = "queue", outside: Outside | None = None, clock: Clock | None = None) -> None:
        self.label = label
        self.outside = outside or Outside()
        self._clock = clock or Clock()
        self.messages: list[Sent] = []

    @outside
    async def reachable(self) -> None:
        pass

    @outside
    async def send(self, message: msgspec.Struct, *, delay_s: int = 0) -> None:
        due_at = self._clock() + timedelta(seconds=delay_s)
        self.messages.append(Sent(message=msgspec.to_builtins(message), delay_s=delay_s, due_at=due_at))

    def take(self) -> Sent:
        """The message that is due first, taken off the queue."""
        first = min(self.messages, key=lambda sent: sent.due_at)
        self.messages.remove(first)
        return first


# ---- the model service -------------------------------------------------------------------------------------------


@dataclass
class _Store:
    name: str
    app: str = ""
    files: dict[str, Attributes] = field(default_factory=dict)
    made_at: datetime = MIDNIGHT
    expires_days: int | None = None
    expired: bool = False


class FakeVectorStores:
    """Holds stores and files. `states` scripts what looks at a file of that name answer; else it is completed."""

    label = "stores"

    def __init__(self, outside: Outside | None = None, clock: Clock | None = None) -> None:
        self.outside = outside or Outside()
        self._clock = clock or Clock()
        self.stores: dict[str, _Store] = {}
        self.files: dict[str, tuple[str, bytes]] = {}  # id -> name, content
        self.made_at: dict[str, datetime] = {}  # of files and of entries in stores
        self.states: dict[str, list[IndexState]] = defaultdict(list)
        self._ids = count(1)

    def names_in(self, collection: str) -> list[str]:
        """The names of the files that the collection's stores hold."""
        ids = [i for store in self.stores.values() if store.name == collection for i in store.files]
        return sorted(self.files[file_id][0] for file_id in ids)

    @outside
    async def create_store(self, name: str, *, app: str, expires_days: int | None = None) -> str:
        store_id = f"vs_{next(self._ids)}"
        self.stores[store_id] = _Store(name, app=app, made_at=self._clock(), expires_days=expires_days)
        return store_id

    @outside
    async def delete_store(self, store_id: str) -> None:
        self.stores.pop(store_id, None)

    @outside
    async def describe(self, store_id: str) -> StoreInfo:
        self._store(store_id)
        return self._info(store_id)

    @outside
    async def expire(self, store_id: str, days: int | None) -> None:
        self._store(store_id).expires_days = days

    async def list_stores(self) -> AsyncIterator[StoreInfo]:
        async with self.outside.call("stores.list_stores"):
            found = [self._info(store_id) for store_id in self.stores]
        for info in found:
            yield info

    async def entries(self, store_id: str) -> AsyncIterator[StoreEntry]:
        async with self.outside.call(f"stores.entries {store_id}"):
            held = dict(self._store(store_id).files)
        for file_id, attributes in held.items():
            yield StoreEntry(file_id=file_id, attributes=attributes, created_at=self.made_at[file_id])

    async def files_since(self, at: datetime) -> AsyncIterator[FileInfo]:
        async with self.outside.call("stores.files_since"):
            found = [i for i in reversed(self.files) if self.made_at[i] >= at]
        for file_id in found:
            name, content = self.files[file_id]
            yield FileInfo(id=file_id, filename=name, size_bytes=len(content), created_at=self.made_at[file_id])

    @outside
    async def reachable(self) -> None:
        pass

    @outside
    async def has_file(self, file_id: str) -> bool:
        return file_id in self.files

    @outside
    async def upload(self, filename: str, content: IO[bytes]) -> str:
        content.seek(0)
        file_id = f"assistant-{next(self._ids)}"
        self.files[file_id] = (filename, content.read())
        self.made_at[file_id] = self._clock()
        return file_id

    @outside
    async def attach(self, store_id: str, file_id: str, attributes: Attributes) -> IndexState:
        store = self._store(store_id)
        if file_id not in self.files:
            raise ServiceMissing(f"No file {file_id}.")
        if store.expired:
            raise ServiceError("The store has expired.", code="vector_store_expired")
        store.files[file_id] = dict(attributes)
        self.made_at[file_id] = self._clock()
        return IndexState(status="in_progress")

    @outside
    async def state(self, store_id: str, file_id: str) -> IndexState:
        self._attached(store_id, file_id)
        scripted = self.states[self.files[file_id][0]]
        return scripted.pop(0) if scripted else IndexState(status="completed")

    @outside
    async def attributes(self, store_id: str, file_id: str) -> Attributes:
        return self._attached(store_id, file_id)

    @outside
    async def search(self, store_id: str, query: str, *, limit: int, within: Within) -> list[Passage]:
        """Every file that holds a word of the query, its first words first."""
        store, found = self._store(store_id), []
        for file_id, attributes in store.files.items():
            name, content = self.files[file_id]
            visible = attributes["since"] <= within.as_of.timestamp() and attributes["version"] not in within.excluded  # type: ignore[operator]
            text = content.decode(errors="replace")
            shared = set(query.casefold().split()) & set(text.casefold().split())
            if visible and shared:
                score = len(shared) / len(query.split())
                found.append(Passage(file_id=file_id, filename=name, text=text, score=score, attributes=attributes))
        return sorted(found, key=lambda passage: -passage.score)[:limit]

    @outside
    async def discard(self, store_id: str | None, file_id: str) -> None:
        if store_id in self.stores:
            self.stores[store_id].files.pop(file_id, None)
        self.files.pop(file_id, None)

    def _info(self, store_id: str) -> StoreInfo:
        store = self.stores[store_id]
        return StoreInfo(
            id=store_id,
            files=len(store.files),
            usage_bytes=sum(len(self.files[file_id][1]) for file_id in store.files if file_id in self.files),
            expired=store.expired,
            expires_at=None,
            created_at=store.made_at,
            made_for=(store.app, store.name),
        )

    def _store(self, store_id: str) -> _Store:
        if store_id not in self.stores:
            raise ServiceMissing(f"No vector store {store_id}.")
        return self.stores[store_id]

    def _attached(self, store_id: str, file_id: str) -> Attributes:
        store = self._store(store_id)
        if file_id not in store.files:
            raise ServiceMissing(f"No file {file_id} in {store_id}.")
        return store.files[file_id]


class FakeEngine:
    """Runs answer the looks of `script`, one after the other; when it is empty, they are completed with `output`.

    `rounds` are the function calls that a run asks for before it completes: those of its first engine run, of the one
    that goes on with their outputs, and so on. What was forgotten cannot be continued.
    """

    label = "engine"
    filters = True

    def __init__(self, outside: Outside | None = None, *, name: str = "responses") -> None:
        self.name = name
        self.outside = outside or Outside()
        self.asks: dict[str, Ask] = {}  # by engine run
        self.script: list[Look] = []
        self.rounds: list[tuple[Call, ...]] = []
        self.outputs: dict[str, dict[str, str]] = {}  # handed over, by the engine run that goes on with them
        self.output = Output(text="Forty-two.", model="fake")
        self.cancelled: list[str] = []
        self.forgotten: list[str] = []
        self.files: dict[str, bytes] = {}  # made by code, by file id
        self._depth: dict[str, int] = {}
        self._ids = count(1)

    @outside
    async def start(self, ask: Ask) -> str:
        if ask.previous is not None and ask.previous not in self.asks:
            raise ChainLost(f"No run {ask.previous}.")
        return self._begin(ask, depth=0)

    @outside
    async def answer_calls(self, engine_run: str, ask: Ask, outputs: Mapping[str, str]) -> str:
        self._known(engine_run)
        continued = self._begin(ask, depth=self._depth[engine_run] + 1)
        self.outputs[continued] = dict(outputs)
        return continued

    @outside
    async def look(self, engine_runs: Sequence[str]) -> Look:
        engine_run = engine_runs[-1]
        self._known(engine_run)
        if engine_run in self.cancelled:
            return Look(status="cancelled")
        if self.script:
            return self.script.pop(0)
        calls = dict(enumerate(self.rounds)).get(self._depth[engine_run], ())
        if calls:
            return Look(status="requires_action", calls=calls)
        return Look(status="completed", output=replace(self.output))

    @outside
    async def cancel(self, engine_run: str) -> None:
        self._known(engine_run)
        self.cancelled.append(engine_run)

    @outside
    async def forget(self, engine_runs: Sequence[str]) -> None:
        for engine_run in engine_runs:
            if self.asks.pop(engine_run, None):
                self.forgotten.append(engine_run)

    @outside
    async def download(self, file: MadeFile) -> bytes:
        if file.file_id not in self.files:
            raise ServiceMissing(f"No file {file.file_id}.")
        return self.files[file.file_id]

    def _begin(self, ask: Ask, *, depth: int) -> str:
        engine_run = f"resp_{next(self._ids)}"
        self.asks[engine_run] = ask
        self._depth[engine_run] = depth
        return engine_run

    def _known(self, engine_run: str) -> None:
        if engine_run not in self.asks:
            raise ServiceMissing(f"No run {engine_run}.")


# ---- receivers of callbacks --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Post:
    url: str
    body: bytes
    headers: dict[str, str]


@dataclass
class FakeSender:
    """Receivers that answer what `answers` says, one after the other, then 200."""

    answers: list[int | BadRequest | ServiceBusy] = field(default_factory=list)
    posts: list[Post] = field(default_factory=list)
    inside: set[str] = field(default_factory=set)  # hosts that lead to an address that is not allowed

    async def check_host(self, host: str) -> None:
        if host in self.inside:
            raise BadRequest("Not public.", code="callback_not_allowed")

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        self.posts.append(Post(url, body, dict(headers)))
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, int):
            return answer
        raise answer
