"""Managed identity: App Service's token endpoint, Azurite with OAuth, and the emulator with Entra ID tokens."""

import asyncio
import base64
import datetime as dt
import http.server
import ipaddress
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from local.functions_host.storage import PUBLISHED_KEY
from local.openai_emulator.server import serve
from local.openai_emulator.settings import Settings as EmulatorSettings
from local.paths import ROOT
from local.stack.azurite import ACCOUNT
from local.stack.node import azurite_command
from local.stack.process import Process

CLIENT_ID = "11111111-2222-3333-4444-555555555555"
STORAGE = "https://storage.azure.com"
MODEL = "https://ai.azure.com"
HOUR_S = 3600


def jwt(audience: str, *, age_s: float = 0) -> str:
    """An unsigned token of Entra ID that is valid for an hour from `age_s` ago."""
    now_s = int(time.time() - age_s)
    claims = {
        "aud": audience,
        "iss": "https://sts.windows.net/tenant/",
        "iat": now_s,
        "nbf": now_s,
        "exp": now_s + HOUR_S,
    }
    parts = [json.dumps(part).encode() for part in ({"alg": "none", "typ": "JWT"}, claims)]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts) + ".x"


@dataclass
class Identity:
    """App Service's token endpoint for managed identities. `asked`: the queries so far.

    Source: https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference
    """

    secret: str = "only-this-app"
    wrong_audience: str = ""  # when set, tokens are for this audience instead of the requested one
    age_s: float = 0
    asked: list[dict[str, str]] = field(default_factory=list)

    def answer(self, query: dict[str, str]) -> dict[str, str]:
        self.asked.append(query)
        token = jwt(self.wrong_audience or query["resource"], age_s=self.age_s)
        expires_on = str(int(time.time()) + HOUR_S)  # clients cache the token until then, whatever its age
        return {"access_token": token, "expires_on": expires_on, "resource": query["resource"], "token_type": "Bearer"}


@pytest.fixture
def identity() -> Identity:
    return Identity()


@pytest.fixture
def identity_endpoint(identity: Identity) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            allowed = self.headers.get("X-IDENTITY-HEADER") == identity.secret
            query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
            self.send_response(200 if allowed else 401)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(identity.answer(query) if allowed else {}).encode())

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/msi/token"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1 and its key."""
    folder = tmp_path_factory.mktemp("certificate")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert, secret = folder / "cert.pem", folder / "key.pem"
    cert.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return cert, secret


