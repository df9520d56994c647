"""The interface between the app and a model service: `Engine`, its requests and its results.

Each engine translates between these types and one API of the service. Decisions are made by the callers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal, Protocol

from shared.engines.stores import Passage, Within
from shared.models.runs import Activity, Failure, Function, Usage


@dataclass(frozen=True, kw_only=True)
class Call:
    """A function call that the model requests. `arguments` is the JSON text that the model wrote, not validated."""

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
    stores: tuple[str, ...]  # vector store ids; empty: no file search
    within: Within | None  # None: file search uses everything in the stores
    file_ids: tuple[str, ...]  # for code interpreter
    previous: str | None  # the engine run that this one continues
    history: tuple[tuple[str, str], ...] = ()  # (role, text) of earlier messages, when there is no run to continue
    place: str | None = None  # of `Engine.prepare`
    app: str = ""  # the id of this app, for the metadata of what is made at the service
    code_interpreter: bool = True
    functions: tuple[Function, ...] = ()
    temperature: float | None = None
    reasoning: str | None = None
    verbosity: str | None = None
    max_output_tokens: int | None = None


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """A file citation of the service: the text that ends at `position` is based on this file."""

    position: int  # in characters, in `Output.text`
    file_id: str
    filename: str


@dataclass(frozen=True, kw_only=True)
class MadeFile:
    """A file that code interpreter created. `start` and `end`: where its path is in the text, None if it is not."""

    container_id: str  # "" when the API does not name the container
    file_id: str
    filename: str
    url: str | None = None  # its image in the outputs of the code, if the service gave it
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, kw_only=True)
class Output:
    """The result of an engine run that has ended."""

    text: str
    annotations: tuple[Annotation, ...] = ()
    passages: tuple[Passage, ...] = ()  # the results of file search
    made: tuple[MadeFile, ...] = ()
    usage: Usage = Usage()
    model: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    containers: tuple[str, ...] = ()
    images: tuple[MadeFile, ...] = ()  # of the outputs of the code, that are known to be none of the files
    unlisted: tuple[str, ...] = ()  # containers whose files could not be listed because the service was busy


@dataclass(frozen=True, kw_only=True)
class Look:
    """The state of an engine run at one request. `output` is set once the status is terminal."""

    status: Literal["queued", "in_progress", "requires_action", "completed", "incomplete", "failed", "cancelled"]
    calls: tuple[Call, ...] = ()  # the caller must answer them when the status is requires_action
    activity: tuple[Activity, ...] = ()
    output: Output | None = None
    failure: Failure | None = None
    completed_at: datetime | None = None


STEPS_MAX = 40
QUERIES_MAX = 8
QUERY_MAX_CHARS = 300
CODE_MAX_CHARS = 8_000
PRINTED_MAX_CHARS = 4_000


def bounded(activity: Iterable[Activity]) -> tuple[Activity, ...]:
    """The last steps of a run, with long texts cut: they are kept in the run's record and in its answer."""
    return tuple(
        replace(
            step,
            queries=tuple(cut(query, QUERY_MAX_CHARS) for query in step.queries[:QUERIES_MAX]),
            name=cut(step.name, QUERY_MAX_CHARS) if step.name else None,
            code=cut(step.code, CODE_MAX_CHARS) if step.code else None,
            output=cut(step.output, PRINTED_MAX_CHARS) if step.output else None,
        )
        for step in list(activity)[-STEPS_MAX:]
    )


def cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


class Engine(Protocol):
    """Runs of a model service. An engine run is identified by the id that the service gave it.

    Every method may raise ServiceBusy (retry later), ServiceError (do not retry) and ServiceMissing (unknown id).
    """

    name: str  # a value of the setting ENGINE; only the engine that began a thread can continue it
    filters: bool  # whether file search supports `Ask.within`

    async def prepare(self, ask: Ask) -> str | None:
        """Make what `start` needs to find its own earlier run, and return its id for the run's record.

        The caller writes the id into the record before it calls `start`, with the id as `ask.place`. None: this engine
        needs nothing, or has no way to find an earlier run. With `ask.place` or `ask.previous`, nothing is made.
        """
        ...

    async def start(self, ask: Ask) -> str:
        """Start a run in the background and return its id. The engine itself does not retry.

        When an earlier request for the same `ask.run_id` was carried out although its answer was lost, an engine that
        can find its run returns that one.

        Raises:
            ChainLost: the service no longer has `ask.previous`.
        """
        ...

    async def answer_calls(self, engine_run: str, ask: Ask, outputs: Mapping[str, str]) -> str:
        """Continue a run that waits for function calls.

        Args:
            outputs: Call id -> output.

        Returns:
            The id of the engine run that continues it; may be the same.
        """
        ...

    async def look(self, engine_runs: Sequence[str]) -> Look:
        """The state of the last of these engine runs. Once it has ended, the output covers all of them.

        Args:
            engine_runs: The ids that `start` and `answer_calls` returned for one run of the app, oldest first.
        """
        ...

    async def cancel(self, engine_run: str) -> None: ...

    async def forget(
        self, engine_runs: Sequence[str], *, run_id: str = "", place: str | None = None, containers: Sequence[str] = ()
    ) -> None:
        """Delete everything that the service has stored for these runs. Unknown ids are ignored.

        Args:
            run_id: The run of the app. What the service holds for it in `place` is deleted, too.
            place: Of `prepare`, or an engine run of the same conversation.
            containers: Of code interpreter; no run may use them any more.
        """
        ...

    async def download(self, file: MadeFile) -> bytes:
        """The content of a file that code interpreter created, at most 64 MiB."""
        ...
