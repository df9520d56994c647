"""Creates the blob containers, queues and poison queues that `infra/` creates in Azure."""

from collections.abc import Callable, Collection
from contextlib import suppress

from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import BlobServiceClient, CorsRule
from azure.storage.queue import QueueServiceClient

CONTAINERS = ("documents", "answers", "state")
QUEUES = ("runs", "indexing", "document-events", "callbacks")
HOST_POISON_QUEUE = "webjobs-blobtrigger-poison"  # Azure's host creates it on first use; the app has a trigger on it


CORS_AGE_S = 600


def provision(storage: str, *, origins: Collection[str] = ()) -> None:
    """Create what does not exist yet, in the account of this connection string.

    Args:
        storage: The connection string.
        origins: Origins of the pages that may upload to signed addresses and read blobs; no other page may.
    """

    def ensure(create: Callable[[str], object], name: str) -> None:
        with suppress(ResourceExistsError):
            create(name)

    with BlobServiceClient.from_connection_string(storage) as blobs:
        for name in CONTAINERS:
            ensure(blobs.create_container, name)
        blobs.set_service_properties(cors=[cors_rule(origins)] if origins else [])
    with QueueServiceClient.from_connection_string(storage) as queues:
        for name in QUEUES:
            ensure(queues.create_queue, name)
            ensure(queues.create_queue, f"{name}-poison")
        ensure(queues.create_queue, HOST_POISON_QUEUE)


def cors_rule(origins: Collection[str]) -> CorsRule:
    """Source: https://learn.microsoft.com/rest/api/storageservices/cross-origin-resource-sharing--cors--support"""
    return CorsRule(
        sorted(origins),
        ["GET", "HEAD", "OPTIONS", "PUT"],
        allowed_headers=["*"],
        exposed_headers=["*"],
        max_age_in_seconds=CORS_AGE_S,
    )
