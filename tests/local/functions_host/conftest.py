"""Azurite's blob service and a new container, for the tests of the Functions host."""

from collections.abc import AsyncIterator

import pytest
from azure.storage.blob.aio import BlobServiceClient, ContainerClient

from local.stack.azurite import Azurite
from tests.local.functions_host.apps import unique


@pytest.fixture
async def blob_service(azurite: Azurite) -> AsyncIterator[BlobServiceClient]:
    async with BlobServiceClient.from_connection_string(azurite.connection_string) as client:
        yield client


@pytest.fixture
async def container(blob_service: BlobServiceClient) -> ContainerClient:
    """A new container that no other test uses."""
    return await blob_service.create_container(unique("container"))
