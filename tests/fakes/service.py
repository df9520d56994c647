"""Vector stores and the engine of the model service, in memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import IO

from shared.engines.base import Ask, Call, Look, MadeFile, Output
from shared.engines.stores import Attributes, FileInfo, IndexState, Passage, StoreEntry, StoreInfo, Within, all_of
from shared.errors import ChainLost, ServiceError, ServiceMissing
from tests.fakes.outside import Clock, Outside, outside

MIDNIGHT = datetime(2026, 11, 22, tzinfo=UTC)


@dataclass
class _Store:
    name: str
    app: str = ""
    files: dict[str, Attributes] = field(default_factory=dict)
    made_at: datetime = MIDNIGHT
    expires_days: int | None = None
    expired: bool = False


class FakeVectorStores:
    """Vector stores and files in memory. `states[filename]` lists the results of looks; else a file is completed.

    `lists_late_s`: for so long, listings lack a new file. `deletes_slowly_s`: for so long, lookups, listings and
    searches still find a deleted file.
    """

    label = "stores"

    def __init__(self, outside: Outside | None = None, clock: Clock | None = None) -> None:
        self.outside = outside or Outside()
        self._clock = clock or Clock()
        self.stores: dict[str, _Store] = {}
        self.files: dict[str, tuple[str, bytes]] = {}  # id -> name, content
        self.made_at: dict[str, datetime] = {}  # of files and of entries in stores
        self.states: dict[str, list[IndexState]] = defaultdict(list)
        self.lists_late_s = 0.0
        self.deletes_slowly_s = 0.0
        self._deleted: list[tuple[datetime, str | None, str]] = []  # when it takes effect, store, file
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

    async def entries(self, store_id: str, *, since: datetime | None = None) -> AsyncIterator[StoreEntry]:
        async with self.outside.call(f"stores.entries {store_id}"):
            held = {i: a for i, a in self._store(store_id).files.items() if self._is_listed(i)}
        for file_id, attributes in held.items():
            if since is None or self.made_at[file_id] >= since:
                yield StoreEntry(file_id=file_id, attributes=attributes, created_at=self.made_at[file_id])

    async def files_since(self, at: datetime) -> AsyncIterator[FileInfo]:
        async with self.outside.call("stores.files_since"):
            self._delete_due()
            found = [i for i in reversed(self.files) if self.made_at[i] >= at and self._is_listed(i)]
        for file_id in found:
            name, content = self.files[file_id]
            yield FileInfo(id=file_id, filename=name, size_bytes=len(content), created_at=self.made_at[file_id])

    def _is_listed(self, file_id: str) -> bool:
        return (self._clock() - self.made_at[file_id]).total_seconds() >= self.lists_late_s

    @outside
    async def reachable(self) -> None:
        pass

    @outside
    async def has_file(self, file_id: str) -> bool:
        self._delete_due()
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
        """Every visible file that shares a word with the query, best first."""
        store, found = self._store(store_id), []
        for file_id, attributes in store.files.items():
            if file_id not in self.files:
                continue
            name, content = self.files[file_id]
            visible = (
                attributes["since"] <= within.as_of.timestamp()  # type: ignore[operator]
                and attributes["version"] not in within.excluded
                and all_of(str(attributes["path"])) not in within.excluded
            )
            text = content.decode(errors="replace")
            shared = set(query.casefold().split()) & set(text.casefold().split())
            if visible and shared:
                score = len(shared) / len(query.split())
                found.append(Passage(file_id=file_id, filename=name, text=text, score=score, attributes=attributes))
        return sorted(found, key=lambda passage: -passage.score)[:limit]

    @outside
    async def discard(self, store_id: str | None, file_id: str) -> bool:
        known = file_id in self.files and (
            store_id is None or (store_id in self.stores and file_id in self.stores[store_id].files)
        )
        at = self._clock() + timedelta(seconds=self.deletes_slowly_s)
        self._deleted.append((at, store_id, file_id))
        self._delete_due()
        return known

    def _delete_due(self) -> None:
        for deleted in [entry for entry in self._deleted if entry[0] <= self._clock()]:
            self._deleted.remove(deleted)
            _, store_id, file_id = deleted
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
        self._delete_due()
        if store_id not in self.stores:
            raise ServiceMissing(f"No vector store {store_id}.")
        return self.stores[store_id]

    def _attached(self, store_id: str, file_id: str) -> Attributes:
        store = self._store(store_id)
        if file_id not in store.files:
            raise ServiceMissing(f"No file {file_id} in {store_id}.")
        return store.files[file_id]


class FakeEngine:
    """Looks return the items of `script` in order; when it is empty, the run is completed with `output`.

    `rounds` lists the function calls that a run makes before it completes: those of its first engine run, then those of
    the engine run that continues with their outputs, and so on. A forgotten engine run cannot be continued.

    `finds`: the engine finds its own earlier run when it is started again, as the Assistants API can. `has_file`:
    whether a file exists at the service; a run with another file is refused.
    """

    label = "engine"
    filters = True

    def __init__(
        self,
        outside: Outside | None = None,
        *,
        name: str = "responses",
        finds: bool = False,
        has_file: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self.name = name
        self.finds = finds
        self.has_file = has_file
        self.places: set[str] = set()
        self.outside = outside or Outside()
        self.asks: dict[str, Ask] = {}  # by engine run
        self.script: list[Look] = []
        self.rounds: list[tuple[Call, ...]] = []
        self.outputs: dict[str, dict[str, str]] = {}  # by the engine run that continues with them
        self.output = Output(text="Forty-two.", model="fake")
        self.cancelled: list[str] = []
        self.forgotten: list[str] = []
        self.forgotten_containers: list[str] = []
        self.files: dict[str, bytes] = {}  # files of code interpreter, by file id
        self._depth: dict[str, int] = {}
        self._ids = count(1)

    @outside
    async def prepare(self, ask: Ask) -> str | None:
        if not self.finds or ask.place or ask.previous:
            return ask.place
        place = f"place_{next(self._ids)}"
        self.places.add(place)
        return place

    @outside
    async def start(self, ask: Ask) -> str:
        if ask.previous is not None and ask.previous not in self.asks:
            raise ChainLost(f"No run {ask.previous}.")
        for file_id in ask.file_ids:
            if not self.has_file(file_id):
                raise ServiceMissing(f"No such file object: {file_id}.")
        begun = [engine_run for engine_run, depth in self._depth.items() if not depth and self._is_of(engine_run, ask)]
        return begun[0] if self.finds and begun else self._begin(ask, depth=0)

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
    async def forget(
        self, engine_runs: Sequence[str], *, run_id: str = "", place: str | None = None, containers: Sequence[str] = ()
    ) -> None:
        of_run = [i for i, ask in self.asks.items() if self.finds and ask.run_id == run_id]
        for engine_run in (*engine_runs, *of_run):
            if self.asks.pop(engine_run, None):
                self.forgotten.append(engine_run)
        self.places.discard(place or "")
        self.forgotten_containers += containers

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

    def depth(self, engine_run: str) -> int:
        """0 for a start, and one more for each round of function calls."""
        return self._depth[engine_run]

    def _is_of(self, engine_run: str, ask: Ask) -> bool:
        return engine_run in self.asks and self.asks[engine_run].run_id == ask.run_id

    def _known(self, engine_run: str) -> None:
        if engine_run not in self.asks:
            raise ServiceMissing(f"No run {engine_run}.")
