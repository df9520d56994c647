"""The documents' side of the app, put together: all that is done to documents, and all that is known of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from shared.collections.search import Search
from shared.collections.stores import Collections
from shared.collections.visibility import Scopes
from shared.documents.catalogue import Catalogue
from shared.documents.collection_view import Holdings
from shared.documents.indexer import Documents, Limits
from shared.documents.reconcile import Reconciliation
from shared.documents.removal import Removal
from shared.documents.upload_rate import Gate
from shared.documents.worker import Worker
from shared.engines.stores import VectorStores
from shared.settings import Settings

if TYPE_CHECKING:
    from shared.push.notices import Push
    from shared.storage.blobs import Storage


@dataclass(frozen=True, kw_only=True)
class Library:
    documents: Documents
    catalogue: Catalogue
    collections: Collections
    scopes: Scopes
    removal: Removal
    reconciliation: Reconciliation
    work: Worker
    search: Search
    holdings: Holdings

    @classmethod
    def of(
        cls,
        settings: Settings,
        *,
        storage: Storage,
        stores: VectorStores,
        push: Push,
        filters: bool,
        now: Callable[[], datetime],
    ) -> Library:
        """`filters`: whether file search can be told what to leave out."""
        collections = Collections(
            storage.state,
            stores,
            now=now,
            store_max_files=settings.store_max_files,
            expires_days=settings.store_expires_days,
        )
        catalogue, scopes = Catalogue(storage.documents, storage.state), Scopes(storage.state)
        removal = Removal(
            documents=storage.documents,
            state=storage.state,
            indexing=storage.indexing,
            stores=stores,
            collections=collections,
            push=push,
            now=now,
        )
        documents = Documents(
            documents=storage.documents,
            state=storage.state,
            indexing=storage.indexing,
            stores=stores,
            collections=collections,
            scopes=scopes,
            gate=Gate(storage.state, uploads_per_s=settings.uploads_per_s, now=now),
            removal=removal,
            push=push,
            filters=filters,
            limits=Limits.from_settings(settings),
            now=now,
        )
        reconciliation = Reconciliation(
            documents=storage.documents,
            state=storage.state,
            indexing=storage.indexing,
            stores=stores,
            collections=collections,
            indexer=documents,
            tries=settings.indexing_tries,
            now=now,
        )
        return cls(
            documents=documents,
            catalogue=catalogue,
            collections=collections,
            scopes=scopes,
            removal=removal,
            reconciliation=reconciliation,
            work=Worker(documents, removal, reconciliation),
            search=Search(collections=collections, stores=stores, scopes=scopes, now=now),
            holdings=Holdings(collections, catalogue, usd_per_gib_day=settings.price_storage_usd),
        )
