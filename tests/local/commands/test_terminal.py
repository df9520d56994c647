"""The commands in a pseudo-terminal, on the processes of the local stack."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from local.client import Client
from local.paths import ROOT, SAMPLES
from local.stack.stack import Stack
from tests.local.commands.stub import KEY, THREAD_ID, deployed
from tests.local.commands.terminal import WITHIN_S, command

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals of this kind"),
]
PROMPT = "you › "
THREAD = re.compile(r"chat --thread (thread_\w+)")
HOSTILE = "\x1b]0;owned\x07\x1b[2J\u202e"


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory, plain_environ: dict[str, str]) -> dict[str, str]:
    state = {"LOCAL_STATE": str(tmp_path_factory.mktemp("state")), "TERM": "xterm-256color", "COLUMNS": "110"}
    unset = ("TMUX", "STY", "KITTY_WINDOW_ID", "TERM_PROGRAM", "LC_TERMINAL", "VIRTUAL_ENV", "NO_COLOR")
    return {name: value for name, value in plain_environ.items() if name not in unset} | state


@pytest.fixture(scope="module")
def collection(stack: Stack) -> str:
    """A collection with a guide, a table, and a document that attacks terminals."""
    name = f"pty-{uuid.uuid4().hex[:8]}"
    hostile = f"# Locks\n\nThe code of the purple lock is 9933. {HOSTILE} It is changed in May.\n"
    with Client(stack.app_url, storage=stack.azurite.connection_string) as client:
        etags = {
            f"{name}/{file}": client.drop(SAMPLES / file, f"{name}/{file}")
            for file in ("monitoring-guide.pdf", "monthly-metrics.csv")
        }
        etags[f"{name}/locks.md"] = client.drop_bytes(hostile.encode(), f"{name}/locks.md")
        final = client.wait_indexed(etags, on_final=lambda _: None, within_s=WITHIN_S)
    assert {document["status"] for document in final.values()} == {"indexed"}
    return name


def options(stack: Stack, collection: str) -> list[str]:
    return ["--url", stack.app_url, "--collection", collection]


def plain(text: str) -> str:
    """The text without colours and movements of the cursor."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def test_a_chat(stack: Stack, environ: dict[str, str], collection: str, tmp_path: Path) -> None:
    """Ask over several lines, look at steps, sources and cost, see the chart, look at the files, take up the thread."""
    kitty = {**environ, "KITTY_WINDOW_ID": "1"}
    with command("chat", *options(stack, collection), "--save", str(tmp_path), environ=kitty) as chat:
        chat.until(PROMPT)
        chat.type("/help\n")
        assert "/collection" in plain(chat.until(PROMPT))
        chat.type('"""What are the recommended alert\n')
        chat.until("… ")
        chat.type('thresholds for HTTP monitoring?"""\n')
        answer = plain(chat.until(PROMPT))
        assert "· searching the documents" in answer
        assert f"[1] {collection}/monitoring-guide.pdf, page 4" in answer
        assert "tokens" in answer
        chat.type("Plot the requests per month as a chart.\n")
        charted = chat.until(PROMPT)
        assert "\x1b_Ga=T,f=100" in charted
        assert "chart-1.png" in charted
        chat.type("/code\n")
        assert "import" in plain(chat.until(PROMPT))
        chat.type("/files locks\n")
        files = plain(chat.until(PROMPT))
        assert f"{collection}/locks.md" in files
        assert "1 document in" in files
        chat.type("/collection\n")
        assert re.search(rf"{collection} +3 documents  ← searched", plain(chat.until(PROMPT)))
        chat.type("/collection no-such-collection\n")
        assert "Error:" in plain(chat.until(PROMPT))
        chat.type("/nonsense\n")
        assert "There is no command /nonsense." in plain(chat.until(PROMPT))
        chat.type("/cost\n")
        assert "2 runs" in plain(chat.until(PROMPT))
        chat.type("\x04")
        assert chat.ended() == 0
        found = THREAD.search(plain(chat.shown))
    assert [path.name for path in tmp_path.rglob("*.png")] == ["chart-1.png"]
    assert next(tmp_path.rglob("*.png")).read_bytes().startswith(b"\x89PNG")
    assert found
    with command("chat", "--url", stack.app_url, "--thread", found[1], environ=environ) as chat:
        again = plain(chat.until("goes on, in the collection"))
        assert "Plot the requests per month" in again
        chat.type("\x1b[A")  # the arrow up: the history of the first chat
        chat.until("/cost")
        chat.type("\n")
        assert "2 runs" in plain(chat.until(PROMPT))
        chat.type("/quit\n")
        assert chat.ended() == 0
    history = Path(environ["LOCAL_STATE"], "chat_history")
    assert history.stat().st_mode & 0o077 == 0


