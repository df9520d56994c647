"""Blob path patterns such as `documents/{name}`: match a blob, fill in values."""

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
    """`container/path`, either part with `{parameters}`. A parameter of the path may span "/"."""

    text: str

    @property
    def container(self) -> str:
        return self.text.partition("/")[0]

    @property
    def prefix(self) -> str:
        """The beginning all its blobs share, `documents/` of `documents/{name}.txt`: what a subscription filters by."""
        match = PARAMETER.search(self.text)
        return self.text[: match.start()] if match else self.text

    @property
    def suffix(self) -> str:
        """The end all its blobs share, `.txt` of `documents/{name}.txt`."""
        return PARAMETER.split(self.text)[-1]

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        container, _, path = self.text.partition("/")
        return re.compile(f"{part_regex(container, '[^/]+')}/{part_regex(path, '.+') if path else '.+'}", re.DOTALL)

    def match(self, blob: str) -> dict[str, str] | None:
        """Values of the parameters for a blob `container/name`, None when it does not match."""
        match = self._regex.fullmatch(blob)
        return match.groupdict() if match else None

    def filters(self, blob: str) -> bool:
        """Whether an Event Grid subscription with this pattern's subject filter lets the blob's events through."""
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
    """Put values in the place of `{parameters}`; `{rand-guid}` and `{datetime}` are always known.

    Raises:
        ValueError: a value is not known.
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
