"""What the service refuses in a strict JSON schema, in its own words.

Only faults whose text is known from reports of users are refused; the built-in model copes with the others.
Sources: https://developers.openai.com/api/docs/guides/structured-outputs#supported-schemas
https://github.com/vercel/ai/issues/6484 https://github.com/kevinwatt/mysql-mcp/issues/5
https://github.com/mavam/pi-web-providers/issues/14 https://github.com/modelscope/ms-agent/pull/610
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from local.openai_emulator.errors import invalid

_NOT_PERMITTED = ("allOf", "not", "dependentRequired", "dependentSchemas", "if", "then", "else", "uniqueItems")
_TYPED = ("type", "$ref", "anyOf", "enum")  # one of these is enough
Context = tuple[str, ...]


def check_format_schema(name: str, schema: object, *, param: str, code: str | None) -> None:
    """Raises ApiError 400: the schema of a strict response format is not one that the service takes."""
    _check(f"response_format '{name}'", schema, param=param, code=code)


def check_function_schema(name: str, schema: object, *, param: str) -> None:
    """Raises ApiError 400: the parameters of a strict function are not a schema that the service takes."""
    _check(f"function '{name}'", schema, param=param, code="invalid_function_parameters")


def _check(what: str, schema: object, *, param: str, code: str | None) -> None:
    if isinstance(schema, Mapping) and (fault := _fault(schema)):
        raise invalid(f"Invalid schema for {what}: {fault}", param=param, code=code)


def _fault(schema: Mapping[str, Any]) -> str | None:
    """The first fault, from the outside in."""
    if schema.get("type") != "object" and isinstance(schema.get("type"), str):
        return f"""schema must be a JSON Schema of 'type: "object"', got 'type: "{schema["type"]}"'."""
    waiting: list[tuple[Context, Mapping[str, Any]]] = [((), schema)]
    while waiting:
        context, part = waiting.pop()
        if fault := _own_fault(part):
            return f"In context={context}, {fault}"
        waiting += reversed([((*context, *path), inner) for path, inner in _parts(part)])
    return None


def _own_fault(schema: Mapping[str, Any]) -> str | None:
    """What is wrong with a schema, not with its parts."""
    for keyword in _NOT_PERMITTED:
        if keyword in schema:
            return f"'{keyword}' is not permitted."
    if not any(keyword in schema for keyword in _TYPED):
        return "schema must have a 'type' key."
    kind = schema.get("type")
    kinds = kind if isinstance(kind, list) else [kind]
    if "object" in kinds:
        if schema.get("additionalProperties") is not False:
            return "'additionalProperties' is required to be supplied and to be false."
        properties, required = schema.get("properties"), schema.get("required")
        listed = required if isinstance(required, list) else []
        missing = [name for name in properties if name not in listed] if isinstance(properties, Mapping) else []
        if missing:
            return (
                "'required' is required to be supplied and to be an array including every key in properties."
                f" Missing '{missing[0]}'."
            )
    if "array" in kinds and "items" not in schema:
        return "array schema missing items."
    return None


def _parts(schema: Mapping[str, Any]) -> Iterator[tuple[Context, Mapping[str, Any]]]:
    """The schemas within a schema, each with the way to it."""
    for keyword in ("properties", "$defs", "definitions"):
        inner = schema.get(keyword)
        if isinstance(inner, Mapping):
            yield from (((keyword, name), one) for name, one in inner.items() if isinstance(one, Mapping))
    if isinstance(schema.get("items"), Mapping):
        yield ("items",), schema["items"]
    if isinstance(schema.get("anyOf"), list):
        yield from ((("anyOf", str(n)), one) for n, one in enumerate(schema["anyOf"]) if isinstance(one, Mapping))
