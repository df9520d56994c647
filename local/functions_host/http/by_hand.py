"""Starts functions for `POST /admin/functions/<name>`, with the input that was given."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Mapping

from azure.core.exceptions import AzureError
from azure.functions.meta import Datum

from local.functions_host.background import Background
from local.functions_host.functions.index import Function
from local.functions_host.functions.invocation import Invoker, Occasion
from local.functions_host.http.webhooks import event_occasion
from local.functions_host.triggers.blobs import BlobTriggers
from local.functions_host.triggers.timers import Timer

logger = logging.getLogger(__name__)


class ByHand:
    """Starts functions of every trigger but HTTP, which has an address of its own."""

    def __init__(
        self, invoker: Invoker, timers: Mapping[str, Timer], blobs: BlobTriggers | None, runs: Background
    ) -> None:
        self._invoker = invoker
        self._timers = timers
        self._blobs = blobs
        self._runs = runs

    def start(self, function: Function, text: str) -> bool:
        """Start a function and do not wait; False when the input does not fit its trigger."""
        match function.trigger.type:
            case "queueTrigger":
                metadata = {"QueueTrigger": Datum(text, "string"), "DequeueCount": Datum("1", "json")}
                made = Occasion(data=Datum(text, "string"), metadata=metadata, values={"queueTrigger": text})
                self._runs.start(quietly(self._invoker.run(function, made)))
            case "eventGridTrigger":
                try:
                    event = json.loads(text)
                except ValueError:
                    return False
                self._runs.start(quietly(self._invoker.run(function, event_occasion(event))))
            case "timerTrigger":
                self._runs.start(self._timers[function.name].run_once())
            case "blobTrigger" if self._blobs and "/" in text:
                self._runs.start(quietly(self._blobs.run_for_path(function, text)))
            case _:
                return False
        return True


async def quietly(work: Awaitable[object]) -> None:
    """Let an error end here: a function's is logged by the invoker, storage's is logged now."""
    try:
        await work
    except AzureError as exc:
        logger.warning("host.storage_failed", extra={"error": str(exc)})
    except Exception:
        logger.debug("host.function_failed")
