"""`python -m local trace ID`: the spans of one run or document as a tree, with times.

The app writes them with `TELEMETRY=file make up`; see shared/telemetry/.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.errors import LocalError
from local.paths import TRACE, shown
from local.plain import one_line
from local.terminal import Terminal


@dataclass(frozen=True, kw_only=True)
class Span:
    """A line of the file. `start_ms` is in milliseconds since 1970."""

    trace: str
    span: str
    parent: str | None
    name: str
    start_ms: int
    took_ms: int
    pid: int
    failed: bool
    ids: Mapping[str, Any]
    events: Sequence[str]


def show(terminal: Terminal, about: str, *, environ: Mapping[str, str]) -> int:
    """Print the tree of every trace that names the run or document.

    Raises:
        LocalError: there is no file, or nothing in it about this.
    """
    _, _, given = environ.get("TELEMETRY", "").partition(":")
    path = Path(given) if given else TRACE
    if not path.exists():
        raise LocalError(f"There are no spans in {shown(path)}.", "Start the stack with `TELEMETRY=file make up`.")
    trees = list(trees_of(spans_in(path.read_text(encoding="utf-8")), about))
    if not trees:
        raise LocalError(f"No span names {about!r}.", "Give the id of a run, or the whole path of a document.")
    for tree in trees:
        for line in lines_of(tree):
            terminal.say(one_line(line))
    return 0


def spans_in(text: str) -> list[Span]:
    """The spans of the file. A last line that is being written is left out."""
    lines = text.splitlines() if text.endswith("\n") else text.splitlines()[:-1]
    return [Span(**json.loads(line)) for line in lines]


def trees_of(spans: Sequence[Span], about: str) -> Iterator[list[Span]]:
    """The spans of each trace in which one names `about`, oldest trace first. Requests that only read a blob do not."""
    traces: dict[str, list[Span]] = defaultdict(list)
    for span in sorted(spans, key=lambda span: span.start_ms):
        traces[span.trace].append(span)
    for trace in traces.values():
        if any(_names(span, about) for span in trace):
            yield trace


def _names(span: Span, about: str) -> bool:
    return any(value == about for value in span.ids.values())


def lines_of(trace: Sequence[Span]) -> Iterator[str]:
    """The tree of one trace: start, duration, name and ids of each span, below the one that caused it."""
    known = {span.span for span in trace}
    below: dict[str | None, list[Span]] = defaultdict(list)
    for span in trace:
        below[span.parent if span.parent in known else None].append(span)
    began_ms = min(span.start_ms for span in trace)
    yield f"trace {trace[0].trace}: {len(trace)} spans, {len({span.pid for span in trace})} processes"
    yield f"{'start ms':>9} {'took ms':>8}"
    waiting = [(span, 0) for span in reversed(below[None])]  # no recursion: a run can have hundreds of hops
    while waiting:
        span, depth = waiting.pop()
        ids = [f"{key}={value}" for key, value in span.ids.items()]
        events = [f"[{event}]" for event in span.events]
        words = [span.name, *ids, *events, *(["FAILED"] if span.failed else [])]
        yield f"{span.start_ms - began_ms:>9} {span.took_ms:>8} {'  ' * depth}{' '.join(words)}"
        waiting += [(child, depth + 1) for child in reversed(below[span.span])]
