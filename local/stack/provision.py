"""What `infra/` makes in a storage account in the cloud: blob containers, queues and their poison queues."""

from collections.abc import Callable
from contextlib import suppress

from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

CONTAINERS = ("documents", "answers", "state")
QUEUES = ("runs", "indexing", "document-events", "callbacks")
HOST_POISON_QUEUE = "webjobs-blobtrigger-poison"  # Microsoft's host makes it when it first needs it; the app reads it


def provision(storage: str) -> None:
    """Make what is not there yet in the account of this connection string."""

    def make(create: Callable[[str], object], name: str) -> None:
        with suppress(ResourceExistsError):
            create(name)

    with BlobServiceClient.from_connection_string(storage) as blobs:
        for name in CONTAINERS:
            make(blobs.create_container, name)
    with QueueServiceClient.from_connection_string(storage) as queues:
        for name in QUEUES:
            make(queues.create_queue, name)
            make(queues.create_queue, f"{name}-poison")
        make(queues.create_queue, HOST_POISON_QUEUE)
