"""The storage account of an app, as the command line uses it. The SDK takes half a second to import."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.blob import BlobServiceClient, ContentSettings

from local.errors import LocalError
from local.paths import COMMAND

RETRIES: dict[str, Any] = {"retry_total": 2, "initial_backoff": 0.2, "increment_base": 2}  # default: over a minute


class Blobs:
    """Every method raises `LocalError` if storage fails."""

    def __init__(self, connection_string: str) -> None:
        self._account = BlobServiceClient.from_connection_string(connection_string, **RETRIES)

    def write(self, container: str, name: str, content: bytes, *, media_type: str) -> str:
        """Upload a blob, in place of one with this name; return its etag as storage writes it."""
        with storage_errors():
            blob = self._account.get_blob_client(container, name)
            written = blob.upload_blob(content, overwrite=True, content_settings=ContentSettings(media_type))
        return str(written["etag"])

    def names(self, container: str, prefix: str) -> list[str]:
        """The names of all blobs that begin with `prefix`."""
        with storage_errors():
            return list(self._account.get_container_client(container).list_blob_names(name_starts_with=prefix))

    def read(self, container: str, name: str) -> bytes | None:
        """The content of a blob; None if it does not exist."""
        with storage_errors():
            try:
                return self._account.get_blob_client(container, name).download_blob().readall()
            except ResourceNotFoundError:
                return None

    def close(self) -> None:
        self._account.close()


@contextmanager
def storage_errors() -> Iterator[None]:
    """Turn a storage error into a `LocalError`."""
    try:
        yield
    except AzureError as exc:
        first_line = str(exc).partition("\n")[0]
        raise LocalError(
            f"Storage failed: {first_line}", f"`{COMMAND} status` shows whether it is running; its log is azurite.log."
        ) from exc
