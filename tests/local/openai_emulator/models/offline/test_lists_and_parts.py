"""Questions about cells that are lists, words inside of texts, outcomes, and the later parts of a question."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from local.openai_emulator.models.offline.data.ask import Plan, Refusal
from local.openai_emulator.models.offline.data.loading import listed
from tests.local.openai_emulator.models.offline.test_reading import planned
from tests.local.openai_emulator.models.offline.test_wordings import check

GENRES = ["Action, Drama", "Drama", "Comedy, Action, Drama", "Comedy", "Drama, Comedy"]
MOVIES = pd.DataFrame(
    {
        "title": [f"Tale {n}" for n in range(30)],
        "type": ["Movie", "Movie", "TV Show"] * 10,
        "genre": GENRES * 6,
        "filmed_in": ["Spain", "Norway", "Chile"] * 10,
        "released": [f"{2020 + n % 3}-{1 + n % 12:02d}-{1 + n % 27:02d}" for n in range(30)],
        "votes": [100 + (n * 37) % 411 for n in range(30)],
        "rating": [5.0 + (n * 7) % 40 / 10 for n in range(30)],
    }
)
STAFF = pd.DataFrame(
    {
        "EmployeeNumber": [100 + n for n in range(40)],
        "EmployeeCount": [1] * 40,
        "Age": [22 + (n * 11) % 40 for n in range(40)],
        "Attrition": ["Yes", "No", "No", "No"] * 10,
        "Department": ["Sales", "Research", "Customer Support", "Sales", "Research"] * 8,
        "Commute": ["bus", "train", "car", "bus"] * 10,
        "JobRole": ["Clerk", "Manager", "Nurse", "Clerk", "Driver"] * 8,
        "Married": ["yes", "no"] * 20,
        "Salary": [30_000 + (n * 977) % 20_000 for n in range(40)],
        "Bonus": [0 if n % 3 == 0 else 500 for n in range(40)],
    }
)
LAPTOPS = pd.DataFrame(
    {
        "Brand": ["Dell", "HP", "Apple", "Asus"] * 8,
        "Screen": ["IPS Touchscreen 1080p", "Full HD 1080p", "Retina 4K", "Touchscreen 4K"] * 8,
        "Ram": ["8GB", "16GB", "8GB", "4GB"] * 8,
        "Price_euros": [500 + (n * 83) % 700 for n in range(32)],
    }
)
LOANS = pd.DataFrame(
    {
        "Loan_ID": [f"LP{n}" for n in range(30)],
        "Education": ["Graduate", "Not Graduate", "Graduate"] * 10,
        "ApplicantIncome": [2000 + (n * 173) % 900 for n in range(30)],
        "LoanAmount": [100 + (n * 31) % 90 for n in range(30)],
        "Loan_Status": ["Y", "N", "Y", "Y", "N"] * 6,
    }
)
STAYS = pd.DataFrame(
    {
        "admitted": [f"{2022 + n % 2}-{1 + n % 11:02d}-05" for n in range(44)],
        "discharged": [f"{2022 + n % 2}-{2 + n % 11:02d}-07" for n in range(44)],
        "ward": ["North", "South"] * 22,
        "cost": [10.0 + n for n in range(44)],
    }
)
FRAMES = {"movies": MOVIES, "staff": STAFF, "laptops": LAPTOPS, "loans": LOANS, "stays": STAYS}
M, S, L, P = MOVIES, STAFF, LAPTOPS, LOANS
ENTRIES = M.assign(genre=M.genre.str.split(", ")).explode("genre")
DRAMAS = M[M.genre.str.contains("Drama")]
APPLES = L[L.Brand == "Apple"].Price_euros
LEFT = S[S.Attrition == "Yes"]


def _folder(tmp_path: Path, table: str) -> Path:
    FRAMES[table].to_csv(tmp_path / f"{table}.csv", index=False)
    return tmp_path


@pytest.mark.parametrize(
    ("cells", "entries"),
    [
        (GENRES, {"Action", "Drama", "Comedy"}),
        (["Fog", "Rain", "Fog, Rain", "Rain, Fog", "Fog"], {"Fog", "Rain"}),
        (["Scott, Ridley", "Lee, Ang", "Scott, Tony", "Lee, Spike"], set()),
        (["Austin, TX, USA", "Dallas, TX, USA", "Reno, NV, USA"], set()),
        (["1,350,000", "2,400,000", "1,350,000", "400,000"], set()),
        (["He came, and saw, and won", "She left, and came back, and won"], set()),
    ],
)
def test_cells_are_lists_if_entries_come_again_elsewhere(cells: list[str], entries: set[str]) -> None:
    assert set(listed(pd.Series(cells))) == entries


@pytest.mark.parametrize(
    ("table", "question", "values"),
    [
        ("movies", "How many genres are there?", [3]),
        ("movies", "How many comedies are there?", [int(M.genre.str.contains("Comedy").sum())]),
        ("movies", "What is the most common genre?", ["Drama"]),
        (
            "movies",
            "What is the average rating by genre?",
            [ENTRIES.groupby("genre").rating.mean()[name] for name in ("Action", "Comedy")],
        ),
        ("movies", "Which genre has the highest average rating?", [ENTRIES.groupby("genre").rating.mean().idxmax()]),
        (
            "movies",
            "How many films are both action and comedy?",
            [int((M.genre.str.contains("Action") & M.genre.str.contains("Comedy")).sum())],
        ),
        (
            "movies",
            "How many films are action or comedy?",
            [int((M.genre.str.contains("Action") | M.genre.str.contains("Comedy")).sum())],
        ),
        ("movies", "How many movies and how many TV shows are in this list?", [20, 10]),
        ("movies", "How many films are there?", [30]),
        (
            "movies",
            "How many drama films are there, and which one has the most votes?",
            [len(DRAMAS), DRAMAS.loc[DRAMAS.votes.idxmax()].title],
        ),
        (
            "movies",
            "Which film has the most votes, and when was it released?",
            [M.loc[M.votes.idxmax()].title, "12 December 2022"],
        ),
        ("staff", "How many people left?", [len(LEFT)]),
        ("staff", "What is the average age of those who stayed?", [S[S.Attrition == "No"].Age.mean()]),
        (
            "staff",
            "Compare the average salary of the people who left with those who stayed",
            [LEFT.Salary.mean(), S[S.Attrition == "No"].Salary.mean()],
        ),
        ("staff", "What is the attrition rate?", ["25.00 %"]),
        ("staff", "What is the salary of employee number 117?", [int(S.Salary[17])]),
        ("staff", "What does employee number 104 do?", ["Driver"]),
        ("staff", "How many people are paid a bonus?", [int((S.Bonus > 0).sum())]),
        ("staff", "How much does the company spend on bonuses?", [int(S.Bonus.sum())]),
        (
            "staff",
            "How many people are in Sales, and what is the average salary in the company?",
            [int((S.Department == "Sales").sum()), S.Salary.mean()],
        ),
        (
            "staff",
            "How many people are in Sales, and what is the highest salary?",
            [int((S.Department == "Sales").sum()), int(S[S.Department == "Sales"].Salary.max())],
        ),
        (
            "staff",
            "Who is the oldest person in Sales and is she married?",
            [S.loc[S[S.Department == "Sales"].Age.idxmax()].Married, int(S[S.Department == "Sales"].Age.max())],
        ),
        ("staff", "What is the most common job role, and how many people have it?", ["Clerk", 16]),
        ("laptops", "How many laptops have a touchscreen?", [16]),
        ("laptops", "What percent of the laptops come with 16GB RAM?", ["25.00 %"]),
        ("laptops", "What is the price range of Apple laptops?", [int(APPLES.min()), int(APPLES.max())]),
        (
            "laptops",
            "Which brand makes the cheapest laptop?",
            [L.loc[L.Price_euros.idxmin()].Brand, int(L.Price_euros.min())],
        ),
        ("loans", "How many loans were approved?", [18]),
        ("loans", "How many applications were rejected?", [12]),
        ("loans", "How many applicants are graduates and how many are not?", [20, 10]),
        (
            "loans",
            "Average loan amount of graduates vs non graduates",
            [P.groupby("Education").LoanAmount.mean()[name] for name in ("Graduate", "Not Graduate")],
        ),
        ("stays", "What was the cost in March?", [STAYS[STAYS.admitted.str[5:7] == "03"].cost.sum()]),
        (
            "stays",
            "How many people were discharged in April 2022?",
            [int(STAYS.discharged.str.startswith("2022-04").sum())],
        ),
    ],
)
def test_lists_outcomes_and_later_parts_are_answered(
    tmp_path: Path, table: str, question: str, values: list[object]
) -> None:
    check(_folder(tmp_path, table), question, values)


@pytest.mark.parametrize(
    ("table", "question"),
    [
        ("movies", "How many films are action and comedy?"),  # both, or any?
        ("movies", "What share of the rows is each genre?"),
        ("movies", "Which film has the highest rating, and how old is it?"),
        ("staff", "How many bus routes are there?"),
        ("staff", "How many patients are in Sales?"),
        ("staff", "How many train stations are there?"),
        ("staff", "How many employees manage Sales?"),
        ("staff", "How many employees support Research?"),
        ("staff", "How many employees hate the bus?"),
        ("staff", "How many people are in Sales, and what share is married?"),
        ("staff", "How many people are in Sales and are they married?"),
        ("staff", "How many people got no bonus, and what is the average bonus?"),
        ("laptops", "Which laptop has the largest screen and the lowest price?"),
        ("laptops", "How many customers bought a laptop?"),
    ],
)
def test_what_lists_and_later_parts_leave_open_is_refused(tmp_path: Path, table: str, question: str) -> None:
    assert isinstance(planned(_folder(tmp_path, table), question), Refusal)


def test_a_date_that_is_not_named_is_told(tmp_path: Path) -> None:
    found = planned(_folder(tmp_path, "stays"), "How many rows are there in June 2022?")
    assert isinstance(found, Plan)
    assert "`admitted` taken as the date" in found.notes


def test_names_of_columns_and_values_are_no_patterns(tmp_path: Path) -> None:
    table = pd.DataFrame({"year\\d": [2001, 2002, 2003], "land": ["A\\1", "B\\g", "C"], "votes": [1, 2, 3]})
    table.to_csv(tmp_path / "odd.csv", index=False)
    check(tmp_path, "Which years does it cover?", ["2001", "2003"])
    check(tmp_path, "How many votes are there for Spain (A\\1)?", [1])
