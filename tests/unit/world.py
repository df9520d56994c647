"""The app put together on fakes, and a host that delivers its events."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any

import msgspec

from shared.assistants import Assistants
from shared.collections import Collections
from shared.costs import Prices
from shared.documents import Documents
from shared.models import Answer, Document, DocumentSummary, Run
from shared.outbound import UrlPolicy
from shared.poller import Defaults, Poller
from shared.publishing import Publisher
from shared.push import Push
from shared.runs import Question, Runs
from shared.threads import Threads
from tests.fakes import Clock, FakeEngine, FakeSender, FakeVectorStores, InMemoryBlobs, InMemoryQueue, Outside

PRICES = Prices(input=1.0, cached=0.5, output=2.0, search=0.01, session=0.03, label="test prices")
DEADLINE_S = 1800
RUN_DEFAULT_S = 900
RUN_MAX_S = 3600
ACTION_MAX_S = 7 * 24 * 3600
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
CALLBACK = "https://receiver.example/hook?sig=do-not-tell"


@dataclass(frozen=True, kw_only=True)
class Instance:
    """One process of the app."""

    documents: Documents
    runs: Runs
    poller: Poller
    publisher: Publisher
    threads: Threads
    assistants: Assistants
    push: Push


@dataclass
class World:
    """`app` is one process; `instance()` puts another one beside it."""

    clock: Clock = field(default_factory=Clock)
    outside: Outside = field(default_factory=Outside)

    def __post_init__(self) -> None:
        self.blobs = InMemoryBlobs("documents", self.outside, self.clock)
        self.state = InMemoryBlobs("state", self.outside, self.clock)
        self.answers = InMemoryBlobs("answers", self.outside, self.clock)
        self.indexing = InMemoryQueue("indexing", self.outside, self.clock)
        self.queue = InMemoryQueue("runs", self.outside, self.clock)
        self.callbacks = InMemoryQueue("callbacks", self.outside, self.clock)
        self.stores = FakeVectorStores(self.outside)
        self.engine = FakeEngine(self.outside)
        self.sender = FakeSender()
        self.app = self.instance()

    @property
    def documents(self) -> Documents:
        return self.app.documents

    @property
    def runs(self) -> Runs:
        return self.app.runs

    @property
    def poller(self) -> Poller:
        return self.app.poller

    def instance(self) -> Instance:
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
        publisher = Publisher(
            answers=self.answers, engine=self.engine, stores=self.stores, prices=PRICES, now=self.clock
        )
        threads, assistants = Threads(self.state, now=self.clock), Assistants(self.state, now=self.clock)
        push = Push(
            state=self.state,
            queue=self.callbacks,
            sender=self.sender,  # type: ignore[arg-type]
            policy=UrlPolicy(hosts=("receiver.example",)),
            secret=SECRET,
            now=self.clock,
        )
        poller = Poller(
            state=self.state,
            queue=self.queue,
            engine=self.engine,
            threads=threads,
            assistants=assistants,
            publisher=publisher,
            push=push,
            defaults=Defaults(model="test-model", instructions=None, action_max_s=ACTION_MAX_S),
            now=self.clock,
        )
        runs = Runs(
            state=self.state,
            publisher=publisher,
            engine=self.engine,
            poller=poller,
            threads=threads,
            assistants=assistants,
            collections=collections,
            documents=documents,
            push=push,
            now=self.clock,
            default_s=RUN_DEFAULT_S,
            max_s=RUN_MAX_S,
        )
        return Instance(
            documents=documents,
            runs=runs,
            poller=poller,
            publisher=publisher,
            threads=threads,
            assistants=assistants,
            push=push,
        )

    def restart(self) -> None:
        """A new process after a crash."""
        self.outside.switch_on()
        self.app = self.instance()

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

    async def ask(self, question: str = "Why?", *, key: str | None = None, **more: Any) -> Run:
        return await self.runs.start(Question(question=question, **more), idempotency_key=key)

    async def deliver(self, *, times: int = 1) -> None:
        """The next messages of `runs`, each when it is due."""
        for _ in range(times):
            sent = self.queue.take()
            self.clock.now = max(self.clock.now, sent.due_at)
            await self.poller.advance(sent.message["run_id"], sent.message["generation"])

    async def finish(self, *, looks: int = 100) -> None:
        """Deliver the messages of `runs` until there are none."""
        for _ in range(looks):
            if not self.queue.messages:
                return
            await self.deliver()
        raise AssertionError(f"Still messages after {looks} looks: {self.queue.messages}")

    async def look_at_all(self, poller: Poller) -> None:
        """Another instance takes every message, due or not."""
        for sent in list(self.queue.messages):
            self.queue.messages.remove(sent)
            await poller.advance(sent.message["run_id"], sent.message["generation"])

    def answer(self, run_id: str) -> Answer:
        return msgspec.json.decode(self.answers.content(f"{run_id}/answer.json"), type=Answer)

    def markdown(self, run_id: str) -> str:
        return self.answers.content(f"{run_id}/answer.md").decode()
