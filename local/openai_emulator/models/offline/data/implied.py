"""Columns that words imply without naming them: a price for "sold for", a duration for "how long"."""

from __future__ import annotations

import re

from local.openai_emulator.models.offline.data import vocabulary as words
from local.openai_emulator.models.offline.data.clause import Clause, Mention, is_year
from local.openai_emulator.models.offline.data.columns import SHARES, is_way_of_paying
from local.openai_emulator.models.offline.data.entities import are_places
from local.openai_emulator.models.offline.data.likeness import alike, ends
from local.openai_emulator.models.offline.data.names import UNIT_STEMS, name_stems
from local.openai_emulator.models.offline.data.regions import has_states
from local.openai_emulator.models.offline.data.table import Column
from local.openai_emulator.models.offline.data.units import bare_prices
from local.openai_emulator.models.offline.words import stem

_SIZES = {
    "long": "longest",
    "old": "oldest",
    "far": "farthest",
    "tall": "tallest",
    "heavy": "heaviest",
    "deep": "deepest",
    "expensive": "expensive",
    "high": "tallest",
    "hot": "hottest",
    "cold": "coldest",
}
_LASTING = r"\b(?:lasts?|lasted|takes?|took|taken|serve[ds]?|stay(?:s|ed)?)\b"
_PAID = re.compile(r"\b(?:sell|sells|sold|go|goes|went|gone|bought) for\b(?! how)", re.IGNORECASE)
_PRICES = frozenset(map(stem, ("price", "cost", "fare", "fee")))
_DOES = re.compile(
    r"\bwhat (?:did|does|do)\b[^,?]{1,60}?\b(do)\b(?=\W*$|,| and\b| for (?:a living|work)\b)", re.IGNORECASE
)
_CROWDS = frozenset(map(stem, ("attendance", "audience", "spectators", "viewers", "crowd")))
_TOTALS = frozenset(["total", "amount", "price", "bill", "grand", "line", "sum"])
_SALES = frozenset(map(stem, ("sales", "revenue", "turnover", "spent", "paid", "spending")))
_WHICH_ITEM = r"(?:^\W*(?:which|what)(?: \w+)?|\btop (?:\d+|\w+)) (items?|products?|things?|articles?)\b"
_BOUGHT = r"^\W*what (?:did|does|do|has)\b[^,?]{1,60}?\b(buy|bought|purchase|order)\b"
_NOT_SOLD = "times|lines|rows|orders|sales|transactions|customers|people|purchases"
_MAKERS = frozenset(map(stem, ("manufacturer", "maker", "brand", "make", "company", "builder", "mfr", "organization")))
_SOLD = frozenset(["sales", "sale", "revenue", "turnover"])
_AMOUNTS = frozenset(map(stem, ("amount", "price", "cost", "payment", "bill", "fare", "fee", "expense")))
_WAGES = frozenset(map(stem, ("salary", "wage", "income", "compensation", "bonus", "earnings", "pay")))
_CURRENCIES = ("$", "€", "£", "USD", "EUR", "GBP", "INR")
_MEDALS = frozenset(["gold", "silver", stem("bronze")])
_SUMS = frozenset(map(stem, ("total", "overall", "all", "sum", "medal", "medals")))
_SPENT = frozenset(
    ["sales", "sale", "revenue", "turnover", "spend", "spends", "spending", "spent", "pay", "pays", "paid"]
)


def state_column(clause: Clause) -> None:
    """The column of codes of states for the word "state", if no column has that name."""
    columns = [c for c in clause.table.of_kind("text") if has_states(c)]
    named = any("state" in name_stems(c.name) for c in clause.table.columns)
    for i in clause.free() if len(columns) == 1 and not named else ():
        if clause.word(i) in ("state", "states"):
            _name(clause, columns[0], i)


