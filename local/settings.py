"""The app's settings on this machine: the same ones that it has in Azure."""

import base64
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local.errors import LocalError
from local.paths import ROOT

EMULATOR_KEY = "local"  # the emulator takes any
EMULATOR_MODEL = "builtin"


@dataclass(frozen=True, kw_only=True)
class Service:
    """An OpenAI-compatible service: where it is and how it is spoken to."""

    base_url: str
    api_key: str
    model: str

    @property
    def is_emulator(self) -> bool:
        """Whether this is our own emulator, with nobody else's data in it."""
        return self.api_key == EMULATOR_KEY and self.model == EMULATOR_MODEL

    @classmethod
    def emulated(cls, url: str) -> "Service":
        """Our emulator at `url`, with its built-in model."""
        return cls(base_url=f"{url}/openai/v1/", api_key=EMULATOR_KEY, model=EMULATOR_MODEL)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "Service | None":
        """The caller's own service; None without `OPENAI_BASE_URL`.

        A key alone does not count: many machines have one set, and no document should leave this one unasked.

        Raises:
            LocalError: `OPENAI_MODEL` is missing.
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
    """This process's environment on top of the file `.env`; a variable that is set wins."""
    path = folder / ".env"
    return {**(read_dotenv(path.read_text()) if path.exists() else {}), **os.environ}


def read_dotenv(text: str) -> dict[str, str]:
    """`NAME=value` lines; quotes around a value, `export` before a name and `#` lines are understood."""
    values = {}
    for line in text.splitlines():
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and not name.startswith("#"):
            value = value.strip()
            quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
            values[name.strip()] = value[1:-1] if quoted else value
    return values


def webhook_settings(environ: Mapping[str, str], *, app_url: str) -> tuple[dict[str, str], dict[str, str]]:
    """The emulator's and the app's part of the service's webhook: it tells the app of every response that ends."""
    secret = environ.get("OPENAI_WEBHOOK_SECRET") or f"whsec_{base64.b64encode(secrets.token_bytes(24)).decode()}"
    told = {"EMULATOR_WEBHOOK_URL": f"{app_url}/api/webhooks/openai", "EMULATOR_WEBHOOK_SECRET": secret}
    return told, {"OPENAI_WEBHOOK_SECRET": secret}


def app_settings(environ: Mapping[str, str], *, storage: str, service: Service, blob_source: str) -> dict[str, str]:
    """The whole environment of the Functions host: the app's settings on top of `environ`."""
    settings = {
        "AzureWebJobsStorage": storage,
        "BLOB_SOURCE": blob_source,
        "FUNCTIONS_WORKER_RUNTIME": "python",
        "OPENAI_BASE_URL": service.base_url,
        "OPENAI_API_KEY": service.api_key,
        "OPENAI_MODEL": service.model,
        "ENGINE": environ.get("ENGINE") or "responses",
        "SWEEP_SCHEDULE": environ.get("SWEEP_SCHEDULE") or "*/10 * * * * *",
        "PYTHONUNBUFFERED": "1",
    }
    if service.is_emulator:  # which has no quota to be spared
        settings["UPLOADS_PER_S"] = environ.get("UPLOADS_PER_S") or "1000"
    return {**environ, **settings}
