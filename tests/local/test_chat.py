"""Ctrl-C in `chat`: it cancels the question that runs, not the chat."""

import io
from collections.abc import Callable
from typing import Any, cast

import pytest
from rich.console import Console

from local import chat
from local.client import Accepted, Client, Json
from local.errors import LocalError
from local.terminal import Terminal

ACCEPTED = Accepted(id="run_1", thread_id="thread_1", location="http://x/api/runs/run_1", asked_at_s=0, post_s=0)
RUN: Json = {"id": "run_2", "thread_id": "thread_1", "status": "completed", "answer": "Yes.", "citations": []}
USAGE = ("input_tokens", "cached_tokens", "output_tokens", "file_search_calls", "code_interpreter_calls")


class FakeClient:
    """Answers the second question; Ctrl-C comes while it waits for the first, or while it posts it."""

    def __init__(self, *, while_posting: bool = False, cancel_fails: bool = False) -> None:
        self.threads: list[str | None] = []
        self.cancelled: list[str] = []
        self._while_posting = while_posting
        self._cancel_fails = cancel_fails

    def ask(self, question: str, *, thread_id: str | None, **_: object) -> Accepted:
        self.threads.append(thread_id)
        if self._while_posting and len(self.threads) == 1:
            raise KeyboardInterrupt
        return ACCEPTED

    def wait(self, accepted: Accepted, *, on_look: Callable[[Json], None]) -> Json:
        if len(self.threads) == 1:
            raise KeyboardInterrupt
        return {**RUN, "charts": [], "usage": dict.fromkeys(USAGE, 0)}

    def cancel(self, run_id: str) -> None:
        self.cancelled.append(run_id)
        if self._cancel_fails:
            raise LocalError("The app did not answer.", "Look at its log.")


def talk(client: FakeClient, lines: list[Any], monkeypatch: pytest.MonkeyPatch) -> str:
    """What a chat prints, with these lines typed."""
    typed = iter(lines)

    def read(*_: object, **__: object) -> str:
        line = next(typed)
        if isinstance(line, BaseException):
            raise line
        return str(line)

    console = Console(file=io.StringIO(), width=200, color_system=None)
    monkeypatch.setattr(console, "input", read)
    assert chat.chat(Terminal(console), cast(Client, client), collection=None, thread_id=None) == 0
    return cast(io.StringIO, console.file).getvalue()


def test_ctrl_c_cancels_the_run_and_the_chat_goes_on_in_its_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    client = FakeClient()
    text = talk(client, ["first?", "second?", "quit"], monkeypatch)
    assert client.cancelled == ["run_1"]
    assert client.threads == [None, "thread_1"]
    assert "The question was cancelled." in text
    assert "--thread thread_1" in text


def test_ctrl_c_before_there_is_a_run_only_ends_the_question(monkeypatch: pytest.MonkeyPatch) -> None:
    client = FakeClient(while_posting=True)
    talk(client, ["first?", "second?", "quit"], monkeypatch)
    assert client.cancelled == []
    assert client.threads == [None, None]


def test_a_run_that_cannot_be_cancelled_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    text = talk(FakeClient(cancel_fails=True), ["first?", "quit"], monkeypatch)
    assert "The run run_1 could not be cancelled" in text


def test_ctrl_c_at_the_prompt_ends_the_chat_and_names_its_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    text = talk(FakeClient(), ["first?", "second?", KeyboardInterrupt()], monkeypatch)
    assert "--thread thread_1` continues this thread" in text