def unit_column(clause: Clause) -> None:
    """The one column of figures whose name has a unit that stands for it: "average seconds by day"."""
    for i in clause.free():
        unit = stem(clause.word(i))
        columns = [c for c in clause.table.of_kind("number") if unit in UNIT_STEMS & {*name_stems(c.name)}]
        if clause.word(i) in SHARES and clause.word(i + 1) == "of":
            continue
        if len(columns) == 1 and not clause.word(i - 1)[:1].isdigit() and clause.word(i - 1) not in ("in", "many"):
            _name(clause, columns[0], i)


def inhabitants(clause: Clause) -> None:
    """The column of populations, or of an audience, for the people that are counted: "over 50 million people"."""
    numbers = clause.table.of_kind("number")
    whole = [c for c in numbers if set(name_stems(c.name)) <= {"popul", "pop", "total", "size"}]
    if not are_places(clause.table):
        whole = [c for c in numbers if _CROWDS & set(name_stems(c.name))]
    for i in clause.free() if len(whole) == 1 else ():
        before = clause.word(i - 1)
        if clause.word(i) in ("people", "inhabitants", "residents") and (
            before[-1:].isdigit() or before in ("most", "fewest", "many", "more", "fewer")
        ):
            _name(clause, whole[0], i)


def asked_size(clause: Clause) -> None:
    """The one column of figures that "how long" or "how far" asks for, if the clause names no other."""
    found = re.search(rf"\bhow ({'|'.join(_SIZES)})\b", clause.text, re.IGNORECASE)
    if not found or any(mention.column.kind == "number" for mention in clause.mentions):
        return
    numbers = clause.table.of_kind("number")
    hints = map(stem, words.ADJECTIVES[_SIZES[found[1].lower()]][1].split())
    fitting = ([c for c in numbers if hint in name_stems(c.name)] for hint in hints)
    columns = next((some for some in fitting if some), [])
    at = max(clause.within(found))
    if len(columns) == 1 and at in clause.free():
        clause.claim(found.start(), found.end())
        if found[1].lower() == "long":
            clause.claim_all(_LASTING)
        _name(clause, columns[0], at)


def price_paid(clause: Clause) -> None:
    """The price that "what did it sell for" and "went for more than" mean, if it is clear which."""
    found = _PAID.search(clause.text)
    priced = [
        c for c in clause.table.of_kind("number") if any(p in _PRICES or ends(p, "price") for p in name_stems(c.name))
    ]
    if (
        not found
        or not priced
        or any(
            m.column in priced and m.tokens[0] < min(clause.within(found)) and not clause.is_only_noun(m)
            for m in clause.mentions
        )
    ):
        return
    told = priced if len(priced) == 1 else [c for c in priced if any(alike("sold", p) for p in name_stems(c.name))]
    if len(told) == 1:
        clause.claim(found.start(), found.end())
        clause.mentions = [m for m in clause.mentions if not set(m.tokens) & clause.within(found)]
        clause.mentions.append(Mention(column=told[0], tokens=tuple(sorted(clause.within(found)))))
        clause.mentions.sort(key=lambda mention: mention.tokens)


def money_spent(clause: Clause) -> None:
    """The column of totals for "sales", "spent" and "paid", where no column has such a name; the reading says so."""
    numbers = clause.table.of_kind("number")
    totals = [c for c in numbers if set(name_stems(c.name)) <= _TOTALS and "total" in name_stems(c.name)]
    sales = [c for c in numbers if set(name_stems(c.name)) & _SALES]
    totals = sales if len(sales) == 1 else [] if sales else totals
    totals = totals or _money(clause)
    if len(totals) != 1 or any(m.column.kind == "number" and not clause.is_only_noun(m) for m in clause.mentions):
        return
    of_price = bool(set(name_stems(totals[0].name)) & _PRICES)  # that is no revenue
    for i in clause.free():
        word, before = clause.word(i), clause.word(i - 1)
        said = word in _SPENT - (_SOLD if of_price else set()) or (word == "money" and not of_price)
        if said and before not in ("many", "number", "of", "the") and not is_way_of_paying(clause, i):
            if word == "money":
                clause.claim_all(r"\b(?:spend|spends|spent|paid|pay|spending)\b")
            _name(clause, totals[0], i)
            clause.notes.append(f"`{totals[0].name}` taken as what is meant by {word}")
            return


