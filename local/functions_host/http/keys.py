"""Access keys. They are required only with `--auth`: Azure requires them, `func start` does not."""

from __future__ import annotations

import hmac
import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Keys:
    """A key for functions, and a master key for everything."""

    function: str
    master: str

    @classmethod
    def from_settings(cls, values: Mapping[str, str]) -> Keys:
        """Read `FUNCTIONS_KEY` and `FUNCTIONS_MASTER_KEY`; a missing key is generated and logged."""
        keys = {
            name: values.get(name) or secrets.token_urlsafe(32) for name in ("FUNCTIONS_KEY", "FUNCTIONS_MASTER_KEY")
        }
        for name, key in keys.items():
            if not values.get(name):
                logger.warning("%s=%s (generated for this start; set it to keep it)", name, key)
        return cls(function=keys["FUNCTIONS_KEY"], master=keys["FUNCTIONS_MASTER_KEY"])

    def allow(self, level: str, key: str) -> bool:
        """Whether a key allows calls of an auth level: `anonymous`, `function` or `admin`."""
        level = level.lower()
        if level == "anonymous" or equal_keys(key, self.master):
            return True
        return level == "function" and equal_keys(key, self.function)


def equal_keys(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
