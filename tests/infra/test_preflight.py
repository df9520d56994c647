"""What the hook finds before azd creates anything, against a stub of `az` that records what it is asked."""

import importlib.util
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import pytest

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

    def __init__(self, *, flex: tuple[str, ...], quota: Mapping[str, int]) -> None:
        self.flex = flex
        self.quota = quota
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, *arguments: str) -> Any:
        self.asked.append(arguments)
        if arguments == ("functionapp", "list-flexconsumption-locations"):
            return [{"name": name} for name in self.flex]
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
