"""Ctrl-C in `chat`: it cancels the question that runs, not the chat."""

import io
import signal
from collections.abc import Callable
from typing import Any, cast

import pytest
from rich.console import Console

from local.client import Accepted, Client, Json
from local.commands.chat import chat
from local.errors import LocalError, NoAnswer
from local.terminal import Terminal

ACCEPTED = Accepted(id="run_1", thread_id="thread_1", location="http://x/api/runs/run_1", asked_at_s=0, post_s=0)
RUN: Json = {"id": "run_2", "thread_id": "thread_1", "status": "completed", "answer": "Yes.", "citations": []}
USAGE = ("input_tokens", "cached_tokens", "output_tokens", "file_search_calls", "code_interpreter_calls")


class FakeClient:
    """Answers the second question; Ctrl-C comes while it waits for the first, or while it posts it."""

    def __init__(self, *, while_posting: int = 0, cancel_fails: bool = False) -> None:
        self.threads: list[str | None] = []
        self.cancelled: list[str] = []
        self._while_posting = while_posting
        self._cancel_fails = cancel_fails

    def ask(self, question: str, *, thread_id: str | None, **_: object) -> Accepted:
        self.threads.append(thread_id)
        if self._while_posting and len(self.threads) == 1:
            for _ in range(self._while_posting):
                signal.raise_signal(signal.SIGINT)
        return ACCEPTED

    def wait(self, accepted: Accepted, *, on_look: Callable[[Json], None], within_s: float = 900) -> Json:
        if len(self.threads) == 1 and not self.cancelled:
            raise KeyboardInterrupt
        return {**RUN, "charts": [], "usage": dict.fromkeys(USAGE, 0)}

    def cancel(self, run_id: str) -> None:
        self.cancelled.append(run_id)
        if self._cancel_fails:
            raise LocalError("The app did not answer.", "Look at its log.")


class Typed:
    """What a user types; an exception is a key such as Ctrl-C."""

    def __init__(self, *lines: str | BaseException) -> None:
        self._lines = iter(lines)

    def read(self) -> str:
        line = next(self._lines)
        if isinstance(line, BaseException):
            raise line
        return line


def talk(client: Any, *lines: str | BaseException, **options: Any) -> str:
    """What a chat prints, with these lines typed."""
    console = Console(file=io.StringIO(), width=200, color_system=None)
    chosen = {"collection": None, "thread_id": None, **options}
    assert chat(Terminal(console), cast(Client, client), Typed(*lines), **chosen) == 0
    return cast(io.StringIO, console.file).getvalue()


def test_ctrl_c_cancels_the_run_and_the_chat_goes_on_in_its_thread() -> None:
    client = FakeClient()
    text = talk(client, "first?", "second?", "quit")
    assert client.cancelled == ["run_1"]
    assert client.threads == [None, "thread_1"]
    assert "--thread thread_1" in text


def test_ctrl_c_while_a_question_is_sent_cancels_its_run() -> None:
    client = FakeClient(while_posting=1)
    talk(client, "first?", "second?", "quit")
    assert client.cancelled == ["run_1"]
    assert client.threads == [None, "thread_1"]


def test_a_second_ctrl_c_does_not_wait_for_an_app_that_hangs() -> None:
    client = FakeClient(while_posting=2)
    talk(client, "first?", "second?", "quit")
    assert client.cancelled == []
    assert client.threads == [None, None]


def test_a_run_that_cannot_be_cancelled_is_named() -> None:
    text = talk(FakeClient(cancel_fails=True), "first?", "quit")
    assert "The run run_1 could not be cancelled" in text


@pytest.mark.parametrize(
    ("keys", "reads_on"),
    [
        ([KeyboardInterrupt(), KeyboardInterrupt()], False),
        ([KeyboardInterrupt(), "/help", KeyboardInterrupt(), "quit"], True),
        ([EOFError()], False),
    ],
    ids=["twice", "once", "end"],
)
def test_ctrl_c_at_the_prompt_ends_the_chat_only_twice(keys: list[str | BaseException], reads_on: bool) -> None:
    text = talk(FakeClient(), "first?", "second?", *keys)
    assert "--thread thread_1` continues this thread" in text
    assert ("/collection" in text) is reads_on


def test_an_app_that_is_gone_ends_no_chat() -> None:
    class Gone(FakeClient):
        def ask(self, question: str, *, thread_id: str | None, **_: object) -> Accepted:
            self.threads.append(thread_id)
            raise NoAnswer("The app did not answer.", "Look at the network.")

    client = Gone()
    text = talk(client, "first?", "second?", "quit")
    assert len(client.threads) == 2
    assert text.count("Error: The app did not answer.") == 2


@pytest.mark.parametrize("text", ["/nonsense", "/ help", "/helpful", "//"])
def test_an_unknown_command_is_no_question(text: str) -> None:
    client = FakeClient()
    assert "There is no command" in talk(client, text, "quit")
    assert client.threads == []


def test_an_empty_line_is_no_question() -> None:
    client = FakeClient()
    talk(client, "", "QUIT")
    assert client.threads == []
