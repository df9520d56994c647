"""Wordings of first-time users: the values are computed with pandas, or the question is refused."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from local.openai_emulator.agent.conversation import Ran
from local.openai_emulator.models.offline.builtin import say_results
from local.openai_emulator.models.offline.data.ask import Plan, Refusal
from local.openai_emulator.models.offline.data.program import analysis_code
from local.openai_emulator.models.offline.documents.question import QuestionTerms
from local.openai_emulator.search.passage import Passage
from tests.local.openai_emulator.models.offline.test_reading import answered, planned, run

FIRMS = pd.DataFrame(
    {
        "rank": range(1, 25),
        "name": [*(f"Firm {letter}" for letter in "ABCDEFGHIJKLMNOPQRSTUV"), "Total", "Bank"],
        "country": ["Japan", "Italy", "Germany", "Canada"] * 6,
        "line": ["Banking", "Food", "Steel"] * 8,
        "unitprice": [10 * n for n in range(1, 25)],
        "sales": [100 + 7 * n for n in range(24)],
        "spending": [250 - 5 * n for n in range(24)],
        "sampleSize": [n * n for n in range(24)],
        "condominiom": ["yes", "no", "no", "no"] * 6,
        "margin": [n - 6 for n in range(24)],
        "count": [5 + 3 * n for n in range(24)],
        "hardness": [50 - n for n in range(24)],
        "foundingyear": [1900 + n for n in range(24)],
    }
)
PEOPLE = pd.DataFrame(
    {
        "Sex": ["Female", "Male"] * 12,
        "W.Hnd": ["Left", "Right", "Right", "Right"] * 6,
        "Clap": ["Right", "Left", "Neither"] * 8,
        "Exer": ["Freq", "Some", "None", "Some"] * 6,
        "Smoke": ["Never", "Never", "Heavy"] * 8,
        "Height": [150.0 + n if n % 5 else None for n in range(24)],
        "married": ["yes", "no", "no"] * 8,
        "denied": ["no", "yes", "no", "no"] * 6,
        "Age": [20 + n for n in range(24)],
        "death": [int(n % 4 == 0) for n in range(24)],
        "insurance": ["Yes", "No", "No"] * 8,
        "rating": ["Low", "Average", "High", "Average"] * 6,
        "society": ["yes", "no", "no"] * 8,
    }
)


@pytest.fixture
def firms(tmp_path: Path) -> Path:
    FIRMS.to_csv(tmp_path / "firms.csv", index=False)
    return tmp_path


@pytest.fixture
def people(tmp_path: Path) -> Path:
    PEOPLE.to_csv(tmp_path / "people.csv", index=False)
    return tmp_path


def shown(value: object) -> str:
    return value if isinstance(value, str) else f"{value:,.2f}".removesuffix(".00")


def check(folder: Path, question: str, values: list[object]) -> None:
    text = answered(folder, question)
    for value in values:
        assert shown(value) in text


def share(part: pd.Series, whole: pd.Series) -> str:
    return f"{100 * (part & whole).sum() / whole.sum():.2f} %"


F, P = FIRMS, PEOPLE
WOMEN, NEVER = P["Sex"] == "Female", P["Smoke"] == "Never"
MARRIED, DENIED = P["married"] == "yes", P["denied"] == "yes"


@pytest.mark.parametrize(
    ("question", "values"),
    [
        pytest.param("What are the total sales of all firms?", [f"{F['sales'].sum():,}"], id="total-is-no-name"),
        pytest.param(
            "What is the average sales of the banks?", [F[F["line"] == "Banking"]["sales"].mean()], id="banks-of-a-line"
        ),
        pytest.param("What are the sales of Total?", [F["sales"][22]], id="a-name-with-a-capital"),
        pytest.param(
            "How many Japanese firms have sales above 150?",
            [((F["country"] == "Japan") & (F["sales"] > 150)).sum(), "`country` is Japan"],
            id="adjective-of-a-country",
        ),
        pytest.param(
            "What is the average sales of the German firms?",
            [F[F["country"] == "Germany"]["sales"].mean()],
            id="adjective-that-begins-the-name",
        ),
        pytest.param(
            "What are the 3 most expensive firms?", ["Bank", "Total", "Firm V"], id="price-at-the-end-of-a-name"
        ),
        pytest.param("What is the average price by line?", ["115", "125", "135"], id="price-by-line"),
        pytest.param("Which firm has the biggest sample?", ["Bank", "529"], id="sample-of-a-joined-name"),
        pytest.param("How many firms are condominiums?", ["6"], id="a-name-with-a-mistake"),
        pytest.param("Top 2 countries by number of firms", ["6"], id="top-by-number"),
        pytest.param(
            "Which line has the highest total sales if we leave out Japan?",
            [F[F["country"] != "Japan"].groupby("line")["sales"].sum().idxmax()],
            id="left-out",
        ),
        pytest.param(
            "What are the country and line of the most expensive firm?",
            ["country **Canada** and line **Steel**"],
            id="cells-of-a-row",
        ),
        pytest.param(
            "What is the line of the firm with the lowest sales?",
            ["line **Banking**", "100"],
            id="cell-of-the-lowest-row",
        ),
        pytest.param(
            "What is the average count of the food firms?", [F[F["line"] == "Food"]["count"].mean()], id="count"
        ),
        pytest.param("What percentage of the firms have a count under 30?", ["37.50 %"], id="share-by-count"),
        pytest.param("Do firms with more count have lower hardness?", ["r = **-1.000**"], id="more-and-lower"),
        pytest.param("Does more count mean more sales?", ["r = **1.000**"], id="mean-is-a-verb"),
        pytest.param("How many firms have sales not above 150?", [(F["sales"] <= 150).sum()], id="not-above"),
        pytest.param("How many firms are not in rank 3?", ["23"], id="not-a-number"),
        pytest.param("Compare the total sales and spending", [F["sales"].sum(), F["spending"].sum()], id="two-columns"),
        pytest.param("How many firms have a negative margin?", [6], id="negative"),
        pytest.param(
            "Are sales higher in Japan or in Italy?",
            [F[F["country"] == land]["sales"].sum() for land in ("Japan", "Italy")],
            id="higher-in-one-or-the-other",
        ),
        pytest.param("Do firms with more sales have a higher spending?", ["r = **-1.000**"], id="more-and-higher"),
        pytest.param("How strongly are sales and spending related?", ["r = **-1.000**"], id="related"),
        pytest.param("Is there a connection between sales and spending?", ["r = **-1.000**"], id="connection"),
        pytest.param("Sales by line", [F[F["line"] == "Food"]["sales"].sum()], id="what-adds-up-is-added"),
        pytest.param(
            "What is the average sales in all countries except Japan?", ["Average of `sales`, "], id="in-all-countries"
        ),
        pytest.param("List all firms with sales above 240", ["3 rows", "Firm V", "Total", "Bank"], id="list"),
        pytest.param(
            "Which countries have sales above 235?", ["Japan", "Italy", "Germany", "Canada"], id="which-values"
        ),
        pytest.param(
            "How did the sales change from 1900 to 1910?", ["100", "170", "difference is 70"], id="change-between-years"
        ),
        pytest.param("What is the total sales of all countries?", [F["sales"].sum()], id="of-all"),
        pytest.param(
            "How many firms under 50 dollars are not from Italy?",
            [((F["unitprice"] < 50) & (F["country"] != "Italy")).sum()],
            id="dollars",
        ),
        pytest.param(
            "In how many firms were sales ahead of spending?",
            [(F["sales"] > F["spending"]).sum()],
            id="columns-compared",
        ),
    ],
)
def test_firms(firms: Path, question: str, values: list[object]) -> None:
    check(firms, question, values)


@pytest.mark.parametrize(
    ("question", "values"),
    [
        pytest.param("What share of the women never smoke?", [share(NEVER, WOMEN)], id="share-of-women"),
        pytest.param("What percentage of married people were denied?", [share(DENIED, MARRIED)], id="share-of-married"),
        pytest.param("What share of the units are married?", ["33.33 %"], id="any-noun"),
        pytest.param(
            "Were married people denied more often than the others?",
            [share(DENIED, MARRIED), share(DENIED, ~MARRIED)],
            id="more-often-than-the-others",
        ),
        pytest.param(
            "What share of the women and of the men were denied?",
            [share(DENIED, WOMEN), share(DENIED, ~WOMEN)],
            id="share-of-each",
        ),
        pytest.param(
            "What percentage of people were denied by sex?", [share(DENIED, WOMEN), share(DENIED, ~WOMEN)], id="rate-by"
        ),
        pytest.param("How many people are left handed?", [(P["W.Hnd"] == "Left").sum()], id="left-handed"),
        pytest.param(
            "How many men are not right handed?", [(~WOMEN & (P["W.Hnd"] != "Right")).sum()], id="not-right-handed"
        ),
        pytest.param("How many people did not give their height?", [P["Height"].isna().sum()], id="did-not-give"),
        pytest.param("How many people are published by a society?", [8], id="verb-before-a-flag"),
        pytest.param(
            "What is the average height of people who exercise frequently?",
            [P[P["Exer"] == "Freq"]["Height"].mean()],
            id="value-that-begins-a-word",
        ),
        pytest.param(
            "Do married people have a better height than the ones who are not married?",
            [P[MARRIED]["Height"].mean(), P[~MARRIED]["Height"].mean()],
            id="the-ones-who-are-not",
        ),
        pytest.param("How many people are there by exer?", ["None", "6"], id="none-is-a-category"),
        pytest.param(
            "What share of women taller than 160 are married?",
            [share(MARRIED, WOMEN & (P["Height"] > 160))],
            id="share-of-women-with-a-limit",
        ),
        pytest.param(
            "What share of people with W.Hnd Left have a height above 160?",
            [share(P["Height"] > 160, P["W.Hnd"] == "Left")],
            id="share-with-a-limit",
        ),
        pytest.param(
            "Which exer has the highest share of married people?",
            [*(share(MARRIED, P["Exer"] == value) for value in ("Freq", "Some", "None"))],
            id="highest-share",
        ),
        pytest.param("How many men aged 30 or older are there?", [((P["Age"] >= 30) & ~WOMEN).sum()], id="or-older"),
        pytest.param("How many women over 25 are there?", [((P["Age"] > 25) & WOMEN).sum()], id="women-over"),
        pytest.param(
            "How many people are older than 25 and have a height above 160?",
            [((P["Age"] > 25) & (P["Height"] > 160)).sum()],
            id="two-limits",
        ),
        pytest.param("Which people have no height?", ["5 rows"], id="rows-without-a-value"),
        pytest.param("How many yes denied people are there?", [6], id="yes-before-a-flag"),
        pytest.param("How many people died?", [6], id="died"),
        pytest.param(
            "What is the average age of people without insurance?",
            [P[P["insurance"] == "No"]["Age"].mean()],
            id="average-is-no-value",
        ),
    ],
)
def test_people(people: Path, question: str, values: list[object]) -> None:
    check(people, question, values)


@pytest.mark.parametrize(
    "question",
    [
        pytest.param("How many French firms have sales above 150?", id="no-such-country"),
        pytest.param("What is the average founding year and sales by line?", id="a-year-is-no-measure"),
    ],
)
def test_what_is_not_clear_of_firms_is_refused(firms: Path, question: str) -> None:
    assert isinstance(planned(firms, question), Refusal)


@pytest.mark.parametrize(
    "question",
    [
        pytest.param("How many people never exercise?", id="never-is-of-another-column"),
        pytest.param("How many are left?", id="a-value-of-two-columns"),
    ],
)
def test_what_is_not_clear_of_people_is_refused(people: Path, question: str) -> None:
    assert isinstance(planned(people, question), Refusal)


SALES = pd.DataFrame(
    {
        "order_id": range(1, 13),
        "shop": ["North", "South", "Hill"] * 4,
        "returned": ["yes", "no", "no", "no"] * 3,
        "shipped": ["yes", "yes", "no"] * 4,
        "price": [10.5 * n for n in range(12)],
        "price2": [100.5 - n for n in range(12)],
        "rate": [0.1 * n for n in range(12)],
        "red_cards": [n % 3 for n in range(12)],
        "gift": ["None", "bow", "card"] * 4,
        "count": [7 + n for n in range(12)],
    }
)
RETURNED, SHIPPED = SALES["returned"] == "yes", SALES["shipped"] == "yes"


@pytest.fixture
def sales(tmp_path: Path) -> Path:
    SALES.to_csv(tmp_path / "sales.csv", index=False)
    return tmp_path


@pytest.mark.parametrize(
    ("question", "values"),
    [
        pytest.param("What share of the shipped orders were returned?", [share(RETURNED, SHIPPED)], id="orders-no-ids"),
        pytest.param("Of the shipped orders, what share were returned?", [share(RETURNED, SHIPPED)], id="of-first"),
        pytest.param("Which shop has the most orders?", ["each have", "**4**"], id="most-orders-no-ids"),
        pytest.param("Top 2 orders by price", ["115.50", "105"], id="2-is-no-price2"),
        pytest.param("How many red cards were there in total?", [12], id="a-name-written-apart"),
        pytest.param("How many orders have red cards?", [8], id="have"),
        pytest.param("Count the orders by shop", ["| North | 4 |"], id="count-is-a-verb"),
        pytest.param("How many orders have no gift?", [4], id="no-is-none"),
        pytest.param(
            "In how many orders was there a higher price than price2?",
            [(SALES["price"] > SALES["price2"]).sum()],
            id="higher-than",
        ),
        pytest.param("Which shop has the highest share of shipped orders?", ["North and South"], id="ties"),
    ],
)
def test_sales(sales: Path, question: str, values: list[object]) -> None:
    check(sales, question, values)


@pytest.mark.parametrize(
    "question",
    [
        pytest.param("What share of the orders that were shipped were returned?", id="whole-or-part"),
        pytest.param("Which shops have no returned orders?", id="none-of-a-group"),
        pytest.param("How many shops have no returned orders?", id="number-of-groups-with-none"),
        pytest.param("How many shops have a price above 50?", id="limit-of-a-group"),
        pytest.param("Which shop has the highest returned rate?", id="two-rates"),
        pytest.param("Which shop has the most price per red cards?", id="per"),
        pytest.param("How many orders have a gift?", id="not-accounted"),
        pytest.param("", id="empty"),
        pytest.param("?", id="no-word"),
    ],
)
def test_what_is_not_clear_of_sales_is_refused(sales: Path, question: str) -> None:
    assert isinstance(planned(sales, question), Refusal)


def test_a_question_without_words_about_documents_and_data_ends() -> None:
    passages = [Passage(file_id="x", filename="Sales_2020_Report.pdf", text="Sales rose.", score=0.8)]

    assert QuestionTerms.of("(((?").about(passages).own == ()


def test_an_answer_says_of_how_many_rows_it_is(firms: Path) -> None:
    what = planned(firms, "What is the average sales of the Japanese firms?")
    assert isinstance(what, Plan)
    logs = run(analysis_code(what), firms)

    say = say_results(what, Ran(code="", logs=logs, files=(), failed=False))

    assert "Computed from firms.csv (6 of 24 rows)" in say.text
