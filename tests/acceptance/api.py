"""A client of the HTTP API for tests."""

from typing import Any

import httpx2

from tests.acceptance import storage

Json = dict[str, Any]


class Api:
    """Calls the API; a call fails when the status code is not the expected one."""

    def __init__(self, app_url: str, *, key: str | None = None) -> None:
        headers = {"x-functions-key": key} if key else {}
        self.http = httpx2.Client(base_url=f"{app_url}/api", headers=headers, timeout=60, trust_env=False)

    def __call__(self, method: str, path: str, status: int, body: Any = None, **headers: str) -> Json:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        response = self.http.request(method, path, json=body, headers=names)
        assert response.status_code == status, response.text
        return response.json() if response.content else {}

    def ask(self, question: str, **more: Any) -> Json:
        return self("POST", "/runs", 202, {"question": question, **more})

    def until(self, run: Json, *statuses: str) -> Json:
        """Poll until the run has one of these statuses. Fails when the run ends with another one."""
        seen: Json = {}

        def has_status() -> bool:
            seen.update(self.http.get(f"/runs/{run['id']}").json())
            assert seen["status"] in (*statuses, "queued", "in_progress", "requires_action", "cancelling"), seen
            return seen["status"] in statuses

        storage.wait_until(has_status)
        return seen

    def problem(self, method: str, path: str, status: int, body: Any = None, **headers: str) -> str:
        """The code of the error that the call gets."""
        return str(self(method, path, status, body, **headers)["code"])
