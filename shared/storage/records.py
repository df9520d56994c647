"""Typed records in the blob container `state`: JSON, written with `If-Match` or `If-None-Match`."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from inspect import isawaitable
from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec

from shared.errors import BlobChanged
from shared.storage.missing import or_none

if TYPE_CHECKING:
    from shared.storage.blobs import Blobs

T = TypeVar("T")

UPDATE_TRIES = 8


@dataclass(frozen=True)
class Stored(Generic[T]):
    """A record as it was read, with the etag that the next write must match."""

    value: T
    etag: str


class Records(Generic[T]):
    """All records of one type. `name(key)` is the blob's name, `tags(value)` its metadata, which listings return."""

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
        """Read by the blob's name, as a listing returns it."""
        blob = await or_none(self._blobs.read(name))
        return Stored(msgspec.json.decode(blob.content, type=self._type), blob.etag) if blob else None

    async def create(self, key: str, value: T) -> Stored[T]:
        """Write the first version.

        Raises:
            BlobChanged: the record exists already.
        """
        return await self._write(key, value, if_none_match="*")

    async def replace(self, key: str, old: Stored[T], value: T) -> Stored[T]:
        """Write the next version.

        Raises:
            BlobChanged: the record was written since `old` was read.
        """
        return await self._write(key, value, if_match=old.etag)

    async def update(
        self, key: str, change: Callable[[T], T | Awaitable[T]], *, missing: T | None = None
    ) -> Stored[T] | None:
        """Read a record, change it and write it; repeat when another process wrote in between.

        Args:
            change: Returns the new value; an equal value writes nothing. It may run several times.
            missing: The value that `change` gets when there is no record.

        Returns:
            The record as it is now; None when there is none and `missing` is None.

        Raises:
            BlobChanged: another process wrote in between at each of the 8 tries.
        """
        for _ in range(UPDATE_TRIES):
            stored = await self.read(key)
            old = stored.value if stored else missing
            if old is None:
                return None
            changed = change(old)
            new = await changed if isawaitable(changed) else changed
            if stored and new == old:
                return stored
            try:
                return await (self.replace(key, stored, new) if stored else self.create(key, new))
            except BlobChanged:
                continue
        raise BlobChanged(f"The record {self._name(key)} was changed by others at each of {UPDATE_TRIES} tries.")

    async def put(self, key: str, value: T, *, tags: dict[str, str] | None = None) -> None:
        """Write a record without a condition: for records that only one process writes at a time."""
        await self._blobs.write(
            self._name(key),
            msgspec.json.encode(value),
            media_type="application/json",
            metadata=self._tags(value) if tags is None else tags,
        )

    async def delete(self, key: str, old: Stored[T]) -> None:
        """Raises BlobChanged when the record was written since `old` was read."""
        await self._blobs.delete(self._name(key), if_match=old.etag)

    async def remove(self, key: str) -> bool:
        """Delete a record whatever its version. False: there was none."""
        return await self._blobs.delete(self._name(key))

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
    """A small value as blob metadata, which is ASCII and at most 8 KiB in all."""
    return base64.urlsafe_b64encode(msgspec.json.encode(value)).decode()


def unpack(text: str, type: type[T]) -> T:
    return msgspec.json.decode(base64.urlsafe_b64decode(text), type=type)
