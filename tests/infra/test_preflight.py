"""What the hook finds before azd creates anything, against a stub of `az` that records what it is asked."""

import importlib.util
import os
import re
import stat
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.infra.azure_cli import undocumented
from tests.infra.tools import INFRA


@pytest.fixture(scope="module")
def preflight() -> ModuleType:
    spec = importlib.util.spec_from_file_location("preflight", INFRA / "scripts" / "preflight.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Az:
    """Answers as the Azure CLI does. `quota`: region -> thousands of tokens per minute that are left."""

    def __init__(
        self,
        *,
        flex: tuple[str, ...],
        quota: Mapping[str, int],
        topics: Sequence[Mapping[str, Any]] = (),
        deployed: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self.flex = flex
        self.quota = quota
        self.topics = topics
        self.deployed = deployed
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, *arguments: str) -> Any:
        self.asked.append(arguments)
        assert list(undocumented(arguments)) == []
        if arguments == ("functionapp", "list-flexconsumption-locations"):
            return [{"name": name} for name in self.flex]
        if arguments == ("eventgrid", "system-topic", "list", "--resource-group", "rg-shared"):
            return self.topics
        if arguments[:4] == ("cognitiveservices", "account", "deployment", "list"):
            assert arguments[4:] == ("--name", "oai-1", "--resource-group", "rg-1"), arguments
            return self.deployed
        assert arguments[:4] == ("cognitiveservices", "usage", "list", "--location"), arguments
        left = self.quota.get(arguments[4])
        if left is None:
            return []
        name = {"value": "OpenAI.GlobalStandard.gpt-5.4-mini"}
        return [{"name": name, "limit": 500.0, "currentValue": 500.0 - left}]


HERE = {"AZURE_LOCATION": "swedencentral"}
BOTH = {"swedencentral": 100, "eastus2": 500, "westus3": 10}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("20.1.2.3/32", "one by one: azd env set ALLOWED_IPS 20.1.2.3"),
        ("20.1.2.4/31", "20.1.2.4,20.1.2.5"),
        ("20.1.2.3, 2001:db8::1", "IPv4"),
        ("10.0.0.1", "not public"),
        ("192.168.1.0/24", "not public"),
        ("my-office", "no IPv4 address"),
    ],
)
def test_addresses_that_storage_refuses(
    preflight: ModuleType, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    assert preflight.main({"ALLOWED_IPS": text}, lambda *_: None) == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "20.1.2.3", "20.1.2.3,20.1.3.0/24", "20.1.2.0/30 , 20.9.9.9"])
def test_addresses_that_storage_takes(preflight: ModuleType, text: str) -> None:
    assert preflight.main({"ALLOWED_IPS": text}, lambda *_: None) == 0


def test_lists_reach_the_template_without_spaces_and_empty_entries() -> None:
    """As preflight reads them: Storage refuses ` 20.9.9.9`, and a page's origin with a space matches nothing."""
    text = (INFRA / "main.bicepparam").read_text()
    for name, listed in re.findall(r"^var (\w+) = split\(readEnvironmentVariable\('(\w+)', ''\), ','\)$", text, re.M):
        given = rf"filter\(map\({name}, (\w+) => trim\(\1\)\), (\w+) => !empty\(\2\)\)$"
        assert re.search(rf"^param \w+ = {given}", text, re.M), listed
    assert text.count("split(") == 2


def test_a_region_with_both_passes_with_two_questions(preflight: ModuleType) -> None:
    az = Az(flex=("swedencentral",), quota=BOTH)
    assert preflight.main(HERE, az) == 0
    assert len(az.asked) == 2


@pytest.mark.parametrize(
    ("flex", "quota", "said"),
    [
        (("eastus2", "westus3"), BOTH, ["swedencentral does not have the Flex", "Use one of: eastus2 "]),
        (("swedencentral", "eastus2"), {**BOTH, "swedencentral": 20}, ["20 thousand", "eastus2", "MODEL_CAPACITY 20"]),
        (("swedencentral", "eastus2"), {"eastus2": 50}, ["no quota at all", "eastus2"]),
        (("swedencentral",), {}, ["no quota at all", "No other region has both"]),
    ],
    ids=["no Flex", "too little quota", "no quota", "nowhere"],
)
def test_a_region_that_does_not_do(
    preflight: ModuleType,
    capsys: pytest.CaptureFixture[str],
    flex: tuple[str, ...],
    quota: Mapping[str, int],
    said: list[str],
) -> None:
    assert preflight.main(HERE, Az(flex=flex, quota=quota)) == 1
    err = capsys.readouterr().err
    assert all(words in err for words in said), err


def test_an_existing_account_needs_no_quota(preflight: ModuleType) -> None:
    environ = {**HERE, "EXISTING_OPENAI_NAME": "mine"}
    assert preflight.main(environ, Az(flex=("swedencentral",), quota={})) == 0


def test_without_az_nothing_is_claimed(preflight: ModuleType) -> None:
    assert preflight.main(HERE, lambda *_: None) == 0


@pytest.mark.parametrize(("days", "code"), [("0", 0), ("", 0), ("30", 0), ("29", 1), ("x", 1)])
def test_records_are_kept_longer_than_a_run_may_wait(preflight: ModuleType, days: str, code: int) -> None:
    assert preflight.main({"RECORDS_DAYS": days}, lambda *_: None) == code


def test_the_regions_are_those_of_the_template(preflight: ModuleType) -> None:
    regions = preflight.allowed_regions((INFRA / "main.bicep").read_text())
    assert {"swedencentral", "eastus2"} <= set(regions)
    assert len(regions) > 10


