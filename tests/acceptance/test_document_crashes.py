"""kill -9 after each change in storage, queue and vector stores while a document is indexed, replaced or deleted.

There is one document for each call at which a process dies. The later processes, which die as well, continue its work.
At the end, each document must be in the same state as the last one, for which no process died.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import openai
import pytest
from azure.core.exceptions import ResourceNotFoundError

from local.stack.stack import Options, Stack
from shared.collections.visibility import DocumentVisibility
from shared.models.documents import collection_of
from shared.storage.layout import document_name, receipts_of, visibility_name
from shared.storage.records import unpack
from tests.acceptance import storage
from tests.forked import forked

pytestmark = pytest.mark.long

PLACES_MAX = 26
CRASHES = {  # calls that must be among those at which a process died, for each journey
    "index": (
        "begin",
        "create_store",
        "write collections/",
        "upload",
        "attach",
        "write index/",
        "write visibility/",
    ),
    "replace": ("begin", "upload", "attach", "write index/", "write visibility/", "discard"),
    "delete": ("begin", "write index/", "delete visibility/", "discard", "write receipts/", "delete index/"),
}
VARIABLES = ("CRASH_PATH", "CRASH_JOURNEY")
VERSION = re.compile(r"\bv\d\b")


@pytest.fixture(scope="module")
def crashing(tmp_path_factory: pytest.TempPathFactory, plain_environ: dict[str, str]) -> Iterator[Stack]:
    """A separate stack. Its host is the usual one until `start` replaces it."""
    folder = Path(tmp_path_factory.mktemp("crashing"))
    (folder / "crashes.txt").touch()
    environ = {**plain_environ, "CRASH_LOG": str(folder / "crashes.txt")}
    with forked(Stack(Options(data=folder / "data", logs=folder / "logs"), environ=environ)) as stack:
        yield stack


def content(path: str, version: int) -> bytes:
    return f"part,shelf,version\n{word(path)},{version * 1111},v{version}\nwasher,7,v{version}\n".encode()


def word(path: str) -> str:
    """A word that finds the document in a search."""
    return re.sub(r"\W", "", path)


class World:
    """Reads storage, the service and the API, whichever host process is running."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._open = ExitStack()
        self._blobs = self._open.enter_context(storage.blobs(stack))
        self._queues = self._open.enter_context(storage.queues(stack))
        url = stack.service.base_url
        self._service = self._open.enter_context(openai.OpenAI(base_url=url, api_key="local"))

    def close(self) -> None:
        self._open.close()

    def drop(self, path: str, version: int) -> None:
        self._blobs.get_blob_client("documents", path).upload_blob(content(path, version), overwrite=True)

    def delete(self, path: str) -> None:
        self._blobs.get_blob_client("documents", path).delete_blob()

    def read(self, name: str) -> storage.Json | None:
        try:
            found: storage.Json = json.loads(self._blobs.get_blob_client("state", name).download_blob().readall())
        except ResourceNotFoundError:
            return None
        return found

    def names(self, container: str, prefix: str = "") -> list[str]:
        return list(self._blobs.get_container_client(container).list_blob_names(name_starts_with=prefix))

    def etag_of(self, path: str) -> str | None:
        try:
            return str(self._blobs.get_blob_client("documents", path).get_blob_properties().etag).strip('"')
        except ResourceNotFoundError:
            return None

    def receipts(self, path: str) -> list[storage.Json]:
        found = [self.read(name) for name in self.names("state", receipts_of(path))]
        return [receipt for receipt in found if receipt]

    def is_settled(self, path: str) -> bool:
        """Whether no work is left for the document."""
        record, etag = self.read(document_name(path)), self.etag_of(path)
        if record is None:
            return etag is None and any(receipt["complete"] for receipt in self.receipts(path))
        left = ("incoming", "retired", "visibility_due", "notice_due", "receipt_id")
        assert record["status"] in ("indexed", "indexing", "removing", "failed"), record
        return record["status"] == "indexed" and record["etag"] == etag and not any(record.get(name) for name in left)

    def differences(self) -> storage.Json:
        """Differences between records and service (files, vector stores, entries), and messages left in queues."""
        records = [record for record in map(self.read, self.names("state", "index/")) if record]
        collections = [found for found in map(self.read, self.names("state", "collections/")) if found]
        live = [record["live"] for record in records if record.get("live")]
        parts = {part for version in live for part in version["parts"]}
        stores = {store.id for store in self._service.vector_stores.list(limit=100)}
        entries = [f.id for store in stores for f in self._service.vector_stores.files.list(store, limit=100)]
        data = {id_ for version in live for id_ in (version["data_file_id"], *version.get("clean_file_ids", ()))}
        files = {file.id for file in self._service.files.list()}
        queues = {queue.name: self.waiting(queue.name) for queue in self._queues.list_queues()}
        found = {
            "files": sorted(files ^ (parts | data)),
            "stores": sorted(stores ^ {store_id for collection in collections for store_id in collection["stores"]}),
            "entries": sorted(parts ^ set(entries)) + [n for n, count in Counter(entries).items() if count > 1],
            "messages": {name: count for name, count in queues.items() if count},
        }
        return {name: what for name, what in found.items() if what}

    def waiting(self, queue: str) -> int:
        return self._queues.get_queue_client(queue).get_queue_properties().approximate_message_count or 0

    def final_state(self, path: str) -> storage.Json:
        """The state of the document in storage, at the service and in search, without ids and times."""
        record = self.read(document_name(path)) or {}
        live = record.get("live") or {}
        return {
            "status": record.get("status"),
            "is current": record.get("etag") == live.get("etag") == self.etag_of(path),
            "parts": len(live.get("parts", [])),
            "visibility": self._visibility(path, live),
            "removed": [[(thing["kind"], thing["gone"]) for thing in r["removed"]] for r in self.receipts(path)],
            "found": self._search(path),
        }

    def _visibility(self, path: str, live: storage.Json) -> list[object]:
        [*found] = self._blobs.get_container_client("state").list_blobs(visibility_name(path), include=["metadata"])
        entries = [unpack(blob.metadata["entry"], DocumentVisibility) for blob in found]
        return [
            (entry.indexing, entry.excluded, entry.data_file_id == live["data_file_id"], bool(entry.terms))
            for entry in entries
        ]

    def _search(self, path: str) -> list[list[str]]:
        """For each passage of the document that search finds, the versions in its text."""
        body = {"query": f"On which shelf is {word(path)}?", "collection": collection_of(path), "limit": 50}
        response = httpx2.post(f"{self._stack.app_url}/api/search", json=body, timeout=120, trust_env=False)
        assert response.status_code == 200, response.text
        return [
            sorted(set(VERSION.findall(hit["text"]))) for hit in response.json()["results"] if hit["document"] == path
        ]


