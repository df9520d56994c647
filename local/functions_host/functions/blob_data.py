"""Blobs as function parameters: content, metadata, and references for SDK types."""

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
    """The data that the host sends for an SDK type.

    Source: https://github.com/Azure/azure-functions-python-extensions (azurefunctions-extensions-bindings-blob)
    """

    version: str
    source: str
    content_type: str
    content: str


def blob_reference(connection: str | None, container: str, blob: str) -> Datum:
    """A reference to a blob; the SDK-type extension creates a client from it."""
    content = {"Connection": connection or STORAGE, "ContainerName": container, "BlobName": blob}
    data = ModelBindingData(
        version="1.0", source="AzureStorageBlobs", content_type="application/json", content=json.dumps(content)
    )
    return Datum(data, "model_binding_data")


def content_datum(content: bytes, data_type: str | None) -> Datum:
    """The content of a blob: text if the binding's `dataType` is STRING, else bytes."""
    return Datum(content.decode(), "string") if data_type == "STRING" else Datum(content, "bytes")


def blob_metadata(client: BlobClient, path: str, properties: BlobProperties) -> dict[str, Datum]:
    """The trigger metadata of a blob `path` (`container/name`)."""
    described = {
        "ContentLength": properties.size,
        "ContentType": properties.content_settings.content_type,
        "ETag": properties.etag,
        "LastModified": properties.last_modified.isoformat(),
        "BlobType": "Block" if properties.blob_type is None else str(properties.blob_type).removesuffix("Blob"),
    }
    return {
        "BlobTrigger": Datum(path, "string"),
        "Uri": Datum(json.dumps(client.url), "json"),
        "Properties": Datum(json.dumps(described), "json"),
        "Metadata": Datum(json.dumps(dict(properties.metadata or {})), "json"),
    }


async def write_blob(service: BlobServiceClient, path: str, content: bytes | str) -> None:
    """Write or overwrite the blob `container/name`; create the container if it does not exist."""
    container_name, _, name = path.partition("/")
    container = service.get_container_client(container_name)
    try:
        await container.upload_blob(name, content, overwrite=True)
    except ResourceNotFoundError:
        await container.create_container()
        await container.upload_blob(name, content, overwrite=True)
