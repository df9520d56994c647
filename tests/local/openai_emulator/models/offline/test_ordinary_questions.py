"""Ordinary questions about tables of planets, employees and weather: computed with pandas, or refused."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from local.openai_emulator.models.offline.data.ask import Refusal
from tests.local.openai_emulator.models.offline.test_reading import planned
from tests.local.openai_emulator.models.offline.test_wordings import check

DAYS = pd.date_range("2012-01-01", periods=900, freq="D")
PLANETS = pd.DataFrame(
    {
        "method": ["Transit", "Radial Velocity", "Imaging", "Transit", "Radial Velocity", "Transit"] * 10,
        "mass_kg": [1.5 + n % 7 for n in range(60)],
        "distance": [10.0 + 3 * (n % 13) for n in range(60)],
        "year": [2004 + n % 9 for n in range(60)],
        "observatory": [f"Site {n % 20} {'North' if n % 3 else 'South'}" for n in range(60)],
        "share_water": [(n % 10) / 10 for n in range(60)],
    }
)
WEATHER = pd.DataFrame(
    {
        "date": DAYS.strftime("%Y/%m/%d"),
        "precipitation": [(n * 7) % 23 / 2 for n in range(900)],
        "temp_max": [5 + (n * 3) % 31 for n in range(900)],
        "temp_min": [(n * 3) % 31 - 6 for n in range(900)],
        "weather": ["sun", "rain", "fog", "sun", "snow"] * 180,
    }
)
PEOPLE = pd.DataFrame(
    {
        "full_name": [
            f"{first} {last}" for last in ("Smith", "Nadal", "Chang", "Meyer") for first in ("Ann", "Bob", "Eva")
        ],
        "age": [16 + 3 * n for n in range(12)],
        "gender": ["female", "male", "female"] * 4,
        "home": ["TX", "FL", "NY"] * 4,
        "survived": [1, 0, 1, 0, 0, 1, 1, 0, 1, 1, 0, 0],
        "insured": [10.0 + n for n in range(12)],
        "treated": [2.0 + n % 5 for n in range(12)],
        "phone": ["1"] * 9 + [None] * 3,
    }
)
SALES = pd.DataFrame(
    [
        (site, year, 10 * at + (year - 2018) * (7 - 4 * at))
        for at, site in enumerate("ABCD", 1)
        for year in (2018, 2019, 2020)
    ],
    columns=["site", "year", "yield"],
)
STAFF = pd.DataFrame(
    {
        "employee_id": range(2001, 2041),
        "department": ["HR", "Sales", "Sales", "Engineering"] * 10,
        "country": ["USA", "France", "USA", "Spain", "France"] * 8,
        "salary": [30_000 + 700 * n for n in range(40)],
        "overtime_hours": [n % 9 for n in range(40)],
        "remote": ["yes" if n % 3 else "no" for n in range(40)],
        "lives_from": ["York", "Hull", "Leeds", "York"] * 10,
        "moved_to": ["Leeds", "York", "York", "Hull"] * 10,
        "comment": [None if n % 4 == 0 else f"text {n % 5}" for n in range(40)],
        "hired": [f"{1 + n % 12}/{13 + n % 9}/{70 if n % 2 else 24}" for n in range(40)],
    }
)
FRAMES = {"staff": STAFF, "planets": PLANETS, "weather": WEATHER, "people": PEOPLE, "sales": SALES}
P, W, N, S = PLANETS, WEATHER, PEOPLE, SALES


def _folder(tmp_path: Path, table: str) -> Path:
    FRAMES[table].to_csv(tmp_path / f"{table}.csv", index=False)
    return tmp_path


def _of(frame: pd.DataFrame, year: int) -> pd.Series:
    return frame[frame.year == year].groupby("site")["yield"].mean()


_LATE = P[P.year >= 2010]
_TRANSIT = P[P.method == "Transit"]
_HOT = W.loc[W.temp_max.idxmax()]
_IN_2013 = W[W.date.str.startswith("2013")]
_PER_DEPARTMENT = STAFF.groupby("department")
_WINTER = W[(W.date >= "2012/11/01") & (W.date <= "2013/01/31")]
_PER_YEAR = P.groupby("year").size()
_SHARE_LATE = f"{100 * (_LATE.method == 'Transit').mean():.2f} %"


@pytest.mark.parametrize(
    ("table", "question", "values"),
    [
        ("planets", "How many planets were discovered before 2008?", [int((P.year < 2008).sum())]),
        (
            "planets",
            "What is the median distance of planets found by Transit?",
            [_TRANSIT.distance.median()],
        ),
        (
            "planets",
            "Of the planets discovered in 2010 or later, what percentage were found by Transit?",
            [_SHARE_LATE],
        ),
        ("planets", "In which year were the most planets discovered?", [str(_PER_YEAR.idxmax())]),
        ("planets", "How many planets have a mass above 4000 g?", [int((P.mass_kg > 4).sum())]),
        ("planets", "How many planets have a share of water above 50%?", [int((P.share_water > 0.5).sum())]),
        ("planets", "How many planets have a share of water of more than half?", [int((P.share_water > 0.5).sum())]),
        ("planets", "How many planets are there per year on average?", [_PER_YEAR.mean()]),
        ("planets", "Which observatories appear more than twice?", [int((P.observatory.value_counts() > 2).sum())]),
        ("planets", "How many observatories end with South?", [int(P.observatory.str.endswith("South").sum())]),
        (
            "planets",
            "What is the average distance where the mass is above 4, compared with the rest?",
            [P[P.mass_kg > 4].distance.mean(), P[P.mass_kg <= 4].distance.mean()],
        ),
        ("weather", "How much precipitation fell in 2013 in total?", [_IN_2013.precipitation.sum()]),
        ("weather", "What percent of the days were sunny?", [f"{100 * (W.weather == 'sun').mean():.2f} %"]),
        ("weather", "What was the hottest day and how hot did it get?", [int(_HOT.temp_max)]),
        ("weather", "When was the first day with a precipitation above 11?", [11]),
        ("people", "How many people live in Texas?", [int((N.home == "TX").sum())]),
        ("people", "How old is Eva Nadal?", [int(N[N.full_name == "Eva Nadal"].age.iloc[0])]),
        ("people", "Which state has the highest average age?", [N.groupby("home").age.mean().idxmax()]),
        ("people", "What is the survival rate of men and women?", ["75.00 %", "0.00 %"]),
        ("people", "How many victims were under 30?", [int((N.age < 30).sum())]),
        ("people", "For how many people is the phone not recorded?", [3]),
        ("people", "What share of the insured was treated?", [f"{100 * N.treated.sum() / N.insured.sum():.2f} %"]),
        ("people", "What is the average age across all states?", [N.age.mean()]),
        ("staff", "Which departments have more than 15 employees?", ["**1** of 3", "| Sales | 20 |"]),
        ("staff", "Which departments have zero employees?", ["**0** of 3"]),
        ("staff", "What is the maximum salary per department?", list(_PER_DEPARTMENT.salary.max())),
        ("staff", "How many countries are there per department?", list(_PER_DEPARTMENT.country.nunique())),
        ("staff", "How many people moved to York?", [int((STAFF.moved_to == "York").sum())]),
        (
            "staff",
            "How many employees are in Sales and how many of them are remote?",
            [20, int(((STAFF.department == "Sales") & (STAFF.remote == "yes")).sum())],
        ),
        (
            "weather",
            "What is the total precipitation between November and January 2013?",
            [_WINTER.precipitation.sum()],
        ),
        ("staff", "What is the average salary in the US?", [STAFF[STAFF.country == "USA"].salary.mean()]),
        ("staff", "How many employees left no comment?", [int(STAFF.comment.isna().sum())]),
        ("staff", "How many employees have an overtime above 120 minutes?", [int((STAFF.overtime_hours > 2).sum())]),
        ("sales", "Which sites had a better average yield in 2020 than in 2018?", ["**A**"]),
        ("sales", "Which site dropped the most from 2018 to 2020?", ["**D**", 18]),
        ("sales", "By what percent did the yield of A grow from 2018 to 2020?", ["60.00 %"]),
        ("sales", "Which site had the worst yield in 2020?", [f"({_of(S, 2020).idxmin()}, year 2020)"]),
    ],
)
def test_ordinary_questions_are_answered(tmp_path: Path, table: str, question: str, values: list[object]) -> None:
    check(_folder(tmp_path, table), question, values)


@pytest.mark.parametrize(
    ("table", "question"),
    [
        ("planets", "What is the name of the heaviest planet?"),
        ("planets", "What are the top 3 methods by number of observatories?"),
        ("planets", "What is the worst distance?"),
        ("planets", "Which planets are still in it?"),
        ("people", "How many of the survivors were enrolled?"),
        ("staff", "How many employees work remote or earn more than 50000?"),
        ("staff", "How many employees have an overtime above 5 kg?"),
        ("staff", "How many employees have a salary above 50%?"),
        ("staff", "How many employees in Sales resigned?"),
        ("staff", "How many employees moved to or from York?"),
        ("staff", "How many departments are there and which is the most popular?"),
        ("staff", "How many employees earn less than the average in their department?"),
        ("staff", "What is the average overtime by salary group?"),
        ("staff", "How many more employees are there in Sales than in HR?"),
        ("staff", "What percentage of the salary is overtime?"),
        ("staff", "Which department has a higher salary than HR?"),
        ("staff", "How many women work remote?"),
        ("staff", "How many employees were hired in 2024?"),
        ("staff", "Who is the oldest?"),
        ("sales", "Which site changed the most from 2018 to 2020?"),
        ("sales", "By what percent did the yield grow?"),
    ],
)
def test_what_a_table_cannot_tell_is_refused(tmp_path: Path, table: str, question: str) -> None:
    assert isinstance(planned(_folder(tmp_path, table), question), Refusal)
