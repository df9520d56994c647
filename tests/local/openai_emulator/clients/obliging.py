"""An emulator for clients: with the built-in model, or with an outside one that does what a client asks for."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from local.openai_emulator.models.offline.structured.schema import Field, read_schema
from local.openai_emulator.server import serve
from tests.local.openai_emulator.models.completions import Completions, running_completions


class Obliging(Completions):
    """Calls the first function that is offered, once; answers with JSON of the wanted schema; else with a sentence."""

    async def complete(self, request: Request) -> Response:
        asked = await request.json()
        wanted = asked.get("response_format") or {}
        if asked.get("tools") and asked["messages"][-1]["role"] != "tool":
            function = asked["tools"][0]["function"]
            self.call(("call_1", function["name"], json.dumps(instance(function["parameters"]))))
        elif wanted.get("type") == "json_schema":
            self.say(json.dumps(instance(wanted["json_schema"]["schema"])))
        else:
            self.say("This is the answer of a model in several words, long enough for a stream.")
        return await super().complete(request)


def instance(schema: Mapping[str, Any]) -> Any:
    return _value(read_schema(schema))


def _value(field: Field) -> Any:
    if field.kind == "object":
        return {one.name: _value(one) for one in field.fields}
    if field.kind == "array":
        assert field.item is not None
        return [_value(field.item)]
    if field.kind == "choice":
        return _value(field.choices[0])
    values = {"integer": 1, "number": 1.5, "boolean": True}
    return field.options[0] if field.options else values.get(field.kind, "text")


@asynccontextmanager
async def emulator(kind: str) -> AsyncIterator[str]:
    if kind == "builtin":
        async with serve() as url:
            yield url
        return
    async with running_completions(Obliging()) as (_, model), serve(model=model) as url:
        yield url
