"""Puts the app together, once per worker process."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from shared.collections import Collections
from shared.costs import Prices
from shared.documents import Documents
from shared.publishing import Publisher
from shared.runs import Runs
from shared.settings import Settings
from shared.threads import Threads

if TYPE_CHECKING:
    from shared.engines.base import Engine, VectorStores
    from shared.storage import Storage


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Services:
    settings: Settings
    documents: Documents
    runs: Runs
    publisher: Publisher

    @classmethod
    def from_settings(cls, settings: Settings) -> Services:
        # Imported here: a cold start that only answers GET /api/health pays for neither.
        from shared.engines.client import open_client
        from shared.engines.responses import ResponsesEngine
        from shared.engines.vector_stores import OpenAIVectorStores
        from shared.storage import open_storage

        client = open_client(settings)
        return cls.of(
            settings,
            storage=open_storage(settings.storage, client_id=settings.identity_client_id),
            engine=ResponsesEngine(client),
            stores=OpenAIVectorStores(client),
        )

    @classmethod
    def of(cls, settings: Settings, *, storage: Storage, engine: Engine, stores: VectorStores) -> Services:
        collections = Collections(storage.state, stores, now=utc_now)
        documents = Documents(
            documents=storage.documents,
            state=storage.state,
            indexing=storage.indexing,
            stores=stores,
            collections=collections,
            now=utc_now,
            max_bytes=settings.document_max_bytes,
            deadline_s=settings.indexing_max_s,
        )
        publisher = Publisher(
            answers=storage.answers, engine=engine, stores=stores, prices=Prices.from_settings(settings), now=utc_now
        )
        runs = Runs(
            state=storage.state,
            queue=storage.runs,
            engine=engine,
            threads=Threads(storage.state, now=utc_now),
            collections=collections,
            documents=documents,
            publisher=publisher,
            now=utc_now,
            model=settings.model,
            instructions=settings.instructions,
            max_s=settings.run_max_s,
        )
        return cls(settings=settings, documents=documents, runs=runs, publisher=publisher)
