"""DOC."""

from __future__ import annotations

from collections.abc import Mapping

_MOST_METADATA = 16


def with_about(metadata: Mapping[str, str], about: Mapping[str, str]) -> dict[str, str]:
    """The caller's pairs, and what the model says of itself where there is room and no such key."""
    pairs = dict(metadata)
    for key, value in about.items():
        if len(pairs) < _MOST_METADATA and key not in pairs:
            pairs[key[:64]] = value[:512]
    return pairs
