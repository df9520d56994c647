"""The search index of all vector stores, in one SQLite file: parses, chunks, embeds, stores and searches files.

Parsing and embedding run in threads and child processes. One lock protects the tables and what is cached of them.
A search chooses a few hundred chunks by arrays in memory, then reads these from the database and ranks them exactly.

All changes of one file happen in the order of the calls: one thread makes them, first in, first out, and a call cancels
the additions that began before it. What comes after a removal can therefore not be undone by it, nor undo it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from local.openai_emulator.search import embeddings
from local.openai_emulator.search.chunks import Chunk, split
from local.openai_emulator.search.embeddings import Vectors
from local.openai_emulator.search.entries import Entries, StoreCache
from local.openai_emulator.search.filters import Attributes, Matches, compile_filter
from local.openai_emulator.search.keywords import Term, postings
from local.openai_emulator.search.parsers.pool import ParserPool
from local.openai_emulator.search.passage import Passage
from local.openai_emulator.search.ranking import Floats, keyword_shares, pick, values
from local.openai_emulator.search.tables import StoredFile, Tables
from local.openai_emulator.search.words import query_words, windows

T = TypeVar("T")
Rows = NDArray[np.int64]

# How many of the best chunks by estimated cosines get better estimates, and how many of these are ranked exactly.
# Fewer lose quality in large stores (measured with 11,429 abstracts).
ESTIMATED, CANDIDATES = 2000, 240


@dataclass(eq=False, kw_only=True)
class _Addition:
    """An `add` in progress.

    It is cancelled when its file or store is removed, the file is added again, or its call is cancelled."""

    store_id: str
    file_id: str
    path: Path
    filename: str
    attributes: Attributes
    max_tokens: int
    overlap_tokens: int
    cancelled: bool = False


@dataclass(frozen=True, kw_only=True)
class _Prepared:
    """What `add` writes: chunks, and for each chunk the vectors of its windows."""

    chunks: Sequence[Chunk]
    vectors: Sequence[Vectors]
    size_bytes: int


class Index:
    """The methods do not block the event loop, and can be called from any event loop."""

    def __init__(self, path: Path | None, *, workers: int = 2, max_file_tokens: int | None = None) -> None:
        """Open or create the index.

        Args:
            path: The SQLite file; None for an index in memory.
            workers: How many files are added at the same time.
            max_file_tokens: `add` refuses files with more tokens; None for no limit.
        """
        self._tables = Tables(path)
        self._max_file_tokens = max_file_tokens
        self._lock = threading.Lock()
        self._cache = StoreCache()
        self._additions: set[_Addition] = set()
        self._parsers = ParserPool(workers=workers)
        self._adding = ThreadPoolExecutor(workers, thread_name_prefix="index-add")
        self._changes = ThreadPoolExecutor(1, thread_name_prefix="index-change")  # one thread: first in, first out
        self._reading = ThreadPoolExecutor(2, thread_name_prefix="index-read")
        self._computing = ThreadPoolExecutor(2, thread_name_prefix="index-compute")  # while the words are looked up

    async def warm(self) -> None:
        """Load the embedding model and start a parser before the first file arrives (about 0.5 s). Optional."""
        await _in(self._adding, self._parsers.warm)
        await _in(self._adding, embeddings.load)

    async def add(
        self,
        store_id: str,
        file_id: str,
        *,
        path: Path,
        filename: str,
        attributes: Attributes,
        max_tokens: int = 800,
        overlap_tokens: int = 400,
    ) -> int:
        """Parse, chunk, embed and index one file. Its old chunks in this store are found until the new ones are ready.

        Nothing is written if the file or its store is removed, or the file is added again, before this call ends, nor
        after this call was cancelled.

        Returns:
            The size of its text and vectors in bytes.

        Raises:
            ParseError: the file cannot be searched; the index is unchanged.
            ValueError: `overlap_tokens` is more than half of `max_tokens`.
        """
        addition = _Addition(
            store_id=store_id,
            file_id=file_id,
            path=path,
            filename=filename,
            attributes=dict(attributes),
            max_tokens=max_tokens,
            overlap_tokens=overlap_tokens,
        )
        self._cancel(store_id, file_id)
        self._additions.add(addition)
        try:
            prepared = await _in(self._adding, lambda: self._prepare(addition))
            await _in(self._changes, lambda: self._write(addition, prepared))
            return prepared.size_bytes
        finally:
            addition.cancelled = True  # the threads can still be at work when this call is cancelled
            self._additions.discard(addition)

    async def read(self, path: Path, filename: str) -> list[str]:
        """The text of a file that is not indexed, in parts of a chunk's size that follow each other.

        Raises:
            ParseError: the file cannot be read.
        """

        def parts() -> list[str]:
            sections = self._parsers.parse(path, filename)
            return [chunk.text for chunk in split(sections, overlap_tokens=0, max_file_tokens=self._max_file_tokens)]

        return await _in(self._adding, parts)

    async def remove(self, store_id: str, file_id: str) -> None:
        """Remove a file from a store; no error if it does not exist."""
        self._cancel(store_id, file_id)
        await _in(self._changes, lambda: self._remove(store_id, file_id))

    async def remove_store(self, store_id: str) -> None:
        """Remove a store and all its files; no error if it does not exist."""
        self._cancel(store_id, None)
        await _in(self._changes, lambda: self._remove(store_id, None))

    async def update_attributes(self, store_id: str, file_id: str, attributes: Attributes) -> None:
        """Replace a file's attributes; no error if it does not exist."""
        new = dict(attributes)
        for addition in self._in_progress(store_id, file_id):
            addition.attributes = new
        await _in(self._changes, lambda: self._update_attributes(store_id, file_id, new))

    async def chunks(self, store_id: str, file_id: str) -> list[Chunk]:
        """A file's chunks in order; empty if it does not exist."""
        return await _in(self._reading, lambda: self._chunks(store_id, file_id))

    async def search(
        self,
        store_ids: Sequence[str],
        queries: Sequence[str],
        *,
        limit: int = 10,
        filters: Mapping[str, Any] | None = None,
        score_threshold: float = 0.0,
    ) -> list[Passage]:
        """The passages most relevant to any of the queries, best first. See `ranking` for the scores.

        Raises:
            ValueError: the filter is malformed.
        """
        matches = None if filters is None else compile_filter(filters)
        wanted = [query for query in queries if query.strip()]
        if limit <= 0 or not wanted or not store_ids:
            return []
        found = await _in(self._reading, lambda: self._search(list(store_ids), wanted, limit, matches))
        return [passage for passage in found if passage.score >= score_threshold]

    def keep_only(self, files: Collection[tuple[str, str]]) -> None:
        """Remove all but these files, pairs of store id and file id. Blocks; for the start, before any other call.

        A process that ended between the two databases can have left a file here that its store does not have.
        """
        with self._change():
            for store_id, file_id in self._tables.all_files() - set(files):
                self._delete(store_id, file_id)
            self._tables.delete_empty_stores()

    async def close(self) -> None:
        """Finish the file that is being parsed, end the parsers and close the database."""
        await asyncio.to_thread(self._adding.shutdown, cancel_futures=True)
        await asyncio.to_thread(self._changes.shutdown)
        await asyncio.to_thread(self._reading.shutdown)
        self._computing.shutdown()
        await asyncio.to_thread(self._parsers.close)
        self._tables.close()

    def _in_progress(self, store_id: str, file_id: str | None) -> list[_Addition]:
        """The additions to a store, of one file or of all."""
        return [one for one in list(self._additions) if one.store_id == store_id and file_id in (None, one.file_id)]

    def _cancel(self, store_id: str, file_id: str | None) -> None:
        for addition in self._in_progress(store_id, file_id):
            addition.cancelled = True

    # ---- in threads ------------------------------------------------------------------------------------------

    def _prepare(self, addition: _Addition) -> _Prepared:
        if addition.cancelled:
            return _Prepared(chunks=(), vectors=(), size_bytes=0)
        chunks = split(
            self._parsers.parse(addition.path, addition.filename),
            max_tokens=addition.max_tokens,
            overlap_tokens=addition.overlap_tokens,
            max_file_tokens=self._max_file_tokens,
        )
        parts = [windows(chunk.text) for chunk in chunks]
        vectors = embeddings.embed([window for part in parts for window in part])
        return _Prepared(
            chunks=chunks,
            vectors=np.split(vectors, np.cumsum([len(part) for part in parts])[:-1]),
            size_bytes=sum(len(chunk.text.encode()) for chunk in chunks) + vectors.nbytes,
        )

    def _write(self, addition: _Addition, prepared: _Prepared) -> None:
        with self._change():
            if addition.cancelled:
                return
            self._delete(addition.store_id, addition.file_id)
            store_key, entries, words = self._tables.insert(
                addition.store_id,
                addition.file_id,
                addition.filename,
                addition.attributes,
                prepared.chunks,
                prepared.vectors,
            )
            if store := self._cache.peek(store_key):
                store.add(Entries.of(entries))
                for entry, text in zip(entries, words, strict=True):
                    store.vocabulary.add(entry.chunk_id, text)
            self._tidy(store_key)

    def _tidy(self, store_key: int) -> None:
        if self._tables.tidy(store_key):
            self._cache.forget(store_key)

    @contextmanager
    def _change(self) -> Iterator[None]:
        with self._lock:
            try:
                with self._tables.transaction():
                    yield
            except BaseException:
                self._cache.clear()  # the cache can contain changes that the database rolled back
                raise

    def _remove(self, store_id: str, file_id: str | None) -> None:
        with self._change():
            stores = self._delete(store_id, file_id)
            if file_id is None:
                self._tables.delete_store(store_id)
            else:
                for store_key in stores:
                    self._tidy(store_key)

    def _delete(self, store_id: str, file_id: str | None) -> set[int]:
        """Delete a file, or all files of a store; returns the keys of the stores that had any."""
        files = self._stored(store_id, file_id)
        for file in files:
            self._tables.delete_file(file)
            if store := self._cache.peek(file.store_key):
                store.drop(file.key)
        return {file.store_key for file in files}

    def _stored(self, store_id: str, file_id: str | None) -> list[StoredFile]:
        """The file, if it exists; all files of the store if `file_id` is None."""
        if file_id is None:
            return self._tables.files(self._tables.store_keys([store_id]))
        file = self._tables.file(store_id, file_id)
        return [file] if file else []

    def _update_attributes(self, store_id: str, file_id: str, attributes: Attributes) -> None:
        with self._change():
            for file in self._stored(store_id, file_id):
                self._tables.set_attributes(file, attributes)

    def _chunks(self, store_id: str, file_id: str) -> list[Chunk]:
        with self._lock:
            return [chunk for file in self._stored(store_id, file_id) for chunk in self._tables.chunks_of(file)]

    def _search(self, store_ids: list[str], queries: list[str], limit: int, matches: Matches | None) -> list[Passage]:
        targets = embeddings.embed(queries)
        terms = [list(dict.fromkeys(map(Term.of, query_words(query)))) for query in queries]
        with self._lock:
            store_keys = self._tables.store_keys(store_ids)
            stores = [(key, self._cache.get(key, self._tables.load)) for key in store_keys]
            only = None if matches is None else {f.key for f in self._tables.files(store_keys) if matches(f.attributes)}
            if not stores or (only is not None and not only):
                return []
            entries = Entries.joined([store.entries for _, store in stores])
            cosines = [self._computing.submit(entries.cosines, target) for target in targets]
            found = {
                term: b"".join(self._tables.postings(key, term) + store.vocabulary.find(term) for key, store in stores)
                for term in {term for one in terms for term in one}
            }
        # This takes a while for many chunks, so it is done outside the lock.
        shares = [keyword_shares((entries.times(postings(found[t])) for t in one), entries.lengths) for one in terms]
        estimates = [values(share, cosine.result()) for share, cosine in zip(shares, cosines, strict=True)]
        rows = np.arange(len(entries.chunk_ids))
        if only is not None:
            rows = np.flatnonzero(np.isin(entries.file_keys, list(only)))
        rows = _best(rows, np.max(estimates, axis=0)[rows], ESTIMATED)
        if len(rows) > CANDIDATES:
            closer = entries.closer_cosines(rows, targets)
            estimates = [values(share[rows], closer[:, number]) for number, share in enumerate(shares)]
            rows = _best(rows, np.max(estimates, axis=0), CANDIDATES)
        rows = rows[np.argsort(entries.chunk_ids[rows])]
        with self._lock:
            return self._ranked(entries, rows, [share[rows] for share in shares], targets, limit)

    def _ranked(
        self, entries: Entries, rows: Rows, shares: list[Floats], targets: Vectors, limit: int
    ) -> list[Passage]:
        """The best of these rows that still exist, by their exact cosines."""
        existing, counts, vectors = self._tables.vectors_by_id(entries.chunk_ids[rows].tolist())
        if not existing:
            return []
        here = np.isin(entries.chunk_ids[rows], existing)
        ids, file_keys = entries.chunk_ids[rows][here], entries.file_keys[rows][here]
        cosines = np.maximum.reduceat(vectors @ targets.T, np.cumsum([0, *counts[:-1]]), axis=0)
        exact = [values(share[here], cosines[:, number]) for number, share in enumerate(shares)]
        best = pick(np.max(exact, axis=0), ids, file_keys, limit=limit)
        chunks = self._tables.chunks_by_id([int(ids[place]) for place, _ in best])
        files = self._tables.files_by_key({int(file_keys[place]) for place, _ in best})
        return [_passage(files[int(file_keys[place])], chunks[int(ids[place])], score) for place, score in best]


async def _in(pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(pool, work)


def _best(rows: Rows, estimates: Floats, limit: int) -> Rows:
    """The rows with the highest estimates, in no order."""
    return rows if len(rows) <= limit else rows[np.argpartition(-estimates, limit)[:limit]]


def _passage(file: StoredFile, chunk: Chunk, score: float) -> Passage:
    return Passage(
        file_id=file.file_id,
        filename=file.filename,
        text=chunk.text,
        score=score,
        page=chunk.page,
        attributes=file.attributes,
    )
