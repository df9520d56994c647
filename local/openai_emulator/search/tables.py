"""The SQLite tables of the index: stores, files, chunks, keywords. The caller holds the index's lock."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import numpy as np

from local.openai_emulator.search.chunks import Chunk
from local.openai_emulator.search.embeddings import DIMENSIONS, Vectors
from local.openai_emulator.search.filters import Attributes
from local.openai_emulator.search.ranking import Candidate
from local.openai_emulator.search.vectors import Block
from local.openai_emulator.search.words import indexable

KEYWORD_HITS = 60  # chunks per query that the keyword index returns to the ranking
_COMMON_SHARE = 0.25  # of all chunks; a more frequent word is searched only if the query has no rarer word

# AUTOINCREMENT: the key of a deleted chunk or file is not used again, so that a search that holds it finds nothing.
_SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS stores (key INTEGER PRIMARY KEY, store_id TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS files (
    key INTEGER PRIMARY KEY AUTOINCREMENT, store_key INTEGER NOT NULL, file_id TEXT NOT NULL, filename TEXT NOT NULL,
    attributes TEXT NOT NULL, UNIQUE (store_key, file_id));
CREATE TABLE IF NOT EXISTS chunks (
    id INTEGER PRIMARY KEY AUTOINCREMENT, file_key INTEGER NOT NULL, text TEXT NOT NULL, tokens INTEGER NOT NULL,
    page INTEGER, vectors BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS chunks_by_file ON chunks (file_key);
CREATE VIRTUAL TABLE IF NOT EXISTS keywords USING fts5 (store, text, tokenize = 'porter unicode61');
"""


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    key: int
    store_key: int
    file_id: str
    filename: str
    attributes: Attributes


