"""Questions whose words name columns, rows and values: second halves of nouns, indices, numbers of rows, prices."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from local.openai_emulator.models.offline.data.ask import Refusal
from tests.local.openai_emulator.models.offline.test_reading import planned
from tests.local.openai_emulator.models.offline.test_wordings import check

PLACES = pd.DataFrame(
    {
        "Rank": range(1, 31),
        "Country": [f"{name}land{n}" for n, name in enumerate(["Ar", "Bo", "Cu"] * 10)],
        "Rent Index": [10.5 + (n * 7) % 31 for n in range(30)],
        "Heat Index": [(n * 11) % 29 for n in range(30)],
        "Local Buying Power Index": [40.5 + (n * 13) % 97 for n in range(30)],
    }
)
TOYS = pd.DataFrame(
    {
        "toy_id": range(100, 160),
        "name": [f"Toy {chr(65 + n % 26)}{n}" for n in range(60)],
        "playtime": [15 + (n * 37) % 240 for n in range(60)],
        "age_of_toy": [n % 17 for n in range(60)],
        "users_rated": [30 + (n * 97) % 900 for n in range(60)],
        "rating": [5 + (n * 31 % 40) / 10 for n in range(60)],
    }
)
PETS = pd.DataFrame(
    {
        "PetName": ["REX", "MR BEAN", "CALLE", "BLACK", "LUNA"] * 12,
        "Color": ["BLACK", "WHITE", "BROWN"] * 20,
        "Breed": ["POODLE", "BEAGLE", "PUG", "HUSKY"] * 15,
        "OwnerZip": [15000 + n * n % 7 for n in range(60)],
        "Email": [f"p{n % 30}@pets.org" for n in range(60)],
        "Owner": [f"Ann {chr(65 + n % 26)}{n}" for n in range(60)],
        "Phone": [5550000 + n * 7 for n in range(60)],
    }
)
TEAS = pd.DataFrame(
    {
        "name": [f"Dai’s Blend {n}" for n in range(40)],
        "roast": ["Light", "Dark"] * 20,
        "rating": [80 + n % 20 for n in range(40)],
        "100g_USD": [2.5 + n % 13 for n in range(40)],
    }
)
TEAMS = pd.DataFrame(
    {
        "country": [f"Land {n}" for n in range(30)],
        "Gold Medal": [n % 7 for n in range(30)],
        "Silver Medal": [n % 5 for n in range(30)],
        "Bronze Medal": [n % 3 for n in range(30)],
        "Total": [n % 7 + n % 5 + n % 3 for n in range(30)],
        "wt": [60 + n * 7 % 31 for n in range(30)],
        "age": [7, 13, 16] * 10,
        "rating": [1 + (n * 17 % 40) / 10 for n in range(30)],
        "joined": [f"2021-{1 + n % 12:02d}-05" for n in range(30)],
        "total_laid_off": [n * 19 % 43 for n in range(30)],
        "percentage_laid_off": [n / 100 for n in range(30)],
    }
)
FRAMES = {"teams": TEAMS, "places": PLACES, "toys": TOYS, "pets": PETS, "teas": TEAS}
POWER, RENT, PRICE = PLACES["Local Buying Power Index"], PLACES["Rent Index"], TEAS["100g_USD"]


def _folder(tmp_path: Path, table: str) -> Path:
    FRAMES[table].to_csv(tmp_path / f"{table}.csv", index=False)
    return tmp_path


@pytest.mark.parametrize(
    ("table", "question", "values"),
    [
        ("places", "Where is rent the highest?", [RENT.max()]),
        ("places", "the 3 countries with the lowest rent", [RENT.min()]),
        ("places", "What is the average heat index?", [PLACES["Heat Index"].mean()]),
        ("places", "In which country do people have the highest buying power?", [POWER.max()]),
        (
            "places",
            "How many countries have a buying power above 90 but a rent index under 30?",
            [((POWER > 90) & (RENT < 30)).sum()],
        ),
        ("toys", "Which toy has the highest rating?", [TOYS.name[TOYS.rating.idxmax()], TOYS.rating.max()]),
        ("toys", "3 toys with the most user ratings", [TOYS.users_rated.max()]),
        ("toys", "Which toy takes the longest to play, in minutes?", [TOYS.playtime.max(), "taken to be in minutes"]),
        ("pets", "Which zip code has the most pets?", [PETS.OwnerZip.value_counts().max()]),
        ("pets", "Which zip code has the most beagles?", ["where: `Breed` is BEAGLE"]),
        ("pets", "How many zip codes are there?", [f"**{PETS.OwnerZip.nunique()}** different"]),
        ("pets", "How many dogs live in zip code 15001?", [(PETS.OwnerZip == 15001).sum()]),
        ("pets", "How many different email addresses are there?", [30]),
        ("pets", "What is the phone number of Ann C2?", ["`Owner` is Ann C2", "5,550,014"]),
        ("pets", "How many pets are called Mr Bean?", [(PETS.PetName == "MR BEAN").sum(), "`PetName` is MR BEAN"]),
        ("teams", "What is the average medal count?", [TEAMS.Total.mean()]),
        ("teams", "How many medals were awarded altogether?", [TEAMS.Total.sum(), "taken as all medals"]),
        ("teams", "Top 3 countries by gold medal count", ["The highest of `Gold Medal`"]),
        ("teams", "How many gold medals were there worldwide?", [TEAMS["Gold Medal"].sum()]),
        ("teams", "Which team is the heaviest?", [TEAMS.wt.max()]),
        ("teams", "What is the highest rated team?", [TEAMS.rating.max()]),
        ("teams", "What is the average rating for each age group?", [TEAMS[TEAMS.age == 13].rating.mean()]),
        ("teams", "What was the biggest single layoff?", [TEAMS.total_laid_off.max()]),
        ("teas", "average price per roast level", [PRICE[TEAS.roast == "Dark"].mean()]),
        ("teas", "Which tea is the cheapest?", [PRICE.min()]),
        ("teas", "What is the rating of Dai's Blend 7?", [TEAS.rating[7]]),
        (
            "teas",
            "How many teas rated 90 or more cost less than 5 dollars per 100g?",
            [((TEAS.rating >= 90) & (PRICE < 5)).sum()],
        ),
    ],
)
def test_words_name_columns_rows_and_values(tmp_path: Path, table: str, question: str, values: list[object]) -> None:
    check(_folder(tmp_path, table), question, values)


@pytest.mark.parametrize(
    ("table", "question"),
    [
        ("places", "What is the highest index?"),
        ("places", "Which country but Arland0 has the highest rent?"),
        ("toys", "Which toy has the most ratings?"),
        ("toys", "Which toy was rated by the most users?"),
        ("pets", "How many pets are named White?"),
        ("pets", "What is the fax number of Ann C2?"),
        ("pets", "Which zip code has the most breeds?"),
        ("teams", "What is the average count?"),
        ("teams", "Which team had the largest layoff?"),
        ("teams", "What was the biggest single team?"),
        ("teas", "What is the average shipping cost?"),
        ("teas", "How many teas cost more than 10 euros?"),
    ],
)
def test_what_could_mean_another_column_is_refused(tmp_path: Path, table: str, question: str) -> None:
    assert isinstance(planned(_folder(tmp_path, table), question), Refusal)
