"""What a search holds in memory: for each chunk a few numbers, for each window of its text 32 bytes.

The signature of a vector has one bit per dimension: whether that number is above 0. The more bits two signatures have
in common, the smaller is the angle between the vectors. From that, `cosines` estimates the cosines of all chunks, and
`closer_cosines` those of the best of them. Only the very best are read from the database, where the vectors are.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from local.openai_emulator.search.embeddings import DIMENSIONS, Vectors
from local.openai_emulator.search.keywords import TIMES_BITS, Postings, Vocabulary

MAX_CACHED_BYTES = 256 * 1024 * 1024
SIGNATURE_BYTES = DIMENSIONS // 8
# of a unit vector's numbers, which are about normally distributed: their mean size is sqrt(2 / (pi * DIMENSIONS))
_COSINE_OF_SIGNS = np.float32(np.sqrt(np.pi / 2 / DIMENSIONS))
_COSINE_OF_BITS = np.cos(np.pi * np.arange(DIMENSIONS + 1) / DIMENSIONS).astype(np.float32)  # by differing bits
_PLACES = np.arange(SIGNATURE_BYTES)
_SIGNS_OF_BYTE = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype(np.float32) * 2 - 1


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One chunk. `length` is the number of characters of its words, `signatures` has SIGNATURE_BYTES per window."""

    chunk_id: int
    file_key: int
    length: int
    signatures: bytes


