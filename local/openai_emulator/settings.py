"""The emulator's settings, read from the environment variables `EMULATOR_*`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local.callers import allowed_hosts


@dataclass(frozen=True, kw_only=True)
class Settings:
    data: Path | None = None  # None: data is in memory and a temporary folder, and lost at the end
    api_key: str | None = None  # None: any non-empty credential is accepted
    admin_key: str | None = None  # opens /admin; None: api_key does, and without one nothing does
    hosts: frozenset[str] = frozenset()  # values of Host that are answered besides the loopback names
    entra_audience: str | None = None  # if set, bearer tokens must have it as `aud` and must not have expired
    model_url: str | None = None  # base URL of a chat-completions endpoint; None: the builtin offline model
    model: str | None = None  # name of the model at that endpoint
    model_key: str | None = None
    deployments: frozenset[str] = frozenset()  # the names below `/deployments/`; empty: any name
    webhook_url: str | None = None  # gets an event for every background response that ends
    webhook_secret: str | None = None  # `whsec_...`, signs those events
    store_max_files: int = 10_000  # in one vector store
    file_max_tokens: int = 2_000_000  # in one file of a vector store
    unsafe_code: bool = False  # where code cannot be isolated, run that of an outside model, too

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Settings:
        """Read `EMULATOR_*` and `ALLOWED_HOSTS`.

        Raises:
            ValueError: `EMULATOR_MODEL_URL` is set without `EMULATOR_MODEL`, `EMULATOR_WEBHOOK_URL` without
                `EMULATOR_WEBHOOK_SECRET`, a limit is not a whole number above 0, or a
                value of `ALLOWED_HOSTS` is not a host.
        """
        data = environ.get("EMULATOR_DATA")
        settings = cls(
            data=Path(data) if data else None,
            api_key=environ.get("EMULATOR_API_KEY") or None,
            admin_key=environ.get("EMULATOR_ADMIN_KEY") or None,
            hosts=allowed_hosts(environ),
            entra_audience=environ.get("EMULATOR_ENTRA_AUDIENCE") or None,
            model_url=environ.get("EMULATOR_MODEL_URL") or None,
            model=environ.get("EMULATOR_MODEL") or None,
            model_key=environ.get("EMULATOR_MODEL_KEY") or None,
            deployments=frozenset(environ.get("EMULATOR_DEPLOYMENTS", "").replace(",", " ").split()),
            webhook_url=environ.get("EMULATOR_WEBHOOK_URL") or None,
            webhook_secret=environ.get("EMULATOR_WEBHOOK_SECRET") or None,
            store_max_files=_limit(environ, "EMULATOR_STORE_MAX_FILES", cls.store_max_files),
            file_max_tokens=_limit(environ, "EMULATOR_FILE_MAX_TOKENS", cls.file_max_tokens),
            unsafe_code=environ.get("EMULATOR_UNSAFE_CODE") == "1",
        )
        if settings.model_url and not settings.model:
            raise ValueError("EMULATOR_MODEL_URL is set, so EMULATOR_MODEL must name the model at that URL")
        if settings.webhook_url and not settings.webhook_secret:
            raise ValueError("EMULATOR_WEBHOOK_URL is set, so EMULATOR_WEBHOOK_SECRET must be set to sign events")
        return settings


def _limit(environ: Mapping[str, str], name: str, default: int) -> int:
    given = environ.get(name) or str(default)
    if not (given.isascii() and given.isdigit() and int(given) > 0):
        raise ValueError(f"{name} must be a whole number above 0, not {given!r}")
    return int(given)
