"""The SQLite tables of the index: stores, files, chunks, keywords. The caller holds the index's lock."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from local.openai_emulator.search.chunks import Chunk
from local.openai_emulator.search.embeddings import DIMENSIONS, Vectors
from local.openai_emulator.search.entries import CachedStore, Entries, Entry, signatures
from local.openai_emulator.search.filters import Attributes
from local.openai_emulator.search.keywords import Term, Vocabulary
from local.openai_emulator.search.words import indexable

_VECTOR_BYTES = 4 * DIMENSIONS
SEGMENT_CHUNKS = 2000  # so many chunks, or more, get a segment together; see `keywords`

# AUTOINCREMENT: the key of a deleted chunk or file is not used again, so that a search that holds it finds nothing.
# `entries` repeats what a search holds in memory, so that loading a store does not read its texts and vectors. Its
# `words` are there until the chunk is in a segment. A removed chunk keeps its postings until its segment is emptied.
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
CREATE TABLE IF NOT EXISTS entries (
    store_key INTEGER, chunk_id INTEGER, file_key INTEGER NOT NULL, length INTEGER NOT NULL, signatures BLOB NOT NULL,
    segment INTEGER, words TEXT, PRIMARY KEY (store_key, chunk_id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS entries_without_segment ON entries (store_key, chunk_id) WHERE segment IS NULL;
CREATE TABLE IF NOT EXISTS segments (
    key INTEGER PRIMARY KEY, store_key INTEGER NOT NULL, chunks INTEGER NOT NULL, removed INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS segments_by_store ON segments (store_key);
CREATE TABLE IF NOT EXISTS postings (
    segment INTEGER, word TEXT, postings BLOB NOT NULL, PRIMARY KEY (segment, word)) WITHOUT ROWID;
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
        self._upgrade()

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
    ) -> tuple[int, list[Entry], list[str]]:
        """Insert a new file. Returns the key of its store, and the entries and words of its chunks."""
        self._db.execute("INSERT OR IGNORE INTO stores (store_id) VALUES (?)", (store_id,))
        (store_key,) = self._db.execute("SELECT key FROM stores WHERE store_id = ?", (store_id,)).fetchone()
        cursor = self._db.execute(
            "INSERT INTO files (store_key, file_id, filename, attributes) VALUES (?, ?, ?, ?)",
            (store_key, file_id, filename, json.dumps(attributes)),
        )
        file_key = _row_id(cursor)
        entries, words = [], []
        for chunk, part in zip(chunks, vectors, strict=True):
            words.append(indexable(chunk.text))
            cursor = self._db.execute(
                "INSERT INTO chunks (file_key, text, tokens, page, vectors) VALUES (?, ?, ?, ?, ?)",
                (file_key, chunk.text, chunk.tokens, chunk.page, part.tobytes()),
            )
            entries.append(_entry(_row_id(cursor), file_key, words[-1], part))
        self._insert_entries(store_key, zip(entries, words, strict=True))
        return store_key, entries, words

    def _insert_entries(self, store_key: int, entries: Iterable[tuple[Entry, str]]) -> None:
        self._db.executemany(
            "INSERT INTO entries (store_key, chunk_id, file_key, length, signatures, words) VALUES (?, ?, ?, ?, ?, ?)",
            ((store_key, e.chunk_id, e.file_key, e.length, e.signatures, words) for e, words in entries),
        )

    def delete_file(self, file: StoredFile) -> None:
        own = "store_key = ? AND chunk_id IN (SELECT id FROM chunks WHERE file_key = ?)"
        self._db.execute(
            "UPDATE segments SET removed = removed + (SELECT count(*) FROM entries"  # noqa: S608 - `own` is a constant
            f" WHERE {own} AND segment = key) WHERE key IN (SELECT segment FROM entries WHERE {own})",
            (file.store_key, file.key) * 2,
        )
        self._db.execute(f"DELETE FROM entries WHERE {own}", (file.store_key, file.key))  # noqa: S608 - a constant
        self._db.execute("DELETE FROM chunks WHERE file_key = ?", (file.key,))
        self._db.execute("DELETE FROM files WHERE key = ?", (file.key,))

    def delete_store(self, store_id: str) -> None:
        """Delete a store that has no files."""
        self._db.execute("DELETE FROM stores WHERE store_id = ?", (store_id,))
        self._delete_segments_without_store()

    def delete_empty_stores(self) -> None:
        self._db.execute("DELETE FROM stores WHERE key NOT IN (SELECT store_key FROM files)")
        self._delete_segments_without_store()

    def _delete_segments_without_store(self) -> None:
        without = "(SELECT key FROM segments WHERE store_key NOT IN (SELECT key FROM stores))"
        self._db.execute(f"DELETE FROM postings WHERE segment IN {without}")  # noqa: S608 - a constant
        self._db.execute(f"DELETE FROM segments WHERE key IN {without}")  # noqa: S608 - a constant

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

    def vectors_by_id(self, ids: Sequence[int]) -> tuple[list[int], list[int], Vectors]:
        """The chunks that still exist, the number of windows of each, and the vectors of all, one after the other."""
        rows = self._db.execute(
            "SELECT c.id, c.vectors FROM json_each(?) j CROSS JOIN chunks c ON c.id = j.value", (json.dumps(ids),)
        ).fetchall()
        vectors = np.frombuffer(b"".join(blob for _, blob in rows), dtype=np.float32).reshape(-1, DIMENSIONS)
        return [key for key, _ in rows], [len(blob) // _VECTOR_BYTES for _, blob in rows], vectors

    # ---- keywords --------------------------------------------------------------------------------------------

    def load(self, store_key: int) -> CachedStore:
        """What a search holds in memory of a store."""
        rows = self._db.execute(
            "SELECT chunk_id, file_key, length, signatures FROM entries WHERE store_key = ? ORDER BY chunk_id",
            (store_key,),
        )
        entries = [Entry(chunk_id=i, file_key=key, length=length, signatures=s) for i, key, length, s in rows]
        return CachedStore(Entries.of(entries), self._vocabulary(store_key))

    def _vocabulary(self, store_key: int) -> Vocabulary:
        vocabulary = Vocabulary()
        sql = "SELECT chunk_id, words FROM entries WHERE store_key = ? AND segment IS NULL"
        for chunk_id, words in self._db.execute(sql, (store_key,)):
            vocabulary.add(chunk_id, words)
        return vocabulary

    def postings(self, store_key: int, term: Term) -> bytes:
        """The postings of a term in all segments of a store; a removed chunk can still have some."""
        rows = self._db.execute(
            "SELECT p.postings FROM segments s CROSS JOIN postings p ON p.segment = s.key AND p.word BETWEEN ? AND ?"
            " WHERE s.store_key = ?",
            (term.first, term.last, store_key),
        )
        return b"".join(row[0] for row in rows)

    def tidy(self, store_key: int) -> bool:
        """Write a segment if enough chunks wait for one; dissolve segments whose chunks were mostly removed.

        Returns:
            Whether anything was changed, so that a copy in memory is out of date.
        """
        sql = "SELECT key FROM segments WHERE store_key = ? AND removed * 2 > chunks"
        worn = [row[0] for row in self._db.execute(sql, (store_key,)).fetchall()]
        for segment in worn:
            self._dissolve(store_key, segment)
        sql = "SELECT count(*) FROM entries WHERE store_key = ? AND segment IS NULL"
        (waiting,) = self._db.execute(sql, (store_key,)).fetchone()
        if waiting >= SEGMENT_CHUNKS:
            self._write_segment(store_key, waiting)
        return bool(worn) or waiting >= SEGMENT_CHUNKS

    def _write_segment(self, store_key: int, n_chunks: int) -> None:
        cursor = self._db.execute(
            "INSERT INTO segments (store_key, chunks, removed) VALUES (?, ?, 0)", (store_key, n_chunks)
        )
        segment = _row_id(cursor)
        self._db.executemany(
            "INSERT INTO postings (segment, word, postings) VALUES (?, ?, ?)",
            ((segment, word, postings) for word, postings in self._vocabulary(store_key).rows()),
        )
        self._db.execute(
            "UPDATE entries SET segment = ?, words = NULL WHERE store_key = ? AND segment IS NULL", (segment, store_key)
        )

    def _dissolve(self, store_key: int, segment: int) -> None:
        """Delete a segment; its remaining chunks wait for another one."""
        sql = (
            "SELECT e.chunk_id, c.text FROM entries e JOIN chunks c ON c.id = e.chunk_id"
            " WHERE e.store_key = ? AND e.segment = ?"
        )
        left = self._db.execute(sql, (store_key, segment)).fetchall()
        self._db.executemany(
            "UPDATE entries SET segment = NULL, words = ? WHERE store_key = ? AND chunk_id = ?",
            ((indexable(text), store_key, chunk_id) for chunk_id, text in left),
        )
        self._db.execute("DELETE FROM postings WHERE segment = ?", (segment,))
        self._db.execute("DELETE FROM segments WHERE key = ?", (segment,))

    def _upgrade(self) -> None:
        """Make the entries of an index that an earlier version wrote, with its words in the FTS5 table `keywords`."""
        if not self._db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'keywords'").fetchone():
            return
        with self.transaction():
            for store_key in [row[0] for row in self._db.execute("SELECT key FROM stores").fetchall()]:
                rows = self._db.execute(
                    "SELECT c.id, c.file_key, k.text, c.vectors FROM files f JOIN chunks c ON c.file_key = f.key"
                    " JOIN keywords k ON k.rowid = c.id WHERE f.store_key = ?",
                    (store_key,),
                )
                vectors = ((i, key, words, np.frombuffer(blob, dtype=np.float32)) for i, key, words, blob in rows)
                self._insert_entries(store_key, ((_entry(i, k, words, v), words) for i, k, words, v in vectors))
                self.tidy(store_key)
            self._db.execute("DROP TABLE keywords")


def _entry(chunk_id: int, file_key: int, words: str, vectors: Vectors) -> Entry:
    return Entry(chunk_id=chunk_id, file_key=file_key, length=len(words), signatures=signatures(vectors))


def _row_id(cursor: sqlite3.Cursor) -> int:
    assert cursor.lastrowid is not None
    return cursor.lastrowid
