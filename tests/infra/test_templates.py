"""The templates parse, are consistent with one another and with the app, and are secure."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.infra import checks
from tests.infra.sign_in import sign_in
from tests.infra.tools import INFRA, NotBicep, Templates, run

Check = Callable[[Templates], Iterator[str]]


@pytest.fixture(scope="session")
def templates() -> Templates:
    return Templates(INFRA)


@pytest.mark.parametrize("check", (*checks.ALL, sign_in), ids=lambda check: check.__name__)
def test_the_templates_pass_the_checks(templates: Templates, check: Check) -> None:
    assert list(check(templates)) == []


def test_the_alert_on_runs_uses_events_of_the_app(templates: Templates) -> None:
    assert list(checks.run_alerts(templates)) == []


FAULTS = [
    ("modules/app.bicep", "OPENAI_MODEL:", "OPENAI_DEPLOYMENT:", checks.settings, "the app reads OPENAI_MODEL"),
    ("modules/app.bicep", "OPENAI_MODEL:", "OPENAI_DEPLOYMENT:", checks.settings, "sets OPENAI_DEPLOYMENT"),
    ("modules/app.bicep", "AZURE_CLIENT_ID:", "OPENAI_API_KEY:", checks.settings, "OPENAI_API_KEY must not"),
    ("settings.json", '"default": "3600"', '"default": "600"', checks.settings, "not the app's default"),
    ("settings.json", "RUN_MAX_S", "RUN_MAX", checks.settings, "the app reads RUN_MAX_S"),
    ("names.json", '"index_document"', '"index_documents"', checks.names, "not a blob trigger of the app"),
    ("names.json", '"indexing-poison"', '"indexing-poisoned"', checks.names, "indexing-poison is not created"),
    ("names.json", '"documents": "documents"', '"documents": "docs"', checks.names, "container documents"),
    ("modules/roles.bicep", "principalId: topicPrincipalId", "principalId: appPrincipalId", checks.roles, "lacks"),
    ("modules/insights-access.bicep", "'3913510d-", "'4913510d-", checks.roles, "Monitoring Metrics Publisher"),
    ("modules/openai-access.bicep", "a001fd3d-188f-4b5d-821b-7da978bf7442", "5e0bd9bd", checks.roles, "OpenAI Contr"),
    ("modules/containers.bicep", "publicAccess: 'None'", "publicAccess: 'Blob'", checks.locks, "publicAccess"),
    ("modules/storage.bicep", "allowSharedKeyAccess: false", "allowSharedKeyAccess: true", checks.locks, "Shared"),
    ("modules/storage.bicep", "bypass: 'AzureServices'", "bypass: 'None'", checks.locks, "bypass"),
    ("modules/app.bicep", "allow: false", "allow: true", checks.locks, "allow"),
    ("modules/app.bicep", "output id string = app.id", "output id string = listKeys(app.id, '1')", checks.locks, "key"),
    (
        "modules/app.bicep",
        "requireAuthentication: true",
        "requireAuthentication: false",
        sign_in,
        "not required",
    ),
    (
        "modules/app.bicep",
        "'/api/health'\n",
        "'/api/health'\n        '/api/runs'\n",
        sign_in,
        "/api/runs needs no",
    ),
    ("modules/app.bicep", "        '/runtime/webhooks/blobs'\n", "", sign_in, "blobs needs a sign-in"),
    ("modules/app.bicep", "            entraClientId\n", "            '*'\n", sign_in, "for other apps"),
    ("modules/storage.bicep", "            'PUT'\n", "            'GET'\n", sign_in, "may do more"),
    ("modules/storage.bicep", "allowedOrigins: corsOrigins", "allowedOrigins: ['*']", sign_in, "may do more"),
    ("modules/created-events.bicep", "'Microsoft.Storage.BlobCreated'", "", checks.events, "BlobCreated"),
    ("modules/created-events.bicep", "Host.Functions.${names", "${names", checks.events, "created calls"),
    ("modules/created-events.bicep", "documents}/blobs/'", "documents}'", checks.events, "end in /blobs/"),
    ("modules/deleted-events.bicep", "deadLetterWithResourceIdentity", "labels", checks.events, "loses"),
    ("queries/poison-messages.kql", '"fail_run"', '"fail_runs"', checks.alerts, "fail_runs"),
    ("queries/indexing-stands-still.kql", '"document.indexed"', '"documents.in"', checks.alerts, "documents.in"),
    (
        "modules/app.bicep",
        "      http20Enabled",
        "      ftpsState: 'Disabled'\n      http20Enabled",
        checks.flex,
        "ftpsState",
    ),
    ("modules/app.bicep", "      http20Enabled", "      alwaysOn: false\n      http20Enabled", checks.flex, "alwaysOn"),
    ("modules/app.bicep", "perInstanceConcurrency", "concurrency", checks.flex, "one HTTP request per instance"),
    ("names.json", '"advance_run"', '"advance_runs"', checks.flex, "runsFunction is no function"),
    ("settings.json", '"default": "629145600"', '"default": "900000000"', checks.flex, "more than an instance has"),
    (
        "settings.json",
        '"WAIT_MAX_S": { "type": "whole", "default": "10"',
        '"WAIT_MAX_S": { "type": "whole", "default": "30"',
        checks.flex,
        "waits for more",
    ),
    ("settings.json", '"default": "268435456"', '"default": "536870912"', checks.flex, "never fits"),
    (
        "main.bicep",
        "@secure()\nparam callbackSecret",
        "param callbackSecret",
        checks.secrets,
        "callbackSecret is not sec",
    ),
    ("main.bicep", "  CALLBACK_SECRET: callbackSecret\n", "", checks.secrets, "CALLBACK_SECRET is not kept"),
    ("main.bicep", "    overrides: appSettings", "    overrides: { A: openAiKey }", checks.secrets, "gives openAiKey"),
    ("modules/vault.bicep", "@secure()\n", "", checks.secrets, "secrets is not secure"),
    ("settings.json", '"type": "secret"', '"type": "text"', checks.secrets, "not of the type secret"),
    ("names.json", '"runs/", ', '"index/", ', checks.budget_and_lifecycle, "the lifecycle deletes index/"),
    ("main.bicep", "modules/topic.bicep", "modules/topics.bicep", checks.references, "does not exist"),
    ("main.bicep", "topic.outputs.principalId", "topic.outputs.principal", checks.references, "principal is"),
    ("main.bicep", "    closed: privateNetwork\n", "", checks.references, "its parameter closed"),
    ("main.bicep", "    email: alertEmail", "    mail: alertEmail", checks.references, "no parameter mail"),
    ("modules/app.bicep", "names.containers.package", "names.containers.packages", checks.references, "names.cont"),
    ("main.bicepparam", "param alertEmail", "param alertMail", checks.references, "no parameter alertMail"),
    ("modules/topic.bicep", "2025-02-15", "2025-04-01-preview", checks.api_versions, "preview"),
]


@pytest.mark.parametrize(
    ("path", "old", "new", "check", "expected"), FAULTS, ids=[f"{fault[0]}: {fault[1][:24]}" for fault in FAULTS]
)
def test_an_inserted_fault_is_found(tmp_path: Path, path: str, old: str, new: str, check: Check, expected: str) -> None:
    faulty = Templates(with_fault(tmp_path, path, old, new))
    found = list(check(faulty))
    assert found
    assert any(expected in fault for fault in found), found


def test_a_removed_role_is_found(tmp_path: Path) -> None:
    folder = with_fault(tmp_path, "modules/roles.bicep", "", "")
    path = folder / "modules/roles.bicep"
    text = path.read_text()
    begin = text.index("resource appQueues")
    path.write_text(text[:begin] + text[text.index("resource topicQueues") :])
    assert "appPrincipalId lacks Storage Queue Data Contributor on storage" in list(checks.roles(Templates(folder)))


def test_what_exists_is_not_set_up_again(templates: Templates) -> None:
    """Modules that make an account or a network are left out where the parameters name an existing one."""
    main = templates.text("main.bicep")
    for module, condition in {
        "storage": "makesStorage",
        "lifecycle": "makesStorage &&",
        "monitoring": "makesInsights",
        "openai": "makesOpenAi",
        "network": "makesNetwork",
    }.items():
        assert f"'modules/{module}.bicep' = if ({condition}" in main
    for type in ("Storage/storageAccounts", "Insights/components", "CognitiveServices/accounts"):
        made = {Path(path).stem for path, _, _ in templates.resources(f"Microsoft.{type}")}
        assert made <= {"storage", "monitoring", "openai"}


def test_a_syntax_error_is_found(tmp_path: Path) -> None:
    folder = with_fault(tmp_path, "modules/topic.bicep", "identity: {", "identity {")
    with pytest.raises(NotBicep, match=r"topic\.bicep"):
        _ = Templates(folder).trees


CHECKOV = ("checkov", "--framework", "bicep", "--quiet", "--compact", "--skip-download", "--output", "cli")


@pytest.mark.long
def test_checkov_reports_only_reviewed_exceptions() -> None:
    result = run(*CHECKOV, "--directory", INFRA)
    assert "Failed checks: 0" in result.stdout, result.stdout + result.stderr
    assert result.returncode == 0


@pytest.mark.long
def test_checkov_finds_an_inserted_fault(tmp_path: Path) -> None:
    folder = with_fault(tmp_path, "modules/storage.bicep", "minimumTlsVersion: 'TLS1_2'", "minimumTlsVersion: 'TLS1_0'")
    result = run(*CHECKOV, "--file", folder / "modules/storage.bicep")
    assert "CKV_AZURE_44" in result.stdout, result.stdout + result.stderr
    assert result.returncode == 1


def test_every_checkov_exception_has_a_reason() -> None:
    lines = [
        line for path in INFRA.rglob("*.bicep") for line in path.read_text().splitlines() if "checkov:skip" in line
    ]
    assert lines
    assert all(len(line.split(":")[-1].split()) > 5 for line in lines), lines


def with_fault(tmp_path: Path, path: str, old: str, new: str) -> Path:
    """A copy of infra/ with `old` replaced by `new` in one file."""
    folder = tmp_path / "infra"
    shutil.copytree(INFRA, folder)
    text = (folder / path).read_text()
    assert old in text, f"{path} no longer has {old!r}: insert the fault elsewhere"
    (folder / path).write_text(text.replace(old, new, 1))
    return folder
