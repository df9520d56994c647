"""A blob that may not exist."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

from shared.errors import BlobMissing

T = TypeVar("T")


async def or_none(read: Awaitable[T]) -> T | None:
    """What a read of a blob returns; None if there is no such blob."""
    try:
        return await read
    except BlobMissing:
        return None
