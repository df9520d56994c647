"""A conversation as the agent loop and the models see it: its events, and the prompt for the next step.

Events are messages and finished tool calls, in order. They do not depend on the API that the client uses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from local.openai_emulator.search.passage import Passage


@dataclass(frozen=True, kw_only=True)
class Cite:
    """A citation of a file, placed directly after character `position` of the text."""

    position: int
    file_id: str
    filename: str


@dataclass(frozen=True, kw_only=True)
class AttachedFile:
    """A document inside a message, as its text in parts that follow each other."""

    filename: str
    texts: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class AttachedImage:
    """An image inside a message. `url`: of the web, or with the content in it (`data:`)."""

    url: str
    detail: str  # "auto", "low", "high"


@dataclass(frozen=True, kw_only=True)
class Said:
    """A message of the conversation. `citations`: those of the answer, if the message is one."""

    role: str  # "user" or "assistant"; "system" or "developer" if the caller sent such a message
    text: str
    citations: tuple[Cite, ...] = ()
    files: tuple[AttachedFile, ...] = ()
    images: tuple[AttachedImage, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Searched:
    """A file search and its results."""

    queries: tuple[str, ...]
    passages: tuple[Passage, ...]


@dataclass(frozen=True, kw_only=True)
class OutputFile:
    """A file that code wrote to its working folder `/mnt/data`."""

    file_id: str  # cfile_...
    filename: str  # "chart.png"
    container_id: str
    is_image: bool


@dataclass(frozen=True, kw_only=True)
class Ran:
    """Python code that the code interpreter ran. `failed`: it raised an error, timed out or exceeded a limit."""

    code: str
    logs: str  # stdout and stderr together, shortened if too long; with the traceback if it failed
    files: tuple[OutputFile, ...] = ()  # created or changed by this code
    failed: bool = False


@dataclass(frozen=True, kw_only=True)
class Called:
    """A call of one of the caller's functions; `output` is None until the caller sends it."""

    call_id: str
    name: str
    arguments: str  # JSON
    output: str | None = None


Event = Said | Searched | Ran | Called

EVENTS: TypeAdapter[list[Event]] = TypeAdapter(list[Event])  # reads and writes events as JSON


@dataclass(frozen=True, kw_only=True)
class DataFile:
    """An input file in the code interpreter's folder."""

    filename: str  # code opens it as `/mnt/data/<filename>`
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Toolbox:
    """The tools that the model may use."""

    file_search: bool = False
    code_interpreter: bool = False
    data_files: tuple[DataFile, ...] = ()
    functions: Sequence[Mapping[str, Any]] = ()  # {"name", "description", "parameters", "strict"}
    must_call: str = ""  # "any", or the name of the tool or function that the model must call in this turn; '': none


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """The input of a model for its next step."""

    model: str  # the name that the caller requested
    instructions: str
    events: tuple[Event, ...]  # the whole conversation with earlier responses, oldest first
    turn_starts_at: int  # index in `events` of the first message of this turn; see `turn_start`
    tools: Toolbox
    temperature: float | None = None
    max_output_tokens: int | None = None
    parallel_tool_calls: bool = True
    response_format: Mapping[str, Any] | None = None  # as of chat completions; None: text
    truncates: bool = False  # where the conversation is too long for the model, its oldest part is left out


def turn_start(events: Sequence[Event], first_new: int) -> int:
    """The index at which the turn begins: that of the question which is to be answered.

    What a caller sends can repeat the conversation, with earlier questions and their answers. The user's last message
    and the messages directly before it, up to an answer, are the question.

    Args:
        events: The whole conversation.
        first_new: The index of the first event that the caller has sent now.
    """
    asked = (place for place in range(first_new, len(events)) if _is_said(events[place], by=("user",)))
    start = max(asked, default=first_new)
    while start > first_new and _is_said(events[start - 1], by=("user", "system", "developer")):
        start -= 1
    return start


def _is_said(event: Event, *, by: Sequence[str]) -> bool:
    return isinstance(event, Said) and event.role in by
