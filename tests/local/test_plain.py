"""Foreign text in logs and on a terminal."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest

from local.paths import ROOT
from local.plain import PlainFormatter, one_line, printable

FORGED = "a.md\n[2026-11-26 10:00:00] INFO host forged"
HIDDEN = {"escape": "\x1b[2J", "bell": "\a", "C1": "\x9b31m", "bidi": "\u202e", "isolate": "\u2066", "zero": "\u200b"}
HIDDEN |= {"BOM": "\ufeff", "line": "\u2028", "NEL": "\x85", "surrogate": "\ud800", "tag": "\U000e0041", "return": "\r"}


@pytest.mark.parametrize("hidden", HIDDEN.values(), ids=HIDDEN.keys())
def test_hidden_characters_are_removed_or_escaped(hidden: str) -> None:
    assert printable(f"a{hidden}b") == f"a{hidden[1:]}b"
    escaped = one_line(f"a{hidden}b")
    assert escaped.isprintable()
    assert escaped.startswith("a\\")
    assert escaped.encode()


@pytest.mark.parametrize("text", ["Grüße, 東京\u3000駅, ‘x’ 12\u00a0% – 😀", "", "a b"])
def test_visible_text_stays_as_it_is(text: str) -> None:
    assert printable(text) == one_line(text) == text


def test_newlines_stay_on_a_terminal_and_become_escapes_in_one_line() -> None:
    assert printable("a\tb\r\nc") == "a\tb\nc"
    assert one_line("a\tb\nc") == "a\\tb\\nc"


def record(message: str, *arguments: object, error: BaseException | None = None) -> logging.LogRecord:
    exc_info = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord("host", logging.INFO, __file__, 1, message, arguments, exc_info)


def test_no_text_forges_a_line_of_the_log() -> None:
    formatter = PlainFormatter("[%(asctime)s] %(levelname)s %(name)s %(message)s")
    assert len(formatter.format(record("document.indexed path=%s", FORGED)).splitlines()) == 1
    try:
        raise ValueError(FORGED)
    except ValueError as exc:
        first, *below = formatter.format(record("failed %s", "\x1b[2J", error=exc)).splitlines()
    assert first.endswith("failed \\x1b[2J")
    assert below
    assert all(line.startswith("    ") for line in below)
    assert any("Traceback" in line for line in below)


@pytest.mark.parametrize(
    "start",
    [
        "from local.functions_host.logs import configure_logging; configure_logging(as_azure=False)",
        "from local.openai_emulator.__main__ import configure_logging; configure_logging('INFO')",
    ],
)
def test_host_and_emulator_log_this_way(start: str) -> None:
    log = f"logging.getLogger('local.functions_host.x').warning('name=%s', {FORGED!r}, extra={{'blob': {FORGED!r}}})"
    command = [sys.executable, "-c", f"{start}; import logging; {log}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert len(done.stderr.splitlines()) == 1, done.stderr
