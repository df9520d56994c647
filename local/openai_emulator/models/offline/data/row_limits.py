"""Limits at the figure of another row or of all rows: "a higher rent than Germany", "above the average"."""

from __future__ import annotations

import re

from local.openai_emulator.models.offline.data import vocabulary as words
from local.openai_emulator.models.offline.data.ask import Condition
from local.openai_emulator.models.offline.data.clause import Clause, Mention, figures, is_year
from local.openai_emulator.models.offline.data.names import is_score, label, name_stems
from local.openai_emulator.models.offline.data.table import Column
from local.openai_emulator.models.offline.words import stem

_MORE = frozenset(["more", "higher", "greater", "larger", "bigger", "above", "over", "exceed", "exceeds", "exceeding"])
_LESS = frozenset(["less", "lower", "fewer", "smaller", "below", "under"])
_WITHOUT_THAN = frozenset(["above", "over", "below", "under", "exceed", "exceeds", "exceeding"])
_SMALL = frozenset(["the", "a", "an", "that", "those", "of", "in", "for", "at", "on", "did", "overall", "general"])
_LINKS = frozenset(["is", "are", "was", "were", "that", "which", "who", "have", "has", "had", "even", "much", "far"])
_FIGURE = re.compile(r"\b(average|mean|median)\b(?!-| of (?!all\b))", re.IGNORECASE)
_ASKS_ROWS = (
    r"\bhow many\b(?! (?:more|fewer|less|times)\b)|\bnumber of\b|\bshare\b|\bpercent"
    r"|^\W*(?:in )?(?:which|what|who|list|show|name|find|give)\b"
)
_AGAINST = r"^\W*(?:is|are|was|were|do|does|did|has|have|can|will)\b|\bhow much\b|\bby how\b|\bcompar"
REACH = 8  # words between a comparative and "than"


def limits_at_rows(clause: Clause) -> None:
    """The limit that is the figure of one row, or the average or median of all rows."""
    if not clause.says(_ASKS_ROWS) or clause.says(_AGAINST):
        return
    for condition in list(clause.conditions):
        _at_row(clause, condition)
    for match in _FIGURE.finditer(clause.text):
        at_ = max(clause.within(match))
        before = _than(clause, at_) if at_ not in clause.settled else -1
        after = _after_figure(clause, at_)
        if before >= 0 and after and (found := _compared(clause, before, after)):
            column, sign, start = found
            how = "median" if match[1].lower() == "median" else "mean"
            text = f"{label(column.name)} {'above' if sign == '>' else 'below'} the {match[1].lower()} of all rows"
            _add(clause, column, f"{sign} {how}", None, text, range(start, after))
            clause.settled |= set(range(start, after))


def _at_row(clause: Clause, condition: Condition) -> None:
    """Make the value of a column of names that stands behind "than" a limit: the figure of its row."""
    key = clause.table.column(condition.column)
    at = {places for name, places in clause.places if name == condition.column}
    if key is None or key.kind != "text" or condition.test not in ("==", "in") or not at:
        return
    before, after = _than(clause, min(min(at))), max(max(at)) + 1
    if before < 0 or not (found := _compared(clause, before, after)):
        return
    column, sign, start = found
    if condition.test == "in" or condition.value in key.repeated or not clause.entity(key):
        clause.ambiguous.append(
            f"A limit is the figure of one row, and {condition.words} of `{key.name}` may be several."
        )
        return
    clause.conditions.remove(condition)
    clause.places = [place for place in clause.places if place[0] != key.name]
    text = f"{label(column.name)} {'above' if sign == '>' else 'below'} that of {condition.value}"
    _add(clause, column, f"{sign} row", (key.name, condition.value), text, range(start, after))


def _than(clause: Clause, at: int) -> int:
    """The token of the "than" or "above" that stands before what a limit is; -1 if there is none."""
    before = at - 1
    while clause.word(before) in _SMALL:
        before -= 1
    return before if clause.word(before) in _WITHOUT_THAN or clause.word(before) == "than" else -1


