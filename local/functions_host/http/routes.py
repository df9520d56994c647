"""Route templates of HTTP functions: `runs/{id:guid}`, `files/{*path}`, `items/{id?}`.

Templates have no precedence: the host tries the functions in the order of their names and takes the first match.

Source: https://learn.microsoft.com/aspnet/core/fundamentals/routing#route-templates
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote

ROUTE_PARAMETER = re.compile(r"\{((?:[^{}]|\{\{|\}\})+)\}")  # a regex constraint may contain doubled braces
PARAMETER_PARTS = re.compile(
    r"(?P<star>\*{0,2})(?P<name>\w+)(?P<constraints>(?::\w+(?:\(.*\))?)*)(?:=(?P<default>[^?]*))?(?P<optional>\?)?"
)


def parses(read: Callable[[str], object]) -> Callable[[str], bool]:
    """A check that is true for a text that `read` accepts without a ValueError."""

    def check(text: str) -> bool:
        try:
            read(text)
        except ValueError:
            return False
        return True

    return check


CHECKS: dict[str, Callable[[str], bool]] = {
    "int": lambda text: re.fullmatch(r"[+-]?\d{1,10}", text) is not None and -(2**31) <= int(text) < 2**31,
    "long": lambda text: re.fullmatch(r"[+-]?\d{1,19}", text) is not None and -(2**63) <= int(text) < 2**63,
    "bool": lambda text: text.lower() in {"true", "false"},
    "guid": parses(uuid.UUID),
    "alpha": lambda text: re.fullmatch(r"[A-Za-z]*", text) is not None,
    "decimal": parses(float),
    "double": parses(float),
    "float": parses(float),
    "datetime": parses(datetime.fromisoformat),
    "required": bool,
}


def constraint(text: str) -> Callable[[str], bool]:
    """The check for a constraint such as `int` or `length(1,8)`.

    Raises:
        ValueError: the constraint is not known.
    """
    name, _, rest = text.partition("(")
    name, argument = name.lower(), rest.removesuffix(")")
    if name in CHECKS and not rest:
        return CHECKS[name]
    if name == "regex":
        pattern = re.compile(argument.replace("{{", "{").replace("}}", "}"), re.IGNORECASE)
        return lambda value: pattern.search(value) is not None
    numbers = (
        [int(number) for number in argument.split(",")] if re.fullmatch(r"\s*-?\d+\s*(,\s*-?\d+\s*)?", argument) else []
    )
    if numbers and name in {"length", "minlength", "maxlength", "min", "max", "range"}:
        return bounded(name, numbers)
    raise ValueError(f"unknown route constraint {text!r}")


def bounded(name: str, numbers: Sequence[int]) -> Callable[[str], bool]:
    lowest = None if name in {"maxlength", "max"} else numbers[0]
    highest = None if name in {"minlength", "min"} else numbers[-1]

    def check(text: str) -> bool:
        if "length" not in name and not CHECKS["long"](text):
            return False
        value = len(text) if "length" in name else int(text)
        return (lowest is None or value >= lowest) and (highest is None or value <= highest)

    return check


@dataclass(frozen=True, kw_only=True)
class Route:
    """A compiled template."""

    regex: re.Pattern[str]
    constraints: tuple[tuple[str, Callable[[str], bool]], ...]
    defaults: dict[str, str]

    @classmethod
    def compile(cls, template: str) -> Route:
        """Compile a template such as `api/runs/{id}`.

        Raises:
            ValueError: the template is not valid.
        """
        constraints: list[tuple[str, Callable[[str], bool]]] = []
        defaults: dict[str, str] = {}
        pattern = ""
        for segment in template.strip("/").split("/") if template.strip("/") else []:
            part, is_optional = "", False
            for index, text in enumerate(ROUTE_PARAMETER.split(segment)):
                if index % 2 == 0:
                    part += literal(text, segment)
                    continue
                parameter = PARAMETER_PARTS.fullmatch(text)
                if parameter is None:
                    raise ValueError(f"route segment {segment!r} is not valid")
                part += f"(?P<{parameter['name']}>{'.*' if parameter['star'] else '[^/]+'})"
                constraints += [(parameter["name"], constraint(c)) for c in split_constraints(parameter["constraints"])]
                if parameter["default"] is not None:
                    defaults[parameter["name"]] = parameter["default"]
                is_optional = bool(parameter["optional"] or parameter["star"] or parameter["default"] is not None)
            pattern += f"(?:/{part})?" if is_optional else f"/{part}"
        regex = re.compile(pattern + "/?", re.IGNORECASE | re.DOTALL)
        return cls(regex=regex, constraints=tuple(constraints), defaults=defaults)

    def match(self, raw_path: str) -> dict[str, str] | None:
        """The parameters of a percent-encoded path; None if it does not match."""
        match = self.regex.fullmatch(raw_path if raw_path != "/" else "")
        if match is None:
            return None
        found = {name: unquote(value) for name, value in match.groupdict().items() if value}
        if not all(check(found[name]) for name, check in self.constraints if name in found):
            return None
        return self.defaults | found


def literal(text: str, segment: str) -> str:
    if "{" in text or "}" in text:
        raise ValueError(f"route segment {segment!r} is not valid")
    return re.escape(text)


def split_constraints(text: str) -> list[str]:
    """`:int:range(1,5)` -> `int`, `range(1,5)`; colons in parentheses do not split."""
    parts, depth = [""], 0
    for character in text[1:]:
        depth += (character == "(") - (character == ")")
        if character == ":" and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part for part in parts if part]
