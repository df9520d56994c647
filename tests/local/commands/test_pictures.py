"""Charts: which terminals show them, and what is written where."""

from __future__ import annotations

import io
import re
from base64 import b64decode
from pathlib import Path
from typing import Any, cast

import pytest
from PIL import Image
from rich.console import Console

from local.client import Client
from local.commands.pictures import PNG, Charts, Protocol, protocol, sequences
from local.errors import LocalError
from local.terminal import Terminal

RUN = {"id": "run_1", "charts": [{"n": 1, "media_type": "image/png", "path": "run_1/charts/1.png", "filename": "../x"}]}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, "kitty"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "ghostty"}, "kitty"),
        ({"TERM_PROGRAM": "iTerm.app"}, "iterm2"),
        ({"TERM": "xterm-256color", "LC_TERMINAL": "iTerm2"}, "iterm2"),
        ({"TERM": "xterm-256color"}, None),
        ({"TERM_PROGRAM": "Apple_Terminal"}, None),
        ({"TERM": "dumb", "TERM_PROGRAM": "iTerm.app"}, None),
        ({"TERM": "tmux-256color", "KITTY_WINDOW_ID": "1"}, None),
        ({"TERM": "xterm-kitty", "TMUX": "/tmp/tmux"}, None),
        ({"TERM": "screen", "LC_TERMINAL": "iTerm2"}, None),
        ({}, None),
    ],
)
def test_a_terminal_says_that_it_shows_pictures(environ: dict[str, str], expected: str | None) -> None:
    assert protocol(environ, is_terminal=True) == expected
    assert protocol(environ, is_terminal=False) is None


@pytest.mark.parametrize("size", [1, 3072, 3073, 100_000])
def test_kitty_gets_the_whole_picture_in_pieces(size: int) -> None:
    picture = PNG + b"\x1b" * size
    pieces = list(sequences(picture, "kitty"))
    parsed = [re.fullmatch(r"\x1b_G([a-zA-Z0-9=,]+);([A-Za-z0-9+/=]{1,4096})\x1b\\", piece) for piece in pieces]
    assert all(parsed)
    found = [match.groups() for match in parsed if match]
    assert b64decode("".join(text for _, text in found)) == picture
    assert [keys.endswith("m=1") for keys, _ in found] == [True] * (len(found) - 1) + [False]
    assert [keys.startswith("a=T,f=100,q=2") for keys, _ in found] == [True] + [False] * (len(found) - 1)


def test_iterm2_gets_the_picture_in_one_sequence() -> None:
    (piece,) = sequences(PNG, "iterm2")
    match = re.fullmatch(r"\x1b\]1337;File=inline=1;size=8;[^:\x07]*:([A-Za-z0-9+/=]+)\x07", piece)
    assert match
    assert b64decode(match[1]) == PNG


class FakeClient:
    def __init__(self, content: bytes | LocalError) -> None:
        self._content = content

    def chart(self, run_id: str, number: int) -> bytes:
        if isinstance(self._content, LocalError):
            raise self._content
        return self._content


def kept(folder: Path, content: bytes | LocalError, how: Protocol | None = "kitty") -> tuple[dict[int, Path], str]:
    """The saved files, and what is printed."""
    terminal = Terminal(Console(file=io.StringIO(), width=200, color_system=None))
    charts = Charts(folder, how)
    saved = charts.save(terminal, cast(Client, FakeClient(content)), cast(Any, RUN))
    charts.show(terminal, saved)
    return saved, cast(io.StringIO, terminal.console.file).getvalue()


def test_a_chart_is_saved_under_a_name_of_ours_and_shown(tmp_path: Path) -> None:
    saved, printed = kept(tmp_path, PNG + b"x")
    assert saved == {1: tmp_path / "run_1" / "chart-1.png"}
    assert saved[1].read_bytes() == PNG + b"x"
    assert printed.startswith("\x1b_G")


@pytest.mark.parametrize("how", [None, "kitty"])
def test_what_is_no_png_is_not_shown(tmp_path: Path, how: Protocol | None) -> None:
    content = b"<svg>\x1b[2J" if how else PNG
    saved, printed = kept(tmp_path, content, how)
    assert (list(saved), printed) == ([1], "")


def test_a_chart_that_cannot_be_had_is_said(tmp_path: Path) -> None:
    saved, printed = kept(tmp_path, LocalError("It is gone."))
    assert (saved, "Chart 1 could not be saved: It is gone." in printed) == ({}, True)
    (tmp_path / "file").write_text("")
    saved, printed = kept(tmp_path / "file", PNG)
    assert (saved, "Chart 1 could not be saved" in printed) == ({}, True)


@pytest.mark.parametrize(("shows", "expected"), [(True, "\x1bPq"), (False, "")])
def test_a_terminal_is_asked_when_there_is_a_chart(tmp_path: Path, shows: bool, expected: str) -> None:
    asked: list[bool] = []

    def shows_sixels() -> bool:
        asked.append(True)
        return shows

    buffer = io.BytesIO()
    Image.new("L", (9, 9)).save(buffer, "PNG")
    terminal = Terminal(Console(file=io.StringIO(), width=200, color_system=None))
    charts = Charts(tmp_path, shows_sixels=shows_sixels)
    charts.show(terminal, {})
    assert asked == []
    charts.show(terminal, charts.save(terminal, cast(Client, FakeClient(buffer.getvalue())), cast(Any, RUN)))
    assert asked == [True]
    assert cast(io.StringIO, terminal.console.file).getvalue()[:3] == expected
