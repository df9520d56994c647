"""Reads the storage account, and sends queue messages as Event Grid or an operator would."""

import base64
import json
import time
from collections.abc import Callable
from typing import Any

from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from local.stack.stack import Stack

Json = dict[str, Any]


def blobs(stack: Stack) -> BlobServiceClient:
    return BlobServiceClient.from_connection_string(stack.azurite.connection_string)


def queues(stack: Stack) -> QueueServiceClient:
    return QueueServiceClient.from_connection_string(stack.azurite.connection_string)


def names(stack: Stack, container: str, prefix: str = "") -> list[str]:
    with blobs(stack) as service:
        return list(service.get_container_client(container).list_blob_names(name_starts_with=prefix))


def read_json(stack: Stack, container: str, name: str) -> Json:
    with blobs(stack) as service:
        found: Json = json.loads(service.get_blob_client(container, name).download_blob().readall())
        return found


def send(stack: Stack, queue: str, message: Json) -> None:
    with queues(stack) as service:
        body = base64.b64encode(json.dumps(message).encode()).decode()
        service.get_queue_client(queue).send_message(body)


def wait_until(condition: Callable[[], bool], *, within_s: float = 180) -> None:
    """Look again and again, less often with time: each look makes the processes slower that it waits for."""
    deadline_s, pause_s = time.monotonic() + within_s, 0.05
    while not condition():
        assert time.monotonic() < deadline_s, "the condition was not met in time"
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.2, 0.4)
