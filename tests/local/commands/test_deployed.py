"""A deployed app: its key, its address, its faults."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import client as client_module
from local.__main__ import main
from local.client import FAR_WAIT_S, Accepted, Client
from local.commands.target import checked_key, checked_url, client_of
from local.errors import LocalError, RequestFailed
from tests.local.commands.stub import KEY, RUN_ID, TOKEN, App, deployed


@pytest.fixture
def app() -> Iterator[App]:
    with deployed() as app:
        yield app


def client_for(app: App, key: str = KEY) -> Client:
    return client_of(argparse.Namespace(url=app.url, key=key, login=""))


def test_a_question_with_a_key(app: App) -> None:
    with client_for(app) as client:
        run = client.wait(client.ask("What?"), on_look=lambda _: None)
    assert run["answer"] == "It is 42."
    assert set(app.keys) == {KEY}


AZ = """#!/bin/sh
echo "$@" >> "$AZ_LOG"
case "$*" in
  *"--resource api://app"*) echo '{{"accessToken": "{token}", "expires_on": 4102444800, "tokenType": "Bearer"}}' ;;
  *) echo "ERROR: Please run 'az login' to setup account." >&2; exit 1 ;;
esac
"""


@pytest.fixture
def az(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An Azure CLI that has a token for `api://app`; returns the file of its arguments."""
    program, log = tmp_path / "bin" / "az", tmp_path / "az.log"
    program.parent.mkdir()
    program.write_text(AZ.format(token=TOKEN))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("AZ_LOG", str(log))
    return log


@pytest.mark.skipif(sys.platform == "win32", reason="the Azure CLI here is a shell script")
def test_a_question_with_the_sign_in_of_az(app: App, az: Path) -> None:
    """One token is used for all requests while it is valid, and goes to the app alone."""
    app.signs_in = True
    with deployed() as other, client_of(argparse.Namespace(url=app.url, key="", login="api://app")) as client:
        run = client.wait(client.ask("What?"), on_look=lambda _: None)
        elsewhere = Accepted(id="x", thread_id="y", location=f"{other.url}/api/runs/x", asked_at_s=0, post_s=0)
        with pytest.raises(RequestFailed):
            client.look(elsewhere)
    assert run["answer"] == "It is 42."
    assert len(az.read_text().splitlines()) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="the Azure CLI here is a shell script")
def test_az_without_a_sign_in_is_said(app: App, az: Path) -> None:
    client = client_of(argparse.Namespace(url=app.url, key="", login="api://other"))
    with client, pytest.raises(LocalError, match="gave no token for api://other") as caught:
        client.documents()
    assert "az login" in caught.value.advice


def test_an_app_that_wants_a_sign_in_is_recognised(app: App) -> None:
    app.signs_in = True
    with client_for(app) as client, pytest.raises(RequestFailed, match="wants a sign-in") as caught:
        client.documents()
    assert "--login" in caught.value.advice


def test_a_sign_in_needs_an_address() -> None:
    with pytest.raises(LocalError, match="--login is for an app in Azure"):
        client_of(argparse.Namespace(url=None, key="", login="api://app"))


@pytest.mark.parametrize("key", ["", "wrong"])
def test_a_missing_or_wrong_key_is_said(app: App, key: str) -> None:
    with client_for(app, key) as client, pytest.raises(RequestFailed, match="needs a key, or does not take") as caught:
        client.documents()
    assert "APP_KEY" in caught.value.advice


def test_the_key_goes_to_no_other_server(app: App) -> None:
    with deployed() as other, client_for(app) as client:
        elsewhere = Accepted(id="x", thread_id="y", location=f"{other.url}/api/runs/x", asked_at_s=0, post_s=0)
        with pytest.raises(RequestFailed):
            client.look(elsewhere)
    assert other.keys == [None]


def test_a_look_waits_for_a_change_only_at_a_far_app(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    for loopback, expected in ((client_module.LOOPBACK, ""), (set(), f"?wait={FAR_WAIT_S}")):
        monkeypatch.setattr(client_module, "LOOPBACK", loopback)
        with client_for(app) as client:
            client.wait(client.ask("What?"), on_look=lambda _: None)
        assert app.seen[-1] == f"GET /api/runs/{RUN_ID}{expected}"


@pytest.mark.parametrize("failures", [[503, 429, 502, 504], [503]], ids=str)
def test_an_app_that_is_busy_for_a_moment_loses_no_run(
    app: App, monkeypatch: pytest.MonkeyPatch, failures: list[int]
) -> None:
    monkeypatch.setattr(client_module, "FAR_POLL_EVERY_S", 0)
    app.failures = list(failures)
    with client_for(app) as client:
        assert client.wait(client.ask("What?"), on_look=lambda _: None)["status"] == "completed"


@pytest.mark.parametrize(("failures", "looks"), [([503] * 9, 5), ([500], 1)], ids=["busy", "broken"])
def test_an_app_that_stays_away_is_given_up(
    app: App, monkeypatch: pytest.MonkeyPatch, failures: list[int], looks: int
) -> None:
    monkeypatch.setattr(client_module, "FAR_POLL_EVERY_S", 0)
    app.failures = list(failures)
    with client_for(app) as client, pytest.raises(RequestFailed):
        client.wait(client.ask("What?"), on_look=lambda _: None)
    assert len(app.seen) == 1 + looks


@pytest.mark.parametrize("page", ["<html>Sign in</html>", "[]", "null", '"x"'])
def test_another_web_site_is_recognised(app: App, page: str) -> None:
    app.page = page
    with client_for(app) as client:
        for call in (client.documents, lambda: client.ask("What?"), lambda: client.get("/api/collections")):
            with pytest.raises(LocalError, match="did not answer as this app does"):
                call()


@pytest.mark.parametrize(
    "url", ["app.example", "ftp://app.example", "https://", "http://[", "https://a b", "https://a:99999", "https://a\n"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(LocalError, match="no address of an app"):
        checked_url(url)


def test_an_address_and_a_key_are_taken_as_they_are_copied() -> None:
    assert checked_url("https://app.example/") == "https://app.example"
    assert checked_url("https://gateway.example/app/?x#documents") == "https://gateway.example/app"
    assert checked_key(" abc==\n") == "abc=="
    for bad in ("a\nb", "schlüssel", "a\x1bb"):
        with pytest.raises(LocalError, match="no function key"):
            checked_key(bad)


COMMANDS = [
    ["ask", "What?"],
    ["documents"],
    ["runs"],
    ["runs", RUN_ID],
    ["usage"],
    ["index", "tests/local/commands/stub.py"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_problem_is_json_too(
    command: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, app: App
) -> None:
    """Stdout has JSON alone, whatever goes wrong; the sentence for people is on stderr."""
    monkeypatch.setattr("local.__main__.handle_end", lambda _: None)  # this process keeps its signals and rights
    monkeypatch.setattr("os.umask", lambda _: None)
    code = main([*command, "--json", "--url", app.url, "--key", "wrong"])
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert code == 1
    if command[0] == "index":
        assert found[0]["status"] == "failed"
    else:
        assert found["error"]["status"] == 401
        assert "Error:" in printed.err
