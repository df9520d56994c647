"""The HTTP API as tests of it speak to it."""

from typing import Any

import httpx2

from local.stack.stack import Stack
from tests.acceptance import storage

Json = dict[str, Any]


class Api:
    """The HTTP API as it is: status codes are the test's business."""

    def __init__(self, stack: Stack) -> None:
        self.http = httpx2.Client(base_url=f"{stack.app_url}/api", timeout=60, trust_env=False)

    def __call__(self, method: str, path: str, status: int, body: Any = None, **headers: str) -> Json:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        response = self.http.request(method, path, json=body, headers=names)
        assert response.status_code == status, response.text
        return response.json() if response.content else {}

    def ask(self, question: str, **more: Any) -> Json:
        return self("POST", "/runs", 202, {"question": question, **more})

    def until(self, run: Json, *statuses: str) -> Json:
        """The run once it has one of these statuses; any other end is a failure."""
        seen: Json = {}

        def there() -> bool:
            seen.update(self.http.get(f"/runs/{run['id']}").json())
            assert seen["status"] in (*statuses, "queued", "in_progress", "requires_action", "cancelling"), seen
            return seen["status"] in statuses

        storage.wait_until(there)
        return seen

    def problem(self, method: str, path: str, status: int, body: Any = None, **headers: str) -> str:
        return str(self(method, path, status, body, **headers)["code"])
