"""A cache of the vectors of recently searched stores, as arrays.

A search compares the query with every vector; at this size that is faster than an index.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from local.openai_emulator.search.embeddings import DIMENSIONS, Vectors

MAX_CACHED_BYTES = 512 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Block:
    """The vectors of chunks. Chunk `i` has the rows `starts[i]` to `starts[i + 1]` of `matrix`, at least one."""

    chunk_ids: NDArray[np.int64]
    file_keys: NDArray[np.int64]
    starts: NDArray[np.int64]
    matrix: Vectors

    @classmethod
    def of_file(cls, file_key: int, chunk_ids: Sequence[int], parts: Sequence[Vectors]) -> Block:
        counts = [len(part) for part in parts]
        return cls(
            chunk_ids=np.array(chunk_ids, dtype=np.int64),
            file_keys=np.full(len(chunk_ids), file_key, dtype=np.int64),
            starts=np.cumsum([0, *counts[:-1]], dtype=np.int64)[: len(counts)],
            matrix=np.concatenate(parts) if parts else np.zeros((0, DIMENSIONS), dtype=np.float32),
        )

    @classmethod
    def joined(cls, blocks: Sequence[Block]) -> Block:
        if len(blocks) == 1:
            return blocks[0]
        offsets = np.cumsum([0, *(len(block.matrix) for block in blocks)])
        return cls(
            chunk_ids=np.concatenate([block.chunk_ids for block in blocks]),
            file_keys=np.concatenate([block.file_keys for block in blocks]),
            starts=np.concatenate([block.starts + offset for block, offset in zip(blocks, offsets, strict=False)]),
            matrix=np.concatenate([block.matrix for block in blocks]),
        )

    def similarities(self, targets: Vectors) -> Vectors:
        """The cosine of each chunk (row) and each target (column): the highest of the chunk's windows."""
        if not len(self.chunk_ids):
            return np.zeros((0, len(targets)), dtype=np.float32)
        cosines = self.matrix @ targets.T
        return np.asarray(np.maximum.reduceat(cosines, self.starts, axis=0), dtype=np.float32)


@dataclass(eq=False)
class _Store:
    files: dict[int, Block]
    whole: Block | None = field(default=None)  # the vectors of all files in one block; None after a change

    @property
    def n_bytes(self) -> int:
        return sum(block.matrix.nbytes for block in self.files.values())


class VectorCache:
    """Vectors by store key; the least recently searched store is dropped first. The caller holds the index's lock."""

    def __init__(self, *, max_bytes: int = MAX_CACHED_BYTES) -> None:
        self._stores: OrderedDict[int, _Store] = OrderedDict()
        self._max_bytes = max_bytes

    def get(self, store_key: int, load: Callable[[int], dict[int, Block]]) -> Block:
        """All vectors of a store that has files; `load` reads them when they are not in the cache."""
        store = self._stores.get(store_key)
        if store is None:
            store = self._stores[store_key] = _Store(load(store_key))
        self._stores.move_to_end(store_key)
        if store.whole is None:
            store.whole = Block.joined(list(store.files.values()))
            self._shrink()
        return store.whole

    def put(self, store_key: int, file_key: int, block: Block) -> None:
        """Add a file to its store, if the store is in the cache; otherwise `get` loads it with all its files."""
        if store := self._stores.get(store_key):
            store.files[file_key] = block
            store.whole = None

    def drop(self, store_key: int, file_key: int) -> None:
        if store := self._stores.get(store_key):
            store.files.pop(file_key, None)
            store.whole = None
            if not store.files:
                del self._stores[store_key]

    def clear(self) -> None:
        self._stores.clear()

    def _shrink(self) -> None:
        total = sum(store.n_bytes for store in self._stores.values())
        while total > self._max_bytes and len(self._stores) > 1:
            _, dropped = self._stores.popitem(last=False)
            total -= dropped.n_bytes
