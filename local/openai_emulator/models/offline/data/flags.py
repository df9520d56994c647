"""Conditions by columns of yes and no: "smokers", "who survived", and "died" for the no of `survived`."""

from __future__ import annotations

import re
from dataclasses import replace

from local.openai_emulator.models.offline.data import vocabulary as words
from local.openai_emulator.models.offline.data.ask import Condition
from local.openai_emulator.models.offline.data.clause import Clause, Mention, is_flag
from local.openai_emulator.models.offline.data.denials import denial
from local.openai_emulator.models.offline.data.names import label, name_stems
from local.openai_emulator.models.offline.words import stem

_LEAVING = frozenset(map(stem, ("exit", "termination", "terminated", "leaving", "separation", "resignation", "term")))
_OF_GROUPS = frozenset(["by", "per", "each", "which", "common", "frequent", "different", "distinct"])
COMPARES = r"\bversus\b|\bvs\b|\bcompar|\bdifference\b|\bthan\b"
_JOINS = frozenset(
    ["versus", "vs", "than", "to", "with", "and", "against", "compared", "for", "of", "in", "those", "a"]
)
_MORE = frozenset(["higher", "lower", "more", "less", "better", "worse", "are", "is", "have"])
WITH_AND_WITHOUT = r"\bwith(?:,? (?:and|or|vs\.?|versus)) without\b"
_WITH_AND_WITHOUT = re.compile(rf"{WITH_AND_WITHOUT} (?:(?:an?|the|any) )?$", re.IGNORECASE)
_LEFT = re.compile(
    r"\b(?:have |has |had )?(left|quit|resigned|departed|been terminated|(?:are|is) gone)\b"
    r"(?: the (?:company|firm|organi[sz]ation))?",
    re.IGNORECASE,
)
_STILL = re.compile(
    r"\b(?:are |is )?(currently|now|still (?:with|at|in|work(?:ing)? (?:at|for|here)|employed|here|active))\b"
    r"(?: (?:at |by )?the (?:company|firm|organi[sz]ation))?",
    re.IGNORECASE,
)


def opposites_in(clause: Clause) -> None:
    """The no of a column of yes and no that the opposite of its name stands for: "died" of `survived`."""
    for i in clause.free():
        own = next((stem(name) for name, said in words.OPPOSITES.items() if clause.word(i) in said.split()), "")
        if not own and (prefix := re.match(r"(?:un|non-?|in|dis)(?=\w{4})", clause.word(i))):
            own = stem(clause.word(i)[prefix.end() :])  # "unfurnished" of `furnished`
        for column in clause.table.columns if own else ():
            no = [value for value in column.values if value.lower() in words.NO]
            is_flag = len(column.values) == 2 and no and own in name_stems(column.name)
            same = [c for c in clause.conditions if c.column == column.name and c.test == "=="]
            if is_flag and same and clause.says(r"\b(?:or|vs\.?|versus|than|compared?)\b"):
                clause.used.add(i)
                clause.conditions = [c for c in clause.conditions if c not in same]
                clause.by.append(column)  # "free or paid courses": of each
                continue
            if is_flag and all(c.column != column.name for c in clause.conditions):
                denying = denial(clause, i, column)  # "not free" of `paid`
                said = next(v for v in column.values if v not in no) if denying else no[0]
                clause.used |= {i, *denying}
                clause.places.append((column.name, (i,)))
                value: object = said if column.kind != "number" else float(said)
                text = f"{'not ' if denying else ''}{clause.word(i)} ({column.name} = {said})"
                clause.conditions.append(Condition(column=column.name, test="==", value=value, words=text))


