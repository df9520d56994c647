"""The HTTP server: paths, credentials, errors, and the process itself."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import re
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from openai import AsyncOpenAI, AzureOpenAI, OpenAI
from starlette.applications import Starlette
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from local.openai_emulator.__main__ import lines_to_copy
from local.openai_emulator.agent.conversation import Prompt
from local.openai_emulator.agent.model import Say
from local.openai_emulator.server import PREFIXES, create_app, listen, serve
from local.openai_emulator.settings import Settings
from local.paths import ROOT
from tests.local.openai_emulator.client import ScriptedModel, client_of, create, running_app, until

COVERAGE = ROOT / "local/openai_emulator/COVERAGE.md"
JSON = {"Content-Type": "application/json"}
FAMILIES = {
    *("assistants", "batches", "chat", "containers", "conversations", "embeddings"),
    *("files", "models", "responses", "threads", "uploads", "vector_stores"),
}
OPENAPI = ROOT / "../shared/data/openai_openapi/openapi.json.gz"


@pytest.fixture
async def emulator_http(emulator: Starlette) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(emulator, raise_app_exceptions=False),
        base_url="http://emulator",
        headers={"api-key": "test"},
    ) as client:
        yield client


# ---- paths -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/openai/v1/", "/v1/", "/openai/"])
async def test_all_prefixes_are_the_same_service(emulator: Starlette, path: str) -> None:
    async with client_of(emulator, path=path) as client:
        file = await client.files.create(file=("a.txt", b"x"), purpose="assistants")
    async with client_of(emulator, path="/openai/v1/") as client:
        assert (await client.files.retrieve(file.id, extra_query={"api-version": "preview"})).id == file.id


def test_the_synchronous_clients_work_too() -> None:
    with TestClient(create_app(model=ScriptedModel(Say(text="Hi."), Say(text="Ho.")))) as http:
        client = OpenAI(api_key="x", base_url="http://testserver/v1", http_client=http)
        assert client.responses.create(model="m", input="?").output_text == "Hi."
        azure = AzureOpenAI(
            api_key="x",
            api_version="preview",
            base_url="http://testserver/openai/v1/",
            http_client=http,
        )
        assert azure.responses.create(model="m", input="?").output_text == "Ho."


async def test_models(openai_client: AsyncOpenAI) -> None:
    assert [model.id async for model in openai_client.models.list()] == ["scripted"]
    assert (await openai_client.models.retrieve("gpt-4.1-mini")).id == "gpt-4.1-mini"


async def test_health(emulator_http: httpx2.AsyncClient) -> None:
    health = await emulator_http.get("/healthz", headers={"api-key": ""})
    assert health.status_code == 200
    assert health.json() == {"status": "ok", "model": "scripted", "sandbox": {"status": "not started"}}


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("POST", "/fine_tuning/jobs", 501, "not_implemented"),
        ("PUT", "/threads/thread_1/runs/run_1", 501, "not_implemented"),
        ("GET", "/nonsense", 404, "not_found"),
        ("GET", "/filesystem", 404, "not_found"),
    ],
)
async def test_unknown_paths_and_missing_features_are_named(
    emulator_http: httpx2.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    for prefix in PREFIXES:
        answer = await emulator_http.request(method, prefix + path)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (status, code)
        assert path in error["message"]
    assert (await emulator_http.request(method, path)).status_code == 404


# ---- errors ------------------------------------------------------------------------------------------------


async def test_every_answer_has_its_ids(emulator_http: httpx2.AsyncClient) -> None:
    answers = [
        await emulator_http.get("/v1/files"),
        await emulator_http.get("/v1/files/x"),
        await emulator_http.get("/v1/files", headers={"api-key": ""}),
        await emulator_http.get("/nowhere"),
    ]
    assert [answer.status_code for answer in answers] == [200, 404, 401, 404]
    for name in ("x-request-id", "apim-request-id"):
        assert len({answer.headers[name] for answer in answers}) == len(answers)


async def test_a_bug_is_a_500_without_its_details(emulator: Starlette, emulator_http: httpx2.AsyncClient) -> None:
    emulator.state.emulator.files._store = None
    answer = await emulator_http.get("/v1/files")
    assert answer.status_code == 500
    assert answer.headers["x-request-id"]
    assert answer.json()["error"]["type"] == "server_error"
    assert "NoneType" not in answer.text


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b'{"name": NaN}', b'{"a": 1e999}', b"[" * 99_999])
async def test_a_body_must_be_an_object(emulator_http: httpx2.AsyncClient, content: bytes) -> None:
    answer = await emulator_http.post("/v1/vector_stores", content=content, headers=JSON)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_json")


@pytest.mark.parametrize("levels", [101, 500, 5_000])
async def test_a_body_that_is_nested_very_deeply_is_refused_by_this_name(
    emulator_http: httpx2.AsyncClient, levels: int
) -> None:
    content = b'{"input": ' + b"[" * levels + b"]" * levels + b"}"
    answer = await emulator_http.post("/v1/chat/completions", content=content, headers=JSON)
    assert answer.status_code == 400
    assert "more than 100 levels" in answer.json()["error"]["message"]


async def test_an_invalid_form_is_refused(emulator_http: httpx2.AsyncClient) -> None:
    answer = await emulator_http.post("/v1/files", json={"purpose": "assistants"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_content_type")
    headers = {"content-type": "multipart/form-data; boundary=x"}
    answer = await emulator_http.post("/v1/files", content=b"--y\r\n\r\nno", headers=headers)
    assert answer.status_code == 400


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "order=up", "after=file-none"])
async def test_paging_is_checked(emulator_http: httpx2.AsyncClient, query: str) -> None:
    answer = await emulator_http.get(f"/v1/files?{query}")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, query.split("=")[0])


# ---- credentials -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": "Bearer "}, 401),
        ({"authorization": "Basic right"}, 401),
        ({"authorization": "Bearer wrong"}, 401),
        ({"authorization": "Bearer right"}, 200),
        ({"api-key": "right"}, 200),
        ({"api-key": "wr\u00f6ng".encode()}, 401),
    ],
)
async def test_a_set_key_is_the_only_one(headers: Any, status: int) -> None:
    async with running_app(api_key="right") as app:
        http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://e")
        async with http:
            answer = await http.get("/v1/models", headers=headers)
    assert answer.status_code == status


@pytest.mark.parametrize(("status", "headers", "path"), [(401, {}, "/files"), (404, {"api-key": "x"}, "/nonsense")])
async def test_the_gateway_of_azure_answers_at_dated_paths(
    emulator: Starlette, status: int, headers: dict[str, str], path: str
) -> None:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(emulator), base_url="http://e") as http:
        dated = await http.get(f"/openai{path}?api-version=2024-10-21", headers=headers)
        others = [
            await http.get(url, headers=headers)
            for url in (f"/openai{path}", f"/openai/v1{path}?api-version=preview", f"/v1{path}?api-version=1")
        ]
    assert (dated.status_code, set(dated.json()["error"])) == (status, {"code", "message"})
    assert dated.json()["error"]["code"] == str(status)
    for other in others:
        assert (other.status_code, set(other.json()["error"])) == (status, {"message", "type", "param", "code"})


async def test_without_a_key_the_sdk_says_so(emulator: Starlette) -> None:
    async with client_of(emulator, api_key=" ") as client:
        with pytest.raises(openai.AuthenticationError):
            await client.models.list()


# ---- the table of what is covered --------------------------------------------------------------------------


def coverage() -> dict[str, bool]:
    rows = re.findall(r"^\| `((?:GET|POST|DELETE) [^`]+)` \| (yes|no) \|", COVERAGE.read_text(), re.MULTILINE)
    return {endpoint: done == "yes" for endpoint, done in rows}


async def test_the_coverage_table_tells_the_truth(emulator: Starlette) -> None:
    served = set()
    for mount in emulator.routes:
        for route in mount.routes if isinstance(mount, Mount) else ():
            if isinstance(route, Route) and "{path:path}" not in route.path:
                (method,) = (route.methods or set()) - {"HEAD"}
                served.add(f"{method} {route.path}")
    assert served == {endpoint for endpoint, done in coverage().items() if done}


@pytest.mark.skipif(not OPENAPI.exists(), reason="needs the OpenAPI document")
def test_the_coverage_table_names_every_endpoint_of_its_families() -> None:
    paths: dict[str, Any] = json.loads(gzip.decompress(OPENAPI.read_bytes()))["paths"]
    real = {
        f"{method.upper()} {path}"
        for path, methods in paths.items()
        for method in methods
        if path.split("/")[1] in FAMILIES and "?" not in path
    }
    named = set(coverage())
    assert real - named == set()
    assert {endpoint for endpoint in named - real if "/deployments/" not in endpoint} == set()


# ---- on a port ---------------------------------------------------------------------------------------------


async def test_it_serves_on_a_port_of_its_own(tmp_path: Path) -> None:
    model = ScriptedModel(Say(text="Hello over TCP."))
    async with (
        serve(Settings(data=tmp_path), model=model) as url,
        AsyncOpenAI(api_key="x", base_url=f"{url}/openai/v1/") as client,
    ):
        assert (await create(client)).output_text == "Hello over TCP."
        with pytest.raises(openai.APIStatusError) as caught:
            await client.fine_tuning.jobs.create(model="m", training_file="f")
        assert caught.value.status_code == 501


def test_others_are_kept_out_without_a_key() -> None:
    for host in ("0.0.0.0", "::", "192.168.1.1", "emulator.example"):
        with pytest.raises(ValueError, match="EMULATOR_API_KEY"):
            listen(host, 0, api_key=None)
    listen("0.0.0.0", 0, api_key="secret").close()
    listen("127.0.0.1", 0, api_key=None).close()


async def test_the_process_prints_ready_and_ends_on_a_signal(tmp_path: Path) -> None:
    environ = {**os.environ, "EMULATOR_DATA": str(tmp_path / "data")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "local.openai_emulator", "--port", "0", "--port-file", str(tmp_path / "port")),
        cwd=ROOT,
        env=environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    line = (await asyncio.wait_for(process.stdout.readline(), 180)).decode()
    port = (tmp_path / "port").read_text()
    assert line == f"ready http://127.0.0.1:{port}\n"
    async with httpx2.AsyncClient(base_url=line.split()[1]) as http:

        async def sandbox_is_settled() -> str | None:
            status: str = (await http.get("/healthz")).json()["sandbox"]["status"]
            return status if status in ("available", "unavailable") else None

        assert await until(sandbox_is_settled, within_s=60)
    children = _children(process.pid)
    process.send_signal(signal.SIGTERM)
    rest, errors = await asyncio.wait_for(process.communicate(), 180)
    assert process.returncode == 0, errors.decode()
    assert rest.decode() == lines_to_copy(f"http://127.0.0.1:{port}", key_is_set=False)
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
    assert (tmp_path / "data/emulator.db").exists()


def _children(pid: int) -> list[int]:
    """All descendants of this process; empty without /proc."""
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    direct = [int(child) for child in listed.read_text().split()] if listed.exists() else []
    return direct + [below for child in direct for below in _children(child)]


@pytest.mark.parametrize(
    ("arguments", "environ", "told"),
    [
        (["--host", "0.0.0.0"], {}, "EMULATOR_API_KEY"),
        ([], {"EMULATOR_MODEL_URL": "http://127.0.0.1:1/v1"}, "EMULATOR_MODEL must name"),
    ],
)
async def test_the_process_refuses_bad_settings(arguments: list[str], environ: dict[str, str], told: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "local.openai_emulator", "--port", "0", *arguments),
        cwd=ROOT,
        env={**os.environ, **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await asyncio.wait_for(process.communicate(), 180)
    assert (process.returncode, out) == (2, b"")
    assert told in errors.decode()


async def test_a_slow_model_does_not_delay_other_requests(emulator: Starlette, emulator_model: ScriptedModel) -> None:
    """Other requests are answered while a response runs."""
    go = asyncio.Event()

    async def waits(_: Prompt) -> Say:
        await go.wait()
        return Say(text="At last.")

    emulator_model.moves = [waits]
    async with client_of(emulator) as client:
        slow = asyncio.create_task(create(client))
        await until(lambda: _seen(emulator_model))
        assert (await create(client)).output_text == "That is all."
        assert not slow.done()
        go.set()
        assert (await slow).output_text == "At last."


async def _seen(model: ScriptedModel) -> bool:
    return bool(model.prompts)


async def test_two_emulators_do_not_share_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *given, **named: connect(*given, **{**named, "timeout": 0.05}))
    async with running_app(data=tmp_path):
        with pytest.raises(RuntimeError, match="another emulator"):
            async with serve(Settings(data=tmp_path), model=ScriptedModel()):
                pass
    async with running_app(data=tmp_path):
        pass


async def test_invalid_unicode_is_refused(emulator_http: httpx2.AsyncClient) -> None:
    for body in (b'{"name": "\\ud800"}', b'{"metadata": {"k": "\\ud800"}}', b'{"metadata": {"\\ud800": "v"}}'):
        assert (await emulator_http.post("/v1/vector_stores", content=body, headers=JSON)).status_code == 400
    for text in (b'"\\ud800"', b'[{"role": "user", "content": "\\ud800"}]'):
        body = b'{"model": "m", "input": ' + text + b"}"
        answer = await emulator_http.post("/v1/responses", content=body, headers=JSON)
        assert answer.status_code == 400
