"""Citations, links, file names and the Markdown of an answer."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.engines.base import MadeFile
from shared.models.runs import Answer, Chart, Citation, Cost, Failure, OutputFile, Timings
from shared.runs.answers import distinct, link, markdown_of, media_type_of, safe_filename
from tests.fakes import Clock

NOW = Clock()()


# ---- links -------------------------------------------------------------------------------------------------------


def test_links_point_to_saved_files() -> None:
    text = "See ![a](sandbox:/mnt/data/a%20b.png) and [t](sandbox:/mnt/data/t.csv), not sandbox:/mnt/data/lost.png."
    linked, _ = link(text, {"a b.png": "run_1/charts/1.png", "t.csv": "run_1/files/t ü.csv"})
    assert linked == "See ![a](run_1/charts/1.png) and [t](run_1/files/t%20%C3%BC.csv), not sandbox:/mnt/data/lost.png."


@given(
    st.lists(st.sampled_from(["x", "Yes. ", "[c](sandbox:/mnt/data/c.png)", "sandbox:/mnt/data/no.png "]), max_size=8)
)
def test_positions_shift_with_the_text(pieces: list[str]) -> None:
    text, at = "", []
    for piece in pieces:
        text += piece
        at.append(len(text))
    linked, moved = link(text, {"c.png": "run_1/charts/1.png"})
    for piece, position in zip(pieces, at, strict=True):
        end = piece.replace("sandbox:/mnt/data/c.png", "run_1/charts/1.png")
        assert linked[: moved(position)].endswith(end)
    assert moved(0) == 0


# ---- files -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filename", "safe"),
    [
        ("a b (1).csv", "a b (1).csv"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\x.csv", "x.csv"),
        ("a<b>:c|d?.csv", "a_b_c_d_.csv"),
        ("..", "file"),
        ("", "file"),
        ("/", "file"),
        ("x" * 200 + ".csv", "x" * 96 + ".csv"),
        ("ü文.csv", "ü文.csv"),
    ],
)
def test_file_names_are_made_safe(filename: str, safe: str) -> None:
    assert safe_filename(filename) == safe


@given(st.text(max_size=150))
def test_a_file_name_cannot_contain_a_folder(filename: str) -> None:
    safe = safe_filename(filename)
    assert 0 < len(safe) <= 100
    assert not set(safe) & set('/\\\x00\n"<>|?*:')
    assert safe not in (".", "..")


@pytest.mark.parametrize(
    ("filename", "media_type"), [("a.PNG", "image/png"), ("a.jpeg", "image/jpeg"), ("a.svg", None), ("a.png.csv", None)]
)
def test_media_types_of_images(filename: str, media_type: str | None) -> None:
    assert media_type_of(filename) == media_type


def test_each_file_once_in_the_order_of_the_answer() -> None:
    a, b = (MadeFile(container_id="c", file_id=i, filename=f"{i}.png") for i in ("a", "b"))
    other = replace(a, container_id="d")
    assert distinct([a, b, replace(a, start=5), other, b]) == (a, b, other)


# ---- Markdown ----------------------------------------------------------------------------------------------------

ANSWER = Answer(
    id="run_1",
    thread_id="thread_1",
    status="completed",
    question="What\nare the limits?",
    collection="ops",
    created_at=NOW,
    finished_at=NOW,
    timings=Timings(queued_ms=1, run_ms=1500, total_ms=1501, looks=2),
    model="gpt-4.1-mini",
    answer="350 ms. And 900 ms.",
)


def citation(n: int, position: int, quote: str = "The limit\nis 350 ms.") -> Citation:
    return Citation(
        n=n, document="ops/guide.md", file_id="f1", filename="guide.md", quote=quote, position=position, page=n
    )


def test_the_whole_markdown() -> None:
    answer = replace(
        ANSWER,
        citations=(citation(1, 7), citation(2, 19), citation(1, 19)),
        charts=(Chart(n=1, path="run_1/charts/1.png", filename="a.png", media_type="image/png", size_bytes=1),),
        outputs=(OutputFile(path="run_1/files/1-t ü.csv", filename="t ü.csv", size_bytes=1),),
        cost=Cost(usd=0.0123, parts={}, prices="list prices"),
        notes=("A file was lost.",),
    )
    assert markdown_of(answer) == (
        "# What are the limits?\n\n350 ms. [1] And 900 ms. [1] [2]\n\n![a.png](charts/1.png)\n\n"
        "## Files\n\n- [t ü.csv](files/1-t%20%C3%BC.csv)\n\n"
        "## Sources\n\n1. **ops/guide.md**, page 1: “The limit is 350 ms.”\n"
        "2. **ops/guide.md**, page 2: “The limit is 350 ms.”\n\n"
        "> A file was lost.\n\n---\n\n"
        "Run `run_1` · model gpt-4.1-mini · 1.5 s · cost 0.0123 USD at list prices\n"
    )


def test_a_chart_in_the_text_is_not_repeated() -> None:
    chart = Chart(n=1, path="run_1/charts/1.png", filename="a.png", media_type="image/png", size_bytes=1)
    markdown = markdown_of(replace(ANSWER, answer="![a](run_1/charts/1.png)", charts=(chart,)))
    assert markdown.count("charts/1.png") == 1
    assert "![a](charts/1.png)" in markdown


def test_a_failed_run_says_why() -> None:
    error = Failure(code="content_filter", message="The question was filtered.")
    markdown = markdown_of(replace(ANSWER, status="failed", answer=None, error=error))
    assert "> **failed**: The question was filtered. (`content_filter`)" in markdown
