"""The app on fakes, and a host that delivers its events and messages."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any

import msgspec

from shared.documents.indexer import Documents
from shared.engines.webhooks import ServiceWebhooks
from shared.models.documents import Document, DocumentSummary
from shared.models.runs import Answer, DataFile, Run
from shared.push.notices import Push
from shared.push.outbound import UrlPolicy
from shared.runs.messages import RunLook
from shared.runs.poller import Poller
from shared.runs.runs import Question, Runs
from shared.services import Services
from shared.settings import Settings
from shared.storage.blobs import Storage
from tests.fakes import Clock, FakeEngine, FakeSender, FakeVectorStores, InMemoryBlobs, InMemoryQueue, Outside, Sent

DEADLINE_S = 1800
RUN_DEFAULT_S = 900
RUN_MAX_S = 3600
ACTION_MAX_S = 7 * 24 * 3600
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
CALLBACK = "https://receiver.example/hook?sig=do-not-tell"


ENVIRON = {
    "AzureWebJobsStorage": "fakes",
    "OPENAI_BASE_URL": "http://fakes",
    "OPENAI_API_KEY": "none",
    "OPENAI_MODEL": "test-model",
    "RUN_DEFAULT_S": str(RUN_DEFAULT_S),
    "RUN_MAX_S": str(RUN_MAX_S),
    "ACTION_MAX_S": str(ACTION_MAX_S),
    "INDEXING_MAX_S": str(DEADLINE_S),
    "DOCUMENT_MAX_BYTES": "1000000",
    "UPLOADS_PER_S": "1000",
    "PRICE_INPUT_USD": "1.0",
    "PRICE_CACHED_USD": "0.5",
    "PRICE_OUTPUT_USD": "2.0",
    "PRICE_SEARCH_USD": "0.01",
    "PRICE_SESSION_USD": "0.03",
    "PRICE_LABEL": "test prices",
}


@dataclass
class World:
    """`app` is one process; `instance()` starts another one on the same storage and service."""

    clock: Clock = field(default_factory=Clock)
    outside: Outside = field(default_factory=Outside)
    environ: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.blobs = InMemoryBlobs("documents", self.outside, self.clock)
        self.state = InMemoryBlobs("state", self.outside, self.clock)
        self.answers = InMemoryBlobs("answers", self.outside, self.clock)
        self.indexing = InMemoryQueue("indexing", self.outside, self.clock)
        self.queue = InMemoryQueue("runs", self.outside, self.clock)
        self.callbacks = InMemoryQueue("callbacks", self.outside, self.clock)
        self.stores = FakeVectorStores(self.outside, self.clock)
        self.engine = FakeEngine(self.outside, has_file=lambda file_id: file_id in self.stores.files)
        self.sender = FakeSender()
        self.app = self.instance()

    @property
    def documents(self) -> Documents:
        return self.app.library.documents

    @property
    def runs(self) -> Runs:
        return self.app.runs

    @property
    def poller(self) -> Poller:
        return self.app.poller

    def instance(self) -> Services:
        push = Push(
            state=self.state,
            queue=self.callbacks,
            sender=self.sender,  # type: ignore[arg-type]
            policy=UrlPolicy(hosts=("receiver.example",)),
            secret=SECRET,
            now=self.clock,
        )
        return Services.of(
            Settings.from_environ({**ENVIRON, **self.environ}),
            storage=Storage(
                documents=self.blobs,
                answers=self.answers,
                state=self.state,
                runs=self.queue,
                indexing=self.indexing,
                callbacks=self.callbacks,
            ),
            engine=self.engine,
            stores=self.stores,
            push=push,
            webhooks=ServiceWebhooks.__new__(ServiceWebhooks),  # not called in unit tests
            ping=self.stores.reachable,
            now=self.clock,
        )

    def restart(self) -> None:
        """Start a new process after a crash."""
        self.outside.switch_on()
        self.app = self.instance()

    # ---- documents

    async def drop(self, path: str, content: bytes = b"Some words.") -> str:
        """Write a blob, deliver its event, and deliver all messages that follow."""
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
            await self.work(sent)
        raise AssertionError(f"Still messages after {looks} looks: {self.indexing.messages}")

    async def work(self, sent: Sent) -> None:
        """Deliver one message of `indexing`, when it is due."""
        self.clock.now = max(self.clock.now, sent.due_at)
        await self.app.library.worker.do(msgspec.json.encode(sent.message))

    async def document(self, path: str) -> Document:
        found = await self.app.library.catalogue.find(path)
        assert found is not None
        return found

    async def listing(self, collection: str | None = None) -> dict[str, DocumentSummary]:
        found: dict[str, DocumentSummary] = {}
        cursor = None
        while True:
            page, cursor = await self.app.library.catalogue.page(collection=collection, cursor=cursor)
            found |= {summary.path: summary for summary in page}
            if cursor is None:
                return found

    async def offers(self, collection: str = "default") -> dict[DataFile, tuple[str, ...]]:
        return (await self.app.library.visibility.of(collection)).files

    def live_text(self, collection: str = "default") -> list[bytes]:
        """The contents that the collection's vector store holds."""
        ids = [i for store in self.stores.stores.values() if store.name == collection for i in store.files]
        return sorted(self.stores.files[file_id][1] for file_id in ids)

    # ---- runs

    async def ask(self, question: str = "Why?", *, key: str | None = None, **more: Any) -> Run:
        return await self.runs.start(Question(question=question, **more), idempotency_key=key)

    async def deliver(self, *, times: int = 1) -> None:
        """Deliver the next messages of `runs`, each when it is due."""
        for _ in range(times):
            sent = self.queue.take()
            self.clock.now = max(self.clock.now, sent.due_at)
            await self.poller.advance(RunLook(sent.message["run_id"], sent.message["generation"]))

    async def finish(self, *, looks: int = 100) -> None:
        """Deliver the messages of `runs` until there are none."""
        for _ in range(looks):
            if not self.queue.messages:
                return
            await self.deliver()
        raise AssertionError(f"Still messages after {looks} looks: {self.queue.messages}")

    async def look_at_all(self, poller: Poller) -> None:
        """Deliver every message to another instance, due or not."""
        for sent in list(self.queue.messages):
            self.queue.messages.remove(sent)
            await poller.advance(RunLook(sent.message["run_id"], sent.message["generation"]))

    def answer(self, run_id: str) -> Answer:
        return msgspec.json.decode(self.answers.content(f"{run_id}/answer.json"), type=Answer)

    def markdown(self, run_id: str) -> str:
        return self.answers.content(f"{run_id}/answer.md").decode()
