"""Runs: each executes the agent loop in a background task and is saved after every step. Routes: `run_routes.py`.

queued -> in_progress -> (requires_action -> queued -> in_progress)* -> completed | failed | incomplete
any of the first three -> cancelling -> cancelled, or expired ten minutes after the run was created

A run in progress when the emulator stops becomes `failed` at the next start; a run in `requires_action` keeps waiting.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Literal

from openai.types.beta.threads import Run

from local.openai_emulator.agent.conversation import Called, Event
from local.openai_emulator.agent.loop import Saying, ToolFinished, ToolStarted, TurnEnded, add, run_turn
from local.openai_emulator.agent.model import CallFunctions, Model, ModelError, RunCode, Say, Usage
from local.openai_emulator.assistants import run_steps
from local.openai_emulator.assistants.messages import Messages
from local.openai_emulator.assistants.resources import Resources, store_ids
from local.openai_emulator.assistants.run_events import RunEvents
from local.openai_emulator.assistants.run_input import ToolOutput
from local.openai_emulator.assistants.run_message import Reason, RunMessage
from local.openai_emulator.assistants.run_records import ACTIVE, RunRecords
from local.openai_emulator.assistants.run_steps import RunSteps
from local.openai_emulator.assistants.threads import Threads
from local.openai_emulator.assistants.turns import AssistantTurns, RunTurn
from local.openai_emulator.errors import ApiError, invalid
from local.openai_emulator.tasks import Tasks
from local.openai_emulator.vector_stores.files import VectorStoreFiles

logger = logging.getLogger(__name__)

_MAX_RUNNING = 8  # further runs stay `queued`
_INDEXING_S = 60  # as in the service: how long a run waits until the files it may search are indexed
Ending = run_steps.Ending | Literal["incomplete"]
_REASONS: Mapping[Ending, Reason] = {"cancelled": "run_cancelled", "expired": "run_expired", "failed": "run_failed"}
_CODES = ("server_error", "rate_limit_exceeded", "invalid_prompt")


class Runs:
    def __init__(
        self,
        *,
        records: RunRecords,
        steps: RunSteps,
        events: RunEvents,
        threads: Threads,
        messages: Messages,
        turns: AssistantTurns,
        store_files: VectorStoreFiles,
        model: Model,
        clock: Callable[[], float],
    ) -> None:
        self.records = records
        self.steps = steps
        self.events = events
        self._writing: dict[str, RunMessage] = {}  # run id -> the message that it writes
        self._threads = threads
        self._messages = messages
        self._turns = turns
        self._store_files = store_files
        self._model = model
        self._clock = clock
        self._slots = asyncio.Semaphore(_MAX_RUNNING)
        self._working = Tasks[str]()
        self._cancelling = Tasks[str]()

    def fail_unfinished(self) -> None:
        """End the runs that an earlier process left unfinished."""
        for run in self.records.all(status=("queued", "in_progress")):
            self._fail(run, "server_error", "The emulator was restarted while this run was in progress.")
        for run in self.records.all(status=("cancelling",)):
            self._end(run, "cancelled")

    async def close(self) -> None:
        """Stop the running runs without changing them; `fail_unfinished` ends them at the next start."""
        await self._cancelling.close()
        await self._working.close()
        self.events.close_all()

    # ---- requests of callers -----------------------------------------------------------------------------------

    def start(self, run: Run, *, resources: Resources) -> Run:
        """Start a new run on a thread without an active run; `resources`: the assistant's."""
        turn_message_id = self._messages.take_new(run.thread_id)
        self.records.new(run, resources=resources, turn_message_id=turn_message_id)
        self.events.add(run.id, "thread.run.created", run)
        self.events.add(run.id, "thread.run.queued", run)
        self._working.start(run.id, self._work, run)
        return run

    def check_outputs(self, run: Run, outputs: Sequence[ToolOutput]) -> None:
        """There must be exactly one output for each call that the run waits for.

        Raises:
            ApiError: 400, the run does not wait for outputs, or they are for other calls.
        """
        if run.status != "requires_action" or run.required_action is None:
            raise invalid(f'Runs in status "{run.status}" do not accept tool outputs.', code=None)
        wanted = [call.id for call in run.required_action.submit_tool_outputs.tool_calls]
        given = [output.tool_call_id for output in outputs]
        if sorted(wanted) != sorted(given):
            message = f"Expected tool outputs for call_ids {wanted}, got {given}"
            raise invalid(message, param="tool_outputs", code=None)

    def submit(self, run: Run, outputs: Sequence[ToolOutput]) -> Run:
        """Submit the outputs of the functions, which `check_outputs` has checked."""
        returned = {output.tool_call_id: output.output for output in outputs}
        self.records.set_events(run, [_with_output(event, returned) for event in self.records.events(run)])
        self.steps.submit(run.id, returned)
        run = self._change(run, status="queued", required_action=None)
        self._working.start(run.id, self._work, run)
        return run

    def cancel(self, run: Run) -> Run:
        """Start to cancel: the run is `cancelling`, and `cancelled` once its code has stopped.

        Raises:
            ApiError: 400, the run has ended.
        """
        if run.status not in ACTIVE:
            raise invalid(f"Cannot cancel run with status '{run.status}'.", code=None)
        if run.status == "cancelling":
            return run
        run = self._change(run, status="cancelling", required_action=None)
        self._working.cancel(run.id)  # at once: the run takes no further step
        self._cancelling.start(run.id, self._end_cancelled, run)
        return run

    async def _end_cancelled(self, run: Run) -> None:
        await self._working.wait([run.id])
        self._end(run, "cancelled")

    async def active(self, thread_id: str) -> Run | None:
        """The active run of a thread, if any; a run past `expires_at` is expired first."""
        await self.expire(thread_id)
        return next(iter(self.records.all(thread_id, status=ACTIVE)), None)

    async def expire(self, thread_id: str | None = None) -> None:
        """End the runs past their `expires_at`, of one thread or of all."""
        for run in self.records.all(thread_id, status=ACTIVE):
            if run.expires_at is not None and run.expires_at <= self._clock():
                await self._working.stop(run.id)
                self._end(run, "expired")

    async def delete_all(self, thread_id: str) -> None:
        """Stop and delete every run of a thread that is deleted."""
        for run in self.records.all(thread_id):
            await self._working.stop(run.id)
            self._writing.pop(run.id, None)
            self.events.close(run.id)
            self.steps.delete_all(run.id)
        self.records.delete_all(thread_id)

    # ---- the agent loop ----------------------------------------------------------------------------------------

    async def _work(self, run: Run) -> None:
        try:
            await self._store_files.indexed(self._store_ids(run), within_s=_INDEXING_S)
            async with self._slots:
                started_at = run.started_at or int(self._clock())
                run = self._change(run, status="in_progress", started_at=started_at)
                await self._run_turn(run, self._turns.prepare(run))
        except ModelError as exc:
            self._fail(run, exc.code, exc.message)
        except ApiError as exc:
            self._fail(run, "invalid_prompt", exc.message)
        except Exception:
            logger.exception("run.failed", extra={"run_id": run.id})
            self._fail(run, "server_error", "The emulator had an error while processing this run; see its log.")

    def _store_ids(self, run: Run) -> list[str]:
        """The vector stores that the run searches: the assistant's and the thread's."""
        own: Resources = self.records.body(run.thread_id, run.id)["resources"]
        return [*store_ids(own), *store_ids(self._threads.resources(run.thread_id))]

    async def _run_turn(self, run: Run, turn: RunTurn) -> None:
        before = self.records.usage(run)
        spent = Usage(input_tokens=0, output_tokens=0)
        streamed = self.events.is_open(run.id)
        async with aclosing(run_turn(self._model, turn.prompt, turn.tools, streamed=streamed)) as progress:
            async for one in progress:
                if isinstance(one, Saying):
                    self._message(run).say(one.text)
                    continue
                if isinstance(one, ToolFinished):
                    self._finish(run, one)
                    continue
                step_usage, spent = _minus(one.usage, spent), one.usage
                self.records.set_usage(run, add(before, spent))
                if isinstance(one, TurnEnded):
                    self._answer(run, turn, one, step_usage)
                elif _exceeds_prompt_limit(run, add(before, spent)):
                    self._end(run, "incomplete", incomplete_details={"reason": "max_prompt_tokens"})
                    return
                else:
                    await self._begin_tool(run, turn, one, step_usage)

    async def _begin_tool(self, run: Run, turn: RunTurn, begun: ToolStarted, usage: Usage) -> None:
        self._message(run).stop(None)
        self.steps.begin(run, run_steps.tool_begun(begun.move, turn.tools.ranking), usage=usage)
        if isinstance(begun.move, RunCode):
            self._threads.keep_container(run.thread_id, await turn.tools.container_id())

    def _finish(self, run: Run, done: ToolFinished) -> None:
        self.steps.finish(run.id, done)
        self.records.set_events(run, [*self.records.events(run), done.event])

    def _answer(self, run: Run, turn: RunTurn, ended: TurnEnded, usage: Usage) -> None:
        if isinstance(ended.move, CallFunctions):
            calls = ended.move.calls if run.parallel_tool_calls else ended.move.calls[:1]
            self._ask_for_outputs(run, calls, usage)
            return
        if ended.move is not None:
            done = self.records.events(run)
            say = ended.move
            if turn.prompt.response_format is not None:
                say = replace(say, citations=(), shows=())  # their markers would break the JSON
            self._message(run).answer(say, turn.history, done, usage, cut_off=ended.cut_off)
        if isinstance(ended.move, Say) and ended.move.filtered:
            self._fail(run, "invalid_prompt", "The model's content filter stopped the answer.")
        elif ended.cut_off:
            self._end(run, "incomplete", incomplete_details={"reason": "max_completion_tokens"})
        else:
            self._end(run, "completed")

    def _ask_for_outputs(self, run: Run, calls: Sequence[Called], usage: Usage) -> None:
        self._message(run).stop(None)
        self.steps.begin(run, run_steps.functions_called(calls), usage=usage)
        self.records.set_events(run, [*self.records.events(run), *calls])
        wanted = [
            {"id": call.call_id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in calls
        ]
        action = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": wanted}}
        self._change(run, status="requires_action", required_action=action)
        self.events.close(run.id)

    def _change(self, run: Run, **fields: Any) -> Run:
        run = self.records.change(run, **fields)
        self.events.add(run.id, f"thread.run.{run.status}", run)
        return run

    def _message(self, run: Run) -> RunMessage:
        if run.id not in self._writing:
            self._writing[run.id] = RunMessage(
                run=run, records=self.records, messages=self._messages, steps=self.steps, events=self.events
            )
        return self._writing[run.id]

    # ---- terminal statuses -------------------------------------------------------------------------------------

    def _fail(self, run: Run, code: str, message: str) -> None:
        code = code if code in _CODES else "server_error"
        self._end(run, "failed", error=(code, message), last_error={"code": code, "message": message})

    def _end(self, run: Run, status: Ending, *, error: tuple[str, str] | None = None, **fields: Any) -> None:
        """Set the terminal status; does nothing if the run has ended already or was deleted."""
        try:
            run = self.records.get(run.thread_id, run.id)
        except ApiError:
            return
        if run.status not in ACTIVE:
            return
        if (message := self._writing.pop(run.id, None)) is not None:
            message.stop(_REASONS.get(status))
        else:
            self._messages.interrupt(run, _REASONS.get(status, "run_failed"))
        if status != "incomplete":  # a run becomes incomplete only between two steps
            self.steps.end_in_progress(run.id, status, error=error)
        run = self.records.end(run, status, **fields)
        self.events.add(run.id, f"thread.run.{run.status}", run)
        self.events.close(run.id)
        logger.info("run.ended", extra={"run_id": run.id, "status": status})


def _with_output(event: Event, outputs: Mapping[str, str]) -> Event:
    """Add its output to a function call that waits for one."""
    if isinstance(event, Called) and event.output is None:
        return replace(event, output=outputs[event.call_id])
    return event


def _minus(one: Usage, other: Usage) -> Usage:
    return Usage(
        input_tokens=one.input_tokens - other.input_tokens, output_tokens=one.output_tokens - other.output_tokens
    )


def _exceeds_prompt_limit(run: Run, spent: Usage) -> bool:
    return run.max_prompt_tokens is not None and spent.input_tokens > run.max_prompt_tokens
