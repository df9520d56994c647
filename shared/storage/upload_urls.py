"""Signs URLs that let their holder write one blob, for a short time, without access to the storage account."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from shared.errors import SettingError, StorageError
from shared.settings import STORAGE_CONNECTION, StorageAccount

if TYPE_CHECKING:
    from azure.storage.blob.aio import BlobServiceClient

VALID_FOR = timedelta(minutes=15)
CLOCK_SKEW = timedelta(minutes=5)  # between this machine and storage


@dataclass(frozen=True, kw_only=True)
class UploadUrl:
    url: str
    expires_at: datetime


class UploadUrls:
    """URLs with a shared access signature of one blob in `documents` that can only create or replace it.

    Where storage is reached by identity, a user delegation key signs: the app's role on the account must allow
    `generateUserDelegationKey`, as Storage Blob Data Owner does. With a connection string, the account's key signs. A
    signature cannot fix the content type, the metadata or the size of the blob.

    Source: https://learn.microsoft.com/rest/api/storageservices/create-user-delegation-sas
    """

    def __init__(self, account: StorageAccount, *, client_id: str | None, now: Callable[[], datetime]) -> None:
        self._account = account
        self._client_id = client_id
        self._now = now

    async def create(self, path: str) -> UploadUrl:
        """Sign a URL for the blob `path` of the container `documents`.

        Raises:
            SettingError: the connection string has no account key.
            StorageError: storage issues no key.
        """
        from azure.storage.blob import BlobSasPermissions, generate_blob_sas

        now = self._now()
        expires_at = (now + VALID_FOR).replace(microsecond=0)  # the signature has whole seconds
        blob = self._client.get_blob_client("documents", path)
        signature = generate_blob_sas(
            account_name=str(blob.account_name),
            container_name="documents",
            blob_name=path,
            permission=BlobSasPermissions(create=True, write=True),
            expiry=expires_at,
            protocol="https" if blob.url.startswith("https:") else "https,http",
            **await self._key(now, expires_at),
        )
        return UploadUrl(url=f"{blob.url}?{signature}", expires_at=expires_at)

    async def _key(self, now: datetime, expires_at: datetime) -> dict[str, Any]:
        if self._account.connection_string:
            if key := getattr(self._client.credential, "account_key", None):
                return {"account_key": key}
            raise SettingError(
                f"The setting {STORAGE_CONNECTION} is a connection string without an AccountKey, so the app cannot "
                "sign an upload URL. Add the key, or use managed identity.",
                code="setting_invalid",
            )
        from azure.core.exceptions import AzureError

        try:
            key = await self._client.get_user_delegation_key(now - CLOCK_SKEW, expires_at)
        except AzureError as exc:
            raise StorageError("Storage issues no key to sign the upload URL with.") from exc
        return {"user_delegation_key": key}

    @cached_property
    def _client(self) -> BlobServiceClient:
        from azure.storage.blob.aio import BlobServiceClient

        from shared.storage.blobs import RETRIES

        if self._account.connection_string:
            return BlobServiceClient.from_connection_string(self._account.connection_string, **RETRIES)
        from azure.identity.aio import DefaultAzureCredential  # imported on use: heavy, and not needed on a laptop

        assert self._account.blob_url  # StorageAccount holds it or a connection string
        credential = DefaultAzureCredential(managed_identity_client_id=self._client_id)
        return BlobServiceClient(self._account.blob_url, credential=credential, **RETRIES)
