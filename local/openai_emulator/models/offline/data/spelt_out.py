"""Words that spell out the name of a column: "gross domestic product" for `gdp`, "passenger class" for `Pclass`."""

from __future__ import annotations

from itertools import combinations, pairwise

from local.openai_emulator.models.offline.data.clause import Clause
from local.openai_emulator.models.offline.data.likeness import SURE, alike, consonants

SHORTEST_MARKED = 3  # letters of a name before an initial


def spelt_out(clause: Clause, first: int, parts: list[str]) -> tuple[int, ...]:
    """Words whose initials or beginnings are the parts of a name: "gross domestic product per capita", `gdpPercap`."""
    if len(parts) == 1 and (begun := _begun(clause, first, parts[0])):
        return begun
    if len(parts) == 1 and (marked := _marked(clause, first, parts[0])):
        return marked
    if initials := _initials(clause, first, parts):
        return initials
    at, found = first, 0
    for part in parts:
        count = len(part)
        own = [clause.word(i) for i in range(at, at + count)]
        if 3 <= count <= 5 and "".join(word[:1] for word in own) == part and clause.word(at) != part:
            at, found = at + count, found + 1
        elif found and (clause.word(at) + clause.word(at + 1)).startswith(part):
            at = at + 2
        elif found and (more := _after_small_words(clause, at, part)):
            at = more
        elif found and part.isdigit():
            years = [i for i in range(at, min(at + 5, len(clause.tokens))) if clause.word(i) == part]
            if not years:
                return ()
            return (*range(first, at), years[0])
        else:
            return ()
    return tuple(range(first, at)) if found else ()


def _initials(clause: Clause, first: int, parts: list[str]) -> tuple[int, ...]:
    """Capitals that are the initials of a name: `Price/Earnings` for "P/E" and "PE", and "EPS" for `Earnings/Share`."""
    if len(parts) < 2 or len(set(parts)) < len(parts):
        return ()
    letters = "".join(part[0] for part in parts).upper()
    joined = letters[0] + "P" + letters[1] if len(parts) == 2 else letters
    for count in (1, len(parts)):
        said = [clause.tokens[i][0] for i in range(first, min(first + count, len(clause.tokens)))]
        if "".join(said) in (letters, joined) and len("".join(said)) > 1 and not clause.text.isupper():
            more = clause.word(first + count) in ("ratio", "ratios") and len(parts) == 2
            return tuple(range(first, first + count + more))
    return ()


def _marked(clause: Clause, first: int, name: str) -> tuple[int, ...]:
    """A word and the one beside it whose initial the name ends with: `SATM` for "SAT math" and "math SAT"."""
    word, mark = name[:-1], name[-1:]
    for places in ((first, first + 1), (first + 1, first)):
        said, beside = (clause.word(i) for i in places)
        if len(word) >= SHORTEST_MARKED and said == word and beside.startswith(mark) and len(beside) > 1:
            return tuple(sorted(places))
    return ()


def _after_small_words(clause: Clause, at: int, part: str) -> int:
    """The place after a part of a name that follows, "in the city" for `city`; 0 if it does not."""
    while clause.word(at) in ("in", "on", "of", "the", "a", "for"):
        at += 1
    return at + 1 if alike(clause.word(at), part) >= SURE else 0


def _begun(clause: Clause, first: int, name: str) -> tuple[int, ...]:
    """Two or three words whose beginnings make up a name: `Pclass` for "passenger class"."""
    places = [i for i in range(first, min(first + 4, len(clause.tokens))) if clause.word(i) not in ("or", "and", "of")]
    if len(name) < 5 or first not in places or clause.word(first).startswith(name):
        return ()  # "disasters started" is no more than `Disaster`
    for count in (2, 3):
        taken = places[:count]
        own = [clause.word(i) for i in taken]
        if len(own) < count or "".join(own) == name:
            continue
        for cuts in combinations(range(1, len(name)), count - 1):
            pieces = [name[a:b] for a, b in pairwise((0, *cuts, len(name)))]
            pairs = list(zip(own, pieces, strict=True))
            fits = all(word.startswith(piece) or consonants(word, piece) for word, piece in pairs)
            if fits and (all(len(piece) > 1 for piece in pieces) or (pieces[-1] == own[-1] and len(own[-1]) > 3)):
                return tuple(range(first, taken[-1] + 1))
    return ()
