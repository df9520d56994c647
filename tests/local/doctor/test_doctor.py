"""The doctor says what is wrong, and the command that mends it: each fault was planted."""

import dataclasses
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from azure.storage.queue import QueueServiceClient

from local.doctor import azure as doctor_azure
from local.doctor import laptop as doctor
from local.doctor.finding import Finding
from local.settings import Service
from local.stack import provision
from local.stack.azurite import Azurite
from local.stack.stack import Stack
from local.terminal import Terminal


def by_name(findings: Iterator[Finding]) -> dict[str, Finding]:
    return {found.name: found for found in findings}


# ---- the laptop --------------------------------------------------------------------------------------------------


def test_a_stack_that_is_well_is_well_to_the_last_line(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    running = stack.running()
    assert [found for found in doctor.laptop(running, deep=True) if not found.well] == []
    names = set(by_name(doctor.laptop(running, deep=False)))
    assert {"azurite", "emulator", "functions host", "model", "containers", "queues", "app", "clock"} <= names
    assert doctor.report(Terminal(), doctor.laptop(running, deep=False)) == 0
    assert "Everything that was looked at is well." in capsys.readouterr().out


def test_settings_that_name_another_service_are_found(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.settings(stack.service).well
    monkeypatch.setenv("OPENAI_BASE_URL", "https://elsewhere.openai.azure.com/openai/v1/")
    assert "OPENAI_MODEL is not" in doctor.settings(stack.service).said
    monkeypatch.setenv("OPENAI_MODEL", "gpt")
    assert doctor.settings(stack.service).mend == doctor.RESTART


def test_the_command_says_what_is_wrong_and_ends_with_1(tmp_path: Path, plain_environ: dict[str, str]) -> None:
    environ = {**plain_environ, "LOCAL_STATE": str(tmp_path)}
    for arguments, said in (([], "No local stack is running"), (["--url", "http://127.0.0.1:1"], "WRONG")):
        command = [sys.executable, "-m", "local", "doctor", *arguments]
        result = subprocess.run(command, cwd=doctor.ROOT, env=environ, capture_output=True, text=True, check=False)
        assert result.returncode == 1
        assert said in result.stdout


def test_a_process_that_has_ended_is_found(stack: Stack) -> None:
    running = dataclasses.replace(stack.running(), pids={"emulator": 2**22 + 1})
    found = by_name(doctor.laptop(running, deep=False))["emulator"]
    assert (found.said, found.mend) == ("has ended", doctor.RESTART)


def test_a_missing_queue_and_a_poisoned_message_are_found(tmp_path: Path) -> None:
    with Azurite(log=tmp_path / "azurite.log") as azurite:
        provision.provision(azurite.connection_string)
        with QueueServiceClient.from_connection_string(azurite.connection_string) as queues:
            queues.delete_queue("indexing")
            queues.get_queue_client("runs-poison").send_message("{}")
        found = by_name(doctor.storage(azurite.connection_string))
    assert found["containers"].well
    assert found["queues"].said == "missing: indexing"
    assert not found["queues"].well
    assert found["poison queues"].said == "1 in runs-poison"
    assert not found["poison queues"].well


def test_storage_that_does_not_answer_is_found(azurite: Azurite) -> None:
    gone = azurite.connection_string.replace(str(azurite.ports[0]), "1")
    [found] = doctor.storage(gone)
    assert not found.well


@pytest.mark.parametrize(
    ("service", "mend"),
    [
        (Service(base_url="http://127.0.0.1:1/v1/", api_key="k", model="m"), "curl http://127.0.0.1:1/v1/models"),
        (Service.emulated("http://127.0.0.1:1"), doctor.RESTART),
    ],
)
def test_a_model_service_that_does_not_answer_is_found(service: Service, mend: str) -> None:
    found = doctor.service(service)
    assert not found.well
    assert mend in found.mend


def test_a_service_at_another_path_is_found(stack: Stack) -> None:
    service = Service(base_url=f"{stack.emulator_url}/wrong/", api_key="k", model="m")
    assert "/openai/v1/" in doctor.service(service).mend


# ---- an app by its URL -------------------------------------------------------------------------------------------


def test_a_deployment_is_looked_at_by_its_url(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    found = by_name(doctor.deployment(stack.app_url, key="", deep=False))
    assert found["app"].well
    assert found["clock"].well
    assert found["documents"].well
    assert found["resources"].said == "not looked at: there is no Azure CLI on PATH"


def test_the_flow_of_a_deployment_is_proved_only_there(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    elsewhere = {"AZURE_FUNCTION_APP_NAME": "func-other", "AZURE_FUNCTION_APP_URL": "https://other.azurewebsites.net"}
    found = by_name(doctor.deployment(stack.app_url, key="", deep=True, environ=elsewhere))["event flow"]
    assert "DOCUMENTS_URL=" in found.mend


def test_an_app_that_does_not_answer_is_found() -> None:
    [found] = doctor.app("http://127.0.0.1:1", key="", mend="start it")
    assert (found.well, found.mend) == (False, "start it")


def test_a_clock_that_is_off_is_found() -> None:
    date = "Sun, 22 Nov 2026 12:00:00 GMT"
    noon_s = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()
    assert doctor.clock(date, now=lambda: noon_s + 3).well
    assert not doctor.clock(date, now=lambda: noon_s + 1000).well


def answer(status: int, body: Any) -> httpx2.Response:
    return httpx2.Response(status, json=body)


def document(status: str, *, age: timedelta) -> dict[str, str]:
    return {"path": "a.pdf", "status": status, "updated_at": (datetime.now(UTC) - age).isoformat()}


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (answer(401, {}), "another function key"),
        (answer(500, {"detail": "no identity"}), "no identity"),
        (answer(404, {}), "answers 404"),
        (answer(200, {"documents": [document("indexing", age=timedelta(hours=1))]}), "1 got stuck, such as a.pdf"),
    ],
)
def test_what_the_documents_say_is_understood(response: httpx2.Response, said: str) -> None:
    found = doctor.documents(response)
    assert not found.well
    assert said in found.said


def test_documents_that_are_done_or_young_are_well() -> None:
    documents = [document("failed", age=timedelta(days=1)), document("indexing", age=timedelta(minutes=1))]
    assert doctor.documents(answer(200, {"documents": documents})).well


def test_the_deep_check_is_read_in_either_shape() -> None:
    named = {"checks": {"storage": {"status": "ok"}, "model": {"status": "failed", "detail": "401: wrong audience"}}}
    listed = {
        "checks": [{"name": "storage", "ok": True}, {"name": "model", "ok": False, "detail": "401: wrong audience"}]
    }
    for body in (named, listed):
        found = by_name(doctor.deep_health(answer(503, body)))
        assert found["app: storage"].well
        assert found["app: model"].said == "401: wrong audience"
        assert "OPENAI_SCOPE" in found["app: model"].mend


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
    listed = json.loads((doctor_azure.INFRA / "settings.json").read_text())
    return {
        "settings": [{"name": name} for name in (*doctor_azure.FIXED, *listed)],
        "identity": {"userAssignedIdentities": {"/id": {"principalId": "1"}}},
        "roles": [{"roleDefinitionName": role} for role in doctor_azure.ROLES],
        "events": [subscription("document-created", "BlobCreated"), subscription("document-deleted", "BlobDeleted")],
        "model": [{"name": "gpt-4.1-mini"}],
    }


@pytest.fixture
def azure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Finding]]:
    """What is found where `az` answers as for a healthy deployment, but for what a test plants."""

    def looked_at(**planted: Any) -> dict[str, Finding]:
        az = tmp_path / "az"
        az.write_text(AZ)
        az.chmod(az.stat().st_mode | stat.S_IXUSR)
        for name, content in {**healthy(), **planted}.items():
            Path(f"{az}.{name}").write_text(json.dumps(content))
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        return by_name(doctor_azure.resources(VALUES, VALUES["AZURE_FUNCTION_APP_URL"]))

    return looked_at


