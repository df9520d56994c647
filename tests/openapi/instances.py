"""What is valid by a schema of OpenAPI 3.1 is valid by its form in 3.0: `python -m tests.openapi.instances FOLDER`.

FOLDER holds both documents of the app, `3.0.json` and `3.1.json`. The validators are those of openapi-schema-validator
and jsonschema; it runs with the Python of `.local/openapi-tools`, in which they are installed.
"""

import json
import sys
from datetime import UTC
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from openapi_schema_validator import OAS30Validator

from shared.http.openapi_30 import schema_30

Json = dict[str, Any]

REF = "#/components/schemas/"
TYPES = ("string", "integer", "number", "boolean", "null", "array", "object")
SAME_EACH_TIME = settings(
    derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck), max_examples=30
)
WORDS = st.text("abc", max_size=3)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, -1.5]) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=5,
)


# ---- values of a schema of the app -------------------------------------------------------------------------------


def values_of(schema: Json, components: Json) -> st.SearchStrategy[Any]:
    """Values that are valid by a schema of 3.1."""
    if "$ref" in schema:
        return st.deferred(lambda: values_of(components[schema["$ref"].removeprefix(REF)], components))
    if "anyOf" in schema:
        beside = {name: value for name, value in schema.items() if name != "anyOf"}
        return st.one_of(*(values_of({**beside, **option}, components) for option in schema["anyOf"]))
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema.get("type"):
        case "string":
            return texts(schema)
        case "integer":
            return st.integers(schema.get("minimum"), schema.get("maximum"))
        case "number":
            return st.floats(schema.get("minimum"), schema.get("maximum"), allow_nan=False, allow_infinity=False)
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
        case "array":
            most = min(3, schema.get("maxItems", 3))
            return st.lists(
                values_of(schema.get("items", {}), components), min_size=schema.get("minItems", 0), max_size=most
            )
        case "object":
            return objects(schema, components)
        case None:
            return VALUES
    raise NotImplementedError(schema)


def texts(schema: Json) -> st.SearchStrategy[Any]:
    if schema.get("format") == "date-time":
        return st.datetimes(timezones=st.just(UTC)).map(lambda at: at.isoformat())
    if "pattern" in schema:
        return st.from_regex(schema["pattern"].replace("$", r"\Z"))
    return st.text(min_size=schema.get("minLength", 0), max_size=schema.get("maxLength"))


def objects(schema: Json, components: Json) -> st.SearchStrategy[Any]:
    fields = {name: values_of(value, components) for name, value in schema.get("properties", {}).items()}
    needed = set(schema.get("required", ()))
    others = schema.get("additionalProperties")
    if isinstance(others, dict) or not fields:
        return st.dictionaries(WORDS, values_of(others or {}, components), max_size=3)
    return st.fixed_dictionaries(
        {name: value for name, value in fields.items() if name in needed},
        optional={name: value for name, value in fields.items() if name not in needed},
    )


# ---- schemas -----------------------------------------------------------------------------------------------------


def made_schemas() -> st.SearchStrategy[Any]:
    """Schemas of 3.1, with the keywords that 3.0 writes in another way."""
    return st.recursive(st.booleans() | _flat(), _nested, max_leaves=4)


def _flat() -> st.SearchStrategy[Json]:
    return st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(TYPES) | st.lists(st.sampled_from(TYPES), min_size=1, max_size=3, unique=True),
            "enum": st.lists(VALUES, min_size=1, max_size=3),
            "const": VALUES,
            "exclusiveMinimum": st.integers(-2, 2),
            "minimum": st.integers(-2, 2),
            "maxLength": st.integers(0, 2),
            "default": VALUES,
            "examples": st.lists(VALUES, max_size=2),
            "description": WORDS,
        },
    )


def _nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    some = st.lists(inner, min_size=1, max_size=3)
    more = st.fixed_dictionaries(
        {},
        optional={
            "anyOf": some | some.map(lambda options: [*options, {"type": "null"}]),
            "allOf": some,
            "items": inner,
            "prefixItems": some,
            "properties": st.dictionaries(WORDS, inner, max_size=2),
            "additionalProperties": inner,
            "patternProperties": st.dictionaries(st.sampled_from(["a", "^b"]), inner, min_size=1, max_size=2),
            "required": st.lists(WORDS, max_size=1),
        },
    )
    return st.builds(lambda flat, rest: {**flat, **rest}, _flat(), more)


def as_read(schema: Any) -> Any:
    """A schema of 3.0 with `nullable` as generators read it: null is valid, too.

    By the letter of 3.0, `nullable` counts only beside a `type`, so that null would never be valid beside `$ref`.
    """
    if isinstance(schema, list):
        return [as_read(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    new = {name: value if name in ("enum", "default", "example") else as_read(value) for name, value in schema.items()}
    if schema.get("nullable") is True and "type" not in schema:
        null = {"type": "string", "nullable": True, "enum": [None]}
        return {"anyOf": [{name: value for name, value in new.items() if name != "nullable"}, null]}
    return new


# ---- the properties ----------------------------------------------------------------------------------------------


def check_component(name: str, new: Json, old: Json) -> None:
    root = {"$ref": REF + name}
    by_new = Draft202012Validator({**root, "components": new["components"]})
    by_old = OAS30Validator({"allOf": [root], "components": old["components"]})

    @SAME_EACH_TIME
    @given(values_of(root, new["components"]["schemas"]))
    def valid_by_both(value: Any) -> None:
        by_new.validate(value)
        by_old.validate(value)

    valid_by_both()


@settings(SAME_EACH_TIME, max_examples=120)
@given(made_schemas(), VALUES)
def check_made_schema(schema: Any, value: Any) -> None:
    assume(Draft202012Validator(schema).is_valid(value))
    OAS30Validator(as_read(schema_30(schema))).validate(value)


def main(folder: Path) -> None:
    old, new = (json.loads((folder / f"{version}.json").read_text()) for version in ("3.0", "3.1"))
    check_made_schema()
    read = {"components": as_read(old["components"])}
    for name in new["components"]["schemas"]:
        check_component(name, new, read)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
