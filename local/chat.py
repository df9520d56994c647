"""`ask` and `chat`: ask the running stack from the terminal."""

import time

from local.client import Client, Json
from local.errors import RequestFailed
from local.paths import COMMAND
from local.terminal import Terminal

QUIT_WORDS = {"quit", "exit"}


def ask(
    terminal: Terminal,
    client: Client,
    question: str,
    *,
    thread_id: str | None = None,
    collection: str | None = None,
    files: list[str] | None = None,
) -> Json:
    """Ask a question, show the steps and the answer, and return the run."""
    accepted = client.ask(question, thread_id=thread_id, collection=collection, files=files)
    with terminal.watching() as watch:
        run = client.wait(accepted, on_look=watch.update)
    terminal.answer(run, time.monotonic() - accepted.asked_at_s)
    return run


def chat(terminal: Terminal, client: Client, *, collection: str | None, thread_id: str | None) -> int:
    """Ask questions in one thread, until `quit`, `exit` or Ctrl-D."""
    terminal.heading("Chat")
    terminal.say("Ask about your documents. `quit` or Ctrl-D ends.", style="dim")
    while True:
        question = _read(terminal)
        if question is None or question.lower() in QUIT_WORDS:
            break
        if question:
            try:
                run = ask(terminal, client, question, thread_id=thread_id, collection=collection)
                thread_id = run["thread_id"]
            except RequestFailed as exc:  # the next question may succeed
                terminal.error(str(exc))
    if thread_id:
        terminal.next_step(f"`{COMMAND} chat --thread {thread_id}` continues this thread.")
    return 0


def _read(terminal: Terminal) -> str | None:
    """A line from the user; None at the end of input."""
    try:
        return terminal.console.input("\n[bold green]you ›[/] ", markup=True).strip()
    except EOFError:
        terminal.say()
        return None
