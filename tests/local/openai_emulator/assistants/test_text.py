"""Pure functions: the message content of an answer, and the part of a thread that goes into the prompt."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.openai_emulator.agent.conversation import Cite, Event, OutputFile, Ran, Said, Searched
from local.openai_emulator.agent.model import Say, Show
from local.openai_emulator.assistants.message_output import annotated, content, sources
from local.openai_emulator.assistants.turns import recent
from local.openai_emulator.search.passage import Passage
from tests.local.openai_emulator import openapi


def file(name: str) -> OutputFile:
    return OutputFile(file_id=f"id of {name}", filename=name, container_id="c", is_image=name.endswith(".png"))


def searched(*file_ids: str) -> Searched:
    passages = (Passage(file_id=file_id, filename="f", text="t", score=0.5) for file_id in file_ids)
    return Searched(queries=("q",), passages=tuple(passages))


def cite(position: int, file_id: str = "f1") -> Cite:
    return Cite(position=position, file_id=file_id, filename="")


def test_a_mark_names_where_the_file_was_found_last() -> None:
    earlier = Said(role="assistant", text="", citations=(cite(0, "f4"), cite(0, "f1")))
    events: list[Event] = [searched("f1", "f2"), earlier, searched("f2", "f3", "f2")]
    assert sources(events) == {"f1": (0, 0), "f2": (2, 0), "f3": (2, 1), "f4": (1, 0)}


def test_markers_are_placed_after_the_cited_text() -> None:
    say = Say(text="A. B.", citations=(cite(5, "f2"), cite(2, "f1"), cite(2, "f2")))
    text = annotated(say, [searched("f1", "f2")])
    assert text["value"] == "A.【0:0†source】【0:1†source】 B.【0:1†source】"
    assert [note["file_citation"]["file_id"] for note in text["annotations"]] == ["f1", "f2", "f2"]


def test_a_path_moves_with_the_marks_and_is_never_broken() -> None:
    path = "sandbox:/mnt/data/a.csv"
    say = Say(
        text=f"A {path}.",
        citations=(cite(1), cite(2), cite(9), cite(len(path) + 2)),
        shows=(Show(start=2, end=2 + len(path), file=file("a.csv")),),
    )
    text = annotated(say, [searched("f1")])
    marker = "【0:0†source】"
    assert text["value"] == f"A{marker} {marker}{path}{marker}{marker}."
    (shown,) = [note for note in text["annotations"] if note["type"] == "file_path"]
    assert (shown["text"], shown["file_path"]) == (path, {"file_id": "id of a.csv"})


@given(
    text=st.text(max_size=30),
    places=st.lists(st.integers(0, 30), max_size=6),
    spans=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=1),
)
def test_every_annotation_spans_its_text(text: str, places: list[int], spans: list[tuple[int, int]]) -> None:
    shows = [Show(start=start, end=end, file=file("a.csv")) for start, end in spans if start < end <= len(text)]
    cites = tuple(cite(min(place, len(text))) for place in places)
    made = annotated(Say(text=text, citations=cites, shows=tuple(shows)), [searched("f1")])
    value = made["value"]
    assert len(made["annotations"]) == len(cites) + len(shows)
    for note in made["annotations"]:
        assert value[note["start_index"] : note["end_index"]] == note["text"]
    kept = value
    for note in reversed([note for note in made["annotations"] if note["type"] == "file_citation"]):
        kept = kept[: note["start_index"]] + kept[note["end_index"] :]
    assert kept == text


def test_images_stand_before_the_text() -> None:
    done = [
        Ran(code="", logs="", files=(file("a.png"), file("b.csv"))),
        Ran(code="", logs="", files=(file("c.png"),)),
    ]
    blocks = content(Say(text="Look."), [], done=done)
    assert [block.get("image_file", {}).get("file_id") for block in blocks] == ["id of a.png", "id of c.png", None]


THREAD: list[tuple[str, list[Event]]] = [
    (name, [Said(role="user", text=f"{name} " * 10)]) for name in ("one", "two", "three", "four")
]


@pytest.mark.parametrize(
    ("options", "kept", "turn_starts_at"),
    [
        ({}, ["one", "two", "three", "four"], 3),
        ({"turn_message_id": None}, ["one", "two", "three", "four"], 4),
        ({"last_messages": 2}, ["three", "four"], 1),
        ({"turn_message_id": "two", "last_messages": 2}, ["three", "four"], 0),
        ({"max_tokens": 25}, ["three", "four"], 1),
        ({"max_tokens": 1}, ["four"], 0),
        ({"turn_message_id": "two", "max_tokens": 1}, ["two", "three", "four"], 0),
    ],
    ids=["all", "nothing new", "last two", "turn cut off", "some fit", "the turn stays", "a long turn stays"],
)
def test_recent_selects_the_history_for_the_prompt(
    options: dict[str, object], kept: list[str], turn_starts_at: int
) -> None:
    given: dict[str, object] = {"turn_message_id": "four", "last_messages": None, "max_tokens": None, **options}
    events, start = recent(THREAD, **given)  # type: ignore[arg-type]
    assert [event.text.split()[0] for event in events if isinstance(event, Said)] == kept
    assert start == turn_starts_at


@pytest.mark.skipif(not openapi.DOCUMENT.exists(), reason="needs the OpenAPI document")
@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({}, ""),
        ({"tool_resources": None}, ""),
        ({"id": 1}, "$.id is 1, not of type string"),
        ({"object": "run"}, "$.object is 'run', not one of ['thread']"),
        ({"created_at": True}, "$.created_at is True, not of type integer"),
        ({"metadata": {"a": 1}}, "$.metadata is none of the choices: $.metadata.a is 1, not of type string"),
        (
            {"tool_resources": {"file_search": {"vector_store_ids": ["a", "b"]}}},
            "$.tool_resources is none of the choices: $.tool_resources.file_search.vector_store_ids has 2 items",
        ),
    ],
)
def test_the_check_against_the_document_finds_faults(change: dict[str, object], fault: str) -> None:
    thread = {"id": "t", "object": "thread", "created_at": 1, "metadata": {}, "tool_resources": {}}
    schema = openapi.schema_of("GET", "/openai/v1/threads/t", 200)
    assert list(openapi.faults({**thread, **change}, schema)) == ([fault] if fault else [])
    del thread["id"]
    assert list(openapi.faults(thread, schema)) == ["$.id is missing"]
