"""Output of the command line, for a terminal and for a plain log."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.markdown import Markdown
from rich.padding import Padding
from rich.rule import Rule
from rich.segment import Segment
from rich.status import Status
from rich.text import Text

from local.plain import one_line, printable

Json = dict[str, Any]

PLAIN_WIDTH = 100
WIDEST = 110
ACTIVITIES = {
    "file_search": "searching the documents",
    "code_interpreter": "running Python",
    "function": "calling a function",
}
COUNTED = (
    ("file_search_calls", "file search", "file searches"),
    ("code_interpreter_calls", "code run", "code runs"),
)


class Terminal:
    """Prints with colours and a spinner on a terminal, and the same text without control characters elsewhere."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or _console()

    def say(self, text: str = "", style: str = "") -> None:
        """Print a line or paragraph."""
        self._print(Text(text, style=style))

    def _print(self, content: RenderableType, *, soft_wrap: bool = False) -> None:
        self.console.print(Harmless(content), soft_wrap=soft_wrap)

    def heading(self, text: str) -> None:
        """Print a heading with a rule."""
        self.console.print()
        self._print(Rule(Text(text, style="bold cyan"), align="left", style="cyan"))

    def pair(self, name: str, value: str, style: str = "") -> None:
        """Print a name and a value; the values are aligned."""
        self._print(Text.assemble((f"  {one_line(name):<15} ", "dim"), (one_line(value), style)), soft_wrap=True)

    def log(self, name: str, line: str) -> None:
        """Print a log line of a process."""
        self._print(Text(f"{name:>14} │ {one_line(line)}", style="dim"), soft_wrap=True)

    def next_step(self, text: str) -> None:
        """Print what the user can do next."""
        self._print(Text.assemble(("Next: ", "bold green"), text))

    def error(self, message: str, advice: str = "") -> None:
        """Print what is wrong and what the user can do."""
        self._print(Text.assemble(("Error: ", "bold red"), message))
        if advice:
            self._print(Text(advice))

    def document(self, document: Json, seconds: float | None = None) -> None:
        """Print a document with its status and, if given, the seconds until it was final."""
        status = document["status"]
        style = {"indexed": "green", "failed": "red", "unsupported": "yellow"}.get(status, "cyan")
        took = f"{seconds:6.2f} s" if seconds is not None else ""
        reason = one_line((document.get("reason") or {}).get("message", ""))
        self._print(Text.assemble(f"  {one_line(document['path']):<34} ", (f"{status:<12}", style), took, reason))

    @contextmanager
    def watching(self) -> Iterator["Watch"]:
        """Show the steps of a run while the block runs."""
        watch = Watch(self.console)
        with watch.status:
            yield watch

    def answer(self, run: Json, seconds: float | None = None) -> None:
        """Print an answer with its sources, charts, tokens and cost; or the error if there is none."""
        if run.get("answer"):
            text = without_pictures(marked(run["answer"], run["citations"]))
            self._print(Padding(Markdown(text, hyperlinks=False), (1, 2, 1, 2)))  # links show where they lead
        if run["status"] != "completed":
            error = run.get("error") or {}
            self.error(f"The run ended as {run['status']}: {error.get('message', 'no reason was given')}")
        self._print(Group(*self._sources(run), *self._places(run)))
        self.pair("tokens", tokens_line(run["usage"]))
        if cost := run.get("cost"):
            self.pair("cost", f"${cost['usd']:.4f}  ({cost['prices']})")
        if seconds is not None:
            self.pair("time", f"{seconds:.2f} s from question to answer")

    def _sources(self, run: Json) -> Iterator[Text]:
        for citation in run["citations"]:
            page = f", page {citation['page']}" if citation.get("page") else ""
            quote = shortened(citation.get("quote") or "", self.console.width - 10)
            yield Text.assemble(
                (f"  [{citation['n']}] {one_line(citation['document'])}{page}", "bold"), (f"\n      “{quote}”", "dim")
            )

    def _places(self, run: Json) -> Iterator[Text]:
        for chart in run["charts"]:
            yield Text.assemble(("  chart           ", "dim"), (f"answers/{one_line(chart['path'])}", "magenta"))
        for output in run.get("outputs", []):
            yield Text.assemble(("  file            ", "dim"), (f"answers/{one_line(output['path'])}", "magenta"))
        for note in run.get("notes", []):
            yield Text.assemble(("  note            ", "dim"), (one_line(note), "yellow"))


class Harmless:
    """What it shows has no hidden characters, also where Markdown makes them of `&#8238;`."""

    def __init__(self, content: RenderableType) -> None:
        self._content = content

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        """Source: https://rich.readthedocs.io/en/stable/protocol.html#console-render"""
        for segment in console.render(self._content, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))


class Watch:
    """Shows the steps of a run: a line for each, and the current one beside the spinner of a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._seen = 0
        self.status = Status("thinking", console=console, spinner="dots")

    def update(self, run: Json) -> None:
        """Show the steps that are new in this state of the run."""
        steps = run.get("steps") or []
        for step in steps[self._seen :]:
            self._console.print(Text(f"  · {activity(step)}", style="dim"))
        self._seen = max(self._seen, len(steps))
        running = [step for step in steps if step["status"] not in ("completed", "failed")]
        self.status.update(activity(running[-1]) if running else "thinking")


def activity(step: Json) -> str:
    """What a step does, for people."""
    return ACTIVITIES.get(step["type"], one_line(step["type"]))


def marked(answer: str, citations: list[Json]) -> str:
    """The answer with `[n]` inserted at the position of each citation; citations without a position are skipped."""
    for citation in sorted(citations, key=lambda c: (c.get("position", -1), c["n"]), reverse=True):
        if (position := citation.get("position")) is not None:
            answer = f"{answer[:position]} [{citation['n']}]{answer[position:]}"
    return answer


def without_pictures(markdown: str) -> str:
    """Replace images by their alternative text: a terminal cannot show them."""
    return re.sub(r"!\[([^\]]*)\]\([^)]*\)", r"*Chart: \1*", markdown)


def tokens_line(usage: Json) -> str:
    """Describe tokens and tool calls in one line."""
    parts = [f"{usage['input_tokens']:,} in"]
    if usage["cached_tokens"]:
        parts.append(f"{usage['cached_tokens']:,} of them cached")
    parts.append(f"{usage['output_tokens']:,} out")
    for name, one, more in COUNTED:
        if count := usage[name]:
            parts.append(f"{count} {one if count == 1 else more}")
    return " · ".join(parts)


def shortened(text: str, width: int) -> str:
    """The text in one line of at most `width` characters, with `…` if it was cut."""
    line = " ".join(text.split())
    return line if len(line) <= width else f"{line[: max(width - 1, 1)].rstrip()}…"


def _console() -> Console:
    if not sys.stdout.isatty():
        return Console(width=PLAIN_WIDTH, color_system=None, markup=False, highlight=False, emoji=False)
    console = Console(markup=False, highlight=False, emoji=False)
    return console if console.width <= WIDEST else Console(width=WIDEST, markup=False, highlight=False, emoji=False)
