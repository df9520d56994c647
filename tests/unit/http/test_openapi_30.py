"""Schemas of OpenAPI 3.1 in the dialect of 3.0, and the document of 3.0."""

import copy
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from local.paths import ROOT
from shared.http.openapi_30 import document_30, schema_30
from tests.unit.http.descriptions import DOCUMENTS, Json, schemas_in

PYTHON = ROOT / ".local" / "openapi-tools" / "bin" / "python"
REF = {"$ref": "#/components/schemas/Run"}
NULL = {"type": "null"}
NULLABLE = {"nullable": True}


@pytest.mark.parametrize(
    ("new", "old"),
    [
        (True, {}),
        (False, {"not": {}}),
        ({"type": "string", "maxLength": 3, "x-ms-visibility": "advanced"},) * 2,
        ({"type": ["string"]}, {"type": "string"}),
        ({"type": ["string", "null"], "minLength": 1}, {"type": "string", "minLength": 1, **NULLABLE}),
        (
            {"type": ["string", "integer", "null"]},
            {"anyOf": [{"type": "string", **NULLABLE}, {"type": "integer", **NULLABLE}]},
        ),
        (NULL, {"type": "string", "enum": [None], **NULLABLE}),
        ({"anyOf": [{"type": "string"}, NULL], "pattern": "x"}, {"type": "string", "pattern": "x", **NULLABLE}),
        ({"oneOf": [NULL, {"type": "integer"}]}, {"type": "integer", **NULLABLE}),
        (
            {"anyOf": [{"type": "string"}, {"type": "integer"}, NULL]},
            {"anyOf": [{"type": "string"}, {"type": "integer"}], **NULLABLE},
        ),
        ({"anyOf": [{"type": "string"}, NULL], "type": "string"}, {"type": "string"}),
        (
            {"anyOf": [{"type": "string", "maxLength": 9}, NULL], "maxLength": 5},
            {"maxLength": 5, "allOf": [{"type": "string", "maxLength": 9, **NULLABLE}], **NULLABLE},
        ),
        ({"anyOf": [{"enum": ["a", "b"]}, NULL]}, {"type": "string", "enum": ["a", "b", None], **NULLABLE}),
        (REF, REF),
        ({"anyOf": [REF, NULL]}, {"allOf": [REF], **NULLABLE}),
        ({**REF, "description": "One."}, {"allOf": [REF], "description": "One."}),
        ({"anyOf": [REF, NULL], "description": "One."}, {"allOf": [REF], "description": "One.", **NULLABLE}),
        ({"enum": ["a"]}, {"type": "string", "enum": ["a"]}),
        ({"enum": ["a", None]}, {"type": "string", "enum": ["a", None], **NULLABLE}),
        ({"enum": [1, "a"]}, {"anyOf": [{"type": "integer", "enum": [1]}, {"type": "string", "enum": ["a"]}]}),
        ({"type": "number", "enum": [1, 2.5]}, {"type": "number", "enum": [1, 2.5]}),
        ({"enum": [True]}, {"type": "boolean", "enum": [True]}),
        ({"const": "a"}, {"type": "string", "enum": ["a"]}),
        ({"exclusiveMinimum": 0}, {"minimum": 0, "exclusiveMinimum": True}),
        ({"exclusiveMinimum": 0, "minimum": 1}, {"minimum": 1}),
        ({"exclusiveMaximum": 9, "maximum": 12}, {"maximum": 9, "exclusiveMaximum": True}),
        ({"examples": ["a", "b"]}, {"example": "a"}),
        ({"default": None, "type": "string"}, {"type": "string"}),
        ({"default": 0, "type": "integer"}, {"type": "integer", "default": 0}),
        ({"type": "object", "required": []}, {"type": "object"}),
        ({"type": "array"}, {"type": "array", "items": {}}),
        (
            {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False},
            {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]}, "maxItems": 2},
        ),
        (
            {"type": "object", "properties": {"a": {"const": 1}}, "additionalProperties": {"type": ["number", "null"]}},
            {
                "type": "object",
                "properties": {"a": {"type": "integer", "enum": [1]}},
                "additionalProperties": {"type": "number", **NULLABLE},
            },
        ),
        (
            {"type": "object", "patternProperties": {"^x": {"type": "string"}}, "additionalProperties": False},
            {"type": "object", "additionalProperties": {"type": "string"}},
        ),
        ({"type": "object", "propertyNames": {"maxLength": 3}}, {"type": "object"}),
        ({"type": "string", "contentEncoding": "base64"}, {"type": "string", "format": "byte"}),
    ],
    ids=str,
)
def test_a_schema_in_the_dialect_of_3_0(new: Any, old: Json) -> None:
    before = copy.deepcopy(new)
    assert schema_30(new) == old
    assert new == before