@pytest.fixture(scope="module")
def storage_urls(certificate: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Azurite with https and bearer tokens, as in Azure. Blob and queue endpoints by name."""
    cert, secret = certificate
    arguments = ["--inMemoryPersistence", "--disableTelemetry", "--skipApiVersionCheck", "--oauth", "basic"]
    for service in ("blob", "queue", "table"):
        arguments += [f"--{service}Host", "127.0.0.1", f"--{service}Port", "0"]
    command = [*azurite_command(), *arguments, "--cert", str(cert), "--key", str(secret)]
    log = tmp_path_factory.mktemp("azurite-https") / "azurite.log"
    with Process("azurite", command, log=log) as process:

        def listening() -> dict[str, str]:
            found = re.findall(
                r"Azurite (\w+) service is successfully listening at (https://[\d.:]+)", process.output()
            )
            return {service.lower(): f"{url}/{ACCOUNT}" for service, url in found}

        process.wait_until(lambda: len(listening()) == 3, within_s=30)
        yield listening()


@pytest.fixture(scope="module")
def provisioned(storage_urls: dict[str, str], certificate: tuple[Path, Path]) -> dict[str, str]:
    """Creates containers and queues with the account key: in Azure, Bicep creates them without the app's identity."""
    endpoints = f"BlobEndpoint={storage_urls['blob']};QueueEndpoint={storage_urls['queue']};"
    # In a new process, which reads the trusted certificates again.
    code = "import sys; from local.stack.provision import provision; provision(sys.argv[1])"
    storage = f"DefaultEndpointsProtocol=https;AccountName={ACCOUNT};AccountKey={PUBLISHED_KEY};{endpoints}"
    environ = {**os.environ, **trust(certificate)}
    subprocess.run([sys.executable, "-c", code, storage], check=True, cwd=ROOT, env=environ, timeout=60)
    return storage_urls


def trust(certificate: tuple[Path, Path]) -> dict[str, str]:
    """Variables to trust the certificate: for OpenSSL (used by `aiohttp`), and for `requests`."""
    return {"SSL_CERT_FILE": str(certificate[0]), "REQUESTS_CA_BUNDLE": str(certificate[0])}


@dataclass(frozen=True)
class Probe:
    environ: dict[str, str]

    async def run(self, **changed: str) -> dict[str, str]:
        """The result of identity_probe.py for each service; the emulator accepts only Entra ID tokens."""
        async with serve(EmulatorSettings(entra_audience=MODEL)) as url:
            environ = {**self.environ, "OPENAI_BASE_URL": f"{url}/openai/v1/", **changed}
            return await _probe(environ)


async def _probe(environ: dict[str, str]) -> dict[str, str]:
    command = [sys.executable, "-W", "ignore", "-m", "tests.acceptance.identity_probe"]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env=environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(120):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    found: dict[str, str] = json.loads(out)
    return found


@pytest.fixture
def probe(
    plain_environ: dict[str, str],
    provisioned: dict[str, str],
    certificate: tuple[Path, Path],
    identity: Identity,
    identity_endpoint: str,
) -> Probe:
    """Runs with the settings of infra/modules/app.bicep and the variables that App Service adds."""
    return Probe(
        {
            **plain_environ,
            **trust(certificate),
            "AzureWebJobsStorage__credential": "managedidentity",
            "AzureWebJobsStorage__clientId": CLIENT_ID,
            "AzureWebJobsStorage__blobServiceUri": provisioned["blob"],
            "AzureWebJobsStorage__queueServiceUri": provisioned["queue"],
            "AZURE_CLIENT_ID": CLIENT_ID,
            "OPENAI_MODEL": "builtin",
            "IDENTITY_ENDPOINT": identity_endpoint,
            "IDENTITY_HEADER": identity.secret,
        }
    )


async def test_the_identity_has_access_to_blobs_queues_model_and_binding(probe: Probe, identity: Identity) -> None:
    assert await probe.run() == {"blobs": "ok", "queues": "ok", "model": "ok", "binding": "ok"}
    assert {query["resource"] for query in identity.asked} == {STORAGE, MODEL}
    assert {query["client_id"] for query in identity.asked} == {CLIENT_ID}


async def test_a_token_with_a_wrong_scope_is_rejected_by_the_model(probe: Probe) -> None:
    found = await probe.run(OPENAI_SCOPE="https://cognitiveservices.azure.com/.default")
    assert "audience is 'https://cognitiveservices.azure.com' and must be 'https://ai.azure.com'" in found["model"]
    assert found["blobs"] == "ok"


@pytest.mark.long
async def test_a_token_for_another_audience_is_rejected_everywhere(probe: Probe, identity: Identity) -> None:
    identity.wrong_audience = "https://vault.azure.net"
    found = await probe.run()
    assert "audience is 'https://vault.azure.net'" in found["model"]
    assert "storage answered 40" in found["blobs"]
    assert "storage answered 40" in found["queues"]
    assert "ok" not in found.values()


@pytest.mark.long
async def test_an_expired_token_is_rejected_everywhere(probe: Probe, identity: Identity) -> None:
    identity.age_s = 2 * HOUR_S
    found = await probe.run()
    assert "it has expired" in found["model"]
    assert "storage answered 40" in found["blobs"]
    assert "ok" not in found.values()


def test_the_probe_uses_the_settings_of_the_templates(probe: Probe) -> None:
    template = (ROOT / "infra" / "modules" / "app.bicep").read_text()
    for name in probe.environ:
        if name.startswith(("AzureWebJobs", "AZURE_", "OPENAI_")):
            assert f"  {name}: " in template


def test_the_certificate_is_not_trusted_by_default(storage_urls: dict[str, str]) -> None:
    """Shows that the tests above pass because the certificate is trusted explicitly, not because it is not checked."""
    host, port = urlsplit(storage_urls["blob"]).netloc.split(":")
    with socket.create_connection((host, int(port)), timeout=120) as plain, pytest.raises(ssl.SSLCertVerificationError):
        ssl.create_default_context().wrap_socket(plain, server_hostname=host)
