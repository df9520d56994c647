"""Adds `format` to the schemas that msgspec makes: to times, ids, and numbers.

A generator makes a class from it: a date and time instead of a text, 64 bits instead of 32 for a size. msgspec writes
`format: date-time` only for a datetime that it checks for a time zone, so the types are read again here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import inspect

Json = dict[str, Any]

ID = re.compile(r"^ids?$|_ids?$|[a-z]Ids?$")
INT32_MAX = 2**31 - 1


def structs_of(types: Iterable[Any]) -> dict[Any, inspect.Type]:
    """All classes with fields in the types, also inside of others: class -> its description."""
    found: dict[Any, inspect.Type] = {}
    waiting = list(inspect.multi_type_info(types))
    while waiting:
        type = waiting.pop()
        fields = getattr(type, "fields", None)
        if fields is None:
            waiting += _inside(type)
        elif type.cls not in found:  # type: ignore[attr-defined]  # all descriptions with fields have a class
            found[type.cls] = type  # type: ignore[attr-defined]
            waiting += [field.type for field in fields]
    return found


def add_times(structs: Mapping[Any, inspect.Type], schemas: Mapping[Any, Json]) -> None:
    """`format: date-time` for the fields that are datetimes. `schemas`: class -> its schema."""
    for cls, type in structs.items():
        properties = schemas[cls].get("properties", {})
        for field in getattr(type, "fields", ()):
            if field.encode_name in properties:
                _mark_times(field.type, properties[field.encode_name])


def add_formats(schema: Json, name: str = "") -> None:
    """The format of ids and numbers, in the schema of a field or parameter with this name and in all schemas in it."""
    type = schema.get("type")
    if type == "integer":
        schema.setdefault("format", "int32" if schema.get("maximum", INT32_MAX + 1) <= INT32_MAX else "int64")
    elif type == "number":
        schema.setdefault("format", "double")
    elif type == "string" and ID.search(name):
        schema.setdefault("format", "id")
    for property, inner in schema.get("properties", {}).items():
        add_formats(inner, property)
    for inner in _schemas_inside(schema):
        add_formats(inner, name)


def _schemas_inside(schema: Json) -> Iterator[Json]:
    """The schemas of the same thing: options of a union, items of a list, values of a map."""
    inside = (schema.get("items"), schema.get("additionalProperties"))
    for inner in (*schema.get("anyOf", ()), *schema.get("prefixItems", ()), *inside):
        if isinstance(inner, dict):
            yield inner


def _inside(type: inspect.Type) -> tuple[inspect.Type, ...]:
    """The types inside a type that has no fields."""
    match type:
        case inspect.Metadata():
            return (type.type,)
        case inspect.UnionType():
            return type.types
        case inspect.TupleType():
            return type.item_types
        case inspect.DictType():
            return (type.key_type, type.value_type)
        case inspect.CollectionType():
            return (type.item_type,)
    return ()


def _mark_times(type: inspect.Type, schema: Json) -> None:
    """Set the format where type and schema fit: of a union, a schema does not name its type."""
    match type:
        case inspect.DateTimeType() if schema.get("type") == "string":
            schema["format"] = "date-time"
        case inspect.Metadata():
            _mark_times(type.type, schema)
        case inspect.UnionType():
            for option in schema.get("anyOf", (schema,)):
                for member in type.types:
                    _mark_times(member, option)
        case inspect.TupleType():
            for member, item in zip(type.item_types, schema.get("prefixItems", ()), strict=False):
                _mark_times(member, item)
        case inspect.DictType() if isinstance(schema.get("additionalProperties"), dict):
            _mark_times(type.value_type, schema["additionalProperties"])
        case inspect.CollectionType() if "items" in schema:
            _mark_times(type.item_type, schema["items"])
