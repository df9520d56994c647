"""Questions that write the names and values of a table in full: signs, units, gaps, names in any spelling."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from local.openai_emulator.models.offline.data.ask import Refusal
from tests.local.openai_emulator.models.offline.test_reading import planned
from tests.local.openai_emulator.models.offline.test_wordings import check

PATIENTS = pd.DataFrame(
    {
        "Name": [f"Patient {chr(65 + n % 26)}{n}" for n in range(60)],
        "BloodType": ["A+", "A-", "B+", "O-", "AB+"] * 12,
        "WardType": ["Surgery", "Children", None] * 20,
        "Ward": ["East", "West"] * 30,
        "isInsured": ["Yes", "No", "No"] * 20,
        "noShow": ["No", "Yes", "No", "No"] * 15,
        "daily_avg_dose": [5.5 + (n * 7) % 13 for n in range(60)],
        "admitted": [f"{2019 + n % 3}-{1 + n % 12:02d}-{1 + n % 28:02d}" for n in range(60)],
        "bill": [900 + (n * 431) % 5000 for n in range(60)],
        "nights_in_weekend": [n % 4 for n in range(60)],
    }
)
FLATS = pd.DataFrame(
    {
        "flat_type": [f"{1 + n % 4} BHK" for n in range(48)],
        "Owner": ["Common", "Ann Lee", "Bo Chen"] * 16,
        "City.Part": ["North", "South"] * 24,
        "installs": ["1.0 M", "5.0 M", "500.0 k"] * 16,
        "rent": [400 + (n * 59) % 900 for n in range(48)],
        "seed": [1 + n % 6 for n in range(48)],
    }
)
GAMES = pd.DataFrame(
    {
        "team": [f"{name}ia" for name in ("Arn", "Bel", "Cor", "Dal", "Eri", "Fal", "Gor", "Hal")] * 1,
        "team1": ["Canada", "Japan", "Chile", "Peru", "Japan", "Canada", "Peru", "Chile"],
        "team2": ["Japan", "Chile", "Peru", "Canada", "Canada", "Peru", "Chile", "Japan"],
        "win_share": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8],
    }
)
TABLES = {"patients": PATIENTS, "flats": FLATS, "games": GAMES}
P = PATIENTS


def _folder(folder: Path, table: str) -> Path:
    TABLES[table].to_csv(folder / f"{table}.csv", index=False)
    return folder


@pytest.mark.parametrize(
    ("table", "question", "values"),
    [
        ("patients", "How many patients have blood type A+?", [12, "`BloodType` is A+"]),
        (
            "patients",
            "How many patients with blood type A- are in ward East?",
            [((P.BloodType == "A-") & (P.Ward == "East")).sum()],
        ),
        ("patients", "What is the average daily avg dose?", [P.daily_avg_dose.mean()]),
        ("patients", "lowest daily avg dose", [P.daily_avg_dose.min()]),
        ("patients", "How many rows have is insured No?", [40]),
        ("patients", "What is the highest nights in weekend?", ["The highest of `nights_in_weekend`.*"]),
        ("patients", "How many rows have a bill between 1700 and 4000?", [P.bill.between(1700, 4000).sum()]),
        ("patients", "How many rows have a bill between 2000 and 2020?", [P.bill.between(2000, 2020).sum()]),
        ("patients", "How many patients have a bill of more than 2000?", [(P.bill > 2000).sum()]),
        ("patients", "How many patients have blood type O?", [12, "O-"]),
        ("patients", "How many have is insured no and no show yes?", ["noShow = Yes", "isInsured = No"]),
        ("patients", "What is the most common is insured?", ["**No**"]),
        ("flats", "How many 2 BHK flats are there?", [12]),
        ("flats", "average rent of 3 BHK in the north", ["`flat_type` is 3 BHK", "North"]),
        ("flats", "What is the most common owner?", ["by `Owner`"]),
        ("flats", "How many rows have installs 1.0 M?", [16]),
        ("flats", "How many flats have no rent?", ["0 rows"]),
        ("flats", "average rent by city part", [FLATS[FLATS["City.Part"] == "North"].rent.mean()]),
        ("games", "Show me the mean win share for each team", ["Arnia", "Halia"]),
        ("games", "What is the average win share where team1 is Japan?", ["0.35"]),
        ("games", "How many rows have team2 Canada and team1 Japan?", ["1 row"]),
    ],
)
def test_written_names_and_values_are_read(tmp_path: Path, table: str, question: str, values: list[object]) -> None:
    check(_folder(tmp_path, table), question, values)


@pytest.mark.parametrize(
    ("table", "question"),
    [
        ("games", "What share of the total win share comes from Arnia?"),
        ("patients", "How many rows have no show up?"),
        ("patients", "average bill by ward type"),
        ("flats", "How many 9 XL flats are there?"),
    ],
)
def test_what_is_not_written_so_is_refused(tmp_path: Path, table: str, question: str) -> None:
    assert isinstance(planned(_folder(tmp_path, table), question), Refusal)
