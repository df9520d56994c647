"""Requests to callback URLs over real sockets: kinds of receivers, TLS, and addresses that are not allowed."""

from __future__ import annotations

import asyncio
import base64
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from openai import OpenAI

from shared.errors import BadRequest, ServiceBusy
from shared.push.notices import Push
from shared.push.outbound import ANSWER_MAX_BYTES, Lookup, Sender, UrlPolicy, dns
from tests.fakes import InMemoryBlobs, InMemoryQueue

LAPTOP = UrlPolicy(hosts=("127.0.0.1", "receiver.example"), allow_private=True)
CLOUD = UrlPolicy(hosts=("receiver.example",))
SECRET = "sig=do-not-tell"


@dataclass
class Receiver:
    """A real web server; `seen` has the requests: path, headers, body."""

    port: int = 0
    seen: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)  # set when the client disconnects early

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.seen.append((request.path_qs, dict(request.headers), await request.read()))
        match request.path.strip("/"):
            case "moved":
                return web.Response(status=307, headers={"Location": self.url("/200")})
            case "silent":
                await asyncio.Event().wait()
            case "endless":
                return await self._stream(request, b"x" * ANSWER_MAX_BYTES, endless=True)
            case "dripping":
                return await self._stream(request, b"x", endless=False)
        return web.Response(status=int(request.path.strip("/")))

    async def _stream(self, request: web.Request, chunk: bytes, *, endless: bool) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            await response.write(chunk)
            while endless:
                await response.write(chunk)
            await asyncio.Event().wait()
        except (ConnectionError, asyncio.CancelledError):
            self.left.set()
            raise
        return response


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    async with serving(receiver) as server:
        assert server.port
        receiver.port = server.port
        yield receiver


@asynccontextmanager
async def serving(receiver: Receiver, tls: ssl.SSLContext | None = None) -> AsyncIterator[TestServer]:
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", receiver.answer)
    server = TestServer(app, scheme="https" if tls else "http")
    await server.start_server(ssl=tls, shutdown_timeout=0)
    try:
        yield server
    finally:
        await server.close()


def names(*answers: list[str]) -> tuple[Lookup, list[str]]:
    """A lookup that returns these answers in order, then always the last one; and the names it was called with."""
    asked: list[str] = []

    async def lookup(host: str) -> list[str]:
        asked.append(host)
        return answers[min(len(asked), len(answers)) - 1]

    return lookup, asked


# ---- receivers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 202, 204, 404, 410, 429, 500])
async def test_returns_the_status_of_the_receiver(receiver: Receiver, status: int) -> None:
    assert await Sender(LAPTOP).post(receiver.url(f"/{status}"), b"{}", {}) == status


async def test_sends_body_headers_and_url_as_given(receiver: Receiver) -> None:
    """The query is not re-quoted, because a signature of the receiver may cover it."""
    path = "/200?sp=%2Ftriggers%2Frun&sig=a%2Bb%3D&empty="
    await Sender(LAPTOP).post(
        receiver.url(path), b'{"a": 1}', {"webhook-id": "msg_1", "Content-Type": "application/json"}
    )
    [(seen_path, headers, body)] = receiver.seen
    assert seen_path == path
    assert body == b'{"a": 1}'
    assert headers["webhook-id"] == "msg_1"
    assert headers["Content-Type"] == "application/json"
    assert "Cookie" not in headers


async def test_follows_no_redirect(receiver: Receiver) -> None:
    assert await Sender(LAPTOP).post(receiver.url("/moved"), b"{}", {}) == 307
    assert [path for path, _, _ in receiver.seen] == ["/moved"]


