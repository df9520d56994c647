"""Timer triggers: run a function by its schedule, and make up for a run that was missed.

Source: https://learn.microsoft.com/azure/azure-functions/functions-bindings-timer
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.functions.meta import Datum
from azure.storage.blob.aio import BlobClient, BlobServiceClient

from local.functions_host.background import Background
from local.functions_host.functions.index import Function
from local.functions_host.functions.invocation import Invoker, TriggerInput
from local.functions_host.triggers.schedules import parse_schedule

logger = logging.getLogger(__name__)

HOSTS_CONTAINER = "azure-webjobs-hosts"
NEVER = datetime.min.replace(tzinfo=UTC)
LONGEST_SLEEP_S = 30.0  # after a laptop wakes up from sleep, the timer is at most this late
SHORTEST_MONITORED = timedelta(minutes=1)  # runs of a shorter interval are not made up


@dataclass(frozen=True, kw_only=True)
class Status:
    """When a timer ran, and when it runs next."""

    last: datetime = NEVER
    next: datetime = NEVER
    updated: datetime = NEVER

    def to_json(self) -> dict[str, str]:
        return {"Last": self.last.isoformat(), "Next": self.next.isoformat(), "LastUpdated": self.updated.isoformat()}

    @classmethod
    def from_json(cls, content: bytes) -> Status | None:
        """None if the content has another format."""
        try:
            data: dict[str, Any] = json.loads(content)
            last, following, updated = (datetime.fromisoformat(data[key]) for key in ("Last", "Next", "LastUpdated"))
        except (ValueError, KeyError, TypeError):
            return None
        return cls(last=last, next=following, updated=updated)


class StatusBlob:
    """The blob `timers/<host id>/Host.Functions.<function>/status`, by which a later process finds a missed run."""

    def __init__(self, service: BlobServiceClient, host_id: str, function: Function) -> None:
        self._container = service.get_container_client(HOSTS_CONTAINER)
        self._blob: BlobClient = self._container.get_blob_client(f"timers/{host_id}/{function.id}/status")

    async def read(self) -> Status | None:
        """None if there is none, or storage does not answer."""
        try:
            return Status.from_json(await (await self._blob.download_blob()).readall())
        except ResourceNotFoundError:
            return None
        except AzureError as exc:
            logger.warning("timer.status_not_read: %s", exc)
            return None

    async def write(self, status: Status) -> None:
        """Replace the blob; an error of storage is logged, and the timer goes on."""
        content = json.dumps(status.to_json()).encode()
        try:
            try:
                await self._blob.upload_blob(content, overwrite=True)
            except ResourceNotFoundError:
                await self._create_container()
                await self._blob.upload_blob(content, overwrite=True)
        except AzureError as exc:
            logger.warning("timer.status_not_written: %s", exc)

    async def _create_container(self) -> None:
        try:
            await self._container.create_container()
        except ResourceExistsError:
            logger.debug("timer.container_exists")


class Timer:
    """Runs a function by its schedule. Runs do not overlap; the schedule continues after a failed run.

    Args:
        function: A function with a timer trigger; its schedule is valid.
        invoker: Runs it.
        runs: Holds the runs, which continue when the host stops.
        status: Remembers the runs; None if the host has no storage.
        now: The clock.
    """

    def __init__(
        self,
        function: Function,
        invoker: Invoker,
        runs: Background,
        *,
        status: StatusBlob | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        options = function.trigger.options
        self._schedule = parse_schedule(str(options["schedule"]))
        self._run_on_startup = bool(options.get("runOnStartup"))
        self._function = function
        self._invoker = invoker
        self._runs = runs
        self._now = now
        self._blob = status if options.get("useMonitor", True) and self._is_monitored() else None
        self._status = Status()

    def _is_monitored(self) -> bool:
        following = self._schedule.after(self._now())
        after = self._schedule.after(following) if following else None
        return following is None or after is None or after - following >= SHORTEST_MONITORED

    async def run(self) -> None:
        """Run the function by its schedule, until cancelled or until there is no next run."""
        is_past_due = await self._take_up()
        if is_past_due or self._run_on_startup:
            await self._run_to_end(past_due=is_past_due)
        while (due_at := self._schedule.after(self._now())) is not None:
            await self._sleep_until(due_at)
            await self._run_to_end(past_due=False)

    async def run_once(self, *, past_due: bool = False) -> None:
        """Run the function now. The invoker logs its error; this method does not raise it."""
        await asyncio.gather(
            self._invoker.run(self._function, self._trigger_input(past_due=past_due)), return_exceptions=True
        )

    async def _take_up(self) -> bool:
        """Continue with the status of an earlier process; whether a run was missed since then."""
        earlier = await self._blob.read() if self._blob else None
        if earlier:
            base = earlier.last if earlier.last > NEVER else earlier.updated
            if self._schedule.after(base) == earlier.next:
                self._status = earlier
                return self._now() > earlier.next
        now = self._now()
        self._status = Status(last=earlier.last if earlier else NEVER, next=self._following(now), updated=now)
        if self._blob:
            await self._blob.write(self._status)
        return False

    def _following(self, at: datetime) -> datetime:
        return self._schedule.after(at) or datetime.max.replace(tzinfo=UTC)

    async def _run_to_end(self, *, past_due: bool) -> None:
        await asyncio.shield(self._runs.start(self._run_and_note(past_due=past_due)))  # continues if the host stops

    async def _run_and_note(self, *, past_due: bool) -> None:
        began_at = self._now()
        await self.run_once(past_due=past_due)
        self._status = replace(self._status, last=began_at, next=self._following(began_at), updated=self._now())
        if self._blob:
            await self._blob.write(self._status)

    def _trigger_input(self, *, past_due: bool) -> TriggerInput:
        status = self._status if self._status.next > NEVER else replace(self._status, next=self._following(self._now()))
        data = {"IsPastDue": past_due, "Schedule": {"AdjustForDST": True}, "ScheduleStatus": status.to_json()}
        return TriggerInput(data=Datum(json.dumps(data), "json"))

    async def _sleep_until(self, at: datetime) -> None:
        while (left_s := (at - self._now()).total_seconds()) > 0:  # noqa: ASYNC110 (waits for the clock, not for an event)
            await asyncio.sleep(min(left_s, LONGEST_SLEEP_S))
