"""Which model answers the questions: the built-in one, one behind the emulator, or one of another service."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from local.settings import Service
from local.stack.probe import answers

PREFIXES = ("OPENAI_", "EMULATOR_MODEL")


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model and the address of the server that runs it.

    Attributes:
        name: As its server knows it.
        url: Base URL of the API, without a slash at the end; empty for the built-in model.
        through_emulator: Whether the emulator calls it, or the app.
    """

    name: str
    url: str
    through_emulator: bool

    @classmethod
    def of(cls, service: Service, environ: Mapping[str, str]) -> Self:
        """The model that answers, by the settings with which the stack is started."""
        if not service.is_emulator:
            return cls(name=service.model, url=service.base_url.rstrip("/"), through_emulator=False)
        url = (environ.get("EMULATOR_MODEL_URL") or "").rstrip("/")
        name = environ.get("EMULATOR_MODEL") if url else None
        return cls(name=name or service.model, url=url, through_emulator=True)

    def __str__(self) -> str:
        if not self.url:
            return f"{self.name}, the emulator's own"
        return f"{self.name} at {self.url}{', called by the emulator' if self.through_emulator else ''}"

    def reached(self) -> bool:
        """Whether its server answers within a few seconds; the built-in model needs none."""
        return not self.url or answers(f"{self.url}/models")

    def state(self) -> str:
        """For people: the model, and whether it is reached."""
        if not self.url:
            return str(self)
        return f"{self} ({'reached' if self.reached() else 'NOT reached: its server does not answer'})"


def given_in_shell(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Names of the settings that choose the model and stand in this process's environment, not in `.env`."""
    return sorted(name for name, value in environ.items() if name.startswith(PREFIXES) and value)
