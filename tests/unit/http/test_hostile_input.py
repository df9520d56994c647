"""Any HTTP input is accepted as a valid value or refused with an AppError of status 4xx."""

import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.errors import AppError
from shared.formats.filetypes import bad_path
from shared.http.assistants import AssistantBody, assistant_from, assistant_name_from
from shared.http.hooks import HookBody, hook_id_from
from shared.http.paths import document_path_from
from shared.http.questions import idempotency_key_from, outputs_from, question_from
from shared.http.reading import body_from, collection_from, cursor_from, limit_from
from shared.http.runs import run_id_from, status_from
from shared.http.shapes.runs import QuestionBody, ToolOutputsBody
from shared.http.threads import ThreadBody, thread_id_from
from shared.models.runs import TERMINAL
from shared.runs.runs import Question
from shared.settings import Settings

SETTINGS = Settings.from_environ({"AzureWebJobsStorage": "x", "OPENAI_BASE_URL": "https://x/v1/", "OPENAI_MODEL": "m"})
HEADERS = {"content-type": "application/json"}
BODIES = [
    QuestionBody,
    ToolOutputsBody,
    ThreadBody,
    AssistantBody,
    HookBody,
]

texts = st.text(max_size=80) | st.sampled_from(["", " ", "a/../b", "a\n", "\x00", "\u2028", "x" * 3_000])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5),
    max_leaves=20,
)


def refused(act: Callable[[], object]) -> bool:
    """Whether the call raised an AppError of status 4xx; other errors are not caught."""
    try:
        act()
    except AppError as exc:
        assert 400 <= exc.status < 500
        assert re.fullmatch("[a-z_]+", exc.code)
        assert exc.message.endswith((".", ")"))
        exc.message.encode()
        return True
    return False


def taken(body: bytes, type: Any) -> None:
    """Parse and check a body, as the routes do before they store anything."""
    got = body_from(body, HEADERS, type, max_bytes=SETTINGS.body_max_bytes)
    if isinstance(got, QuestionBody):
        question_from(got, SETTINGS)
    elif isinstance(got, ToolOutputsBody):
        outputs_from(got, SETTINGS)
    elif isinstance(got, AssistantBody):
        assistant_from("name", got)


@pytest.mark.parametrize("type", BODIES, ids=lambda type: type.__name__)
@given(body=st.binary(max_size=400))
@example(body=b"[" * 60_000)
@example(body=b'{"a":' * 12_000)
@example(body=b'{"question":"\\ud800"}')
@example(body=b'{"max_seconds":1e999}')
@example(body=b'{"question":"x","max_seconds":' + b"9" * 5_000 + b"}")
@example(body=b'\xef\xbb\xbf{"question":"x"}')
@example(body=b"{" * 70_000)
def test_any_bytes(type: Any, body: bytes) -> None:
    refused(lambda: taken(body, type))


@pytest.mark.aside
@pytest.mark.parametrize("type", BODIES, ids=lambda type: type.__name__)
@given(value=values)
def test_any_json(type: Any, value: Any) -> None:
    refused(lambda: taken(msgspec.json.encode(value), type))


@pytest.mark.aside
@pytest.mark.parametrize("type", BODIES, ids=lambda type: type.__name__)
@given(data=st.data())
def test_any_values_in_the_fields(type: Any, data: st.DataObject) -> None:
    names = data.draw(st.sets(st.sampled_from(type.__struct_fields__)))
    refused(lambda: taken(msgspec.json.encode({name: data.draw(values, label=name) for name in names}), type))


questions = st.fixed_dictionaries(
    {"question": texts},
    optional={
        "thread_id": texts | st.from_regex(r"\Athread_[0-9a-f]{24}\Z"),
        "collection": texts,
        "assistant": texts,
        "files": st.lists(texts, max_size=25),
        "tools": st.lists(
            st.fixed_dictionaries(
                {"type": st.just("function"), "name": st.from_regex(r"[a-zA-Z0-9_-]{1,64}\n?", fullmatch=True)},
                optional={"parameters": st.dictionaries(texts, values, max_size=3)},
            ),
            max_size=3,
        ),
        "metadata": st.dictionaries(texts, texts, max_size=18),
        "max_seconds": st.integers(-1, 700_000),
        "callback_url": texts,
    },
)


@given(body=questions)
def test_an_accepted_question_is_valid(body: dict[str, Any]) -> None:
    found: list[Question] = []

    def take() -> None:
        asked = body_from(msgspec.json.encode(body), HEADERS, QuestionBody, max_bytes=10_000_000)
        found.append(question_from(asked, SETTINGS))

    if refused(take):
        return
    question = found[0]
    assert question.question.strip() == question.question != ""
    assert question.thread_id is None or re.fullmatch("thread_[0-9a-f]{24}", question.thread_id)
    assert question.collection is None or "/" not in question.collection
    assert not any(bad_path(path) for path in question.files or ())
    assert all(re.fullmatch("[a-zA-Z0-9_-]{1,64}", function.name) for function in question.functions)
    assert msgspec.json.decode(msgspec.json.encode(question), type=Question) == question


IDS: list[tuple[Callable[[str], Any], str]] = [
    (run_id_from, "run_[0-9a-f]{24}"),
    (thread_id_from, "thread_[0-9a-f]{24}"),
    (hook_id_from, "hook_[0-9a-f]{24}"),
    (assistant_name_from, "[a-z0-9][a-z0-9_-]{0,63}"),
    (cursor_from, "[!-~]{1,2000}"),
    (lambda text: idempotency_key_from({"idempotency-key": text}), "[ -~]{1,255}"),
    (status_from, "|".join(sorted({*TERMINAL, "queued", "in_progress", "requires_action", "cancelling"}))),
    (lambda text: str(limit_from(text)), "[1-9][0-9]?|100"),
    (collection_from, r"[^/\\\x00-\x1f\x7f]{1,200}"),
]
NAMES = ["run", "thread", "hook", "assistant", "cursor", "idempotency key", "status", "limit", "collection"]


@pytest.mark.parametrize(("take", "pattern"), IDS, ids=NAMES)
@given(data=st.data())
def test_an_id_must_match_to_the_last_character(take: Callable[[str], Any], pattern: str, data: st.DataObject) -> None:
    sound = data.draw(st.from_regex(pattern, fullmatch=True))
    ending = data.draw(st.sampled_from(["", "\n", "\r", "\x00", "/", "٣"]))
    for text in (sound + ending, data.draw(st.text(max_size=300))):
        if not refused(lambda text=text: take(text)):  # type: ignore[misc]
            assert re.fullmatch(pattern, text.lstrip("0") if take is IDS[7][0] else text, re.DOTALL)
    assert take is collection_from or not refused(lambda: take(sound))


@given(path=texts | st.from_regex(r"[a-z./\\]{1,20}", fullmatch=True))
def test_a_document_stays_in_the_container(path: str) -> None:
    full: list[str] = []
    if not refused(lambda: full.append(document_path_from(path))):
        assert full == [path]
        assert "%2f" not in path.lower()
        assert not {"", ".", ".."} & set(path.split("/"))


@given(media_type=texts)
def test_any_media_type(media_type: str) -> None:
    def take() -> None:
        body_from(b'{"question":"x"}', {"content-type": media_type}, QuestionBody, max_bytes=100)

    assert refused(take) or "json" in media_type.lower()
