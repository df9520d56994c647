"""`ask` and `chat`: ask the running stack from the terminal."""

import time

from local.client import Client, Json
from local.errors import LocalError, RequestFailed
from local.paths import COMMAND
from local.terminal import Terminal

QUIT_WORDS = {"quit", "exit"}


class Interrupted(Exception):
    """Ctrl-C ended a question; its run, if there was one already, has been cancelled."""

    def __init__(self, thread_id: str | None) -> None:
        super().__init__("A question was interrupted.")
        self.thread_id = thread_id


def ask(
    terminal: Terminal,
    client: Client,
    question: str,
    *,
    thread_id: str | None = None,
    collection: str | None = None,
    files: list[str] | None = None,
) -> Json:
    """Ask a question, show the steps and the answer, and return the run.

    Raises:
        Interrupted: Ctrl-C was pressed. The run has been cancelled: it would go on and cost.
    """
    accepted = None
    try:
        accepted = client.ask(question, thread_id=thread_id, collection=collection, files=files)
        with terminal.watching() as watch:
            run = client.wait(accepted, on_look=watch.update)
    except KeyboardInterrupt:
        if accepted:
            _cancel(terminal, client, accepted.id)
        raise Interrupted(accepted.thread_id if accepted else thread_id) from None
    terminal.answer(run, time.monotonic() - accepted.asked_at_s)
    return run


def _cancel(terminal: Terminal, client: Client, run_id: str) -> None:
    try:
        client.cancel(run_id)
    except LocalError as exc:
        terminal.error(f"The run {run_id} could not be cancelled: {exc}", exc.advice)
    else:
        terminal.say("The question was cancelled.", style="yellow")


def chat(terminal: Terminal, client: Client, *, collection: str | None, thread_id: str | None) -> int:
    """Ask questions in one thread, until `quit`, `exit`, Ctrl-D, or Ctrl-C while no question runs."""
    terminal.heading("Chat")
    terminal.say("Ask about your documents. `quit` or Ctrl-D ends; Ctrl-C cancels a question.", style="dim")
    while True:
        question = _read(terminal)
        if question is None or question.lower() in QUIT_WORDS:
            break
        if question:
            try:
                run = ask(terminal, client, question, thread_id=thread_id, collection=collection)
                thread_id = run["thread_id"]
            except Interrupted as exc:
                thread_id = exc.thread_id
            except RequestFailed as exc:  # the next question may succeed
                terminal.error(str(exc))
    if thread_id:
        terminal.next_step(f"`{COMMAND} chat --thread {thread_id}` continues this thread.")
    return 0


def _read(terminal: Terminal) -> str | None:
    """A line from the user; None at the end of input or after Ctrl-C."""
    try:
        return terminal.console.input("\n[bold green]you ›[/] ", markup=True).strip()
    except (EOFError, KeyboardInterrupt):
        terminal.say()
        return None