DEPLOYED = {"AZURE_OPENAI_NAME": "oai-1", "AZURE_RESOURCE_GROUP": "rg-1", "OPENAI_MODEL": "chat"}


def deployment(name: str, model: str, sku: str, capacity: int) -> dict[str, Any]:
    return {"name": name, "properties": {"model": {"name": model}}, "sku": {"name": sku, "capacity": capacity}}


@pytest.mark.parametrize(
    ("deployed", "code"),
    [
        (deployment("chat", "gpt-5.4-mini", "GlobalStandard", 50), 0),
        (deployment("chat", "gpt-5.4-mini", "GlobalStandard", 40), 1),
        (deployment("chat", "gpt-5.4-mini", "Standard", 50), 1),
        (deployment("chat", "gpt-5.4", "GlobalStandard", 50), 1),
        (deployment("other", "gpt-5.4-mini", "GlobalStandard", 50), 1),
    ],
    ids=["the same", "less", "another SKU", "another model", "another deployment"],
)
def test_a_repeated_deployment_keeps_the_quota_that_it_has(
    preflight: ModuleType, deployed: Mapping[str, Any], code: int
) -> None:
    az = Az(flex=("swedencentral",), quota={"swedencentral": 0}, deployed=[deployed])
    assert preflight.main({**HERE, **DEPLOYED}, az) == code


STORAGE = {
    "EXISTING_STORAGE_NAME": "MyStorage",
    "EXISTING_STORAGE_RESOURCE_GROUP": "rg-shared",
    "AZURE_ENV_NAME": "dev",
}
SOURCE = "/subscriptions/1/resourceGroups/rg-shared/providers/Microsoft.Storage/storageAccounts/mystorage"
IDENTITY = {"type": "SystemAssigned"}


@pytest.mark.parametrize(
    ("topic", "named", "said"),
    [
        ({"identity": IDENTITY, "tags": None}, "", "azd env set EXISTING_TOPIC_NAME defender"),
        ({"identity": IDENTITY, "tags": {"azd-env-name": "prod"}}, "", "azd env set EXISTING_TOPIC_NAME defender"),
        ({"identity": IDENTITY}, "another", "azd env set EXISTING_TOPIC_NAME defender"),
        ({"identity": None}, "defender", "-n defender --identity systemassigned"),
        ({"identity": {"type": "UserAssigned"}}, "defender", "-n defender --identity systemassigned"),
        ({"identity": IDENTITY}, "defender", ""),
        ({"identity": IDENTITY, "tags": {"azd-env-name": "dev"}}, "", ""),
        ({"identity": None, "source": f"{SOURCE}2"}, "", ""),
    ],
    ids=[
        "Defender's",
        "of another environment",
        "misnamed",
        "no identity",
        "other identity",
        "named",
        "own",
        "elsewhere",
    ],
)
def test_a_topic_that_exists_is_named_before_anything_is_made(
    preflight: ModuleType, capsys: pytest.CaptureFixture[str], topic: Mapping[str, Any], named: str, said: str
) -> None:
    az = Az(flex=(), quota={}, topics=[{"name": "defender", "source": SOURCE, **topic}])
    assert preflight.main({**STORAGE, "EXISTING_TOPIC_NAME": named}, az) == (1 if said else 0)
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("MODEL_CAPACITY", "50k", 1),
        ("ALWAYS_READY_BLOB", "one", 1),
        ("BUDGET_AMOUNT", "-5", 1),
        ("HTTP_CONCURRENCY", "1.5", 1),
        ("PRIVATE_NETWORK", "yes", 1),
        ("PRIVATE_NETWORK", "0", 1),
        ("PRIVATE_NETWORK", "", 0),
        ("PRIVATE_NETWORK", "True", 0),
        ("MODEL_CAPACITY", "", 0),
    ],
)
def test_a_value_of_another_kind_is_named(
    preflight: ModuleType, capsys: pytest.CaptureFixture[str], name: str, value: str, code: int
) -> None:
    az = Az(flex=("swedencentral",), quota=BOTH)
    assert preflight.main({**HERE, name: value}, az) == code
    assert (f"azd env set {name}" in capsys.readouterr().err) == bool(code)


STUB = """#!/bin/sh
echo "$*" >> "$AZ_LOG"
case "$*" in
  *list-flexconsumption-locations*) echo '[{"name": "Sweden Central"}]' ;;
  *"usage list"*)
    echo '[{"name": {"value": "OpenAI.GlobalStandard.gpt-5.4-mini"}, "limit": 9.0, "currentValue": 1.0}]' ;;
  *) echo "ERROR: Please run 'az login' to setup account." >&2; exit 1 ;;
esac
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the hook for Windows is the .ps1 beside it")
def test_the_hook_asks_the_azure_cli(tmp_path: Path) -> None:
    az = tmp_path / "az"
    az.write_text(STUB)
    az.chmod(az.stat().st_mode | stat.S_IXUSR)
    environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "AZ_LOG": str(tmp_path / "log"), **HERE, **STORAGE}
    hook = ["sh", str(INFRA / "scripts" / "preflight.sh")]
    result = subprocess.run(hook, capture_output=True, text=True, check=False, env=environ, timeout=120)
    assert result.returncode == 1
    assert "swedencentral has 8 thousand tokens per minute left" in result.stderr
    asked = [line.split() for line in (tmp_path / "log").read_text().splitlines()]
    assert [fault for words in asked for fault in undocumented(words)] == []
    assert {words[0] for words in asked} == {"functionapp", "cognitiveservices", "eventgrid"}
