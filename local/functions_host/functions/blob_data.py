"""A blob as a function's parameter: its content and properties, or a reference for the SDK types."""

from __future__ import annotations

import json
from dataclasses import dataclass

from azure.core.exceptions import ResourceNotFoundError
from azure.functions.meta import Datum
from azure.storage.blob import BlobProperties
from azure.storage.blob.aio import BlobClient, BlobServiceClient

from local.functions_host.settings import STORAGE


@dataclass(frozen=True, kw_only=True)
class ModelBindingData:
    """What the host sends for an SDK type.

    Source: https://github.com/Azure/azure-functions-python-extensions (azurefunctions-extensions-bindings-blob)
    """

    version: str
    source: str
    content_type: str
    content: str


def blob_reference(connection: str | None, container: str, blob: str) -> Datum:
    """A reference to a blob; the extension makes its client from it."""
    content = {"Connection": connection or STORAGE, "ContainerName": container, "BlobName": blob}
    data = ModelBindingData(
        version="1.0", source="AzureStorageBlobs", content_type="application/json", content=json.dumps(content)
    )
    return Datum(data, "model_binding_data")


def content_datum(content: bytes, data_type: str | None) -> Datum:
    """A blob's content: bytes, or text where the binding's `dataType` asks for it."""
    return Datum(content.decode(), "string") if data_type == "STRING" else Datum(content, "bytes")


def blob_metadata(client: BlobClient, path: str, properties: BlobProperties) -> dict[str, Datum]:
    """The trigger metadata of a blob `path` (`container/name`)."""
    about = {
        "ContentLength": properties.size,
        "ContentType": properties.content_settings.content_type,
        "ETag": properties.etag,
        "LastModified": properties.last_modified.isoformat(),
        "BlobType": "Block" if properties.blob_type is None else str(properties.blob_type).removesuffix("Blob"),
    }
    return {
        "BlobTrigger": Datum(path, "string"),
        "Uri": Datum(json.dumps(client.url), "json"),
        "Properties": Datum(json.dumps(about), "json"),
        "Metadata": Datum(json.dumps(dict(properties.metadata or {})), "json"),
    }


async def write_blob(service: BlobServiceClient, path: str, content: bytes | str) -> None:
    """Write a blob `container/name` over what is there; its container is created when there is none."""
    container_name, _, name = path.partition("/")
    container = service.get_container_client(container_name)
    try:
        await container.upload_blob(name, content, overwrite=True)
    except ResourceNotFoundError:
        await container.create_container()
        await container.upload_blob(name, content, overwrite=True)
