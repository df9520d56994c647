"""The one loop behind Responses (and Assistants): ask the model, carry out its step, tell it what came of it, again.

It knows no wire shapes. The caller hands in the prompt and the tools, and hears what happens as `Progress`. To stop it,
cancel the task that iterates: the code that is running is stopped with it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass, replace

from local.openai_emulator.agent.conversation import Event, OutputFile, Prompt, Ran, Said, Searched, Toolbox
from local.openai_emulator.agent.model import CallFunctions, Model, ModelError, RunCode, Say, Search, Show, Step, Usage
from local.openai_emulator.agent.tools import ToolBroken, Tools

MAX_STEPS = 20


@dataclass(frozen=True, kw_only=True)
class ToolStarted:
    """A tool is at work now. `usage`: of the turn so far."""

    move: Search | RunCode
    usage: Usage


@dataclass(frozen=True, kw_only=True)
class ToolFinished:
    """The tool begun last has come to its end; `broken` when it could not do its work at all."""

    event: Searched | Ran
    broken: bool = False


@dataclass(frozen=True, kw_only=True)
class TurnEnded:
    """The turn is over. `move` is None when the output limit was reached before an answer; `usage`: of the turn."""

    move: Say | CallFunctions | None
    usage: Usage
    cut_off: bool = False


Progress = ToolStarted | ToolFinished | TurnEnded


async def run_turn(
    model: Model,
    prompt: Prompt,
    tools: Tools,
    *,
    max_steps: int = MAX_STEPS,
    max_tool_calls: int | None = None,
) -> AsyncGenerator[Progress, None]:
    """One turn of the conversation, up to the model's answer or its calls of the caller's functions.

    Raises:
        ModelError: the model could not answer, or came to no end within `max_steps`.
    """
    limit = prompt.max_output_tokens
    usage = Usage(input_tokens=0, output_tokens=0)
    calls = 0
    for _ in range(max_steps):
        step = await model.step(prompt)
        if (spent := step.usage) is None:
            spent = await asyncio.to_thread(count, prompt, step)
        usage = add(usage, spent)
        left = None if limit is None else limit - usage.output_tokens
        move = step.move
        if isinstance(move, Say):
            answer = cut(grounded(move, prompt.events), left)
            spoken = usage if left is None or left >= 0 else replace(usage, output_tokens=limit or 0)
            yield TurnEnded(move=answer, usage=spoken, cut_off=answer.cut_off)
            return
        if left is not None and left <= 0:
            yield TurnEnded(move=None, usage=replace(usage, output_tokens=limit or 0), cut_off=True)
            return
        if isinstance(move, CallFunctions):
            yield TurnEnded(move=move, usage=usage)
            return
        if not allowed(move, prompt.tools):
            continue  # the service ignores a call of a tool that is not there, or one beyond max_tool_calls
        yield ToolStarted(move=move, usage=usage)
        finished = await carry_out(move, tools)
        yield finished
        calls += 1
        used_up = max_tool_calls is not None and calls >= max_tool_calls
        prompt = replace(
            prompt,
            events=(*prompt.events, finished.event),
            tools=replace(prompt.tools, file_search=False, code_interpreter=False) if used_up else prompt.tools,
            max_output_tokens=left,
        )
    raise ModelError("server_error", f"The model came to no answer within {max_steps} steps.")


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


# ---- what an answer may point at ---------------------------------------------------------------------------------


def grounded(say: Say, events: Sequence[Event]) -> Say:
    """The answer without what it rests on by name only: citations and files that no tool has given."""
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
    """File id -> name of all that file search returned in this conversation, or that an earlier answer cites."""
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
    """Tokens of one step, for a model that does not count itself. Takes milliseconds of CPU for long histories."""
    from local.openai_emulator.search import tokens

    told = [prompt.instructions, *(json.dumps(tool) for tool in prompt.tools.functions)]
    told += [text for event in prompt.events for text in event_texts(event)]
    return Usage(
        input_tokens=sum(tokens.count(text) for text in told),
        output_tokens=sum(tokens.count(text) for text in move_texts(step.move)),
    )


def event_texts(event: Event) -> list[str]:
    """What a model reads of an event."""
    if isinstance(event, Said):
        return [event.text]
    if isinstance(event, Searched):
        return [*event.queries, *(passage.text for passage in event.passages)]
    if isinstance(event, Ran):
        return [event.code, event.logs]
    return [event.name, event.arguments, event.output or ""]


def move_texts(move: Search | RunCode | CallFunctions | Say) -> list[str]:
    """What a model wrote for a move."""
    if isinstance(move, Say):
        return [move.text]
    if isinstance(move, Search):
        return list(move.queries)
    if isinstance(move, RunCode):
        return [move.code]
    return [text for call in move.calls for text in (call.name, call.arguments)]


def cut(say: Say, left: int | None) -> Say:
    """The answer within its limit: `left` is how many output tokens remain after it, below zero when it is too long."""
    if left is None or left >= 0:
        return say
    from local.openai_emulator.search import tokens

    written = tokens.encode(say.text)
    text = tokens.decode(written[: max(len(written) + left, 0)]).rstrip("\ufffd")  # a character cut in half
    return replace(
        say,
        text=text,
        citations=tuple(cite for cite in say.citations if cite.position <= len(text)),
        shows=tuple(show for show in say.shows if show.end <= len(text)),
        cut_off=True,
    )
