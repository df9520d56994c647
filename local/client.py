"""A client of the app: its HTTP API, and, where it is known, the storage account."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self
from urllib.parse import urlsplit

import httpx2

from local.errors import LocalError, NoAnswer, RequestFailed
from local.paths import COMMAND

if TYPE_CHECKING:
    from local.blobs import Blobs

Json = dict[str, Any]

PAGE = 1_000
POLL_EVERY_S = 0.2  # of an app on this machine
FAR_POLL_EVERY_S = 2.0  # of a deployed app
FAR_WAIT_S = 20  # a deployed app answers a look at a run when the run has changed, or after this time
LOST_LOOKS_MAX = 5  # looks in a row without an answer, until waiting for a run is given up
TRANSIENT = {429, 502, 503, 504}
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
LARGE_BYTES = 8 * 1024 * 1024  # a larger file is uploaded as users without access to storage upload it
FINAL = {"indexed", "failed", "unsupported"}


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """A question that the app accepted with 202."""

    id: str
    thread_id: str
    location: str  # absolute URL of the run
    asked_at_s: float  # monotonic, just before the POST
    post_s: float  # POST -> 202


class Client:
    """One app and its storage account. Without the account, documents are uploaded over HTTP.

    Every method raises `LocalError` if the app or storage fails; its message is meant for the user.
    """

    def __init__(
        self,
        app_url: str,
        *,
        storage: str | None,
        key: str | None = None,
        token: Callable[[], str] | None = None,
    ) -> None:
        """Only the app gets the function key or a token; storage does not.

        Args:
            storage: The connection string.
            token: Returns a valid access token for the app, at which people sign in with Entra.
        """
        self.app_url = app_url
        self._key = key
        self._token = token
        self._is_near = urlsplit(app_url).hostname in LOOPBACK
        # A proxy of the environment is for addresses outside of this machine.
        self._http = httpx2.Client(base_url=app_url, timeout=60, trust_env=not self._is_near)
        self._storage = storage
        self._opened: Blobs | None = None

    def ask(
        self,
        question: str,
        *,
        thread_id: str | None = None,
        collection: str | None = None,
        files: list[str] | None = None,
        allow_other_collection: bool = False,
    ) -> Accepted:
        """Start a run with `POST /api/runs`."""
        body = {
            "question": question,
            "thread_id": thread_id,
            "collection": collection,
            "files": files,
            "allow_other_collection": allow_other_collection,
        }
        asked_at_s = time.monotonic()
        response = self._send("POST", "/api/runs", json={name: value for name, value in body.items() if value})
        post_s = time.monotonic() - asked_at_s
        run = self._object(response)
        return Accepted(
            id=run["id"],
            thread_id=run["thread_id"],
            location=response.headers["Location"],
            asked_at_s=asked_at_s,
            post_s=post_s,
        )

    def accepted(self, run_id: str, thread_id: str) -> Accepted:
        """A run that was asked for before, by another process."""
        url = f"{self.app_url}/api/runs/{run_id}"
        return Accepted(id=run_id, thread_id=thread_id, location=url, asked_at_s=time.monotonic(), post_s=0)

    def look(self, accepted: Accepted) -> tuple[Json, bool]:
        """`GET` the run's Location; return the run and whether it has ended."""
        params = None if self._is_near else {"wait": FAR_WAIT_S}
        response = self._send("GET", accepted.location, params=params)
        return self._object(response), response.status_code == 200

    def wait(self, accepted: Accepted, *, on_look: Callable[[Json], None], within_s: float = 900) -> Json:
        """Poll until the run has ended; `on_look` gets the run of each poll.

        Raises:
            LocalError: the run has not ended within `within_s`, or the app does not answer any more.
        """
        deadline_s = time.monotonic() + within_s
        lost = 0
        while True:
            try:
                run, done = self.look(accepted)
            except LocalError as exc:
                lost += 1
                if not is_transient(exc) or lost == LOST_LOOKS_MAX:
                    raise
            else:
                lost = 0
                on_look(run)
                if done:
                    return run
            if time.monotonic() > deadline_s:
                raise LocalError(
                    f"The run {accepted.id} has not ended within {within_s:.0f} s.",
                    f"It is still running; see {accepted.location} later.",
                )
            time.sleep(FAR_POLL_EVERY_S if lost else POLL_EVERY_S)

    def cancel(self, run_id: str) -> None:
        """Cancel a run, also while it is queued."""
        self._send("POST", f"/api/runs/{run_id}/cancel")

    def get(self, path: str, **params: Any) -> Json:
        """The JSON object that a route answers, such as `/api/collections`."""
        return self._object(self._send("GET", path, params=params or None))

    def listed(self, path: str, name: str, **params: Any) -> Iterator[Json]:
        """The entries of all pages of a listing, such as `runs` of `/api/runs`, one page at a time."""
        while True:
            page = self.get(path, **params)
            yield from page[name]
            if page["cursor"] is None:
                return
            params["cursor"] = page["cursor"]

    def documents(self, collection: str | None = None, status: str | None = None) -> list[Json]:
        """All pages of `GET /api/documents`."""
        chosen = {"collection": collection, "status": status}
        given = {name: value for name, value in chosen.items() if value}
        return list(self.listed("/api/documents", "documents", limit=PAGE, **given))

    def chart(self, run_id: str, number: int) -> bytes:
        """The bytes of a chart, `GET /api/runs/{id}/charts/{n}`."""
        return self._send("GET", f"/api/runs/{run_id}/charts/{number}").content

    def wait_indexed(
        self, etags: dict[str, str], *, on_final: Callable[[Json], None], within_s: float = 120
    ) -> dict[str, Json]:
        """Wait until these versions of documents have a final status.

        Args:
            etags: Path -> etag, without quotes.
            on_final: Gets each document when its status is final.
            within_s: When to stop waiting.

        Returns:
            Path -> document, without those that have no final status within `within_s`.
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
            time.sleep(POLL_EVERY_S if self._is_near else FAR_POLL_EVERY_S)
        return final

    def delete(self, name: str) -> None:
        """Delete a document with everything made from it."""
        self._send("DELETE", "/api/documents", params={"path": name})

    def drop(self, source: Path, name: str) -> str:
        """Upload a file to the blob container `documents`; return its etag without quotes."""
        size = source.stat().st_size
        with source.open("rb") as content:
            return self._upload(content, size, name) if size > LARGE_BYTES else self.drop_bytes(content.read(), name)

    def drop_bytes(self, content: bytes, name: str, media_type: str = "application/octet-stream") -> str:
        """As `drop`, for bytes."""
        if len(content) > LARGE_BYTES:
            return self._upload(content, len(content), name, media_type)
        if self._storage is None:
            headers = {"Content-Type": media_type}
            put = self._send("PUT", "/api/documents", params={"path": name}, content=content, headers=headers)
            return unquoted(self._object(put)["etag"])
        return unquoted(self._blobs.write("documents", name, content, media_type=media_type))

    def _upload(
        self, content: bytes | BinaryIO, size: int, name: str, media_type: str = "application/octet-stream"
    ) -> str:
        """Upload to the URL that the app signs for this document. The app's own memory does not hold the file."""
        body = {"content_type": media_type}
        target = self._object(self._send("POST", "/api/documents/upload", params={"path": name}, json=body))
        try:
            response = self._http.request(
                target["method"],
                target["url"],
                content=content,
                headers={**target["headers"], "Content-Length": str(size)},
            )
            response.raise_for_status()
        except httpx2.HTTPError as exc:
            raise LocalError(
                f"Storage did not take {name} ({type(exc).__name__}).",
                f"`{COMMAND} status` shows whether it is running; its log is azurite.log.",
            ) from exc
        return unquoted(response.headers["ETag"])

    def answer_blobs(self, run_id: str) -> list[str]:
        """Names of all blobs of a run in `answers`."""
        return self._blobs.names("answers", f"{run_id}/")

    def read_answer_blob(self, name: str) -> bytes | None:
        """The content of a blob in `answers`; None if it does not exist."""
        return self._blobs.read("answers", name)

    def close(self) -> None:
        """Close all connections."""
        self._http.close()
        if self._opened:
            self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def _blobs(self) -> "Blobs":
        if self._storage is None:
            raise LocalError("The storage account of the app is not known.", "Read the answer over HTTP instead.")
        if self._opened is None:
            from local.blobs import Blobs  # heavy, and most commands speak HTTP only

            self._opened = Blobs(self._storage)
        return self._opened

    def _send(self, method: str, url: str, *, headers: dict[str, str] | None = None, **options: Any) -> httpx2.Response:
        own = self._credentials() if self._is_ours(url) else {}
        try:
            response = self._http.request(method, url, headers={**own, **(headers or {})}, **options)
        except httpx2.HTTPError as exc:
            where = "its log is host.log." if self._is_near else "look at the address and at the network."
            raise NoAnswer(
                f"The app at {self.app_url} did not answer ({type(exc).__name__}).",
                f"{self._check} shows whether it is running; {where}",
            ) from exc
        if response.is_redirect:  # no route of the app redirects
            raise RequestFailed(
                f"The app at {self.app_url} wants a sign-in ({response.status_code}).",
                status=response.status_code,
                code="",
                advice="Run `az login`, and give the app's audience with --login api://CLIENT_ID.",
            )
        if response.is_error:
            raise self._problem(response)
        return response

    def _credentials(self) -> dict[str, str]:
        key = {"x-functions-key": self._key} if self._key else {}
        return {**key, "Authorization": f"Bearer {self._token()}"} if self._token else key

    def _is_ours(self, url: str) -> bool:
        """Whether a URL, which may be one that the app has answered, leads to the app; nobody else gets the key."""
        return not urlsplit(url).netloc or urlsplit(url)[:2] == urlsplit(self.app_url)[:2]

    @property
    def _check(self) -> str:
        return f"`{COMMAND} status`" if self._is_near else f"`{COMMAND} doctor --url {self.app_url}`"

    def _object(self, response: httpx2.Response) -> Json:
        """The JSON object in an answer. Any other one is not of the app: a proxy's sign-in page, another web site."""
        try:
            found = response.json()
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise LocalError(f"{self.app_url} did not answer as this app does.", "Check the address.")
        return found

    def _problem(self, response: httpx2.Response) -> RequestFailed:
        try:
            problem = response.json()
        except ValueError:
            problem = None
        problem = problem if isinstance(problem, dict) else {}
        status, detail, advice = response.status_code, problem.get("detail"), ""
        if status in (401, 403) and not detail:
            detail = f"The app at {self.app_url} needs a key, or does not take the one that it got ({status})."
            advice = "Set APP_KEY to a function key of the app, or give it with --key."
            if self._token:
                detail = f"The app at {self.app_url} does not take the sign-in of `az login` ({status})."
                advice = "Check the audience of --login, and that this user may use the app."
        elif status >= 500:
            advice = f"{self._check} shows whether everything is healthy."
        detail = detail or f"The app answered {status} without a reason."
        return RequestFailed(str(detail), status=status, code=str(problem.get("code", "")), advice=advice)


def collection_of(path: str) -> str:
    """The collection of a document: its top folder, `default` if it is in none."""
    folder, slash, _ = path.partition("/")
    return folder if slash else "default"


def unquoted(etag: str) -> str:
    """An etag without quotes; some APIs return it with them."""
    return etag.strip('"')


def is_transient(error: LocalError) -> bool:
    """Whether the same request may succeed a little later."""
    return isinstance(error, NoAnswer) or (isinstance(error, RequestFailed) and error.status in TRANSIENT)
