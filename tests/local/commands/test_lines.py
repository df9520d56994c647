"""Questions of one line and of several."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from local.commands import lines
from local.commands.lines import Lines, question


def typed(*texts: str) -> Callable[[str], str]:
    left = iter(texts)

    def read(_: str) -> str:
        try:
            return next(left)
        except StopIteration:
            raise EOFError from None

    return read


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["  What?  "], "What?"),
        ([""], ""),
        (["one \\", "two\\", "three"], "one\ntwo\nthree"),
        (['"""one', "", '  two"""  '], "one\n\n  two"),
        (['"""one"""'], "one"),
        (['"""', "one", '"""'], "one"),
        (['"""', "a \\", '"""'], "a \\"),
        (['say """ aloud'], 'say """ aloud'),
        (["one \\"], "one"),
        (['"""one', "two"], "one\ntwo"),
        (['"""'], ""),
        (["pasted\nlines"], "pasted\nlines"),
    ],
)
def test_a_question_of_lines(texts: list[str], expected: str) -> None:
    assert question(typed(*texts)) == expected


def test_the_end_of_the_input() -> None:
    with pytest.raises(EOFError):
        question(typed())


def test_half_a_character_becomes_a_sign_that_json_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("Grüße?\n".encode("latin-1")), encoding="utf-8"))
    text = Lines(None, is_quiet=True).read()
    assert text.startswith("Gr")
    assert text.encode()


def test_a_history_that_cannot_be_kept_stops_no_chat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: "What?")
    assert Lines(tmp_path / "file" / "history").read() == "What?"


def test_without_readline_lines_are_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As on Windows."""
    monkeypatch.setattr(lines, "_readline", None)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    prompts: list[str] = []
    monkeypatch.setattr("builtins.input", lambda prompt: prompts.append(prompt) or "What?")
    assert Lines(tmp_path / "history").read() == "What?"
    assert prompts == ["you › "]
