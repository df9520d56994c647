"""What a question may use of its collection: where runs and documents meet.

Beside each document's record stands a small blob that says what questions have to know of it: the data file to be
offered to code interpreter, versions at the service that must not be found (one still to come, or one replaced), and
whether something is still being indexed. One listing of these blobs tells a run all of it at once, and writing one is
the moment at which a new version takes the place of the old.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING

from shared.errors import BlobChanged, BlobMissing
from shared.models.documents import Document, collection_of
from shared.models.ids import made_at
from shared.models.runs import DataFile
from shared.storage.records import key_of, pack, unpack

if TYPE_CHECKING:
    from shared.storage.blobs import Blobs

TERMS_MAX_BYTES = 900
WRITE_TRIES = 8
VERSIONS_MAX = 30  # of one document that are excluded; more have no room in the blob's metadata
EXCLUDED_MAX = 500  # of one question: a filter has to stay small


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What questions have to know of one document."""

    path: str
    indexing: bool = False
    excluded: tuple[str, ...] = ()
    data_file_id: str | None = None
    terms: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Scope:
    """`files` are the data files and the words by which a question finds each."""

    files: dict[DataFile, tuple[str, ...]]
    excluded: tuple[str, ...]
    indexing: int  # documents of which a version is still to come


class Scopes:
    def __init__(self, state: Blobs) -> None:
        self._state = state

    async def of(self, collection: str) -> Scope:
        """One listing, of the documents that have something to tell."""
        files: dict[DataFile, tuple[str, ...]] = {}
        excluded: list[str] = []
        indexing = 0
        async for blob in self._state.list(f"scope/{key_of(collection)}/"):
            entry = unpack(blob.metadata["entry"], Entry)
            excluded += entry.excluded
            indexing += entry.indexing
            if entry.data_file_id:
                files[DataFile(path=entry.path, file_id=entry.data_file_id)] = entry.terms
        return Scope(files=files, excluded=tuple(excluded[:EXCLUDED_MAX]), indexing=indexing)

    async def tell(self, path: str, read: Callable[[], Awaitable[Document | None]]) -> None:
        """Say of a document what its record says; a document that has nothing to tell has no blob.

        The record is read behind the blob's etag, so that nobody who is slow writes something old over something new.

        Raises:
            BlobChanged: others keep writing it.
        """
        name = scope_name(path)
        for _ in range(WRITE_TRIES):
            etag = await self._etag(name)
            document = await read()
            entry = entry_of(document) if document else None
            try:
                if entry:
                    metadata = {"entry": pack(entry)}
                    missing = None if etag else "*"
                    await self._state.write(
                        name, b"", media_type="text/plain", metadata=metadata, if_match=etag, if_none_match=missing
                    )
                elif etag:
                    await self._state.delete(name, if_match=etag)
            except BlobChanged:
                continue
            return
        raise BlobChanged(f"What questions are told of {path} keeps changing.")

    async def _etag(self, name: str) -> str | None:
        try:
            return (await self._state.info(name)).etag
        except BlobMissing:
            return None

    async def are_asked_since_before(self, at: datetime) -> bool:
        """Whether a run goes on that began before then, and may yet search for what was current at its start."""
        async for marker in self._state.list("active/"):
            if made_at(marker.name.removeprefix("active/")) <= at:
                return True
        return False


def entry_of(document: Document) -> Entry | None:
    """None: it is simply there, or simply not."""
    live, incoming = document.live, document.incoming
    # A first version may be found as soon as the service has it: there is no other that it could contradict.
    hidden = ([incoming] if incoming and live else []) + list(document.retired)
    entry = Entry(
        path=document.path,
        indexing=incoming is not None,
        excluded=tuple(dict.fromkeys(version_of(document.path, v.etag) for v in hidden if v.parts or v is incoming)),
        data_file_id=live.data_file_id if live else None,
        terms=_few(live.terms) if live and live.data_file_id else (),
    )
    live_version = version_of(document.path, live.etag) if live else None
    entry = replace(entry, excluded=tuple(v for v in entry.excluded if v != live_version)[-VERSIONS_MAX:])
    return None if entry == Entry(path=document.path) else entry


def version_of(path: str, etag: str) -> str:
    """A document's version in one word, an attribute of its files at the service."""
    return sha256(f"{path}\n{etag}".encode()).hexdigest()[:24]


def scope_name(path: str) -> str:
    return f"scope/{key_of(collection_of(path))}/{key_of(path)}"


def _few(terms: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(" ".join(terms).encode()[:TERMS_MAX_BYTES].decode(errors="ignore").split(" "))