def outcomes_in(clause: Clause) -> None:
    """What the yes and no of `Attrition` or `Churn` are called: "left", "stayed"; of both, the groups."""
    for names, yes, no in words.OUTCOMES:
        columns = [c for c in clause.table.columns if any(name <= set(name_stems(c.name)) for name in names)]
        columns = [c for c in columns if is_flag(c)]
        said = {True: [i for i in clause.free() if clause.word(i) in yes]}
        said[False] = [i for i in clause.free() if clause.word(i) in no]
        if len(columns) != 1 or not (said[True] or said[False]) or columns[0] in [m.column for m in clause.mentions]:
            continue
        column, both = columns[0], bool(said[True] and said[False])
        clause.used |= {*said[True], *said[False]}
        if both:
            clause.by.append(column)
            return
        at = min(said[True] or said[False])
        if clause.word(at + 1) in ("rate", "rates"):
            clause.rate_of = column.name
            clause.used.add(at + 1)
        denying = denial(clause, at, column)
        clause.used |= set(denying)
        wanted = words.YES if bool(said[True]) != bool(denying) else words.NO
        value = next(value for value in column.values if value.lower() in wanted)
        clause.places.append((column.name, (at,)))
        text = f"{'not ' if denying else ''}{clause.word(at)} ({column.name} = {value})"
        plain: object = float(value) if column.kind == "number" else value
        clause.conditions.append(Condition(column=column.name, test="==", value=plain, words=text))


def leavers_in(clause: Clause) -> None:
    """Those who left, or are still there, by a date that only those who left have: `Exit Date`."""
    dates = [c for c in clause.table.of_kind("date") if c.missing and _LEAVING & set(name_stems(c.name))]
    said = _LEFT.search(clause.text) or _STILL.search(clause.text)
    if len(dates) != 1 or said is None or not clause.is_free(said.start(1), said.end(1)):
        return
    test = "filled" if said.re is _LEFT else "missing"
    clause.claim(said.start(), said.end())
    spans = [c for c in clause.conditions if c.test == "spans" and c.column != dates[0].name]
    if test == "filled" and spans and clause.says(rf"\b(?:{'|'.join(words.BEGINNING)})\b"):
        clause.ambiguous.append(f"It is not clear what is meant to be at which time: `{dates[0].name}` or another one.")
    elif test == "filled" and spans:  # "left in 2020"
        clause.conditions = [replace(c, column=dates[0].name) if c in spans else c for c in clause.conditions]
        clause.notes = [note for note in clause.notes if not note.endswith("taken as the date")]
    if test == "filled" and clause.period:
        clause.ambiguous.append(f"It is not clear whether `{dates[0].name}` or another date is meant.")
    text = f"{'with' if test == 'filled' else 'without'} {label(dates[0].name)}"
    clause.conditions.append(Condition(column=dates[0].name, test=test, words=text))


def flags_in(clause: Clause) -> None:
    """A column of yes and no whose name stands for its yes: "smokers", "non-smokers", "who survived"."""
    for mention in list(clause.mentions):
        column = mention.column
        values = {value.lower() for value in column.values}
        yes = [v for v in column.values if v.lower() in words.YES]
        no = [v for v in column.values if v.lower() in words.NO]
        if len(values) != 2 or not yes or not no or any(c.column == column.name for c in clause.conditions):
            continue
        before = clause.word(mention.tokens[0] - 1)
        if (before in _OF_GROUPS and not _is_before_noun(clause, mention)) or _is_second_group(clause, mention):
            continue
        if (
            clause.word(mention.tokens[0]) == column.name.lower()
            and column.kind == "number"
            and clause.says(r"correlat|between")
        ):
            continue
        verb = _verb_before(clause, mention.tokens[0])
        if both := _WITH_AND_WITHOUT.search(clause.text[: clause.tokens[mention.tokens[0]].start()]):
            clause.claim(both.start(), both.end())
            clause.mentions.remove(mention)
            clause.by.append(column)  # "with and without a pool": of each
            continue
        denying = denial(clause, min((*verb, mention.tokens[0])), column)
        said = _said(clause, mention)
        told = {clause.word(i) for i in said} & (words.YES | words.NO)  # "insured no and married yes"
        negated = bool(told & words.NO) if told else bool(denying)
        clause.used |= {*verb, *said}
        if clause.word(max(mention.tokens) + 1) in ("rate", "rates"):
            clause.rate_of = column.name
            clause.used.add(max(mention.tokens) + 1)
        value: object = (no if negated else yes)[0]
        if column.kind == "number":
            value = float(str(value)) if str(value).replace(".", "").isdigit() else 1.0
        clause.used |= set(denying)
        clause.places.append((column.name, mention.tokens))
        clause.mentions.remove(mention)
        text = f"{'no' if negated else ''} {label(column.name)}".strip()
        clause.conditions.append(
            Condition(
                column=column.name,
                test="==",
                value=value,
                words=f"{text} ({column.name} = {(no if negated else yes)[0]})",
            )
        )


