"""Checks answers against OpenAI's OpenAPI document, if it is available; otherwise nothing is checked.

A small reader of JSON Schema, for the keywords the document uses. Its 3.0 style `nullable` is understood too.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import httpx2

from local.paths import ROOT

DOCUMENT = ROOT / "../shared/data/openai_openapi/openapi.json.gz"
_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "number": (int, float),
    "integer": int,
    "boolean": bool,
    "null": type(None),
}
# of vector stores: the service sends null there, which the document forbids
# of responses: `user`, and `usage` before the end, are null in recorded traffic
_ALSO_NULL = ("response.user", "$.user", "response.usage", "$.expires_after", "].expires_after")
Schema = Mapping[str, Any]


@cache
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(gzip.decompress(DOCUMENT.read_bytes()))
    return loaded


async def check_answer(response: httpx2.Response) -> None:
    """Event hook for an asynchronous client."""
    await response.aread()
    check(response)


def check_sync_answer(response: httpx2.Response) -> None:
    """Event hook for a synchronous client."""
    response.read()
    check(response)


def check(response: httpx2.Response) -> None:
    """Fail the test if the body does not match the document."""
    kind = response.headers.get("content-type", "")
    if DOCUMENT.exists() and "event-stream" in kind:
        check_events(response.request.url.path, events_of(response.text))
    if not DOCUMENT.exists() or "json" not in kind:
        return
    schema = schema_of(response.request.method, response.request.url.path, response.status_code)
    found = list(faults(response.json(), schema))
    assert not found, f"{response.request.method} {response.request.url.path}: {found[:5]} in {response.text[:2000]}"


def events_of(text: str) -> list[tuple[str, Any]]:
    """The events of a stream: (name or '', data), without the last one, `[DONE]`."""
    events = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        if fields and fields["data"] != "[DONE]":
            events.append((fields.get("event", ""), json.loads(fields["data"])))
    return events


def check_events(path: str, events: list[tuple[str, Any]]) -> None:
    """Fail the test if an event does not match the document."""
    for name, data in events:
        if "/threads" in path:
            value, schema = {"event": name, "data": data}, "AssistantStreamEvent"
        else:
            value = data
            schema = "ResponseStreamEvent" if "/responses" in path else "CreateChatCompletionStreamResponse"
        found = list(faults(value, {"$ref": f"#/components/schemas/{schema}"}))
        assert not found, f"{path} {name}: {found[:5]} in {json.dumps(data)[:2000]}"


def schema_of(method: str, path: str, status: int) -> Schema:
    if status >= 400:
        return {"$ref": "#/components/schemas/ErrorResponse"}
    path = re.sub(r"^/(openai/v1|openai|v1)(?=/)", "", path)
    for template in sorted(document()["paths"], key=lambda one: one.count("{")):
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
            answer = document()["paths"][template][method.lower()]["responses"]["200"]
            schema: Schema = answer["content"]["application/json"]["schema"]
            return schema
    raise AssertionError(f"the document knows no {path}")


def faults(value: Any, schema: Schema, at: str = "$") -> Iterator[str]:
    """The violations of the schema, one sentence each."""
    if value is None and (schema.get("nullable") or at.endswith(_ALSO_NULL)):
        return
    if isinstance(value, str) and at.endswith("].embedding"):  # base64, of which the document has no word
        return
    if at.endswith("].role") and schema.get("enum") == ["assistant"]:  # of kept messages: its own example has `user`
        schema = {**schema, "enum": ["assistant", "developer", "system", "user", "tool"]}
    if "$ref" in schema:
        yield from faults(value, document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]], at)
        return
    for one in schema.get("allOf", ()):
        yield from faults(value, one, at)
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        tried = [list(faults(value, choice, at)) for choice in choices]
        if all(tried):
            yield f"{at} is none of the choices: {min(tried, key=len)[0]}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{at} is {value!r}, not one of {schema['enum']}"
    kind = schema.get("type")
    if kind and not _is(value, kind):
        yield f"{at} is {value!r}, not of type {kind}"
        return
    if isinstance(value, dict):
        yield from _object_faults(value, schema, at)
    elif isinstance(value, list):
        yield from _array_faults(value, schema, at)
    elif isinstance(value, str) and len(value) > schema.get("maxLength", len(value)):
        yield f"{at} is too long"
    elif isinstance(value, int | float) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        yield f"{at} is out of range"


def _is(value: Any, kind: str | list[str]) -> bool:
    if isinstance(kind, list):
        return any(_is(value, one) for one in kind)
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, _TYPES[kind])


def _object_faults(value: Mapping[str, Any], schema: Schema, at: str) -> Iterator[str]:
    properties = schema.get("properties", {})
    yield from (f"{at}.{name} is missing" for name in schema.get("required", ()) if name not in value)
    for name, one in value.items():
        if name in properties:
            yield from faults(one, properties[name], f"{at}.{name}")
        elif schema.get("additionalProperties") is False:
            yield f"{at}.{name} is unknown"
        elif isinstance(schema.get("additionalProperties"), dict):
            yield from faults(one, schema["additionalProperties"], f"{at}.{name}")


def _array_faults(value: list[Any], schema: Schema, at: str) -> Iterator[str]:
    if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
        yield f"{at} has {len(value)} items"
    for number, one in enumerate(value):
        yield from faults(one, schema.get("items", {}), f"{at}[{number}]")
