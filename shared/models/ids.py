"""DOC."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

LATEST_MS = 0xFFFFFFFFFFF


def new_id(prefix: str, now: datetime) -> str:
    """`run_` and 24 hex digits that sort newest first, so that listing blobs by name lists the newest runs first."""
    return f"{prefix}_{LATEST_MS - int(now.timestamp() * 1000):011x}{secrets.token_hex(7)[:13]}"


def made_at(id: str) -> datetime:
    """When `new_id` made it, to the millisecond."""
    return datetime.fromtimestamp((LATEST_MS - int(id.partition("_")[2][:11], 16)) / 1000, UTC)
