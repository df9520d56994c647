"""Blob path patterns such as `documents/{name}`: match a blob, insert values."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

PARAMETER = re.compile(r"\{([A-Za-z][\w.-]*)\}")


@dataclass(frozen=True)
class PathPattern:
    """`container/path`; both parts may contain `{parameters}`. A parameter of the path may match "/"."""

    text: str

    @property
    def container(self) -> str:
        return self.text.partition("/")[0]

    @property
    def prefix(self) -> str:
        """The text before the first parameter, `documents/` of `documents/{name}.txt`: a subscription's filter."""
        match = PARAMETER.search(self.text)
        return self.text[: match.start()] if match else self.text

    @property
    def suffix(self) -> str:
        """The text after the last parameter, `.txt` of `documents/{name}.txt`."""
        return PARAMETER.split(self.text)[-1]

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        container, _, path = self.text.partition("/")
        return re.compile(f"{part_regex(container, '[^/]+')}/{part_regex(path, '.+') if path else '.+'}", re.DOTALL)

    def match(self, blob: str) -> dict[str, str] | None:
        """The parameters' values for a blob `container/name`; None if it does not match."""
        match = self._regex.fullmatch(blob)
        return match.groupdict() if match else None

    def filters(self, blob: str) -> bool:
        """Whether an Event Grid subscription for this pattern delivers the blob's events."""
        return (
            blob.startswith(self.prefix) and blob.endswith(self.suffix)
            if "{" in self.text
            else blob.startswith(self.text.rstrip("/") + "/") or blob == self.text
        )


def part_regex(text: str, anything: str) -> str:
    literals_and_names = PARAMETER.split(text)
    return "".join(
        re.escape(part) if index % 2 == 0 else f"(?P<{part}>{anything})"
        for index, part in enumerate(literals_and_names)
    )


def fill(pattern: str, values: Mapping[str, str]) -> str:
    """Replace `{parameters}` by values; `{rand-guid}` and `{datetime}` always have one.

    Raises:
        ValueError: a parameter has no value.
    """
    lower = {name.lower(): value for name, value in values.items()}

    def value(match: re.Match[str]) -> str:
        name = match[1].lower()
        if name in lower:
            return lower[name]
        if name == "rand-guid":
            return str(uuid.uuid4())
        if name == "datetime":
            return f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%SZ}"
        raise ValueError(f"No value for {match[0]} in {pattern!r}.")

    return PARAMETER.sub(value, pattern)
