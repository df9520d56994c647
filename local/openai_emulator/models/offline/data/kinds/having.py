"""Groups by their number of rows: `Which links appear more than once?`, `Which teams have more than 15 players?`"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from local.openai_emulator.models.offline.data import vocabulary as words
from local.openai_emulator.models.offline.data.ask import Ask, Refusal
from local.openai_emulator.models.offline.data.clause import Clause
from local.openai_emulator.models.offline.data.kinds.base import (
    MOST_ROWS,
    Kind,
    Result,
    group_name,
    reading_of,
    where_text,
)
from local.openai_emulator.models.offline.data.kinds.completing import ask_of
from local.openai_emulator.models.offline.data.rows import group_keys, key_text
from local.openai_emulator.models.offline.data.table import Column, Table

_NUMBER = rf"\d{{1,4}}|{'|'.join(words.NUMBERS)}"
_PLURALS = words.ROW_NOUNS | words.PEOPLE | {"rows", "records", "entries", "cases"}
_ROWS = rf"(?:{'|'.join(sorted(_PLURALS | {word.removesuffix('s') for word in _PLURALS}))})"
_HAVING = re.compile(
    rf"\b(?P<words>more than|at least|fewer than|less than|at most|exactly|just|only)?\s*\b"
    rf"(?P<number>once|twice|(?:{_NUMBER})(?= (?:times|{_ROWS})\b))(?: (?:times|{_ROWS}))?\b",
    re.IGNORECASE,
)
_TESTS = {
    "more than": ">",
    "at least": ">=",
    "fewer than": "<",
    "less than": "<",
    "at most": "<=",
}
_OCCUR = r"\b(?:appears?|occurs?|shows? up|(?:is|are|was|were) (?:listed|repeated|named)|has|have|had|with)\b"


def limits_rows(clause: Clause) -> bool:
    """Whether a clause asks for the groups with some number of rows."""
    return _group(clause) is not None and bool(_HAVING.search(clause.text)) and clause.says(_OCCUR)


def _group(clause: Clause) -> Column | None:
    """The one column of text that the clause names; none if it names a measure, or each row has its own value."""
    found = _HAVING.search(clause.text)
    counted = clause.within(found) if found else set()
    nouns = [mention for mention in clause.mentions if clause.is_only_noun(mention)]
    others = [mention for mention in clause.mentions if mention not in nouns]
    if any(mention.column.kind == "number" or counted & {*mention.tokens} for mention in others):
        return None
    named = list(dict.fromkeys([*([clause.which] if clause.which else []), *clause.texts(), *clause.by]))
    return named[0] if len(named) == 1 and named[0].kind == "text" else None


def complete(clause: Clause) -> Ask | Refusal:
    found, group = _HAVING.search(clause.text), _group(clause)
    if found is None or group is None:
        return Refusal(reason="It is not clear which groups are meant.")
    said = found["number"].lower()
    named = {"once": 1, "twice": 2, **words.NUMBERS}
    number = named[said] if said in named else int(said)
    test = _TESTS.get((found["words"] or "").lower(), "==")
    clause.claim(found.start(), found.end())
    clause.claim_all(_OCCUR)
    parts = (("rows", test, float(number)),)
    return ask_of(clause, "having", by=(group.name,), period="", parts=parts, targets=(found[0].strip(),), chart="")


def count_groups(rows: Any, ask: Mapping[str, Any]) -> dict[str, Any]:
    """`groups`: those with the asked number of rows, the largest first; `of` is the number of all groups."""
    import operator

    sizes = rows.groupby(group_keys(rows, ask)).size().sort_values(ascending=False, kind="stable")
    signs = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq}
    _, test, number = ask["parts"][0]
    kept = sizes[signs[test](sizes, number)]
    return {"groups": {key_text(key): int(size) for key, size in kept.items()}, "of": len(sizes)}


def sentence(ask: Ask, result: Result, table: Table) -> str:
    groups: Mapping[str, int] = result["groups"]
    name = group_name(ask)
    test = {">": "more than", ">=": "at least", "<": "fewer than", "<=": "at most", "==": "exactly"}[ask.parts[0][1]]
    limit = f"{test} {ask.parts[0][2]:g} row{'' if ask.parts[0][2] == 1 else 's'}"
    lead = f"**{len(groups):,}** of {result['of']:,} values of {name}{where_text(ask)} have {limit}"
    lines = [f"| {key.replace('|', '/')} | {size:,} |" for key, size in list(groups.items())[:MOST_ROWS]]
    more = f"\n\n({len(groups) - MOST_ROWS:,} more are not shown.)" if len(groups) > MOST_ROWS else ""
    return f"{lead}:\n\n| {name} | Rows |\n|---|---:|\n" + "\n".join(lines) + more if groups else f"{lead}."


def reading(ask: Ask) -> str:
    return reading_of(f"Values of `{ask.by[0]}` by their number of rows: {ask.targets[0]}", ask)


HAVING = Kind(
    name="having",
    examples=(
        "Which X appear more than once?",
        "How many X have exactly one row?",
        "List the X with fewer than 5 rows",
    ),
    cues="",
    words="how many which what list show name times",
    complete=complete,
    program=count_groups,
    helpers=(group_keys, key_text),
    sentence=sentence,
    reading=reading,
)
