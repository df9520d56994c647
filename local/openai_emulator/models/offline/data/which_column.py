"""Of several columns that hold a value, the one that is meant."""

from __future__ import annotations

import re

from local.openai_emulator.models.offline.data import vocabulary as words
from local.openai_emulator.models.offline.data.clause import (
    Clause,
)
from local.openai_emulator.models.offline.data.likeness import SAME, SURE, alike
from local.openai_emulator.models.offline.data.names import name_stems, plain_words
from local.openai_emulator.models.offline.data.regions import STATE_NAMES, has_states
from local.openai_emulator.models.offline.data.short_names import (
    Places,
)
from local.openai_emulator.models.offline.data.siblings import are_siblings, siblings_meant
from local.openai_emulator.models.offline.data.table import Column
from local.openai_emulator.models.offline.words import stem

_CODES = frozenset(["id", "code", "abbr", "abbrev"])
_CALLED = frozenset(["name", "titl"])
_ABOVE = frozenset(map(stem, ("manager", "supervisor", "boss", "mentor", "reports", "lead", "head")))  # another row
CITIES = ("new york", "washington")  # of all states these are better known as cities
_ENDS = {
    "from": frozenset(["from", "origin", "start", "pickup", "departure", "depart", "source"]),
    "to": frozenset(["to", "destination", "dest", "dropoff", "arrival", "arrive", "end", "stop", "finish"]),
}
STARTED = frozenset(["start", "started", "starting", "starts", "began", "begin", "departed", "left"])
ENDED = frozenset(["end", "ended", "ending", "ends", "arrived", "finished", "stopped", "stop", "finish"])
_OF_THE = r"\b(?:how many|share|percent\w*|proportion|fraction) of (?:all )?(?:the )?$"


def one_column_each(clause: Clause, found: Places) -> None:
    """Of columns that have the same value, keep the one that is named beside it, or that does not name the rows.

    If neither tells which is meant, the clause is ambiguous.
    """
    by_places: dict[tuple[int, ...], dict[str, str]] = {}
    for name, hits in found.items():
        for value, places in hits:
            by_places.setdefault(places, {})[name] = value

    def keep(kept: list[Column], columns: list[Column], places: tuple[int, ...]) -> None:
        for column in columns:
            if column not in kept:
                found[column.name] = [hit for hit in found[column.name] if hit[1] != places]

    for places, values in by_places.items():
        columns = [c for c in clause.table.columns if c.name in values]
        told = " ".join(clause.word(i) for i in places)
        exact = [c for c in columns if values[c.name].lower() == told and not c.entries]
        states = [c for c in columns if has_states(c)]
        exact = states if len(states) == 1 and told not in CITIES and told in STATE_NAMES else exact
        if len(exact) == 1 and len(columns) > 1:
            keep(exact, columns, places)
            continue
        of_one_kind = are_siblings([c for c in columns if not clause.entity(c)])
        if len(columns) > 1 and not of_one_kind and _is_from_or_to(clause, places):
            _keep_end(clause, found, places, columns)
            continue
        if len(columns) < 2:
            continue
        kept = _kept(clause, columns, places)
        if len(kept) > 1 and are_siblings(kept):
            clause.either[places] = tuple(c.name for c in kept)
            kept = kept[:1]
        keep(kept, columns, places)
        if len(kept) > 1:
            said = " ".join(clause.tokens[i][0] for i in places)
            clause.ambiguous.append(f'"{said}" could be {" or ".join(f"`{c.name}`" for c in kept[:4])}.')


def _written_before(clause: Clause, columns: list[Column], places: tuple[int, ...]) -> list[Column]:
    """The columns whose name stands right before a value: "team1 Canada", "where team1 is Canada"."""
    before = min(places) - 1
    before -= clause.word(before) in ("is", "was", "are", "were", "equals")
    return [m.column for m in clause.mentions if m.column in columns and max(m.tokens) == before]


def _kept(clause: Clause, columns: list[Column], places: tuple[int, ...]) -> list[Column]:
    """Of columns that have a value, those that can be meant."""
    names_ = [c for c in columns if not _CODES & set(name_stems(c.name))]
    if len(names_) == 1:
        return names_  # `country`, and not `country_id`
    written = _written_before(clause, columns, places)
    if len(written) == 1:
        return written
    named = _named(clause, columns, places)
    if len(named) != 1 and (several := siblings_meant(clause, names_ or columns, places, named)):
        return several
    common = [c for c in columns if not names_rows(c, clause) and not c.entries]
    first = [
        c for c in columns if all(re.fullmatch(rf"{re.escape(c.name)}[ _.]?\d", o.name) for o in columns if o is not c)
    ]
    lands = [c for c in columns if {"countri", "nation"} & set(name_stems(c.name))]
    own = [c for c in columns if clause.entity(c) and _CALLED & set(name_stems(c.name))]
    if len(named) != 1 and len(own) == 1 and _ABOVE & {part for c in columns for part in name_stems(c.name)}:
        return own if _is_of(clause, places) else columns  # "the salary of Ann", who is a manager, too
    return next((some for some in (named, common, first, lands) if len(some) == 1), columns)


def _is_of(clause: Clause, places: tuple[int, ...]) -> bool:
    """Whether what is asked for is of a value: "the salary of Ann", "Ann's salary", "what does Ann earn"."""
    before = clause.word(min(places) - 1) in ("of", "does", "did", "is", "was")
    return before or clause.word(max(places)).endswith("'s")


