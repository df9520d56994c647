"""`GET /api/swagger.json`: OpenAPI 2.0 with Microsoft's extensions, the definition of a custom connector.

It contains the operations of table.py that need a function key; the others are not meant for flows. The schemas are
those of openapi.py, converted to 2.0. Schemas of properties are inlined: in 2.0, a reference cannot have a title.

Sources: https://swagger.io/specification/v2/,
https://learn.microsoft.com/connectors/custom-connectors/openapi-extensions,
https://learn.microsoft.com/connectors/custom-connectors/create-webhook-trigger
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import azure.functions as func
import msgspec

from shared import VERSION
from shared.http.openapi import (
    ABOUT,
    BINARY,
    HEADERS,
    REF,
    TITLE,
    UNAUTHORIZED,
    Json,
    problem_text,
    problems_of,
    schemas_of,
    server_of,
)
from shared.http.route import Operation, Parameter, Reply, json_response
from shared.http.shapes.base import Problem
from shared.http.shapes.runs import RunFinished
from shared.http.table import OPERATIONS

ACRONYMS = {"id": "ID", "ids": "IDs", "url": "URL", "uri": "URI", "ms": "ms", "usd": "USD"}
TRIGGER = "RunFinished"


def get_swagger(req: func.HttpRequest) -> func.HttpResponse:
    return json_response(200, swagger(req.url))


def swagger(url: str) -> Json:
    """The document; host and scheme in it are those of `url`, the URL of the request."""
    server = urlsplit(server_of(url))
    return {**_document(), "host": server.netloc, "basePath": server.path or "/", "schemes": [server.scheme]}


@cache
def _document() -> Json:
    operations = [op for op in OPERATIONS if op.auth == "function"]
    types = (*_json_types(operations), Problem, RunFinished)
    schemas, components = schemas_of(types)
    paths: Json = {}
    for op in operations:
        path = paths.setdefault(op.path, {})
        path[op.method.lower()] = _operation(op, schemas, components)
        if op.id == TRIGGER:
            path["x-ms-notification-content"] = {
                "description": "The run that has ended.",
                "schema": _converted(schemas[RunFinished], components),
            }
    return {
        "swagger": "2.0",
        "info": {"title": TITLE, "version": VERSION, "description": ABOUT},
        "consumes": ["application/json"],
        "produces": ["application/json", "application/problem+json"],
        "paths": paths,
        "definitions": {name: _converted(schema, components) for name, schema in components.items()},
        "securityDefinitions": {"functionKey": {"type": "apiKey", "in": "header", "name": "x-functions-key"}},
        "security": [{"functionKey": []}],
    }


def _json_types(operations: list[Operation]) -> tuple[Any, ...]:
    types = [type for op in operations for type in (op.body, *(reply.type for reply in op.replies))]
    return tuple(type for type in types if type not in (None, bytes))


def _operation(op: Operation, schemas: Mapping[Any, Json], components: Mapping[str, Json]) -> Json:
    parameters = [_parameter(parameter, components) for parameter in op.parameters]
    if op.body:
        schema = BINARY if op.body is bytes else _converted(schemas[op.body], components)
        body = {"name": "body", "in": "body", "required": op.body_required, "schema": schema, "x-ms-summary": "Body"}
        parameters.append({**body, "x-ms-visibility": "important"})
    described: Json = {
        "operationId": op.id,
        "summary": op.summary,
        "description": op.description or op.summary,
        "parameters": parameters,
        "responses": {
            **{str(reply.status): _reply(reply, schemas, components) for reply in op.replies},
            **{
                str(status): {"description": problem_text(status, codes), "schema": {"$ref": "#/definitions/Problem"}}
                for status, codes in problems_of(op).items()
            },
            "401": {"description": UNAUTHORIZED},
        },
    }
    if op.visibility != "none":
        described["x-ms-visibility"] = op.visibility
    if op.body is bytes:
        described["consumes"] = ["application/octet-stream"]
    if media := [media for reply in op.replies if reply.type is bytes for media in reply.media]:
        described["produces"] = list(dict.fromkeys(media))
    if op.id == TRIGGER:
        described["x-ms-trigger"] = "single"
    return described


def _reply(reply: Reply, schemas: Mapping[Any, Json], components: Mapping[str, Json]) -> Json:
    described: Json = {"description": reply.description}
    if reply.type:
        described["schema"] = BINARY if reply.type is bytes else _converted(schemas[reply.type], components)
    if reply.headers:
        described["headers"] = {
            name: {"description": HEADERS[name]["description"], **HEADERS[name]["schema"]} for name in reply.headers
        }
    return described


def _parameter(parameter: Parameter, components: Mapping[str, Json]) -> Json:
    schema = _converted(msgspec.json.schema(parameter.type), components)
    schema.pop("example", None)  # 2.0 has no examples for parameters
    described: Json = {"name": parameter.name, "in": parameter.where, "required": parameter.required, **schema}
    described["x-ms-summary"] = title_of(parameter.name)
    if parameter.visibility != "none":
        described["x-ms-visibility"] = parameter.visibility
    if parameter.where == "path":
        described["x-ms-url-encoding"] = "single"
    return described


# ---- schemas: 3.1 -> 2.0 -----------------------------------------------------------------------------------------


def _converted(schema: Json, components: Mapping[str, Json], *, inline: bool = False) -> Json:
    if "$ref" in schema:
        target = components[schema["$ref"].removeprefix(REF)]
        if not inline:
            return {"$ref": schema["$ref"].replace(REF, "#/definitions/")}
        rest = {name: value for name, value in schema.items() if name != "$ref"}
        return {**_converted(target, components), **_converted(rest, components)}
    if "anyOf" in schema:
        return _nullable(schema, components)
    new = {name: value for name, value in schema.items() if name not in ("examples", "title")}
    if "enum" in new:
        new.setdefault("type", "string")
    if new.get("default", "") is None:
        del new["default"]
    if new.get("required") == []:
        del new["required"]
    if "examples" in schema:
        new["example"] = schema["examples"][0]
    if "items" in new:
        new["items"] = _converted(new["items"], components)
    if isinstance(new.get("additionalProperties"), dict):
        new["additionalProperties"] = _converted(new["additionalProperties"], components)
    if "properties" in new:
        needed = new.get("required", ())
        new["properties"] = {
            name: _property(name, value, components, name in needed) for name, value in new["properties"].items()
        }
    return new


def _nullable(schema: Json, components: Mapping[str, Json]) -> Json:
    """`anyOf: [X, null]` -> X with `x-nullable`. 2.0 has no other unions: they become schemas without a type."""
    options = [option for option in schema["anyOf"] if option != {"type": "null"}]
    rest = {name: value for name, value in schema.items() if name != "anyOf"}
    if len(options) > 1:
        return _converted(rest, components)
    return {**_converted(options[0], components, inline=True), **_converted(rest, components), "x-nullable": True}


def _property(name: str, schema: Json, components: Mapping[str, Json], needed: bool) -> Json:
    new = {**_converted(schema, components, inline=True), "x-ms-summary": title_of(name)}
    if needed and len(new.get("enum", ())) == 1:  # only one value: hide it; a hidden required property needs a default
        new |= {"default": new["enum"][0], "x-ms-visibility": "internal"}
    return new


def title_of(name: str) -> str:
    """`createdTime`, `thread_id`, `Idempotency-Key` -> `Created Time`, `Thread ID`, `Idempotency Key`"""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).replace("_", " ").replace("-", " ").split()
    return " ".join(ACRONYMS.get(word.lower(), word[:1].upper() + word[1:]) for word in words)
