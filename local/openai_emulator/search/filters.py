"""Attribute filters of file search: validate an OpenAI filter object and apply it to the attributes of files.

Source: https://platform.openai.com/docs/guides/retrieval#attribute-filtering
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

Attributes = Mapping[str, str | float | bool]
Matches = Callable[[Attributes], bool]

_MAX_DEPTH = 20
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
_MEMBER = ("in", "nin")


def compile_filter(filters: Mapping[str, Any]) -> Matches:
    """Turn a filter object into a predicate.

    A file without the key matches only `ne` and `nin`. Values of different types are neither equal nor ordered.

    Raises:
        ValueError: the object is malformed; the message is for the API's caller.
    """
    return _compile(filters, depth=0)


def _compile(node: object, *, depth: int) -> Matches:
    if depth > _MAX_DEPTH:
        raise ValueError(f"Filters must not be nested deeper than {_MAX_DEPTH}.")
    if not isinstance(node, Mapping):
        raise ValueError("A filter must be an object with a 'type'.")
    kind = node.get("type")
    if kind in ("and", "or"):
        return _compound(kind, node.get("filters"), depth=depth)
    if not isinstance(kind, str) or kind not in (*_COMPARE, *_MEMBER):
        raise ValueError(f"Unknown filter type {kind!r}; use eq, ne, gt, gte, lt, lte, in, nin, and, or.")
    key = node.get("key")
    if not isinstance(key, str) or not key:
        raise ValueError(f"A filter of type '{kind}' needs a 'key'.")
    if "value" not in node:
        raise ValueError(f"The filter on '{key}' needs a 'value'.")
    if kind in _MEMBER:
        return _member(kind, key, node["value"])
    return _comparison(kind, key, node["value"])


def _compound(kind: str, parts: object, *, depth: int) -> Matches:
    if not isinstance(parts, list | tuple) or not parts:
        raise ValueError(f"A filter of type '{kind}' needs a list 'filters'.")
    matches = [_compile(part, depth=depth + 1) for part in parts]
    combine = all if kind == "and" else any
    return lambda attributes: combine(match(attributes) for match in matches)


def _member(kind: str, key: str, values: object) -> Matches:
    if not isinstance(values, list | tuple) or not all(_scalar(value) for value in values):
        raise ValueError(f"The filter '{kind}' on '{key}' needs a list of strings, numbers or booleans.")
    wanted = kind == "in"
    return lambda attributes: (
        (key in attributes and any(_same_type(attributes[key], v) and attributes[key] == v for v in values)) is wanted
    )


def _comparison(kind: str, key: str, value: object) -> Matches:
    if not _scalar(value):
        raise ValueError(f"The filter '{kind}' on '{key}' needs a string, a number or a boolean.")
    if kind not in ("eq", "ne") and isinstance(value, bool):
        raise ValueError(f"The filter '{kind}' on '{key}' needs a string or a number, not a boolean.")
    compare = _COMPARE[kind]

    def match(attributes: Attributes) -> bool:
        if key not in attributes or not _same_type(attributes[key], value):
            return kind == "ne"
        return compare(attributes[key], value)

    return match


def _scalar(value: object) -> bool:
    return isinstance(value, str | int | float | bool)


def _same_type(left: object, right: object) -> bool:
    return _type_of(left) == _type_of(right)


def _type_of(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "string" if isinstance(value, str) else "number"
