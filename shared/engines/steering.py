"""The parameters that steer a model, and which of them a model refuses: reasoning models take no temperature, others no
reasoning effort. The name of a deployment does not say which kind it is, so the service's answer does.

Source: https://learn.microsoft.com/azure/ai-foundry/openai/how-to/reasoning#not-supported
"""

from __future__ import annotations

import logging
from collections import defaultdict
from typing import Any

from shared.engines.base import Ask
from shared.errors import ServiceBusy, ServiceError
from shared.logs import event

log = logging.getLogger(__name__)


class Steering:
    """Remembers for each model what it refused."""

    def __init__(self) -> None:
        self._refused: defaultdict[str, set[str]] = defaultdict(set)

    def of(self, ask: Ask) -> dict[str, str | float]:
        """Parameter -> value, without those that the model has refused."""
        wanted = {"temperature": ask.temperature, "reasoning": ask.reasoning, "verbosity": ask.verbosity}
        refused = self._refused[ask.model]
        return {name: value for name, value in wanted.items() if value is not None and name not in refused}

    def drop(self, ask: Ask, exc: ServiceError) -> bool:
        """Whether the error is about one of these parameters: it is then left out from now on."""
        said = f"{exc.param or ''} {exc.message}"
        if isinstance(exc, ServiceBusy) or "unsupported" not in f"{exc.code} {said}".lower():
            return False
        names = [name for name in self.of(ask) if name in said]
        self._refused[ask.model].update(names)
        for name in names:
            event(log, logging.WARNING, "run.parameter_refused", run_id=ask.run_id, model=ask.model, parameter=name)
        return bool(names)


def of_responses(steering: dict[str, str | float]) -> dict[str, Any]:
    """As parameters of the Responses API."""
    given: dict[str, Any] = {}
    if "temperature" in steering:
        given["temperature"] = steering["temperature"]
    if "reasoning" in steering:
        given["reasoning"] = {"effort": steering["reasoning"]}
    if "verbosity" in steering:
        given["text"] = {"verbosity": steering["verbosity"]}
    return given


def of_assistants(steering: dict[str, str | float]) -> dict[str, Any]:
    """As parameters of the Assistants API, which has no verbosity."""
    names = {"temperature": "temperature", "reasoning": "reasoning_effort"}
    return {names[name]: value for name, value in steering.items() if name in names}