def _money(clause: Clause) -> list[Column]:
    """The columns of amounts of money, of a table that has no quantities to multiply a price by."""
    numbers = clause.table.of_kind("number")
    if any({"quantiti", "qty", "unit"} & set(name_stems(c.name)) for c in numbers):
        return []
    paid = [c for c in numbers if not set(name_stems(c.name)) & _WAGES]
    return [c for c in paid if set(name_stems(c.name)) & _AMOUNTS or c.unit in _CURRENCIES]


def medals(clause: Clause) -> None:
    """The column of all medals for "medals", beside those of gold, silver and bronze."""
    kinds = [c for c in clause.table.of_kind("number") if set(name_stems(c.name)) & _MEDALS]
    totals = [c for c in clause.table.of_kind("number") if set(name_stems(c.name)) <= _SUMS and c not in kinds]
    if len(kinds) != len(_MEDALS) or len(totals) != 1:
        return
    for i in clause.free():
        if clause.word(i) not in ("medal", "medals") or any(m.tokens[-1] == i - 1 for m in clause.mentions):
            continue
        clause.used |= {i, *({i + 1} if clause.word(i + 1) in ("count", "counts", "tally") else ())}
        if totals[0] not in [m.column for m in clause.mentions]:
            clause.mentions.append(Mention(column=totals[0], tokens=(i,)))
            clause.mentions.sort(key=lambda mention: mention.tokens)
            clause.notes.append(f"`{totals[0].name}` taken as all medals")


def occupation(clause: Clause) -> None:
    """The job of somebody for "what does ... do"; without a column of jobs it is not clear what is asked for."""
    found = _DOES.search(clause.text)
    if not found:
        return
    texts = clause.table.of_kind("text")
    columns = [c for c in texts if {"job", "role", "occup", "profess", "posit"} & set(name_stems(c.name))]
    at = next(i for i, token in enumerate(clause.tokens) if token.start() == found.start(1))
    if len(columns) == 1:
        clause.claim_all(r"\bfor (?:a living|work)\b")
        _name(clause, columns[0], at)
    else:
        clause.ambiguous.append('It is not clear what "do" asks for.')


def quantity(clause: Clause) -> None:
    """The one column of quantities for "how many laptops were sold"."""
    found = re.search(r"^\W*how many\b.*?\b(sold|sell|sells|bought|buy|purchased)\b", clause.text, re.IGNORECASE)
    columns = [c for c in clause.table.of_kind("number") if {"quantiti", "qty"} & set(name_stems(c.name))]
    rows = clause.says(rf"^\W*how many (?:different |distinct )?(?:{_NOT_SOLD})\b")
    at = next((i for i, t in enumerate(clause.tokens) if found and t.start() == found.start(1)), -1)
    numbers = any(m.column.kind == "number" and not clause.is_only_noun(m) for m in clause.mentions)
    told = clause.says(r"\b(?:units?|pieces|loss)\b")
    if at in clause.free() and len(columns) == 1 and not (rows or numbers or told):
        _name(clause, columns[0], at)
        clause.notes.append(f"`{columns[0].name}` taken as how many were {clause.word(at)}")


def maker(clause: Clause) -> None:
    """The one column of firms for "who built it"."""
    found = re.search(
        r"\bwho (?:else )?(built|builds|made|makes|manufactur\w+|produc\w+)\b", clause.text, re.IGNORECASE
    )
    columns = [c for c in clause.table.of_kind("text") if _MAKERS & set(name_stems(c.name))]
    at = next((i for i, t in enumerate(clause.tokens) if found and t.start() == found.start(1)), -1)
    if at in clause.free() and len(columns) == 1 and columns[0] not in [m.column for m in clause.mentions]:
        _name(clause, columns[0], at)
        clause.notes.append(f"`{columns[0].name}` taken as who {clause.word(at)} it")