@pytest.fixture
def world(crashing: Stack) -> Iterator[World]:
    made = World(crashing)
    yield made
    made.close()


def test_a_kill_at_every_call_gives_the_same_final_state(crashing: Stack, world: World) -> None:
    prepared = [path for journey in ("replace", "delete") for path in paths_of(journey)]
    for path in prepared:
        world.drop(path, 1)
    wait_until_consistent(world, prepared)
    tried = {journey: kill_at_every_call(crashing, world, journey) for journey in CRASHES}
    start(crashing, {})
    wait_until_consistent(world, [path for paths in tried.values() for path in paths])
    for journey, paths in tried.items():
        crashes = [line for path in paths for line in log_of(crashing, path) if line.startswith("dies")]
        assert len(crashes) == len(paths) - 1
        assert all(any(call in crash for crash in crashes) for call in CRASHES[journey]), crashes
        expected = world.final_state(paths[-1])
        for path, crash in zip(paths, crashes, strict=False):
            assert world.final_state(path) == expected, (path, crash)


def paths_of(journey: str) -> list[str]:
    folder = "index-{}" if journey == "index" else journey  # each is the first document of its collection
    return [f"{folder.format(n)}/stock-{n}.csv" for n in range(PLACES_MAX)]


def kill_at_every_call(stack: Stack, world: World, journey: str) -> list[str]:
    """Returns one document for each place at which a process died, and a last one for which none died."""
    for n, path in enumerate(paths_of(journey), 1):
        start(stack, {"CRASH_JOURNEY": journey, "CRASH_PATH": path})
        if journey == "delete":
            world.delete(path)
        else:
            world.drop(path, 2 if journey == "replace" else 1)
        if ended_without_a_crash(stack, world, path):
            return paths_of(journey)[:n]
    pytest.fail("A process died for the last document, too.")


def start(stack: Stack, variables: dict[str, str]) -> None:
    """Start a new host process with these variables. It reconciles often."""
    kept = {name: value for name, value in (stack.host.environ or {}).items() if name not in VARIABLES}
    stack.host.environ = {**kept, "RECONCILE_SCHEDULE": "*/10 * * * * *", "SWEEP_SCHEDULE": "0 * * * * *", **variables}
    stack.host.command[stack.host.command.index("-m") + 1] = "tests.acceptance.crashing_documents"
    stack.start_again(stack.host)


def log_of(stack: Stack, path: str) -> list[str]:
    log = Path((stack.host.environ or {})["CRASH_LOG"]).read_text()
    return [line.removeprefix(f"{path} ") for line in log.splitlines() if line.startswith(f"{path} ")]


def ended_without_a_crash(stack: Stack, world: World, path: str) -> bool:
    """Wait until the process dies or no work is left for the document."""

    def done() -> bool:
        if not stack.host.alive:
            return True
        log = log_of(stack, path)
        return bool(log) and log.count("begins") == log.count("ends") and world.is_settled(path)

    storage.wait_until(done)
    return stack.host.alive


def wait_until_consistent(world: World, paths: list[str]) -> None:
    problems: storage.Json = {}

    def is_consistent() -> bool:
        problems.clear()
        problems.update({path: world.read(document_name(path)) for path in paths if not world.is_settled(path)})
        try:
            problems.update(world.differences())
        except openai.NotFoundError as exc:  # reconcile has deleted a vector store that was listed just before
            problems["stores"] = str(exc)
        return not problems

    try:
        storage.wait_until(is_consistent)
    except AssertionError:
        pytest.fail(json.dumps(problems, indent=1))
