"""Starts functions for `POST /admin/functions/<name>`."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Mapping

from azure.core.exceptions import AzureError
from azure.functions.meta import Datum

from local.functions_host.background import Background
from local.functions_host.functions.index import Function
from local.functions_host.functions.invocation import Invoker, TriggerInput
from local.functions_host.http.webhooks import event_trigger_input
from local.functions_host.triggers.blobs import BlobTriggers
from local.functions_host.triggers.timers import Timer

logger = logging.getLogger(__name__)


class AdminRuns:
    """Starts functions with any trigger except HTTP."""

    def __init__(
        self, invoker: Invoker, timers: Mapping[str, Timer], blobs: BlobTriggers | None, runs: Background
    ) -> None:
        self._invoker = invoker
        self._timers = timers
        self._blobs = blobs
        self._runs = runs

    def start(self, function: Function, text: str) -> bool:
        """Start a function with `text` as its input, without waiting; False if the input does not fit its trigger."""
        match function.trigger.type:
            case "queueTrigger":
                metadata = {"QueueTrigger": Datum(text, "string"), "DequeueCount": Datum("1", "json")}
                trigger_input = TriggerInput(
                    data=Datum(text, "string"), metadata=metadata, values={"queueTrigger": text}
                )
                self._runs.start(log_errors(self._invoker.run(function, trigger_input)))
            case "eventGridTrigger":
                try:
                    event = json.loads(text)
                except ValueError:
                    return False
                self._runs.start(log_errors(self._invoker.run(function, event_trigger_input(event))))
            case "timerTrigger":
                self._runs.start(self._timers[function.name].run_once())
            case "blobTrigger" if self._blobs and "/" in text:
                self._runs.start(log_errors(self._blobs.run_for_path(function, text)))
            case _:
                return False
        return True


async def log_errors(work: Awaitable[object]) -> None:
    """Await `work` and log its error. The invoker has already logged errors of the function itself."""
    try:
        await work
    except AzureError as exc:
        logger.warning("host.storage_failed", extra={"error": str(exc)})
    except Exception:
        logger.debug("host.function_failed")
