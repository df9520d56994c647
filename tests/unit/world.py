"""The app put together on fakes, and a host that delivers its events."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from shared.collections import Collections
from shared.costs import Prices
from shared.documents import Documents
from shared.models import Answer, Document, DocumentSummary, Run
from shared.publishing import Publisher
from shared.runs import Question, Runs
from shared.threads import Threads
from tests.fakes import Clock, FakeEngine, FakeVectorStores, InMemoryBlobs, InMemoryQueue, Outside

PRICES = Prices(input=1.0, cached=0.5, output=2.0, search=0.01, session=0.03, label="test prices")
DEADLINE_S = 1800
RUN_MAX_S = 900


@dataclass
class World:
    """`documents` and `runs` are one process; `instance()` puts another one beside it."""

    clock: Clock = field(default_factory=Clock)
    outside: Outside = field(default_factory=Outside)

    def __post_init__(self) -> None:
        self.blobs = InMemoryBlobs("documents", self.outside, self.clock)
        self.state = InMemoryBlobs("state", self.outside, self.clock)
        self.answers = InMemoryBlobs("answers", self.outside, self.clock)
        self.indexing = InMemoryQueue("indexing", self.outside, self.clock)
        self.queue = InMemoryQueue("runs", self.outside, self.clock)
        self.stores = FakeVectorStores(self.outside)
        self.engine = FakeEngine(self.outside)
        self.documents, self.runs = self.instance()

    def instance(self) -> tuple[Documents, Runs]:
        collections = Collections(self.state, self.stores, now=self.clock)
        documents = Documents(
            documents=self.blobs,
            state=self.state,
            indexing=self.indexing,
            stores=self.stores,
            collections=collections,
            now=self.clock,
            max_bytes=1_000_000,
            deadline_s=DEADLINE_S,
        )
        self.publisher = Publisher(
            answers=self.answers, engine=self.engine, stores=self.stores, prices=PRICES, now=self.clock
        )
        runs = Runs(
            state=self.state,
            queue=self.queue,
            engine=self.engine,
            threads=Threads(self.state, now=self.clock),
            collections=collections,
            documents=documents,
            publisher=self.publisher,
            now=self.clock,
            model="test-model",
            instructions=None,
            max_s=RUN_MAX_S,
        )
        return documents, runs

    def restart(self) -> None:
        """A new process after a crash."""
        self.outside.switch_on()
        self.documents, self.runs = self.instance()

    # ---- documents

    async def drop(self, path: str, content: bytes = b"Some words.") -> str:
        """A blob is written and its event handled, with all that follows."""
        etag = self.blobs.put(path, content)
        await self.documents.index(path)
        await self.settle()
        return etag

    async def settle(self, *, looks: int = 100) -> None:
        """Deliver the messages of `indexing` until there are none."""
        for _ in range(looks):
            if not self.indexing.messages:
                return
            sent = self.indexing.take()
            self.clock.now = max(self.clock.now, sent.due_at)
            await self.documents.look(sent.message["path"])
        raise AssertionError(f"Still messages after {looks} looks: {self.indexing.messages}")

    async def document(self, path: str) -> Document:
        found = await self.documents.find(path)
        assert found is not None
        return found

    async def listing(self, collection: str | None = None) -> dict[str, DocumentSummary]:
        return {summary.path: summary async for summary in self.documents.list(collection)}

    def live_text(self, collection: str = "default") -> list[bytes]:
        """The contents that the collection's vector store holds."""
        ids = [i for store in self.stores.stores.values() if store.name == collection for i in store.files]
        return sorted(self.stores.files[file_id][1] for file_id in ids)

    # ---- runs

    async def ask(self, question: str = "Why?", **more: Any) -> Run:
        return await self.runs.start(Question(question=question, **more))

    async def deliver(self, *, times: int = 1) -> None:
        """The next messages of `runs`, each when it is due."""
        for _ in range(times):
            sent = self.queue.take()
            self.clock.now = max(self.clock.now, sent.due_at)
            await self.runs.advance(sent.message["run_id"], sent.message["generation"])

    async def finish(self, *, looks: int = 100) -> None:
        """Deliver the messages of `runs` until there are none."""
        for _ in range(looks):
            if not self.queue.messages:
                return
            await self.deliver()
        raise AssertionError(f"Still messages after {looks} looks: {self.queue.messages}")

    def answer(self, run_id: str) -> Answer:
        return msgspec.json.decode(self.answers.content(f"{run_id}/answer.json"), type=Answer)

    def markdown(self, run_id: str) -> str:
        return self.answers.content(f"{run_id}/answer.md").decode()
