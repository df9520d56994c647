"""OpenAPI 3.1 -> 3.0.4: many generators of typed clients, such as NSwag, read only 3.0.

A schema of 3.1 is JSON Schema 2020-12; 3.0 has its own dialect, without the type "null", without lists of types, and
without keywords beside `$ref`. A value that is valid by the 3.1 schema is valid by the 3.0 schema. The reverse does not
hold for the keywords that 3.0 lacks (NARROWING): they are left out.

Sources: https://spec.openapis.org/oas/v3.0.4.html#schema-object, https://spec.openapis.org/oas/v3.1.1.html#schema-object
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Json = dict[str, Any]

UNCHANGED = frozenset(
    {
        "title",
        "description",
        "format",
        "pattern",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "uniqueItems",
        "minProperties",
        "maxProperties",
        "multipleOf",
        "minimum",
        "maximum",
        "readOnly",
        "writeOnly",
        "deprecated",
        "discriminator",
        "externalDocs",
        "xml",
        "example",
    }
)
CONVERTED = frozenset(
    {
        "$ref",
        "type",
        "enum",
        "const",
        "anyOf",
        "oneOf",
        "allOf",
        "default",
        "required",
        "examples",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "items",
        "prefixItems",
        "properties",
        "additionalProperties",
        "patternProperties",
        "contentEncoding",
    }
)
NARROWING = frozenset(
    {
        "not",
        "if",
        "then",
        "else",
        "propertyNames",
        "contains",
        "minContains",
        "maxContains",
        "dependentRequired",
        "dependentSchemas",
        "unevaluatedItems",
        "unevaluatedProperties",
        "contentMediaType",
        "contentSchema",
        "$comment",
    }
)
COMPOSED = frozenset({"allOf", "anyOf", "oneOf"})
ANNOTATIONS = frozenset({"title", "description", "default", "example"})
PROBLEM = "application/problem+json"
BOUNDS = (("minimum", "exclusiveMinimum", max), ("maximum", "exclusiveMaximum", min))
ONLY_NULL: Json = {"type": "string", "enum": [None], "nullable": True}


def document_30(document: Json) -> Json:
    """The document without its webhooks, which 3.0 does not have. Callbacks stay."""
    return {**_node({name: value for name, value in document.items() if name != "webhooks"}), "openapi": "3.0.4"}


def _node(node: Any) -> Any:
    """A part of the document, with all schemas in it converted."""
    if isinstance(node, list):
        return [_node(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {name: _member(name, value) for name, value in node.items()}


def _member(name: str, value: Any) -> Any:
    if name == "schemas":
        return {key: schema_30(schema) for key, schema in value.items()}
    if name == PROBLEM:  # with its own codes, each answer would become a class, and a new code an error in old clients
        return {**value, "schema": {"$ref": value["schema"]["$ref"]}}
    if name == "schema":
        return schema_30(value)
    return value if name in ("example", "examples") else _node(value)


def schema_30(schema: Json | bool) -> Json:
    """A schema of 3.1 in the dialect of 3.0.

    Raises:
        ValueError: the schema has a keyword that is in neither dialect, or that this function does not convert.
    """
    if isinstance(schema, bool):
        return {} if schema else {"not": {}}
    if unknown := {k for k in schema if not k.startswith("x-")} - UNCHANGED - CONVERTED - NARROWING:
        raise ValueError(f"shared/http/openapi_30.py does not convert {', '.join(sorted(unknown))} to OpenAPI 3.0.")
    new = {name: value for name, value in schema.items() if name in UNCHANGED or name.startswith("x-")}
    new |= _annotations(schema) | _bounds(schema) | _array(schema) | _object(schema)
    if "allOf" in schema:
        new["allOf"] = [schema_30(part) for part in schema["allOf"]]
    new = _with(new, _types(schema))
    for name in ("anyOf", "oneOf"):
        if name in schema:
            new = _with(new, _union(name, schema[name], takes_null=_takes_null(schema)))
    if "$ref" in schema:
        reference = {"$ref": schema["$ref"]}
        new = _with(new, {"allOf": [reference]}) if new else reference
    return new


def _with(schema: Json, more: Json) -> Json:
    """Both schemas at once: one schema if that says the same, else the second as a part of `allOf`.

    Of annotations, those of the first schema are kept.
    """
    if _null_beside(schema) and "type" in more:
        return {"allOf": [schema, more], **({"nullable": True} if "nullable" in more else {})}
    shared = schema.keys() & more.keys() - ANNOTATIONS - {"nullable"}
    apart = _null_beside(more) and "type" in schema
    if not apart and all(schema[name] == more[name] for name in shared):
        return {**more, **schema}
    nullable = {"nullable": True} if "nullable" in more else {}
    return {**schema, **nullable, "allOf": [*schema.get("allOf", ()), more]}


def _null_beside(schema: Json) -> bool:
    """Whether null is valid beside the rest, as in `allOf: [$ref]` with `nullable`: no type may be added."""
    return "nullable" in schema and "type" not in schema


def _annotations(schema: Json) -> Json:
    new: Json = {}
    if schema.get("default") is not None:  # a default of null says the same as a missing value
        new["default"] = schema["default"]
    if schema.get("examples"):
        new["example"] = schema["examples"][0]
    if schema.get("contentEncoding") == "base64":
        new["format"] = "byte"
    if schema.get("required"):
        new["required"] = schema["required"]
    return new


def _bounds(schema: Json) -> Json:
    """`exclusiveMinimum: 0` -> `minimum: 0, exclusiveMinimum: true`"""
    new: Json = {}
    for inclusive, exclusive, stricter in BOUNDS:
        if exclusive in schema:
            bound = schema[exclusive]
            new[inclusive] = stricter(bound, schema.get(inclusive, bound))
            if new[inclusive] == bound:
                new[exclusive] = True
    return new


def _array(schema: Json) -> Json:
    """3.0 has one schema for all items, and an array must have it."""
    first, rest = schema.get("prefixItems"), schema.get("items", True)
    if first is None and "items" not in schema:
        is_array = "array" in _listed(schema.get("type")) or any(isinstance(v, list) for v in _values(schema) or ())
        return {"items": {}} if is_array else {}
    new: Json = {}
    if rest is False:
        new["maxItems"] = min(len(first or ()), schema.get("maxItems", len(first or ())))
    options = [schema_30(item) for item in (*(first or ()), *(() if rest is False else (rest,)))]
    different = [option for n, option in enumerate(options) if option not in options[:n]]
    new["items"] = {} if not different or {} in different else _any_of(different)
    return new


def _object(schema: Json) -> Json:
    new: Json = {}
    if "properties" in schema:
        new["properties"] = {name: schema_30(value) for name, value in schema["properties"].items()}
    others = schema.get("additionalProperties", True)
    if by_pattern := schema.get("patternProperties"):
        options = [schema_30(value) for value in (*by_pattern.values(), *(() if others is False else (others,)))]
        new["additionalProperties"] = True if {} in options else _any_of(options)
    elif "additionalProperties" in schema:
        new["additionalProperties"] = others if isinstance(others, bool) else schema_30(others)
    return new


def _any_of(options: list[Json]) -> Json:
    return options[0] if len(options) == 1 else {"anyOf": options}


# ---- types, values and null --------------------------------------------------------------------------------------


def _listed(type: Any) -> list[str]:
    return [] if type is None else [type] if isinstance(type, str) else list(type)


def _values(schema: Json) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _takes_null(schema: Json) -> bool:
    """Whether the schema's own type and values allow null."""
    values = _values(schema)
    return ("type" not in schema or "null" in _listed(schema["type"])) and (values is None or None in values)


