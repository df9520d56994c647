"""Every error this app raises on purpose, sorted by what the caller does next.

    AppError
    ├── SettingError            the operator mends a setting
    ├── BadRequest              the caller mends the request          400
    │   ├── TooLarge                                                  413
    │   └── WrongMediaType                                            415
    ├── UnusableFile            the user drops another file: see formats/base.py
    ├── NotFound                the caller names something else       404
    ├── Busy                    the caller waits, then tries again    409
    ├── StorageError
    │   ├── BlobMissing         no such blob
    │   └── BlobChanged         somebody wrote it first: read again
    └── ServiceError            the model service said no; trying again does not help
        ├── ServiceMissing      it does not have that object (any more)
        │   └── StoreLost       a collection's vector store: what was in it has to be indexed anew
        ├── ChainLost           the conversation to continue is gone there: send its history as text
        └── ServiceBusy         throttled, down or not reachable: try again later

Foreign errors are turned into these once, in the adapter that met them, with `from exc`.
"""

from __future__ import annotations


class AppError(Exception):
    """Base of them all. `code` is stable and for programs; the message is a sentence for people."""

    status = 500
    code = "internal_error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code


class SettingError(AppError):
    code = "setting_missing"


class BadRequest(AppError):
    status = 400
    code = "bad_request"


class TooLarge(BadRequest):
    status = 413
    code = "body_too_large"


class WrongMediaType(BadRequest):
    status = 415
    code = "wrong_media_type"


class NotFound(AppError):
    status = 404
    code = "not_found"


class Busy(AppError):
    status = 409
    code = "busy"


class StorageError(AppError):
    status = 503
    code = "storage_unavailable"


class BlobMissing(StorageError):
    code = "blob_missing"


class BlobChanged(StorageError):
    code = "blob_changed"


class ServiceError(AppError):
    """`code` is the service's own where it gave one, such as `content_filter` or `unsupported_file`."""

    status = 502
    code = "service_error"


class ServiceMissing(ServiceError):
    code = "service_object_missing"


class StoreLost(ServiceMissing):
    code = "vector_store_lost"

    def __init__(self, collection: str, store_id: str) -> None:
        super().__init__(f"The vector store {store_id} of the collection {collection!r} is gone at the service.")
        self.collection = collection
        self.store_id = store_id


class ChainLost(ServiceError):
    code = "chain_lost"


class ServiceBusy(ServiceError):
    """`retry_after_s` is what the service asked for, None when it did not say.

    `unclear`: whether the service did what it was asked to is not known.
    """

    status = 503
    code = "service_busy"

    def __init__(
        self, message: str, *, code: str | None = None, retry_after_s: float | None = None, unclear: bool = False
    ) -> None:
        super().__init__(message, code=code)
        self.retry_after_s = retry_after_s
        self.unclear = unclear
