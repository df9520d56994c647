"""Sends POST requests to callback URLs, protected against server-side request forgery. Only this module uses aiohttp.

A caller chooses the URL, and could point the app at a server that only the app can reach. Therefore: the host must be
in the setting CALLBACK_HOSTS, the address that it resolves to must be public, the connection goes to exactly that
address, and the caller gets only the status of the response.

A URL may contain a secret, such as the signature of a Logic App's callback. Messages contain only its host.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from shared.errors import BadRequest, ServiceBusy, SettingError

URL_MAX_CHARS = 2048
ANSWER_MAX_BYTES = 64 * 1024
LOOKUP_S = 2.0  # the longest time that `check_host` waits for DNS

LABEL = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
NAME = re.compile(rf"(?=.{{1,253}}$)(?:{LABEL}\.)*(?!(?:[0-9]+|0x[0-9a-f]*)$){LABEL}")  # 127.1 and 0x7f.1 are IPs
UNSAFE = re.compile(r"[\x00-\x20\x7f\\#\ud800-\udfff]")  # URL parsers disagree about these; a fragment is never sent

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Lookup = Callable[[str], Awaitable[list[str]]]


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


PRIVATE = _networks("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7")
# Metadata services of Azure, AWS and Google that are outside the link-local range.
METADATA = _networks("168.63.129.16/32", "fd00:ec2::254/128", "fd20:ce::254/128")
GLOBAL_IPV6 = ipaddress.IPv6Network("2000::/3")  # without embedded IPv4: ::ffff:0:0/96, ::/96 and NAT64
# Inside the public ranges, but not public or with an embedded IPv4 address (6to4, Teredo). Listed here because the
# tables of `ipaddress` differ between Python versions.
# Source: https://www.iana.org/assignments/iana-ipv6-special-registry
SPECIAL = _networks("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")


class UrlPolicy:
    """Decides which URLs and addresses may be called.

    Args:
        hosts: Names such as `example.com`, or `*.logic.azure.com` for all its subdomains. Empty: nothing is allowed.
        allow_private: Also allow http, any port, and loopback and private addresses: for a laptop or a closed network.

    Raises:
        SettingError: an entry of `hosts` is not a host name.
    """

    def __init__(self, *, hosts: tuple[str, ...], allow_private: bool = False) -> None:
        self._allow_private = allow_private
        self._names = {_entry(host) for host in hosts if not host.startswith("*.")}
        self._endings = tuple(f".{_entry(host[2:])}" for host in hosts if host.startswith("*."))

    def check_url(self, url: str) -> str:
        """Check a URL before a request.

        Returns:
            Its host: lower case, without a trailing dot, non-ASCII names in the form `xn--`.

        Raises:
            BadRequest: `invalid_callback_url` or `callback_not_allowed`.
        """
        if len(url) > URL_MAX_CHARS or UNSAFE.search(url):
            raise _invalid(f"at most {URL_MAX_CHARS} characters, without spaces, control characters, '\\' or '#'")
        try:
            parsed = parse(url)
            host, port = _normal(parsed.raw_host or ""), parsed.port
        except ValueError:
            raise _invalid("of the form https://host/path") from None  # the cause contains the URL
        address = _address(host)
        if parsed.scheme not in ("https", "http") or not (NAME.fullmatch(host) or address):
            raise _invalid("of the form https://host/path, with a host's name")
        if "@" in parsed.raw_authority:
            raise _invalid("without a user name or password before the host")
        if not self._allow_private and (parsed.scheme != "https" or port != 443 or address):
            raise _invalid("https on port 443, with a host's name and not an IP address")
        self._check_host(host)
        if address:  # there is no DNS lookup, so no other check of the address
            self.check_address(host)
        return host

    def check_address(self, ip: str) -> None:
        """Raises BadRequest `callback_not_allowed` if the app must not connect to this resolved address."""
        address = _address(ip)
        if address and self._may_connect(address):
            return
        raise BadRequest(
            "The callback's host has an address that is not public (private, loopback, link-local or reserved).",
            code="callback_not_allowed",
        )

    def _check_host(self, host: str) -> None:
        if host in self._names or host.endswith(self._endings):
            return
        raise BadRequest(
            f"Callbacks to the host {host!r} are not allowed. Name an allowed host, or ask the operator of this app to "
            "add it to the setting CALLBACK_HOSTS.",
            code="callback_not_allowed",
        )

    def _may_connect(self, address: Address) -> bool:
        if _within(address, METADATA):
            return False
        return _is_public(address) or (self._allow_private and _within(address, PRIVATE))


class Sender:
    """POSTs to URLs that the policy allows.

    Args:
        lookup: Resolves a host name to IP addresses; may raise OSError. By default the DNS of this machine.
        timeout_s: For one request, from the DNS lookup to the end of the response.
    """

    def __init__(self, policy: UrlPolicy, *, lookup: Lookup | None = None, timeout_s: float = 10.0) -> None:
        self._policy = policy
        self._lookup = lookup or dns
        self._timeout_s = timeout_s

    async def check_host(self, host: str) -> None:
        """Raises BadRequest when the name resolves to an address that is not allowed.

        A name that cannot be resolved now is accepted: every `post` resolves and checks it again.
        """
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(LOOKUP_S):
                for ip in await self._lookup(host):
                    self._policy.check_address(ip)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Send one request and return the status. Ignores redirects and the proxy settings of the environment.

        Raises:
            BadRequest: the URL or its resolved address is not allowed; nothing was sent.
            ServiceBusy: connection or TLS failed, or there was no response in time.
        """
        host = self._policy.check_url(url)
        connector = aiohttp.TCPConnector(
            resolver=_Pinned(self._policy, self._lookup), use_dns_cache=False, force_close=True
        )
        session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=self._timeout_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        )
        try:
            async with (
                session,
                session.post(parse(url), data=body, headers=headers, allow_redirects=False) as response,
            ):
                await _drain(response)
                return response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            # `from None`: the message of the cause may contain the URL.
            raise ServiceBusy(f"{host} could not be reached ({type(exc).__name__}).", code="unreachable") from None


