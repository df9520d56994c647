"""Conditions on a part of a text: `names that start with New`, `titles containing "star"`, `with trump in the name`."""

from __future__ import annotations

import re
from collections.abc import Collection

from local.openai_emulator.models.offline.data import vocabulary as words
from local.openai_emulator.models.offline.data.ask import Condition
from local.openai_emulator.models.offline.data.clause import Clause, Mention
from local.openai_emulator.models.offline.data.names import label, name_stems
from local.openai_emulator.models.offline.words import stem

FEWEST_VALUES = 2  # different values of a column of texts: of two, none is a part of a text
SHORTEST_WORD = 4  # letters
_PART = (
    r"(?:the (?:word|text|letters?|string) )?(?:[\"'“‘](?P<quoted>[^\"'”’]{1,60})[\"'”’]|(?P<word>[\w.@-]{1,40}\w|\w))"
)
_AFTER = re.compile(
    rf"\s+(?:that |which |whose )?(?:(?P<start>start|starts|starting|begin|begins|beginning) with"
    rf"|(?P<end>end|ends|ending) (?:with|in)|contain|contains|containing|includes?|including)\s+{_PART}",
    re.IGNORECASE,
)
_HAVE = re.compile(rf"\s+(?:have|has|with) {_PART} in (?:them|it|their name|its name)\b", re.IGNORECASE)
_IN_NAME = re.compile(
    rf"\b(?:with|have|has|having|contain\w*|mention\w*) {_PART} "
    r"in (?:their|it'?s|the|his|her) (?P<called>name|title)s?\b",
    re.IGNORECASE,
)
_BEFORE = re.compile(rf"\bwith {_PART} in (?:the|their|its|his|her) (?:\w+ )?$", re.IGNORECASE)


def parts_in(clause: Clause) -> None:
    """Read what a named column of text has to contain, and account for its words."""
    for mention in list(clause.mentions):
        if mention.column.kind != "text" or max(mention.tokens) >= len(clause.tokens):
            continue
        start, end = clause.tokens[min(mention.tokens)].start(), clause.tokens[max(mention.tokens)].end()
        have = _HAVE.match(clause.text, end)
        after, before = _AFTER.match(clause.text, end), _BEFORE.search(clause.text[:start])
        if after and _is_text(clause, after):
            test = "starts" if after["start"] else "ends" if after["end"] else "contains"
            _add(clause, mention, after, test, ends=(after.start(), after.end()))
        elif have and _is_text(clause, have):
            _add(clause, mention, have, "contains", ends=(have.start(), have.end()))
        elif before and _is_text(clause, before):
            _add(clause, mention, before, "contains", ends=(before.start(), end))


def named_parts(clause: Clause) -> None:
    """Of "with curry in its name", the column that is named before it, or the one of names."""
    found = _IN_NAME.search(clause.text)
    texts = [c for c in clause.table.of_kind("text") if c.unique > FEWEST_VALUES and not c.entries]
    own = [m.column for m in clause.mentions if m.column in texts]
    said = {stem(word) for word in re.findall(r"[a-z]+", clause.text[: found.start()].lower())} if found else set()
    called = [c for c in texts if found and {stem(found["called"].lower())} & set(name_stems(c.name))]
    called = called if len(called) == 1 else own or [c for c in texts if said & set(name_stems(c.name))]
    if found is None or len(called) != 1:
        return
    clause.claim(found.start(), found.end())
    part = found["quoted"] or found["word"]
    text = f'{label(called[0].name)} contains "{part}"'
    clause.conditions.append(Condition(column=called[0].name, test="contains", value=part, words=text))
    clause.places.append((called[0].name, tuple(clause.within(found))))


def words_in_cells(clause: Clause, unknown: Collection[str]) -> None:
    """A word that several texts of one column have, and no other column: "touchscreen" for `IPS Touchscreen`."""
    common = words.SILENT | words.NOT | words.PEOPLE | words.ROW_NOUNS | words.SAME_WORDS | words.OPERATIONS
    wanted = {word.lower() for word in unknown} - common - words.HIGHEST - words.LOWEST
    columns = [c for c in clause.table.of_kind("text") if c.unique > FEWEST_VALUES and not c.entries]
    for i in clause.free():
        word = clause.word(i)
        is_long = len(word) >= SHORTEST_WORD or (len(word) > 1 and not word.isalpha() and not word.isdigit())  # "i5"
        if not is_long or not word.isalnum() or word not in wanted:
            continue
        ways = {word, word.removesuffix("s")}
        having = {c.name: [v for v in c.values if ways & set(re.findall(r"\w+", v.lower()))] for c in columns}
        found = [name for name, values in having.items() if values]
        column = clause.table.column(found[0]) if len(found) == 1 else None
        single = column is not None and len(having[column.name]) < 2 and word.isalpha()
        if column is None or clause.entity(column) or single:
            continue
        way = next(w for w in (word, word.removesuffix("s")) if any(w in v.lower() for v in having[column.name]))
        clause.used.add(i)
        clause.places.append((column.name, (i,)))
        told = f'{label(column.name)} with the word "{way}"'
        clause.conditions.append(Condition(column=column.name, test="has word", value=way, words=told))


def _is_text(clause: Clause, match: re.Match[str]) -> bool:
    """Whether what has to be contained is quoted, or a word that means nothing else."""
    if match["quoted"]:
        return True
    place = match.start("word")
    at = next((i for i, token in enumerate(clause.tokens) if token.start() <= place < token.end()), -1)
    return at not in clause.used and at >= 0


def _add(clause: Clause, mention: Mention, match: re.Match[str], test: str, *, ends: tuple[int, int]) -> None:
    part = match["quoted"] or match["word"]
    clause.claim(*ends)
    verb = {"starts": "starts with", "ends": "ends with", "contains": "contains"}[test]
    text = f'{label(mention.column.name)} {verb} "{part}"'
    clause.conditions.append(Condition(column=mention.column.name, test=test, value=part, words=text))
    clause.places.append((mention.column.name, tuple(clause.within(match))))
