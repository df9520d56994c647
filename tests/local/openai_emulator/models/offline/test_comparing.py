"""Comparisons: decades, limits at the figure of a row, columns that are siblings, two columns of yes and no."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from local.openai_emulator.models.offline.data.ask import Refusal
from tests.local.openai_emulator.models.offline.test_reading import planned
from tests.local.openai_emulator.models.offline.test_wordings import check

PAIRS = pd.DataFrame(
    {
        "film": [f"Story {n:02d}" for n in range(60)],
        "release_year": [1955 + n for n in range(60)],
        "actor_1": ["Ann Ames", "Bob Bird", "Cid Cole"] * 20,
        "actor_2": ["Dora Dee", "Ann Ames", "Eli East", "Fay Foss"] * 15,
        "role_1_gender": ["woman", "man", "man"] * 20,
        "role_2_gender": ["man", "woman", "woman", "man"] * 15,
        "gap": [(n * 7) % 23 for n in range(60)],
        "actor_1_birthdate": [f"{1920 + n}-03-{1 + n % 28:02d}" for n in range(60)],
    }
)
PLACES = pd.DataFrame(
    {
        "town": [*(f"Town {letter}" for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"), "Ulm", "Ulm", "Rome", "Oslo"],
        "country": ["Italy", "Norway", "Germany"] * 10,
        "rent": [400 + (n * 137) % 900 for n in range(30)],
        "temperature": [5.0 + (n * 3.7) % 21 for n in range(30)],
        "pool": ["Yes", "No", "No"] * 10,
        "garden": ["No", "Yes"] * 15,
    }
)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    PAIRS.to_csv(tmp_path / "films.csv", index=False)
    return tmp_path


@pytest.fixture
def places(tmp_path: Path) -> Path:
    PLACES.to_csv(tmp_path / "places.csv", index=False)
    return tmp_path


A, B = PAIRS, PLACES
DECADE = A.release_year // 10 * 10


@pytest.mark.parametrize(
    ("question", "values"),
    [
        ("number of films per decade", ["| 1950s | 5 |", "| 2010s | 5 |"]),
        ("average gap by decade", [*A.groupby(DECADE).gap.mean()]),
        ("How many films in the 1990s (1990 to 1999)?", [f"{(DECADE == 1990).sum()} rows"]),
        ("What is the average gap in the 80s?", [A.gap[DECADE == 1980].mean()]),
        ("average gap in the 1960s vs the 2000s", [A.gap[DECADE == 1960].mean(), A.gap[DECADE == 2000].mean()]),
        ("Was the gap larger in the 1960s or in the 1970s on average?", [A.gap[DECADE == 1960].mean()]),
        ("number of films in the 1970s, 80s and 90s", ["30 rows", "| 1970s | 10 |", "| 1990s | 10 |"]),
        ("How many films before the 1970s?", ["**15 rows"]),
        ("How many films from the 1970s to the 1990s?", ["**30 rows"]),
        ("which decade had the highest average gap?", [A.groupby(DECADE).gap.mean().max()]),
    ],
)
def test_decades_are_conditions_and_groups(pairs: Path, question: str, values: list[object]) -> None:
    check(pairs, question, values)


@pytest.mark.parametrize(
    "question",
    [
        "How many films in the early 1990s?",
        "How many people are in their 20s?",
        "How many films have a gap in the 20s?",
        "How many films in the 1990s (1985 to 1999)?",
        "How many films until the 1990s?",
    ],
)
def test_what_may_be_no_decade_is_refused(pairs: Path, question: str) -> None:
    assert isinstance(planned(pairs, question), Refusal)


@pytest.mark.parametrize(
    ("question", "rows"),
    [
        ("How many towns have a higher rent than Rome?", B.rent > B.rent[28]),
        ("How many towns are hotter than Oslo?", B.temperature > B.temperature[29]),
        ("How many towns have a rent below that of Oslo?", B.rent < B.rent[29]),
        ("How many towns in Italy have a lower rent than Oslo?", (B.country == "Italy") & (B.rent < B.rent[29])),
        ("How many towns have a rent above the average?", B.rent > B.rent.mean()),
        ("How many towns have a temperature below the median?", B.temperature < B.temperature.median()),
        (
            "How many towns have a higher rent than Rome but a temperature under 20?",
            (B.rent > B.rent[28]) & (B.temperature < 20),
        ),
        ("How many towns have a rent above 600 but a temperature under 15?", (B.rent > 600) & (B.temperature < 15)),
    ],
)
def test_a_limit_can_be_the_figure_of_a_row_or_of_all(places: Path, question: str, rows: pd.Series) -> None:
    check(places, question, [f"**{rows.sum()} row"])


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ("How many towns have a higher rent than Ulm?", "may be several"),
        ("How many towns have a higher rent than Rome and Oslo?", "may be several"),
        ("How many towns in Italy have a rent above the average?", "of which rows the average is meant"),
        ("Which countries have a rent above the average?", "of which rows the average is meant"),
        ("How many towns have a rent above the average of their country?", ""),
        ("How many towns have twice the rent of Rome?", ""),
    ],
)
def test_a_limit_of_which_it_is_not_clear_what_it_is_is_refused(places: Path, question: str, reason: str) -> None:
    refused = planned(places, question)
    assert isinstance(refused, Refusal) and reason in refused.text()


WITH_ANN = (A.actor_1 == "Ann Ames") | (A.actor_2 == "Ann Ames")
SAME = A.role_1_gender == A.role_2_gender


@pytest.mark.parametrize(
    ("question", "values"),
    [
        ("How many films with Ann Ames are there?", [f"**{WITH_ANN.sum()} rows"]),
        ("average gap of films with Ann Ames", [A.gap[WITH_ANN].mean()]),
        (
            "How many films have a man in them?",
            [f"**{((A.role_1_gender == 'man') | (A.role_2_gender == 'man')).sum()}"],
        ),
        ("In how many films are both men?", [f"**{((A.role_1_gender == 'man') & (A.role_2_gender == 'man')).sum()}"]),
        ("How many films have the first actor Ann Ames?", [f"**{(A.actor_1 == 'Ann Ames').sum()} rows"]),
        ("How many films are of the same gender?", [f"**{SAME.sum()} rows"]),
        ("How many films have different genders?", [f"**{(~SAME).sum()} rows"]),
    ],
)
def test_a_value_can_be_in_any_of_several_columns(pairs: Path, question: str, values: list[object]) -> None:
    check(pairs, question, values)


@pytest.mark.parametrize(
    "question",
    [
        "How many films with Ann Ames and Dora Dee are there?",
        "How many films without Ann Ames are there?",
        "What is the average gap of Ann Ames?",
        "How many films did Ann Ames make?",
        "How many different genders are there?",
        "How many films have the same director?",
    ],
)
def test_a_value_of_several_columns_that_is_not_clear_is_refused(pairs: Path, question: str) -> None:
    assert isinstance(planned(pairs, question), Refusal)


POOL, GARDEN = B.pool == "Yes", B.garden == "Yes"
SOLD = pd.DataFrame({"sold_on": [f"{2020 + n % 3}-{1 + n % 12:02d}-{1 + n % 28:02d}" for n in range(60)]})
SOLD["price"] = [100 + (n * 31) % 57 for n in range(60)]
YEAR = pd.to_datetime(SOLD.sold_on).dt.year


@pytest.mark.parametrize(
    ("question", "values"),
    [
        ("average rent of pool towns versus garden towns", [B.rent[POOL].mean(), B.rent[GARDEN].mean(), "5 rows"]),
        ("Is the rent higher for towns with a pool than for towns with a garden?", [B.rent[GARDEN].mean()]),
        ("average rent with and without a pool", [B.rent[POOL].mean(), B.rent[~POOL].mean()]),
        ("average rent of towns with a pool and a garden", [B.rent[POOL & GARDEN].mean()]),
    ],
)
def test_two_columns_of_yes_and_no_are_compared(places: Path, question: str, values: list[object]) -> None:
    check(places, question, values)


@pytest.mark.parametrize(
    ("question", "values"),
    [
        ("average price 2020 vs. 2022", [SOLD.price[YEAR == 2020].mean(), SOLD.price[YEAR == 2022].mean()]),
        ("How did the average price change over the years? 2020 vs 2022", [SOLD.price[YEAR == 2020].mean()]),
        ("Was the average price higher in 2020 or in 2021?", [SOLD.price[YEAR == 2021].mean()]),
    ],
)
def test_two_years_are_compared(tmp_path: Path, question: str, values: list[object]) -> None:
    SOLD.to_csv(tmp_path / "sold.csv", index=False)
    check(tmp_path, question, values)