class Tables:
    def __init__(self, path: Path | None) -> None:
        """Open or create the database file; None for a database in memory."""
        self._db = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # ---- files -----------------------------------------------------------------------------------------------

    def store_keys(self, store_ids: Sequence[str]) -> list[int]:
        """The keys of the stores that have files."""
        rows = self._db.execute(
            "SELECT key FROM stores s WHERE store_id IN (SELECT value FROM json_each(?))"
            " AND EXISTS (SELECT 1 FROM files WHERE store_key = s.key) ORDER BY key",
            (json.dumps(list(store_ids)),),
        )
        return [row[0] for row in rows]

    def file(self, store_id: str, file_id: str) -> StoredFile | None:
        """One file of a store; None if it does not exist."""
        where = "f.file_id = ? AND f.store_key = (SELECT key FROM stores WHERE store_id = ?)"
        return next(iter(self._files(where, (file_id, store_id))), None)

    def all_files(self) -> set[tuple[str, str]]:
        """Store id and file id of all files."""
        return set(self._db.execute("SELECT store_id, file_id FROM files f JOIN stores s ON s.key = f.store_key"))

    def files(self, store_keys: Sequence[int]) -> list[StoredFile]:
        return self._files("f.store_key IN (SELECT value FROM json_each(?))", (json.dumps(list(store_keys)),))

    def files_by_key(self, keys: Iterable[int]) -> dict[int, StoredFile]:
        found = self._files("f.key IN (SELECT value FROM json_each(?))", (json.dumps(list(keys)),))
        return {file.key: file for file in found}

    def _files(self, where: str, arguments: tuple[str, ...]) -> list[StoredFile]:
        rows = self._db.execute(
            f"SELECT key, store_key, file_id, filename, attributes FROM files f WHERE {where}",  # noqa: S608 - `where` is a constant
            arguments,
        )
        return [
            StoredFile(key=key, store_key=store, file_id=file_id, filename=name, attributes=json.loads(attributes))
            for key, store, file_id, name, attributes in rows
        ]

    def insert(
        self,
        store_id: str,
        file_id: str,
        filename: str,
        attributes: Attributes,
        chunks: Sequence[Chunk],
        vectors: Sequence[Vectors],
    ) -> tuple[int, int, Block]:
        """Insert a new file. Returns the key of its store, its own key, and its vectors."""
        self._db.execute("INSERT OR IGNORE INTO stores (store_id) VALUES (?)", (store_id,))
        (store_key,) = self._db.execute("SELECT key FROM stores WHERE store_id = ?", (store_id,)).fetchone()
        cursor = self._db.execute(
            "INSERT INTO files (store_key, file_id, filename, attributes) VALUES (?, ?, ?, ?)",
            (store_key, file_id, filename, json.dumps(attributes)),
        )
        file_key = _row_id(cursor)
        ids = [self._insert_chunk(file_key, store_key, *pair) for pair in zip(chunks, vectors, strict=True)]
        return store_key, file_key, Block.of_file(file_key, ids, vectors)

    def _insert_chunk(self, file_key: int, store_key: int, chunk: Chunk, vectors: Vectors) -> int:
        cursor = self._db.execute(
            "INSERT INTO chunks (file_key, text, tokens, page, vectors) VALUES (?, ?, ?, ?, ?)",
            (file_key, chunk.text, chunk.tokens, chunk.page, vectors.tobytes()),
        )
        key = _row_id(cursor)
        self._db.execute(
            "INSERT INTO keywords (rowid, store, text) VALUES (?, ?, ?)",
            (key, _store_word(store_key), indexable(chunk.text)),
        )
        return key

    def delete_file(self, file: StoredFile) -> None:
        own = "SELECT id FROM chunks WHERE file_key = ?"
        self._db.execute(f"DELETE FROM keywords WHERE rowid IN ({own})", (file.key,))  # noqa: S608 - a constant
        self._db.execute("DELETE FROM chunks WHERE file_key = ?", (file.key,))
        self._db.execute("DELETE FROM files WHERE key = ?", (file.key,))

    def delete_store(self, store_id: str) -> None:
        """Delete a store that has no files."""
        self._db.execute("DELETE FROM stores WHERE store_id = ?", (store_id,))

    def delete_empty_stores(self) -> None:
        self._db.execute("DELETE FROM stores WHERE key NOT IN (SELECT store_key FROM files)")

    def set_attributes(self, file: StoredFile, attributes: Attributes) -> None:
        self._db.execute("UPDATE files SET attributes = ? WHERE key = ?", (json.dumps(attributes), file.key))

    # ---- chunks ----------------------------------------------------------------------------------------------

    def chunks_of(self, file: StoredFile) -> list[Chunk]:
        rows = self._db.execute("SELECT text, tokens, page FROM chunks WHERE file_key = ? ORDER BY id", (file.key,))
        return [Chunk(text=text, tokens=tokens, page=page) for text, tokens, page in rows]

    def chunks_by_id(self, ids: Sequence[int]) -> dict[int, Chunk]:
        rows = self._db.execute(
            "SELECT c.id, c.text, c.tokens, c.page FROM json_each(?) j JOIN chunks c ON c.id = j.value",
            (json.dumps(ids),),
        )
        return {key: Chunk(text=text, tokens=tokens, page=page) for key, text, tokens, page in rows}

    def vectors_of(self, store_key: int) -> dict[int, Block]:
        """The vectors of a store's files, by file key."""
        rows = self._db.execute(
            "SELECT c.file_key, c.id, c.vectors FROM chunks c JOIN files f ON f.key = c.file_key"
            " WHERE f.store_key = ? ORDER BY c.file_key, c.id",
            (store_key,),
        )
        blocks = {}
        for file_key, group in groupby(rows, key=itemgetter(0)):
            _, ids, blobs = zip(*group, strict=True)
            vectors = [np.frombuffer(blob, dtype=np.float32).reshape(-1, DIMENSIONS) for blob in blobs]
            blocks[file_key] = Block.of_file(file_key, ids, vectors)
        return blocks

    # ---- keywords --------------------------------------------------------------------------------------------

    def counts(self, words: Sequence[str], stores: Sequence[int]) -> dict[str, int]:
        """The number of chunks in the stores that contain each word."""
        sql = "SELECT count(*) FROM keywords WHERE keywords MATCH ?"
        return {word: self._db.execute(sql, (_match(stores, [word]),)).fetchone()[0] for word in words}

    def search(
        self, counts: Mapping[str, int], n_chunks: int, stores: Sequence[int], only: Collection[int] | None
    ) -> list[int]:
        """Ids of chunks that contain any of the words, best first; `only` are the keys of the files to search."""
        present = [word for word, count in counts.items() if count]
        if not present:
            return []
        rare = [word for word in present if counts[word] <= _COMMON_SHARE * n_chunks]
        sql, arguments = "SELECT rowid FROM keywords WHERE keywords MATCH ?", [_match(stores, rare or present)]
        if only is not None:
            sql += " AND +rowid IN (SELECT id FROM chunks WHERE file_key IN (SELECT value FROM json_each(?)))"
            arguments.append(json.dumps(list(only)))
        rows = self._db.execute(f"{sql} ORDER BY bm25(keywords, 0.0, 1.0) LIMIT {KEYWORD_HITS}", arguments)
        return [row[0] for row in rows]

    def candidates(self, ids: Iterable[int], cosines: Mapping[int, Sequence[float]]) -> list[Candidate]:
        """The input of the ranking, for the chunks that still exist."""
        rows = self._db.execute(
            "SELECT c.id, c.file_key, k.text FROM json_each(?) j JOIN chunks c ON c.id = j.value"
            " JOIN keywords k ON k.rowid = c.id",
            (json.dumps(list(ids)),),
        )
        return [Candidate(chunk_id=i, file_key=key, words=words, cosines=cosines[i]) for i, key, words in rows]


def _match(stores: Sequence[int], words: Sequence[str]) -> str:
    """The FTS5 expression. The words need no escaping: they contain only letters and digits."""
    wanted = " OR ".join(f'"{word}"' for word in words)
    return f"store : ({' OR '.join(map(_store_word, stores))}) AND text : ({wanted})"


def _store_word(store_key: int) -> str:
    """The word that identifies the store in the keyword index."""
    return f"s{store_key}"


def _row_id(cursor: sqlite3.Cursor) -> int:
    assert cursor.lastrowid is not None
    return cursor.lastrowid
