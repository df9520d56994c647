"""The one way out to addresses that callers name: what is allowed, and the POST itself. Only this room imports aiohttp.

A caller who may name a URL can aim the app at what only the app can reach (server-side request forgery). So the host
must be on the operator's list, the address it resolves to must be public, the connection goes to that very address,
and nothing of the answer but its status is handed on.

A URL may carry a secret, such as the signature of a Logic App's callback: messages name the host and nothing else.
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
LOOKUP_S = 2.0  # a request waits for DNS no longer than this

LABEL = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
NAME = re.compile(rf"(?=.{{1,253}}$)(?:{LABEL}\.)*(?!(?:[0-9]+|0x[0-9a-f]*)$){LABEL}")  # 127.1 and 0x7f.1 are addresses
UNSAFE = re.compile(r"[\x00-\x20\x7f\\#\ud800-\udfff]")  # parsers disagree about these; a fragment is never sent

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Lookup = Callable[[str], Awaitable[list[str]]]


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


PRIVATE = _networks("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7")
# What a cloud machine asks about itself, outside the link-local range: Azure, AWS, Google.
METADATA = _networks("168.63.129.16/32", "fd00:ec2::254/128", "fd20:ce::254/128")
GLOBAL_IPV6 = ipaddress.IPv6Network("2000::/3")  # leaves out IPv4 in disguise: ::ffff:0:0/96, ::/96 and NAT64
# Parts of the public ranges that are not, or that hold an IPv4 address (6to4, Teredo). Python's own tables differ by
# version. Source: https://www.iana.org/assignments/iana-ipv6-special-registry
SPECIAL = _networks("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")


class UrlPolicy:
    """Decides which URLs and addresses may be called.

    Args:
        hosts: Names such as `example.com`, and `*.logic.azure.com` for all names below it; none: nothing is allowed.
        allow_private: Also http, any port, and loopback and private addresses, for a laptop or a closed network.

    Raises:
        SettingError: an entry of `hosts` is not a name.
    """

    def __init__(self, *, hosts: tuple[str, ...], allow_private: bool = False) -> None:
        self._allow_private = allow_private
        self._names = {_entry(host) for host in hosts if not host.startswith("*.")}
        self._endings = tuple(f".{_entry(host[2:])}" for host in hosts if host.startswith("*."))

    def check_url(self, url: str) -> str:
        """The host of a URL that may be called: lower case, without trailing dot, non-ASCII names in their `xn--` form.

        Raises:
            BadRequest: `invalid_callback_url` or `callback_not_allowed`.
        """
        if len(url) > URL_MAX_CHARS or UNSAFE.search(url):
            raise _invalid(f"at most {URL_MAX_CHARS} characters, without spaces, control characters, '\\' or '#'")
        try:
            parsed = parse(url)
            host, port = _normal(parsed.raw_host or ""), parsed.port
        except ValueError:
            raise _invalid("of the form https://host/path") from None  # the cause holds the URL
        address = _address(host)
        if parsed.scheme not in ("https", "http") or not (NAME.fullmatch(host) or address):
            raise _invalid("of the form https://host/path, with a host's name")
        if "@" in parsed.raw_authority:
            raise _invalid("without a user name or password before the host")
        if not self._allow_private and (parsed.scheme != "https" or port != 443 or address):
            raise _invalid("https on port 443, with a host's name and not an IP address")
        self._check_host(host)
        if address:  # no lookup will follow
            self.check_address(host)
        return host

    def check_address(self, ip: str) -> None:
        """Raises BadRequest `callback_not_allowed` unless this address, as DNS gave it, may be connected to."""
        address = _address(ip)
        if address and self._may_connect(address):
            return
        raise BadRequest(
            "The callback's host leads to an address that is not public (private, loopback, link-local or reserved).",
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
        lookup: Name -> IP addresses; may raise OSError.
        timeout_s: For one whole exchange, from the lookup to the end of the answer.
    """

    def __init__(self, policy: UrlPolicy, *, lookup: Lookup | None = None, timeout_s: float = 10.0) -> None:
        self._policy = policy
        self._lookup = lookup or dns
        self._timeout_s = timeout_s

    async def check_host(self, host: str) -> None:
        """Raises BadRequest when the name leads to an address that is not allowed.

        A name that cannot be resolved just now passes: every `post` resolves it and checks again.
        """
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(LOOKUP_S):
                for ip in await self._lookup(host):
                    self._policy.check_address(ip)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Send once and answer the status; redirects are not followed, and a proxy from the environment is not used.

        Raises:
            BadRequest: the URL or the address behind it is not allowed; nothing was sent.
            ServiceBusy: out of reach, no TLS, or no answer in time.
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
            # Without its cause, whose message may hold the URL.
            raise ServiceBusy(f"{host} could not be reached ({type(exc).__name__}).", code="unreachable") from None


async def dns(host: str) -> list[str]:
    """The addresses of a name, as this machine resolves it."""
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in found]


def parse(url: str) -> URL:
    """As the HTTP client reads it, so that what is checked is what is called.

    An ASCII URL is sent as it was given: a signature in its query may depend on how it is quoted.
    """
    return URL(url, encoded=url.isascii())


class _Pinned(AbstractResolver):
    """Gives the client the checked addresses, which it connects to without a second lookup."""

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
        """Nothing is held open."""


async def _drain(response: aiohttp.ClientResponse) -> None:
    """Let the receiver finish a short answer; the status counts even when it does not."""
    left = ANSWER_MAX_BYTES
    with suppress(aiohttp.ClientError, TimeoutError):
        while left > 0 and (chunk := await response.content.read(left)):
            left -= len(chunk)


def _entry(text: str) -> str:
    """One host of the setting, without its `*.`, as `check_url` compares it."""
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