@pytest.mark.parametrize("keyword", ["$defs", "$dynamicRef", "nullable", "contentencoding"])
def test_a_keyword_without_a_form_in_3_0_is_an_error(keyword: str) -> None:
    with pytest.raises(ValueError, match="does not convert"):
        schema_30({"type": "object", "properties": {"a": {keyword: {}}}})


def test_only_schemas_are_converted() -> None:
    example = {"schema": {"const": 1}, "examples": [None]}
    media = {"application/json": {"schema": {"const": 1}, "example": example}}
    document = {
        "openapi": "3.1.0",
        "webhooks": {"a": {}},
        "paths": {"/a": {"put": {"requestBody": {"content": media}}}},
    }
    converted = document_30(document)
    assert converted["openapi"] == "3.0.4"
    assert "webhooks" not in converted
    (body,) = converted["paths"]["/a"]["put"]["requestBody"]["content"].values()
    assert body == {"schema": {"type": "integer", "enum": [1]}, "example": example}


# ---- the document of the app -------------------------------------------------------------------------------------


def refused_by_generators(schema: Json) -> list[str]:
    """What NSwag, Kiota or OpenAPI 3.0 itself refuse in one schema of a document of 3.0."""
    values = schema.get("enum", [])
    faults = {
        "anyOf with null": any(o.get("type") == "null" for k in ("anyOf", "oneOf") for o in schema.get(k, ())),
        "null as a type": schema.get("type") == "null",
        "a list of types": isinstance(schema.get("type"), list),
        "an enum without a type": "enum" in schema and "type" not in schema,
        "null among the values without nullable": None in values and not schema.get("nullable"),
        "nullable, but not among the values": "enum" in schema and schema.get("nullable") and None not in values,
        "a keyword of 3.1": bool({"const", "examples", "prefixItems", "contentEncoding", "$defs"} & schema.keys()),
        "an exclusive limit that is a number": any(
            not isinstance(schema.get(name, True), bool) for name in ("exclusiveMinimum", "exclusiveMaximum")
        ),
        "keywords beside a reference": "$ref" in schema and len(schema) > 1,
        "an array without items": schema.get("type") == "array" and "items" not in schema,
        "a default of null": schema.get("default", "") is None,
    }
    return [fault for fault, found in faults.items() if found]


def test_no_schema_of_3_0_is_one_that_generators_refuse() -> None:
    schemas = list(schemas_in(DOCUMENTS["3.0"]))
    assert len(schemas) > 500
    assert [(fault, schema) for schema in schemas for fault in refused_by_generators(schema)] == []
    assert "anyOf with null" in {
        fault for schema in schemas_in(DOCUMENTS["3.1"]) for fault in refused_by_generators(schema)
    }


def test_null_is_nullable_in_3_0() -> None:
    schemas = DOCUMENTS["3.0"]["components"]["schemas"]
    run = schemas["RunEnded"]["properties"]
    assert run["error"] == {"allOf": [{"$ref": "#/components/schemas/Failure"}], "nullable": True}
    assert run["started_at"] == {"type": "string", "format": "date-time", "nullable": True}
    assert schemas["DocumentView"]["properties"]["kind"]["enum"] == ["data", "text", None]
    assert schemas["QuestionBody"]["properties"]["max_seconds"]["maximum"] == 604_800


@pytest.mark.long
@pytest.mark.tools
def test_what_is_valid_by_3_1_is_valid_by_3_0(tmp_path: Path) -> None:
    """tests/openapi/instances.py makes values for the schemas of the app, and for schemas that it makes itself."""
    assert PYTHON.exists(), "`make setup` installs what this test needs"
    for version in ("3.0", "3.1"):
        (tmp_path / f"{version}.json").write_text(json.dumps(DOCUMENTS[version]))
    command = [PYTHON, "-m", "tests.openapi.instances", tmp_path]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
