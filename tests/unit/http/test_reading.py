"""Reading a question: accepted bodies, and errors that say what to change."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import AppError
from shared.http.questions import question_from
from shared.http.reading import body_from, collection_from
from shared.http.runs import run_id_from
from shared.http.shapes.runs import QuestionBody
from shared.runs.runs import Question
from shared.settings import Settings
from tests.unit.test_settings import LEAST

SETTINGS = Settings.from_environ(LEAST)
JSON = {"content-type": "application/json"}
THREAD = "thread_" + "0" * 24


def asked(body: Any, headers: dict[str, str] | None = None) -> Question:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = JSON if headers is None else headers
    return question_from(body_from(sent, given, QuestionBody, max_bytes=SETTINGS.body_max_bytes), SETTINGS)


def test_a_whole_question() -> None:
    body = {
        "question": "  Why?\n",
        "thread_id": THREAD,
        "collection": "ops",
        "files": ["ops/a.csv", "ops/b.csv", "ops/a.csv"],
        "metadata": {"team": "a"},
    }
    assert asked(body) == Question(
        question="Why?", thread_id=THREAD, collection="ops", files=("ops/a.csv", "ops/b.csv"), metadata={"team": "a"}
    )


def test_a_question_alone_is_enough() -> None:
    assert asked({"question": "Why?"}) == Question(question="Why?")
    assert asked({"question": "Why?", "files": []}).files == ()
    assert asked({"question": "Why?", "files": None, "thread_id": None}) == Question(question="Why?")


@pytest.mark.parametrize(
    "media_type",
    ["application/json", "APPLICATION/JSON; charset=utf-8", "application/vnd.api+json", " application/json "],
)
def test_media_types_that_are_json(media_type: str) -> None:
    assert asked({"question": "Why?"}, {"content-type": media_type}).question == "Why?"


WHY = {"question": "Why?"}
BAD = [
    (b"", 400, "malformed_json", "JSON"),
    (b"{", 400, "malformed_json", "JSON"),
    (b"\xff\xfe", 400, "malformed_json", "JSON"),
    (b'{"question": "\xff"}', 400, "malformed_json", "JSON"),
    (b'{"question": "Why?"} x', 400, "malformed_json", "JSON"),
    (b"[" * 5_000, 400, "malformed_json", "JSON"),
    (b'{"question": 1, "files": ' + b"[" * 5_000, 400, "malformed_json", "JSON"),
    (b'{"question": 1', 400, "malformed_json", "JSON"),
    (b"[]", 400, "invalid_body", "object"),
    (b"null", 400, "invalid_body", "object"),
    (b"{}", 400, "invalid_body", "question"),
    ({"question": 1}, 400, "invalid_body", "question"),
    ({"question": None}, 400, "invalid_body", "question"),
    ({**WHY, "colection": "x"}, 400, "invalid_body", "colection"),
    ({**WHY, "files": "a.csv"}, 400, "invalid_body", "files"),
    ({**WHY, "files": [1]}, 400, "invalid_body", "files"),
    ({**WHY, "metadata": {"a": 1}}, 400, "invalid_body", "metadata"),
    ({"question": ""}, 400, "empty_question", "question"),
    ({"question": " \n\t"}, 400, "empty_question", "question"),
    ({"question": "x" * 8001}, 400, "question_too_long", "8,000"),
    ({**WHY, "thread_id": ""}, 404, "thread_not_found", "thread_id"),
    ({**WHY, "thread_id": "../x"}, 404, "thread_not_found", "thread_id"),
    ({**WHY, "thread_id": THREAD + "\n"}, 404, "thread_not_found", "thread_id"),
    ({**WHY, "collection": ""}, 400, "invalid_collection", "folder"),
    ({**WHY, "collection": "a/b"}, 400, "invalid_collection", "folder"),
    ({**WHY, "collection": "a%2fb"}, 400, "invalid_collection", "%2F"),
    ({**WHY, "collection": ".."}, 400, "invalid_collection", "folder"),
    ({**WHY, "collection": "x" * 201}, 400, "invalid_collection", "200"),
    ({**WHY, "files": ["../a.csv"]}, 400, "invalid_file", "'..'"),
    ({**WHY, "files": ["ops%2Fa.csv"]}, 400, "invalid_file", "%2F"),
    ({**WHY, "files": [""]}, 400, "invalid_file", "1 to 1,024"),
    ({**WHY, "files": ["a\x00.csv"]}, 400, "invalid_file", "control"),
    ({**WHY, "files": [f"{n}.csv" for n in range(21)]}, 400, "too_many_files", "20"),
    ({**WHY, "metadata": {str(n): "" for n in range(17)}}, 400, "invalid_metadata", "16"),
    ({**WHY, "metadata": {"": "x"}}, 400, "invalid_metadata", "64"),
    ({**WHY, "metadata": {"k" * 65: "x"}}, 400, "invalid_metadata", "64"),
    ({**WHY, "metadata": {"k": "x" * 513}}, 400, "invalid_metadata", "512"),
    (b" " * 65_537, 413, "body_too_large", "65,536"),
]


@pytest.mark.parametrize(("body", "status", "code", "word"), BAD, ids=[f"{n}-{case[2]}" for n, case in enumerate(BAD)])
def test_bad_input(body: Any, status: int, code: str, word: str) -> None:
    with pytest.raises(AppError) as caught:
        asked(body)
    assert (caught.value.status, caught.value.code) == (status, code)
    assert word in caught.value.message
    assert len(caught.value.message) < 400


@pytest.mark.parametrize(
    "headers", [{}, {"content-type": ""}, {"content-type": "text/plain"}, {"content-type": "json"}]
)
def test_another_media_type(headers: dict[str, str]) -> None:
    with pytest.raises(AppError) as caught:
        asked(WHY, headers)
    assert (caught.value.status, caught.value.code) == (415, "wrong_media_type")


@pytest.mark.parametrize(
    "text", ["", "run_1", "RUN_" + "0" * 24, "run_" + "0" * 25, "run_" + "0" * 24 + "\n", "../state", "run_" + "g" * 24]
)
def test_invalid_run_ids_are_not_found(text: str) -> None:
    with pytest.raises(AppError) as caught:
        run_id_from(text)
    assert (caught.value.status, caught.value.code) == (404, "run_not_found")


def test_a_run_id() -> None:
    assert run_id_from("run_" + "0f" * 12) == "run_" + "0f" * 12


@given(st.text(max_size=300))
def test_any_collection_name_is_accepted_or_refused(text: str) -> None:
    try:
        assert collection_from(text) == text
    except AppError as exc:
        assert exc.code == "invalid_collection"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.fixed_dictionaries(
    {"question": st.text(max_size=30) | VALUES},
    optional={name: VALUES | st.just(THREAD) for name in ("thread_id", "collection", "files", "metadata", "other")},
)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200) | FIELDS.map(lambda body: json.dumps(body).encode()))
def test_any_body_gives_a_question_or_an_app_error(body: bytes) -> None:
    try:
        question = asked(body)
    except AppError as exc:
        assert 400 <= exc.status < 500
        return
    assert question.question.strip()


@pytest.mark.parametrize(
    "body", [b"[" * 60_000, b'{"question":' * 5000, b'{"files":' + b"[" * 50_000, b'{"metadata":{"a":' * 3000]
)
def test_deep_nesting(body: bytes) -> None:
    with pytest.raises(AppError):
        asked(body)


@pytest.mark.parametrize("text", [r"\ud800", r"x\udfff", r"\u0000"])
def test_accepted_characters_can_be_encoded(text: str) -> None:
    """Accepted text can be written as JSON later."""
    try:
        question = asked(b'{"question": "' + text.encode() + b' Why?"}')
    except AppError:
        return
    question.question.encode()
