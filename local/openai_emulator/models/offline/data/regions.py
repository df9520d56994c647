"""Other names of countries and states: `FL` for "Florida", `USA` for "the United States"."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from local.openai_emulator.models.offline.data.table import Column

SHARE = 0.8  # of the short values of a column that are codes of states; then all are
_STATES = """
AL alabama, AK alaska, AZ arizona, AR arkansas, CA california, CO colorado, CT connecticut, DE delaware, FL florida,
GA georgia, HI hawaii, ID idaho, IL illinois, IN indiana, IA iowa, KS kansas, KY kentucky, LA louisiana, ME maine,
MD maryland, MA massachusetts, MI michigan, MN minnesota, MS mississippi, MO missouri, MT montana, NE nebraska,
NV nevada, NH new hampshire, NJ new jersey, NM new mexico, NY new york, NC north carolina, ND north dakota, OH ohio,
OK oklahoma, OR oregon, PA pennsylvania, RI rhode island, SC south carolina, SD south dakota, TN tennessee, TX texas,
UT utah, VT vermont, VA virginia, WA washington, WV west virginia, WI wisconsin, WY wyoming, DC district of columbia
"""
STATES = dict(entry.strip().split(" ", 1) for entry in _STATES.replace("\n", " ").split(","))
_LANDS = frozenset(["country", "countries", "nation", "nationality", "citizenship", "team", "noc"])
LENGTH_OF_CODE = 3  # letters of a code of a country
STATE_NAMES = frozenset(STATES.values())
_COUNTRIES = (
    ("usa", "us", "united states", "united states of america", "american"),
    ("uk", "united kingdom", "great britain", "britain", "british", "gbr"),
    ("uae", "united arab emirates"),
    ("south korea", "korea, republic of", "republic of korea", "kor"),
    ("russia", "russian federation", "russian"),
    ("czech republic", "czechia", "czech"),
    ("france", "french"),
    ("netherlands", "holland", "dutch", "nld"),
    ("switzerland", "swiss", "sui", "che"),
    ("greece", "greek"),
    ("denmark", "danish"),
    ("poland", "polish"),
    ("turkey", "türkiye", "turkish"),
    ("spain", "spanish", "esp"),
    ("sweden", "swedish"),
    ("ireland", "irish", "irl"),
    ("scotland", "scottish"),
    ("wales", "welsh"),
    ("england", "english"),
    ("portugal", "portuguese"),
    ("norway", "norwegian"),
    ("argentina", "argentine"),
    ("mexico", "mexican"),
    ("canada", "canadian"),
    ("belgium", "belgian"),
    ("hungary", "hungarian"),
    ("ukraine", "ukrainian"),
    ("thailand", "thai"),
    ("philippines", "filipino"),
    ("peru", "peruvian"),
    ("india", "indian"),
    ("china", "chinese"),
    ("germany", "german", "deu"),
    ("italy", "italian"),
    ("brazil", "brazilian"),
    ("australia", "australian"),
    ("austria", "austrian"),
    ("finland", "finnish"),
    ("israel", "israeli"),
    ("egypt", "egyptian"),
)

PLACES = STATE_NAMES | {name for group in _COUNTRIES for name in group}


def places_named(value: str, column: Column) -> list[list[str]]:
    """The words of other names of a value, if it is a country, or a state in a column of states."""
    own = value.lower().replace(".", "")
    names = [name for group in _COUNTRIES if own in group for name in group if name != own]
    of_lands = _LANDS & set(re.findall(r"[a-z]+", column.name.lower()))
    if len(own) == LENGTH_OF_CODE and value.isupper() and of_lands and not names:
        groups = [group for group in _COUNTRIES if any(name.startswith(own) for name in group)]
        names = [*groups[0]] if len(groups) == 1 else []
    if " " in own and of_lands and own.endswith("a"):
        names.append(f"{own}n")  # "South Korean"
    if value in STATES and has_states(column):
        names.append(STATES[value])
    return [name.replace(",", "").split() for name in names]


def has_states(column: Column) -> bool:
    """Whether a column holds states of the USA: their codes or their names."""
    values = column.values or column.some
    codes = [value for value in values if len(value) == 2 and value.isupper()]
    are_codes = len(codes) >= SHARE * len(values) and sum(value in STATES for value in codes) >= SHARE * len(codes)
    return len(values) > 1 and (
        are_codes or sum(value.lower() in STATE_NAMES for value in values) >= SHARE * len(values)
    )


def other_names(question: str) -> list[str]:
    """Words of other names of the countries and states that a question names, to find the values that are meant."""
    text = question.lower().replace(".", "")
    names = [code.lower() for code, name in STATES.items() if re.search(rf"\b{name}\b", text)]
    said = [group for group in _COUNTRIES if any(re.search(rf"\b{name}\b", text) for name in group)]
    return names + [word for group in said for name in group for word in name.split()]