async def test_ignores_proxies_of_the_environment(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{await closed_port()}")
    assert await Sender(LAPTOP).post(receiver.url("/200"), b"{}", {}) == 200


async def test_stops_reading_a_huge_response(receiver: Receiver) -> None:
    patient = Sender(LAPTOP, timeout_s=600)
    assert await asyncio.wait_for(patient.post(receiver.url("/endless"), b"{}", {}), 180) == 200
    await asyncio.wait_for(receiver.left.wait(), 180)


async def test_the_status_is_returned_when_the_response_does_not_end(receiver: Receiver) -> None:
    assert await Sender(LAPTOP, timeout_s=0.5).post(receiver.url("/dripping"), b"{}", {}) == 200


async def test_a_receiver_without_a_response_is_busy(receiver: Receiver) -> None:
    with pytest.raises(ServiceBusy, match=r"^127\.0\.0\.1 could not be reached"):
        await Sender(LAPTOP, timeout_s=0.5).post(receiver.url("/silent"), b"{}", {})
    assert receiver.seen


async def test_a_refused_connection_is_busy() -> None:
    with pytest.raises(ServiceBusy):
        await Sender(LAPTOP).post(f"http://127.0.0.1:{await closed_port()}/?{SECRET}", b"{}", {})


async def test_a_name_that_cannot_be_resolved_is_busy() -> None:
    async def unknown(host: str) -> list[str]:
        raise OSError("Name or service not known")

    with pytest.raises(ServiceBusy, match=r"^receiver\.example"):
        await Sender(CLOUD, lookup=unknown).post("https://receiver.example/", b"{}", {})


async def test_a_name_without_addresses_is_busy() -> None:
    with pytest.raises(ServiceBusy):
        await Sender(CLOUD, lookup=names([])[0]).post("https://receiver.example/", b"{}", {})


@pytest.mark.parametrize("answer", [b"", b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: minus\r\n\r\n"])
async def test_a_receiver_without_http_is_busy_and_the_error_hides_the_url(answer: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ServiceBusy) as caught:
            await Sender(LAPTOP).post(f"http://127.0.0.1:{port}/?{SECRET}", b"{}", {})
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


async def test_the_openai_sdk_verifies_a_received_webhook(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the app nor the HTTP client logs the URL."""
    caplog.set_level(logging.DEBUG)
    queue, secret = InMemoryQueue(), f"whsec_{base64.b64encode(bytes(32)).decode()}"
    push = Push(
        state=InMemoryBlobs(),
        queue=queue,
        sender=Sender(LAPTOP),
        policy=LAPTOP,
        secret=secret,
        now=lambda: datetime.now(UTC),
    )
    url = receiver.url(f"/200?{SECRET}")
    await push.check(url)
    await push.announce("run.finished", id="run_1", data={"id": "run_1"}, urls=(url,))
    await push.deliver(msgspec.json.encode(queue.take().message))
    [(_, headers, body)] = receiver.seen
    with OpenAI(api_key="none", webhook_secret=secret) as client:
        assert client.webhooks.unwrap(body, headers).type == "run.finished"  # type: ignore[comparison-overlap]
    assert queue.messages == []
    ours = [str(vars(record)) for record in caplog.records if record.name != "aiohttp.access"]  # receiver's log
    assert ours and not any(SECRET in line for line in ours)


# ---- TLS ---------------------------------------------------------------------------------------------------------


async def test_a_self_signed_certificate_is_rejected(tmp_path: Path) -> None:
    receiver = Receiver()
    async with serving(receiver, tls=self_signed(tmp_path, "receiver.example")) as server:
        sender = Sender(LAPTOP, lookup=names(["127.0.0.1"])[0])
        with pytest.raises(ServiceBusy, match="Certificate"):
            await sender.post(f"https://receiver.example:{server.port}/200", b"{}", {})
    assert receiver.seen == []


def self_signed(folder: Path, host: str) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    alternatives = x509.SubjectAlternativeName([x509.DNSName(host), x509.IPAddress(IPv4Address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(alternatives, critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    both = folder / "both.pem"
    both.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    return context


# ---- addresses ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("found", [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["::1"], ["169.254.169.254"], ["10.0.0.4"]])
async def test_a_name_that_resolves_to_a_private_address_is_rejected_before_connecting(found: list[str]) -> None:
    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        writer.close()

    connections: list[asyncio.StreamWriter] = []
    async with await asyncio.start_server(count, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        sender = Sender(AnyPort(hosts=("receiver.example",)), lookup=names(found)[0])
        with pytest.raises(BadRequest) as caught:
            await sender.post(f"https://receiver.example:{port}/", b"{}", {})
    assert caught.value.code == "callback_not_allowed"
    assert connections == []


class AnyPort(UrlPolicy):
    """The policy `CLOUD` with any port, because a test cannot listen on 443."""

    def check_url(self, url: str) -> str:
        host, _, rest = url.removeprefix("https://").partition(":")
        return super().check_url(f"https://{host}/{rest.partition('/')[2]}")


async def test_the_name_is_resolved_once_and_the_checked_address_is_used(receiver: Receiver) -> None:
    """A second lookup could return another address. The `Host` header has the name, not the address."""
    lookup, asked = names(["127.0.0.1"], ["192.0.2.1"])
    assert await Sender(LAPTOP, lookup=lookup).post(receiver.url("/200", "receiver.example"), b"{}", {}) == 200
    assert asked == ["receiver.example"]
    assert receiver.seen[0][1]["Host"] == f"receiver.example:{receiver.port}"


async def test_a_name_is_resolved_and_checked_again_for_each_request() -> None:
    sender = Sender(CLOUD, lookup=names(["8.8.8.8"], ["127.0.0.1"])[0])
    await sender.check_host("receiver.example")
    with pytest.raises(BadRequest):
        await sender.post("https://receiver.example/", b"{}", {})


async def test_a_url_that_is_not_allowed_is_not_resolved() -> None:
    lookup, asked = names(["8.8.8.8"])
    with pytest.raises(BadRequest):
        await Sender(CLOUD, lookup=lookup).post("https://other.example/", b"{}", {})
    assert asked == []


async def test_check_host_rejects_a_private_address_and_accepts_a_failed_lookup() -> None:
    async def fails(host: str) -> list[str]:
        raise OSError("Temporary failure in name resolution")

    await Sender(CLOUD, lookup=fails).check_host("receiver.example")
    with pytest.raises(BadRequest):
        await Sender(CLOUD, lookup=names(["10.0.0.4"])[0]).check_host("receiver.example")


async def test_check_host_does_not_wait_for_a_slow_dns(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hangs(host: str) -> list[str]:
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr("shared.push.outbound.LOOKUP_S", 0.05)
    await asyncio.wait_for(Sender(CLOUD, lookup=hangs).check_host("receiver.example"), 180)


async def test_dns_uses_the_resolver_of_this_machine() -> None:
    assert set(await dns("localhost")) <= {"127.0.0.1", "::1"}


async def closed_port() -> int:
    """A port without a listener."""

    async def unused(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(unused, "127.0.0.1", 0) as server:
        return int(server.sockets[0].getsockname()[1])
