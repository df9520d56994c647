"""The emulator answers no web page, and its admin paths want a key that was configured."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest

from local.openai_emulator.server import create_app
from local.openai_emulator.settings import Settings
from tests.local.openai_emulator.client import ScriptedModel

RULE = b'{"path": "/*", "status": 500}'
JSON = {"Content-Type": "application/json"}


@asynccontextmanager
async def emulator(settings: Settings, *, key: str = "anything") -> AsyncIterator[httpx2.AsyncClient]:
    app = create_app(settings, model=ScriptedModel())
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app), base_url="http://127.0.0.1:8787", headers={"api-key": key}
        ) as http,
    ):
        yield http


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Host": "evil.example:8787", **JSON}, 403, "foreign_host"),
        ({"Host": "evil.example:8787", "Origin": "http://evil.example:8787", **JSON}, 403, "foreign_host"),
        ({"Origin": "http://evil.example", **JSON}, 403, "foreign_origin"),
        ({"Sec-Fetch-Site": "cross-site", **JSON}, 403, "foreign_site"),
        ({"Content-Type": "text/plain"}, 415, "wrong_media_type"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415, "wrong_media_type"),
        ({}, 415, "wrong_media_type"),
    ],
)
@pytest.mark.parametrize("path", ["/openai/v1/vector_stores", "/v1/vector_stores", "/admin/faults"])
async def test_a_page_reaches_nothing(headers: dict[str, str], status: int, code: str, path: str) -> None:
    async with emulator(Settings(admin_key="of-this-start"), key="of-this-start") as http:
        answer = await http.post(path, content=RULE, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
        assert "access-control-allow-origin" not in answer.headers
        assert (await http.get("/v1/vector_stores")).json()["data"] == []
        assert (await http.get("/admin/faults")).json()["data"] == []


async def test_a_rebound_page_does_not_even_read_the_health() -> None:
    async with emulator(Settings()) as http:
        assert (await http.get("/healthz", headers={"Host": "evil.example"})).status_code == 403
        assert (await http.get("/healthz")).status_code == 200


async def test_a_name_of_the_setting_is_answered() -> None:
    async with emulator(Settings.from_environ({"ALLOWED_HOSTS": "devbox"})) as http:
        assert (await http.get("/v1/models", headers={"Host": "devbox:8787"})).status_code == 200


@pytest.mark.parametrize(
    ("settings", "key", "status"),
    [
        (Settings(), "anything", 401),
        (Settings(admin_key="one"), "anything", 401),
        (Settings(admin_key="one", api_key="other"), "other", 401),
        (Settings(admin_key="one", api_key="other"), "one", 200),
        (Settings(api_key="other"), "other", 200),
        (Settings(entra_audience="https://ai.azure.com"), "anything", 401),
    ],
)
async def test_the_admin_paths_want_a_configured_key(settings: Settings, key: str, status: int) -> None:
    async with emulator(settings, key=key) as http:
        for path in ("/admin/faults", "/admin/nothing"):
            assert (await http.get(path)).status_code == (status if status == 401 or path == "/admin/faults" else 404)


async def test_a_token_with_deep_json_is_refused() -> None:
    import base64

    claims = base64.urlsafe_b64encode(b"[" * 100_000).decode().rstrip("=")
    async with emulator(Settings(entra_audience="https://ai.azure.com")) as http:
        answer = await http.get("/v1/models", headers={"api-key": "", "Authorization": f"Bearer a.{claims}.b"})
    assert answer.status_code == 401
