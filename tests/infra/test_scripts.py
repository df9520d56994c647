"""The script that runs after a deployment: against the local stack, and against a fake `az` that fails at first."""

import http.server
import importlib.util
import json
import os
import re
import stat
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest
from azure.storage.blob import BlobServiceClient, ContainerSasPermissions, generate_container_sas

from local.stack.azurite import ACCOUNT
from local.stack.stack import Stack
from tests.infra.azure_cli import undocumented
from tests.infra.tools import INFRA, read_yaml, run

SCRIPTS = INFRA / "scripts"

# A fake Azure CLI. The deployment fails as often as the file AZ_FAILURES says; AZ_LOG gets all arguments.
AZ = """#!/bin/sh
echo "$@" >> "$AZ_LOG"
left=$(cat "$AZ_FAILURES")
case "$*" in
  *systemKeys*) if [ -e "$AZ_KEY_READY" ]; then echo true; else touch "$AZ_KEY_READY"; echo false; fi ;;
  *"deployment group create"*)
    if [ "$left" -gt 0 ]; then
      echo $((left - 1)) > "$AZ_FAILURES"
      echo "ERROR: Webhook validation handshake failed" >&2
      exit 1
    fi ;;
  *) echo "unknown: $*" >&2; exit 2 ;;
esac
"""


