"""Output of the command line, for a terminal and for a plain log."""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.markdown import Markdown
from rich.padding import Padding
from rich.rule import Rule
from rich.segment import Segment
from rich.status import Status
from rich.text import Text

from local.paths import shown
from local.plain import one_line, printable

Json = dict[str, Any]

PLAIN_WIDTH = 100
WIDEST = 110
ACTIVITIES = {
    "file_search": "searching the documents",
    "code_interpreter": "running Python",
    "function": "calling a function",
    "reasoning": "thinking",
    "message": "writing",
}
ENDED = ("completed", "failed", "incomplete")
QUERIES_SHOWN = 3
MESSAGE_MAX_CHARS = 2_000  # of the messages of a thread that is taken up again
MARKDOWN_MAX_CHARS = 100_000  # a longer answer takes minutes to lay out
COUNTED = (
    ("file_search_calls", "file search", "file searches"),
    ("code_interpreter_calls", "code run", "code runs"),
)


class Terminal:
    """Prints with colours and a spinner on a terminal, and the same text without control characters elsewhere."""

    def __init__(self, console: Console | None = None, *, on: TextIO | None = None) -> None:
        """`on`: where it prints, stdout unless told; a command whose stdout is for programs prints on stderr."""
        self.console = console or _console(on or sys.stdout)

    @property
    def is_terminal(self) -> bool:
        """Whether people see what is printed."""
        return self.console.is_terminal

    def raw(self, sequences: Iterable[str]) -> None:
        """Print control sequences that this program made. Nothing foreign may be in them as it is."""
        self.console.file.writelines([*sequences, "\n"])
        self.console.file.flush()

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

    def message(self, role: str, text: str) -> None:
        """Print a message of a thread that is taken up again."""
        who = "you › " if role == "user" else ""
        self._print(Text.assemble((who, "bold green"), (text[:MESSAGE_MAX_CHARS], "dim")))

    def code(self, code: str, output: str) -> None:
        """Print code that was run, and below it what it printed."""
        self._print(Padding(Text(code[:MARKDOWN_MAX_CHARS], style="cyan"), (0, 2, 1, 4)))
        self._print(Padding(Text(output[:MARKDOWN_MAX_CHARS], style="dim"), (0, 2, 1, 4)))

    @contextmanager
    def watching(self) -> Iterator["Watch"]:
        """Show the steps of a run while the block runs."""
        watch = Watch(self.console)
        with watch.status:
            yield watch

    def answer(self, run: Json, seconds: float | None = None, *, saved: Mapping[int, Path] | None = None) -> None:
        """Print an answer with its sources, charts, tokens and cost; or the error if there is none.

        `saved`: the files of charts, by number; a chart without one is named by its blob.
        """
        if run.get("answer"):
            self._print(Padding(self._text(run), (1, 2, 1, 2)))
        if run["status"] != "completed":
            error = run.get("error") or {}
            self.error(f"The run ended as {run['status']}: {error.get('message', 'no reason was given')}")
        self._print(Group(*self._sources(run), *self._places(run, saved or {})))
        self.pair("tokens", tokens_line(run["usage"]))
        if cost := run.get("cost"):
            self.pair("cost", f"${cost['usd']:.4f}  ({cost['prices']})")
        if seconds is not None:
            self.pair("time", f"{seconds:.2f} s from question to answer")

    def _text(self, run: Json) -> RenderableType:
        if len(run["answer"]) > MARKDOWN_MAX_CHARS:
            left_out = f"… {len(run['answer']) - MARKDOWN_MAX_CHARS:,} more characters; `--json` prints all of them."
            return Text(f"{run['answer'][:MARKDOWN_MAX_CHARS]}\n\n{left_out}")
        text = without_pictures(marked(run["answer"], run["citations"]))
        return Markdown(text, hyperlinks=False)  # links show where they lead

    def _sources(self, run: Json) -> Iterator[Text]:
        for citation in run["citations"]:
            quote = shortened(citation.get("quote") or "", self.console.width - 10)
            found = "  (this quote was not found in the document)" if citation.get("verified") is False else ""
            yield Text.assemble(
                (f"  [{citation['n']}] {one_line(citation['document'])}{place(citation)}", "bold"),
                (f"\n      “{quote}”", "dim"),
                (found, "yellow"),
            )

    def _places(self, run: Json, saved: Mapping[int, Path]) -> Iterator[Text]:
        for chart in run["charts"]:
            path = saved.get(chart.get("n", 0))
            where = one_line(shown(path.resolve()) if path else f"answers/{chart['path']}")
            yield Text.assemble(("  chart           ", "dim"), (where, "magenta"))
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
        """Show the steps that have ended since the last call; with the run's end, all of them."""
        steps = run.get("steps") or []
        for step in steps[self._seen :]:
            if step["status"] not in ENDED and not run.get("finished_at"):
                break
            self._console.print(Text(f"  · {activity(step)}", style="dim"))
            self._seen += 1
        self.status.update(Text(activity(steps[self._seen]) if len(steps) > self._seen else "thinking"))


def activity(step: Json) -> str:
    """What a step does, for people: with what it searches for, or the name of the function."""
    what = [f"“{shortened(one_line(query), 60)}”" for query in (step.get("queries") or [])[:QUERIES_SHOWN]]
    if step.get("name"):
        what.append(one_line(step["name"]))
    failed = " (failed)" if step["status"] == "failed" else ""
    done = ACTIVITIES.get(step["type"], one_line(step["type"]))
    return f"{done}: {', '.join(what)}{failed}" if what else f"{done}{failed}"


def place(citation: Json) -> str:
    """Where in its document a quote stands, as the end of a line."""
    for name in ("page", "slide"):
        if citation.get(name):
            return f", {name} {one_line(str(citation[name]))}"
    return f", section “{one_line(citation['section'])}”" if citation.get("section") else ""


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


def _console(file: TextIO) -> Console:
    plain: Json = {"file": file, "markup": False, "highlight": False, "emoji": False}
    if not file.isatty():
        return Console(width=PLAIN_WIDTH, color_system=None, **plain)
    console = Console(**plain)
    return console if console.width <= WIDEST else Console(width=WIDEST, **plain)
