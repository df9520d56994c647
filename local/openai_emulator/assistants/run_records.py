"""Stored run records: the run object of the API, the events of the run so far, and its token usage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from openai.types.beta.threads import Run

from local.openai_emulator.agent.conversation import EVENTS, Event
from local.openai_emulator.agent.model import Usage
from local.openai_emulator.assistants.resources import Resources
from local.openai_emulator.assistants.run_steps import usage_on_wire
from local.openai_emulator.errors import not_found
from local.openai_emulator.http import wire
from local.openai_emulator.store import Body, Page, Paging, Store

KIND = "run"
ACTIVE = ("queued", "in_progress", "requires_action", "cancelling")
_ENDED_AT = {"completed": "completed_at", "cancelled": "cancelled_at", "failed": "failed_at"}


class RunRecords:
    def __init__(self, *, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock

    def new(self, run: Run, *, resources: Resources, turn_message_id: str | None) -> None:
        """Create a record.

        `resources`: the assistant's; `turn_message_id`: the first message that the run answers.
        """
        body: Body = {
            "status": run.status,
            "run": wire.dump(run),
            "resources": resources,
            "turn_message_id": turn_message_id,
            "events": [],
            "usage": {"input_tokens": 0, "output_tokens": 0},
        }
        self._store.put(KIND, run.id, body, parent=run.thread_id)

    def body(self, thread_id: str, run_id: str) -> Body:
        """Raises ApiError 404."""
        body = self._store.get(KIND, run_id, parent=thread_id)
        if body is None:
            raise not_found("run", run_id)
        return body

    def get(self, thread_id: str, run_id: str) -> Run:
        """Raises ApiError 404."""
        return read_run(self.body(thread_id, run_id))

    def page(self, thread_id: str, paging: Paging) -> Page:
        return self._store.page(KIND, paging, parent=thread_id)

    def all(self, thread_id: str | None = None, *, status: Sequence[str] = ()) -> list[Run]:
        return [read_run(body) for body in self._store.all(KIND, parent=thread_id, status=status)]

    def delete_all(self, thread_id: str) -> None:
        self._store.delete_children(KIND, thread_id)

    # ---- changes -----------------------------------------------------------------------------------------------

    def change(self, run: Run, **fields: Any) -> Run:
        """Change fields of the run object; does nothing if the run was deleted meanwhile."""
        body = self._store.get(KIND, run.id, parent=run.thread_id)
        if body is None:
            return run
        changed = Run.model_validate({**body["run"], **fields})
        self._put(changed, body)
        return changed

    def end(self, run: Run, status: str, **fields: Any) -> Run:
        """Set the terminal status, with its time and the usage."""
        if ended_at := _ENDED_AT.get(status):
            fields[ended_at] = int(self._clock())
        if status != "expired":
            fields["expires_at"] = None
        usage = usage_on_wire(self.usage(run))
        return self.change(run, status=status, required_action=None, usage=usage, **fields)

    def events(self, run: Run) -> list[Event]:
        return EVENTS.validate_python(self.body(run.thread_id, run.id)["events"])

    def set_events(self, run: Run, events: Sequence[Event]) -> None:
        body = self.body(run.thread_id, run.id)
        self._put(read_run(body), {**body, "events": EVENTS.dump_python(list(events), mode="json")})

    def usage(self, run: Run) -> Usage:
        return Usage(**self.body(run.thread_id, run.id)["usage"])

    def set_usage(self, run: Run, usage: Usage) -> None:
        body = self.body(run.thread_id, run.id)
        spent = {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
        self._put(read_run(body), {**body, "usage": spent})

    def _put(self, run: Run, body: Body) -> None:
        self._store.put(KIND, run.id, {**body, "status": run.status, "run": wire.dump(run)}, parent=run.thread_id)


def read_run(body: Body) -> Run:
    return Run.model_validate(body["run"])