def test_ctrl_c_cancels_the_run_and_the_chat_goes_on(environ: dict[str, str]) -> None:
    """On an app whose run does not end by itself."""
    with deployed() as app, command("chat", "--url", app.url, "--key", KEY, environ=environ) as chat:
        app.runs_end = False
        chat.until(PROMPT)
        chat.type("What?\n")
        assert app.looked.wait(WITHIN_S)
        chat.interrupt()
        chat.until("The question was cancelled.")
        chat.until(PROMPT)
        chat.type("And now?\n")
        assert "It is 42." in plain(chat.until(PROMPT))
        chat.type("half a question")
        chat.until("half a question")
        chat.interrupt()
        chat.until("Ctrl-C again")
        chat.until(PROMPT)
        chat.interrupt()
        assert chat.ended() == 0
    assert [body.get("thread_id") for body in app.asked] == [None, THREAD_ID]
    assert any(line.startswith("POST") and line.endswith("/cancel") for line in app.seen)


def test_sigterm_cancels_the_run_and_ends_the_chat(environ: dict[str, str]) -> None:
    with deployed() as app, command("chat", "--url", app.url, "--key", KEY, environ=environ) as chat:
        app.runs_end = False
        chat.until(PROMPT)
        chat.type("What?\n")
        assert app.looked.wait(WITHIN_S)
        chat.process.send_signal(signal.SIGTERM)
        assert chat.ended() == 128 + signal.SIGTERM
    assert app.cancelled


def test_ctrl_c_in_a_script_gives_json(environ: dict[str, str]) -> None:
    with deployed() as app:
        app.runs_end = False
        line = [sys.executable, "-m", "local", "ask", "What?", "--json", "--url", app.url, "--key", KEY]
        with subprocess.Popen(line, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True) as ask:
            assert app.looked.wait(WITHIN_S)
            ask.send_signal(signal.SIGINT)
            printed, _ = ask.communicate(timeout=WITHIN_S)
    assert ask.returncode == 130
    assert json.loads(printed)["error"]["code"] == "interrupted"
    assert app.cancelled


def test_sigterm_ends_a_chat(stack: Stack, environ: dict[str, str], collection: str) -> None:
    with command("chat", *options(stack, collection), environ=environ) as chat:
        chat.until(PROMPT)
        # Python handles a signal that comes between the prompt and the wait for a key with the next one.
        for _ in range(WITHIN_S // 5):
            chat.process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                chat.process.wait(5)
                break
        assert chat.ended() == 128 + signal.SIGTERM


def test_a_document_does_not_control_the_terminal(stack: Stack, environ: dict[str, str], collection: str) -> None:
    question = "What is the code of the purple lock?"
    with command("ask", question, *options(stack, collection), environ=environ) as ask:
        assert ask.ended() == 0
    assert "9933" in ask.shown
    assert not re.search(r"\x1b\]|\x07|\x1b\[2J|\u202e", ask.shown)


def run(environ: dict[str, str], *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "local", *arguments]
    return subprocess.run(
        line, cwd=ROOT, env=environ, input=typed, capture_output=True, text=True, timeout=WITHIN_S, check=False
    )


def printed(environ: dict[str, str], *arguments: str, code: int = 0) -> Any:
    """What a command prints as JSON, which is all that is on stdout."""
    done = run(environ, *arguments, "--json")
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_every_command_prints_json(stack: Stack, environ: dict[str, str], collection: str, tmp_path: Path) -> None:
    url = ["--url", stack.app_url]
    (tmp_path / "tea.md").write_text("# Tea\n\nThe green tea is brewed at 78 degrees.\n")
    added = printed(environ, "index", str(tmp_path / "tea.md"), "--collection", f"{collection}-tea", *url)
    assert [document["status"] for document in added] == ["indexed"]
    asked = printed(environ, "ask", "How hot is green tea brewed?", "--collection", f"{collection}-tea", *url)
    assert "78" in asked["answer"]
    listed = printed(environ, "documents", "--collection", collection, *url)
    assert {each["path"].removeprefix(f"{collection}/") for each in listed["documents"]} == {
        "locks.md",
        "monitoring-guide.pdf",
        "monthly-metrics.csv",
    }
    assert printed(environ, "documents", "--collection", collection, "--status", "failed", *url)["documents"] == []
    newest = printed(environ, "runs", "--limit", "1", *url)["runs"]
    assert len(newest) == 1
    assert printed(environ, "runs", asked["id"], *url)["answer"] == asked["answer"]
    (today,) = printed(environ, "usage", "--days", "1", *url)["days"].values()
    assert today["total_tokens"] >= asked["usage"]["total_tokens"]
    lines = run(environ, "chat", *url, "--thread", asked["thread_id"], "--json", typed="How hot?\n/nonsense\n").stdout
    (only,) = map(json.loads, lines.splitlines())
    assert only["thread_id"] == asked["thread_id"]
    missing = printed(environ, "runs", "run_000000000000000000000000", *url, code=1)
    assert missing["error"]["code"] == "run_not_found"


def test_the_listings_for_people(stack: Stack, environ: dict[str, str], collection: str) -> None:
    url = ["--url", stack.app_url]
    shown = run(environ, "documents", *url, "--collection", collection)
    assert "  3 documents." in shown.stdout
    done = run(environ, "ask", "What is the code of the purple lock?", *options(stack, collection))
    assert done.returncode == 0, done.stdout
    listed = run(environ, "runs", *url, "--limit", "3").stdout
    run_id = listed.split()[0]
    assert "3 runs." in listed
    assert "tokens" in run(environ, "runs", run_id, *url).stdout
    assert "runs ·" in run(environ, "usage", *url).stdout
