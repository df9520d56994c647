"""The doctor finds each planted fault and names its fix."""

import dataclasses
import http.server
import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from azure.storage.queue import QueueServiceClient

from local.doctor import azure as azure_checks
from local.doctor.app import check_app, check_clock, check_deep_health, check_documents
from local.doctor.azure import check_deployment, check_resources
from local.doctor.finding import Finding, report
from local.doctor.laptop import RESTART, check_laptop, check_private, check_service, check_settings, check_storage
from local.paths import ROOT
from local.settings import Service
from local.stack import provision
from local.stack.azurite import Azurite
from local.stack.model import Model
from local.stack.record import Running
from local.stack.stack import Stack
from local.terminal import Terminal
from tests.local.hanging import hanging, storage_at


def by_name(findings: Iterator[Finding]) -> dict[str, Finding]:
    return {found.name: found for found in findings}


# ---- the laptop --------------------------------------------------------------------------------------------------


def test_a_healthy_stack_has_no_problems(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    running, state = stack.running(), stack.options.data.parent
    assert [found for found in check_laptop(running, deep=True, state=state) if not found.ok] == []
    names = set(by_name(check_laptop(running, deep=False, state=state)))
    assert {
        state.name,
        "data",
        "logs",
        "azurite",
        "emulator",
        "functions host",
        "model",
        "containers",
        "queues",
        "app",
        "clock",
    } <= names
    assert report(Terminal(), check_laptop(running, deep=False, state=state)) == 0
    assert "No problems found." in capsys.readouterr().out


OWN = Service(base_url="https://mine.openai.azure.com/openai/v1/", api_key="secret", model="gpt")
BEHIND = {"EMULATOR_MODEL_URL": "http://127.0.0.1:1/v1", "EMULATOR_MODEL": "qwen3"}


def started_with(stack: Stack, service: Service, environ: dict[str, str]) -> Running:
    model = Model.of(service, environ)
    return dataclasses.replace(stack.running(), service=service, model=model, given=sorted(environ))


def test_settings_that_name_another_service_are_found(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_settings(stack.running()).ok
    monkeypatch.setenv("OPENAI_BASE_URL", "https://elsewhere.openai.azure.com/openai/v1/")
    assert "OPENAI_MODEL is not" in check_settings(stack.running()).detail
    monkeypatch.setenv("OPENAI_MODEL", "gpt")
    assert "gpt at https://elsewhere" in check_settings(stack.running()).fix


@pytest.mark.parametrize("service", [OWN, None])
def test_a_terminal_without_the_settings_of_the_stack_is_no_problem(stack: Stack, service: Service | None) -> None:
    environ = {"OPENAI_BASE_URL": OWN.base_url} if service else BEHIND
    found = check_settings(started_with(stack, service or stack.service, environ))
    assert found.ok
    assert all(name in found.detail for name in environ)
    assert ("gpt at https://mine" in found.detail) if service else ("qwen3" in found.detail)


def test_a_model_behind_the_emulator_that_does_not_answer_is_found(stack: Stack) -> None:
    found = by_name(check_laptop(started_with(stack, stack.service, BEHIND), deep=False))["answers"]
    assert not found.ok
    assert "qwen3" in found.detail


def test_storage_that_hangs_is_found_and_nothing_that_needs_it_is_asked(stack: Stack) -> None:
    with hanging() as url:
        found = by_name(check_laptop(dataclasses.replace(stack.running(), storage=storage_at(url)), deep=False))
    assert not found["storage"].ok
    assert "does not answer" in found["storage"].detail
    assert "app" not in found


def test_no_fix_ends_a_stack_whose_settings_are_not_in_this_terminal() -> None:
    assert "make down" not in RESTART


def test_the_command_reports_a_problem_and_exits_with_1(tmp_path: Path, plain_environ: dict[str, str]) -> None:
    environ = {**plain_environ, "LOCAL_STATE": str(tmp_path)}
    for arguments, detail in (([], "No local stack is running"), (["--url", "http://127.0.0.1:1"], "WRONG")):
        command = [sys.executable, "-m", "local", "doctor", *arguments]
        result = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
        assert result.returncode == 1
        assert detail in result.stdout


def test_an_open_folder_is_found_and_its_fix_mends_it(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    folder.chmod(0o755)
    (folder / "stack.json").write_text("{}")
    found = check_private(folder)
    assert "mode 755" in found.detail
    subprocess.run(found.fix, shell=True, check=True)
    assert check_private(folder).ok
    assert check_private(folder / "stack.json").ok


def test_a_folder_of_another_user_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o700)
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    found = check_private(tmp_path)
    assert "belongs to user" in found.detail
    assert "chown" in found.fix


def test_a_process_that_has_ended_is_found(stack: Stack) -> None:
    running = dataclasses.replace(stack.running(), pids={"emulator": 2**22 + 1})
    found = by_name(check_laptop(running, deep=False))["emulator"]
    assert (found.detail, found.fix) == ("has ended", RESTART)


def test_a_missing_queue_and_a_poisoned_message_are_found(tmp_path: Path) -> None:
    with Azurite(log=tmp_path / "azurite.log") as azurite:
        provision.provision(azurite.connection_string)
        with QueueServiceClient.from_connection_string(azurite.connection_string) as queues:
            queues.delete_queue("indexing")
            queues.get_queue_client("runs-poison").send_message("{}")
        found = by_name(check_storage(azurite.connection_string))
    assert found["containers"].ok
    assert found["queues"].detail == "missing: indexing"
    assert not found["queues"].ok
    assert found["poison queues"].detail == "1 in runs-poison"
    assert not found["poison queues"].ok


def test_storage_that_does_not_answer_is_found(azurite: Azurite) -> None:
    gone = azurite.connection_string.replace(str(azurite.ports[0]), "1")
    [found] = check_storage(gone)
    assert not found.ok


@pytest.mark.parametrize(
    ("service", "fix"),
    [
        (Service(base_url="http://127.0.0.1:1/v1/", api_key="k", model="m"), "curl http://127.0.0.1:1/v1/models"),
        (Service.emulated("http://127.0.0.1:1"), RESTART),
    ],
)
def test_a_model_service_that_does_not_answer_is_found(service: Service, fix: str) -> None:
    found = check_service(service)
    assert not found.ok
    assert fix in found.fix


def test_a_service_at_another_path_is_found(stack: Stack) -> None:
    service = Service(base_url=f"{stack.emulator_url}/wrong/", api_key="k", model="m")
    assert "/openai/v1/" in check_service(service).fix


# ---- an app by its URL -------------------------------------------------------------------------------------------


def test_a_deployment_is_checked_by_its_url(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    found = by_name(check_deployment(stack.app_url, key="", deep=False))
    assert found["app"].ok
    assert found["clock"].ok
    assert found["documents"].ok
    assert found["resources"].detail == "not checked: there is no Azure CLI on PATH"


def test_the_event_flow_needs_the_deployments_azd_environment(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    elsewhere = {"AZURE_FUNCTION_APP_NAME": "func-other", "AZURE_FUNCTION_APP_URL": "https://other.azurewebsites.net"}
    found = by_name(check_deployment(stack.app_url, key="", deep=True, environ=elsewhere))["event flow"]
    assert "DOCUMENTS_URL=" in found.fix


def test_an_app_that_does_not_answer_is_found() -> None:
    [found] = check_app("http://127.0.0.1:1", key="", fix="start it")
    assert (found.ok, found.fix) == (False, "start it")


def test_a_wrong_clock_is_found() -> None:
    date = "Sun, 22 Nov 2026 12:00:00 GMT"
    noon_s = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()
    assert check_clock(date, now=lambda: noon_s + 3).ok
    assert not check_clock(date, now=lambda: noon_s + 1000).ok


def answer(status: int, body: Any) -> httpx2.Response:
    return httpx2.Response(status, json=body)


def document(status: str, *, age: timedelta) -> dict[str, str]:
    return {"path": "a.pdf", "status": status, "updated_at": (datetime.now(UTC) - age).isoformat()}


@pytest.mark.parametrize(
    ("response", "detail"),
    [
        (answer(401, {}), "rejects the function key"),
        (answer(500, {"detail": "no identity"}), "no identity"),
        (answer(404, {}), "answers 404"),
        (answer(200, {"documents": [document("indexing", age=timedelta(hours=1))]}), "1 stuck, such as a.pdf"),
    ],
)
def test_a_bad_documents_answer_is_a_problem(response: httpx2.Response, detail: str) -> None:
    found = check_documents(response)
    assert not found.ok
    assert detail in found.detail


def test_final_or_recent_documents_are_not_stuck() -> None:
    documents = [document("failed", age=timedelta(days=1)), document("indexing", age=timedelta(minutes=1))]
    assert check_documents(answer(200, {"documents": documents})).ok


def test_the_deep_check_may_be_a_list_or_an_object() -> None:
    named = {"checks": {"storage": {"status": "ok"}, "model": {"status": "failed", "detail": "401: wrong audience"}}}
    listed = {
        "checks": [{"name": "storage", "ok": True}, {"name": "model", "ok": False, "detail": "401: wrong audience"}]
    }
    for body in (named, listed):
        found = by_name(check_deep_health(answer(503, body)))
        assert found["app: storage"].ok
        assert found["app: model"].detail == "401: wrong audience"
        assert "OPENAI_SCOPE" in found["app: model"].fix


# ---- the resources, through an `az` that answers from files ------------------------------------------------------

VALUES = {
    "AZURE_FUNCTION_APP_NAME": "func-test",
    "AZURE_FUNCTION_APP_URL": "https://func-test.azurewebsites.net",
    "AZURE_RESOURCE_GROUP": "rg-test",
    "AZURE_EVENT_GRID_TOPIC_NAME": "evgt-test",
    "AZURE_OPENAI_NAME": "oai-test",
    "OPENAI_MODEL": "gpt-4.1-mini",
}
AZ = """#!/bin/sh
case "$*" in
  *"appsettings list"*) cat "$0.settings" ;;
  *"identity show"*) cat "$0.identity" ;;
  *"role assignment list"*) cat "$0.roles" ;;
  *"event-subscription list"*) cat "$0.events" ;;
  *"deployment list"*) cat "$0.model" ;;
  *"get-access-token"*) echo "{\\"accessToken\\": \\"$4\\"}" ;;
  *) echo "ERROR: please run az login" >&2; exit 1 ;;
esac
"""


def subscription(name: str, type: str) -> dict[str, Any]:
    return {
        "name": name,
        "provisioningState": "Succeeded",
        "filter": {"includedEventTypes": [f"Microsoft.Storage.{type}"]},
        "destination": {"endpointBaseUrl": f"{VALUES['AZURE_FUNCTION_APP_URL']}/runtime/webhooks/blobs"},
    }


def healthy() -> dict[str, Any]:
    listed = json.loads((azure_checks.INFRA / "settings.json").read_text())
    return {
        "settings": [{"name": name} for name in (*azure_checks.FIXED, *listed)],
        "identity": {"userAssignedIdentities": {"/id": {"principalId": "1"}}},
        "roles": [{"roleDefinitionName": role} for role in azure_checks.ROLES],
        "events": [subscription("document-created", "BlobCreated"), subscription("document-deleted", "BlobDeleted")],
        "model": [{"name": "gpt-4.1-mini"}],
    }


@pytest.fixture
def azure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model_service: str) -> Callable[..., dict[str, Finding]]:
    """Findings for an `az` that answers as for a healthy deployment, except for the faults a test plants."""

    def findings(scope: str = "", **planted: Any) -> dict[str, Finding]:
        az = tmp_path / "az"
        az.write_text(AZ)
        az.chmod(az.stat().st_mode | stat.S_IXUSR)
        for name, content in {**healthy(), **planted}.items():
            Path(f"{az}.{name}").write_text(json.dumps(content))
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        values = {**VALUES, "OPENAI_BASE_URL": model_service, **({"OPENAI_SCOPE": scope} if scope else {})}
        return by_name(check_resources(values, VALUES["AZURE_FUNCTION_APP_URL"]))

    return findings


class ModelService(http.server.BaseHTTPRequestHandler):
    """Takes tokens of one audience. The `az` of these tests gives the scope as the token."""

    def do_GET(self) -> None:
        taken = self.headers["Authorization"] == "Bearer https://cognitiveservices.azure.com/.default"
        self.send_response((200 if self.path == "/openai/v1/models" else 404) if taken else 401)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def model_service() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), ModelService) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/openai/v1/"
        server.shutdown()
        thread.join()


def test_the_scope_that_the_service_takes_is_found(azure: Callable[..., dict[str, Finding]]) -> None:
    other = "https://cognitiveservices.azure.com/.default"
    found = azure()["token scope"]
    assert f"azd env set OPENAI_SCOPE {other}" in found.fix
    assert "https://ai.azure.com/.default answers 401" in found.detail
    assert azure(scope=other)["token scope"].ok


def test_a_key_from_key_vault_is_no_secret_in_the_settings(azure: Callable[..., dict[str, Finding]]) -> None:
    reference = {"name": "OPENAI_API_KEY", "value": "@Microsoft.KeyVault(VaultName=kv;SecretName=openai-api-key)"}
    assert azure(settings=[*healthy()["settings"], reference])["settings"].ok


def test_a_healthy_deployment_has_no_problems(azure: Callable[..., dict[str, Finding]]) -> None:
    found = azure(scope="https://cognitiveservices.azure.com/.default")
    assert set(found) == {"settings", "roles", "events", "model", "token scope"}
    assert [each for each in found.values() if not each.ok] == []


@pytest.mark.parametrize(
    ("planted", "name", "detail", "fix"),
    [
        ({"roles": [{"roleDefinitionName": "Reader"}]}, "roles", "Storage Blob Data Owner", "azd provision"),
        ({"identity": {}}, "roles", "no identity", "azd provision"),
        ({"settings": [{"name": "OPENAI_MODEL"}]}, "settings", "missing: ", "azd provision"),
        (
            {"settings": [{"name": "OPENAI_API_KEY"}]},
            "settings",
            "settings: OPENAI_API_KEY",
            "--setting-names",
        ),
        ({"events": []}, "events", "no subscription document-created", "postdeploy.sh connect"),
        ({"events": [subscription("document-created", "BlobDeleted")]}, "events", "other event types", "connect"),
        ({"model": []}, "model", "no deployment gpt-4.1-mini", "azd provision"),
    ],
)
def test_a_fault_in_a_deployment_is_found(
    azure: Callable[..., dict[str, Finding]], planted: dict[str, Any], name: str, detail: str, fix: str
) -> None:
    found = azure(**planted)[name]
    assert detail in found.detail
    assert fix in found.fix


def test_a_missing_az_login_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    az = tmp_path / "az"
    az.write_text("#!/bin/sh\necho 'ERROR: Please run az login' >&2\nexit 1\n")
    az.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    found = by_name(check_resources(VALUES, VALUES["AZURE_FUNCTION_APP_URL"]))
    assert found["settings"] == Finding(name="settings", detail="ERROR: Please run az login", fix="az login")


def test_the_doctor_knows_the_settings_and_roles_of_the_templates() -> None:
    template = (azure_checks.INFRA / "modules" / "app.bicep").read_text()
    assert [name for name in azure_checks.FIXED if f"  {name}: " not in template] == []
    from tests.infra.checks import ROLES

    needed = {role for who, role, on in ROLES if who in ("appPrincipalId", "principalId") and on != "vault"}
    assert set(azure_checks.ROLES) == needed  # only a deployment with secrets has a vault