def _types(schema: Json) -> Json:
    """`type`, `enum` and `const`: one type each, and a type beside the values."""
    types, values = _listed(schema.get("type")), _values(schema)
    if not types and values is None:
        return {}
    if values is None:
        options: list[Json] = [{"type": type} for type in types if type != "null"]
    else:
        options = _by_type([value for value in values if value is not None], types)
    if not _takes_null(schema):
        return _any_of(options) if options else {"not": {}}
    for option in options:
        option["nullable"] = True
        if "enum" in option:
            option["enum"].append(None)  # `nullable` alone does not add to the values
    return _any_of(options) if options else dict(ONLY_NULL)


def _by_type(values: Sequence[Any], types: list[str]) -> list[Json]:
    """The values, each with those of its type; values of no type in `types` are left out."""
    found: dict[str, list[Any]] = {}
    for value in values:
        names = _type_names(value)
        if fitting := [name for name in names if not types or name in types]:
            found.setdefault(fitting[0], []).append(value)
    return [{"type": type, "enum": of_type} for type, of_type in found.items()]


def _type_names(value: Any) -> tuple[str, ...]:
    if isinstance(value, bool):
        return ("boolean",)
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return "integer", "number"
    names = {float: "number", str: "string", list: "array", dict: "object"}
    return (names[type(value)],)


def _union(name: str, options: list[Any], *, takes_null: bool) -> Json:
    """`anyOf: [X, null]` -> X with `nullable`; with other options, `nullable` stands beside them."""
    nullable = takes_null and any(_only_null(option) for option in options)
    converted = [schema_30(option) for option in options if not _only_null(option)]
    converted = [option for option in converted if "not" not in option]  # these take no value
    if not converted:
        return dict(ONLY_NULL) if nullable else {"not": {}}
    if len(converted) > 1:
        return {name: converted, **({"nullable": True} if nullable else {})}
    only: Json = converted[0]
    if "$ref" in only or (nullable and COMPOSED & only.keys()):  # 3.0 ignores keywords beside a reference
        only = {"allOf": [only]}
    if not nullable or not only:
        return only
    if "enum" in only and None not in only["enum"]:
        only["enum"] = [*only["enum"], None]
    return {**only, "nullable": True}


def _only_null(schema: Json | bool) -> bool:
    return isinstance(schema, dict) and (_listed(schema.get("type")) == ["null"] or _values(schema) == [None])
