"""Every error that this app raises on purpose, sorted by how to react to it.

    AppError
    ├── SettingError            the operator corrects a setting            500
    ├── BadRequest              the caller corrects the request            400
    │   ├── LengthRequired                                                 411
    │   ├── TooLarge                                                       413
    │   ├── WrongMediaType                                                 415
    │   └── RangeNotSatisfiable                                            416
    ├── UnusableFile            the user uploads another file: see formats/base.py
    ├── NotFound                the caller names another object            404
    ├── Busy                    the caller waits and tries again           409
    ├── Outdated                the caller reads the object again          412
    ├── NotOffered              the caller uses another route              501
    ├── StorageError            storage cannot be used: try again later    503
    │   ├── ListingFailed       a blob has a name that storage cannot list: delete it
    │   ├── BlobMissing         the blob does not exist
    │   └── BlobChanged         another process wrote the blob: read it again
    ├── StepTooLong             one step of a function reached its deadline: it is done again
    └── ServiceError            the model service refused the request      502
        ├── ServiceMissing      the object does not exist at the service, or no longer
        │   └── StoreLost       a collection's vector store is lost: index its documents again
        ├── ChainLost           the conversation is lost: send its history as text
        └── ServiceBusy         rate limit, outage or timeout: try again   503
            └── ServiceBlocked  somebody may have to change the set-up: the last one is named in the end
                ├── ServiceDenied          the app's identity has no access, or not yet
                └── ServiceNotUnderstood   the response is no answer of a model service

The adapter of a library turns the library's errors into these, with `raise ... from exc`.
"""

from __future__ import annotations


class AppError(Exception):
    """`code` is stable, for programs; the message is a sentence for people."""

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


class LengthRequired(BadRequest):
    status = 411
    code = "body_not_received"


class TooLarge(BadRequest):
    status = 413
    code = "body_too_large"


class WrongMediaType(BadRequest):
    status = 415
    code = "wrong_media_type"


class RangeNotSatisfiable(BadRequest):
    status = 416
    code = "range_not_satisfiable"


class NotFound(AppError):
    status = 404
    code = "not_found"


class Busy(AppError):
    status = 409
    code = "busy"


class Outdated(AppError):
    status = 412
    code = "outdated"


class NotOffered(AppError):
    status = 501
    code = "not_offered"


class StorageError(AppError):
    status = 503
    code = "storage_unavailable"


class ListingFailed(StorageError):
    code = "listing_failed"


class BlobMissing(StorageError):
    code = "blob_missing"


class BlobChanged(StorageError):
    code = "blob_changed"


class StepTooLong(AppError):
    status = 503
    code = "step_too_long"


class ServiceError(AppError):
    """`code` is that of the service if it sent one, such as `content_filter` or `unsupported_file`.

    `param`: the parameter of the request that the service refused, if it named one.
    """

    status = 502
    code = "service_error"

    def __init__(self, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message, code=code)
        self.param = param


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
    """The service cannot answer now.

    Attributes:
        retry_after_s: The delay that the service asked for, in seconds; None if it named none.
        unclear: The service may have carried out the request.
    """

    status = 503
    code = "service_busy"

    def __init__(
        self, message: str, *, code: str | None = None, retry_after_s: float | None = None, unclear: bool = False
    ) -> None:
        super().__init__(message, code=code)
        self.retry_after_s = retry_after_s
        self.unclear = unclear


class ServiceBlocked(ServiceBusy):
    """It is tried again as the service may recover, and named when it does not before the deadline."""


class ServiceNotUnderstood(ServiceBlocked):
    """A gateway, a captive portal, or another program at the address has answered."""

    code = "service_not_understood"

    def __init__(self, message: str) -> None:
        super().__init__(message, unclear=True)


class ServiceDenied(ServiceBlocked):
    """The service refuses the app's identity. A new role assignment takes minutes to arrive, so it is tried again."""

    code = "service_access_denied"

    def __init__(self, message: str) -> None:
        super().__init__(message)
