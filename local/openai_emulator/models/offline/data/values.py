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
from local.openai_emulator.models.offline.data.denials import denied
from local.openai_emulator.models.offline.data.names import label, name_stems
from local.openai_emulator.models.offline.data.regions import has_states, places_named
from local.openai_emulator.models.offline.data.short_names import (
    MOST_CLASSES,
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
from local.openai_emulator.models.offline.data.siblings import in_any
from local.openai_emulator.models.offline.data.table import Column
from local.openai_emulator.models.offline.data.which_column import (
    CITIES,
    ENDED,
    STARTED,
    counted_or_value,
    end_of,
    is_beside,
    is_of_file,
    names_rows,
    one_column_each,
)
from local.openai_emulator.models.offline.data.wording import without_points
from local.openai_emulator.models.offline.words import STOP_WORDS, stem

_TOWNS = frozenset(map(stem, ("city", "town", "destination", "place", "location")))
SHORTEST_BEGINNING = 4  # letters
_ENDINGS = ("ese", "an", "ian", "n", "ish", "i", "ic", "er", "")  # Japan-ese, Ital-ian, Finn-ish, German-
_ANSWERS = {"y": ("yes",), "n": ("no",), "yes": ("y",), "no": ("n",)}
_OTHERS = ["other", "unknown", "diverse", "nonbinary", "non-binary", "x", "u", "unk", "prefer not to say"]
_NO_GENDERS = frozenset(_OTHERS)
_DEMOCRATS, _REPUBLICANS = frozenset(["democrat", "democrats", "democratic"]), frozenset(["republican", "republicans"])
_PARTIES = ((_DEMOCRATS, _DEMOCRATS | {"d", "dem"}), (_REPUBLICANS, _REPUBLICANS | {"r", "rep", "gop"}))
_COMMON = frozenset(map(stem, (*words.ROW_NOUNS, *words.PEOPLE, "count", "number", "share", "other")))
MOST_KINDS = 100  # different values of a column of kinds; more are names
_RANKED = frozenset(["top", "bottom", "first", "last", "best", "worst"])
_SIGNS = re.compile(r"[+#-](?!\w)")  # at the end of a value: `A+`, `C#`
_DOING = frozenset(map(stem, ("sell", "buy", "pay", "work", "live", "play", "win")))  # no seller `Sell`
_OFTEN = frozenset(["common", "frequent", "popular"])  # "the most common name" is no name `Common`
_LITTLE = (
    STOP_WORDS | words.SILENT | words.NOT | {"per", "each", "top", "low", "max", "min", "sum"}
)  # "in", "or", "me" and "no" are no codes of states


def values_in(clause: Clause) -> None:
    """Values of text columns that the words name: `web-02`, "Sunday" for `Sun`, "women" for `Female`."""
    said = [clause.word(i).removesuffix("'s") for i in range(len(clause.tokens))]
    _values_beside(clause, said)
    found = _found_in(clause, said)
    begun_names(clause, said, found)
    first_names(clause, said, found)
    last_names(clause, found)
    turned_names(clause, said, found)
    inner_words(clause, found)
    for name, hits in found.items():  # "developed" is no `Developing`
        exact = {places for value, places in hits if value.lower() == " ".join(said[i] for i in places)}
        told = [hit for hit in hits if hit[1] not in exact or hit[0].lower() == " ".join(said[i] for i in hit[1])]
        found[name] = told if any(value.lower().endswith(("ed", "ing")) for value, _ in hits) else hits
    one_column_each(clause, found)
    counted_or_value(clause, found)
    everything = sorted((len(places), name, value, places) for name, hits in found.items() for value, places in hits)
    chosen: Places = {}
    for _, name, value, places in reversed(everything):
        taken = {place for hits in chosen.values() for _, at in hits for place in at}
        same = [own for own, at in chosen.get(name, ()) if at == places and _root(own) == _root(value)]
        if not set(places) & taken or same:  # `Shield` and `Shields`, `O+` and `O-`
            chosen.setdefault(name, []).append((value, places))
    for name, hits in chosen.items():
        _conditions_of(clause, name, hits)


def _found_in(clause: Clause, said: list[str]) -> Places:
    """Where the values of the table, and other names of countries and states, stand in the clause."""
    found: Places = {}
    places_ = [column for column in clause.table.of_kind("text") if not has_states(column)]
    cities = {value.lower() for column in places_ for value in column.values}
    known = {value.lower() for column in clause.table.of_kind("text") for value in column.values}
    for column in clause.table.of_kind("text"):
        for value in column.values:
            parts = value_words(value)
            of_state = places_named(value, column) if has_states(column) else []
            sure = {" ".join(name) for name in of_state} - set(CITIES)
            others = [n for n in places_named(value, column) if " ".join(n) not in known or " ".join(n) in sure]
            clashing = {" ".join(name) for name in of_state if " ".join(name) in cities & set(CITIES)}
            clause.ambiguous += [
                f'"{name}" could be {value} of `{column.name}`, or a value of another column.'
                for name in clashing
                if f" {name} " in f" {' '.join(said)} "
            ]
            joined_ = [[value.lower()]] if "_" in value else []
            for called in (parts, *others, *range_names(value), *joined_):
                for places in _places(said, called, clause, value, column):
                    found.setdefault(column.name, []).append((value, places))
    return found


def _conditions_of(clause: Clause, name: str, hits: list[tuple[str, tuple[int, ...]]]) -> None:
    """Add the conditions that a column has the values that were found in the clause, or not."""
    if len(hits) == 2 and _from_to(clause, hits):
        return
    column = next(c for c in clause.table.columns if c.name == name)
    not_these = denied(clause, hits, column)
    clause.used |= {place for _, at in hits for place in at} | {i for at in not_these.values() for i in at}
    if any(at in clause.either for _, at in hits):
        in_any(clause, hits, denied=bool(not_these))
        return
    if len(hits) == 2 and len({value for value, _ in hits}) == len(not_these) == 1 and column.unique == 2:
        clause.by.append(column)  # "graduates vs non graduates"
        return
    first, last = min(hits, key=lambda hit: hit[1])[1], max(hits, key=lambda hit: hit[1])[1]
    between = clause.text[clause.tokens[max(first)].end() : clause.tokens[min(last)].start()]
    if len(hits) == 2 and re.fullmatch(r" (?:over|to|rather than|instead of) ", between, re.IGNORECASE):
        clause.ambiguous.append(f'It is not clear what "{between.strip()}" is to mean.')
    clause.places += [(name, at) for _, at in hits]
    plain = tuple(dict.fromkeys(value for value, _ in hits if value not in not_these))
    longer = [v for v in column.values if any(v.startswith(f"{value}, ") for value in plain) and v not in plain]
    if len(plain) == 1 and not column.entries and _TOWNS & {*name_stems(name)}:
        plain = (*plain, *longer)  # "Tokyo" and "Tokyo, Japan"
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
    return clause.tokens[places[0]][0] == "I" and not is_beside(column, clause, places)


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
    if end_of(clause, at) != "from" or end_of(clause, to) != "to":
        return False
    clause.used |= {i for place in (min(at), min(to)) for i in (place - 2,) if clause.word(i) in STARTED | ENDED}
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
        if size == 1 and (
            _is_column_itself(clause, at) or _is_asked_for(clause, at, value, is_class=column.unique <= MOST_CLASSES)
        ):
            continue
        plain = clause.text[clause.tokens[at].start() : clause.tokens[at + size - 1].end()].islower()
        of_file = all(is_of_file(clause, i) for i in places)
        if plain and of_file and names_rows(column, clause):
            continue  # "ramen" in ramen_ratings.csv
        if size == 1 and said[at] in words.YES | words.NO and not is_beside(column, clause, places):
            continue  # "no comment"
        is_signed = _is_signed(clause, places, value, column)
        if is_signed is not None:
            yield from [places] if is_signed else []
            continue
        is_code = clause.tokens[at][0].isupper() and len(said[at]) > 1 and not clause.text.isupper()  # "US"
        if (
            size == 1
            and not is_code
            and not _can_be_a_value(clause.tokens[at][0], value, is_name=_holds_names(column, clause))
        ):
            continue
        is_plural = size > 1 and window[:-1] == parts[:-1] and _plural(window[-1], parts[-1], parts[-1])
        if window == parts or is_plural or (size == 1 and _plural(window[0], parts[0], value)):
            if size == 1 and re.fullmatch(r"\d+\W*", value) and not is_beside(column, clause, places):
                continue  # in "stage 2" the number is no `code`
            is_same = clause.tokens[at][0] == value or is_beside(column, clause, places)
            if len(value) == 1 and (not is_same or _is_pronoun(clause, places, column)):
                continue
            if all(word in words.SILENT for word in window) and not value[:1].isupper() and len(value) < 3:
                continue
            yield places
        elif size == 1 and (_means(window[0], parts[0], column) or _comes_from(clause.tokens[at][0], value, column)):
            yield places
        elif size == 1 and window[0] in _ANSWERS.get(value.lower(), ()) and is_beside(column, clause, places):
            yield places  # "voted yes": `Y` of the column `vote`
        elif size == 1 and len(value) > 3 and window[0].startswith(parts[0]) and is_beside(column, clause, places):
            yield places  # "exercise frequently": `Freq` of the column `Exer`
        elif size == 1 and not is_of_file(clause, at) and _is_shortened(window[0], value, column):
            yield places


def _root(value: str) -> str:
    return stem(value.lower().rstrip("+-#"))


def _is_signed(clause: Clause, places: tuple[int, ...], value: str, column: Column) -> bool | None:
    """Whether a sign behind a word makes it a value, blood type `A+`; None if the signs do not tell.

    Without a sign, `C` is not `C#`; but blood type O is `O+` and `O-`.
    """
    sign = _SIGNS.match(clause.text, clause.tokens[max(places)].end())
    if sign is None and value[-1:] in "+-#" and clause.written(places) in {v.lower() for v in column.values}:
        return False
    if sign is None:
        return None
    if f"{clause.written(places)}{sign[0]}" == value.lower():
        return True
    return False if value[-1:] in "+-#" else None


def _holds_names(column: Column, clause: Clause) -> bool:
    """Whether the values of a column are names: of the rows, or so many that they are no classes."""
    return names_rows(column, clause) or column.unique > MOST_KINDS


def _is_column_itself(clause: Clause, at: int) -> bool:
    """Whether a word that is a value means a column of that name, "per platform", or how many are listed."""
    word, before = clause.word(at), clause.word(at - 1)
    if word.isdigit():
        return before in _RANKED  # the 5 of "top 5"
    named = any(name_stems(column.name) == [stem(word)] for column in clause.table.columns)
    return named and (
        word.endswith("s") or before in ("all", "each", "every", "per", "which", "what", "by", "different")
    )


def _is_asked_for(clause: Clause, at: int, value: str, *, is_class: bool) -> bool:
    """Whether a word is the noun after "which", and no value that is written with a capital: "which property had"."""
    asked = clause.word(at - 1) in ("which", "what") and clause.word(at + 1) in words.VERBS
    word = clause.word(at)
    common = (
        {f"{word}s", f"{word[:-1]}ies"} & words.ROW_NOUNS
        or word in words.ROW_NOUNS | words.PEOPLE
        or is_of_file(clause, at)
    )
    if asked and not common and value.lower() in (word, f"{word}s", word.removesuffix("s")):
        return False  # "which comedy", "which dessert"
    if asked and common and value.lower() == word and is_class and not is_of_file(clause, at):
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
    if word in words.NAMING and own != value.lower():
        return False
    if word.islower() and (own in ("other", "others") or any(re.fullmatch(pattern, own) for _, pattern in FIGURES)):
        return False
    if word == value and not (own in words.SILENT and word.islower()):
        return True
    if own in words.SILENT | STOP_WORDS | _OFTEN and word.islower() and value[:1].isupper():
        return False  # "more" is not the song `MORE`
    if len(without_points(value)) < 4 and own in _LITTLE:
        return False
    common = own in words.HIGHEST | words.LOWEST | words.VERBS or stem(word) in _COMMON | _DOING
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
