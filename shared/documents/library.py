"""Everything that indexes, lists, searches and removes documents, put together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING

from shared.collections.search import Search
from shared.collections.stores import Collections
from shared.collections.texts import Texts
from shared.collections.visibility import VisibilityBlobs
from shared.documents.arrivals import Arrivals
from shared.documents.catalogue import Catalogue
from shared.documents.clearing import Clearing
from shared.documents.collection_view import CollectionViews
from shared.documents.disk import Disk
from shared.documents.follow_up import FollowUp
from shared.documents.indexer import Documents
from shared.documents.limits import Limits
from shared.documents.lost_stores import LostStores
from shared.documents.proof import Proof
from shared.documents.reconcile import Reconciliation
from shared.documents.removal import Removal
from shared.documents.sweep import DocumentSweep
from shared.documents.upload_rate import UploadRate
from shared.documents.uploads import Uploads
from shared.documents.worker import Worker
from shared.engines.stores import VectorStores
from shared.settings import Settings

if TYPE_CHECKING:
    from shared.documents.uploading import Uploader
    from shared.push.notices import Push
    from shared.storage.blobs import Storage


@dataclass(frozen=True, kw_only=True)
class Library:
    documents: Documents
    lost_stores: LostStores
    arrivals: Arrivals
    uploads: Uploads
    catalogue: Catalogue
    collections: Collections
    visibility: VisibilityBlobs
    removal: Removal
    reconciliation: Reconciliation
    sweep: DocumentSweep
    worker: Worker
    search: Search
    texts: Texts
    collection_views: CollectionViews

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
        """`filters`: whether the engine's file search takes filters that exclude versions."""
        collections = Collections(
            storage.state,
            stores,
            now=now,
            store_max_files=settings.store_max_files,
            expires_days=settings.store_expires_days,
        )
        visibility, texts = VisibilityBlobs(storage.state), Texts(storage.state)
        catalogue = Catalogue(storage.documents, storage.state)
        follow_up = FollowUp(storage, visibility, push, filters=filters, now=now)
        proof = Proof(storage, stores, collections, now)
        removal = Removal(storage, proof, collections, follow_up, now)
        upload_rate = UploadRate(storage.state, uploads_per_s=settings.uploads_per_s, now=now)
        clearing = Clearing(storage, proof, follow_up, upload_rate, texts, push, now)
        limits, lost_stores = Limits.from_settings(settings), LostStores(storage, collections)
        uploader = _uploader_of(storage, stores, collections, texts, limits, now)
        documents = Documents(
            storage, stores, lost_stores, uploader, follow_up, upload_rate, clearing, push, limits, now
        )
        arrivals = Arrivals(documents, storage.indexing, now=now)
        reconciliation = Reconciliation(
            storage, stores, collections, visibility, follow_up, proof, texts, tries=settings.indexing_tries, now=now
        )
        return cls(
            documents=documents,
            lost_stores=lost_stores,
            arrivals=arrivals,
            uploads=Uploads(storage.documents),
            catalogue=catalogue,
            collections=collections,
            visibility=visibility,
            removal=removal,
            reconciliation=reconciliation,
            sweep=DocumentSweep(storage, now=now),
            worker=Worker(arrivals, documents, removal, reconciliation, collections),
            texts=texts,
            search=Search(collections=collections, stores=stores, visibility=visibility, texts=texts, now=now),
            collection_views=CollectionViews(collections, catalogue, usd_per_gib_day=settings.price_storage_usd),
        )


def _uploader_of(
    storage: Storage,
    stores: VectorStores,
    collections: Collections,
    texts: Texts,
    limits: Limits,
    now: Callable[[], datetime],
) -> Callable[[], Uploader]:
    disk = Disk(limits.temp_max_bytes)

    @cache
    def uploader() -> Uploader:
        """Imports the readers of files, so that only indexing pays for them."""
        from shared.documents.uploading import Uploader

        return Uploader(storage.documents, stores, collections, texts, disk, max_tokens=limits.max_tokens, now=now)

    return uploader
