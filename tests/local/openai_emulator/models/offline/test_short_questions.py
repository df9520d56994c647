"""Short questions: shares in other words, top lists without a measure, lists of values, questions of two parts."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from local.openai_emulator.models.offline.data.ask import Refusal
from tests.local.openai_emulator.models.offline.test_reading import planned
from tests.local.openai_emulator.models.offline.test_wordings import check, share

BIRDS = pd.DataFrame(
    {
        "ring_code": [f"R{n:03d}" for n in range(72)],
        "breed": ["Robin", "Robin", "Robin", "Finch", "Finch", "Wren"] * 12,
        "colour": ["red", "grey", "brown"] * 24,
        "tame": ["Yes", "No", "No", "No"] * 18,
        "ringing_date": [f"{2019 + n % 4}-{1 + n % 12:02d}-{1 + n % 28:02d}" for n in range(72)],
        "release_date": [f"2023-03-{1 + n % 28:02d}" if n % 3 == 0 else None for n in range(72)],
    }
)
CAFES = pd.DataFrame(
    {
        "cafe": [f"Cafe {n % 24}" for n in range(96)],
        "district": ["Mitte", "Mitte", "Wedding", "Pankow"] * 24,
        "roast": ["dark", "light", "medium", "dark", "dark", "light"] * 16,
        "price": [2.5 + (n * 7) % 30 / 10 for n in range(96)],
        "stars": [1 + (n * 5) % 40 / 10 for n in range(96)],
        "age": [1 + (n * 11) % 90 for n in range(96)],
        "vegan": ["Yes", "No", "No"] * 32,
        "review_date": [f"{2020 + n % 3}-{1 + n % 12:02d}-01" for n in range(96)],
        "sugar_share": [(n % 5) / 4 for n in range(96)],
        "seats_inside": [2 + n % 4 for n in range(96)],
        "seats_outside": [2 + n % 3 for n in range(96)],
    }
)
FRAMES = {"birds": BIRDS, "cafes": CAFES}
B, C = BIRDS, CAFES
ALL = B.breed.notna()


def _folder(tmp_path: Path, table: str) -> Path:
    FRAMES[table].to_csv(tmp_path / f"{table}.csv", index=False)
    return tmp_path


@pytest.mark.parametrize(
    ("table", "question", "values"),
    [
        ("birds", "what % of the birds are robins", [share(B.breed == "Robin", ALL)]),
        ("birds", "what pct of all birds are tame?", [share(B.tame == "Yes", ALL)]),
        ("birds", "% of birds that are red", [share(B.colour == "red", ALL)]),
        ("birds", "how big a share of the birds is grey", [share(B.colour == "grey", ALL)]),
        ("birds", "top 2 breeds", ["Robin**: 36", "Finch**: 24"]),
        ("birds", "number of ringings per colour", ["| red | 24 |"]),
        ("cafes", "top 2 districts by number of reviews", ["Mitte**: 48"]),
        ("cafes", "top 2 districts by reviews", ["Mitte**: 48"]),
        ("cafes", "top 2 seats inside by number of reviews", ["highest number of rows"]),
        ("cafes", "top 2 districts by stars", [C.groupby("district").stars.mean().max()]),
        ("cafes", "oldest 3", [C.age.max(), "the first 3"]),
        ("cafes", "what is the most common roast and how often was it noted?", ["**dark** (48 rows)"]),
        ("cafes", "how often was the roast light? count and percentage", ["32 rows for light of 96 (33.3 %)"]),
        (
            "cafes",
            "how many cafes are small ones for two people (seats inside and seats outside both 2)",
            ["**2** different"],
        ),
        ("cafes", "how many reviews say 100% of the people came back?", ["`sugar_share` = 1"]),
        ("birds", "list of all breeds", ["Robin, Finch, Wren"]),
        ("birds", "birds per breed", ["| Wren | 12 |"]),
        ("birds", "how many birds by year (ringing date)? which year had the most", ["The most rows by year"]),
        ("birds", "# of red robins", [f"{len(B[(B.breed == 'Robin') & (B.colour == 'red')])} rows for"]),
        ("birds", "No. of wrens", ["12 rows for Wren"]),
        ("birds", "are there more robins than finches?", ["36 rows for Robin", "24 rows for Finch"]),
        ("birds", "are there more robins in red than in grey?", [len(B[(B.breed == "Robin") & (B.colour == "grey")])]),
        ("birds", "how many are tame and what percentage is that?", ["18 rows for tame (tame = Yes) of 72 (25.0 %)"]),
        (
            "birds",
            "how many robins and how many finches are grey?",
            [f"{len(B[(B.breed == x) & (B.colour == 'grey')])} rows for" for x in ("Robin", "Finch")],
        ),
        (
            "birds",
            "how many robins and how many of them are grey?",
            ["36 rows for Robin", len(B[(B.breed == "Robin") & (B.colour == "grey")])],
        ),
        ("birds", "how many robins and how many red birds", ["36 rows for Robin", "24 rows for red"]),
    ],
)
def test_a_short_question_is_read(tmp_path: Path, table: str, question: str, values: list[object]) -> None:
    check(_folder(tmp_path, table), question, values)


@pytest.mark.parametrize(
    ("table", "question", "reason"),
    [
        ("birds", "robins in %", '"%"'),
        ("birds", "number of releases per breed", "release_date"),
        ("cafes", "what percentage of the roasts are vegan?", "several rows"),
        ("cafes", "top 3 roasts", "number of rows, `price`"),
        ("cafes", "cafes by price", "`price`"),
        ("birds", "what is the most common breed and colour", "`breed` or `colour`"),
        ("cafes", "how many have seats inside and seats outside both above 2", "both above"),
        ("birds", "are there more robins than owners?", "owners"),
        ("birds", "how many birds were released?", "release_date"),
        ("birds", "top 2 breeds by number of employees", "employees"),
    ],
)
def test_a_short_question_that_is_not_clear_is_refused(tmp_path: Path, table: str, question: str, reason: str) -> None:
    what = planned(_folder(tmp_path, table), question)
    assert isinstance(what, Refusal)
    assert reason in what.text()