def test_a_healthy_deployment_is_well(azure: Callable[..., dict[str, Finding]]) -> None:
    found = azure()
    assert set(found) == {"settings", "roles", "events", "model"}
    assert [each for each in found.values() if not each.well] == []


@pytest.mark.parametrize(
    ("planted", "name", "said", "mend"),
    [
        ({"roles": [{"roleDefinitionName": "Reader"}]}, "roles", "Storage Blob Data Owner", "azd provision"),
        ({"identity": {}}, "roles", "no identity", "azd provision"),
        ({"settings": [{"name": "OPENAI_MODEL"}]}, "settings", "missing: ", "azd provision"),
        ({"settings": [{"name": "OPENAI_API_KEY"}]}, "settings", "keys: OPENAI_API_KEY", "--setting-names"),
        ({"events": []}, "events", "no subscription document-created", "postdeploy.sh connect"),
        ({"events": [subscription("document-created", "BlobDeleted")]}, "events", "other events", "connect"),
        ({"model": []}, "model", "no deployment gpt-4.1-mini", "azd provision"),
    ],
)
def test_a_fault_in_a_deployment_is_found(
    azure: Callable[..., dict[str, Finding]], planted: dict[str, Any], name: str, said: str, mend: str
) -> None:
    found = azure(**planted)[name]
    assert said in found.said
    assert mend in found.mend


def test_an_az_without_a_login_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    az = tmp_path / "az"
    az.write_text("#!/bin/sh\necho 'ERROR: Please run az login' >&2\nexit 1\n")
    az.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    found = by_name(doctor_azure.resources(VALUES, VALUES["AZURE_FUNCTION_APP_URL"]))
    assert found["settings"] == Finding(name="settings", said="ERROR: Please run az login", mend="az login")


def test_the_doctor_knows_the_settings_and_roles_of_the_templates() -> None:
    template = (doctor_azure.INFRA / "modules" / "app.bicep").read_text()
    assert [name for name in doctor_azure.FIXED if f"  {name}: " not in template] == []
    from tests.infra.checks import ROLES

    assert set(doctor_azure.ROLES) == {role for who, role, _ in ROLES if who in ("appPrincipalId", "principalId")}
