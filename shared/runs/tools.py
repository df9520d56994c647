"""The app's own functions that the model can call.

To add one, write a function with `@tool` at the end of this file. The model sees its name, its docstring and a JSON
Schema of its typed parameters. Its result goes to the model as JSON; an exception goes to the model as an error.
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
    """`arguments` is a type with the parameters as fields."""

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
    """Register a typed function, sync or async. Assistants that name it can call it."""
    hints = get_type_hints(function, include_extras=True)
    fields = []
    for name, parameter in inspect.signature(function).parameters.items():
        if name not in hints:
            raise TypeError(f"{function.__name__}: the parameter {name} needs a type for the JSON Schema.")
        optional = parameter.default is not inspect.Parameter.empty
        fields.append((name, hints[name], parameter.default) if optional else (name, hints[name]))
    arguments = msgspec.defstruct(f"{function.__name__}_arguments", fields, forbid_unknown_fields=True)
    description = inspect.getdoc(function)
    if not description:
        raise TypeError(
            f"{function.__name__}: it needs a docstring: the model decides with it when to call the function."
        )
    REGISTRY[function.__name__] = Tool(
        name=function.__name__, description=description, function=function, arguments=arguments
    )
    return function


def schemas(names: Iterable[str]) -> tuple[Function, ...]:
    """The schemas of the named functions. A name without a function is skipped: it may have been removed."""
    return tuple(REGISTRY[name].schema for name in names if name in REGISTRY)


async def call(name: str, arguments: str, *, timeout_s: float = TIMEOUT_S) -> str:
    """Execute one call. Returns JSON text for the model; an error of the model or of the function is returned, too."""
    found = REGISTRY.get(name)
    if found is None:
        return _error(f"There is no function {name}.")
    try:
        given = msgspec.json.decode(arguments or "{}", type=found.arguments)
    except (msgspec.DecodeError, UnicodeEncodeError) as exc:
        return _error(f"The arguments are not valid: {exc}.")
    try:
        async with asyncio.timeout(timeout_s):
            output = msgspec.json.encode(await _run(found.function, msgspec.structs.asdict(given))).decode()
    except TimeoutError:
        return _error(f"{name} did not return within {timeout_s:g} s.")
    except Exception as exc:
        return _error(f"{name} failed: {type(exc).__name__}: {exc}")
    if len(output) > OUTPUT_MAX_CHARS:
        return _error(f"{name} returned {len(output):,} characters; the limit is {OUTPUT_MAX_CHARS:,}.")
    return output


async def _run(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    if inspect.iscoroutinefunction(function):
        return await function(**arguments)
    return await asyncio.to_thread(function, **arguments)


def _error(message: str) -> str:
    return msgspec.json.encode({"error": message}).decode()


# ---- the functions -----------------------------------------------------------------------------------------------


@tool
def current_time(time_zone: str = "UTC") -> str:
    """The current date and time, as ISO 8601. `time_zone` is an IANA name such as Europe/Berlin."""
    try:
        zone = UTC if time_zone == "UTC" else ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError) as exc:
        raise ValueError(f"There is no time zone {time_zone!r}.") from exc
    return datetime.now(zone).isoformat(timespec="seconds")
