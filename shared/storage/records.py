"""Typed records in the blob container `state`: JSON, written only by compare-and-swap."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar
from urllib.parse import quote

import msgspec

from shared.errors import BlobMissing

if TYPE_CHECKING:
    from shared.storage.blobs import Blobs

T = TypeVar("T")

KEY_MAX_CHARS = 430  # a blob's name may have 1,024 characters, and up to two keys are in one


@dataclass(frozen=True)
class Stored(Generic[T]):
    """A record as it was read, with the etag that a write must present."""

    value: T
    etag: str


class Records(Generic[T]):
    """All records of one type. `name(key)` is the blob's name; `tags(value)` is its metadata, for listings."""

    def __init__(
        self,
        blobs: Blobs,
        type: type[T],
        *,
        name: Callable[[str], str],
        tags: Callable[[T], dict[str, str]] | None = None,
    ) -> None:
        self._blobs = blobs
        self._type = type
        self._name = name
        self._tags = tags or (lambda _: {})

    async def read(self, key: str) -> Stored[T] | None:
        return await self.read_named(self._name(key))

    async def read_named(self, name: str) -> Stored[T] | None:
        """By the blob's name, as a listing gives it."""
        try:
            blob = await self._blobs.read(name)
        except BlobMissing:
            return None
        return Stored(msgspec.json.decode(blob.content, type=self._type), blob.etag)

    async def create(self, key: str, value: T) -> Stored[T]:
        """Write the first version.

        Raises:
            BlobChanged: there is one already.
        """
        return await self._write(key, value, if_none_match="*")

    async def replace(self, key: str, old: Stored[T], value: T) -> Stored[T]:
        """Write the next version.

        Raises:
            BlobChanged: someone else did so since `old` was read.
        """
        return await self._write(key, value, if_match=old.etag)

    async def put(self, key: str, value: T, *, tags: dict[str, str] | None = None) -> None:
        """Write it whatever is there: for what only one process at a time has a reason to write."""
        await self._blobs.write(
            self._name(key),
            msgspec.json.encode(value),
            media_type="application/json",
            metadata=self._tags(value) if tags is None else tags,
        )

    async def delete(self, key: str, old: Stored[T]) -> None:
        """Raises BlobChanged when someone wrote it since `old` was read."""
        await self._blobs.delete(self._name(key), if_match=old.etag)

    async def _write(
        self, key: str, value: T, *, if_match: str | None = None, if_none_match: str | None = None
    ) -> Stored[T]:
        etag = await self._blobs.write(
            self._name(key),
            msgspec.json.encode(value),
            media_type="application/json",
            metadata=self._tags(value),
            if_match=if_match,
            if_none_match=if_none_match,
        )
        return Stored(value, etag)


def pack(value: object) -> str:
    """A small value as blob metadata, which takes ASCII only and 8 KiB in all."""
    return base64.urlsafe_b64encode(msgspec.json.encode(value)).decode()


def unpack(text: str, type: type[T]) -> T:
    return msgspec.json.decode(base64.urlsafe_b64decode(text), type=type)


def key_of(path: str) -> str:
    """A name from outside as part of a blob's name: one to one, and without `.` and `..` as whole segments.

    HTTP clients fold `a/../b` into `b`, so that a document of that name could otherwise overwrite another's record.
    """
    key = "/".join(
        segment.replace(".", "%2E") if segment.strip(".") == "" else segment
        for segment in quote(path, safe="/ ()+,;=@-._~").split("/")
    )
    if len(key) <= KEY_MAX_CHARS:
        return key
    return f"{key[:KEY_MAX_CHARS]}~{hashlib.sha256(path.encode()).hexdigest()}"
