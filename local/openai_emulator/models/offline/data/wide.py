"""Tables with a column for each year: `2022 Population` for "how many people live there in 2022"."""

from __future__ import annotations

import re

from local.openai_emulator.models.offline.data import vocabulary as words
from local.openai_emulator.models.offline.data.ask import Condition
from local.openai_emulator.models.offline.data.clause import CHANGE, Clause, Mention
from local.openai_emulator.models.offline.data.likeness import SAME, alike
from local.openai_emulator.models.offline.data.names import UNIT_STEMS, name_stems
from local.openai_emulator.models.offline.data.table import Column, Table

_YEAR = re.compile(r"(?<!\d)(?:1[5-9]|2[01])\d\d(?!\d)")
_LESS = r"\b(?:lost|lose|loses|losing|shrank|shrunk|shrinking|fell|fallen|declined|dropped|decreased)\b"
_MORE = r"\b(?:gained|gain|grew|grown|rose|risen|increased|growing)\b"
_DERIVED = frozenset(["growth", "change", "increase", "decrease", "decline", "density", "rate", "trend"])
_INHABITANTS = words.PEOPLE | {"inhabitants", "residents", "populated", "populous"}


def year_columns(clause: Clause) -> None:
    """Account for a measure and the years that a clause says, where each year has a column of its own.

    Without a year the newest one is taken, and the reading says so.
    """
    said = {clause.word(i): i for i in clause.free() if _YEAR.fullmatch(clause.word(i))}
    for stems, columns in _families(clause.table).items():
        places = [i for i in range(len(clause.tokens)) if _names(clause, i, stems)]
        derived = any(clause.word(i + 1) in _DERIVED for i in places)  # "the population growth"
        if not places or derived or any(m.column in columns.values() for m in clause.mentions):
            continue
        years = [year for year in said if year in columns]
        if len(years) < len(said):
            continue  # a year that has no column
        if len(years) > 1 and clause.says(CHANGE + r"|" + _LESS + r"|" + _MORE):
            _compare(clause, columns, sorted(years), [*places, *(said[year] for year in years)])
            continue
        clause.used |= set(places)
        for year in years or [max(columns)]:
            at = (places[0], said[year]) if years else (places[0],)
            clause.used |= set(at)
            clause.mentions.append(Mention(column=columns[year], tokens=tuple(sorted(at))))
        clause.notes += [] if years else [f"`{columns[max(columns)].name}` taken as the newest"]
        clause.mentions.sort(key=lambda mention: mention.tokens)


def _compare(clause: Clause, columns: dict[str, Column], years: list[str], places: list[int]) -> None:
    """The rows whose measure fell or rose between two years, where rows are counted or listed."""
    less, more = clause.says(_LESS), clause.says(_MORE)
    if len(years) != 2 or less == more or not clause.says(r"^\W*(?:how many|which|what share|what percent|list)\b"):
        clause.ambiguous.append("A change between two columns is not computed.")
        return
    if clause.says(r"\b(?:most|least|fastest|by how)\b"):
        clause.ambiguous.append("A change between two columns is not computed.")
        return
    first, last = (columns[year] for year in years)
    sign = "<" if less else ">"
    clause.used |= set(places)
    clause.claim_all(f"{_LESS}|{_MORE}")
    clause.claim_all(r"\b(?:between|from|and|to|until)\b")
    text = f"{last.name} {sign} {first.name}"
    clause.conditions.append(Condition(column=last.name, test=f"{sign} column", value=first.name, words=text))


def _families(table: Table) -> dict[frozenset[str], dict[str, Column]]:
    """By the words of a measure, the columns of at least two years."""
    found: dict[frozenset[str], dict[str, Column]] = {}
    for column in table.of_kind("number"):
        years = _YEAR.findall(column.name)
        stems = frozenset(name_stems(_YEAR.sub(" ", column.name))) - UNIT_STEMS
        if len(years) == 1 and stems:
            found.setdefault(stems, {})[years[0]] = column
    return {stems: columns for stems, columns in found.items() if len(columns) > 1}


def _names(clause: Clause, at: int, stems: frozenset[str]) -> bool:
    """Whether a word that is not accounted for names a measure."""
    if at in clause.used:
        return False
    word = clause.word(at)
    if stems & {"popul", "pop"} and word in _INHABITANTS:
        return True
    return word not in words.SILENT and len(stems) == 1 and alike(word, next(iter(stems))) >= SAME
