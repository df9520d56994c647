"""Threads that put, replace, delete and put again documents, and one that watches how they are listed."""

from __future__ import annotations

import random
from collections.abc import Sequence

import httpx2
from azure.core.exceptions import AzureError, HttpResponseError
from azure.storage.blob import BlobServiceClient

from tests.chaos.clients import ANSWER_S, Client, Site
from tests.chaos.contents import Item
from tests.chaos.history import Operation, Outcome, Seen

LONGEST_PAUSE_S = 1.5


class Writer(Client):
    """Writes its items, each by one operation after the other, until `stop`."""

    def __init__(self, items: Sequence[Item], site: Site, *, seed: str) -> None:
        super().__init__(site, f"writer {seed}")
        self._items = items
        self._random = random.Random(seed)
        self._versions = dict.fromkeys((item.path for item in items), 0)
        self._there = dict.fromkeys((item.path for item in items), False)
        self._blobs = BlobServiceClient.from_connection_string(
            site.storage, retry_total=0, connection_timeout=ANSWER_S, read_timeout=ANSWER_S
        )

    def act(self) -> None:
        for item in self._items:  # each document exists soon
            self._step(item)
        while not self.stopped.wait(self._random.uniform(0, LONGEST_PAUSE_S)):
            self._step(self._random.choice(self._items))

    def close(self) -> None:
        super().close()
        self._blobs.close()

    def _step(self, item: Item) -> None:
        delete = self._there[item.path] and self._random.random() < 0.3
        by_http = self._random.random() < 0.5
        with self.site.gate.open():
            self._delete(item, by_http) if delete else self._put(item, by_http)

    def _put(self, item: Item, by_http: bool) -> None:
        self._versions[item.path] += 1
        version = self._versions[item.path]
        content, sent_s = item.content(version), self.history.now_s()
        outcome, etag = self._put_by_http(item, content) if by_http else self._put_into_storage(item, content)
        self._there[item.path] = True
        self._add(item, "put", by_http, sent_s, outcome, version=version, etag=etag)

    def _put_by_http(self, item: Item, content: bytes) -> tuple[Outcome, str | None]:
        try:
            answer = self.http.put("/documents", params={"path": item.path}, content=content)
        except httpx2.HTTPError:
            return "unknown", None
        if answer.status_code == 201:
            return "done", answer.json()["etag"].strip('"')
        return outcome_of(answer.status_code), None

    def _put_into_storage(self, item: Item, content: bytes) -> tuple[Outcome, str | None]:
        try:
            done = self._blobs.get_blob_client("documents", item.path).upload_blob(content, overwrite=True)
        except AzureError:
            return "unknown", None
        return "done", done["etag"].strip('"')

    def _delete(self, item: Item, by_http: bool) -> None:
        sent_s = self.history.now_s()
        outcome: Outcome = self._delete_by_http(item) if by_http else self._delete_from_storage(item)
        self._there[item.path] = outcome != "done"
        self._add(item, "delete", by_http, sent_s, outcome)

    def _delete_by_http(self, item: Item) -> Outcome:
        try:
            answer = self.http.delete("/documents", params={"path": item.path})
        except httpx2.HTTPError:
            return "unknown"
        return "done" if answer.status_code == 202 else outcome_of(answer.status_code)

    def _delete_from_storage(self, item: Item) -> Outcome:
        try:
            self._blobs.get_blob_client("documents", item.path).delete_blob()
        except HttpResponseError as exc:
            return outcome_of(exc.status_code or 500)
        except AzureError:
            return "unknown"
        return "done"

    def _add(
        self,
        item: Item,
        kind: str,
        by_http: bool,
        sent_s: float,
        outcome: Outcome,
        *,
        version: int = 0,
        etag: str | None = None,
    ) -> None:
        self.history.operations.append(
            Operation(
                path=item.path,
                kind="put" if kind == "put" else "delete",
                via="http" if by_http else "storage",
                sent_s=sent_s,
                ended_s=self.history.now_s(),
                outcome=outcome,
                version=version,
                etag=etag,
            )
        )


def outcome_of(status: int) -> Outcome:
    """Of a request that did not succeed: after a fault of the server it is open what was done."""
    return "refused" if 400 <= status < 500 and status != 408 else "unknown"


class Watcher(Client):
    """Lists the documents again and again, and notes each change."""

    def __init__(self, items: Sequence[Item], site: Site) -> None:
        super().__init__(site, "watcher")
        self._paths = [item.path for item in items]
        self._last: dict[str, tuple[str | None, str | None]] = {}

    def act(self) -> None:
        while not self.stopped.wait(0.4):
            with self.site.gate.open():
                self.look()

    def look(self) -> None:
        """List once; a listing that fails says nothing."""
        sent_s = self.history.now_s()
        try:
            answer = self.http.get("/documents", params={"limit": 1_000})
        except httpx2.HTTPError:
            return
        if answer.status_code != 200 or answer.json()["cursor"]:
            return
        ended_s = self.history.now_s()
        listed = {d["path"]: (d["status"], (d["answers_etag"] or "").strip('"')) for d in answer.json()["documents"]}
        for path in self._paths:
            now = listed.get(path, (None, None))
            if self._last.get(path) != now:
                self._last[path] = now
                self.history.seen.append(
                    Seen(path=path, sent_s=sent_s, ended_s=ended_s, status=now[0], answers_etag=now[1] or None)
                )
