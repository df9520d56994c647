"""Words of tables and of questions, made alike."""

from __future__ import annotations


def singular(word: str) -> str:
    """The word in lower case without a plural `s`: `Metrics` -> `metric`."""
    word = word.casefold()
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
