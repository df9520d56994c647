"""The product as a user sees it: the HTTP API, and plain storage clients for dropping documents and reading answers."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Self

import httpx2
from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.blob import BlobServiceClient, ContentSettings

from local.errors import LocalError, RequestFailed
from local.paths import COMMAND

Json = dict[str, Any]

PAGE = 1_000
LOOK_EVERY_S = 0.2  # the app is on this machine; a client over the internet should heed Retry-After
RETRIES: Json = {"retry_total": 2, "initial_backoff": 0.2, "increment_base": 2}  # the SDK's own waits over a minute
FINAL = {"indexed", "failed", "unsupported"}


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """A question the app has taken."""

    id: str
    thread_id: str
    location: str  # absolute
    asked_at_s: float  # monotonic, just before the POST
    post_s: float  # POST -> 202


class Client:
    """One app and its storage account. Every method raises `LocalError` with a sentence for people."""

    def __init__(self, app_url: str, *, storage: str) -> None:
        self.app_url = app_url
        # No proxies: the app is on this machine, whatever the environment says about the internet.
        self._http = httpx2.Client(base_url=app_url, timeout=60, trust_env=False)
        self._blobs = BlobServiceClient.from_connection_string(storage, **RETRIES)

    def ask(
        self,
        question: str,
        *,
        thread_id: str | None = None,
        collection: str | None = None,
        files: list[str] | None = None,
    ) -> Accepted:
        """`POST /api/runs`"""
        body = {"question": question, "thread_id": thread_id, "collection": collection, "files": files}
        asked_at_s = time.monotonic()
        response = self._send("POST", "/api/runs", json={name: value for name, value in body.items() if value})
        post_s = time.monotonic() - asked_at_s
        run = response.json()
        return Accepted(
            id=run["id"],
            thread_id=run["thread_id"],
            location=response.headers["Location"],
            asked_at_s=asked_at_s,
            post_s=post_s,
        )

    def look(self, accepted: Accepted) -> tuple[Json, bool]:
        """`GET` the run's Location: what it says, and whether the run has ended."""
        response = self._send("GET", accepted.location)
        return response.json(), response.status_code == 200

    def wait(self, accepted: Accepted, *, on_look: Callable[[Json], None], within_s: float = 900) -> Json:
        """Look until the run has ended; `on_look` sees each look's payload."""
        deadline_s = time.monotonic() + within_s
        while True:
            run, done = self.look(accepted)
            on_look(run)
            if done:
                return run
            if time.monotonic() > deadline_s:
                raise LocalError(
                    f"The run {accepted.id} has not ended within {within_s:.0f} s.",
                    f"It goes on by itself; look again at {accepted.location}.",
                )
            time.sleep(LOOK_EVERY_S)

    def get(self, path: str) -> Json:
        """What a route answers, such as `/api/collections`."""
        found: Json = self._send("GET", path).json()
        return found

    def documents(self, collection: str | None = None) -> list[Json]:
        """`GET /api/documents`, all pages."""
        asked: Json = {"limit": PAGE, **({"collection": collection} if collection else {})}
        documents: list[Json] = []
        while True:
            page = self._send("GET", "/api/documents", params=asked).json()
            documents += page["documents"]
            if page["cursor"] is None:
                return documents
            asked["cursor"] = page["cursor"]

    def wait_indexed(
        self, etags: dict[str, str], *, on_final: Callable[[Json], None], within_s: float = 120
    ) -> dict[str, Json]:
        """Wait until these versions (path -> etag) have a final status; `on_final` sees each document as it gets there.

        What is not there in time is not in the result.
        """
        final: dict[str, Json] = {}
        deadline_s = time.monotonic() + within_s
        while (waiting := etags.keys() - final.keys()) and time.monotonic() < deadline_s:
            collections = sorted({collection_of(path) for path in waiting})
            for document in chain.from_iterable(map(self.documents, collections)):
                path = document["path"]
                current = etags.get(path) == unquoted(document["etag"])
                if current and path not in final and document["status"] in FINAL:
                    final[path] = document
                    on_final(document)
            time.sleep(LOOK_EVERY_S / 2)
        return final

    def drop(self, source: Path, name: str) -> str:
        """Put a file into the blob container `documents`, as any storage tool would; returns its bare etag."""
        with source.open("rb") as content:
            return self.drop_bytes(content.read(), name)

    def drop_bytes(self, content: bytes, name: str, media_type: str = "application/octet-stream") -> str:
        """As `drop`, for content at hand."""
        with storage_errors():
            blob = self._blobs.get_blob_client("documents", name)
            written = blob.upload_blob(content, overwrite=True, content_settings=ContentSettings(media_type))
        return unquoted(written["etag"])

    def answer_blobs(self, run_id: str) -> list[str]:
        """Names of all blobs that a run left in `answers`."""
        with storage_errors():
            return list(self._blobs.get_container_client("answers").list_blob_names(name_starts_with=f"{run_id}/"))

    def read_answer_blob(self, name: str) -> bytes | None:
        """One blob of `answers`; None when there is none of this name."""
        with storage_errors():
            try:
                return self._blobs.get_blob_client("answers", name).download_blob().readall()
            except ResourceNotFoundError:
                return None

    def close(self) -> None:
        """Close all connections."""
        self._http.close()
        self._blobs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _send(self, method: str, url: str, **options: Any) -> httpx2.Response:
        try:
            response = self._http.request(method, url, **options)
        except httpx2.HTTPError as exc:
            raise LocalError(
                f"The app at {self.app_url} did not answer ({type(exc).__name__}).",
                f"`{COMMAND} status` shows whether it is up; its log is host.log.",
            ) from exc
        if response.is_error:
            raise _problem(response)
        return response


@contextmanager
def storage_errors() -> Iterator[None]:
    """Turn a storage error into a `LocalError`."""
    try:
        yield
    except AzureError as exc:
        first_line = str(exc).partition("\n")[0]
        raise LocalError(
            f"Storage failed: {first_line}", f"`{COMMAND} status` shows whether it is up; its log is azurite.log."
        ) from exc


def collection_of(path: str) -> str:
    """The folder at the top; documents without one are in `default`."""
    folder, slash, _ = path.partition("/")
    return folder if slash else "default"


def unquoted(etag: str) -> str:
    """An etag without its quotes: APIs differ in whether they give them."""
    return etag.strip('"')


def _problem(response: httpx2.Response) -> RequestFailed:
    try:
        problem = response.json()
    except ValueError:
        problem = {}
    detail = problem.get("detail") or f"The app answered {response.status_code} without saying why."
    return RequestFailed(detail, status=response.status_code, code=problem.get("code", ""))
