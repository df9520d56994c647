"""What the host refuses although the real host answers it: web pages, and the admin endpoint without its key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from local.functions_host import HostError
from tests.local.functions_host.apps import ADMIN, calls, client, host, write_app

APP = """
    @app.route(route="act", auth_level="ANONYMOUS")
    async def act(req: func.HttpRequest) -> func.HttpResponse:
        calls.append(req.method)
        return func.HttpResponse("done", status_code=202, headers={"Location": "/api/act/1"})

    @app.route(route="shares", auth_level="ANONYMOUS")
    async def shares(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse("done", headers={"Access-Control-Allow-Origin": "http://its.own"})
"""
EVIL = {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site", "Content-Type": "text/plain"}
PAGE = "http://localhost:3000"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return write_app(tmp_path / "app", APP)


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        (EVIL, 403, "foreign_origin"),
        ({"Origin": "null"}, 403, "foreign_origin"),
        ({"Host": "evil.example:7071"}, 403, "foreign_host"),
        ({"Host": "evil.example:7071", "Origin": "http://evil.example:7071", **JSON}, 403, "foreign_host"),
        ({"Sec-Fetch-Site": "same-site"}, 403, "foreign_site"),
        ({"Content-Type": "text/plain"}, 415, "wrong_media_type"),
    ],
)
@pytest.mark.parametrize(
    "path", ["/api/act", "/admin/functions/act", "/admin/host/ping", "/runtime/webhooks/blobs", "/", "/api/nothing"]
)
async def test_a_page_reaches_nothing(app: Path, headers: dict[str, str], status: int, code: str, path: str) -> None:
    async with host(app) as running, client(running) as http:
        answer = await http.post(path, content=b'{"input": ""}', headers=ADMIN | headers)
        assert calls() == []
    problem = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["detail"]
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PATCH", "OPTIONS", "HEAD"])
async def test_a_page_acts_by_no_method_and_without_a_body(app: Path, method: str) -> None:
    async with host(app) as running, client(running) as http:
        assert (await http.request(method, "/api/act", headers={"Origin": "http://evil.example"})).status_code == 403
        assert (await http.request(method, "/api/act", headers={"Sec-Fetch-Site": "cross-site"})).status_code == 403
        assert calls() == []
        assert (await http.request(method, "/api/act")).status_code == 202
        assert calls() == [method]


async def test_as_azure_answers_a_page_as_the_real_host_does(app: Path) -> None:
    async with host(app, as_azure=True) as running, client(running) as http:
        answer = await http.post("/api/act", content=b"x", headers=EVIL | {"Host": "evil.example"})
        assert (answer.status_code, calls()) == (202, ["POST"])
        assert (await http.get("/admin/host/status")).status_code == 200


async def test_where_keys_are_required_a_function_takes_any_type(app: Path) -> None:
    async with host(app, auth=True) as running, client(running) as http:
        answer = await http.post("/api/act", content=b"x", headers={"Content-Type": "text/plain"})
        assert answer.status_code == 202
        assert (await http.post("/api/act", content=b"x", headers=EVIL)).status_code == 403


@pytest.mark.parametrize("path", ["functions/act", "host/status", "host/keys", "functions", "functions/act/status"])
@pytest.mark.parametrize("key", [None, "", "wrong"])
@pytest.mark.parametrize("configured", ["key-of-this-start", ""])
async def test_the_admin_endpoint_wants_its_key(app: Path, path: str, key: str | None, configured: str) -> None:
    headers = JSON | ({} if key is None else {"x-functions-key": key})
    method = "POST" if path == "functions/act" else "GET"
    async with host(app, environ={"FUNCTIONS_MASTER_KEY": configured}) as running, client(running) as http:
        body = {"content": b'{"input": ""}'} if method == "POST" else {}
        answer = await http.request(method, f"/admin/{path}", headers=headers, **body)
        assert (answer.status_code, answer.json()["code"]) == (401, "admin_key_required")
        assert (await http.get("/admin/host/ping")).status_code == 200
        assert calls() == []


async def test_a_page_of_a_listed_origin_may_call_and_read(app: Path) -> None:
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,x-functions-key"}
    async with host(app, environ={"CORS_ORIGINS": f"{PAGE},https://my.example"}) as running, client(running) as http:
        preflight = await http.options("/api/act", headers={"Origin": PAGE, "Sec-Fetch-Site": "same-site", **asks})
        assert (preflight.status_code, calls()) == (204, [])
        assert preflight.headers["access-control-allow-origin"] == PAGE
        assert preflight.headers["access-control-allow-methods"] == "POST"
        assert preflight.headers["access-control-allow-headers"] == "content-type,x-functions-key"
        answer = await http.post("/api/act", json={}, headers={"Origin": PAGE, "Sec-Fetch-Site": "same-site"})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (202, PAGE)
        assert "Location" in answer.headers["access-control-expose-headers"]
        assert answer.headers["vary"] == "Origin"
        own = await http.get("/api/shares", headers={"Origin": PAGE})
        assert own.headers.get_list("access-control-allow-origin") == ["http://its.own"]
        for origin in ("http://localhost:3001", f"{PAGE}.evil.example", "null"):
            refused = await http.options("/api/act", headers={"Origin": origin, **asks})
            assert (refused.status_code, refused.headers.get("access-control-allow-origin")) == (403, None)


async def test_no_page_is_listed_by_default(app: Path) -> None:
    asks = {"Access-Control-Request-Method": "POST"}
    async with host(app) as running, client(running) as http:
        assert (await http.options("/api/act", headers={"Origin": PAGE, **asks})).status_code == 403
        assert "access-control-allow-origin" not in (await http.get("/api/act")).headers


async def test_a_name_of_the_setting_is_answered(app: Path) -> None:
    async with host(app, environ={"ALLOWED_HOSTS": "devbox"}) as running, client(running) as http:
        assert (await http.get("/api/act", headers={"Host": "devbox:7071"})).status_code == 202


def test_a_wildcard_is_not_accepted(app: Path) -> None:
    with pytest.raises(HostError, match="CORS_ORIGINS"):
        host(app, environ={"CORS_ORIGINS": "*"})


DEEP = b'{"input": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
HOSTILE: list[tuple[str, str, Any]] = [
    ("/admin/functions/act", "application/json", DEEP),
    ("/admin/functions/act", "application/json", b'{"input": ' + b"9" * 5_000 + b"}"),
    ("/runtime/webhooks/EventGrid?functionName=on_event", "application/json", b"[" + DEEP + b"]"),
    ("/api/act", "application/json", DEEP),
    ("/api/act", "application/json", b'{"a": ' + b"9" * 5_000 + b"}"),
    ("/api/act", "application/json; charset=\xff", b"{}"),
    ("/api/act?" + "%FF=%00&" * 50, "application/json", b"{}"),
    (f"/api/number/{'9' * 5_000}", "application/json", b"{}"),
]


@pytest.mark.parametrize(("path", "media_type", "body"), HOSTILE)
async def test_hostile_input_is_no_error_of_the_host(tmp_path: Path, path: str, media_type: str, body: bytes) -> None:
    source = """
    @app.route(route="number/{n:int}", auth_level="ANONYMOUS")
    async def number(req: func.HttpRequest) -> str:
        return "n"

    @app.event_grid_trigger(arg_name="event")
    def on_event(event: func.EventGridEvent) -> None: ...
    """
    folder = write_app(tmp_path / "app", APP + source)
    headers = {b"content-type": media_type.encode("latin-1"), b"aeg-event-type": b"Notification"}
    async with host(folder) as running, client(running) as http:
        answer = await http.post(
            path, content=body, headers={**{k.encode(): v.encode() for k, v in ADMIN.items()}, **headers}
        )
    assert answer.status_code < 500, answer.content


async def test_the_key_of_the_admin_endpoint_is_told_nowhere(app: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    key = ADMIN["x-functions-key"]
    async with host(app) as running, client(running) as http:
        for path in ("/", "/admin/host/ping", "/admin/host/status", "/admin/host/keys/_master", "/admin/functions"):
            answer = await http.get(path, headers=ADMIN if path.startswith("/admin") else {})
            assert key not in answer.text
    assert key not in caplog.text
