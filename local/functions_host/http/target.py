"""The target of a request: its path as the real host's server decodes it, its query, and the URL that functions see.

Sources: Kestrel (https://github.com/dotnet/aspnetcore, UrlDecoder, PathNormalizer) and `PathString.ToUriComponent`.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from urllib.parse import quote, unquote, urlsplit

UNSAFE_IN_URL = re.compile(r"%[0-9A-Fa-f]{2}|[^!$&'()*+,\-./0-9:;=@A-Z_a-z~]")
LEAD_BYTES = ((0xE0, 0xC0, 1), (0xF0, 0xE0, 2), (0xF8, 0xF0, 3))  # mask, value, continuation bytes
HEX_DIGITS = frozenset("0123456789abcdefABCDEF")


class BadTarget(Exception):
    """The target of a request is not valid; the answer is 400."""


def as_percent(error: UnicodeError) -> tuple[str, int]:
    """Error handler of codecs: bytes that are not UTF-8 stay percent-encoded."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(f"%{byte:02X}" for byte in error.object[error.start : error.end]), error.end


codecs.register_error("functions_host.as_percent", as_percent)


def split_target(raw: bytes, host: str) -> tuple[str, str]:
    """The path, still encoded, and the query without "?".

    Raises:
        BadTarget: a byte is not ASCII, there is a "#", or an absolute target names another host.
    """
    try:
        target = raw.decode("ascii")
    except UnicodeDecodeError as exc:
        raise BadTarget from exc
    if "#" in target or "\0" in target:
        raise BadTarget
    path, _, query = target.partition("?")
    if not path.startswith("/") and path not in {"", "*"}:
        try:
            parts = urlsplit(path)
        except ValueError as exc:
            raise BadTarget from exc
        if parts.scheme.lower() not in {"http", "https"} or parts.netloc.lower() != host.lower():
            raise BadTarget
        path = parts.path or "/"
    return path, query


def decoded_path(path: str) -> str:
    """Decode a path, except for `%2F` and what is not UTF-8; then resolve its dot segments.

    Raises:
        BadTarget: the path contains `%00`.
    """
    return without_dot_segments(decode_percent(path) if "%" in path else path)


def decode_percent(path: str) -> str:
    parts, position = [], 0
    while (found := path.find("%", position)) >= 0:
        parts.append(path[position:found])
        text, position = decode_at(path, found)
        parts.append(text)
    return "".join(parts) + path[position:]


def decode_at(path: str, start: int) -> tuple[str, int]:
    """The character that is encoded at a "%", and the position after it; the text as it is if that is no character."""
    first, position = octet_at(path, start)
    if first == 0:
        raise BadTarget
    if first is None or first < 0x80:
        return (path[start:position] if first is None else chr(first)), position
    octets = bytearray([first])
    for _ in range(next((count for mask, value, count in LEAD_BYTES if first & mask == value), 0)):
        following, after = octet_at(path, position) if path[position : position + 1] == "%" else (None, position)
        if following is None or following & 0xC0 != 0x80:
            return path[start:position], position
        octets.append(following)
        position = after
    try:
        return octets.decode(), position
    except UnicodeDecodeError:
        return path[start:position], position


def octet_at(path: str, start: int) -> tuple[int | None, int]:
    """The byte encoded at a "%", and the position after what was read; None if it is none, or `%2F`."""
    for position in (start + 1, start + 2):
        if path[position : position + 1] not in HEX_DIGITS:
            return None, min(position + 1, len(path))
    value = int(path[start + 1 : start + 3], 16)
    return (None, start + 1) if value == ord("/") else (value, start + 3)


def without_dot_segments(path: str) -> str:
    """Resolve `.` and `..` (RFC 3986, 5.2.4); empty segments stay."""
    if "/." not in path:
        return path
    segments: list[str] = []
    parts = path.split("/")[1:]
    for index, part in enumerate(parts):
        if part == ".." and segments:
            segments.pop()
        if part not in {".", ".."}:
            segments.append(part)
        elif index == len(parts) - 1:
            segments.append("")
    return "/" + "/".join(segments)


def encoded_path(path: str) -> str:
    """A decoded path as it stands in the URL that functions see; what looks percent-encoded stays."""
    return UNSAFE_IN_URL.sub(lambda found: found[0] if len(found[0]) == 3 else quote(found[0], safe=""), path)


def query_pairs(query: str) -> list[tuple[str, str]]:
    """Decode the pairs of a query; a name without "=" has the value ""."""
    pairs = []
    for part in query.split("&"):
        if part:
            name, _, value = part.partition("=")
            pairs.append((query_text(name), query_text(value)))
    return pairs


def query_text(text: str) -> str:
    return unquote(text.replace("+", " "), errors="functions_host.as_percent")


def joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Merge names without regard to case, the first spelling wins; join values with ",", but no empty ones."""
    spelling: dict[str, str] = {}
    values: dict[str, str] = {}
    for name, value in pairs:
        key = spelling.setdefault(name.lower(), name)
        earlier = values.get(key, "")
        values[key] = f"{earlier},{value}" if earlier and value else earlier or value
    return values
