"""`GET /api/openapi.json`: OpenAPI 3.0, or 3.1 with webhooks at `?version=3.1`, built from the operations in table.py.

3.0 is the default because generators of typed clients, such as NSwag, do not understand the schemas of 3.1.

Source: https://spec.openapis.org/oas/v3.1.1.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, cast, get_args

import azure.functions as func
import msgspec

from shared import VERSION
from shared.errors import BadRequest
from shared.http.fields import DocumentPath, OpenapiVersion, Prefix
from shared.http.openapi_30 import document_30
from shared.http.openapi_formats import add_formats, add_times, structs_of
from shared.http.route import TITLES, Operation, Parameter, Reply, json_response, problem
from shared.http.shapes.base import Problem
from shared.http.shapes.documents import DocumentChanged
from shared.http.shapes.runs import RunFinished
from shared.http.table import OPERATIONS

Json = dict[str, Any]

REF = "#/components/schemas/"
TITLE = "Assistant Functions"
ABOUT = "Upload documents to Blob Storage, ask questions over HTTP, and get answers with citations, charts and cost."
BINARY: Json = {"type": "string", "format": "binary"}
HEADERS: dict[str, Json] = {
    "Location": {"description": "The absolute URL to request next.", "schema": {"type": "string", "format": "uri"}},
    "Retry-After": {
        "description": "Seconds to wait before that request.",
        "schema": {"type": "integer", "minimum": 1},
    },
}
LONG_TEXTS = (DocumentPath, Prefix)  # percent-encoded, they can be longer than the host takes
TOO_LONG = "The request line has more than 8 KB; the host answers, without a body."
UNAUTHORIZED = "The function key is missing or wrong."
WEBHOOK_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
NOTIFICATIONS = {
    "runFinished": (RunFinished, "A run has ended"),
    "documentChanged": (DocumentChanged, "A document has changed"),
}


def get_openapi(req: func.HttpRequest) -> func.HttpResponse:
    try:
        return json_response(200, openapi(req.url, version_from(req.params.get("version"))))
    except BadRequest as exc:
        return problem(exc)


def version_from(text: str | None) -> OpenapiVersion:
    """Empty is the default, as for Microsoft's host, which drops an empty value."""
    if not text:
        return "3.0"
    if text not in get_args(OpenapiVersion):
        raise BadRequest(
            "There is no description in this version. Use version=3.0 or version=3.1; GET /api/swagger.json is OpenAPI "
            "2.0.",
            code="unknown_version",
        )
    return cast(OpenapiVersion, text)


def openapi(url: str, version: OpenapiVersion = "3.0") -> Json:
    """The document; the server in it is that of `url`, the URL of the request."""
    document = _document() if version == "3.1" else _document_30()
    return {**document, "servers": [{"url": server_of(url)}]}


def server_of(url: str) -> str:
    """`https://host/api/openapi.json?x` -> `https://host/api`"""
    return url.split("?")[0].rstrip("/").rpartition("/")[0]


@cache
def _document_30() -> Json:
    return document_30(_document())


@cache
def _document() -> Json:
    types = (*_types(), Problem, *(type for type, _ in NOTIFICATIONS.values()))
    schemas, components = _formatted(types)
    paths: Json = {}
    for op in OPERATIONS:
        paths.setdefault(op.path, {})[op.method.lower()] = _operation(op, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": VERSION, "description": ABOUT},
        "paths": paths,
        "webhooks": {name: {"post": _notification("receive", name, schemas)} for name in NOTIFICATIONS},
        "components": {
            "schemas": components,
            "securitySchemes": {
                "functionKey": {"type": "apiKey", "in": "header", "name": "x-functions-key"},
                "functionKeyInUrl": {"type": "apiKey", "in": "query", "name": "code"},
            },
        },
    }


def _formatted(types: tuple[Any, ...]) -> tuple[Mapping[Any, Json], dict[str, Json]]:
    """As `schemas_of`, with formats."""
    structs = structs_of(types)
    schemas, components = schemas_of((*types, *structs))
    add_times(structs, {cls: components[schemas[cls]["$ref"].removeprefix(REF)] for cls in structs})
    for schema in components.values():
        add_formats(schema)
    return schemas, components


def schemas_of(types: tuple[Any, ...]) -> tuple[Mapping[Any, Json], dict[str, Json]]:
    """Type -> its schema, usually a reference; and component name -> schema."""
    schemas, components = msgspec.json.schema_components(types, ref_template=REF + "{name}")
    return dict(zip(types, schemas, strict=True)), components


def _types() -> Iterator[Any]:
    for op in OPERATIONS:
        yield from (type for type in (op.body, *(reply.type for reply in op.replies)) if type not in (None, bytes))


