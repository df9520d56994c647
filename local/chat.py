"""`ask` and `chat`: questions from the terminal to the stack that is up."""

import time

from local.client import Client, Json
from local.errors import RequestFailed
from local.paths import COMMAND
from local.terminal import Terminal

GOODBYE = {"quit", "exit"}


def ask(
    terminal: Terminal,
    client: Client,
    question: str,
    *,
    thread_id: str | None = None,
    collection: str | None = None,
    files: list[str] | None = None,
) -> Json:
    """Ask once, show the steps and the answer; returns the run."""
    accepted = client.ask(question, thread_id=thread_id, collection=collection, files=files)
    with terminal.watching() as watch:
        run = client.wait(accepted, on_look=watch.look)
    terminal.answer(run, time.monotonic() - accepted.asked_at_s)
    return run


def chat(terminal: Terminal, client: Client, *, collection: str | None, thread_id: str | None) -> int:
    """One thread of questions, until `quit`, `exit` or Ctrl-D."""
    terminal.heading("Chat")
    terminal.say("Ask about your documents. `quit` or Ctrl-D ends.", style="dim")
    while True:
        question = _read(terminal)
        if question is None or question.lower() in GOODBYE:
            break
        if question:
            try:
                run = ask(terminal, client, question, thread_id=thread_id, collection=collection)
                thread_id = run["thread_id"]
            except RequestFailed as exc:  # the thread goes on
                terminal.error(str(exc))
    if thread_id:
        terminal.next_step(f"`{COMMAND} chat --thread {thread_id}` takes this thread up again.")
    return 0


def _read(terminal: Terminal) -> str | None:
    """A line from the user, None at its end."""
    try:
        return terminal.console.input("\n[bold green]you ›[/] ", markup=True).strip()
    except EOFError:
        terminal.say()
        return None