def _is_before_noun(clause: Clause, mention: Mention) -> bool:
    """Whether a column of yes and no stands before a noun: "which remote employee", but not "which sex has"."""
    after = max(mention.tokens) + 1
    verbs = words.VERBS | words.SILENT | {""}
    return clause.word(min(mention.tokens) - 1) == "which" and clause.word(after) not in verbs


def _is_second_group(clause: Clause, mention: Mention) -> bool:
    """Whether a column is the second of two groups: "by smoker and diabetic"."""
    first = min(mention.tokens)
    one = next((m for m in clause.mentions if max(m.tokens) == first - 2 and clause.word(first - 1) == "and"), None)
    return one is not None and clause.word(min(one.tokens) - 1) in ("by", "per", "each")


def _said(clause: Clause, mention: Mention) -> tuple[int, ...]:
    """The "yes" of "yes decisions" and of "the decision was no"."""
    before, after = min(mention.tokens) - 1, max(mention.tokens) + 1
    if clause.word(before) == "to" and clause.word(before - 1) in ("yes", "no"):  # "said yes to volunteering"
        verb = clause.word(before - 2) in ("said", "say", "answered", "voted")
        return (before - 2, before - 1, before) if verb else ()
    if clause.word(before) in ("yes", "true"):
        return (before,)
    if mention.column.kind == "number" and clause.word(after) in ("0", "1"):  # "outcome 1"
        return (after,)
    after += clause.word(after) in ("is", "are", "was", "were", "equals")
    ends_ = clause.word(after + 1) in words.SILENT | {""}  # "smoker no", but not "smoker no children"
    beside = after > max(mention.tokens) + 1 or ends_
    return (after,) if beside and clause.word(after) in ("yes", "no", "true", "false") else ()


def _verb_before(clause: Clause, at: int) -> tuple[int, ...]:
    """The verb of "published by a society", where `society` is yes or no: what it is does not matter."""
    first = at - 1
    while clause.word(first) in ("a", "an", "the", "any"):
        first -= 1
    verb = clause.word(first - 1)
    return (
        (first - 1, first) if clause.word(first) in ("by", "with", "to") and verb.endswith(("ed", "wn", "ng")) else ()
    )


def two_flags(clause: Clause) -> tuple[Condition, ...]:
    """The two conditions on columns of yes and no that a clause compares: "wargames versus card games"."""
    flags = [c for c in clause.conditions if c.test == "==" and f"({c.column} = " in c.words]
    places = sorted((at, name) for name, at in clause.places if name in [c.column for c in flags])
    if len(flags) != 2 or len(places) != 2 or flags[0].column == flags[1].column:
        return ()
    (first, _), (second, last) = places
    named = {clause.word(i) for m in clause.mentions if m.column.kind == "number" for i in m.tokens}
    between = [clause.word(i) for i in range(max(first) + 1, min(second))]
    joined = {*between} & _JOINS and {*between} <= _JOINS | _MORE | named | words.ROW_NOUNS | words.PEOPLE
    ends = [{clause.word(max(at)), clause.word(max(at) + 1)} for at in (first, second)]
    plural = between[-1:] == ["and"] and all(any(word.endswith("s") for word in end) for end in ends)
    plural = plural and clause.word(min(first) - 1) not in ("with", "have", "has", "had", "having")
    each = plural and not clause.says(r"\bboth\b|\bthat\b|\bwho\b|\bwhich\b")  # "wargames and card games"
    if not joined or not (each or clause.says(COMPARES)):
        return ()
    return tuple(sorted(flags, key=lambda c: c.column == last))


def check_two_flags(clause: Clause) -> None:
    """Refuse to count "wargames and card games": it could be those of each, or those that are both."""
    if clause.says(r"\bhow many\b|\bnumber of\b|\bshare\b|\bpercent") and (flags := two_flags(clause)):
        told = " and ".join(f"`{c.column}`" for c in flags)
        clause.ambiguous.append(f"It is not clear whether each of {told} is meant, or both at once.")
