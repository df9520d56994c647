"""All data of the emulator except file contents: JSON objects in one SQLite file.

Only the event loop's thread uses the store. Statements are short (WAL, one row or one page). Callers do not `await`
between a read and the write that depends on it, so changes are atomic.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.openai_emulator.errors import invalid

Body = dict[str, Any]

# The exclusive lock keeps a second emulator off the same folder: each would fail the other's unfinished work.
_PRAGMAS = """
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
BEGIN EXCLUSIVE;
COMMIT;
"""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,  -- order of creation; created_at has only whole seconds
    kind TEXT NOT NULL,
    parent TEXT NOT NULL,  -- id of the object that contains this one, or ''
    id TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (kind, parent, id)
);
CREATE INDEX IF NOT EXISTS objects_by_id ON objects (kind, id);
CREATE INDEX IF NOT EXISTS objects_by_status ON objects (kind, parent, json_extract(body, '$.status'));
"""

_PAGE = """
SELECT id, body FROM objects
WHERE kind = :kind AND parent = :parent AND seq > :low AND seq < :high
  AND NOT EXISTS (SELECT 1 FROM json_each(:where) AS one WHERE json_extract(body, '$.' || one.key) IS NOT one.value)
ORDER BY seq * :direction LIMIT :limit
"""

_LAST = 2**62


@dataclass(frozen=True, kw_only=True)
class Paging:
    """The paging parameters of a list request."""

    limit: int
    order: str = "desc"  # by creation: "asc" or "desc"
    after: str | None = None
    before: str | None = None


@dataclass(frozen=True, kw_only=True)
class Page:
    bodies: Sequence[Body]
    ids: Sequence[str]
    has_more: bool


class Store:
    def __init__(self, path: Path | None) -> None:
        """Open or create the file, for this process only; None keeps the data in memory.

        Raises:
            RuntimeError: another emulator uses the file.
        """
        self._db = sqlite3.connect(path or ":memory:", isolation_level=None)
        try:
            self._db.executescript(_PRAGMAS + _SCHEMA)
        except sqlite3.OperationalError as exc:
            self._db.close()
            raise RuntimeError(f"{path} cannot be opened; is another emulator using it? ({exc})") from exc

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Save all changes of the block or, after an error or a crash, none. Nothing may be awaited in the block."""
        self._db.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def put(self, kind: str, id: str, body: Mapping[str, Any], *, parent: str = "") -> None:
        """Insert an object, or replace its body; a replaced object keeps its place in lists."""
        self._db.execute(
            "INSERT INTO objects (kind, parent, id, body) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (kind, parent, id) DO UPDATE SET body = excluded.body",
            (kind, parent, id, json.dumps(body)),
        )

    def get(self, kind: str, id: str, *, parent: str = "") -> Body | None:
        row = self._db.execute(
            "SELECT body FROM objects WHERE kind = ? AND parent = ? AND id = ?", (kind, parent, id)
        ).fetchone()
        return None if row is None else json.loads(row[0])

    def delete(self, kind: str, id: str, *, parent: str = "") -> bool:
        """Delete an object; True if it existed."""
        done = self._db.execute("DELETE FROM objects WHERE kind = ? AND parent = ? AND id = ?", (kind, parent, id))
        return done.rowcount > 0

    def delete_children(self, kind: str, parent: str) -> None:
        self._db.execute("DELETE FROM objects WHERE kind = ? AND parent = ?", (kind, parent))

    def parents(self, kind: str, id: str) -> list[str]:
        """The parents of all objects with this id, such as the vector stores that hold a file."""
        return [row[0] for row in self._db.execute("SELECT parent FROM objects WHERE kind = ? AND id = ?", (kind, id))]

    def all(self, kind: str, *, parent: str | None = None, status: Sequence[str] = ()) -> list[Body]:
        """The bodies of all objects of a kind, oldest first; optionally of one parent and of some statuses."""
        rows = self._db.execute(
            "SELECT body FROM objects WHERE kind = ?1 AND (?2 IS NULL OR parent = ?2)"
            " AND (?3 = '[]' OR json_extract(body, '$.status') IN (SELECT value FROM json_each(?3))) ORDER BY seq",
            (kind, parent, json.dumps(list(status))),
        )
        return [json.loads(row[0]) for row in rows]

    def count(self, kind: str, parent: str) -> int:
        """The number of children; faster than `counts`."""
        row = self._db.execute("SELECT count(*) FROM objects WHERE kind = ? AND parent = ?", (kind, parent)).fetchone()
        return int(row[0])

    def counts(self, kind: str, parent: str, *, where: tuple[str, str] | None = None) -> dict[str, int]:
        """The number of children per status; `where`: as of `page`."""
        field, value = where or ("status", None)
        return dict(
            self._db.execute(
                "SELECT json_extract(body, '$.status'), count(*) FROM objects WHERE kind = ?1 AND parent = ?2"
                " AND (?4 IS NULL OR json_extract(body, '$.' || ?3) = ?4) GROUP BY 1",
                (kind, parent, field, value),
            ).fetchall()
        )

    def total(self, kind: str, parent: str, field: str) -> int:
        """The sum of a numeric field over all children."""
        row = self._db.execute(
            "SELECT total(json_extract(body, '$.' || ?)) FROM objects WHERE kind = ? AND parent = ?",
            (field, kind, parent),
        ).fetchone()
        return int(row[0])

    def page(
        self,
        kind: str,
        paging: Paging,
        *,
        parent: str = "",
        where: tuple[str, str] | Mapping[str, str] | None = None,
    ) -> Page:
        """One page of a list.

        `where`: top-level fields of the body and the values they must have; a pair is one such field.

        Raises:
            ApiError: 400, `after` or `before` is not the id of an object in this list.
        """
        after = self._seq(kind, parent, "after", paging.after)
        before = self._seq(kind, parent, "before", paging.before)
        direction = 1 if paging.order == "asc" else -1
        low, high = (after, before) if direction == 1 else (before, after)
        backwards = paging.before is not None and paging.after is None  # the page that ends directly before the cursor
        fields = dict([where] if isinstance(where, tuple) else where or {})
        rows = self._db.execute(
            _PAGE,
            {
                "kind": kind,
                "parent": parent,
                "low": low if low is not None else 0,
                "high": high if high is not None else _LAST,
                "where": json.dumps(fields),
                "direction": -direction if backwards else direction,
                "limit": paging.limit + 1,
            },
        ).fetchall()
        shown = rows[: paging.limit]
        if backwards:
            shown.reverse()
        return Page(
            ids=[row[0] for row in shown],
            bodies=[json.loads(row[1]) for row in shown],
            has_more=len(rows) > paging.limit,
        )

    def _seq(self, kind: str, parent: str, param: str, id: str | None) -> int | None:
        if id is None:
            return None
        row = self._db.execute(
            "SELECT seq FROM objects WHERE kind = ? AND parent = ? AND id = ?", (kind, parent, id)
        ).fetchone()
        if row is None:
            raise invalid(f"Invalid value for '{param}': no object '{id}' in this list.", param=param)
        return int(row[0])