def _named(clause: Clause, columns: list[Column], places: tuple[int, ...]) -> list[Column]:
    """Of columns that have a value, those that the clause names."""
    named = [c for c in columns if is_beside(c, clause, places)]
    owned = [c for c in named if _is_owned(c, clause, places)]
    if owned and (rest := [c for c in columns if c not in owned and clause.entity(c)]):
        named = rest[:1]  # "David King's manager" is another one
    others = [i for i in range(len(clause.tokens)) if i not in places]
    if len(named) > 1:  # "refund requests by ticket type": `Ticket Type`, and not `Ticket Subject`
        said = {stem(clause.word(i)) for i in others}
        whole = [c for c in named if set(name_stems(c.name)) <= said]
        named = whole if len(whole) == 1 else named
    if not named:
        named = [c for c in columns if any(_is_name_said(c, clause, i) for i in range(len(clause.tokens)))]
    if len(named) != 1:  # "Coach Winner" for the coach who won
        common = set.intersection(*(set(name_stems(c.name)) for c in columns))
        free = [clause.word(i) for i in others if clause.word(i) not in words.SILENT]
        own = [c for c in columns if any(alike(w, p) >= SAME for w in free for p in {*name_stems(c.name)} - common)]
        named = own if len(own) == 1 else named
    return named


def counted_or_value(clause: Clause, found: Places) -> None:
    """Refuse "the most deaths" in a table with a value `Death` and another column `death_date`.

    Of "how many of the courses are specializations" the courses are all rows, though there is a value `Course`.
    """
    for name, hits in found.items():
        before = {hit: clause.text[: clause.tokens[hit[1][0]].start()] for hit in hits}
        whole = [hit for hit in hits if re.search(_OF_THE, before[hit], re.IGNORECASE)]
        if len(hits) == 2 and len(whole) == 1 and clause.word(whole[0][1][0]).endswith("s"):
            found[name] = [hit for hit in hits if hit not in whole]
            clause.used |= set(whole[0][1])
            clause.notes.append(f"a row taken as one of the {clause.word(whole[0][1][0])}")
            continue
        others = {part for c in clause.table.columns if c.name != name for part in name_stems(c.name)}
        for value, places in hits:
            word = clause.word(places[0])
            counted = clause.word(places[0] - 1) in ("most", "fewest", "many") and len(places) == 1
            plain = word.endswith("s") and clause.tokens[places[0]][0].islower() and len(places) == 1
            of_rows = plain and not counted and is_of_file(clause, places[0]) and len(hits) == 1
            if of_rows or (counted and word.endswith("s") and stem(word) in others):
                clause.ambiguous.append(f'"{word}" could be {value} of `{name}`, or all rows.')


def is_beside(column: Column, clause: Clause, places: tuple[int, ...]) -> bool:
    """Whether a column is named within three words of a value."""
    beside = [clause.word(i) for i in (*range(places[0] - 3, places[0]), *range(places[-1] + 1, places[-1] + 4))]
    return any(alike(word, part) >= 0.8 for word in beside if len(word) > 2 for part in name_stems(column.name))


def _is_owned(column: Column, clause: Clause, places: tuple[int, ...]) -> bool:
    """Whether a column is asked for of a value: "David King's manager", "the manager of David King"."""
    after = clause.word(places[-1]).endswith("'s") and clause.word(places[-1] + 1)
    before = clause.word(places[0] - 1) == "of" and clause.word(places[0] - 2)
    verb = clause.says(r"^\W*who (?:manages?|leads?|supervises?)\b") and clause.word(places[0] - 1)
    own = name_stems(column.name)
    if after and any(alike(after, part) >= SURE for part in own) and clause.word(places[-1] + 2):
        clause.ambiguous.append(f"What belongs to the `{column.name}` is not looked up.")
    reports = clause.says(r"\breports? to\W*$") and {"manag", "supervisor", "boss"} & set(own)
    words_ = [word for word in (after, before, verb) if word]
    return bool(reports) or any(alike(word, part) >= SURE for word in words_ for part in own)


def _is_name_said(column: Column, clause: Clause, at: int) -> bool:
    """Whether a word is the name of a column: "states" for `State`."""
    word = clause.word(at)
    common = words.SILENT | words.WHOLES
    return stem(word) in name_stems(column.name) and (word not in common or word.endswith("s"))


def end_of(clause: Clause, places: tuple[int, ...]) -> str:
    """Whether a value is said to be where something begins or ends: "from York", "started in York"."""
    before, verb = clause.word(places[0] - 1), clause.word(places[0] - 2)
    if before in ("in", "at") and verb in STARTED | ENDED:
        return "from" if verb in STARTED else "to"
    return before if before in ("from", "to") else ""


def _is_from_or_to(clause: Clause, places: tuple[int, ...]) -> bool:
    return bool(end_of(clause, places))


def _keep_end(clause: Clause, found: Places, places: tuple[int, ...], columns: list[Column]) -> None:
    """Of "trips to York", keep the column that names this end; "from A to B" is read later."""
    others = [at for column in columns for _, at in found[column.name] if at != places and _is_from_or_to(clause, at)]
    if others:
        return
    ends_ = _ENDS[end_of(clause, places)]
    named = [c for c in columns if ends_ & {*plain_words(c.name)}]
    if len(named) != 1 or clause.word(places[0] - 2) == "or":  # "to or from York"
        said = " ".join(clause.tokens[i][0] for i in places)
        clause.ambiguous.append(f'"{said}" could be {" or ".join(f"`{c.name}`" for c in columns[:4])}.')
        return
    for column in columns:
        if column is not named[0]:
            found[column.name] = [hit for hit in found[column.name] if hit[1] != places]


def names_rows(column: Column, clause: Clause) -> bool:
    """Whether most rows have a value of their own, as in a column of names."""
    return column.unique > max(0.5 * clause.table.rows, 20)


def is_of_file(clause: Clause, at: int) -> bool:
    return stem(clause.word(at)) in name_stems(clause.table.shown.rpartition(".")[0])
