"""Run steps: one per tool call or message; functions that are called together are one step."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from openai.types.beta.threads import Run
from openai.types.beta.threads.runs import RunStep

from local.openai_emulator.agent.conversation import Called, Ran, Searched
from local.openai_emulator.agent.loop import ToolFinished
from local.openai_emulator.agent.model import RunCode, Search, Usage
from local.openai_emulator.assistants.run_events import RunEvents
from local.openai_emulator.errors import not_found
from local.openai_emulator.http import wire
from local.openai_emulator.store import Body, Page, Paging, Store

KIND = "run_step"
RESULT_CONTENT = "step_details.tool_calls[*].file_search.results[*].content"  # the only value of `include[]`
Details = dict[str, Any]
Ending = Literal["completed", "failed", "cancelled", "expired"]
_TIMES: Mapping[Ending, str] = {
    "completed": "completed_at",
    "failed": "failed_at",
    "cancelled": "cancelled_at",
    "expired": "expired_at",
}


class RunSteps:
    def __init__(self, *, store: Store, events: RunEvents, clock: Callable[[], float]) -> None:
        self._store = store
        self._events = events
        self._clock = clock

    def get(self, run_id: str, step_id: str, *, include: Sequence[str] = ()) -> RunStep:
        """Raises ApiError 404."""
        body = self._store.get(KIND, step_id, parent=run_id)
        if body is None:
            raise not_found("run step", step_id)
        return read_step(body, include)

    def page(self, run_id: str, paging: Paging) -> Page:
        return self._store.page(KIND, paging, parent=run_id)

    def delete_all(self, run_id: str) -> None:
        self._store.delete_children(KIND, run_id)

    def begin(self, run: Run, details: Details, *, usage: Usage) -> None:
        """Add a step in progress; its usage is shown once it has ended."""
        step = RunStep.model_validate(
            {
                "id": wire.new_id("step_"),
                "object": "thread.run.step",
                "created_at": int(self._clock()),
                "assistant_id": run.assistant_id,
                "thread_id": run.thread_id,
                "run_id": run.id,
                "type": details["type"],
                "status": "in_progress",
                "step_details": details,
                "last_error": None,
                "expired_at": None,
                "cancelled_at": None,
                "failed_at": None,
                "completed_at": None,
                "metadata": {},
                "usage": usage_on_wire(usage),
            }
        )
        body = wire.dump(step)
        self._store.put(KIND, step.id, body, parent=run.id)
        self._announce_begun(body)

    def _announce_begun(self, body: Body) -> None:
        run_id, details = body["run_id"], body["step_details"]
        if not self._events.is_open(run_id):
            return
        empty = {**details, "tool_calls": []} if details["type"] == "tool_calls" else details
        shown = read_step({**body, "step_details": empty})
        for event in ("thread.run.step.created", "thread.run.step.in_progress"):
            self._events.add(run_id, event, shown)
        for number, call in enumerate(details.get("tool_calls", ())):
            self._events.step_delta(run_id, body["id"], {"index": number, **_begun(call)})

    def end_in_progress(self, run_id: str, status: Ending, *, error: tuple[str, str] | None = None) -> None:
        """End the steps in progress; `error`: code and message."""
        for body in self._in_progress(run_id):
            self._end(body, status, error=error)

    def _in_progress(self, run_id: str) -> list[Body]:
        return self._store.all(KIND, parent=run_id, status=["in_progress"])

    def _end(self, body: Body, status: Ending, *, error: tuple[str, str] | None = None) -> None:
        """Save `body`, including any new details, as ended."""
        code, message = error or ("", "")
        fields = {
            "status": status,
            _TIMES[status]: int(self._clock()),
            "last_error": {"code": _step_code(code), "message": message} if error else None,
        }
        body = {**body, **fields}
        self._store.put(KIND, body["id"], body, parent=body["run_id"])
        self._announce_end(body)

    def _announce_end(self, body: Body) -> None:
        run_id = body["run_id"]
        if not self._events.is_open(run_id):
            return
        step = wire.dump(read_step(copy.deepcopy(body)))
        for number, call in enumerate(step["step_details"].get("tool_calls", ())):
            if call["type"] == "code_interpreter" and call["code_interpreter"]["outputs"]:
                outputs = [{"index": place, **one} for place, one in enumerate(call["code_interpreter"]["outputs"])]
                ran = {"outputs": outputs}
                delta = {"index": number, "id": call["id"], "type": "code_interpreter", "code_interpreter": ran}
                self._events.step_delta(run_id, body["id"], delta)
        self._events.add(run_id, f"thread.run.step.{body['status']}", step)

    # ---- results -----------------------------------------------------------------------------------------------

    def finish(self, run_id: str, done: ToolFinished) -> None:
        """Save the result of the tool call in progress. As in the service, code that raised an error is `completed`."""
        for body in self._in_progress(run_id):
            (call,) = body["step_details"]["tool_calls"]
            if isinstance(done.event, Ran):
                call["code_interpreter"]["outputs"] = code_outputs(done.event)
                error = ("server_error", done.event.logs) if done.broken else None
            else:
                call["file_search"]["results"] = search_results(done.event)
                error = ("server_error", "The file search could not be carried out.") if done.broken else None
            self._end(body, "failed" if error else "completed", error=error)

    def submit(self, run_id: str, outputs: Mapping[str, str]) -> None:
        """Save the outputs of the function calls in progress."""
        for body in self._in_progress(run_id):
            for call in body["step_details"]["tool_calls"]:
                call["function"]["output"] = outputs[call["id"]]
            self._end(body, "completed")


def read_step(body: Body, include: Sequence[str] = ()) -> RunStep:
    """A stored step as the API returns it: no usage while in progress, result texts only if `include` names them."""
    step = {**body, "usage": None} if body["status"] == "in_progress" else body
    if RESULT_CONTENT not in include:
        for call in step["step_details"].get("tool_calls", ()):
            for result in call.get("file_search", {}).get("results", ()):
                result.pop("content", None)
                result.pop("attributes", None)
    return RunStep.model_validate(step)


def _begun(call: Mapping[str, Any]) -> dict[str, Any]:
    """A tool call as its first delta shows it."""
    return {**call, "file_search": {}} if call["type"] == "file_search" else dict(call)


# ---- details -----------------------------------------------------------------------------------------------------


def message_creation(message_id: str) -> Details:
    return {"type": "message_creation", "message_creation": {"message_id": message_id}}


def tool_calls(*calls: dict[str, Any]) -> Details:
    return {"type": "tool_calls", "tool_calls": list(calls)}


def tool_begun(move: Search | RunCode, ranking: Mapping[str, Any]) -> Details:
    """`ranking`: the options of the file search tool."""
    call: dict[str, Any] = {"id": wire.new_id("call_")}
    if isinstance(move, Search):
        return tool_calls({**call, "type": "file_search", "file_search": {"ranking_options": ranking, "results": []}})
    return tool_calls({**call, "type": "code_interpreter", "code_interpreter": {"input": move.code, "outputs": []}})


def functions_called(calls: Sequence[Called]) -> Details:
    return tool_calls(
        *(
            {
                "id": call.call_id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments, "output": None},
            }
            for call in calls
        )
    )


def search_results(event: Searched) -> list[dict[str, Any]]:
    return [
        {
            "file_id": passage.file_id,
            "file_name": passage.filename,
            "score": passage.score,
            "content": [{"type": "text", "text": passage.text}],
            "attributes": dict(passage.attributes),  # not in the service, which returns them in Responses only
        }
        for passage in event.passages
    ]


def code_outputs(event: Ran) -> list[dict[str, Any]]:
    logs = [{"type": "logs", "logs": event.logs}] if event.logs else []
    images = [{"type": "image", "image": {"file_id": file.file_id}} for file in event.files if file.is_image]
    return [*logs, *images]


def usage_on_wire(usage: Usage) -> dict[str, int]:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }


def _step_code(code: str) -> str:
    return code if code == "rate_limit_exceeded" else "server_error"