def asked_item(clause: Clause) -> None:
    """The column of products for "which item"; of several columns it is not clear which is meant."""
    found = re.search(_WHICH_ITEM, clause.text, re.IGNORECASE) or re.search(_BOUGHT, clause.text, re.IGNORECASE)
    columns = [c for c in clause.table.of_kind("text") if {"product", "item", "articl"} & set(name_stems(c.name))]
    at = next((i for i, t in enumerate(clause.tokens) if found and t.start() == found.start(1)), -1)
    if not columns or at < 0 or any(at in m.tokens or m.column in columns for m in clause.mentions):
        return
    if len(columns) > 1:
        names = " or ".join(f"`{c.name}`" for c in columns[:4])
        clause.ambiguous.append(f'"{clause.word(at)}" could be {names}.')
        return
    _name(clause, columns[0], at)


def asked_time(clause: Clause) -> None:
    """The one column of dates, or else of years, for "when was it released"."""
    found = re.search(r"\bwhen (?:was|were|did|is|does)\b", clause.text, re.IGNORECASE)
    dates = clause.table.of_kind("date")
    times = dates or [c for c in clause.table.of_kind("number") if is_year(c)]
    told = any("date" in name_stems(c.name) for c in clause.table.of_kind("text"))
    if not found or told or len(times) != 1 or any(m.column in times for m in clause.mentions):
        return
    ends_ = words.HIGHEST | words.LOWEST | set(words.ADJECTIVES) | {"first", "last"}
    if any(clause.word(i) in ends_ for i in range(len(clause.tokens))) or any(
        c.column == times[0].name for c in clause.conditions
    ):
        return
    clause.mentions.append(Mention(column=times[0], tokens=(min(clause.within(found)),)))
    clause.mentions.sort(key=lambda mention: mention.tokens)


def bare_price(clause: Clause) -> None:
    """The column `100g_USD` for "price" or "cost", if no column is called so; the reading says so."""
    columns = bare_prices(clause.table)
    if columns and any(_PRICES & set(name_stems(c.name)) for c in clause.table.columns):
        return
    for i in clause.free() if columns else ():
        if stem(clause.word(i)) in ("price", "cost"):
            _name(clause, columns[0], i)
            clause.notes.append(f"`{columns[0].name}` taken as the price")


def kind_column(clause: Clause) -> None:
    """The one column of types for "what kind of"."""
    found = re.search(r"\b(?:what|which|each|every|per|by) (kind|type|sort)s? of\b", clause.text, re.IGNORECASE)
    columns = [c for c in clause.table.of_kind("text") if {"type", "kind", "categori"} & set(name_stems(c.name))]
    after = max(clause.within(found)) + 1 if found else -1
    of_column = any(
        m.tokens == (after,) and name_stems(m.column.name) == [stem(clause.word(after))] for m in clause.mentions
    )
    partly = [m for m in clause.mentions if m.tokens == (after,) and len(name_stems(m.column.name)) > 1]
    if found and partly and len(columns) == 1:  # "which type of food": `cuisine_type`, and no `food_time`
        clause.mentions = [m for m in clause.mentions if m not in partly]
    if found and of_column:
        clause.used |= clause.within(found)  # "what kind of heating": `heating`
    elif found and len(columns) == 1 and columns[0] not in [m.column for m in clause.mentions]:
        at = max(i for i in clause.within(found)) - 1
        if at in clause.free():
            _name(clause, columns[0], at)


def _name(clause: Clause, column: Column, at: int) -> None:
    """Take a word for the name of a column."""
    clause.used.add(at)
    clause.mentions.append(Mention(column=column, tokens=(at,)))
    clause.mentions.sort(key=lambda mention: mention.tokens)


# In this order: the first that finds a column has it.
OF_OTHER_WORDS = (
    medals,
    bare_price,
    price_paid,
    kind_column,
    asked_item,
    money_spent,
    asked_size,
    asked_time,
    occupation,
    maker,
    quantity,
)