@dataclass(frozen=True, kw_only=True)
class Entries:
    """The entries of several chunks, as arrays.

    Chunk `i` has the columns `starts[i]` to `starts[i + 1]` of `signatures`, at least one."""

    chunk_ids: NDArray[np.int64]
    file_keys: NDArray[np.int64]
    lengths: NDArray[np.int64]
    starts: NDArray[np.int64]
    signatures: NDArray[np.uint64]  # a row for each 64 bits, a column for each window

    @classmethod
    def of(cls, entries: Sequence[Entry]) -> Entries:
        ends = np.cumsum([0, *(len(entry.signatures) // SIGNATURE_BYTES for entry in entries)], dtype=np.int64)
        bits = np.frombuffer(b"".join(entry.signatures for entry in entries), dtype=np.uint64)
        return cls(
            chunk_ids=np.array([entry.chunk_id for entry in entries], dtype=np.int64),
            file_keys=np.array([entry.file_key for entry in entries], dtype=np.int64),
            lengths=np.array([entry.length for entry in entries], dtype=np.int64),
            starts=ends[:-1],
            signatures=np.ascontiguousarray(bits.reshape(-1, SIGNATURE_BYTES // 8).T),
        )

    @classmethod
    def joined(cls, parts: Sequence[Entries]) -> Entries:
        if len(parts) == 1:
            return parts[0]
        offsets = np.cumsum([0, *(part.signatures.shape[1] for part in parts)])
        return cls(
            chunk_ids=np.concatenate([part.chunk_ids for part in parts]),
            file_keys=np.concatenate([part.file_keys for part in parts]),
            lengths=np.concatenate([part.lengths for part in parts]),
            starts=np.concatenate([part.starts + offset for part, offset in zip(parts, offsets, strict=False)]),
            signatures=np.concatenate([part.signatures for part in parts], axis=1),
        )

    def without(self, file_keys: Sequence[int]) -> Entries:
        """The entries of all other files."""
        kept = ~np.isin(self.file_keys, file_keys)
        windows = np.diff(self.starts, append=self.signatures.shape[1])
        return Entries(
            chunk_ids=self.chunk_ids[kept],
            file_keys=self.file_keys[kept],
            lengths=self.lengths[kept],
            starts=np.cumsum([0, *windows[kept]], dtype=np.int64)[:-1],
            signatures=np.ascontiguousarray(self.signatures[:, np.repeat(kept, windows)]),
        )

    def cosines(self, target: Vectors) -> Vectors:
        """Estimates of the cosine of each chunk and one vector: that of the chunk's best window."""
        if not len(self.chunk_ids):
            return np.zeros(0, dtype=np.float32)
        differing = np.zeros(self.signatures.shape[1], dtype=np.uint16)
        for bits, wanted in zip(self.signatures, np.frombuffer(signatures(target), dtype=np.uint64), strict=True):
            differing += np.bitwise_count(bits ^ wanted)
        nearest: Vectors = _COSINE_OF_BITS[np.minimum.reduceat(differing, self.starts)]
        return nearest

    def closer_cosines(self, rows: NDArray[np.int64], targets: Vectors) -> Vectors:
        """Better estimates for some chunks (rows) and all targets (columns): from the targets' numbers."""
        n_windows = np.diff(self.starts, append=self.signatures.shape[1])[rows]
        first = np.cumsum([0, *n_windows[:-1]])
        columns = np.repeat(self.starts[rows] - first, n_windows) + np.arange(n_windows.sum())
        found = np.ascontiguousarray(self.signatures[:, columns].T).view(np.uint8)
        sums = np.stack([_sums_of_bytes(target)[_PLACES, found].sum(axis=1) for target in targets], axis=1)
        cosines = np.maximum.reduceat(sums, first, axis=0)
        return np.asarray(cosines * _COSINE_OF_SIGNS, dtype=np.float32)

    def times(self, postings: Postings) -> NDArray[np.float64]:
        """How often each chunk has a word. Postings of chunks that are not here count nothing."""
        places = (postings >> TIMES_BITS).astype(np.int64) - self._first_id
        known = (places >= 0) & (places < len(self._row_of))
        rows, times = self._row_of[places[known]], (postings & (2**TIMES_BITS - 1))[known]
        here = rows >= 0
        found = np.bincount(rows[here], weights=times[here], minlength=len(self.chunk_ids))
        return found.astype(np.float64, copy=False)  # bincount gives integers if there is nothing to count

    @cached_property
    def _first_id(self) -> int:
        return int(self.chunk_ids.min(initial=2**62))

    @cached_property
    def _row_of(self) -> NDArray[np.int32]:
        """The row of each chunk id from `_first_id` on; -1 if there is none."""
        if not len(self.chunk_ids):
            return np.zeros(0, dtype=np.int32)
        rows = np.full(int(self.chunk_ids.max()) - self._first_id + 1, -1, dtype=np.int32)
        rows[self.chunk_ids - self._first_id] = np.arange(len(self.chunk_ids), dtype=np.int32)
        return rows


def _sums_of_bytes(target: Vectors) -> Vectors:
    """For each byte of a signature (rows) and each value of it: the sum of the target's numbers with these signs."""
    sums: Vectors = target.reshape(SIGNATURE_BYTES, 8) @ _SIGNS_OF_BYTE.T
    return sums


def signatures(vectors: Vectors) -> bytes:
    """One bit per number, vector after vector."""
    return np.packbits(vectors > 0).tobytes()


@dataclass(eq=False)
class CachedStore:
    """The entries of a store, and the words of its chunks that are in no segment yet. Changes are joined when read."""

    entries: Entries
    vocabulary: Vocabulary
    _added: list[Entries] = field(default_factory=list)
    _dropped: list[int] = field(default_factory=list)

    def add(self, entries: Entries) -> None:
        self._added.append(entries)

    def drop(self, file_key: int) -> None:
        self._dropped.append(file_key)

    def settle(self) -> None:
        if self._added:
            self.entries = Entries.joined([self.entries, *self._added])
        if self._dropped:
            self.entries = self.entries.without(self._dropped)
        self._added, self._dropped = [], []


class StoreCache:
    """Stores by key; the least recently searched one is dropped first. The caller holds the index's lock."""

    def __init__(self, *, max_bytes: int = MAX_CACHED_BYTES) -> None:
        self._stores: OrderedDict[int, CachedStore] = OrderedDict()
        self._max_bytes = max_bytes

    def get(self, store_key: int, load: Callable[[int], CachedStore]) -> CachedStore:
        """A store; `load` reads it when it is not in the cache."""
        store = self._stores.get(store_key)
        if store is None:
            store = self._stores[store_key] = load(store_key)
        self._stores.move_to_end(store_key)
        store.settle()
        self._shrink()
        return store

    def peek(self, store_key: int) -> CachedStore | None:
        """A store to be changed, if it is in the cache."""
        return self._stores.get(store_key)

    def forget(self, store_key: int) -> None:
        self._stores.pop(store_key, None)

    def clear(self) -> None:
        self._stores.clear()

    def _shrink(self) -> None:
        total = sum(store.entries.signatures.nbytes for store in self._stores.values())
        while total > self._max_bytes and len(self._stores) > 1:
            _, dropped = self._stores.popitem(last=False)
            total -= dropped.entries.signatures.nbytes
