"""Route templates: matches, and invalid templates."""

from __future__ import annotations

import pytest

from local.functions_host.http.routes import Route

GUID = "0c8b2bb6-6b9e-4c11-9d7d-05a1a9b4b7b0"


@pytest.mark.parametrize(
    ("template", "path", "expected"),
    [
        pytest.param("api/runs", "/api/runs", {}, id="literal"),
        pytest.param("api/runs", "/API/Runs/", {}, id="case and a trailing slash do not matter"),
        pytest.param("api/runs", "/api/runs/1", None, id="longer path"),
        pytest.param("api/runs/{id}", "/api/runs/a b", {"id": "a b"}, id="parameter"),
        pytest.param("api/runs/{id}", "/api/runs/a%2Fb", {"id": "a%2Fb"}, id="an encoded slash stays as it is"),
        pytest.param("api/runs/{id}", "/api/runs", None, id="required parameter missing"),
        pytest.param("api/runs/{id?}", "/api/runs", {}, id="optional parameter missing"),
        pytest.param("api/runs/{id?}", "/api/runs/7", {"id": "7"}, id="optional parameter there"),
        pytest.param("api/runs/{id=last}", "/api/runs", {"id": "last"}, id="default"),
        pytest.param("files/{*path}", "/files/a/b c", {"path": "a/b c"}, id="catch-all"),
        pytest.param("files/{*path}", "/files/a//b//", {"path": "a//b//"}, id="a catch-all keeps slashes"),
        pytest.param("files/{*path}", "/files/", {}, id="a slash before a catch-all of nothing"),
        pytest.param("files/{*path}", "/files//a", None, id="an empty segment before a catch-all"),
        pytest.param("files/{*path}", "//files/a", None, id="an empty segment before a literal"),
        pytest.param("files/{id}", "/files//", None, id="an empty segment is no parameter"),
        pytest.param("files/{name}.{type}", "/files/a.b.c", {"name": "a.b", "type": "c"}, id="the last dot divides"),
        pytest.param("files/{*path}", "/files", {}, id="catch-all of nothing"),
        pytest.param("files/{name}.{type}", "/files/a.txt", {"name": "a", "type": "txt"}, id="two in a segment"),
        pytest.param("n/{id:int}", "/n/12", {"id": "12"}, id="int"),
        pytest.param("n/{id:int}", "/n/x", None, id="not an int"),
        pytest.param("n/{id:int}", "/n/99999999999", None, id="too long for an int"),
        pytest.param("n/{id:int:range(1,5)}", "/n/6", None, id="out of range"),
        pytest.param("n/{id:int:range(1,5)}", "/n/5", {"id": "5"}, id="in range"),
        pytest.param("n/{id:length(3)}", "/n/abc", {"id": "abc"}, id="length"),
        pytest.param("n/{id:minlength(2)}", "/n/a", None, id="too short"),
        pytest.param("n/{id:maxlength(2)?}", "/n", {}, id="constraint on an absent optional"),
        pytest.param("n/{id:guid}", f"/n/{GUID}", {"id": GUID}, id="guid"),
        pytest.param("n/{id:alpha}", "/n/a1", None, id="not alpha"),
        pytest.param("n/{id:bool}", "/n/True", {"id": "True"}, id="bool"),
        pytest.param("n/{id:regex(^\\d{{2}}$)}", "/n/12", {"id": "12"}, id="regex with doubled braces"),
        pytest.param("n/{id:regex(^\\d{{2}}$)}", "/n/123", None, id="regex does not match"),
        pytest.param("", "/", {}, id="root"),
    ],
)  # fmt: skip
def test_a_template_matches(template: str, path: str, expected: dict[str, str] | None) -> None:
    assert Route.compile(template).match(path) == expected


@pytest.mark.parametrize(
    "template", ["n/{id:nothing}", "n/{id", "n/{id:range(a,b)}", "{*a}/b", "a{*b}", "{a}/{A}", "{a}.{b?}"]
)
def test_an_invalid_template_raises(template: str) -> None:
    with pytest.raises(ValueError, match="route"):
        Route.compile(template)
