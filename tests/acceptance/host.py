"""The Functions host that the acceptance tests speak to: that of the local stack, or any other that runs this app.

`TEST_HOST_URL` names another one: `func start`, a deployment, a host built from source. `TEST_HOST_KEY` is one of its
function keys. Tests that need the processes of the local stack are then skipped.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import httpx2

URL = "TEST_HOST_URL"
KEY = "TEST_HOST_KEY"


@dataclass(frozen=True, kw_only=True)
class Host:
    """Where the app is, and with which key it is called. `storage`: the connection string, None when unknown."""

    url: str
    key: str | None = None
    storage: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        return {"x-functions-key": self.key} if self.key else {}

    def request(self, method: str, path: str, *, content: bytes | None = None, **headers: str) -> httpx2.Response:
        """Call a path below `/api/`. The headers' names have `_` for `-`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx2.request(
            method,
            f"{self.url}/api/{path}",
            content=content,
            headers={**self.headers, **named},
            timeout=60,
            trust_env=False,
        )

    def check(self) -> None:
        """Fail with a sentence when the app does not answer there, or refuses the key."""
        status = self.request("GET", "runs?limit=1").status_code
        assert status != 401, f"The app at {self.url} answers 401. Set {KEY} to a function key, or to another one."
        assert status == 200, (
            f"{self.url}/api/runs answers {status}. Set {URL} to the URL of a host that runs this app."
        )


def other_host() -> Host | None:
    """The host of `TEST_HOST_URL`; None when the tests run on the local stack."""
    url = os.environ.get(URL)
    return Host(url=url.rstrip("/"), key=os.environ.get(KEY) or None) if url else None
