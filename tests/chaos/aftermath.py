"""Waits until a healed stack is calm, and collects what is left of the chaos: records, answers, service, queues."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from typing import Any

import httpx2

from local.stack.provision import HOST_POISON_QUEUE, QUEUES
from local.stack.stack import Stack
from tests.acceptance import storage
from tests.acceptance.receiver import Receiver
from tests.acceptance.service import service
from tests.chaos.checks import TERMINAL, Aftermath, RunFound
from tests.chaos.clients import api_client
from tests.chaos.contents import Item, shown

ANSWER_S = 300.0  # no fault is left, but the machine can be slow
CALLBACK, HOOK = "/callback", "/hook"
Entries = frozenset[tuple[str, str]]


class Survey:
    """Reads everything of one stack."""

    def __init__(self, stack: Stack, receiver: Receiver, items: list[Item]) -> None:
        self._stack = stack
        self._receiver = receiver
        self._items = items

    def is_calm(self) -> bool:
        """Whether no message waits and every run and document has come to an end."""
        return (
            not any(self._messages().values())
            and not storage.names(self._stack, "state", "active/")
            and all(run["status"] in TERMINAL for run in self._state("runs/").values())
            and all(r["status"] in ("indexed", "failed", "unsupported") for r in self._state("index/").values())
        )

    def wait_calm(self, *, within_s: float) -> bool:
        """Whether the stack is calm within this time."""
        deadline_s = time.monotonic() + within_s
        while time.monotonic() < deadline_s:
            if self.is_calm():
                return True
            time.sleep(1)
        return False

    def reconcile(self, *, dry_run: bool) -> list[dict[str, Any]]:
        """Order a pass, wait for its report, and return the drift."""
        with api_client(self._stack.app_url, answer_s=ANSWER_S) as http:
            where = f"/documents/reconcile?dry_run={str(dry_run).lower()}"
            report_id = http.post(where).raise_for_status().json()["id"]
            answers: list[httpx2.Response] = []

            def ended() -> bool:
                answers.append(http.get(f"/reports/{report_id}").raise_for_status())
                return answers[-1].status_code == 200

            storage.wait_until(ended, within_s=600)
            drift: list[dict[str, Any]] = answers[-1].json()["drift"]
            return drift

    def collect(self) -> Aftermath:
        """Everything that the checks look at."""
        runs = self._state("runs/")
        documents = {record["path"]: record for record in self._state("index/").values()}
        callbacks, removals_told = self._told()
        files, stores, entries = self._service()
        indexed, lone_chunks = self._index()
        threads = {thread["id"] for thread in self._state("threads/").values()}
        return Aftermath(
            runs=self._runs(runs),
            callbacks=callbacks,
            removals_told=removals_told,
            blobs=self._blobs(),
            documents=documents,
            found=self._found(),
            files=files,
            entries=entries,
            indexed=indexed,
            lone_chunks=lone_chunks,
            stores=stores,
            known_stores=frozenset(s for record in self._state("collections/").values() for s in record["stores"]),
            receipts=list(self._state("receipts/").values()),
            messages=self._messages(),
            active=storage.names(self._stack, "state", "active/"),
            lone_threads=sorted(threads - {run["thread_id"] for run in runs.values()}),
            drift=self.reconcile(dry_run=True),
        )

    # ---- storage ---------------------------------------------------------------------------------------------------

    def _state(self, prefix: str) -> dict[str, dict[str, Any]]:
        """Name -> record, of all records below a prefix."""
        found = {}
        with storage.blobs(self._stack) as blobs:
            container = blobs.get_container_client("state")
            for name in list(container.list_blob_names(name_starts_with=prefix)):
                blob = container.get_blob_client(name)
                if blob.exists():
                    found[name] = json.loads(blob.download_blob().readall())
        return found

    def _blobs(self) -> dict[str, str]:
        with storage.blobs(self._stack) as blobs:
            listed = blobs.get_container_client("documents").list_blobs()
            return {blob.name: str(blob.etag).strip('"') for blob in listed}

    def _runs(self, records: dict[str, dict[str, Any]]) -> dict[str, RunFound]:
        names = storage.names(self._stack, "answers")
        found = {}
        for run in records.values():
            answer_name = f"{run['id']}/answer.json"
            answer = storage.read_json(self._stack, "answers", answer_name) if answer_name in names else {}
            quotes = [citation["quote"] for citation in answer.get("citations", ())]
            found[run["id"]] = RunFound(
                status=run["status"],
                key=run.get("metadata", {}).get("key", ""),
                answers=names.count(answer_name),
                answer_status=answer.get("status"),
                text="\n".join([answer.get("answer") or "", *quotes]),
                error=run.get("error"),
            )
        return found

    def _messages(self) -> dict[str, int]:
        names = [name for queue in QUEUES for name in (queue, f"{queue}-poison")]
        with storage.queues(self._stack) as queues:
            return {
                name: queues.get_queue_client(name).get_queue_properties().approximate_message_count or 0
                for name in (*names, HOST_POISON_QUEUE)
            }

    # ---- the service and the outside -------------------------------------------------------------------------------

    def _service(self) -> tuple[dict[str, str], frozenset[str], Entries]:
        """File ids with names, ids of stores, and the entries of the stores."""
        with service(self._stack) as client:
            files = {file.id: file.filename for file in client.files.list(purpose="assistants")}
            stores = frozenset(store.id for store in client.vector_stores.list())
            entries = {(store, file.id) for store in stores for file in client.vector_stores.files.list(store)}
        return files, stores, frozenset(entries)

    def _index(self) -> tuple[Entries, int]:
        """The files in the emulator's index, and the number of its chunks that belong to none."""
        path = self._stack.options.data / "emulator" / "index.db"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as index:
            files = index.execute("SELECT s.store_id, f.file_id FROM files f LEFT JOIN stores s ON s.key = f.store_key")
            entries = frozenset(files)
            chunks = "SELECT count(*) FROM chunks WHERE file_key NOT IN (SELECT key FROM files)"
            found = "SELECT count(*) FROM entries WHERE chunk_id NOT IN (SELECT id FROM chunks)"
            lone = sum(index.execute(sql).fetchone()[0] for sql in (chunks, found))
        return entries, lone

    def _found(self) -> dict[str, set[int]]:
        """Path -> the versions that searches for all documents find."""
        found: dict[str, set[int]] = {}
        collections = {record["name"] for record in self._state("collections/").values()}
        with api_client(self._stack.app_url, answer_s=ANSWER_S) as http:
            for item in self._items:
                if item.collection not in collections:
                    continue
                body = {"query": item.question, "collection": item.collection, "limit": 20}
                results = http.post("/search", json=body).raise_for_status().json()["results"]
                for path, versions in shown("\n".join(hit["text"] for hit in results), self._items).items():
                    found.setdefault(path, set()).update(versions)
        return found

    def _told(self) -> tuple[dict[str, list[tuple[str, str]]], dict[str, list[str]]]:
        """What the receiver got: run id -> webhook id and status of callbacks; receipt id -> webhook ids."""
        callbacks: dict[str, list[tuple[str, str]]] = {}
        removals: dict[str, list[str]] = {}
        for received in list(self._receiver.received):
            body, webhook_id = json.loads(received.body), received.headers["webhook-id"]
            if received.path == CALLBACK:
                callbacks.setdefault(body["data"]["id"], []).append((webhook_id, body["data"]["status"]))
            elif body["type"] == "document.removed":
                removals.setdefault(body["data"]["receipt"], []).append(webhook_id)
        return callbacks, removals
