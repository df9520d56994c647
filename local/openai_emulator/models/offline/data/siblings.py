"""Columns that hold the same kind of thing: `actor_1` and `actor_2`, `home_team` and `away_team`.

A value that stands in several of them, where the question does not say in which, is one in any of them.
"""

from __future__ import annotations

import re
from itertools import combinations

from local.openai_emulator.models.offline.data import vocabulary as words
from local.openai_emulator.models.offline.data.ask import Condition
from local.openai_emulator.models.offline.data.clause import Clause, figures
from local.openai_emulator.models.offline.data.likeness import SAME, alike
from local.openai_emulator.models.offline.data.names import label, name_stems
from local.openai_emulator.models.offline.data.table import Column
from local.openai_emulator.models.offline.words import joined, stem

_SIDES = (frozenset(["home", "away"]), frozenset(["home", "visitor"]), frozenset(["primary", "secondary"]))
_BETWEEN = r"\b(?:between|against|versus|vs\.?|both)\b"
_WITH = frozenset(["with", "starring", "featuring", "involving", "including", "from"])
_TAKES_PART = frozenset(["did", "does", "do", "of", "against", "between", "versus", "vs", "with", "involving"])
_TAKING_PART = frozenset(["play", "star", "act", "appear", "feature", "participate", "compete", "take"])
_ORDINALS = {"first": "1", "primary": "1", "main": "1", "second": "2", "secondary": "2", "third": "3"}
_SAME = re.compile(
    r"\b(?:(?:of|have|has|had|with|share|shares|in|are|were|is|at) )?(?:the )?(?P<same>same|identical) (?P<noun>\w+)"
    r"|\b(?:of|have|has|had|with|in|are|were|is|between) (?:two )?different (?P<other>\w+)",
    re.IGNORECASE,
)


def are_siblings(columns: list[Column]) -> bool:
    """Whether the names of several columns differ in nothing but a number, or a side such as home and away."""
    return len(columns) > 1 and all(_differ_in_one(a.name, b.name) for a, b in combinations(columns, 2))


def siblings_meant(clause: Clause, columns: list[Column], at: tuple[int, ...], named: list[Column]) -> list[Column]:
    """Of columns that have a value, those that are siblings, or the one of them that "second type" says."""
    others = [c for c in columns if not clause.entity(c)]  # a coffee can be called `Ethiopia`, too
    pair = [c for c in others if any(are_siblings([c, other]) for other in others if other is not c)]
    before = [word for word in (clause.word(min(at) - 1), clause.word(min(at) - 2)) if word != "the"][:1]
    if not are_siblings(pair) or (pair != others and (named or before[:1] in (["in"], ["at"]))):
        return []  # `team1`, `team2` and `winner`; "in Brazil"
    takes_part = before[0] in _TAKES_PART or (before[0] == "and" and clause.says(_BETWEEN))
    if pair != others and not (takes_part or clause.word(max(at)).endswith("'s")):
        return columns
    common = set.intersection(*(set(name_stems(c.name)) for c in pair))
    said = [(i, _ORDINALS[clause.word(i)]) for i in clause.free() if clause.word(i) in _ORDINALS]
    said = [(i, n) for i, n in said if {stem(clause.word(i + 1)), stem(clause.word(i + 3))} & common]
    clause.used |= {i for i, _ in said} | {i + 1 for i, _ in said if stem(clause.word(i + 1)) in common}
    return [c for c in pair if {n for _, n in said} & {*re.findall(r"\d+", c.name)}] if said else pair


