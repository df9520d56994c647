"""DOC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from local.openai_emulator.search.passage import Passage


@dataclass(frozen=True, kw_only=True)
class Said:
    """A message of the conversation. `citations` are those an earlier answer carried."""

    role: str  # "user" or "assistant" (also "system"/"developer" where the caller sent one)
    text: str
    citations: tuple[Cite, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Searched:
    """A file search that was carried out."""

    queries: tuple[str, ...]
    passages: tuple[Passage, ...]


@dataclass(frozen=True, kw_only=True)
class OutputFile:
    """A file that code left in its working folder `/mnt/data`."""

    file_id: str  # cfile_...
    filename: str  # "chart.png"
    container_id: str
    is_image: bool


@dataclass(frozen=True, kw_only=True)
class Ran:
    """Python that was run in the code interpreter. `failed` when it raised, timed out or broke a limit."""

    code: str
    logs: str  # stdout and stderr together, cut to a bound; a traceback when it failed
    files: tuple[OutputFile, ...] = ()  # made or changed by this run
    failed: bool = False


@dataclass(frozen=True, kw_only=True)
class Called:
    """A function of the caller's; `output` is None until the caller has sent it."""

    call_id: str
    name: str
    arguments: str  # JSON
    output: str | None = None


Event = Said | Searched | Ran | Called


@dataclass(frozen=True, kw_only=True)
class DataFile:
    """A file that stands ready in the code interpreter's folder."""

    filename: str  # as the code opens it: `/mnt/data/<filename>`
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Toolbox:
    """The tools this response was created with."""

    file_search: bool = False
    code_interpreter: bool = False
    data_files: tuple[DataFile, ...] = ()
    functions: Sequence[Mapping[str, Any]] = ()  # {"name", "description", "parameters", "strict"}


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """Everything a model is told for its next step."""

    model: str  # the name the caller asked for
    instructions: str
    events: tuple[Event, ...]  # whole history of the thread, earlier responses included, oldest first
    turn_starts_at: int  # index in `events` of this response's first new input; what follows was done by this response
    tools: Toolbox
    temperature: float | None = None
    max_output_tokens: int | None = None


@dataclass(frozen=True, kw_only=True)
class Cite:
    """A span of the answer rests on a file: `position` is the character in `Say.text` the citation stands behind."""

    position: int
    file_id: str
    filename: str


EVENTS: TypeAdapter[list[Event]] = TypeAdapter(list[Event])
