"""Answers of the health routes."""

from __future__ import annotations

from typing import Literal

import msgspec

from shared.health import Check


class DeepHealth(msgspec.Struct, frozen=True, kw_only=True):
    status: Literal["ok", "unhealthy"]
    version: str
    checks: list[Check]


class Health(msgspec.Struct, frozen=True, kw_only=True):
    status: Literal["ok"]
    version: str