def _operation(op: Operation, schemas: Mapping[Any, Json]) -> Json:
    described: Json = {
        "operationId": op.id,
        "tags": [op.path.split("/")[1]],
        "summary": op.summary,
        "description": op.description or op.summary,
        "parameters": [_parameter(parameter) for parameter in op.parameters],
        "responses": {
            **{str(reply.status): _reply(op, reply, schemas) for reply in op.replies},
            **{str(status): _problem(status, codes) for status, codes in problems_of(op).items()},
        },
        "security": [{"functionKey": []}, {"functionKeyInUrl": []}] if op.auth == "function" else [],
    }
    if op.auth == "function":
        described["responses"]["401"] = {"description": UNAUTHORIZED}
    if any(parameter.type in LONG_TEXTS for parameter in op.parameters):
        described["responses"]["414"] = {"description": TOO_LONG}
    if op.body is bytes:
        described["requestBody"] = {"required": True, "content": {"application/octet-stream": {"schema": BINARY}}}
    elif op.body:
        content = {"schema": schemas[op.body], **({} if op.example is None else {"example": op.example})}
        described["requestBody"] = {"required": op.body_required, "content": {"application/json": content}}
    if names := _notifications_of(op):
        url = "{$request.body#/callback_url}"
        described["callbacks"] = {
            name: {url: {"post": _notification(f"{op.id}Tells", name, schemas)}} for name in names
        }
    return described


def problems_of(op: Operation) -> dict[int, tuple[str, ...]]:
    """Status -> codes: those of the operation, and those that all operations with a JSON body or a key have."""
    found = dict(op.problems)
    if isinstance(op.body, type) and issubclass(op.body, msgspec.Struct):
        common = {400: ("malformed_json", "invalid_body"), 413: ("body_too_large",), 415: ("wrong_media_type",)}
        found |= {status: (*found.get(status, ()), *codes) for status, codes in common.items()}
    if op.auth == "function" or op.body:
        found[400] = (*found.get(400, ()), "invalid_encoding", "repeated_parameter")
        found |= {
            500: ("setting_missing", "setting_invalid"),
            503: ("storage_unavailable", "service_busy", "listing_failed"),
        }
    return dict(sorted(found.items()))


def _parameter(parameter: Parameter) -> Json:
    schema = msgspec.json.schema(parameter.type)
    add_formats(schema, parameter.name)
    described: Json = {"name": parameter.name, "in": parameter.where, "required": parameter.required}
    if description := schema.pop("description", None):
        described["description"] = description
    if examples := schema.pop("examples", None):
        described["example"] = examples[0]
    return {**described, "schema": schema}


def _reply(op: Operation, reply: Reply, schemas: Mapping[Any, Json]) -> Json:
    described: Json = {"description": reply.description}
    if reply.headers:
        described["headers"] = {name: {"required": True, **HEADERS[name]} for name in reply.headers}
    if reply.type:
        schema = BINARY if reply.type is bytes else schemas[reply.type]
        described["content"] = {media: {"schema": schema} for media in reply.media}
    if op.links and reply is op.replies[0]:
        described["links"] = {
            name: {"operationId": name, "parameters": {"id": "$response.body#/id"}} for name in op.links
        }
    return described


def _problem(status: int, codes: tuple[str, ...]) -> Json:
    example = {
        "type": f"urn:assistant-functions:problem:{codes[0]}",
        "title": TITLES[status],
        "status": status,
        "code": codes[0],
        "detail": "A sentence that says what to change.",
    }
    schema: Json = {"$ref": f"{REF}Problem"}
    if status < 500:  # with 5xx, the code can come from the model service
        schema["properties"] = {"status": {"enum": [status]}, "code": {"enum": list(codes)}}
    described: Json = {
        "description": problem_text(status, codes),
        "content": {"application/problem+json": {"schema": schema, "example": example}},
    }
    if status == 503:
        described["headers"] = {"Retry-After": HEADERS["Retry-After"]}
    return described


def problem_text(status: int, codes: tuple[str, ...]) -> str:
    return f"{TITLES[status]}: {', '.join(codes)}."


def _notifications_of(op: Operation) -> tuple[str, ...]:
    """The notifications that the body's `callback_url` gets: a hook can choose events, a run sends only its end."""
    fields = getattr(op.body, "__struct_fields__", ())
    if "callback_url" not in fields:
        return ()
    return tuple(NOTIFICATIONS) if "events" in fields else ("runFinished",)


def _notification(prefix: str, name: str, schemas: Mapping[Any, Json]) -> Json:
    type, summary = NOTIFICATIONS[name]
    return {
        "operationId": f"{prefix}{type.__name__}",
        "summary": summary,
        "description": "Signed as in Standard Webhooks. Sent again with growing delays until the answer is 2xx.",
        "parameters": [
            {"name": name, "in": "header", "required": True, "schema": {"type": "string"}} for name in WEBHOOK_HEADERS
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": schemas[type]}}},
        "responses": {"2XX": {"description": "Accepted."}, "410": {"description": "Ends the subscription."}},
        "security": [],
    }
