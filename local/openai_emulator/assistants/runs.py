"""Runs: each a turn of `agent.py` in a task of its own, saved after every step. The HTTP side is `run_routes.py`.

queued -> in_progress -> (requires_action -> queued -> in_progress)* -> completed | failed | incomplete
any of the first three -> cancelling -> cancelled, or expired ten minutes after the run was made

What ran when the emulator ended is `failed` at the next start; a run that waited for tool outputs waits on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Literal

from openai.types.beta.threads import Run

from local.openai_emulator.agent.conversation import Called, Event, Said
from local.openai_emulator.agent.loop import ToolFinished, ToolStarted, TurnEnded, add, run_turn
from local.openai_emulator.agent.model import CallFunctions, Model, ModelError, RunCode, Say, Usage
from local.openai_emulator.assistants import message_output, run_steps
from local.openai_emulator.assistants.messages import Messages
from local.openai_emulator.assistants.resources import Resources, store_ids
from local.openai_emulator.assistants.run_input import ToolOutput
from local.openai_emulator.assistants.run_records import ACTIVE, RunRecords
from local.openai_emulator.assistants.run_steps import RunSteps
from local.openai_emulator.assistants.threads import Threads
from local.openai_emulator.assistants.turns import AssistantTurns, RunTurn
from local.openai_emulator.errors import ApiError, invalid
from local.openai_emulator.tasks import Tasks
from local.openai_emulator.vector_stores.files import VectorStoreFiles

logger = logging.getLogger(__name__)

_AT_ONCE = 8  # more wait as `queued`
_INDEXING_S = 60  # so long a run waits for files that were attached to its thread, as in the service
Ending = run_steps.Ending | Literal["incomplete"]
_CODES = ("server_error", "rate_limit_exceeded", "invalid_prompt")


class Runs:
    def __init__(
        self,
        *,
        records: RunRecords,
        steps: RunSteps,
        threads: Threads,
        messages: Messages,
        turns: AssistantTurns,
        store_files: VectorStoreFiles,
        model: Model,
        clock: Callable[[], float],
    ) -> None:
        self.records = records
        self.steps = steps
        self._threads = threads
        self._messages = messages
        self._turns = turns
        self._store_files = store_files
        self._model = model
        self._clock = clock
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._working = Tasks[str]()
        self._cancelling = Tasks[str]()

    def fail_unfinished(self) -> None:
        """End what an earlier process left running."""
        for run in self.records.all(status=("queued", "in_progress")):
            self._fail(run, "server_error", "The emulator was restarted while this run was in progress.")
        for run in self.records.all(status=("cancelling",)):
            self._end(run, "cancelled")

    async def close(self) -> None:
        """Stop without a word: what runs is found by `fail_unfinished` at the next start."""
        await self._cancelling.close()
        await self._working.close()

    # ---- what callers do ---------------------------------------------------------------------------------------

    def start(self, run: Run, *, resources: Resources) -> Run:
        """A new run of an idle thread, on all its messages; `resources` are the assistant's."""
        turn_message_id = self._messages.take_new(run.thread_id)
        self.records.new(run, resources=resources, turn_message_id=turn_message_id)
        self._working.start(run.id, self._work, run)
        return run

    def submit(self, run: Run, outputs: Sequence[ToolOutput]) -> Run:
        """Hand over what the functions returned: of each call that is waited for, once.

        Raises:
            ApiError: 400, the run does not wait, or the calls are others.
        """
        if run.status != "requires_action" or run.required_action is None:
            raise invalid(f'Runs in status "{run.status}" do not accept tool outputs.', code=None)
        wanted = [call.id for call in run.required_action.submit_tool_outputs.tool_calls]
        given = [output.tool_call_id for output in outputs]
        if sorted(wanted) != sorted(given):
            message = f"Expected tool outputs for call_ids {wanted}, got {given}"
            raise invalid(message, param="tool_outputs", code=None)
        returned = {output.tool_call_id: output.output for output in outputs}
        self.records.set_events(run, [_returned(event, returned) for event in self.records.events(run)])
        self.steps.answered(run.id, returned)
        run = self.records.change(run, status="queued", required_action=None)
        self._working.start(run.id, self._work, run)
        return run

    def cancel(self, run: Run) -> Run:
        """The run, `cancelling`; it is `cancelled` once its code has stopped.

        Raises:
            ApiError: 400, it has ended.
        """
        if run.status not in ACTIVE:
            raise invalid(f"Cannot cancel run with status '{run.status}'.", code=None)
        if run.status == "cancelling":
            return run
        run = self.records.change(run, status="cancelling", required_action=None)
        self._working.cancel(run.id)  # at once: the run takes no further step
        self._cancelling.start(run.id, self._finish_cancelling, run)
        return run

    async def _finish_cancelling(self, run: Run) -> None:
        await self._working.wait([run.id])
        self._end(run, "cancelled")

    async def active(self, thread_id: str) -> Run | None:
        """The run that keeps a thread busy; one that is overdue expires now."""
        await self.expire(thread_id)
        return next(iter(self.records.all(thread_id, status=ACTIVE)), None)

    async def expire(self, thread_id: str | None = None) -> None:
        """End the runs, of one thread or of all, whose time is over."""
        for run in self.records.all(thread_id, status=ACTIVE):
            if run.expires_at is not None and run.expires_at <= self._clock():
                await self._working.stop(run.id)
                self._end(run, "expired")

    async def delete_all(self, thread_id: str) -> None:
        """Stop and forget every run of a thread that goes."""
        for run in self.records.all(thread_id):
            await self._working.stop(run.id)
            self.steps.delete_all(run.id)
        self.records.delete_all(thread_id)

    # ---- working -----------------------------------------------------------------------------------------------

    async def _work(self, run: Run) -> None:
        try:
            await self._store_files.indexed(store_ids(self._threads.resources(run.thread_id)), within_s=_INDEXING_S)
            async with self._slots:
                started_at = run.started_at or int(self._clock())
                run = self.records.change(run, status="in_progress", started_at=started_at)
                await self._take_turn(run, self._turns.prepare(run))
        except ModelError as exc:
            self._fail(run, exc.code, exc.message)
        except ApiError as exc:
            self._fail(run, "invalid_prompt", exc.message)
        except Exception:
            logger.exception("run.failed", extra={"run_id": run.id})
            self._fail(run, "server_error", "The emulator had an error while processing this run; see its log.")

    async def _take_turn(self, run: Run, turn: RunTurn) -> None:
        before = self.records.usage(run)
        spent = Usage(input_tokens=0, output_tokens=0)
        async with aclosing(run_turn(self._model, turn.prompt, turn.tools)) as progress:
            async for one in progress:
                if isinstance(one, ToolFinished):
                    self._finish(run, one)
                    continue
                step_usage, spent = _less(one.usage, spent), one.usage
                self.records.set_usage(run, add(before, spent))
                if isinstance(one, TurnEnded):
                    self._answer(run, turn, one, step_usage)
                elif _over(run, add(before, spent)):
                    self._end(run, "incomplete", incomplete_details={"reason": "max_prompt_tokens"})
                    return
                else:
                    await self._begin_tool(run, turn, one, step_usage)

    async def _begin_tool(self, run: Run, turn: RunTurn, begun: ToolStarted, usage: Usage) -> None:
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
            self._say(run, turn, ended.move, usage, cut_off=ended.cut_off)
        if ended.cut_off:
            self._end(run, "incomplete", incomplete_details={"reason": "max_completion_tokens"})
        else:
            self._end(run, "completed")

    def _ask_for_outputs(self, run: Run, calls: Sequence[Called], usage: Usage) -> None:
        self.steps.begin(run, run_steps.functions_called(calls), usage=usage)
        self.records.set_events(run, [*self.records.events(run), *calls])
        wanted = [
            {"id": call.call_id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in calls
        ]
        action = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": wanted}}
        self.records.change(run, status="requires_action", required_action=action)

    def _say(self, run: Run, turn: RunTurn, say: Say, usage: Usage, *, cut_off: bool) -> None:
        done = self.records.events(run)
        content = message_output.content(say, [*turn.history, *done], done=done)
        said = Said(role="assistant", text=say.text, citations=say.citations)
        message = self._messages.say(run, content, [*done, said], cut_off=cut_off)
        self.steps.begin(run, run_steps.message_creation(message.id), usage=usage)
        self.steps.end_working(run.id, "completed")

    # ---- ends --------------------------------------------------------------------------------------------------

    def _fail(self, run: Run, code: str, message: str) -> None:
        code = code if code in _CODES else "server_error"
        self._end(run, "failed", error=(code, message), last_error={"code": code, "message": message})

    def _end(self, run: Run, status: Ending, *, error: tuple[str, str] | None = None, **fields: Any) -> None:
        """Nothing happens to a run that has ended before or is gone."""
        try:
            run = self.records.get(run.thread_id, run.id)
        except ApiError:
            return
        if run.status not in ACTIVE:
            return
        if status != "incomplete":  # which comes between two steps
            self.steps.end_working(run.id, status, error=error)
        self.records.end(run, status, **fields)
        logger.info("run.ended", extra={"run_id": run.id, "status": status})


def _returned(event: Event, outputs: Mapping[str, str]) -> Event:
    """A call that waited, with its output."""
    if isinstance(event, Called) and event.output is None:
        return replace(event, output=outputs[event.call_id])
    return event


def _less(one: Usage, other: Usage) -> Usage:
    return Usage(
        input_tokens=one.input_tokens - other.input_tokens, output_tokens=one.output_tokens - other.output_tokens
    )


def _over(run: Run, spent: Usage) -> bool:
    return run.max_prompt_tokens is not None and spent.input_tokens > run.max_prompt_tokens
