"""The page at `/`: what is served, how strictly, and how large it is."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import azure.functions as func
import pytest

from shared.http.console import FOLDER, HEADERS, files, get_page

FIRST_LOAD_MAX_BYTES = 150_000
VENDORED = json.loads((FOLDER / "vendored.json").read_text())
OWN = {name: file.content.decode() for name, file in files().items() if not name.startswith("vendor-")}


def ask(file: str = "", **headers: str) -> func.HttpResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    url, params = f"https://app.example/{file}", {"file": file} if file else {}
    request = func.HttpRequest(method="GET", url=url, headers=named, route_params=params, body=b"")
    return get_page(request, storage="https://blobs.example")


@pytest.mark.parametrize("name", ["", *files()])
def test_every_file_is_served_with_the_policy(name: str) -> None:
    response = ask(name)
    assert response.status_code == 200
    assert response.get_body() == (FOLDER / (name or "index.html")).read_bytes()
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert ask(name, if_none_match=response.headers["ETag"]).status_code == 304
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert "unsafe" not in policy
    assert re.findall("http[^ ;]*", policy) == ["https://blobs.example"]
    assert "connect-src 'self' https://blobs.example" in policy
    assert "data:" not in policy


@pytest.mark.parametrize("name", ["vendored.json", "licences", "..", "../host.json", "x.js", "INDEX.HTML", "a\x00b"])
def test_nothing_else_is_served(name: str) -> None:
    assert ask(name).status_code == 404


def test_the_first_load_is_small() -> None:
    assert sum(len(file.content) for file in files().values()) < FIRST_LOAD_MAX_BYTES


def test_vendored_files_are_those_of_the_registry() -> None:
    assert {each["file"] for each in VENDORED} == files().keys() - OWN.keys()
    for each in VENDORED:
        digest = base64.b64encode(hashlib.sha384((FOLDER / each["file"]).read_bytes()).digest()).decode()
        assert each["integrity"] == f"sha384-{digest}", each["file"]
        assert (FOLDER / each["licence"]).read_text().strip()


def test_no_own_file_makes_html_of_text_or_runs_text() -> None:
    acting = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc|setHTML")
    assert [name for name, text in OWN.items() if acting.search(text)] == []


def test_the_page_has_no_inline_script_or_style_and_nothing_from_elsewhere() -> None:
    page = OWN["index.html"]
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=", page)
    loaded = re.findall(r"(?:src|href)=\"([^\"#]+)\"", page)
    assert set(loaded) <= files().keys()
    imported = {each for text in OWN.values() for each in re.findall(r"from \"\./([^\"]+)\"", text)}
    assert imported <= files().keys()
    for name, text in OWN.items():
        assert set(re.findall(r"https?://[\w.]+", text)) <= {"http://www.w3.org"}, name


def test_the_page_is_not_kept_by_caches_without_asking() -> None:
    assert HEADERS["Cache-Control"] == "no-cache"