async def dns(host: str) -> list[str]:
    """Resolve a name with the resolver of this machine."""
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in found]


def parse(url: str) -> URL:
    """Parse a URL as the HTTP client does: the check and the request then use the same host.

    An ASCII URL is not re-quoted, because a signature in its query may depend on the quoting.
    """
    return URL(url, encoded=url.isascii())


class _Pinned(AbstractResolver):
    """A resolver that checks every address. The client connects to these addresses without a second lookup."""

    def __init__(self, policy: UrlPolicy, lookup: Lookup) -> None:
        self._policy = policy
        self._lookup = lookup

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._lookup(host)
        if not found:
            raise OSError("no address")
        for ip in found:
            self._policy.check_address(ip)
        return [
            ResolveResult(
                hostname=host,
                host=ip,
                port=port,
                family=socket.AF_INET6 if ":" in ip else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for ip in found
        ]

    async def close(self) -> None:
        """Nothing to close; aiohttp requires the method."""


async def _drain(response: aiohttp.ClientResponse) -> None:
    """Read the body up to `ANSWER_MAX_BYTES`, which lets a receiver finish a short response.

    Errors are ignored: the status is valid without the body.
    """
    left_bytes = ANSWER_MAX_BYTES
    with suppress(aiohttp.ClientError, TimeoutError):
        while left_bytes > 0 and (chunk := await response.content.read(left_bytes)):
            left_bytes -= len(chunk)


def _entry(text: str) -> str:
    """Normalise an entry of CALLBACK_HOSTS, without its `*.`, for the comparison in `check_url`."""
    try:
        host = _normal(URL.build(scheme="https", host=text.strip("[]")).raw_host or "")
    except ValueError:
        host = ""
    if NAME.fullmatch(host) or _address(host):
        return host
    raise SettingError(
        f"The setting CALLBACK_HOSTS has {text[:80]!r}; an entry should be a host's name such as example.com, or "
        "*.example.com for all names below it.",
        code="setting_invalid",
    )


def _normal(host: str) -> str:
    return host.lower().removesuffix(".")


def _address(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _is_public(address: Address) -> bool:
    if address.is_multicast or address.is_reserved or not address.is_global or _within(address, SPECIAL):
        return False
    return address.version == 4 or address in GLOBAL_IPV6


def _within(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address in network for network in networks)


def _invalid(should_be: str) -> BadRequest:
    return BadRequest(f"The callback URL should be {should_be}.", code="invalid_callback_url")
