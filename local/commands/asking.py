"""One question: its steps as they happen, its answer, its charts. Ctrl-C cancels the run."""

import signal
import time
from types import FrameType
from typing import Any, Self

from local.client import Accepted, Client, Json
from local.commands.pictures import Charts
from local.errors import LocalError
from local.terminal import Terminal

CANCELLED_WITHIN_S = 60  # the thread takes no other question before


class Interrupted(Exception):
    """Ctrl-C ended a question; its run, if there was one already, has been cancelled."""

    def __init__(self, thread_id: str | None) -> None:
        super().__init__("A question was interrupted.")
        self.thread_id = thread_id

    def as_json(self) -> Json:
        """The interruption for programs, in the shape of an error."""
        return {"thread_id": self.thread_id, "error": {"message": str(self), "code": "interrupted"}}


class Postponed:
    """Remembers Ctrl-C while a block runs: what it has begun can then be ended. A second Ctrl-C acts at once."""

    def __init__(self) -> None:
        self.pressed = False

    def __enter__(self) -> Self:
        self._before: Any = signal.signal(signal.SIGINT, self._press)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _press(self, number: int, frame: FrameType | None) -> None:
        if self.pressed:
            raise KeyboardInterrupt
        self.pressed = True


def ask(
    terminal: Terminal,
    client: Client,
    question: str,
    *,
    thread_id: str | None = None,
    collection: str | None = None,
    files: list[str] | None = None,
    allow_other_collection: bool = False,
    charts: Charts | None = None,
) -> Json:
    """Ask a question, show the steps and the answer, and return the run.

    Raises:
        Interrupted: Ctrl-C was pressed. The run has been cancelled: it would go on and cost.
    """
    accepted = None
    try:
        with terminal.watching() as watch:
            with Postponed() as ctrl_c:
                accepted = client.ask(
                    readable(question),
                    thread_id=thread_id,
                    collection=collection,
                    files=files,
                    allow_other_collection=allow_other_collection,
                )
            if ctrl_c.pressed:
                raise KeyboardInterrupt
            run = client.wait(accepted, on_look=watch.update)
    except (KeyboardInterrupt, SystemExit) as exc:
        if accepted:
            cancel(terminal, client, accepted, is_waited_for=isinstance(exc, KeyboardInterrupt))
        if isinstance(exc, SystemExit):
            raise
        raise Interrupted(accepted.thread_id if accepted else thread_id) from None
    show(terminal, client, run, time.monotonic() - accepted.asked_at_s, charts=charts)
    return run


def show(
    terminal: Terminal, client: Client, run: Json, seconds: float | None = None, *, charts: Charts | None = None
) -> None:
    """Print the answer of a run that has ended; its charts are saved, and shown where the terminal can."""
    saved = charts.save(terminal, client, run) if charts else {}
    terminal.answer(run, seconds, saved=saved)
    if charts:
        charts.show(terminal, saved)


def cancel(terminal: Terminal, client: Client, accepted: Accepted, *, is_waited_for: bool = True) -> None:
    """Cancel a run, and wait until it has ended: before, its thread takes no question."""
    try:
        client.cancel(accepted.id)
        run = client.wait(accepted, on_look=lambda _: None, within_s=CANCELLED_WITHIN_S) if is_waited_for else {}
    except LocalError as exc:
        terminal.error(f"The run {accepted.id} could not be cancelled: {exc}", exc.advice)
    except KeyboardInterrupt:
        terminal.say(f"The run {accepted.id} may still be running.", style="yellow")
    else:
        came = run.get("status") == "completed"
        text = f"The answer came first; it is in the run {accepted.id}." if came else "The question was cancelled."
        terminal.say(text, style="yellow")


def readable(text: str) -> str:
    """The text without halves of characters, which a terminal with another encoding sends and JSON cannot hold."""
    return text.encode("utf-8", "replace").decode()
