"""Creates the blob containers, queues and poison queues that `infra/` creates in Azure."""

from collections.abc import Callable
from contextlib import suppress

from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

CONTAINERS = ("documents", "answers", "state")
QUEUES = ("runs", "indexing", "document-events", "callbacks")
HOST_POISON_QUEUE = "webjobs-blobtrigger-poison"  # Azure's host creates it on first use; the app has a trigger on it


def provision(storage: str) -> None:
    """Create what does not exist yet, in the account of this connection string."""

    def ensure(create: Callable[[str], object], name: str) -> None:
        with suppress(ResourceExistsError):
            create(name)

    with BlobServiceClient.from_connection_string(storage) as blobs:
        for name in CONTAINERS:
            ensure(blobs.create_container, name)
    with QueueServiceClient.from_connection_string(storage) as queues:
        for name in QUEUES:
            ensure(queues.create_queue, name)
            ensure(queues.create_queue, f"{name}-poison")
        ensure(queues.create_queue, HOST_POISON_QUEUE)
