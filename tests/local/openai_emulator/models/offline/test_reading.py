"""The offline model reads every word of a question about a table, or refuses. The programs run in this process."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest

from local.openai_emulator.models.offline.data import loading
from local.openai_emulator.models.offline.data.answer import paragraph, readings
from local.openai_emulator.models.offline.data.ask import Plan, Refusal
from local.openai_emulator.models.offline.data.kinds.registry import KINDS
from local.openai_emulator.models.offline.data.plan import plan
from local.openai_emulator.models.offline.data.program import analysis_code
from local.openai_emulator.models.offline.data.table import (
    Table,
    last_json,
    profile_code,
    read_profile,
    to_read,
)
from local.paths import ROOT

SHOP = """\
day,shop,item,price_eur,sold,member
2026-01-05,North,Lamp,20,4,Yes
2026-01-06,North,Desk,150,1,No
2026-02-07,South,Lamp,22,6,Yes
2026-02-09,South,Chair,60,3,No
2026-03-02,South,Desk,160,2,Yes
"""


def run(code: str, folder: Path) -> str:
    logs = io.StringIO()
    with contextlib.redirect_stdout(logs):
        exec(compile(code.replace("/mnt/data", str(folder)), "program", "exec"), {"__name__": "program"})
    return logs.getvalue()


def tables(folder: Path, question: str) -> list[Table]:
    names = to_read(sorted(path.name for path in folder.iterdir()))
    return read_profile(run(profile_code(names, question), folder))


def planned(folder: Path, question: str, *earlier: str) -> Plan | Refusal | None:
    return plan(question, tables(folder, question), earlier=earlier)


def answered(folder: Path, question: str, *earlier: str) -> str:
    what = planned(folder, question, *earlier)
    if not isinstance(what, Plan):
        return what.text() if what else "(unreadable)"
    results: list[dict[str, Any]] = last_json(run(analysis_code(what), folder), "results")
    return "\n".join(
        [readings(what), *(paragraph(ask, result, what) for ask, result in zip(what.asks, results, strict=True))]
    )


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "shop.csv").write_text(SHOP)
    return tmp_path


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What is the total sold?", "**16**"),
        ("What is the average price by shop?", "| South | 80.67 EUR |"),
        ("How many rows have a price above 50?", "**3 rows"),
        ("How many members are there?", "**3 rows"),
        ("How many rows are there without the shop North?", "**3 rows"),
        ("What is the average price excluding South?", "**85 EUR**"),
        ("What is the total sold in February?", "**9**"),
        ("What is the total sold since February 2026?", "**11**"),
        ("Which item is the cheapest?", "Lamp"),
        ("Which shop sold the most?", "**South** has the highest total sold: **11**"),
        ("What are the top 2 prices?", "1. 2 March 2026"),
        ("What share of sold has North?", "**31.25 %**"),
        ("Compare North and South by price", "South"),
        ("Is there a correlation between price and sold?", "r = **-0."),
        ("Are there missing values?", "No values are missing"),
        ("What is the most common item?", "**Desk, Lamp**"),
        ("How many different items are there?", "**3** different"),
        ("Show sold over time", "Trend of sold"),
        ("What is in this table?", "5 rows and 6 columns"),
        ("Are there outliers in the price?", "**0** of 5"),
        ("What did the chair cost?", "**60 EUR**"),
        ("Show the total sold by month", "| February 2026 | 9 |"),
    ],
)
def test_each_kind_is_computed_and_says_how_it_was_read(shop: Path, question: str, expected: str) -> None:
    text = answered(shop, question)
    assert expected in text
    assert text.startswith("*Read as: ")


@pytest.mark.parametrize(
    ("question", "unknown"),
    [
        ("What is the average price in Berlin?", "Berlin"),
        ("What is the total profit?", "profit"),
        ("How many rows have a red lamp?", "red"),
        ("What is the average price of expired lamps?", "expired"),
        ("Who is the mayor of Graz?", "mayor"),
        ("What will the price be tomorrow?", "tomorrow"),
    ],
)
def test_a_word_that_is_not_accounted_for_is_a_refusal_that_names_it(shop: Path, question: str, unknown: str) -> None:
    what = planned(shop, question)
    assert isinstance(what, Refusal)
    assert f'"{unknown}"' in what.text()
    assert "I could answer:" in what.text()


def test_the_question_of_a_refusal_is_answered(shop: Path) -> None:
    what = planned(shop, "What is the total profit?")
    assert isinstance(what, Refusal)
    assert isinstance(planned(shop, what.instead), Plan)


def test_a_word_that_could_mean_two_columns_is_a_refusal(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("name,price_net,price_gross\nx,1,2\ny,3,4\n")
    what = planned(tmp_path, "What is the average price?")
    assert isinstance(what, Refusal)
    assert "`price_net` or `price_gross`" in what.text()


@pytest.mark.parametrize(
    ("columns", "expected"),
    [("min_price,price,max_price", "**3**"), ("min_price,max_price,size", "`min_price` or `max_price`")],
)
def test_an_adjective_takes_the_column_that_is_named_like_it_or_none(
    tmp_path: Path, columns: str, expected: str
) -> None:
    (tmp_path / "a.csv").write_text(f"name,{columns}\nx,1,2,5\ny,2,3,4\nz,0,1,9\n")
    question = "Which name is the most expensive?"
    what = planned(tmp_path, question)
    told = what.text() if isinstance(what, Refusal) else answered(tmp_path, question)
    assert expected in told


def test_a_number_before_any_superlative_says_how_many(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("name,weight\n" + "".join(f"n{i},{i}\n" for i in range(9)))
    told = answered(tmp_path, "What are the names with the three heaviest weights? List the three heaviest names.")
    assert "n8" in told
    assert "n6" in told
    assert "n5" not in told


def test_forty_years_are_shown(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("year,rain\n" + "".join(f"{1970 + i},{i}\n{1970 + i},{i}\n" for i in range(40)))
    assert "| 2009 |" in answered(tmp_path, "Show the average rain by year")


def test_two_tables_that_fit_alike_are_a_refusal(tmp_path: Path) -> None:
    for name in ("one.csv", "two.csv"):
        (tmp_path / name).write_text("name,points\nx,1\ny,3\n")
    what = planned(tmp_path, "What is the total of the points?")
    assert isinstance(what, Refusal)
    assert "one.csv or two.csv" in what.text()
    assert isinstance(planned(tmp_path, "What is the total of the points in two.csv?"), Plan)


def test_from_one_value_to_another_is_about_two_columns(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("start,end,total,fare\nGraz,Linz,9,5\nLinz,Graz,8,4\nGraz,Graz,7,3\n")
    assert "**1 row " in answered(tmp_path, "How many rows are there from Graz to Linz?")
    (tmp_path / "a.csv").write_text("start,total,fare\nGraz,9,5\nLinz,8,4\n")
    assert isinstance(planned(tmp_path, "How many rows are there from Graz to Linz?"), Refusal)
    assert "The total of fare is **9**" in answered(tmp_path, "What is the total fare?")


def test_the_busiest_time_needs_a_measure(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("at,cost,amount\n2026-01-05 10:00,3,5\n2026-01-05 11:00,4,4\n")
    assert isinstance(planned(tmp_path, "What is the busiest hour of the day?"), Refusal)


def test_an_identifier_is_no_measure(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,year,points\n1,2019,5\n2,2020,7\n")
    assert isinstance(planned(tmp_path, "What is the average id?"), Refusal)
    assert "**7**" in answered(tmp_path, "What is the total points in 2020?")


def test_a_clean_copy_is_read_and_the_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("Report\n\nname;points\nx;1,5\n")
    (tmp_path / "a.csv.clean.csv").write_text("name,points\nx,1.5\ny,2\n")
    what = planned(tmp_path, "What is the total points?")
    assert isinstance(what, Plan)
    assert what.table.filename == "a.csv.clean.csv"
    assert what.table.shown == "a.csv"
    assert to_read(["b.xlsx", "b.clean.csv", "c.csv"]) == ["b.clean.csv", "c.csv"]
    names = ["a.csv", "a.csv.clean.csv", "book.xlsx", "book.xlsx.Sheet_2.clean.csv", "b.csv", "notes.pdf"]
    assert to_read(names) == ["a.csv.clean.csv", "book.xlsx.Sheet_2.clean.csv", "b.csv"]
    shown = [Table(filename=name).shown for name in to_read(names)]
    assert shown == ["a.csv", "book.xlsx (Sheet_2)", "b.csv"]


def test_tables_are_joined_on_their_key(tmp_path: Path) -> None:
    (tmp_path / "customers.csv").write_text("customer_id,name\n1,Acme\n2,Beta\n3,Gamma\n")
    (tmp_path / "orders.csv").write_text("order_id,customer_id,amount\n1,2,100\n2,1,50\n3,2,75\n")
    assert "**175**" in answered(tmp_path, "What is the total amount of Beta?")


def test_a_follow_up_takes_what_it_does_not_say_from_the_question_before(shop: Path) -> None:
    text = answered(shop, "And for North only?", "What is the average price?")
    assert "**85 EUR**" in text


@pytest.mark.parametrize(
    ("content", "values"),
    [
        ("a;b\nx;1.234,50\ny;2,5\n", [1234.5, 2.5]),
        ('a,b\nx,"1,234.50"\ny,2\n', [1234.5, 2.0]),
        ("a,b\nx,$3\ny,$4\n", [3.0, 4.0]),
        ("a,b\nx,3 kg\ny,4 kg\n", [3.0, 4.0]),
        ("a,b\nx,1\ny,2\nTotal,3\n", [1.0, 2.0]),
        ("title\n\na,b\nx,1\ny,2\n", [1.0, 2.0]),
    ],
)
def test_numbers_are_read_as_they_are_meant(tmp_path: Path, content: str, values: list[float]) -> None:
    (tmp_path / "a.csv").write_text(content)
    table = loading.load(str(tmp_path / "a.csv"), "")
    assert list(table["b"]) == values


@pytest.mark.parametrize("cells", [["007", "010"], ["1/2/2025", "3/4/2025"], ["3 kg", "4 lb"]])
def test_what_can_be_read_in_two_ways_stays_text(tmp_path: Path, cells: list[str]) -> None:
    (tmp_path / "a.csv").write_text("a,b\n" + "".join(f"x,{cell}\n" for cell in cells))
    assert list(loading.load(str(tmp_path / "a.csv"), "")["b"]) == cells


def test_no_rows_one_row_and_only_text_are_answered(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("name,points\nx,1\n")
    assert "**1**" in answered(tmp_path, "What is the standard deviation and the total of the points?")
    assert "No rows" in answered(tmp_path, "What is the total points above 5?")
    (tmp_path / "a.csv").write_text("name,town\nx,Graz\ny,Linz\n")
    assert "no column of figures" in answered(tmp_path, "What is the average?")


def test_every_example_of_a_kind_is_of_its_kind_or_of_none() -> None:
    names = [kind.name for kind in KINDS]
    assert len(set(names)) == len(names)
    assert all(kind.examples for kind in KINDS)


def test_no_question_and_no_table_of_the_benchmarks_stands_in_the_code() -> None:
    from bench.analyst import FIELD

    code = "\n".join(path.read_text() for path in (ROOT / "local/openai_emulator/models/offline").rglob("*.py")).lower()
    told = [question for _, question, _ in FIELD] + [name for names, *_ in FIELD for name in names.split()]
    folder = ROOT / "../shared/data/dabench"
    if folder.exists():
        lines = (folder / "da-dev-questions.jsonl").read_text().splitlines()
        told += [json.loads(line)[key] for line in lines for key in ("question", "file_name")]
    assert [text for text in told if text.lower() in code] == []


@pytest.mark.parametrize(
    ("request_", "chart"),
    [("Create a bar chart of it.", "bar"), ("Draw it.", "bar"), ("Plot this as a pie chart.", "pie")],
)
def test_a_sentence_that_asks_for_a_chart_of_the_answer(shop: Path, request_: str, chart: str) -> None:
    what = planned(shop, f"What is the average price by shop? {request_}")
    assert isinstance(what, Plan)
    assert [(ask.kind, ask.by, ask.chart) for ask in what.asks] == [("figures", ("shop",), chart)]


def test_a_chart_of_something_unknown_is_refused(shop: Path) -> None:
    what = planned(shop, "What is the average price by shop? Create a bar chart of unicorns.")
    assert isinstance(what, Refusal)
    assert what.unknown == ("unicorns",)
