"""Ids that sort newest first, since blobs are listed by name."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

LATEST_MS = 0xFFFFFFFFFFF


def new_id(prefix: str, now: datetime) -> str:
    """`run_` and 24 hex digits; newer ids sort first."""
    return f"{prefix}_{LATEST_MS - int(now.timestamp() * 1000):011x}{secrets.token_hex(7)[:13]}"


def made_at(id: str) -> datetime:
    """When `new_id` made the id, to the millisecond."""
    return datetime.fromtimestamp((LATEST_MS - int(id.partition("_")[2][:11], 16)) / 1000, UTC)
