"""The app's own clients with the settings that infra/ sets: no key anywhere, DefaultAzureCredential for all of it.

A process of its own, because Python reads the trusted certificates once. Prints what each way
answered, "ok" or why not.
"""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from types import SimpleNamespace

from azurefunctions.extensions.bindings.blob import BlobClient

from shared.engines.client import open_client, translated
from shared.settings import STORAGE_CONNECTION, Settings
from shared.storage.blobs import connect


async def blobs(settings: Settings) -> None:
    async with connect(settings.storage, client_id=settings.identity_client_id) as storage:
        etag = await storage.state.write("proof.json", b"{}", media_type="application/json")
        blob = await storage.state.read("proof.json")
        assert (blob.content, blob.etag) == (b"{}", etag)


async def queues(settings: Settings) -> None:
    async with connect(settings.storage, client_id=settings.identity_client_id) as storage:
        await storage.runs.send({"run_id": "run_0", "generation": 0})


async def model(settings: Settings) -> None:
    client = open_client(settings)
    try:
        with translated("listing models"):
            assert [found.id async for found in client.models.list()]
    finally:
        await client.close()


async def binding(_: Settings) -> None:
    """The blob trigger's own client, which Microsoft's extension makes from the same settings."""
    where = {"Connection": STORAGE_CONNECTION, "ContainerName": "state", "BlobName": "proof.json"}
    data = SimpleNamespace(
        source="AzureStorageBlobs", content_type="application/json", content=json.dumps(where).encode()
    )
    client = BlobClient(data=SimpleNamespace(**vars(data), version="1.0")).get_sdk_type()
    assert client.download_blob().readall() == b"{}"


async def main() -> None:
    settings = Settings.from_environ(os.environ)
    ways: list[Callable[[Settings], Awaitable[None]]] = [blobs, queues, model, binding]
    found = {}
    for way in ways:
        try:
            await way(settings)
            found[way.__name__] = "ok"
        except Exception as exc:  # whatever it is, the test wants to read it
            found[way.__name__] = f"{type(exc).__name__}: {exc}"
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    asyncio.run(main())
