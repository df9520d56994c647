"""Find the conditions that a clause names by values of text columns, and by columns of yes and no."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator

from local.openai_emulator.models.offline.data import vocabulary as words
from local.openai_emulator.models.offline.data.ask import Condition
from local.openai_emulator.models.offline.data.clause import (
    FIGURES,
    Clause,
)
from local.openai_emulator.models.offline.data.columns import SAME, SURE, alike
from local.openai_emulator.models.offline.data.denials import denied
from local.openai_emulator.models.offline.data.names import label, name_stems, plain_words
from local.openai_emulator.models.offline.data.regions import STATE_NAMES, has_states, places_named
from local.openai_emulator.models.offline.data.short_names import (
    Places,
    begun_names,
    first_names,
    follows_people,
    inner_words,
    last_names,
    range_names,
    turned_names,
    value_words,
)
from local.openai_emulator.models.offline.data.table import Column
from local.openai_emulator.models.offline.data.wording import without_points
from local.openai_emulator.models.offline.words import STOP_WORDS, stem

SHORTEST_BEGINNING = 4  # letters
_CODES = frozenset(["id", "code", "abbr", "abbrev"])
_ENDINGS = ("ese", "an", "ian", "n", "ish", "i", "ic", "er", "")  # Japan-ese, Ital-ian, Finn-ish, German-
_ANSWERS = {"y": ("yes",), "n": ("no",), "yes": ("y",), "no": ("n",)}
_OTHERS = ["other", "unknown", "diverse", "nonbinary", "non-binary", "x", "u", "unk", "prefer not to say"]
_NO_GENDERS = frozenset(_OTHERS)
_DEMOCRATS, _REPUBLICANS = frozenset(["democrat", "democrats", "democratic"]), frozenset(["republican", "republicans"])
_PARTIES = ((_DEMOCRATS, _DEMOCRATS | {"d", "dem"}), (_REPUBLICANS, _REPUBLICANS | {"r", "rep", "gop"}))
_CITIES = ("new york", "washington")  # of all states these are better known as cities
_ENDS = {
    "from": frozenset(["from", "origin", "start", "pickup", "departure", "depart", "source"]),
    "to": frozenset(["to", "destination", "dest", "dropoff", "arrival", "arrive", "end", "stop", "finish"]),
}
_STARTED = frozenset(["start", "started", "starting", "starts", "began", "begin", "departed", "left"])
_ENDED = frozenset(["end", "ended", "ending", "ends", "arrived", "finished", "stopped", "stop", "finish"])
_OF_THE = r"\b(?:how many|share|percent\w*|proportion|fraction) of (?:all )?(?:the )?$"
_COMMON = frozenset(map(stem, (*words.ROW_NOUNS, *words.PEOPLE, "count", "number", "share", "other")))
_LITTLE = (
    STOP_WORDS | words.SILENT | words.NOT | {"per", "each", "top", "low", "max", "min", "sum"}
)  # "in", "or", "me" and "no" are no codes of states


def values_in(clause: Clause) -> None:
    """Values of text columns that the words name: `web-02`, "Sunday" for `Sun`, "women" for `Female`."""
    said = [clause.word(i).removesuffix("'s") for i in range(len(clause.tokens))]
    _values_beside(clause, said)
    found: Places = {}
    places_ = [column for column in clause.table.of_kind("text") if not has_states(column)]
    cities = {value.lower() for column in places_ for value in column.values}
    known = {value.lower() for column in clause.table.of_kind("text") for value in column.values}
    for column in clause.table.of_kind("text"):
        for value in column.values:
            parts = value_words(value)
            of_state = places_named(value, column) if has_states(column) else []
            sure = {" ".join(name) for name in of_state} - set(_CITIES)
            others = [n for n in places_named(value, column) if " ".join(n) not in known or " ".join(n) in sure]
            clashing = {" ".join(name) for name in of_state if " ".join(name) in cities & set(_CITIES)}
            clause.ambiguous += [
                f'"{name}" could be {value} of `{column.name}`, or a value of another column.'
                for name in clashing
                if f" {name} " in f" {' '.join(said)} "
            ]
            joined_ = [[value.lower()]] if "_" in value else []
            for called in (parts, *others, *range_names(value), *joined_):
                for places in _places(said, called, clause, value, column):
                    found.setdefault(column.name, []).append((value, places))
    begun_names(clause, said, found)
    first_names(clause, said, found)
    last_names(clause, found)
    turned_names(clause, said, found)
    inner_words(clause, found)
    for name, hits in found.items():  # "developed" is no `Developing`
        exact = {places for value, places in hits if value.lower() == " ".join(said[i] for i in places)}
        told = [hit for hit in hits if hit[1] not in exact or hit[0].lower() == " ".join(said[i] for i in hit[1])]
        found[name] = told if any(value.lower().endswith(("ed", "ing")) for value, _ in hits) else hits
    _one_column_each(clause, found)
    _counted_or_value(clause, found)
    everything = sorted((len(places), name, value, places) for name, hits in found.items() for value, places in hits)
    chosen: Places = {}
    for _, name, value, places in reversed(everything):
        taken = {place for hits in chosen.values() for _, at in hits for place in at}
        same = [own for own, at in chosen.get(name, ()) if at == places and stem(own.lower()) == stem(value.lower())]
        if not set(places) & taken or same:  # `Shield` and `Shields`
            chosen.setdefault(name, []).append((value, places))
    for name, hits in chosen.items():
        if len(hits) == 2 and _from_to(clause, hits):
            continue
        column_ = next(c for c in clause.table.columns if c.name == name)
        not_these = denied(clause, hits, column_)
        clause.used |= {place for _, at in hits for place in at} | {i for at in not_these.values() for i in at}
        if len(hits) == 2 and len({value for value, _ in hits}) == len(not_these) == 1 and column_.unique == 2:
            clause.by.append(column_)  # "graduates vs non graduates"
            continue
        first, last = min(hits, key=lambda hit: hit[1])[1], max(hits, key=lambda hit: hit[1])[1]
        between = clause.text[clause.tokens[max(first)].end() : clause.tokens[min(last)].start()]
        if len(hits) == 2 and re.fullmatch(r" (?:over|to|rather than|instead of) ", between, re.IGNORECASE):
            clause.ambiguous.append(f'It is not clear what "{between.strip()}" is to mean.')
        clause.places += [(name, at) for _, at in hits]
        plain = tuple(dict.fromkeys(value for value, _ in hits if value not in not_these))
        longer = [v for v in column_.values if any(v.startswith(f"{value}, ") for value in plain) and v not in plain]
        of_cities = (
            not column_.entries
            and len(plain) == 1
            and {"citi", "town", "destin", "place", "locat"} & {*name_stems(name)}
        )
        plain = (*plain, *longer) if of_cities else plain  # "Tokyo" and "Tokyo, Japan"
        _condition(clause, name, plain, "")
        _condition(clause, name, tuple(not_these), "not ")


def _values_beside(clause: Clause, said: list[str]) -> None:
    """In "shooter and platform games" the second word is a value like the first one, though a column has its name."""
    for mention in list(clause.mentions):
        at = mention.tokens[0]
        if len(mention.tokens) > 1 or at < 2 or said[at - 1] not in ("and", "or"):
            continue
        both = {said[at - 2], said[at]}
        if any(both <= {value.lower() for value in c.values} for c in clause.table.of_kind("text")):
            clause.mentions.remove(mention)
            clause.used.discard(at)


def _one_column_each(clause: Clause, found: Places) -> None:
    """Of columns that have the same value, keep the one that is named beside it, or that does not name the rows.

    If neither tells which is meant, the clause is ambiguous.
    """
    by_places: dict[tuple[int, ...], dict[str, str]] = {}
    for name, hits in found.items():
        for value, places in hits:
            by_places.setdefault(places, {})[name] = value
    for places, values in by_places.items():
        columns = [c for c in clause.table.columns if c.name in values]
        told = " ".join(clause.word(i) for i in places)
        exact = [c for c in columns if values[c.name].lower() == told and not c.entries]
        states = [c for c in columns if has_states(c)]
        exact = states if len(states) == 1 and told not in _CITIES and told in STATE_NAMES else exact
        columns = exact if len(exact) == 1 and len(columns) > 1 else columns
        for name in values if exact and len(exact) == len(columns) == 1 else ():
            if name != exact[0].name:
                found[name] = [hit for hit in found[name] if hit[1] != places]
        if len(columns) > 1 and _is_from_or_to(clause, places):
            _keep_end(clause, found, places, columns)
            continue
        if len(columns) < 2:
            continue
        names_ = [c for c in columns if not _CODES & set(name_stems(c.name))]
        columns = names_ if len(names_) == 1 else columns  # `country`, and not `country_id`
        for name in values if len(columns) == 1 else ():
            if name != columns[0].name:
                found[name] = [hit for hit in found[name] if hit[1] != places]
        named = [c for c in columns if _is_beside(c, clause, places)]
        owned = [c for c in named if _is_owned(c, clause, places)]
        if owned and (rest := [c for c in columns if c not in owned and clause.entity(c)]):
            named = rest[:1]  # "David King's manager" is another one
        if len(named) > 1:  # "refund requests by ticket type": `Ticket Type`, and not `Ticket Subject`
            said_ = {stem(clause.word(i)) for i in range(len(clause.tokens)) if i not in places}
            whole = [c for c in named if set(name_stems(c.name)) <= said_]
            named = whole if len(whole) == 1 else named
        if not named:
            named = [c for c in columns if any(_is_name_said(c, clause, i) for i in range(len(clause.tokens)))]
        if len(named) != 1:  # "Coach Winner" for the coach who won
            common_ = set.intersection(*(set(name_stems(c.name)) for c in columns))
            free = [clause.word(i) for i in range(len(clause.tokens)) if i not in places]
            free = [word for word in free if word not in words.SILENT]
            own_ = [
                c for c in columns if any(alike(w, p) >= SAME for w in free for p in {*name_stems(c.name)} - common_)
            ]
            named = own_ if len(own_) == 1 else named
        common = [c for c in columns if not _names_rows(c, clause) and not c.entries]
        first = [
            c
            for c in columns
            if all(re.fullmatch(rf"{re.escape(c.name)}[ _.]?\d", o.name) for o in columns if o is not c)
        ]
        lands = [c for c in columns if {"countri", "nation"} & set(name_stems(c.name))]
        kept = next((some for some in (named, common, first, lands) if len(some) == 1), columns)
        for column in columns:
            if column not in kept:
                found[column.name] = [hit for hit in found[column.name] if hit[1] != places]
        if len(kept) > 1:
            said = " ".join(clause.tokens[i][0] for i in places)
            clause.ambiguous.append(f'"{said}" could be {" or ".join(f"`{c.name}`" for c in kept[:4])}.')


def _counted_or_value(clause: Clause, found: Places) -> None:
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
            of_rows = plain and not counted and _is_of_file(clause, places[0]) and len(hits) == 1
            if of_rows or (counted and word.endswith("s") and stem(word) in others):
                clause.ambiguous.append(f'"{word}" could be {value} of `{name}`, or all rows.')


def _names_a_column(clause: Clause, at: int) -> bool:
    """Whether a word is one of the two parts of a name and the other stands beside it: `price.heinz`, "Heinz price"."""
    near = {stem(clause.word(i)) for i in range(at - 3, at + 4) if i != at and clause.word(i) not in words.SILENT}
    own = stem(clause.word(at))
    names = [set(name_stems(c.name)) for c in clause.table.columns]
    return any(len(parts) == 2 and own in parts and parts - {own} <= near for parts in names)


def _is_verb(clause: Clause, at: int) -> bool:
    """Whether a word stands where a verb does: "train" in "how many people train in Graz"."""
    is_form = re.search(r"(?:s|ed|ing|wn|en)$", clause.word(at)) or not clause.tokens[at][0].islower()
    after = clause.word(at + 1)
    follows = (
        after in ("in", "at", "for", "with", "") or clause.tokens[min(at + 1, len(clause.tokens) - 1)][0][:1].isupper()
    )
    return not is_form and follows and follows_people(clause, at)


def _is_pronoun(clause: Clause, places: tuple[int, ...], column: Column) -> bool:
    """Whether a word is "I" that does not stand beside its column: "I mean", but not "class I"."""
    return clause.tokens[places[0]][0] == "I" and not _is_beside(column, clause, places)


def _is_beside(column: Column, clause: Clause, places: tuple[int, ...]) -> bool:
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


def _end_of(clause: Clause, places: tuple[int, ...]) -> str:
    """Whether a value is said to be where something begins or ends: "from York", "started in York"."""
    before, verb = clause.word(places[0] - 1), clause.word(places[0] - 2)
    if before in ("in", "at") and verb in _STARTED | _ENDED:
        return "from" if verb in _STARTED else "to"
    return before if before in ("from", "to") else ""


def _is_from_or_to(clause: Clause, places: tuple[int, ...]) -> bool:
    return bool(_end_of(clause, places))


def _keep_end(clause: Clause, found: Places, places: tuple[int, ...], columns: list[Column]) -> None:
    """Of "trips to York", keep the column that names this end; "from A to B" is read later."""
    others = [at for column in columns for _, at in found[column.name] if at != places and _is_from_or_to(clause, at)]
    if others:
        return
    ends_ = _ENDS[_end_of(clause, places)]
    named = [c for c in columns if ends_ & {*plain_words(c.name)}]
    if len(named) != 1 or clause.word(places[0] - 2) == "or":  # "to or from York"
        said = " ".join(clause.tokens[i][0] for i in places)
        clause.ambiguous.append(f'"{said}" could be {" or ".join(f"`{c.name}`" for c in columns[:4])}.')
        return
    for column in columns:
        if column is not named[0]:
            found[column.name] = [hit for hit in found[column.name] if hit[1] != places]


def _names_rows(column: Column, clause: Clause) -> bool:
    """Whether most rows have a value of their own, as in a column of names."""
    return column.unique > max(0.5 * clause.table.rows, 20)


def _condition(clause: Clause, name: str, values: tuple[str, ...], negation: str) -> None:
    """Add the condition that a column is one of some values, or none of them."""
    if not values:
        return
    test = ("not in" if negation else "in") if len(values) > 1 else "!=" if negation else "=="
    wanted: object = values if len(values) > 1 else values[0]
    text = negation + (" or " if negation else " and ").join(sorted(values))
    if (column := clause.table.column(name)) and column.entries:
        test, wanted = ("lists none" if negation else "lists"), values
        if len(values) > 1 and not negation and clause.says(r"\bboth\b"):
            test = "lists all"
        elif len(values) > 1 and not negation and not clause.says(r"\bor\b"):
            clause.ambiguous.append(f"It is not clear whether all of {text} are meant, or any of them.")
        elif len(values) > 1 and not negation:
            text = " or ".join(sorted(values))
    clause.conditions.append(Condition(column=name, test=test, value=wanted, words=text))


def _from_to(clause: Clause, hits: list[tuple[str, tuple[int, ...]]]) -> bool:
    """Whether two values are "from A to B". They are then one in each of two columns, or left when there are no two."""
    (start, at), (end, to) = sorted(hits, key=lambda hit: hit[1])
    if _end_of(clause, at) != "from" or _end_of(clause, to) != "to":
        return False
    clause.used |= {i for place in (min(at), min(to)) for i in (place - 2,) if clause.word(i) in _STARTED | _ENDED}
    columns = [c for c in clause.table.of_kind("text") if start in c.values and end in c.values]
    if len(columns) == 2:
        clause.used |= {*at, *to}
        for column, value in zip(columns, (start, end), strict=True):
            words_ = f"{label(column.name)} {value}"
            clause.conditions.append(Condition(column=column.name, test="==", value=value, words=words_))
    return True


def _places(said: list[str], parts: list[str], clause: Clause, value: str, column: Column) -> Iterator[tuple[int, ...]]:
    """Where a value stands in the clause."""
    if not parts or {v.lower() for v in column.values} <= words.YES | words.NO:
        return
    size = len(parts)
    for at in range(len(said) - size + 1):
        places = tuple(range(at, at + size))
        if clause.used & set(places) or (size == 1 and (_names_a_column(clause, at) or _is_verb(clause, at))):
            continue
        window = said[at : at + size]
        if size == 1 and (_is_column_itself(clause, at) or _is_asked_for(clause, at, value)):
            continue
        plain = clause.text[clause.tokens[at].start() : clause.tokens[at + size - 1].end()].islower()
        of_file = all(_is_of_file(clause, i) for i in places)
        if plain and of_file and _names_rows(column, clause):
            continue  # "ramen" in ramen_ratings.csv
        if size == 1 and said[at] in words.YES | words.NO and not _is_beside(column, clause, places):
            continue  # "no comment"
        is_code = clause.tokens[at][0].isupper() and len(said[at]) > 1 and not clause.text.isupper()  # "US"
        if (
            size == 1
            and not is_code
            and not _can_be_a_value(clause.tokens[at][0], value, is_name=_names_rows(column, clause))
        ):
            continue
        is_plural = size > 1 and window[:-1] == parts[:-1] and _plural(window[-1], parts[-1], parts[-1])
        if window == parts or is_plural or (size == 1 and _plural(window[0], parts[0], value)):
            if re.fullmatch(r"\d+\W*", value) and not _is_beside(column, clause, places):
                continue  # in "stage 2" the number is no `code`
            is_same = clause.tokens[at][0] == value or _is_beside(column, clause, places)
            if len(value) == 1 and (not is_same or _is_pronoun(clause, places, column)):
                continue
            if all(word in words.SILENT for word in window) and not value[:1].isupper() and len(value) < 3:
                continue
            yield places
        elif size == 1 and (_means(window[0], parts[0], column) or _comes_from(clause.tokens[at][0], value, column)):
            yield places
        elif size == 1 and window[0] in _ANSWERS.get(value.lower(), ()) and _is_beside(column, clause, places):
            yield places  # "voted yes": `Y` of the column `vote`
        elif size == 1 and len(value) > 3 and window[0].startswith(parts[0]) and _is_beside(column, clause, places):
            yield places  # "exercise frequently": `Freq` of the column `Exer`
        elif size == 1 and not _is_of_file(clause, at) and _is_shortened(window[0], value, column):
            yield places


def _is_of_file(clause: Clause, at: int) -> bool:
    return stem(clause.word(at)) in name_stems(clause.table.shown.rpartition(".")[0])


def _is_column_itself(clause: Clause, at: int) -> bool:
    """Whether a word that is a value is meant as a column of that name: "all platforms", "per platform"."""
    word, before = clause.word(at), clause.word(at - 1)
    named = any(name_stems(column.name) == [stem(word)] for column in clause.table.columns)
    return named and (
        word.endswith("s") or before in ("all", "each", "every", "per", "which", "what", "by", "different")
    )


def _is_asked_for(clause: Clause, at: int, value: str) -> bool:
    """Whether a word is the noun after "which", and no value that is written with a capital: "which property had"."""
    asked = clause.word(at - 1) in ("which", "what") and clause.word(at + 1) in words.VERBS
    word = clause.word(at)
    common = (
        {f"{word}s", f"{word[:-1]}ies"} & words.ROW_NOUNS
        or word in words.ROW_NOUNS | words.PEOPLE
        or _is_of_file(clause, at)
    )
    if asked and not common and value.lower() in (word, f"{word}s", word.removesuffix("s")):
        return False  # "which comedy", "which dessert"
    if asked and common and value.lower() == word and not _is_of_file(clause, at):
        clause.ambiguous.append(f'"{word}" could be {value}, or any row.')
    return asked and clause.tokens[at][0].islower() and value[:1].isupper()


def _is_shortened(word: str, value: str, column: Column) -> bool:
    """Whether a word is what a value abbreviates: "carnivores" for `carni`, which is no word itself."""
    from local.openai_emulator.search.embeddings import is_token

    if re.search(r"(?:i?ers?|ors?|ists?|isms?|ing|ed|less|ful|able|i?est)$", word.removeprefix(value.lower())):
        return False  # a "cashier" is no `Cash`
    begins = len(value) >= SHORTEST_BEGINNING and word.startswith(value.lower()) and len(word) >= len(value) + 2
    return (
        begins and not is_token(value.lower()) and sum(word.startswith(other.lower()) for other in column.values) == 1
    )


def _can_be_a_value(word: str, value: str, *, is_name: bool) -> bool:
    """Whether a word can mean a value, and not something of its own: "in" is not `IN`, "total" not the firm `Total`."""
    own = word.lower()
    if word.islower() and (own in ("other", "others") or any(re.fullmatch(pattern, own) for _, pattern in FIGURES)):
        return False
    if word == value and not (own in words.SILENT and word.islower()):
        return True
    if own in words.SILENT | STOP_WORDS and word.islower() and value[:1].isupper():
        return False  # "more" is not the song `MORE`
    if len(without_points(value)) < 4 and own in _LITTLE:
        return False
    common = own in words.HIGHEST | words.LOWEST or stem(word) in _COMMON
    common = common or (value.isupper() and own in words.SAME_WORDS)  # "cost" is not the symbol `COST`
    return not (is_name and word.islower() and common)


def _comes_from(word: str, value: str, column: Column) -> bool:
    """Whether a word with a capital is an adjective of a value: "Japanese" of `Japan`, "Italian" of `Italy`."""
    if word.lower() == f"{value.lower()}ern":  # "northern"
        return True
    if not (word[:1].isupper() and value[:1].isupper() and " " not in value and word != value):
        return False
    if len(value) == 3 and value.isupper() and {"countri", "nation"} & set(name_stems(column.name)):
        return word[:3].upper() == value and len(word) > 4
    if word == f"{value}n":  # "Indian"
        return True
    root = value.rstrip("aeiouy")
    begins = len(root) >= 4 and word.startswith(root) and word[len(root) :] in _ENDINGS
    return begins and sum(other.startswith(root) for other in column.values) == 1


def _plural(word: str, part: str, value: str) -> bool:
    """Whether a word is a value in another form: `herbivore`, "herbivores"; `suv`, "SUVs"; "manage" is no `Manager`."""
    doer = re.search(r"[eo]rs?$", part)
    same = stem(word) == stem(part) and (not doer or word.rstrip("s").endswith(doer[0].rstrip("s")))
    doing = part.removesuffix("ing")
    if part != doing and len(doing) >= SHORTEST_BEGINNING and word in (f"{doing}ers", f"{doing}er"):
        return True  # "shooters" of `Shooting`
    return (len(value) > 3 and same) or (len(value) == 3 and word == f"{part}s")


def _is_weather(word: str, value: str, column: Column) -> bool:
    """Whether a word is the adjective of a value: "sunny" of `sun`, "rainy" of `rain`."""
    is_day = value in {name[:3].lower() for name in calendar.day_name}
    days = {other.lower()[:3] for other in column.values} & {name[:3].lower() for name in calendar.day_name}
    return len(value) >= 3 and word in (f"{value}y", f"{value}{value[-1]}y") and not (is_day and len(days) > 1)


def _is_party(word: str, value: str, column: Column) -> bool:
    """Whether a word is a party whose code is a value: "Democrats" of `D`, in a column that has both parties."""
    known = {other.lower() for other in column.values}
    are_parties = all(known & codes for _, codes in _PARTIES)
    return are_parties and any(word in names and value in codes for names, codes in _PARTIES)


def _means(word: str, value: str, column: Column) -> bool:
    """Whether a word means a value that is written otherwise: a weekday, a month, a gender."""
    if _is_weather(word, value, column) or _is_party(word, value, column):
        return True
    named = {name.lower() for name in (*calendar.day_name, *calendar.month_name) if name}
    if len(value) >= 3 and value != word and word.rstrip("s").startswith(value) and word.rstrip("s") in named:
        return True
    short = {v.lower() for v in column.values}
    genders = {"f", "m", "female", "male", "woman", "man", "w", "women", "men"}
    if len(short & genders) > 1 and short <= genders | _NO_GENDERS:
        return (word in words.WOMEN and value in ("f", "w", "female", "woman", "women")) or (
            word in words.MEN and value in ("m", "male", "man", "men")
        )
    return False
