"""Which requests the servers of this machine answer: those of the user's programs, not those of foreign web pages.

A page of any site can send requests to 127.0.0.1, and with DNS rebinding also read the answers. A browser names the
page in `Origin` and `Sec-Fetch-Site`, and the name that the page used for this server in `Host`. Without a preflight,
which only a listed origin gets, a page sends only what an HTML form could send: GET, HEAD, and POST with a simple type.

Sources: https://fetch.spec.whatwg.org/#http-cors-protocol, https://www.w3.org/TR/fetch-metadata/
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

LOCALHOST = "localhost"
FORM_TYPES = frozenset({"application/x-www-form-urlencoded", "multipart/form-data", "text/plain"})
SAME_SITE = frozenset({"", "none", "same-origin"})  # values of Sec-Fetch-Site; a program sends none
ORIGIN = re.compile(r"https?://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?")
NAME = re.compile(r"(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?")
PREFLIGHT_AGE_S = 600
EXPOSED = "ETag, Location, Retry-After, X-Request-Id"
VARY = ("Vary", "Origin")


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why a request is not answered. `code` is for programs, `detail` says what to do."""

    status: int
    code: str
    detail: str


@dataclass(frozen=True, kw_only=True)
class Callers:
    """The settings of a server.

    Attributes:
        hosts: Values of `Host` that are answered besides the loopback names: `name` (any port) or `name:port`.
        origins: Origins of the pages that may call, such as `http://localhost:3000`.
    """

    hosts: frozenset[str] = frozenset()
    origins: frozenset[str] = frozenset()

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Read `ALLOWED_HOSTS` and `CORS_ORIGINS`, both separated by commas.

        Raises:
            ValueError: a value is not a host or an origin.
        """
        return cls(hosts=allowed_hosts(environ), origins=cors_origins(environ))

    def is_listed(self, headers: Mapping[str, str]) -> bool:
        """Whether a page of a listed origin sent this request."""
        return headers.get("origin", "") in self.origins

    def refusal_of_sender(self, headers: Mapping[str, str], *, server: str) -> Refusal | None:
        """Why a request is refused for its `Host`, `Origin` or `Sec-Fetch-Site`; None if it is not.

        Args:
            headers: Names in lower case.
            server: The address at which the request arrived, without its port.
        """
        host = headers.get("host", "").lower()
        if not self._is_ours(host, server):
            detail = (
                "This server does not answer to this Host: use http://127.0.0.1, or name the host in ALLOWED_HOSTS."
            )
            return Refusal(status=403, code="foreign_host", detail=detail)
        if self.is_listed(headers):
            return None
        if (origin := headers.get("origin")) is not None and origin.lower() != f"http://{host}":
            detail = "This server does not answer pages of this origin: list it in CORS_ORIGINS if it is your own."
            return Refusal(status=403, code="foreign_origin", detail=detail)
        if headers.get("sec-fetch-site", "").lower() not in SAME_SITE:
            detail = "A page of another site sent this request: open the address itself, or list the page's origin in "
            return Refusal(status=403, code="foreign_site", detail=f"{detail}CORS_ORIGINS and let it send its Origin.")
        return None

    def _is_ours(self, host: str, server: str) -> bool:
        """Whether `Host` names this server. A browser always sends it, and no page chooses its value freely."""
        name = without_port(host)
        return not host or name == server.lower() or is_loopback(name) or not self.hosts.isdisjoint({host, name})

    def cors_headers(self, method: str, headers: Mapping[str, str]) -> list[tuple[str, str]]:
        """The headers that let a page of a listed origin read the answer; none for any other request."""
        if not self.is_listed(headers):
            return []
        allowed = [("Access-Control-Allow-Origin", headers["origin"]), VARY]
        if not is_preflight(method, headers):
            return [*allowed, ("Access-Control-Expose-Headers", EXPOSED)]
        allowed += [("Access-Control-Allow-Methods", headers["access-control-request-method"])]
        if asked := headers.get("access-control-request-headers"):
            allowed += [("Access-Control-Allow-Headers", asked)]
        if headers.get("access-control-request-private-network") == "true":
            allowed += [("Access-Control-Allow-Private-Network", "true")]
        return [*allowed, ("Access-Control-Max-Age", str(PREFLIGHT_AGE_S))]


def refusal_of_type(method: str, headers: Mapping[str, str], *, forms: bool = False) -> Refusal | None:
    """Why a POST is refused for its Content-Type; None if it is not. Other methods that act need a preflight.

    Args:
        method: In capitals.
        headers: Names in lower case.
        forms: Accept `multipart/form-data`.
    """
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    has_body = "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
    if method != "POST" or (forms and media_type == "multipart/form-data"):
        return None
    if media_type in FORM_TYPES or (has_body and not media_type):
        detail = "Send the body with its type, such as Content-Type: application/json; a web page could send this one."
        return Refusal(status=415, code="wrong_media_type", detail=detail)
    return None


def is_preflight(method: str, headers: Mapping[str, str]) -> bool:
    """Whether a browser asks what a page may send."""
    return method == "OPTIONS" and bool(headers.get("origin") and headers.get("access-control-request-method"))


def allowed_hosts(environ: Mapping[str, str]) -> frozenset[str]:
    """Read `ALLOWED_HOSTS`.

    Raises:
        ValueError: a value is not a host.
    """
    return listed(environ, "ALLOWED_HOSTS", NAME, example="devbox.local or devbox.local:7071")


def cors_origins(environ: Mapping[str, str]) -> frozenset[str]:
    """Read `CORS_ORIGINS`. There is no wildcard: a page of any site could then act as the user.

    Raises:
        ValueError: a value is not an origin.
    """
    return listed(environ, "CORS_ORIGINS", ORIGIN, example="http://localhost:3000, without a path")


def listed(environ: Mapping[str, str], name: str, form: re.Pattern[str], *, example: str) -> frozenset[str]:
    values = [value.strip().lower() for value in environ.get(name, "").split(",") if value.strip()]
    for value in values:
        if not form.fullmatch(value):
            raise ValueError(f"{name}: {value!r} is not a value such as {example}. Separate several by commas.")
    return frozenset(values)


def without_port(host: str) -> str:
    """The name or address in a `Host`, without the brackets of IPv6."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def is_loopback(name: str) -> bool:
    """Whether a host is `localhost` or a loopback address."""
    try:
        return name == LOCALHOST or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
