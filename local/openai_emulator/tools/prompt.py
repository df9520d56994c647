"""What the emulator adds to a request before the model answers it: metadata about the model."""

from __future__ import annotations

from collections.abc import Mapping

_MOST_METADATA = 16


def with_about(metadata: Mapping[str, str], about: Mapping[str, str]) -> dict[str, str]:
    """The caller's metadata, plus pairs of `about` whose keys are free, up to the limit of 16 pairs."""
    pairs = dict(metadata)
    for key, value in about.items():
        if len(pairs) < _MOST_METADATA and key not in pairs:
            pairs[key[:64]] = value[:512]
    return pairs
