"""Uses the app's own clients with the settings of infra/: DefaultAzureCredential everywhere, and no keys.

It is a separate process because Python reads the trusted certificates only once. Prints a JSON object: for each
service, "ok" or the error.
"""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from types import SimpleNamespace

from azurefunctions.extensions.bindings.blob import BlobClient

from shared.engines.client import open_client, translated
from shared.runs.messages import RunLook
from shared.settings import STORAGE_CONNECTION, Settings
from shared.storage.blobs import connect


async def blobs(settings: Settings) -> None:
    async with connect(settings.storage, client_id=settings.identity_client_id) as storage:
        etag = await storage.state.write("proof.json", b"{}", media_type="application/json")
        blob = await storage.state.read("proof.json")
        assert (blob.content, blob.etag) == (b"{}", etag)


async def queues(settings: Settings) -> None:
    async with connect(settings.storage, client_id=settings.identity_client_id) as storage:
        await storage.runs.send(RunLook("run_0", 0))


async def model(settings: Settings) -> None:
    client = open_client(settings)
    try:
        with translated("listing models"):
            assert [found.id async for found in client.models.list()]
    finally:
        await client.close()


async def binding(_: Settings) -> None:
    """The client of the blob trigger, which Microsoft's binding extension makes from the same settings."""
    where = {"Connection": STORAGE_CONNECTION, "ContainerName": "state", "BlobName": "proof.json"}
    data = SimpleNamespace(
        source="AzureStorageBlobs", content_type="application/json", content=json.dumps(where).encode()
    )
    client = BlobClient(data=SimpleNamespace(**vars(data), version="1.0")).get_sdk_type()
    assert client.download_blob().readall() == b"{}"


async def main() -> None:
    settings = Settings.from_environ(os.environ)
    services: list[Callable[[Settings], Awaitable[None]]] = [blobs, queues, model, binding]
    found = {}
    for service in services:
        try:
            await service(settings)
            found[service.__name__] = "ok"
        except Exception as exc:  # the test reads every error
            found[service.__name__] = f"{type(exc).__name__}: {exc}"
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    asyncio.run(main())