def script(*arguments: str, environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = ["sh", str(SCRIPTS / "postdeploy.sh"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environ, timeout=180)


def documents_url(stack: Stack) -> str:
    sas = generate_container_sas(
        ACCOUNT,
        "documents",
        account_key=stack.azurite.account_key,
        permission=ContainerSasPermissions(write=True, create=True, delete=True),
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )
    return f"{stack.azurite.blob_endpoint}/documents?{sas}"


@pytest.mark.acceptance
def test_prove_uploads_asks_prints_and_cleans_up(stack: Stack) -> None:
    result = script("prove", "--url", stack.app_url, "--documents", documents_url(stack), "--every-s", "0.2")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "The password of the proof room is" in result.stdout
    assert "US dollars" in result.stdout
    assert "The deployment works." in result.stdout
    with BlobServiceClient.from_connection_string(stack.azurite.connection_string) as service:
        assert list(service.get_container_client("documents").list_blob_names(name_starts_with="proof-")) == []


@pytest.mark.acceptance
def test_prove_reports_what_is_wrong(stack: Stack) -> None:
    url = documents_url(stack)
    quick = ("--every-s", "0.2", "--within-s", "1")
    no_app = script("prove", "--url", f"{stack.app_url}/no-such-place", "--documents", url, *quick)
    assert no_app.returncode == 1
    assert "Indexing: not within 1 s. GET /no-such-place/api/documents answers 404" in no_app.stderr
    no_right = script("prove", "--url", stack.app_url, "--documents", url.replace("sig=", "sig=x"), *quick)
    assert no_right.returncode == 1
    assert "403" in no_right.stderr
    assert "Storage Blob Data Contributor" in no_right.stderr


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/api/health" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def app_url() -> Iterator[str]:
    """The URL of an app that only answers /api/health."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_connect_waits_for_the_key_and_retries_the_handshake(tmp_path: Path, app_url: str) -> None:
    az = tmp_path / "bin" / "az"
    az.parent.mkdir()
    az.write_text(AZ)
    az.chmod(az.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "failures").write_text("2")
    environ = {
        "PATH": f"{az.parent}:{os.environ['PATH']}",
        "AZ_LOG": str(tmp_path / "log"),
        "AZ_FAILURES": str(tmp_path / "failures"),
        "AZ_KEY_READY": str(tmp_path / "ready"),
        "AZURE_RESOURCE_GROUP": "rg-test",
        "AZURE_STORAGE_RESOURCE_GROUP": "rg-storage",
        "AZURE_FUNCTION_APP_NAME": "func-test",
        "AZURE_FUNCTION_APP_URL": app_url,
        "AZURE_EVENT_GRID_TOPIC_NAME": "evgt-test",
        "AZURE_STORAGE_ACCOUNT_ID": "/subscriptions/1/storageAccounts/sttest",
    }
    result = script("connect", "--every-s", "0.05", environ=environ)
    assert result.returncode == 0, result.stderr
    asked = (tmp_path / "log").read_text().splitlines()
    assert len([line for line in asked if "systemKeys" in line]) == 2
    tries = [line for line in asked if "deployment group create" in line]
    assert len(tries) == 3
    for given in (
        "topicName=evgt-test",
        "storageId=/subscriptions/1/storageAccounts/sttest",
        "functionAppName=func-test",
        "functionAppResourceGroup=rg-test",
        "-g rg-storage",
    ):
        assert given in tries[-1]
    template = tries[-1].split("--template-file ")[1].split()[0]
    assert Path(template).resolve() == INFRA / "modules" / "created-events.bicep"
    assert "code=" not in " ".join(asked)
    assert [fault for line in asked for fault in undocumented(line.split())] == []


def test_connect_names_the_output_that_is_missing(tmp_path: Path) -> None:
    environ = {"PATH": os.environ["PATH"], "AZURE_FUNCTION_APP_NAME": "func-test"}
    result = script("connect", environ=environ)
    assert result.returncode == 1
    assert "AZURE_FUNCTION_APP_URL is not in the azd environment" in result.stderr


@pytest.mark.parametrize(("failing", "advice"), [("az", "`az login`"), ("azd", "`azd auth login`")])
def test_a_command_that_fails_says_what_to_do(tmp_path: Path, failing: str, advice: str) -> None:
    """The values of the deployment come from `azd`, its key from `az`."""
    values = "AZURE_FUNCTION_APP_NAME=func-test\nAZURE_RESOURCE_GROUP=rg-test\n"
    for name, said in (("azd", f"printf '{values}'"), ("az", "true")):
        command = tmp_path / name
        command.write_text("#!/bin/sh\n" + ("echo 'ERROR: not signed in' >&2; exit 1" if name == failing else said))
        command.chmod(command.stat().st_mode | stat.S_IXUSR)
    result = script("prove", environ={"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert result.returncode == 1
    assert "ERROR: not signed in" in result.stderr
    assert advice in result.stderr


def test_the_templates_have_the_names_that_the_script_uses() -> None:
    """The variables are outputs of main.bicep, and the parameters are those of the template that the script deploys."""
    text = (SCRIPTS / "postdeploy.py").read_text()
    outputs = {
        line.split()[1] for line in (INFRA / "main.bicep").read_text().splitlines() if line.startswith("output ")
    }
    read = set(re.findall(r'"(AZURE_\w+)"', text))
    assert read
    assert read <= outputs
    template = (INFRA / "modules" / "created-events.bicep").read_text()
    parameters = {line.split()[1] for line in template.splitlines() if line.startswith("param ")}
    assert parameters == {"topicName", "storageId", "functionAppName", "functionAppResourceGroup"}


@pytest.fixture(scope="module")
def postdeploy() -> ModuleType:
    spec = importlib.util.spec_from_file_location("postdeploy", SCRIPTS / "postdeploy.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_an_answer_without_word_or_citation_is_rejected(postdeploy: ModuleType) -> None:
    run = {"markdown": "I do not know.", "answer": "I do not know.", "citations": [{}], "cost": None}
    with pytest.raises(postdeploy.Failed, match="does not hold the word 1234"):
        postdeploy.show(run, "1234")
    with pytest.raises(postdeploy.Failed, match="cites no document"):
        postdeploy.show({**run, "answer": "It is 1234.", "citations": []}, "1234")


def test_an_app_with_a_sign_in_gets_a_token(postdeploy: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postdeploy, "run", lambda *arguments: f"token of {arguments[4]}")
    monkeypatch.setattr(postdeploy, "app_keys", lambda *_: "key")
    names = ("AZURE_FUNCTION_APP_NAME", "AZURE_FUNCTION_APP_URL", "AZURE_STORAGE_BLOB_URL")
    for name in names:
        monkeypatch.setenv(name, f"https://{name}.example")
    sent: list[str | None] = []

    def send(method: str, url: str, headers: dict[str, str], body: object = None) -> tuple[int, object, bytes]:
        sent.append(headers.get("Authorization"))
        return 200, None, b'{"documents": []}'

    monkeypatch.setattr(postdeploy, "send", send)
    for client_id, expected in (("1234", "Bearer token of api://1234"), ("", None)):
        monkeypatch.setenv("AZURE_SIGN_IN_CLIENT_ID", client_id)
        app, _ = postdeploy.deployment(postdeploy.parse([]))
        assert postdeploy.listed(app, "c") == []
        assert sent[-1] == expected


def test_the_key_is_sent_only_to_the_app(postdeploy: ModuleType) -> None:
    app = postdeploy.App("https://func-test.azurewebsites.net", key="secret")
    with pytest.raises(postdeploy.Failed, match="which is not the app"):
        app.get("https://elsewhere.example.com/api/runs/run_1")


def test_shell_scripts_are_clean() -> None:
    result = run("shellcheck", "--severity=style", *SCRIPTS.glob("*.sh"))
    assert result.stdout == ""
    assert result.returncode == 0


def test_a_fault_in_a_shell_script_is_found(tmp_path: Path) -> None:
    (tmp_path / "bad.sh").write_text("#!/bin/sh\ncd $1\nrm -rf $2/*\n")
    assert "SC2086" in run("shellcheck", tmp_path / "bad.sh").stdout


PARSE_POWERSHELL = """
import sys, tree_sitter, tree_sitter_powershell
parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))
sys.exit(parser.parse(open(sys.argv[1], 'rb').read()).root_node.has_error)
"""


def test_powershell_scripts_parse(tmp_path: Path) -> None:
    scripts = list(SCRIPTS.glob("*.ps1"))
    assert scripts
    for path in scripts:
        assert run("python", "-c", PARSE_POWERSHELL, path).returncode == 0, path
    (tmp_path / "bad.ps1").write_text("if (Test-Path x { exit 1 }")
    assert run("python", "-c", PARSE_POWERSHELL, tmp_path / "bad.ps1").returncode == 1


def test_azd_finds_scripts_and_service() -> None:
    """The hooks of azure.yaml name existing scripts, and its service has the tag of the app in Azure."""
    project = read_yaml((INFRA.parent / "azure.yaml").read_text())
    for hook in [hook for moment in project["hooks"].values() for hook in moment.values()]:
        path = INFRA.parent / hook["run"]
        assert path.exists()
        assert hook["continueOnError"] is False
    assert list(project["hooks"]) == ["preprovision", "postdeploy"]
    assert all(os.access(script, os.X_OK) for script in SCRIPTS.glob("*.sh"))
    assert list(project["services"]) == ["app"]
    assert "'azd-service-name': 'app'" in (INFRA / "modules" / "app.bicep").read_text()
    assert json.dumps(project["infra"]) == json.dumps({"provider": "bicep", "path": "infra", "module": "main"})
