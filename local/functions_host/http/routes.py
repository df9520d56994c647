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

ROUTE_PARAMETER = re.compile(r"\{((?:[^{}]|\{\{|\}\})+)\}")  # a regex constraint may contain doubled braces
PARAMETER_PARTS = re.compile(
    r"(?P<star>\*{0,2})(?P<name>\w+)(?P<constraints>(?::\w+(?:\(.*\))?)*)(?:=(?P<default>[^?]*))?(?P<optional>\?)?"
)

INTEGER = re.compile(r"\s*[+-]?[0-9]{1,100}\s*")


def parses(read: Callable[[str], object]) -> Callable[[str], bool]:
    """A check that is true for a text that `read` accepts without a ValueError."""

    def check(text: str) -> bool:
        try:
            read(text)
        except ValueError:
            return False
        return True

    return check


def whole_number(bits: int) -> Callable[[str], bool]:
    """A check for a signed whole number; Python reads no text of more than 4,300 digits."""
    is_read = parses(int)
    return lambda text: bool(INTEGER.fullmatch(text)) and is_read(text) and -(2**bits) <= int(text) < 2**bits


CHECKS: dict[str, Callable[[str], bool]] = {
    "int": whole_number(31),
    "long": whole_number(63),
    "bool": lambda text: text.strip().lower() in {"true", "false"},
    "guid": parses(uuid.UUID),
    "alpha": lambda text: re.fullmatch(r"[A-Za-z]*", text) is not None,
    "decimal": parses(float),
    "double": parses(float),
    "float": parses(float),
    "datetime": parses(datetime.fromisoformat),
    "required": bool,
    "file": lambda text: re.search(r"\.[^/]+$", text.rsplit("/", 1)[-1]) is not None,
    "nonfile": lambda text: re.search(r"\.[^/]+$", text.rsplit("/", 1)[-1]) is None,
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
class Segment:
    """A part of a template between two slashes.

    Attributes:
        regex: Matches the whole segment of a path; None for a catch-all.
        catch_all: Name of the parameter that takes the rest of the path.
        can_be_absent: Whether a path may end before this segment.
    """

    regex: re.Pattern[str] | None
    catch_all: str = ""
    can_be_absent: bool = False


@dataclass(frozen=True, kw_only=True)
class Route:
    """A compiled template."""

    segments: tuple[Segment, ...]
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
        texts = template.strip("/").split("/") if template.strip("/") else []
        segments = [compile_segment(text, constraints, defaults) for text in texts]
        names = [name for segment in segments if segment.regex for name in segment.regex.groupindex]
        if len(names) != len({name.lower() for name in names}):
            raise ValueError(f"route {template!r} has two parameters of one name")
        if any(segment.catch_all for segment in segments[:-1]):
            raise ValueError(f"route {template!r} goes on after a catch-all parameter")
        return cls(segments=tuple(segments), constraints=tuple(constraints), defaults=defaults)

    def match(self, path: str) -> dict[str, str] | None:
        """The parameters of a decoded path; None if it does not match.

        An empty segment matches only within a catch-all; one slash at the end is ignored.
        """
        found: dict[str, str] = {}
        rest, taken = path.removeprefix("/"), 0
        while rest:
            part, _, after = rest.partition("/")
            if not part or taken == len(self.segments):
                return None
            segment = self.segments[taken]
            taken += 1
            if segment.regex is None:
                found[segment.catch_all] = rest
                break
            match = segment.regex.fullmatch(part)
            if match is None:
                return None
            found |= {name: value for name, value in match.groupdict().items() if value}
            rest = after
        if not all(segment.can_be_absent for segment in self.segments[taken:]):
            return None
        if not all(check(found[name]) for name, check in self.constraints if name in found):
            return None
        return self.defaults | found


def compile_segment(
    text: str, constraints: list[tuple[str, Callable[[str], bool]]], defaults: dict[str, str]
) -> Segment:
    """Compile a part of a template; add its constraints and default values to the given collections."""
    pieces, pattern, absent = ROUTE_PARAMETER.split(text), "", False
    for index, piece in enumerate(pieces):
        if index % 2 == 0:
            pattern += literal(piece, text)
            continue
        parameter = PARAMETER_PARTS.fullmatch(piece)
        if parameter is None:
            raise ValueError(f"route segment {text!r} is not valid")
        name, default = parameter["name"], parameter["default"]
        constraints += [(name, constraint(part)) for part in split_constraints(parameter["constraints"])]
        if default is not None:
            defaults[name] = default
        alone = pieces[0] == pieces[-1] == "" and len(pieces) == 3
        if parameter["star"]:
            if not alone:
                raise ValueError(f"route segment {text!r} has more than its catch-all parameter")
            return Segment(regex=None, catch_all=name, can_be_absent=True)
        absent = alone and (bool(parameter["optional"]) or default is not None)
        if parameter["optional"] and not alone:
            raise ValueError(
                f"route segment {text!r}: this host supports an optional parameter only as a whole segment"
            )
        pattern += f"(?P<{name}>[^/]+)"
    return Segment(regex=re.compile(pattern, re.IGNORECASE | re.DOTALL), can_be_absent=absent)


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
