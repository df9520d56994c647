"""The API keeps to its description: with hostile requests, and with clients generated from it.

No request gets a 5xx or a response that the description does not allow. `make bench ONLY=fuzz` tests longer.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import httpx2
import pytest

from bench.fuzz import fuzz
from local.paths import INSTALLED, ROOT
from local.stack.stack import Options, Stack
from tests.acceptance.host import Host
from tests.forked import forked
from tests.long import long_but
from tests.openapi import npm_tools

TOOLS = INSTALLED / "openapi-tools" / "bin"
GENERATED = ROOT / "tests" / "openapi"
WITHIN_S = 600
EXAMPLES = 6  # per operation, in addition to those that schemathesis makes for each limit and type


@pytest.fixture(scope="module")
def own_stack(tmp_path_factory: pytest.TempPathFactory, plain_environ: dict[str, str]) -> Iterator[Stack]:
    """A separate stack: the requests create runs, documents and assistants, which would disturb other tests."""
    folder = tmp_path_factory.mktemp("fuzz")
    with forked(Stack(Options(data=folder / "data", logs=folder / "logs"), environ=plain_environ)) as running:
        yield running


@pytest.mark.long
def test_hostile_requests_get_described_responses(own_stack: Stack, tmp_path: Path) -> None:
    report, printed = fuzz(own_stack.app_url, tmp_path, "--max-examples", str(EXAMPLES), "--generation-deterministic")
    assert report["exit_code"] == 0, printed
    assert report["complete"]
    assert report["failures"] == report["errors"] == []
    assert report["operations"]["tested"] == report["operations"]["total"] - 1  # all but ALWAYS_501
    assert report["test_cases"]["generated"] >= 500
    for operation in ("POST /runs", "POST /threads", "PUT /assistants/{name}", "PUT /documents/{path}"):
        rates = report["valid_rates"][operation].values()
        assert sum(rate["accepted"] for rate in rates) >= 3, operation  # enough requests were valid


@pytest.mark.long
def test_hostile_strings_get_no_5xx(own_stack: Stack, tmp_path: Path) -> None:
    """Each request has one, in its path, query, headers or body, and is valid otherwise."""
    log = tmp_path / "sent.jsonl"
    report, printed = fuzz(
        own_stack.app_url,
        tmp_path,
        *("--phases", "fuzzing", "--mode", "positive", "--max-examples", "12", "--generation-deterministic"),
        checks=("not_a_server_error",),
        environ={"SCHEMATHESIS_HOOKS": str(GENERATED / "hostile.py"), "HOSTILE_LOG": str(log)},
    )
    assert report["exit_code"] == 0, printed
    assert report["failures"] == report["errors"] == []
    assert report["operations"]["tested"] == report["operations"]["total"] - 1
    sent = [json.loads(line) for line in log.read_text().splitlines()]
    assert [request for request in sent if request["status"] >= 500] == []
    for place, least in {"path": 50, "query": 50, "header": 20, "body": 40}.items():
        assert len({repr(r["value"]) for r in sent if r["place"] == place and is_in(place, r)}) >= least, place


def is_in(place: str, sent: dict[str, Any]) -> bool:
    """Whether a request has its hostile value in this place, as it was sent."""
    value = sent["value"]
    if place == "header":
        return value in sent["headers"]
    if place == "body":
        return json.dumps(value) in sent["body"] or (isinstance(value, str) and value in sent["body"])
    target = urlsplit(sent["url"])
    if place == "path":
        return unquote(value) in unquote(target.path)
    return value in [found for _, found in parse_qsl(target.query, keep_blank_values=True)]


@pytest.mark.parametrize(
    ("name", "key", "version"),
    [
        ("openapi.json", "openapi", "3.0.4"),
        ("openapi.json?version=3.1", "openapi", "3.1.0"),
        ("openapi.json?version=", "openapi", "3.0.4"),
        ("swagger.json", "swagger", "2.0"),
    ],
)
def test_the_descriptions_need_no_key(host: Host, name: str, key: str, version: str) -> None:
    response = httpx2.get(f"{host.url}/api/{name}", trust_env=False)
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("application/json")
    assert response.json()[key] == version
    assert host.url.partition("://")[2] in response.text


def test_another_version_is_a_problem(host: Host) -> None:
    response = httpx2.get(f"{host.url}/api/openapi.json?version=2.0", trust_env=False)
    assert (response.status_code, response.json()["code"]) == (400, "unknown_version")
    assert response.headers["Content-Type"].startswith("application/problem+json")


# ---- generated clients -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def description(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file `openapi.json`, as a developer gets it for a generator."""
    assert TOOLS.exists(), "`make setup` installs what this test needs"
    file = tmp_path_factory.mktemp("clients") / "openapi.json"
    file.write_bytes(httpx2.get(f"{host.url}/api/openapi.json", trust_env=False).content)
    return file


def run(*command: str | Path) -> str:
    """The output of a command. It fails when the command fails."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=WITHIN_S)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def python_client(description: Path) -> Path:
    """The folder with the package `generated`, made by openapi-python-client."""
    folder = description.parent / "python"
    folder.mkdir()
    arguments = ["--meta", "none", "--output-path", folder / "generated", "--config", GENERATED / "config.yaml"]
    run(TOOLS / "openapi-python-client", "generate", "--path", description, *arguments, "--fail-on-warning")
    return folder


@pytest.mark.parametrize("form", long_but(["url", "query"], "url"))
@pytest.mark.parametrize("folder", ["", "Jahresberichte 2024/Über uns/"], ids=["no folder", "folders"])
def test_the_generated_python_client_does_the_main_job(host: Host, python_client: Path, folder: str, form: str) -> None:
    """The answer cites the document, also when spaces, umlauts and slashes are in its path.

    openapi-python-client encodes the slashes of a path as %2F, which Microsoft's host does not decode: the app does.
    """
    path = f"Gemeinde Köln {form} {len(folder)}/{folder}Größe & Übersicht 100% #1.md"
    url = f"{host.url}/api"
    job = (TOOLS / "python", "-m", "tests.openapi.main_job", python_client, url, path, form, host.key or "")
    seen = json.loads(run(*job))
    assert "02:30" in seen["run"]["answer"]
    assert seen["citations"]
    assert set(seen["citations"]) == set(seen["hits"]) == {path}
    assert seen["listed"] == [seen["run"]["id"]]
    assert seen["took_s"] > 0  # the times are datetimes
    assert seen["gone"] == "document_not_found"


def compile_typescript(*files: Path) -> None:
    compiler = npm_tools.command("typescript", "bin/tsc")
    run(*compiler, "--strict", "--noEmit", "--skipLibCheck", "false", "--lib", "es2022", *files)


def test_the_generated_typescript_compiles_and_has_the_types_of_the_answers(description: Path) -> None:
    types, use = description.with_name("api.d.ts"), description.with_name("use.ts")
    run(*npm_tools.command("openapi-typescript", "bin/cli.js"), description, "-o", types)
    use.write_text((GENERATED / "use.ts").read_text())
    compile_typescript(use, types)


@pytest.mark.long
def test_the_typescript_of_3_1_compiles(host: Host, description: Path) -> None:
    types = description.with_name("api31.d.ts")
    url = f"{host.url}/api/openapi.json?version=3.1"
    run(*npm_tools.command("openapi-typescript", "bin/cli.js"), url, "-o", types)
    assert "runFinished" in types.read_text()
    compile_typescript(types)
