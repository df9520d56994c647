"""The three descriptions of the API, and what is in them."""

from collections.abc import Iterator
from typing import Any

from shared.http.openapi import openapi
from shared.http.swagger import swagger

Json = dict[str, Any]

URL = "https://app.example/api/openapi.json?x=1"
DOCUMENTS = {"3.0": openapi(URL), "3.1": openapi(URL, "3.1"), "2.0": swagger(URL)}


def nodes(document: Any) -> Iterator[Json]:
    """Every object in a document."""
    if isinstance(document, dict):
        yield document
    for value in document.values() if isinstance(document, dict) else document if isinstance(document, list) else ():
        yield from nodes(value)


def operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if not method.startswith("x-"):
                yield method.upper(), path, operation


def schemas_in(document: Json) -> Iterator[Json]:
    """All schemas of an OpenAPI document, also those inside of others."""
    roots = [*document["components"]["schemas"].values(), *(n["schema"] for n in nodes(document) if "schema" in n)]
    while roots:
        schema = roots.pop()
        if isinstance(schema, dict):
            yield schema
            roots += [*schema.get("properties", {}).values(), schema.get("items"), schema.get("additionalProperties")]
            roots += [option for name in ("anyOf", "oneOf", "allOf") for option in schema.get(name, ())]
