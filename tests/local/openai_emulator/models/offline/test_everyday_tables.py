"""First questions about tables as people keep them: house sales, films, orders, populations by year, games."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from local.openai_emulator.models.offline.data.ask import Refusal
from tests.local.openai_emulator.models.offline.test_reading import planned
from tests.local.openai_emulator.models.offline.test_wordings import check

HOUSES = pd.DataFrame(
    {
        "Address": [f"{n} Elm Street" for n in range(30)],
        "Bedrooms": [2 + n % 4 for n in range(30)],
        "Baths": [1 + n % 3 for n in range(30)],
        "SquareFeet": [900 + (n * 37) % 700 for n in range(30)],
        "YearBuilt": [1890 + 3 * n for n in range(30)],
        "YearSold": [2010 + n % 5 for n in range(30)],
        "MonthSold": [1 + n % 12 for n in range(30)],
        "ListPrice": [100_000 + 5_000 * n for n in range(30)],
        "SalePrice": [100_000 + 5_000 * n + (3_000 if n % 4 == 0 else -2_000) for n in range(30)],
    }
)
FILMS = pd.DataFrame(
    {
        "Title": [f"Film {n}" for n in range(24)],
        "Genre": ["Action, Horror", "Drama", "Action, Comedy, Drama", "Horror"] * 6,
        "Director": [f"{last}, {first}" for last in ("Lee", "Stone", "Reed") for first in ("Ann", "Bob")] * 4,
        "Runtime": [90 + (n * 7) % 60 for n in range(24)],
        "Rating": [5 + (n * 3) % 5 for n in range(24)],
    }
)
ORDERS = pd.DataFrame(
    {
        "Order ID": [f"A-{n // 2}" for n in range(40)],
        "Order Date": [f"2024-{1 + n % 12:02d}-{1 + n % 28:02d}" for n in range(40)],
        "Customer": ["Ann Lee", "Bob Ray", "Eva Sun", "Tom Fox"] * 10,
        "Payment": ["Cash", "Card", "Card", "Voucher", "Cash"] * 8,
        "Unit price": [3.5 + n % 6 for n in range(40)],
        "Quantity": [1 + n % 4 for n in range(40)],
        "Total": [(3.5 + n % 6) * (1 + n % 4) for n in range(40)],
        "Profit": [n % 7 - 2.0 for n in range(40)],
    }
)
LANDS = pd.DataFrame(
    {
        "Country": ["France", "India", "Israel", "Chile", "Norway", "Peru"],
        "Continent": ["Europe", "Asia", "Asia", "South America", "Europe", "South America"],
        "2022 Population": [68_000_000, 1_417_000_000, 9_000_000, 19_000_000, 5_000_000, 34_000_000],
        "2010 Population": [65_000_000, 1_240_000_000, 7_600_000, 20_000_000, 4_900_000, 29_000_000],
        "Density": [123.0, 431.0, 413.0, 25.0, 14.0, 26.0],
    }
)
GAMES = pd.DataFrame(
    {
        "Name": [f"Game {n}" for n in range(20)],
        "Platform": ["PC", "Wii"] * 10,
        "Genre": ["Shooter", "Platform", "Racing", "Platform", "Racing"] * 4,
        "EU_Sales": [n * 0.3 for n in range(20)],
        "Global_Sales": [n * 1.1 for n in range(20)],
    }
)
PRICES = pd.DataFrame(
    {
        "date": ["2024-01-01"] * 4 + ["2024-07-01"] * 4 + ["2025-01-01"] * 4,
        "name": ["France", "Norway", "Peru", "Chile"] * 3,
        "dollar_price": [5.0, 6.5, 3.0, 3.5, 5.1, 6.9, 3.2, 3.1, 5.5, 7.0, 3.3, 3.6],
    }
)
SHIP = pd.DataFrame(
    {
        "cabin": [f"C{n}" for n in range(25)],
        "survived": [1, 0, 0, 1, 0] * 5,
        "ward": ["Upper - North", "Lower - South", "Upper - North", "Lower - South", "Staff"] * 5,
        "fare": [10.0 + n for n in range(25)],
    }
)
FRAMES = {
    "houses": HOUSES,
    "films": FILMS,
    "orders": ORDERS,
    "lands": LANDS,
    "games": GAMES,
    "prices": PRICES,
    "ship": SHIP,
}
H, F, O, L, G, S = HOUSES, FILMS, ORDERS, LANDS, GAMES, SHIP  # noqa: E741
LATEST = PRICES[PRICES.date == "2025-01-01"]
LARGEST = H.loc[H.SquareFeet.idxmax()]


def _folder(tmp_path: Path, table: str) -> Path:
    FRAMES[table].to_csv(tmp_path / f"{table}.csv", index=False)
    return tmp_path


@pytest.mark.parametrize(
    ("table", "question", "values"),
    [
        ("houses", "What is the average sale price in 2013?", [H[H.YearSold == 2013].SalePrice.mean()]),
        ("houses", "How many houses were built before 1920?", [int((H.YearBuilt < 1920).sum())]),
        ("houses", "In which year were the most houses sold?", ["`YearSold`"]),
        ("houses", "What was the most expensive house sold?", [int(H.SalePrice.max())]),
        ("houses", "How many houses went for more than their list price?", [int((H.SalePrice > H.ListPrice).sum())]),
        (
            "houses",
            "How big is the largest house in square feet and what did it sell for?",
            [int(LARGEST.SquareFeet), int(LARGEST.SalePrice)],
        ),
        ("houses", "How many houses sold for under 150k?", [int((H.SalePrice < 150_000).sum())]),
        (
            "houses",
            "How many houses have 4 bedrooms, at least 2 baths?",
            [int(((H.Bedrooms == 4) & (H.Baths >= 2)).sum())],
        ),
        ("films", "How many horror films are there?", [int(F.Genre.str.contains("Horror").sum())]),
        ("films", "How many films did Ann Lee direct?", [int((F.Director == "Lee, Ann").sum())]),
        (
            "films",
            "How many films are in the Horror genre, and what is the average rating?",
            [int(F.Genre.str.contains("Horror").sum()), F[F.Genre.str.contains("Horror")].Rating.mean()],
        ),
        ("orders", "How many different orders are there?", [20]),
        ("orders", "How much did Ann Lee spend in total?", [O[O.Customer == "Ann Lee"].Total.sum()]),
        ("orders", "What percentage of the purchases were paid with Card?", ["40.00 %"]),
        ("orders", "How many units did Bob Ray buy?", [int(O[O.Customer == "Bob Ray"].Quantity.sum())]),
        ("orders", "How many lines were sold at a loss?", [int((O.Profit < 0).sum())]),
        ("lands", "How many people live in France in 2010?", [65_000_000]),
        ("lands", "Which country had the most people in 2022?", ["India"]),
        ("lands", "How many countries lost population between 2010 and 2022?", [1]),
        ("lands", "How many countries had over 30 million inhabitants in 2022?", [3]),
        ("lands", "What is the most densely populated country?", ["India", 431]),
        ("lands", "What is the density of the Indian population?", [431]),
        ("games", "What is the best selling game?", ["Game 19", 20.9]),
        ("games", "What are the top 2 racing games in Europe by sales?", ["Game 19"]),
        ("games", "How many platforms are there?", [2]),
        (
            "games",
            "Compare the average global sales of shooter and platform games",
            [G[G.Genre == "Shooter"].Global_Sales.mean(), G[G.Genre == "Platform"].Global_Sales.mean()],
        ),
        (
            "prices",
            "Which country had the lowest dollar price on the latest date?",
            [LATEST.dollar_price.min(), "Peru"],
        ),
        ("prices", "What is the dollar price in Norway on 2024-07-01?", [6.9]),
        ("prices", "How many countries are there?", [4]),
        ("ship", "How many people died?", [int((S.survived == 0).sum())]),
        ("ship", "What is the average fare of the staff ward?", [S[S.ward == "Staff"].fare.mean()]),
        ("ship", "How many passengers stayed in the upper ward?", [int((S.ward == "Upper - North").sum())]),
        ("ship", "How many passengers chose the lower ward?", [int((S.ward == "Lower - South").sum())]),
    ],
)
def test_everyday_questions_are_answered(tmp_path: Path, table: str, question: str, values: list[object]) -> None:
    check(_folder(tmp_path, table), question, values)


@pytest.mark.parametrize(
    ("table", "question"),
    [
        ("films", "Who designed Film 3?"),
        ("orders", "Which cashier handled the most orders?"),
        ("orders", "How many orders were sold at a loss?"),
        ("orders", "How many millimetres were sold?"),
        ("lands", "By how many people did India grow from 2010 to 2022?"),
        ("lands", "How many people live in France in 2015?"),
        ("games", "How many games have global sales of more than 10 million?"),
        ("ship", "How many female smokers stayed in the upper ward?"),
        ("ship", "What is the average income of the upper ward?"),
    ],
)
def test_what_everyday_questions_leave_open_is_refused(tmp_path: Path, table: str, question: str) -> None:
    assert isinstance(planned(_folder(tmp_path, table), question), Refusal)