def _after_figure(clause: Clause, at: int) -> int:
    """The token behind "average" and the words that belong to it, "the average salary"; 0 if more follows."""
    named = {i for m in clause.mentions if m.column.kind == "number" for i in m.tokens}
    rows = words.ROW_NOUNS | words.PEOPLE
    own = set(name_stems(clause.table.shown.rpartition(".")[0]))
    after = at + 1
    while after in named or clause.word(after) in ("value", "figure", "of", "all", "for"):
        after += 1
    if {clause.word(after), f"{clause.word(after)}s"} & rows or (
        clause.word(after) and stem(clause.word(after)) in own
    ):
        after += 1
    text = clause.text[clause.tokens[after - 1].end() :]
    return after if re.match(r"\W*$|,|\W*(?:and|but|while)\b", text) else 0


def _compared(clause: Clause, than: int, after: int) -> tuple[Column, str, int] | None:
    """The column that is compared, the sign, and the token where the comparison begins."""
    at = than
    if clause.word(than) == "than":
        at = next((i for i in range(than - 1, max(than - REACH, -1), -1) if _sign(clause, i)[0]), -1)
    if at < 0 or any(at < min(places) < than for _, places in clause.places):
        return None
    said, hints = _sign(clause, at)
    own = [m for m in clause.mentions if m.tokens == (at,)]  # "higher" is no `Day High`
    numbers = [m for m in clause.mentions if m.column.kind == "number" and (m not in own or hints)]
    column = _column(clause, numbers, at, than, after, hints)
    if column is None or is_year(column) or "rank" in name_stems(column.name):
        return None
    of_score = is_score(column.name) or any(is_score(clause.word(i)) for i in range(at, than))
    if clause.word(at) in ("better", "worse") and not of_score:
        return None
    clause.mentions = [m for m in clause.mentions if m not in own or m.column is column]
    return column, said, at


def _sign(clause: Clause, at: int) -> tuple[str, str]:
    """The sign of a comparative, and the words for the columns that it means; "" if it is none."""
    word = clause.word(at)
    if word in ("expensive", "valuable") and clause.word(at - 1) in ("more", "less"):
        return (">" if clause.word(at - 1) == "more" else "<"), words.ADJECTIVES[word][1]
    if word in _MORE | {"better"}:
        return ">", ""
    if word in _LESS | {"worse"}:
        return "<", ""
    if word in ("faster", "slower"):
        return (">" if word == "faster" else "<"), "speed"
    end = f"{word[:-2]}est" if word.endswith("er") else ""
    low, hints = words.ADJECTIVES.get(end, (False, ""))
    return ("<" if low else ">", hints) if hints else ("", "")


def _column(clause: Clause, numbers: list[Mention], at: int, than: int, after: int, hints: str) -> Column | None:
    """The column of a comparison: between its words, behind the average, just before it, or what an adjective means."""
    inside = {m.column.name: m.column for m in numbers if at < m.tokens[-1] < than or than < m.tokens[0] < after}
    if len(inside) > 1:
        return None
    if inside:
        return next(iter(inside.values()))
    if hints:
        stems = {*map(stem, hints.split())}
        meant = [c for c in figures(clause.table) if stems & {*name_stems(c.name)}]
        return meant[0] if len(meant) == 1 else None
    ends_ = {m.tokens[-1]: m.column for m in numbers}
    before = at - 1
    while before not in ends_ and clause.word(before) in _LINKS | words.MEASURES:
        before -= 1
    return ends_.get(before)


def _add(clause: Clause, column: Column, test: str, value: object, text: str, at: range) -> None:
    clause.used |= set(at)
    clause.places.append((column.name, tuple(at)))
    clause.conditions.append(Condition(column=column.name, test=test, value=value, words=text))


def check_average(clause: Clause) -> None:
    """Refuse a limit at an average beside groups or other conditions: it could be the average of these."""
    at_average = [c for c in clause.conditions if c.test.endswith((" mean", " median"))]
    groups = [*clause.by, *clause.by_numbers, *([clause.which] if clause.which else [])]
    groups = [c for c in groups if not clause.entity(c)]
    if at_average and (groups or clause.period or len(at_average) < len(clause.conditions) or clause.table.weight):
        clause.ambiguous.append("It is not clear of which rows the average is meant.")
