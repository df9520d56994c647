"""The app's own functions: their schemas, results and errors."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
import pytest

from shared.runs import tools
from shared.runs.tools import OUTPUT_MAX_CHARS, REGISTRY, call, schemas, tool


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Removes functions that a test adds."""
    monkeypatch.setattr(tools, "REGISTRY", REGISTRY.copy())
    yield


def decoded(output: str) -> Any:
    return json.loads(output)


async def test_a_typed_function_becomes_a_schema() -> None:
    @tool
    def find_order(number: Annotated[int, msgspec.Meta(ge=1)], country: str = "DE") -> dict[str, Any]:
        """Where an order is."""
        return {"number": number, "country": country}

    [schema] = schemas(["find_order", "no_such_function"])
    assert (schema.name, schema.description) == ("find_order", "Where an order is.")
    assert schema.parameters["type"] == "object"
    assert schema.parameters["required"] == ["number"]
    assert schema.parameters["properties"]["number"] == {"type": "integer", "minimum": 1}
    assert schema.parameters["properties"]["country"] == {"type": "string", "default": "DE"}
    assert schema.parameters["additionalProperties"] is False
    assert decoded(await call("find_order", '{"number": 7}')) == {"number": 7, "country": "DE"}


@pytest.mark.parametrize(
    "arguments", ["", "{", "[]", "{}", '{"number": "7"}', '{"number": 0}', '{"number": 7, "more": 1}', "null", "\ud800"]
)
async def test_invalid_arguments_are_returned_as_an_error(arguments: str) -> None:
    called = []

    @tool
    def find_order(number: Annotated[int, msgspec.Meta(ge=1)]) -> None:
        """Where an order is."""
        called.append(number)

    assert "arguments are not valid" in decoded(await call("find_order", arguments))["error"]
    assert called == []


async def test_errors_are_returned_to_the_model() -> None:
    @tool
    def fails() -> None:
        """Fails."""
        raise LookupError("no such order")

    @tool
    async def waits() -> None:
        """Waits."""
        await asyncio.Event().wait()

    @tool
    def much() -> str:
        """Returns too much."""
        return "x" * OUTPUT_MAX_CHARS

    @tool
    def odd() -> object:
        """Returns a value that is not JSON."""
        return object()

    assert decoded(await call("fails", "{}")) == {"error": "fails failed: LookupError: no such order"}
    assert "did not return within" in decoded(await call("waits", "{}", timeout_s=0.01))["error"]
    assert "the limit is" in decoded(await call("much", "{}"))["error"]
    assert "error" in decoded(await call("odd", "{}"))
    assert "no function" in decoded(await call("none", "{}"))["error"]


def test_a_function_without_types_or_docstring_is_refused() -> None:
    def untyped(x) -> None:  # type: ignore[no-untyped-def]
        """Has a docstring."""

    def wordless(x: int) -> None: ...

    for function in (untyped, wordless):
        with pytest.raises(TypeError, match=function.__name__):
            tool(function)


async def test_current_time() -> None:
    assert decoded(await call("current_time", "")).endswith("+00:00")
    assert "no time zone" in decoded(await call("current_time", '{"time_zone": "../etc/passwd"}'))["error"]
