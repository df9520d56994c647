"""The app's settings on this machine; they have the same names as in Azure."""

import base64
import io
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dotenv.parser import parse_stream

from local.errors import LocalError
from local.paths import ROOT, TRACE

EMULATOR_KEY = "local"  # the emulator accepts any key
EMULATOR_MODEL = "builtin"


@dataclass(frozen=True, kw_only=True)
class Service:
    """An OpenAI-compatible service: its address, key and model."""

    base_url: str
    api_key: str
    model: str

    @property
    def is_emulator(self) -> bool:
        """Whether this is our emulator, which holds no data of other applications."""
        return self.api_key == EMULATOR_KEY and self.model == EMULATOR_MODEL

    @classmethod
    def emulated(cls, url: str) -> "Service":
        """Our emulator at `url`, with its built-in model."""
        return cls(base_url=f"{url}/openai/v1/", api_key=EMULATOR_KEY, model=EMULATOR_MODEL)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "Service | None":
        """The service that the environment names; None without `OPENAI_BASE_URL`.

        `OPENAI_API_KEY` alone is ignored: many machines have it set, and documents must not leave this machine
        unless the user asks for it.

        Raises:
            LocalError: `OPENAI_BASE_URL` is set, but `OPENAI_MODEL` is not.
        """
        base_url = environ.get("OPENAI_BASE_URL")
        if not base_url:
            return None
        if not environ.get("OPENAI_MODEL"):
            raise LocalError(
                f"OPENAI_BASE_URL is set to {base_url}, but OPENAI_MODEL is not.",
                "Set OPENAI_MODEL to the model's (deployment's) name, or unset OPENAI_BASE_URL to use the emulator.",
            )
        return cls(base_url=base_url, api_key=environ.get("OPENAI_API_KEY", ""), model=environ["OPENAI_MODEL"])


def environ_with_dotenv(folder: Path = ROOT) -> dict[str, str]:
    """The variables of `.env` in `folder` and of this process; this process's variables take precedence."""
    path = folder / ".env"
    return {**(read_dotenv(path.read_text(encoding="utf-8-sig")) if path.exists() else {}), **os.environ}


def read_dotenv(text: str) -> dict[str, str]:
    """Read the variables of a `.env` file. `$` in a value is literal.

    A name without `=` is ignored. If python-dotenv cannot parse a line, such as one with an unclosed quote, the value
    is taken as it is written: a missing variable would be harder to find.

    Source: https://saurabh-kumar.com/python-dotenv/#file-format
    """
    values: dict[str, str] = {}
    for statement in parse_stream(io.StringIO(text)):
        if statement.error:
            values.update(_unparsed(statement.original.string))
        elif statement.key is not None and statement.value is not None:
            values[statement.key] = statement.value
    return values


def _unparsed(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and name.strip() and not name.startswith("#"):
            yield name.strip(), value.strip()


def webhook_settings(environ: Mapping[str, str], *, app_url: str) -> tuple[dict[str, str], dict[str, str]]:
    """Settings of the emulator and of the app for the service's webhook, which reports each response that ends."""
    secret = environ.get("OPENAI_WEBHOOK_SECRET") or f"whsec_{base64.b64encode(secrets.token_bytes(24)).decode()}"
    sender = {"EMULATOR_WEBHOOK_URL": f"{app_url}/api/webhooks/openai", "EMULATOR_WEBHOOK_SECRET": secret}
    return sender, {"OPENAI_WEBHOOK_SECRET": secret}


def app_settings(environ: Mapping[str, str], *, storage: str, service: Service, blob_source: str) -> dict[str, str]:
    """The whole environment of the Functions host: `environ`, overridden by the app's settings."""
    settings = {
        "AzureWebJobsStorage": storage,
        "BLOB_SOURCE": blob_source,
        "FUNCTIONS_WORKER_RUNTIME": "python",
        "AzureWebJobsDisableHomepage": "true",  # the app has its own
        "OPENAI_BASE_URL": service.base_url,
        "OPENAI_API_KEY": service.api_key,
        "OPENAI_MODEL": service.model,
        "ENGINE": environ.get("ENGINE") or "responses",
        "SWEEP_SCHEDULE": environ.get("SWEEP_SCHEDULE") or "*/10 * * * * *",
        "PYTHONUNBUFFERED": "1",
    }
    if service.is_emulator:  # it has no rate limit
        settings["UPLOADS_PER_S"] = environ.get("UPLOADS_PER_S") or "1000"
    if environ.get("TELEMETRY") == "file":
        settings["TELEMETRY"] = f"file:{TRACE}"
    return {**environ, **settings}
