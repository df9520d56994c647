"""For five minutes the service throttles, fails and drops connections: no document is lost or indexed twice."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import openai
import pytest

from local.client import Client
from local.stack.stack import Options, Stack
from tests.acceptance import storage
from tests.forked import forked

pytestmark = pytest.mark.long

EVERY_MINUTE = "0 * * * * *"

STORM_S = 300
DOCUMENTS = 60
FAULTS = [
    {"path": "/files*", "drop": "after", "probability": 0.2, "count": 12, "seed": 1},
    {"path": "/vector_stores*", "status": 503, "probability": 0.3, "count": 40, "seed": 2},
    {"path": "/files*", "drop": "before", "probability": 0.3, "count": 20, "seed": 3},
    {"path": "/*", "status": 429, "retry_after_ms": 3_000},
]


@dataclass
class Storm:
    stack: Stack
    client: Client
    ended: threading.Event
    throttled: int = 0  # requests that got the 429

    def begin(self) -> None:
        for rule in FAULTS:
            self._admin("POST", "/admin/faults", json=rule).raise_for_status()

    def end(self) -> None:
        rules = self._admin("GET", "/admin/faults").json()["data"]
        self.throttled = next(rule["applied"] for rule in rules if rule["status"] == 429)
        self._admin("DELETE", "/admin/faults").raise_for_status()
        self.ended.set()

    def _admin(self, method: str, path: str, **more: object) -> httpx2.Response:
        with httpx2.Client(
            base_url=self.stack.emulator_url, headers={"api-key": self.stack.admin_key}, trust_env=False
        ) as http:
            return http.request(method, path, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def storm(tmp_path_factory: pytest.TempPathFactory, plain_environ: dict[str, str]) -> Iterator[Storm]:
    folder = Path(tmp_path_factory.mktemp("storm"))
    environ = {**plain_environ, "RECONCILE_SCHEDULE": "*/20 * * * * *", "SWEEP_SCHEDULE": EVERY_MINUTE}
    with (
        forked(Stack(Options(data=folder / "data", logs=folder / "logs"), environ=environ)) as stack,
        Client(stack.app_url, storage=stack.azurite.connection_string) as client,
    ):
        running = Storm(stack, client, threading.Event())
        timer = threading.Timer(STORM_S, running.end)
        timer.start()
        yield running
        timer.cancel()


def text(n: int, version: int) -> bytes:
    return f"# Item {n}\n\nItem {n} stands in shelf {n * 7 + version}.\n".encode()


def test_the_storm_begins(storm: Storm) -> None:
    before = {f"storm/{n}.md": storm.client.drop_bytes(text(n, 1), f"storm/{n}.md") for n in range(10)}
    assert len(storm.client.wait_indexed(before, on_final=lambda _: None)) == 10
    storm.begin()
    for n in range(5, DOCUMENTS):
        storm.client.drop_bytes(text(n, 2), f"storm/{n}.md")
    with storage.blobs(storm.stack) as blobs:
        for n in range(3):
            blobs.get_blob_client("documents", f"storm/{n}.md").delete_blob()
    storage.wait_until(lambda: any(d["status"] == "indexing" for d in storm.client.documents("storm")))


def test_after_the_storm_each_document_is_indexed_once(storm: Storm) -> None:
    assert storm.ended.wait(STORM_S + 30)
    paths = {f"storm/{n}.md" for n in range(3, DOCUMENTS)}

    def settled() -> bool:
        documents = storm.client.documents("storm")
        assert not [d for d in documents if d["status"] in ("failed", "unsupported")], documents
        return {d["path"] for d in documents if d["status"] == "indexed"} == paths and len(documents) == len(paths)

    storage.wait_until(settled, within_s=180)
    assert storm.throttled < 2_000, "the whole app pauses its uploads: the documents do not retry one by one"
    versions = [document["file_id"] for document in storm.client.documents("storm")]
    with openai.OpenAI(base_url=storm.stack.service.base_url, api_key="local") as service:
        [store] = service.vector_stores.list()

        def files() -> Counter[str]:
            return Counter(file.id for file in service.vector_stores.files.list(store.id))

        storage.wait_until(lambda: files() == Counter(versions), within_s=60)
        # Reconcile deletes the files whose upload got no response.
        storage.wait_until(lambda: {file.id for file in service.files.list()} == set(versions), within_s=120)
        found = service.vector_stores.search(store.id, query="In which shelf stands item 7?", max_num_results=3)
        assert "shelf 51" in found.data[0].content[0].text
    with storage.queues(storm.stack) as queues:
        for name in ("indexing-poison", "document-events-poison", "webjobs-blobtrigger-poison"):
            assert queues.get_queue_client(name).get_queue_properties().approximate_message_count == 0, name
