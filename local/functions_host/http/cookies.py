"""Writes a cookie as the real host does: it parses what the function set, and writes it anew.

Source: https://github.com/dotnet/aspnetcore (`SetCookieHeaderValue`)
"""

from __future__ import annotations

from email.utils import format_datetime, parsedate_to_datetime
from http.cookies import Morsel
from urllib.parse import quote


def set_cookie(morsel: Morsel[str]) -> str:
    """The value of a Set-Cookie header. Domain and path are there even if they are empty.

    Raises:
        ValueError: an attribute is not valid.
    """
    parts = [f"{morsel.key}={quote(morsel.value, safe='')}"]
    if morsel["expires"]:
        parts.append(f"expires={format_datetime(parsedate_to_datetime(morsel['expires']), usegmt=True)}")
    if morsel["max-age"] not in ("", None):
        parts.append(f"max-age={int(float(morsel['max-age']))}")
    parts += [f"domain={morsel['domain']}", f"path={morsel['path']}"]
    if morsel["secure"]:
        parts.append("secure")
    if morsel["samesite"].lower() in {"lax", "strict", "none"}:
        parts.append(f"samesite={morsel['samesite'].lower()}")
    if morsel["httponly"]:
        parts.append("httponly")
    return "; ".join(parts)
