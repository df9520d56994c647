"""The limits of one document and of its upload."""

from __future__ import annotations

from dataclasses import dataclass

from shared.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Size, time and tries of one document, and the number of uploads at the same time."""

    max_bytes: int
    max_tokens: int
    deadline_s: int
    tries: int
    concurrency: int
    temp_max_bytes: int  # on disk, of all uploads of one instance

    @classmethod
    def from_settings(cls, settings: Settings) -> Limits:
        return cls(
            max_bytes=settings.document_max_bytes,
            max_tokens=settings.file_max_tokens,
            deadline_s=settings.indexing_max_s,
            tries=settings.indexing_tries,
            concurrency=settings.indexing_concurrency,
            temp_max_bytes=settings.temp_max_bytes,
        )
