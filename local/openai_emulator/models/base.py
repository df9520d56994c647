"""What a model sees and what it may do next: the contract between the agent loop and every model.

The loop (`agent.py`) asks `Model.step` again and again. The model answers with one `Step`: search the files, run
Python, hand calls to the caller's own functions, or say the answer. The loop carries the step out, appends what
came of it to the conversation and asks again, until the model says something or hands over function calls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

# ---- what has happened so far, oldest first ----------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Said:
    """A message of the conversation. `citations` are those an earlier answer carried."""

    role: str  # "user" or "assistant" (also "system"/"developer" where the caller sent one)
    text: str
    citations: tuple[Cite, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Passage:
    """One chunk that file search found."""

    file_id: str
    filename: str
    text: str
    score: float  # 0..1, best first
    page: int | None = None
    attributes: Mapping[str, str | float | bool] = field(default_factory=dict)


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

# ---- what the model may use --------------------------------------------------------------------------------------


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


# ---- what the model does next ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Search:
    queries: tuple[str, ...]  # 1..5


@dataclass(frozen=True, kw_only=True)
class RunCode:
    code: str


@dataclass(frozen=True, kw_only=True)
class CallFunctions:
    calls: tuple[Called, ...]  # output None


@dataclass(frozen=True, kw_only=True)
class Cite:
    """A span of the answer rests on a file: `position` is the character in `Say.text` the citation stands behind."""

    position: int
    file_id: str
    filename: str


@dataclass(frozen=True, kw_only=True)
class Show:
    """`text[start:end]` names a file the code made, such as a chart (wire: `container_file_citation`)."""

    start: int
    end: int
    file: OutputFile


@dataclass(frozen=True, kw_only=True)
class Say:
    text: str
    citations: tuple[Cite, ...] = ()
    shows: tuple[Show, ...] = ()
    cut_off: bool = False  # the model hit its output limit: the response becomes `incomplete`


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Tokens as the model counted them; the loop counts for a model that does not."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True, kw_only=True)
class Step:
    """The model's next move, and what it cost."""

    move: Search | RunCode | CallFunctions | Say
    usage: Usage | None = None


class ModelError(Exception):
    """The model could not answer. `code` is a `ResponseError.code`: server_error, rate_limit_exceeded, ..."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Model(Protocol):
    """One model. Stateless: all it knows is in the prompt."""

    name: str  # "builtin" or the name of the model behind the endpoint
    about: Mapping[str, str]  # goes into the response's metadata, e.g. {"answered_by": "builtin offline model ..."}

    async def step(self, prompt: Prompt) -> Step:
        """Decide what to do next.

        Raises:
            ModelError: it could not; the response becomes `failed`.
        """
        ...
