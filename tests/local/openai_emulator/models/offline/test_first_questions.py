"""What first-time users asked of new tables: the values are computed with pandas, or the question is refused."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pandas as pd
import pytest

from local.openai_emulator.models.offline.data.ask import Plan, Refusal
from local.openai_emulator.models.offline.data.spelling import spelt
from local.openai_emulator.models.offline.data.table import Column, Table
from tests.local.openai_emulator.models.offline.test_reading import planned
from tests.local.openai_emulator.models.offline.test_wordings import check

_GROUPS = list(product(["Married", "Unmarried", "Widow"], ["City", "Country"], ["low", "middle", "high"]))
CASES = pd.DataFrame(_GROUPS, columns=["Status", "Place", "Drinks"]).assign(Freq=[3 * n + 2 for n in range(18)])
ANIMALS = pd.DataFrame(
    {
        "name": [f"{kind} {n}" for n, kind in enumerate(["Dog", "Cow", "Horse", "Cat", "Sheep"] * 5)],
        "vore": ["carni", "herbi", "omni", "insecti", "herbi"] * 5,
        "tagged": ["yes", "no", "no", "yes", "no"] * 5,
        "ski": ["no", "no", "yes", "no", "yes"] * 5,
        "sleep_total": [4 + n % 9 for n in range(25)],
        "weight": [2.5 * n * (n % 7) for n in range(25)],
        "age": [1 + n % 11 for n in range(25)],
        "death": [int(n % 4 == 0) for n in range(25)],
        "state": ["Calif", "Nevada", "Utah", "Calif", "Oregon"] * 5,
        "stage": [1 + n % 4 for n in range(25)],
        "year": [1990 + n for n in range(25)],
        "visits": [n * n % 17 for n in range(25)],
        "MPG.city": [20 + n % 13 for n in range(25)],
        "MPG.road": [30 + n % 12 for n in range(25)],
        "SATM": [400 + 3 * n for n in range(25)],
        "SATV": [470 - 2 * n for n in range(25)],
        "lotsize": [300 + 40 * (n % 8) for n in range(25)],
        "bathrms": [1 + n % 3 for n in range(25)],
        "price.acme": [1.5 + n % 5 for n in range(25)],
        "price.best": [2.5 + n % 4 for n in range(25)],
        "brand": ["acme", "best", "acme", "best", "acme"] * 5,
        "code": [f"{n}a" if n % 6 == 0 else f"{n}" for n in range(25)],
    }
)
C, A = CASES, ANIMALS


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    CASES.to_csv(tmp_path / "cases.csv", index=False)
    return tmp_path


@pytest.fixture
def animals(tmp_path: Path) -> Path:
    ANIMALS.to_csv(tmp_path / "animals.csv", index=False)
    return tmp_path


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.2f} %"


_LOW = C.Drinks == "low"
_ALONE = C[(C.Status == "Unmarried") & (C.Place == "Country")].Freq.sum()
_LONG_SLEEP = int(((A.vore == "carni") & (A.sleep_total > 8)).sum())
_OLDEST = [f"**{A.groupby('stage').age.mean().idxmax()}**"]
_OLDEST_2 = [f"**{A[A.stage == 2].groupby('vore').age.mean().idxmax()}**"]


@pytest.mark.parametrize(
    ("question", "values"),
    [
        pytest.param("How many people are married?", [C[C.Status == "Married"].Freq.sum()], id="count"),
        pytest.param("How many people are there by drinks?", list(C.groupby("Drinks").Freq.sum()), id="by-group"),
        pytest.param(
            "How many unmaried people live in the country?",
            [C[(C.Status == "Unmarried") & (C.Place == "Country")].Freq.sum()],
            id="misspelt",
        ),
        pytest.param("How many rows are married?", [6], id="rows-are-rows"),
        pytest.param(
            "What percentage of the people is married?",
            [_percent(C[C.Status == "Married"].Freq.sum(), C.Freq.sum())],
            id="share",
        ),
        pytest.param(
            "Compare the percentage of people with low drinks among the married and the unmarried",
            [
                _percent(C[(C.Status == status) & _LOW].Freq.sum(), C[C.Status == status].Freq.sum())
                for status in ("Married", "Unmarried")
            ],
            id="share-by-group",
        ),
        pytest.param(
            "What is the percentage of people with low drinks among the widows?",
            [_percent(C[(C.Status == "Widow") & _LOW].Freq.sum(), C[C.Status == "Widow"].Freq.sum())],
            id="among",
        ),
    ],
)
def test_a_frequency_table_counts_cases(cases: Path, question: str, values: list[object]):
    check(cases, question, values)


@pytest.mark.parametrize(
    ("question", "values"),
    [
        pytest.param(
            "How many carnivores sleep longer than 8 hours?",
            [int(((A.vore == "carni") & (A.sleep_total > 8)).sum())],
            id="abbreviated",
        ),
        pytest.param("How many animals are tagged?", [int((A.tagged == "yes").sum())], id="noun-near-a-value"),
        pytest.param("How many skiers are older than 5?", [int(((A.ski == "yes") & (A.age > 5)).sum())], id="doer"),
        pytest.param("Whats the averge age?", [A.age.mean()], id="spelling"),
        pytest.param("What is the average of miles per gallon in the city?", [A["MPG.city"].mean()], id="initials"),
        pytest.param("What is the average verbal SAT score?", [A.SATV.mean()], id="name-with-an-initial"),
        pytest.param("What is the median size of the lots?", [A.lotsize.median()], id="turned-name"),
        pytest.param("What is the average number of bathrooms?", [A.bathrms.mean()], id="dropped-vowels"),
        pytest.param("What is the average price of acme?", [A["price.acme"].mean()], id="wide-table"),
        pytest.param("Compare the average age of stage 1 and stage 4", [A[A.stage == 1].age.mean()], id="two-numbers"),
        pytest.param(
            "How many animals are in stage 1, 2 or 3?", [int((A.stage == n).sum()) for n in (1, 2, 3)], id="list"
        ),
        pytest.param("Which stage has the highest average age?", _OLDEST, id="group"),
        pytest.param(
            "How old is the animal with the highest weight?",
            [f"age **{A.age[A.weight.idxmax()]}**"],
            id="cell-of-the-highest",
        ),
        pytest.param(
            "In stage 2, which vore has the highest average age?",
            [f"**{A[A.stage == 2].groupby('vore').age.mean().idxmax()}**"],
            id="lead",
        ),
        pytest.param("How many different values of code are there?", ["25"], id="codes-are-text"),
        pytest.param(
            "Do tagged animals have more visits than those without? I mean on average",
            [A.groupby("tagged").visits.mean()["yes"]],
            id="those-without",
        ),
        pytest.param("Do heavier animals sleep less? Give me the correlation", ["-0.127"], id="comparative"),
        pytest.param("Are any visits missing?", ["**0**"], id="none-missing"),
        pytest.param(
            "How many tagged animals are in stage 1 and how many in stage 2?",
            [f"**{int(((A.tagged == 'yes') & (A.stage == n)).sum())} rows" for n in (1, 2)],
            id="left-unsaid",
        ),
        pytest.param("How many animals have 2 bathrooms or more?", [int((A.bathrms >= 2).sum())], id="or-more"),
        pytest.param("How many animals have 3+ bathrooms?", [int((A.bathrms >= 3).sum())], id="plus"),
        pytest.param(
            "In stage 2, what is the average age and what is the average weight?",
            [A[A.stage == 2].age.mean(), A[A.stage == 2].weight.mean()],
            id="lead-of-two",
        ),
        pytest.param(
            "How many tagged animals are in stage 1 and how many are in stage 1 in total?",
            [int(((A.tagged == "yes") & (A.stage == 1)).sum()), int((A.stage == 1).sum())],
            id="in-total",
        ),
        pytest.param(
            "How many animals are in stage 1, 2, or 4?", [int((A.stage == n).sum()) for n in (1, 2, 4)], id="comma"
        ),
        pytest.param("Which stage occurs most often?", ["**1** (7 rows)"], id="most-often"),
        pytest.param("How many animals had death 1?", [int(A.death.sum())], id="flag-as-number"),
        pytest.param("What is the average of visits in California?", [A[A.state == "Calif"].visits.mean()], id="state"),
    ],
)
def test_first_questions(animals: Path, question: str, values: list[object]):
    check(animals, question, values)


def test_years_of_two_digits(tmp_path: Path):
    prices = pd.DataFrame(
        {"state": [1, 2] * 12, "year": [63 + n // 2 for n in range(24)], "price": [3 * n for n in range(24)]}
    )
    prices.to_csv(tmp_path / "prices.csv", index=False)

    check(tmp_path, "What was the average price in 1966?", [prices[prices.year == 66].price.mean()])
    check(tmp_path, "How did the average price change between 1963 and 1970?", ["1.50", "43.50"])


@pytest.mark.parametrize(
    "question",
    [
        pytest.param("Do tagged animals have a lower net weight than untagged ones?", id="word-before-than"),
        pytest.param("Do tagged omnivores that ski weigh more than those without?", id="without-which"),
        pytest.param("How many tagged animals are in stage 1 and how many animals came in stage 2?", id="which-rows"),
        pytest.param("What share of the animals is within 5 visits?", id="within"),
        pytest.param("How many animals don't have a stage of 1 or 2?", id="denied-list"),
        pytest.param("When was the worst year?", id="year-as-measure"),
        pytest.param("How many robberies were there for Dog 0?", id="count-of-one-row"),
        pytest.param("Which vore has the most age and visits?", id="two-measures"),
        pytest.param("How many tagged animals and how many untagged animals visits?", id="first-without-verb"),
        pytest.param("What percentage of the carnivores visits?", id="share-of-rows-or-of-a-measure"),
        pytest.param("How many different patients are in stage 1?", id="different-what"),
        pytest.param("What is the highest average age?", id="average-of-no-group"),
    ],
)
def test_unclear_first_questions_are_refused(animals: Path, question: str):
    assert isinstance(planned(animals, question), Refusal)


@pytest.mark.parametrize(
    "question",
    [
        pytest.param("How many classes are in the city?", id="what-a-row-stands-for"),
        pytest.param("Is low more common in the city than in the country?", id="comparison"),
        pytest.param("How many parents are married?", id="some-of-the-people"),
    ],
)
def test_unclear_questions_about_a_frequency_table_are_refused(cases: Path, question: str):
    assert isinstance(planned(cases, question), Refusal)


def test_a_follow_up_about_two_measures_is_no_error(animals: Path):
    earlier = "What is the average age and weight?"

    assert isinstance(planned(animals, "And which of them is the highest by far?", earlier), Plan | Refusal)


@pytest.mark.parametrize(
    ("question", "written"),
    [
        ("whats the corelation?", "what's the correlation?"),
        ("How many dont pay?", "How many don't pay?"),
        ("the averge of marketng", "the average of marketing"),
        ("the average of Marketng", "the average of Marketng"),
        ("the average of Marketing", "the average of Marketing"),
        ("the averages of Cordination", "the averages of Cordination"),  # no known word is one edit away
    ],
)
def test_spelling(question: str, written: str):
    column = Column(name="department", kind="text", unique=2, values=("Marketing", "Sales"))
    table = Table(filename="staff.csv", rows=9, columns=(column,))

    assert spelt(question, table) == written
