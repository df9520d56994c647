"""The Logic Apps and the connector match their schemas, and use routes and fields that the app has."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from local.stack.stack import Stack
from shared.http.shapes.runs import QuestionBody
from tests.infra.tools import INFRA, run

SAMPLES = INFRA / "samples"
SCHEMA = Path(__file__).with_name("schemas") / "workflow.json"
CONSUMPTION = sorted((SAMPLES / "logic-app-consumption").glob("*.json"))
STANDARD = sorted((SAMPLES / "logic-app-standard").glob("*/workflow.json"))

Json = dict[str, Any]

VALIDATE = """
import json, sys
from jsonschema import Draft202012Validator
schema, document = (json.load(open(path)) for path in sys.argv[1:])
for error in Draft202012Validator(schema).iter_errors(document):
    print(error.json_path, error.message[:200])
"""
VALIDATE_OPENAPI = """
import json, sys
from openapi_spec_validator import OpenAPIV2SpecValidator
for error in OpenAPIV2SpecValidator(json.load(open(sys.argv[1]))).iter_errors():
    print(error.message[:200])
"""


def definition(path: Path) -> Json:
    content: Json = json.loads(path.read_text())
    inner: Json = content.get("definition", content)
    return inner


def schema_faults(workflow: Json, folder: Path) -> list[str]:
    document = folder / "workflow.json"
    document.write_text(json.dumps(workflow))
    result = run("python", "-c", VALIDATE, SCHEMA, document)
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


def reference_faults(workflow: Json, parameters: set[str]) -> Iterator[str]:
    """References of actions to actions, parameters and variables that do not exist."""
    actions = dict(all_actions(workflow["actions"]))
    for siblings in scopes(workflow["actions"]):
        for name, action in siblings.items():
            yield from (f"{name} runs after {other}" for other in action["runAfter"] if other not in siblings)
    text = json.dumps(workflow)
    for name in re.findall(r"\b(?:body|outputs|actions|items)\('(\w+)'\)", text):
        if name not in actions:
            yield f"no action {name}"
    yield from (
        f"no parameter {name}" for name in re.findall(r"parameters\('([$\w]+)'\)", text) if name not in parameters
    )
    made = {
        variable["name"] for action in actions.values() for variable in action.get("inputs", {}).get("variables", [])
    }
    yield from (f"no variable {name}" for name in re.findall(r"variables\('(\w+)'\)", text) if name not in made)


def scopes(actions: Json) -> Iterator[Json]:
    yield actions
    for action in actions.values():
        for inner in (action.get("actions"), action.get("else", {}).get("actions")):
            if inner:
                yield from scopes(inner)


def all_actions(actions: Json) -> Iterator[tuple[str, Json]]:
    for scope in scopes(actions):
        yield from scope.items()


def parameters_of(path: Path) -> set[str]:
    if path in STANDARD:
        return set(json.loads((SAMPLES / "logic-app-standard" / "parameters.json").read_text()))
    return set(definition(path)["parameters"])


@pytest.mark.parametrize("path", [*CONSUMPTION, *STANDARD], ids=lambda path: str(path.relative_to(SAMPLES)))
def test_the_workflows_match_the_schema(path: Path, tmp_path: Path) -> None:
    assert schema_faults(definition(path), tmp_path) == []
    assert list(reference_faults(definition(path), parameters_of(path))) == []


def test_both_samples_exist_for_both_plans() -> None:
    assert len(CONSUMPTION) == len(STANDARD) == 2
    for path in STANDARD:
        assert json.loads(path.read_text())["kind"] == "Stateful"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('"type": "Http"', '"type": "HTTP"', "is not one of"),
        ('"method": "POST", "uri"', '"methods": "POST", "uri"', "required"),
        ('"Succeeded"', '"Success"', "is not one of"),
        ('"runStatus": "Failed"', '"runStatus": "Bad"', "is not one of"),
    ],
)
def test_a_fault_in_a_workflow_is_found(tmp_path: Path, old: str, new: str, expected: str) -> None:
    found = []
    for path in CONSUMPTION:
        text = json.dumps(definition(path))
        if old in text:
            found += schema_faults(json.loads(text.replace(old, new, 1)), tmp_path)
    assert any(expected in fault for fault in found), found


def test_a_reference_to_a_missing_action_is_found() -> None:
    text = json.dumps(definition(CONSUMPTION[0]))
    faulty = json.loads(
        text.replace("body('Get_chart')", "body('Get_graph')").replace('{"Get_chart": [', '{"Graph": [')
    )
    found = list(reference_faults(faulty, {"appUrl", "functionKey", "$connections"}))
    assert found == ["Attach_chart runs after Graph", "no action Get_graph"]


@pytest.mark.parametrize("path", [*CONSUMPTION, *STANDARD], ids=lambda path: str(path.relative_to(SAMPLES)))
def test_the_workflows_call_the_api_correctly(path: Path) -> None:
    """They send fields of POST /api/runs, pass the key in the query, hide it in the run history, and retry no POST."""
    asked = [
        (name, action, action["inputs"].get("subscribe", action["inputs"]))
        for name, action in all_actions(definition(path)["actions"])
        if action["type"] in ("Http", "HttpWebhook")
    ]
    posts = [(name, action, http) for name, action, http in asked if http["method"] == "POST"]
    assert len(posts) == 1
    for _, action, http in posts:
        assert http["uri"].endswith("'/api/runs')")
        assert http["queries"] == {"code": "@parameters('functionKey')"}
        known = set(QuestionBody.__struct_fields__)
        assert http["body"].keys() <= known
        assert action["type"] == "HttpWebhook" or http["retryPolicy"] == {"type": "none"}
    for _, action, _ in asked:
        assert set(action["runtimeConfiguration"]["secureData"]["properties"]) == {"inputs", "outputs"}


@pytest.mark.acceptance
def test_the_connector_definition_is_openapi_2(stack: Stack, tmp_path: Path) -> None:
    answer = httpx2.get(f"{stack.app_url}/api/swagger.json", trust_env=False)
    if answer.status_code == 404:
        pytest.skip("this version of the app has no connector definition")
    assert answer.status_code == 200
    assert len(answer.content) < 1_000_000
    document = tmp_path / "swagger.json"
    document.write_bytes(answer.content)
    result = run("python", "-c", VALIDATE_OPENAPI, document)
    assert (result.stdout, result.returncode) == ("", 0), result.stderr
    swagger = answer.json()
    assert swagger["swagger"] == "2.0"
    key, *_ = swagger["securityDefinitions"].values()
    assert (key["type"], key["in"], key["name"]) == ("apiKey", "header", "x-functions-key")
    properties = json.loads((SAMPLES / "power-automate" / "apiProperties.json").read_text())
    assert properties["properties"]["connectionParameters"].keys() <= swagger["securityDefinitions"].keys() | {
        "api_key"
    }


def test_the_connector_check_rejects_openapi_3(tmp_path: Path) -> None:
    document = tmp_path / "openapi.json"
    document.write_text('{"openapi": "3.0.0", "info": {"title": "x", "version": "1"}, "paths": {}}')
    assert run("python", "-c", VALIDATE_OPENAPI, document).stdout
