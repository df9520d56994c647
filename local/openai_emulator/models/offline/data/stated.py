"""What a question states about its method: the level of significance, decimal places, and rules for a verdict."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from local.openai_emulator.models.offline.data.table import Table

Rule = tuple[str, tuple[tuple[str, str, float], ...]]  # a verdict, and what must hold for it: ("|r|", ">=", 0.5)

_LEVEL = re.compile(
    r"(?:significance level|alpha|level of significance)\D{0,20}?(0\.\d+)|(?<!\d)(\d{1,2}) ?% (?:significance )?level",
    re.I,
)
_PLACES = re.compile(r"\b(\d|two|three|four|five|six)\s+(?:decimals?(?: places?)?|digits after)", re.IGNORECASE)
_NUMBERS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
_RULE = re.compile(
    r"\b(?:consider|regard|call|classify)\b[^.]*?\b(?:to be|as|it)\s+(?:a |an )?(?P<verdict>\w+)"
    r"(?: relationship| correlation)?,? if (?P<when>.+?)(?=[.;]\s|[.;]?$|\n)",
    re.IGNORECASE,
)
_COMPARED = re.compile(
    r"(?P<subject>p-?\s?value|absolute (?:value of )?(?:the )?(?:r|correlation(?: coefficient)?)|\|r\|"
    r"|correlation(?: coefficient)?|coefficient|\br\b)[^.,;]{0,60}?"
    r"(?P<sign>greater than or equal to|less than or equal to|at least|at most|greater than|above|less than|below"
    r"|>=|<=|>|<)\s*(?P<number>-?\d+(?:\.\d+)?)",
    re.IGNORECASE,
)
_SIGNS = {
    "greater than or equal to": ">=",
    "at least": ">=",
    "less than or equal to": "<=",
    "at most": "<=",
    "greater than": ">",
    "above": ">",
    "less than": "<",
    "below": "<",
}


def level_of(question: str) -> float:
    """The level of significance; 0.05 unless the question states another."""
    found = _LEVEL.search(question)
    return 0.05 if not found else float(found[1]) if found[1] else int(found[2]) / 100


def rules_of(question: str) -> tuple[Rule, ...]:
    """`Consider the relationship to be linear if the p-value is less than 0.05 and ...`."""
    rules = []
    for match in _RULE.finditer(re.sub(r"(?<!\s)\s++(?=[a-z])", " ", question)):
        needs = []
        for compared in _COMPARED.finditer(match["when"]):
            subject = compared["subject"].lower()
            who = "p" if subject.startswith("p") else "|r|" if subject.startswith(("abs", "|")) else "r"
            sign = compared["sign"].lower()
            needs.append((who, _SIGNS.get(sign, sign), float(compared["number"])))
        if needs:
            rules.append((match["verdict"].lower(), tuple(needs)))
    return tuple(rules)


def verdict_of(rules: tuple[Rule, ...], figures: Mapping[str, float]) -> str:
    """The verdict of the first rule that holds; `none` when no rule does, "" when there are no rules."""
    holds = {">=": float.__ge__, "<=": float.__le__, ">": float.__gt__, "<": float.__lt__}
    for verdict, needs in rules:
        if all(who in figures and holds[sign](figures[who], limit) for who, sign, limit in needs):
            return verdict
    return "none" if rules else ""


def with_places(question: str, table: Table) -> Table:
    """The table whose figures have the decimal places that the question asks for, if these are more than two."""
    places = [int(_NUMBERS.get(m[1].lower(), 0) or m[1]) for m in _PLACES.finditer(question)]
    if not places or not 2 < max(places) <= 10:
        return table
    return replace(table, columns=tuple(replace(column, places=max(places)) for column in table.columns))
