"""What the second "how many" of a question counts, and of which rows."""

from __future__ import annotations

import re

from local.openai_emulator.models.offline.data import vocabulary as words
from local.openai_emulator.models.offline.data.ask import Ask, Condition, Refusal
from local.openai_emulator.models.offline.data.clause import Clause

_IN_ALL = r"\b(?:in total|overall|altogether|in all|(?:are|were) there)\b"
_PREPOSITIONS = frozenset(
    ["in", "on", "at", "from", "by", "for", "before", "after", "since", "to", "with", "and", "or"]
)


def asks_more(clause: Clause, name: str) -> bool:
    """Whether a clause says something that an ask of the same kind before it may not have said."""
    if name == "share" and clause.conditions:
        return True
    counts = name == "count" and bool(re.search(r"\bhow many\b", clause.text, re.IGNORECASE))
    return bool(clause.mentions) or (counts and bool(clause.conditions or re.search(_IN_ALL, clause.text)))


def left_unsaid(before: Ask, clause: Clause) -> list[Condition] | Refusal:
    """What the second part of "how many women smoke and how many men" does not say again: the other conditions."""
    own = {condition.column for condition in clause.conditions}
    more = [condition for condition in before.conditions if condition.column not in own]
    if own and _says_no_noun(clause):
        return [] if _are_two(clause) else more  # "how many studios are there, and how many in Mitte?"
    if not own < {condition.column for condition in before.conditions} or clause.says(_IN_ALL):
        return []
    verbs = [clause.word(i) for i in range(len(clause.tokens)) if clause.word(i) in words.VERBS]
    if not own or any(verb not in ("is", "are", "was", "were") for verb in verbs):
        return Refusal(reason='It is not clear whether the second "how many" is about the same rows as the first.')
    return more


def _are_two(clause: Clause) -> bool:
    """Whether a question only names two things that are counted: "how many men and how many smokers"."""
    found = re.fullmatch(r"\W*how many ([\w' -]+?),? and how many (\w+)\b.*", clause.whole, re.IGNORECASE)
    said = set(found[1].lower().split()) if found else set()
    return found is not None and not said & words.VERBS and found[2].lower() not in _PREPOSITIONS


def _says_no_noun(clause: Clause) -> bool:
    """Whether nothing but conditions stands behind "how many"."""
    found = re.match(r"\W*(?:and )?how many\b", clause.text, re.IGNORECASE)
    taken = {i for _, at in clause.places for i in at}
    after = [i for i, token in enumerate(clause.tokens) if found and token.start() >= found.end()]
    small = _PREPOSITIONS | {"a", "an", "the", "paid", "one"}
    return bool(after) and all(i in taken or clause.word(i) in small for i in after)


def counts_more(asks: list[Ask], ask: Ask, clause: Clause) -> bool:
    """Whether a clause is the second part of "how many men and how many women agreed": the first has no verb."""
    first = asks[-1] if asks else ask
    is_count = first.kind == "count" and not first.targets and ask.kind == "figures"
    return is_count and bool(re.match(r"\W*how many\b", clause.text, re.IGNORECASE))
