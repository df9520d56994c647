"""Strict schemas that the service does not take, in Responses, Chat Completions and Assistants."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from local.openai_emulator.agent.model import Say
from local.openai_emulator.server import create_app
from local.openai_emulator.settings import Settings
from tests.local.openai_emulator.client import ScriptedModel

GOOD: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": ["string", "null"]}, "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}}},
    "required": ["city", "tags"],
    "additionalProperties": False,
    "$defs": {"tag": {"enum": ["a", "b"]}},
}


def with_property(schema: Any) -> dict[str, Any]:
    return {**GOOD, "properties": {**GOOD["properties"], "city": schema}}


INNER = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}}
SUPPLIED = "'additionalProperties' is required to be supplied and to be false."
REQUIRED = "'required' is required to be supplied and to be an array including every key in properties."
BAD: list[tuple[dict[str, Any], str]] = [
    ({"type": "array", "items": GOOD}, """schema must be a JSON Schema of 'type: "object"', got 'type: "array"'."""),
    ({**GOOD, "additionalProperties": True}, f"In context=(), {SUPPLIED}"),
    ({**GOOD, "required": ["city"]}, f"In context=(), {REQUIRED} Missing 'tags'."),
    (with_property(INNER), f"In context=('properties', 'city'), {SUPPLIED}"),
    (
        with_property({"type": "array", "items": {**INNER, "additionalProperties": False, "required": ["a"]}}),
        f"In context=('properties', 'city', 'items'), {REQUIRED} Missing 'b'.",
    ),
    (with_property({"description": "Any."}), "In context=('properties', 'city'), schema must have a 'type' key."),
    (with_property({"type": "array"}), "In context=('properties', 'city'), array schema missing items."),
    (with_property({"type": "array", "items": GOOD, "uniqueItems": True}), "'uniqueItems' is not permitted."),
    (with_property({"anyOf": [{"type": "null"}, {}]}), "('properties', 'city', 'anyOf', '1'), schema must have a"),
]


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    app = create_app(Settings(), model=ScriptedModel(*[Say(text="{}")] * 9))
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://e/v1", headers={"api-key": "k"}) as http:
            yield http


def requests_with(schema: Any, *, strict: bool) -> list[tuple[str, dict[str, Any], str, str | None]]:
    """Path, body, and the error's param and code, for each place that takes a schema."""
    named = {"name": "x", "schema": schema, "strict": strict}
    function = {"name": "x", "parameters": schema, "strict": strict}
    chat = {"model": "m", "messages": [{"role": "user", "content": "Hello?"}]}
    response = {"model": "m", "input": "Hello?"}
    json_schema = {"type": "json_schema", "json_schema": named}
    tools = [{"type": "function", "function": function}]
    wrong = "invalid_function_parameters"
    return [
        (
            "/responses",
            {**response, "text": {"format": {"type": "json_schema", **named}}},
            "text.format.schema",
            "invalid_json_schema",
        ),
        ("/responses", {**response, "tools": [{"type": "function", **function}]}, "tools[0].parameters", wrong),
        ("/chat/completions", {**chat, "response_format": json_schema}, "response_format", None),
        ("/chat/completions", {**chat, "tools": tools}, "tools[0].function.parameters", wrong),
        ("/assistants", {"model": "m", "response_format": json_schema}, "response_format", None),
        ("/assistants", {"model": "m", "tools": tools}, "tools[0].function.parameters", wrong),
    ]


@pytest.mark.parametrize(("schema", "text"), BAD)
async def test_a_bad_strict_schema_is_refused(http: httpx2.AsyncClient, schema: Any, text: str) -> None:
    for path, body, param, code in requests_with(schema, strict=True):
        answer = await http.post(path, json=body)
        error = answer.json()["error"]
        what = "function" if code == "invalid_function_parameters" else "response_format"
        assert (answer.status_code, error["type"]) == (400, "invalid_request_error")
        assert (error["param"], error["code"]) == (param, code), path
        assert error["message"].startswith(f"Invalid schema for {what} 'x': ")
        assert text in error["message"]


async def test_others_are_taken(http: httpx2.AsyncClient) -> None:
    taken = [*requests_with(GOOD, strict=True), *requests_with({**GOOD, "additionalProperties": True}, strict=False)]
    for path, body, _, _ in taken:
        answer = await http.post(path, json=body)
        assert answer.status_code == 200, answer.text
