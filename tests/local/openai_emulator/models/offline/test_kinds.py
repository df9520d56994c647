"""Derived columns, regression, what a question states about its method, and words for rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats  # type: ignore[import-untyped]

from local.openai_emulator.models.offline.data.ask import Refusal
from local.openai_emulator.models.offline.data.stated import level_of, rules_of, verdict_of
from tests.local.openai_emulator.models.offline.test_reading import answered, planned

RULES = """\
Is there a relationship between rooms and rent? Report the p-value.
Consider the relationship to be linear if the p-value is less than 0.05 and the absolute value of r is greater than or
equal to 0.9. Consider the relationship to be nonlinear if the p-value is less than 0.05 and the absolute value of r is
less than 0.9. If the p-value is greater than or equal to 0.05, report that there is no significant correlation.
"""


@pytest.fixture
def flats() -> pd.DataFrame:
    random = np.random.RandomState(5)
    rooms = random.randint(1, 6, 40)
    rent = 300 * rooms + random.normal(0, 120, 40).round()
    kind = np.where(random.rand(40) > 0.5, "loft", "studio")
    return pd.DataFrame(
        {"flat": range(1, 41), "rooms": rooms, "rent": rent, "bldgAge": random.randint(1, 90, 40), "kind": kind}
    )


@pytest.fixture
def folder(tmp_path: Path, flats: pd.DataFrame) -> Path:
    flats.to_csv(tmp_path / "flats.csv", index=False)
    return tmp_path


@pytest.mark.parametrize(
    ("question", "computed"),
    [
        ("What is the average ratio of rent to rooms?", lambda t: (t.rent / t.rooms).mean()),
        ("What is the mean difference between rent and rooms?", lambda t: (t.rent - t.rooms).mean()),
        (
            'Create a new column called "per_room" by dividing rent by rooms. Calculate the mean of "per_room".',
            lambda t: (t.rent / t.rooms).mean(),
        ),
        (
            "Apply a log transformation to rent. Calculate the standard deviation of the transformed rent column.",
            lambda t: np.log(t.rent).std(),
        ),
        (
            'Create a new feature named "step" as the percentage change in rent. What is the median of "step"?',
            lambda t: 100 * t.rent.pct_change().median(),
        ),
    ],
)
def test_a_column_that_the_question_derives_is_computed(
    folder: Path, flats: pd.DataFrame, question: str, computed
) -> None:
    text = answered(folder, question)
    value = computed(flats)
    assert (f"{value:,.2f}" if abs(value) >= 0.1 else f"{value:.4f}") in text


def test_a_derived_column_is_explained_in_the_reading(folder: Path) -> None:
    assert "`rent / rooms`: the ratio of `rent` to `rooms`" in answered(
        folder, "What is the average ratio of rent to rooms?"
    )


def test_gaps_are_filled_before_the_figure(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("name,speed\na,10\nb,\nc,40\nd,\n")
    question = "Fill the missing values of speed with zero. What is the mean of speed?"
    assert "12.50" in answered(tmp_path, question)


def test_a_derivation_under_a_condition_is_refused(folder: Path) -> None:
    question = "If the data is skewed, apply a log transformation to rent. What is the mean of the transformed rent?"
    assert isinstance(planned(folder, question), Refusal)


def test_a_regression_splits_and_fits_as_asked(folder: Path, flats: pd.DataFrame) -> None:
    question = (
        "Train a linear regression model to predict rent based on rooms and bldgAge. "
        "Use a 70% training set and a 30% test set with a random state of 42. Report the RMSE."
    )
    order = np.random.RandomState(42).permutation(40)
    test, train = flats.iloc[order[:12]], flats.iloc[order[12:]]

    def x(part: pd.DataFrame) -> np.ndarray:
        return np.column_stack([np.ones(len(part)), part[["rooms", "bldgAge"]]])

    weights = np.linalg.lstsq(x(train), train.rent, rcond=None)[0]
    rmse = float(np.sqrt(((test.rent - x(test) @ weights) ** 2).mean()))
    text = answered(folder, question)
    assert f"RMSE **{rmse:.2f}**" in text
    assert "on the 12 rows for the test (28 for training)" in text


@pytest.mark.parametrize(
    "question",
    [
        "Train a linear regression model to predict rent based on rooms with a 70% training set and a 30% test set.",
        "Fit a random forest regression to predict rent based on rooms.",
        "Predict rent from kind with a linear regression.",
    ],
)
def test_a_model_that_is_not_there_or_by_chance_is_refused(folder: Path, question: str) -> None:
    assert isinstance(planned(folder, question), Refusal)


def test_the_verdict_follows_the_rules_in_the_question(folder: Path, flats: pd.DataFrame) -> None:
    r, p = stats.pearsonr(flats.rooms, flats.rent)
    text = answered(folder, RULES)
    assert f"r = **{r:.3f}**" in text
    assert f"**{'linear' if abs(r) >= 0.9 and p < 0.05 else 'nonlinear'}**" in text


def test_rules_are_read_and_applied_in_order() -> None:
    rules = rules_of(RULES)
    assert [name for name, _ in rules] == ["linear", "nonlinear"]
    assert verdict_of(rules, {"p": 0.001, "r": -0.95, "|r|": 0.95}) == "linear"
    assert verdict_of(rules, {"p": 0.001, "r": 0.2, "|r|": 0.2}) == "nonlinear"
    assert verdict_of(rules, {"p": 0.5, "r": 0.2, "|r|": 0.2}) == "none"
    assert verdict_of((), {"p": 0.5}) == ""


def test_the_level_of_significance_is_that_of_the_question() -> None:
    assert level_of("Use a significance level (alpha) of 0.01.") == 0.01
    assert level_of("Test it at the 10% significance level") == 0.1
    assert level_of("Is it significant?") == 0.05


def test_figures_have_the_decimal_places_asked_for(folder: Path, flats: pd.DataFrame) -> None:
    text = answered(folder, "What is the standard deviation of rent? Round to four decimal places.")
    assert f"**{flats.rent.std():,.4f}**" in text


def test_words_before_a_column_in_brackets_mean_the_column(folder: Path, flats: pd.DataFrame) -> None:
    text = answered(folder, "What is the average tenure (bldgAge)?")
    assert f"**{flats.bldgAge.mean():,.2f}**" in text


def test_a_glued_name_is_read_from_its_words(tmp_path: Path) -> None:
    (tmp_path / "trips.csv").write_text("Wclass,fare,tailwt,cty\n1,90,5,7\n2,40,3,9\n1,110,4,8\n")
    assert "| 1 | 100 |" in answered(tmp_path, "What is the average fare by wagon class?")
    assert "**4**" in answered(tmp_path, "What is the average tail weight?")
    assert "**8**" in answered(tmp_path, "What is the average city?")


def test_words_for_rows_fit_the_table_or_are_refused(tmp_path: Path) -> None:
    cars = "maker,model,horsepower,fuel\nA,x,100,petrol\nB,y,90,diesel\nC,z,70,petrol\n"
    (tmp_path / "garage.csv").write_text(cars)
    assert "**3 rows" in answered(tmp_path, "How many cars are there?")
    assert isinstance(planned(tmp_path, "How many patients are there?"), Refusal)


@pytest.mark.parametrize("header", ["", "rownames", "Row Names"])
def test_the_noun_after_which_is_what_a_column_without_a_name_holds(tmp_path: Path, header: str) -> None:
    (tmp_path / "t.csv").write_text(f"{header},prestige,kind\nminers,20,bc\nlawyers,87,prof\nbakers,38,bc\n")
    answer = answered(tmp_path, "Which occupation has the highest prestige?")
    assert "taken as the occupation" in answer
    assert "lawyers" in answer
    for other in (
        "Which occupation is a bc?",
        "What is the highest prestige of an occupation?",
        "Which occupation has the highest average prestige?",
        "Which type has the highest prestige?",
        "Which sector has the highest prestige?",
        "Which month has the highest prestige?",
        "Which country has the highest prestige?",
    ):
        assert isinstance(planned(tmp_path, other), Refusal), other


def test_the_noun_after_which_is_no_column_with_another_name(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("surname,prestige\nMiner,20\nLawson,87\nBaker,38\n")
    assert isinstance(planned(tmp_path, "Which occupation has the highest prestige?"), Refusal)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What is the average heat in July?", "**30**"),
        ("Compare the average heat of 2019 and 2021", "| 2019 | 25 |"),
        ("On how many days was the heat above 29?", "**2 rows"),
        ("How many rows have no cloud value?", "**1**"),
        ("Does heat affect cloud?", "Pearson correlation"),
        ("What is the average heat of the NNWs?", "**25**"),
        ("What is the average heat of north and south?", "| south | 30 |"),
    ],
)
def test_conditions_of_numbers_and_short_values(tmp_path: Path, question: str, expected: str) -> None:
    rows = "year,month,day,side,gust,heat,cloud\n2019,6,1,north,NNW,20,1\n2019,7,2,south,SSE,30,4\n"
    rows += "2021,7,3,south,NNW,30,\n2021,8,4,north,SSE,26,5\n"
    (tmp_path / "weather.csv").write_text(rows)
    assert expected in answered(tmp_path, question)


MONTHS = "month,revenue\n2025-09-01,1000000\n2025-10-01,1200000\n2025-11-01,1500000\n2025-12-01,1400000\n"


@pytest.mark.parametrize(
    ("question", "expected", "absent"),
    [
        ("How did the revenue develop?", "in November 2025", "1 November"),
        ("What is the average revenue by month?", "| October 2025 | 1,200,000 |", "Average revenue by"),
        ("What is the average revenue per month?", "**1,275,000**", "|"),
        ("What was the revenue in October 2025?", "The revenue in October 2025 is **1,200,000**.", "values"),
    ],
)
def test_a_table_of_months_is_told_by_months(tmp_path: Path, question: str, expected: str, absent: str) -> None:
    (tmp_path / "sales.csv").write_text(MONTHS)
    text = answered(tmp_path, question)
    assert expected in text
    assert absent not in text


def test_comparatives_compare_groups(tmp_path: Path) -> None:
    (tmp_path / "zoo.csv").write_text("name,sex,weight\nA,male,10\nB,female,6\nC,male,12\nD,female,8\n")
    text = answered(tmp_path, "Are males heavier than females?")
    assert "Comparison: Average of `weight` by `sex`" in text
    assert "male is 57.14 % above female" in text
