"""The agent loop of Responses and Assistants: ask the model for a step, run the tool, add the result, repeat.

The loop does not depend on the API. The caller passes the prompt and the tools and receives `Progress` objects. To stop
the loop, cancel the task that iterates over it; this also stops running code.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from local.openai_emulator.agent.conversation import Event, OutputFile, Prompt, Ran, Said, Searched, Toolbox
from local.openai_emulator.agent.model import (
    CallFunctions,
    Misuse,
    Model,
    ModelError,
    RunCode,
    Say,
    Search,
    Show,
    Step,
    StreamingModel,
    Tooling,
    Usage,
)
from local.openai_emulator.agent.tools import ToolBroken, Tools

MAX_STEPS = 20
MOST_MISTAKES = 3  # calls without a meaning that a model may make in one turn


@dataclass(frozen=True, kw_only=True)
class ToolStarted:
    """A tool call starts. `usage`: of the turn so far."""

    move: Search | RunCode
    usage: Usage


@dataclass(frozen=True, kw_only=True)
class ToolFinished:
    """The tool call that started last has ended. `broken`: the tool itself failed."""

    event: Searched | Ran
    broken: bool = False


@dataclass(frozen=True, kw_only=True)
class TurnEnded:
    """The turn has ended. `move` is None if the output limit was reached before an answer."""

    move: Say | CallFunctions | None
    usage: Usage  # of the whole turn
    cut_off: bool = False


@dataclass(frozen=True, kw_only=True)
class Saying:
    """More of the answer, while the model writes it. The answer in `TurnEnded` begins with all of it."""

    text: str


Progress = Saying | ToolStarted | ToolFinished | TurnEnded


async def run_turn(
    model: Model,
    prompt: Prompt,
    tools: Tools,
    *,
    max_steps: int = MAX_STEPS,
    max_tool_calls: int | None = None,
    streamed: bool = False,
) -> AsyncGenerator[Progress, None]:
    """Run one turn: until the model answers or calls functions of the caller.

    `streamed`: yield the answer while the model writes it, if the model can do that.

    Raises:
        ModelError: the model failed, or did not answer within `max_steps` steps.
    """
    limit = prompt.max_output_tokens
    usage = Usage(input_tokens=0, output_tokens=0)
    calls = mistakes = 0
    if max_tool_calls == 0:
        prompt = replace(prompt, tools=replace(prompt.tools, file_search=False, code_interpreter=False))
    for _ in range(max_steps):
        async for part in _written(model, prompt, streamed=streamed):
            if isinstance(part, str):
                yield Saying(text=part)
            else:
                step = part
        if (spent := step.usage) is None:
            spent = await asyncio.to_thread(count, prompt, step)
        usage = add(usage, spent)
        left = None if limit is None else limit - usage.output_tokens
        prompt = replace(prompt, max_output_tokens=left)
        for move in (step.move, *step.more):
            if (ended := ending(move, prompt, usage, limit=limit)) is not None:
                yield ended
                return
            if isinstance(move, Misuse):
                mistakes += 1
                if mistakes > MOST_MISTAKES:
                    raise ModelError("server_error", f"The model misuses its tools: {move.called.output}")
                prompt = replace(prompt, events=(*prompt.events, move.called))
            # as the service does, calls of tools not offered, or beyond max_tool_calls, are ignored
            elif isinstance(move, Search | RunCode) and allowed(move, prompt.tools):
                yield ToolStarted(move=move, usage=usage)
                finished = await carry_out(move, tools)
                yield finished
                calls += 1
                prompt = _after_call(prompt, finished, used_up=max_tool_calls is not None and calls >= max_tool_calls)
    raise ModelError("server_error", f"The model did not answer within {max_steps} steps.")


def ending(move: Tooling | Say, prompt: Prompt, usage: Usage, *, limit: int | None) -> TurnEnded | None:
    """How a move ends the turn; None if it does not. `limit`: of output tokens, for the whole turn."""
    left = prompt.max_output_tokens
    over = replace(usage, output_tokens=limit or 0)
    if isinstance(move, Say):
        answer = cut(grounded(move, prompt.events), left)
        return TurnEnded(move=answer, usage=usage if left is None or left >= 0 else over, cut_off=answer.cut_off)
    if left is not None and left <= 0:
        return TurnEnded(move=None, usage=over, cut_off=True)
    return TurnEnded(move=move, usage=usage) if isinstance(move, CallFunctions) else None


def _after_call(prompt: Prompt, finished: ToolFinished, *, used_up: bool) -> Prompt:
    tools = replace(prompt.tools, must_call="")
    if used_up:
        tools = replace(tools, file_search=False, code_interpreter=False)
    return replace(prompt, events=(*prompt.events, finished.event), tools=tools)


async def _written(model: Model, prompt: Prompt, *, streamed: bool) -> AsyncGenerator[str | Step, None]:
    """The text of an answer as the model writes it, then the step."""
    if not streamed or not isinstance(model, StreamingModel):
        yield await model.step(prompt)
        return
    async with aclosing(model.stream(prompt)) as parts:
        async for part in parts:
            yield part


def allowed(move: Search | RunCode, tools: Toolbox) -> bool:
    return tools.file_search if isinstance(move, Search) else tools.code_interpreter


async def carry_out(move: Search | RunCode, tools: Tools) -> ToolFinished:
    try:
        if isinstance(move, Search):
            return ToolFinished(event=await tools.search(move.queries))
        return ToolFinished(event=await tools.run(move.code))
    except ToolBroken as exc:
        if isinstance(move, Search):
            return ToolFinished(event=Searched(queries=move.queries, passages=()), broken=True)
        return ToolFinished(event=Ran(code=move.code, logs=str(exc), failed=True), broken=True)


# ---- citations and files of an answer ----------------------------------------------------------------------------


def grounded(say: Say, events: Sequence[Event]) -> Say:
    """Drop citations and files that no tool returned."""
    sources = cited_files(events)
    made = {file.file_id: file for event in events if isinstance(event, Ran) for file in event.files}
    return replace(
        say,
        citations=tuple(
            replace(cite, position=min(max(cite.position, 0), len(say.text)), filename=sources[cite.file_id])
            for cite in say.citations
            if cite.file_id in sources
        ),
        shows=tuple(replace(show, file=made[show.file.file_id]) for show in say.shows if _fits(show, say.text, made)),
    )


def cited_files(events: Iterable[Event]) -> dict[str, str]:
    """File id -> name of all files that file search returned or an earlier answer cites."""
    files = {}
    for event in events:
        if isinstance(event, Searched):
            files.update({passage.file_id: passage.filename for passage in event.passages})
        elif isinstance(event, Said):
            files.update({cite.file_id: cite.filename for cite in event.citations})
    return files


def _fits(show: Show, text: str, made: dict[str, OutputFile]) -> bool:
    return show.file.file_id in made and 0 <= show.start < show.end <= len(text)


# ---- tokens ------------------------------------------------------------------------------------------------------


def add(one: Usage, other: Usage) -> Usage:
    return Usage(
        input_tokens=one.input_tokens + other.input_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        cached_tokens=one.cached_tokens + other.cached_tokens,
        reasoning_tokens=one.reasoning_tokens + other.reasoning_tokens,
    )


def count(prompt: Prompt, step: Step) -> Usage:
    """Count the tokens of one step, for a model that reports no usage. Takes milliseconds of CPU for long prompts."""
    from local.openai_emulator.search import tokens

    read = [prompt.instructions, *(json.dumps(tool) for tool in prompt.tools.functions)]
    read += [text for event in prompt.events for text in event_texts(event)]
    return Usage(
        input_tokens=sum(tokens.count(text) for text in read),
        output_tokens=sum(tokens.count(text) for move in (step.move, *step.more) for text in move_texts(move)),
    )


def event_texts(event: Event) -> list[str]:
    """The texts of an event that the model reads."""
    if isinstance(event, Said):
        return [event.text, *(text for file in event.files for text in file.texts)]
    if isinstance(event, Searched):
        return [*event.queries, *(passage.text for passage in event.passages)]
    if isinstance(event, Ran):
        return [event.code, event.logs]
    return [event.name, event.arguments, event.output or ""]


def move_texts(move: Tooling | Say) -> list[str]:
    """The texts that the model wrote for a move."""
    if isinstance(move, Say):
        return [move.text]
    if isinstance(move, Search):
        return list(move.queries)
    if isinstance(move, RunCode):
        return [move.code]
    calls = (move.called,) if isinstance(move, Misuse) else move.calls
    return [text for call in calls for text in (call.name, call.arguments)]


def cut(say: Say, left: int | None) -> Say:
    """Cut an answer that exceeds the output limit.

    `left`: output tokens that remain after the answer; negative if it is too long, None without a limit.
    """
    if left is None or left >= 0:
        return say
    from local.openai_emulator.search import tokens

    written = tokens.encode(say.text)
    text = tokens.decode(written[: max(len(written) + left, 0)]).rstrip("\ufffd")  # half a character
    return replace(
        say,
        text=text,
        citations=tuple(cite for cite in say.citations if cite.position <= len(text)),
        shows=tuple(show for show in say.shows if show.end <= len(text)),
        cut_off=True,
    )
