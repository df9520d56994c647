"""What the app asks of a model service, in the app's own words. Engines translate; they decide nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from shared.engines.stores import Passage, Within
from shared.models.runs import Activity, Failure, Function, Usage


@dataclass(frozen=True, kw_only=True)
class Call:
    """The model wants a function called. `arguments` is JSON text, as the model wrote it."""

    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One question for an engine."""

    run_id: str
    question: str
    model: str
    instructions: str
    stores: tuple[str, ...]
    within: Within | None  # None: all that is in the stores
    file_ids: tuple[str, ...]  # for code interpreter
    previous: str | None  # the engine's run that this one continues
    history: tuple[tuple[str, str], ...] = ()  # (role, text) told in words, when there is no run to continue
    code_interpreter: bool = True
    functions: tuple[Function, ...] = ()
    temperature: float | None = None
    max_output_tokens: int | None = None


@dataclass(frozen=True, kw_only=True)
class Mark:
    """The service's annotation: the text up to `position` rests on this file."""

    position: int
    file_id: str
    filename: str


@dataclass(frozen=True, kw_only=True)
class MadeFile:
    """A file code interpreter made. `start`..`end` is where the text names it, None when it does not."""

    container_id: str
    file_id: str
    filename: str
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, kw_only=True)
class Output:
    """What the engine's run brought, once it has ended."""

    text: str
    marks: tuple[Mark, ...] = ()
    passages: tuple[Passage, ...] = ()
    made: tuple[MadeFile, ...] = ()
    usage: Usage = Usage()
    model: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    containers: tuple[str, ...] = ()
    unlisted: tuple[str, ...] = ()  # containers whose files could not be listed just now


@dataclass(frozen=True, kw_only=True)
class Look:
    """One look at an engine's run. `output` is there once the status is terminal, as far as there is any."""

    status: Literal["queued", "in_progress", "requires_action", "completed", "incomplete", "failed", "cancelled"]
    calls: tuple[Call, ...] = ()  # to be answered, when the status is requires_action
    activity: tuple[Activity, ...] = ()
    output: Output | None = None
    failure: Failure | None = None
    completed_at: datetime | None = None


class Engine(Protocol):
    """Runs. Every method may raise ServiceBusy (try later), ServiceError (do not) and ServiceMissing."""

    name: str  # as in the setting ENGINE; a thread can only be continued by the engine that began it
    filters: bool  # whether file search can be told what to leave out

    async def start(self, ask: Ask) -> str:
        """Create the run in the background and answer its id at the service. Never retried inside.

        Raises:
            ChainLost: the service no longer has `ask.previous`.
        """
        ...

    async def answer_calls(self, engine_run: str, ask: Ask, outputs: Mapping[str, str]) -> str:
        """Go on with a run that waits for its calls; `outputs` by call id. Answers the id to look at from here on."""
        ...

    async def look(self, engine_runs: Sequence[str]) -> Look:
        """Look at the last of these; once it has ended, the output is that of all of them, oldest first."""
        ...

    async def cancel(self, engine_run: str) -> None: ...

    async def forget(self, engine_runs: Sequence[str]) -> None:
        """Delete what the service has stored of them. What is gone already is fine."""
        ...

    async def download(self, file: MadeFile) -> bytes:
        """The content of a file that code interpreter made, at most 64 MiB."""
        ...