def _differ_in_one(one: str, other: str) -> bool:
    parts = [re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+", name) for name in (one, other)]
    pairs = [{a.lower(), b.lower()} for a, b in zip(*parts, strict=False) if a.lower() != b.lower()]
    return len(parts[0]) == len(parts[1]) > 1 and len(pairs) == 1 and _is_side(pairs[0])


def _is_side(pair: set[str]) -> bool:
    return all(part.isdigit() for part in pair) or any(pair == sides for sides in _SIDES)


def in_any(clause: Clause, hits: list[tuple[str, tuple[int, ...]]], *, denied: bool) -> None:
    """Add the condition that one of several columns has a value; of two values all rows have both, or one of them."""
    columns = list(dict.fromkeys(name for _, at in hits for name in clause.either.get(at, ())))
    values = tuple(dict.fromkeys(value for value, _ in hits))
    is_any = len(values) == 1 or clause.says(r"\bor\b")
    does = [max(at) + 1 for _, at in hits if clause.word(min(at) - 1) in ("did", "does", "do")]
    denied = denied or any(clause.word(verb) not in _TAKING_PART for verb in does)  # "did Ann make"
    both = len(values) == 1 and clause.says(r"\bboth\b")  # "both are men"
    if denied or not (is_any or clause.says(_BETWEEN)) or clause.says(r"\bneither\b|\bor\b.*\bboth\b|\bboth\b.*\bor\b"):
        said = joined(f"`{name}`" for name in columns)
        clause.ambiguous.append(f"It is not clear in which of {said} {joined(values)} is meant to be.")
        return
    common = set.intersection(*(set(name_stems(name)) for name in columns))
    for _, at in hits:
        clause.places.append((columns[0], at))
        clause.used |= {i for i in (min(at) - 1, max(at) + 1) if stem(clause.word(i)) in common}
    clause.claim_all(rf"{_BETWEEN}|\b(?:counting )?either\b")
    for some in (values,) if is_any else ((value,) for value in values):
        named = joined((f"`{name}`" for name in columns), last="and" if both else "or")
        text = f"{joined(some, last='or')} in {named}"
        value = (tuple(columns), some)
        clause.conditions.append(
            Condition(column=columns[0], test="all of" if both else "any of", value=value, words=text)
        )


def check_sides(clause: Clause) -> None:
    """Refuse a figure of one side, and one that could be of the value alone: "the goals of Arsenal" in its games."""
    several = [c for c in clause.conditions if c.test in ("any of", "all of")]
    if not several:
        return
    single = [c.column for c in clause.conditions if c.test == "==" and any(c.column in s.value[0] for s in several)]
    if single and not clause.says(_BETWEEN):  # of "with Ann and Bob" only Ann is in both columns
        clause.ambiguous.append(f"It is not clear whether `{single[0]}` or another column is meant.")
    measures = [c for c in clause.measures(conditioned=False) if c in figures(clause.table)]
    for mention in clause.mentions:
        others = [c for c in clause.table.columns if are_siblings([mention.column, c])]
        if others:
            clause.ambiguous.append(f"It is not clear whether `{mention.column.name}` or `{others[0].name}` is meant.")
    if measures and not all(_is_of_rows(clause, at) for at in clause.either):
        clause.ambiguous.append(f"It is not clear whether `{measures[0].name}` is that of the rows, or of one side.")


def _is_of_rows(clause: Clause, at: tuple[int, ...]) -> bool:
    """Whether a value says which rows are meant: "films with Ann", "Ann's films", "games of Ann"."""
    before, after = clause.word(min(at) - 1), clause.word(max(at) + 1)
    rows = words.ROW_NOUNS | {"ones"}
    if stem(after) in name_stems(clause.table.shown.rpartition(".")[0]):
        return True
    return (
        before in _WITH
        or after in rows
        or (after.endswith("s") and max(at) + 1 in clause.used)
        or (before == "of" and clause.word(min(at) - 2) in rows)
    )


def same_in_both(clause: Clause) -> None:
    """The condition that two columns hold the same or different values: "couples of the same gender"."""
    if clause.says(r"\b(?:how many|number of|all|each|every|which|what) (?:the )?different\b|\bthe same as\b"):
        return
    for match in _SAME.finditer(clause.text):
        noun = (match["noun"] or match["other"]).lower()
        at = max(clause.within(match))
        columns = [c for c in clause.table.columns if any(alike(noun, part) >= SAME for part in name_stems(c.name))]
        pairs = [pair for pair in combinations(columns, 2) if are_siblings([*pair])]
        if len(pairs) != 1 or (at in clause.used and not any(at in m.tokens for m in clause.mentions)):
            continue
        one, other = pairs[0]
        is_same = bool(match["same"])
        clause.claim(match.start(), match.end())
        clause.mentions = [m for m in clause.mentions if at not in m.tokens]
        clause.ambiguous = [told for told in clause.ambiguous if f"`{one.name}` or `{other.name}`" not in told]
        text = f"{label(one.name)} {'the same as' if is_same else 'other than'} {label(other.name)}"
        test = "= column" if is_same else "!= column"
        clause.places.append((one.name, (at,)))
        clause.settled |= clause.within(match)
        clause.conditions.append(Condition(column=one.name, test=test, value=other.name, words=text))
