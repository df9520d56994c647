"""Questions with words beside what is known: nouns, verbs, numbers of rows, currencies, first and last rows."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from local.openai_emulator.models.offline.data.ask import Plan, Refusal
from local.openai_emulator.models.offline.data.loading import as_dates, as_numbers, typed
from local.openai_emulator.models.offline.data.table import last_json
from tests.local.openai_emulator.models.offline.test_reading import planned
from tests.local.openai_emulator.models.offline.test_wordings import check, share

STAFF = pd.DataFrame(
    {
        "employee_id": [100 + n for n in range(60)],
        "name": [f"{first} {last}" for first in ("Ann", "Bob", "Eva", "Jon", "Mia", "Tom") for last in "ABCDEFGHIJ"],
        "gender": ["Male", "Female", "Female"] * 20,
        "job_title": ["Clerk", "Analyst", "Manager"] * 20,
        "country": ["South Korea", "Japan", "Spain", "France"] * 15,
        "age_group": ["<18", "18-24", "25-34", "65+"] * 15,
        "salary": [30_000 + (n * 977) % 20_000 for n in range(60)],
        "hire_date": [f"{2015 + n % 5}-{1 + n % 12:02d}-{1 + n % 28:02d}" for n in range(60)],
        "exit_date": [f"{2020 + n % 3}-03-{1 + n % 28:02d}" if n % 3 == 0 else None for n in range(60)],
    }
)
STAFF["manager"] = [STAFF.name[(n * 7) % 6] for n in range(60)]
FLATS = pd.DataFrame(
    {
        "listing_id": [1 + n for n in range(64)],
        "property_type": ["House", "Studio", "Loft", "Apartment"] * 16,
        "furnished": ["Yes", "No", "No"] * 21 + ["Yes"],
        "rent_eur": [500 + (n * 83) % 1100 for n in range(64)],
        "sqft": [300 + (n * 57) % 900 for n in range(64)],
        "area": ["Mitte", "Wedding", "Pankow"] * 21 + ["Mitte"],
    }
)
MEDALS = pd.DataFrame(
    {
        "athlete": [f"Person {n % 25}" for n in range(50)],
        "country": ["Chile", "Peru", "Cuba", "Fiji", "Mali"] * 10,
        "sport": ["Shooting", "Swimming"] * 25,
        "gold": [n % 3 for n in range(50)],
        "silver": [n % 2 for n in range(50)],
        "bronze": [(n + 1) % 2 for n in range(50)],
        "total": [n % 3 + 1 for n in range(50)],
        "miles": [float(n * 7 % 31) for n in range(50)],
    }
)
SHOP = pd.DataFrame(
    {
        "Customer ID": [n % 20 for n in range(80)],
        "Item Purchased": ["Shirt", "Dress", "Pants", "Belt", "Hat"] * 16,
        "Purchase Amount (USD)": [20.0 + (n * 13) % 70 for n in range(80)],
        "Category": ["Clothing", "Clothing", "Shoes", "Extras"] * 20,
        "Subscription Status": ["Yes", "No", "No", "No"] * 20,
    }
)
FRAMES = {"staff": STAFF, "flats": FLATS, "medals": MEDALS, "shop": SHOP}
S, F, M, H = STAFF, FLATS, MEDALS, SHOP
AMOUNT = H["Purchase Amount (USD)"]
LEFT = S[S.exit_date.notna()]


def _folder(tmp_path: Path, table: str) -> Path:
    FRAMES[table].to_csv(tmp_path / f"{table}.csv", index=False)
    return tmp_path


@pytest.mark.parametrize(
    ("table", "question", "values"),
    [
        ("medals", "How many gold medals did Chile win?", [M[M.country == "Chile"].gold.sum()]),
        ("medals", "How many medals does Person 3 have altogether?", [M[M.athlete == "Person 3"].total.sum()]),
        ("medals", "Top 2 countries by miles driven", [M.groupby("country").miles.sum().max()]),
        ("medals", "How many swimmers are there?", [25]),
        ("medals", "What percentage of all the medals are gold?", [f"{100 * M.gold.sum() / M.total.sum():.2f} %"]),
        ("shop", "How much money did customers spend in total?", [AMOUNT.sum()]),
        ("shop", "Top 2 items by total sales", [AMOUNT.groupby(H["Item Purchased"]).sum().max()]),
        ("shop", "How many rows are of customer 7?", [4]),
        ("shop", "What percentage of the customers are subscribers?", ["25.00 %"]),
        ("staff", "How many people have left the company?", [len(LEFT)]),
        ("staff", "How many people left in 2021?", [LEFT.exit_date.str.startswith("2021").sum()]),
        ("staff", "How many people under 18 are there?", [15]),
        ("staff", "How many are 65 or older?", [15]),
        ("staff", "How many women are 18 to 24?", [((S.gender == "Female") & (S.age_group == "18-24")).sum()]),
        (
            "staff",
            "What is the average salary of South Korean employees?",
            [S[S.country == "South Korea"].salary.mean()],
        ),
        ("staff", "Which clerk has the highest salary?", [S[S.job_title == "Clerk"].salary.max()]),
        ("staff", "When was the first employee hired?", ["January 2015"]),
        ("staff", "Who is Ann C's manager?", [S[S.name == "Ann C"].manager.item()]),
        ("staff", "Which manager with at least 10 employees has the highest average salary?", ["at least 10 rows"]),
        ("staff", "How many employees have no exit date filled in?", [S.exit_date.isna().sum()]),
        (
            "flats",
            "How many unfurnished studios are there?",
            [((F.furnished == "No") & (F.property_type == "Studio")).sum()],
        ),
        (
            "flats",
            "How many studios are there, and how many in Mitte?",
            [((F.property_type == "Studio") & (F.area == "Mitte")).sum()],
        ),
        ("flats", "Which loft is the cheapest?", [F[F.property_type == "Loft"].rent_eur.min()]),
        ("flats", "How many flats have more than 800 square feet?", [(F.sqft > 800).sum()]),
        ("flats", "What share of the houses is furnished?", [share(F.furnished == "Yes", F.property_type == "House")]),
        (
            "flats",
            "Which area has the highest total rent, and what share of all rents is that?",
            [f"{100 * F.groupby('area').rent_eur.sum().max() / F.rent_eur.sum():.2f} %"],
        ),
    ],
)
def test_what_stands_beside_the_known_is_accounted_for(
    tmp_path: Path, table: str, question: str, values: list[object]
) -> None:
    check(_folder(tmp_path, table), question, values)


@pytest.mark.parametrize(
    ("table", "question"),
    [
        ("medals", "What is the total gold price of Chile?"),
        ("medals", "How many gold attempts did Chile have?"),
        ("shop", "How much did the delivery cost?"),
        ("staff", "How many people started in 2016 and left in 2021?"),
        ("staff", "How many people earn more than their manager?"),
        ("staff", "What does Ann C's manager earn?"),
        ("staff", "How many female managers are there by country and house?"),
        ("staff", "How many hospitals does Ann A have?"),
        ("staff", "Who has been here the longest?"),
        ("flats", "Which house is the cheapest now?"),
        ("flats", "How many flats cost less than $900?"),
        ("flats", "What is the yearly rent by balcony?"),
        ("flats", "How many people prefer Mitte over Pankow?"),
        ("flats", "What share is furnished, and what share of that is a loft?"),
    ],
)
def test_a_word_that_changes_what_is_asked_is_refused(tmp_path: Path, table: str, question: str) -> None:
    assert isinstance(planned(_folder(tmp_path, table), question), Refusal)


def test_a_row_number_is_no_measure(tmp_path: Path) -> None:
    """A column of whole numbers, one of its own for each row and few left out, numbers the rows."""
    numbers = pd.DataFrame({"storenum": [3 * n for n in range(60)], "town": ["Bern", "Graz", "Linz"] * 20})
    numbers.to_csv(tmp_path / "stores.csv", index=False)

    found = planned(tmp_path, "Which town has the most stores?")

    assert isinstance(found, Plan)
    assert found.asks[0].hows == ("count",)


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["USD 1,099", "USD 799", "USD 12,000"], [1099.0, 799.0, 12_000.0]),
        (["1,68,092", "37,108", "2,00,439"], [168_092.0, 37_108.0, 200_439.0]),
        (["5.3k", "3.2m", "120"], [5300.0, 3_200_000.0, 120.0]),
        (["$1,200", "1200", "1,000 USD"], [1200.0, 1200.0, 1000.0]),
    ],
)
def test_numbers_with_currencies_and_scales_are_read(cells: list[str], values: list[float]) -> None:
    numbers, _ = as_numbers(pd.Series(cells))

    assert numbers.tolist() == values


def test_placeholders_of_numbers_are_gaps() -> None:
    cells, facts = typed(pd.Series(["Not given", "3", "5", "4"]), "rating")

    assert facts["kind"] == "number"
    assert cells.isna().sum() == 1


def test_dates_without_separators_are_read_where_the_name_says_so() -> None:
    dates, facts = typed(pd.Series(["20240131", "20231224"]), "begin_date")
    _, plain = typed(pd.Series(["20240131", "20231224"]), "population")

    assert facts["kind"] == "date"
    assert str(dates.iloc[0].date()) == "2024-01-31"
    assert plain["kind"] == "number"


def test_short_years_of_one_half_century_are_read() -> None:
    dates = as_dates(pd.Series(["7/1/62", "8/23/98", "5/31/06"]))

    assert dates.dt.year.tolist() == [1962, 1998, 2006]


def test_a_cell_with_another_line_separator_does_not_hide_the_profile() -> None:
    assert last_json('x\n{"profile":["a\x85b"]}\n', "profile") == ["a\x85b"]
