"""The output on a terminal and in a plain log."""

import io
from typing import Any

import pytest
from rich.console import Console

from local.terminal import Terminal, Watch, marked, shortened, tokens_line

USAGE = {
    "input_tokens": 1234,
    "cached_tokens": 0,
    "output_tokens": 56,
    "reasoning_tokens": 0,
    "total_tokens": 1290,
    "file_search_calls": 0,
    "code_interpreter_calls": 0,
}
RUN: dict[str, Any] = {
    "id": "run_1",
    "status": "completed",
    "answer": "Alert above 2 s. Page above 5 s.",
    "citations": [
        {
            "n": 1,
            "document": "guide.pdf",
            "file_id": "file-1",
            "filename": "guide.pdf",
            "quote": "warn [red] at 2 s",
            "page": 3,
        },
        {"n": 2, "document": "notes.md", "file_id": "file-2", "filename": "notes.md", "quote": "x" * 500},
    ],
    "charts": [{"n": 1, "path": "run_1/charts/1.png", "filename": "a.png", "url": "http://x"}],
    "outputs": [{"path": "run_1/files/a.csv", "filename": "a.csv"}],
    "notes": ["one chart is missing"],
    "usage": USAGE,
    "cost": {"usd": 0.00058, "parts": {}, "prices": "list prices"},
}


def written(run: dict[str, Any], width: int = 100) -> str:
    """The output for an answer without a terminal."""
    file = io.StringIO()
    Terminal(Console(file=file, width=width, color_system=None, markup=False, highlight=False)).answer(run, 1.5)
    return file.getvalue()


def test_an_answer_is_shown_with_sources_files_and_cost() -> None:
    text = written(RUN)
    for part in (
        "Alert above 2 s.",
        "[1] guide.pdf, page 3",
        "“warn [red] at 2 s”",
        "answers/run_1/charts/1.png",
        "answers/run_1/files/a.csv",
        "one chart is missing",
        "1,234 in · 56 out",
        "$0.0006  (list prices)",
        "1.50 s",
    ):
        assert part in text


@pytest.mark.parametrize("width", [80, 120])
def test_an_answer_fits_and_has_no_control_characters(width: int) -> None:
    text = written(RUN, width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert all(character.isprintable() or character == "\n" for character in text)


def test_a_failed_run_is_shown_with_its_error() -> None:
    run = {**RUN, "status": "failed", "answer": None, "citations": [], "charts": [], "cost": None}
    text = written({**run, "error": {"code": "rate_limited", "message": "The service is busy.", "retryable": True}})
    assert "The run ended as failed: The service is busy." in text


def test_citation_numbers_are_inserted_at_their_positions() -> None:
    citations = [{"n": 1, "position": 16}, {"n": 2, "position": 32}, {"n": 3, "position": 32}, {"n": 4}]
    assert marked(RUN["answer"], citations) == "Alert above 2 s. [1] Page above 5 s. [2] [3]"


def test_each_step_is_written_once_with_what_it_does() -> None:
    file = io.StringIO()
    watch = Watch(Console(file=file, width=80, color_system=None))
    search = {"type": "file_search", "status": "completed", "queries": ["alert thresholds", "HTTP"]}
    code = {"type": "code_interpreter", "status": "in_progress", "code": "1 / 0"}
    called = {"type": "function", "status": "in_progress", "name": "get_weather"}
    watch.update({"steps": [{"type": "file_search", "status": "in_progress"}]})
    assert file.getvalue() == ""
    watch.update({"steps": [search, code]})
    watch.update({"steps": None})
    watch.update({"steps": [search, {**code, "status": "failed"}, called]})
    watch.update({"steps": [search, {**code, "status": "failed"}, called], "finished_at": "2026-01-01T00:00:00Z"})
    assert file.getvalue().splitlines() == [
        "  · searching the documents: “alert thresholds”, “HTTP”",
        "  · running Python (failed)",
        "  · calling a function: get_weather",
    ]


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ({"page": 3}, "[1] a.pdf, page 3"),
        ({"slide": 4}, "[1] a.pdf, slide 4"),
        ({"section": "2 Tea"}, "[1] a.pdf, section “2 Tea”"),
        ({"verified": False}, "(this quote was not found in the document)"),
    ],
    ids=["page", "slide", "section", "not found"],
)
def test_a_source_says_where_its_quote_stands(where: dict[str, Any], said: str) -> None:
    assert said in written({**RUN, "citations": [{"n": 1, "document": "a.pdf", "quote": "x", **where}]})


