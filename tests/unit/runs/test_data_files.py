"""Which data files a question gets."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pytest

from shared.formats.datacards import card_of
from shared.runs.data_files import CHOSEN_MAX, choose


def terms(name: str, content: bytes) -> tuple[str, ...]:
    return card_of(name, io.BytesIO(content)).terms


FILES = {
    "sales-2026.csv": terms("sales-2026.csv", b"month,revenue,region\njan,1,north\nfeb,2,south\n"),
    "server-metrics.csv": terms("server-metrics.csv", b"timestamp,server,response_ms\n2026-01-01,web-01,5\n"),
    "staff.csv": terms("staff.csv", b"name,salary,department\nAnn,5,IT\nBob,6,HR\n"),
    "stock.csv": terms("stock.csv", b"item,amount,warehouse\nbolt,5,east side\n"),
    "server-costs.csv": terms("server-costs.csv", b"month,server,euro\njan,web-01,5\n"),
}


@pytest.mark.parametrize(
    ("question", "paths"),
    [
        ("Which month had the highest revenue?", ["sales-2026.csv", "server-costs.csv"]),
        ("What is the average response time by server in the metrics?", ["server-metrics.csv"]),
        ("Average salary by department?", ["staff.csv"]),
        ("How many items are in the warehouses?", ["stock.csv"]),
        ("What does web-01 cost in euro a month?", ["server-costs.csv"]),
        ("How much is stored on the east side?", ["stock.csv"]),
        ("What is our policy on holidays?", []),
        ("", []),
        ("?!", []),
    ],
)
def test_files_that_match_the_question(question: str, paths: list[str]) -> None:
    chosen = choose(question, dict(FILES))
    assert chosen[: len(paths)] == paths[: len(chosen)] if paths else chosen == []
    assert set(paths[:1]) <= set(chosen)


def test_a_few_files_are_all_chosen() -> None:
    assert choose("Anything?", {"b.csv": ("x",), "a.csv": ("y",), "c.csv": ()}) == ["a.csv", "b.csv", "c.csv"]
    assert choose("Anything?", {}) == []


def test_at_most_chosen_max_files_are_chosen() -> None:
    files: dict[str, Sequence[str]] = {f"sales-{n:03}.csv": ("sale", "month", "revenue") for n in range(50)}
    chosen = choose("Revenue by month?", files)
    assert chosen == sorted(files)[:CHOSEN_MAX]
