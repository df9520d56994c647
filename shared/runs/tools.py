"""Functions of the app's own that the model may call: typed, described, checked, with a time limit.

To add one, write a function below with `@tool`. Its name, docstring and typed parameters become the JSON Schema that
the model sees; what it returns goes back to the model as JSON, and so does what it raises, as an error.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, get_type_hints
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from shared.models.runs import Function

TIMEOUT_S = 30.0
OUTPUT_MAX_CHARS = 100_000


@dataclass(frozen=True, kw_only=True)
class Tool:
    """`arguments` is the type its parameters make together."""

    name: str
    description: str
    function: Callable[..., Any]
    arguments: type[msgspec.Struct]

    @property
    def schema(self) -> Function:
        (_, components) = msgspec.json.schema_components([self.arguments], ref_template="#/$defs/{name}")
        parameters = dict(components.pop(self.arguments.__name__))
        if components:
            parameters["$defs"] = components
        return Function(name=self.name, description=self.description, parameters=parameters)


REGISTRY: dict[str, Tool] = {}


def tool(function: Callable[..., Any]) -> Callable[..., Any]:
    """Offer a typed function, sync or async, to assistants that name it."""
    hints = get_type_hints(function, include_extras=True)
    fields = []
    for name, parameter in inspect.signature(function).parameters.items():
        if name not in hints:
            raise TypeError(f"{function.__name__}: the parameter {name} needs a type, so that the model knows it.")
        optional = parameter.default is not inspect.Parameter.empty
        fields.append((name, hints[name], parameter.default) if optional else (name, hints[name]))
    arguments = msgspec.defstruct(f"{function.__name__}_arguments", fields, forbid_unknown_fields=True)
    description = inspect.getdoc(function)
    if not description:
        raise TypeError(f"{function.__name__}: it needs a docstring, by which the model decides when to call it.")
    REGISTRY[function.__name__] = Tool(
        name=function.__name__, description=description, function=function, arguments=arguments
    )
    return function


def schemas(names: Iterable[str]) -> tuple[Function, ...]:
    """Those of these that there are: an assistant may outlive a function."""
    return tuple(REGISTRY[name].schema for name in names if name in REGISTRY)


async def call(name: str, arguments: str, *, timeout_s: float = TIMEOUT_S) -> str:
    """Run one call; the answer is JSON text for the model. Never raises for the model's or the function's fault."""
    found = REGISTRY.get(name)
    if found is None:
        return _error(f"There is no function {name}.")
    try:
        given = msgspec.json.decode(arguments or "{}", type=found.arguments)
    except (msgspec.DecodeError, UnicodeEncodeError) as exc:
        return _error(f"The arguments do not fit: {exc}.")
    try:
        async with asyncio.timeout(timeout_s):
            output = msgspec.json.encode(await _run(found.function, msgspec.structs.asdict(given))).decode()
    except TimeoutError:
        return _error(f"{name} did not answer within {timeout_s:g} s.")
    except Exception as exc:
        return _error(f"{name} failed: {type(exc).__name__}: {exc}")
    return output if len(output) <= OUTPUT_MAX_CHARS else _error(f"{name} answered more than fits.")


async def _run(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    if inspect.iscoroutinefunction(function):
        return await function(**arguments)
    return await asyncio.to_thread(function, **arguments)


def _error(message: str) -> str:
    return msgspec.json.encode({"error": message}).decode()


# ---- the functions -----------------------------------------------------------------------------------------------


@tool
def current_time(time_zone: str = "UTC") -> str:
    """The date and time now, as ISO 8601. `time_zone` is an IANA name such as Europe/Berlin."""
    try:
        zone = UTC if time_zone == "UTC" else ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError) as exc:
        raise ValueError(f"There is no time zone {time_zone!r}.") from exc
    return datetime.now(zone).isoformat(timespec="seconds")