def test_a_very_long_answer_is_cut() -> None:
    """Its layout would take minutes."""
    text = written({**RUN, "answer": "**x** " * 900_000, "citations": []})
    assert len(text) < 200_000
    assert "5,300,000 more characters" in text


@pytest.mark.parametrize(
    ("usage", "line"),
    [
        ({}, "1,234 in · 56 out"),
        ({"cached_tokens": 1000}, "1,234 in · 1,000 of them cached · 56 out"),
        ({"file_search_calls": 1, "code_interpreter_calls": 1}, "1,234 in · 56 out · 1 file search · 1 code run"),
        ({"file_search_calls": 2, "code_interpreter_calls": 3}, "1,234 in · 56 out · 2 file searches · 3 code runs"),
    ],
)
def test_tokens_in_a_line(usage: dict[str, int], line: str) -> None:
    assert tokens_line({**USAGE, **usage}) == line


@pytest.mark.parametrize(("text", "short"), [("a  b\nc", "a b c"), ("abcdef", "abcd…"), ("abc  def", "abc…")])
def test_shortened(text: str, short: str) -> None:
    assert shortened(text, 5) == short


HOSTILE = "\x1b[2J\x1b]0;owned\x07\u202etxt.exe\u200b"


def test_no_answer_controls_the_terminal() -> None:
    """Neither its text nor a name in it; nor does Markdown make such a character of an entity."""
    citation = {"n": 1, "document": f"a{HOSTILE}\n  [2] forged.pdf", "quote": HOSTILE, "section": HOSTILE}
    run = {
        **RUN,
        "answer": f"{HOSTILE} &#8238; &#x200b; ![x{HOSTILE}](http://a/b)",
        "citations": [citation],
        "notes": [HOSTILE],
    }
    run |= {
        "charts": [{"path": HOSTILE}],
        "outputs": [{"path": HOSTILE}],
        "status": "failed",
        "error": {"message": HOSTILE},
    }
    text = written(run)
    assert all(character.isprintable() or character == "\n" for character in text), repr(text)
    assert not any(line.startswith("  [2]") for line in text.splitlines())


def test_no_name_or_log_line_controls_the_terminal() -> None:
    file = io.StringIO()
    terminal = Terminal(Console(file=file, width=200, color_system=None, markup=False, highlight=False))
    document = {"path": HOSTILE, "status": "failed", "reason": {"message": HOSTILE}}
    watch = Watch(terminal.console)
    watch.update({"steps": [{"type": HOSTILE, "status": "completed", "queries": [HOSTILE], "name": HOSTILE}]})
    for show in (terminal.say, terminal.heading, terminal.next_step, terminal.error):
        show(HOSTILE)
    terminal.error("x", HOSTILE)
    terminal.pair(HOSTILE, HOSTILE)
    terminal.log("host", HOSTILE)
    terminal.document(document)
    terminal.message("user", HOSTILE)
    terminal.message("assistant", HOSTILE)
    terminal.code(HOSTILE, HOSTILE)
    text = file.getvalue()
    assert all(character.isprintable() or character == "\n" for character in text), repr(text)


def test_a_link_shows_where_it_leads() -> None:
    assert "https://evil.example/login" in written({**RUN, "answer": "[your bank](https://evil.example/login)"})
