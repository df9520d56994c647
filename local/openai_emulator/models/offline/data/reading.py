"""Read one clause of a question against a table."""

from __future__ import annotations

import re
from collections.abc import Collection

from local.openai_emulator.models.offline.data import vocabulary as words
from local.openai_emulator.models.offline.data.clause import (
    FIGURES,
    LABELS_SHARE,
    TOKEN,
    Clause,
    is_year,
)
from local.openai_emulator.models.offline.data.columns import OF_WHOLE, named_columns, written_columns
from local.openai_emulator.models.offline.data.conditions import days_apart, time_conditions
from local.openai_emulator.models.offline.data.containing import named_parts, parts_in, words_in_cells
from local.openai_emulator.models.offline.data.decades import decades_in
from local.openai_emulator.models.offline.data.denials import alternatives, gaps_in
from local.openai_emulator.models.offline.data.entities import (
    names_of_rows,
    of_people,
    word_for_nameless,
    words_for_rows,
)
from local.openai_emulator.models.offline.data.flags import (
    WITH_AND_WITHOUT,
    check_two_flags,
    flags_in,
    leavers_in,
    opposites_in,
    outcomes_in,
)
from local.openai_emulator.models.offline.data.grouping import groups
from local.openai_emulator.models.offline.data.heads import (
    noun_behind_adjective,
    said_again,
    time_units,
    words_beside,
    words_of_classes,
)
from local.openai_emulator.models.offline.data.idle import HOW_IT_IS, idle_phrases
from local.openai_emulator.models.offline.data.ids import numbers_of_rows, numbers_with_units
from local.openai_emulator.models.offline.data.implied import (
    OF_OTHER_WORDS,
    inhabitants,
    state_column,
    unit_column,
)
from local.openai_emulator.models.offline.data.kinds.overview import MISSING
from local.openai_emulator.models.offline.data.likeness import SURE, alike
from local.openai_emulator.models.offline.data.limits import limits_in
from local.openai_emulator.models.offline.data.names import name_stems, plain_words, squeezed
from local.openai_emulator.models.offline.data.relating import acting_verbs, relating_verbs
from local.openai_emulator.models.offline.data.row_limits import check_average
from local.openai_emulator.models.offline.data.siblings import check_sides, same_in_both
from local.openai_emulator.models.offline.data.table import Column, Table
from local.openai_emulator.models.offline.data.units import currency, own_currency
from local.openai_emulator.models.offline.data.values import values_in
from local.openai_emulator.models.offline.data.wide import year_columns
from local.openai_emulator.models.offline.words import stem

_ASKED = "which|what|busiest|quietest|best|worst|strongest|weakest"
PERIODS = (
    (
        "hour",
        r"\b(?:peak )?hours? of (?:the )?day\b|\b(?:by|per|each|every|which|what) (?:the )?hours?\b"
        r"|\bhourly\b|\b(?:peak|busiest) (?:\w+ )?hours?\b",
    ),
    ("calendar month", r"\bmonths? of (?:the )?years?\b|\bcalendar months?\b"),
    ("weekday", r"\bdays? of (?:the )?week\b|\b(?:by|per|each|every|which|what) weekdays?\b"),
    (
        "weekend",
        r"\bweekdays? (?:and|vs\.?|versus|with|to) (?:the )?weekends?\b|\bweekends? (?:and|vs\.?"
        r"|versus|with|to) (?:the )?weekdays?\b",
    ),
    ("day", r"\bdaily\b(?! return)|\b(?:by|per|each|every|which|what) (?:day|date)s?\b"),
    ("week", rf"\bweekly\b|\b(?:by|per|each|every|{_ASKED}) weeks?\b"),
    (
        "month",
        rf"\bmonthly\b|\b(?:by|per|each|every|a|{_ASKED}) months?\b"
        r"|\b(?:from )?month (?:to|by) month\b",
    ),
    ("quarter", rf"\bquarterly\b|\b(?:by|per|each|every|{_ASKED}) quarters?\b"),
    (
        "year",
        rf"\byearly\b|\bannual(?:ly)?\b|\b(?:by|per|each|every|{_ASKED}) years?\b"
        r"|\b(?:from )?year (?:to|by) year\b",
    ),
)
_DAYS_OF = {"month": 45, "quarter": 100, "year": 400}  # a period must not be shorter than the steps between dates
_CHARTS = (
    ("pie", r"\bpies?(?: charts?| graphs?)?\b"),
    ("line", r"\blines? (?:charts?|graphs?|plots?)\b"),
    ("bar", r"\b(?:bars?|columns?) (?:charts?|graphs?|plots?)\b"),
    ("histogram", r"\bhistograms?\b"),
    ("scatter", r"\bscatter(?: ?plots?)?\b"),
    ("any", r"\b(?:charts?|plot(?:s|ted)?|graphs?|diagrams?|visuali[sz]\w*|(?<!a )(?<!the )draw)\b"),
)
_MONTHS = "(?:jan|febr)uary|march|april|may|june|july|august|(?:sept|nov|dec)ember|october"
_OF_TWO_MONTHS = (
    rf"(?i)^\W*(?:is|are|was|were|do|does|did|which|when)\b.*\b(?:{_MONTHS}) (?:or|than) (?:in )?(?:{_MONTHS})\b(?! \d)"
)
_ALL = frozenset(["all", "any", "anything", "each", "every", "everything", "no", "none", "not", "nothing", "nobody"])
_BUT = frozenset(["but", "yet", "while", "whereas", "although", "though"])
_ENDS = rf"\b(?:{'|'.join(words.HIGHEST | words.LOWEST)})\b"
_LIVES = frozenset(map(stem, ("birth", "born", "birthday", "birthdate", "dob", "death", "died")))
SHORTEST_BEGINNING = 5  # letters of a word that the name of the file begins with
_PLACED = frozenset(["in", "at", "for", "from"])  # "in Finance" is a condition, also on financials.csv
_PAY = frozenset(map(stem, ("rent", "salary", "wage", "pay", "income", "fee", "earnings")))
_METHOD_NUMBER = re.compile(
    r"\b(?:significance|alpha|p-?values?|threshold|iqr|z-?scores?|round\w*)\b[^.\n]{0,60}?(-?\d+(?:\.\d+)?)"
    r"|(?<![\d.])(-?\d++(?:\.\d++)?)\s*+(?:(?:\*|times\b|x\b)\s*+)?(?:the )?"
    r"(?:iqr\b|interquartile|standard dev|decimal|%? significance)",
    re.IGNORECASE,
)


def read(text: str, table: Table, *, method: bool = False, unknown: Collection[str] = ()) -> Clause:
    """Read a clause; the kind of question is decided afterwards. `unknown` are words for which nothing was found."""
    clause = Clause(text=text, table=table, method=method, tokens=list(TOKEN.finditer(text)))
    for match in _METHOD_NUMBER.finditer(text):
        clause.claim(match.start(1 if match[1] else 2), match.end(1 if match[1] else 2))
    idle_phrases(clause)
    written_columns(clause)
    dates = _date_meant(clause)
    decades_in(clause, dates)
    _times_in(clause, dates)
    _charts_and_periods(clause)
    named_parts(clause)
    values_in(clause)
    for implied in (year_columns, state_column, unit_column, inhabitants):
        implied(clause)
    numbers_with_units(clause)
    numbers_of_rows(clause)
    words_in_cells(clause, unknown)
    named_columns(clause)
    for implied in OF_OTHER_WORDS:
        implied(clause)
    clause.claim_all(HOW_IT_IS)
    parts_in(clause)
    flags_in(clause)
    if any(not clause.within(m) <= clause.used for m in re.finditer(WITH_AND_WITHOUT, clause.text, re.IGNORECASE)):
        clause.ambiguous.append('It is not clear what "with and without" is about.')
    opposites_in(clause)
    outcomes_in(clause)
    leavers_in(clause)
    alternatives(clause, clause.places)
    limits_in(clause)
    same_in_both(clause)
    alternatives(clause, clause.places)
    if not re.search(MISSING.cues, text, re.IGNORECASE):
        gaps_in(clause)
    if any(condition.test == "missing" for condition in clause.conditions):
        clause.claim_all(r"\b(?:filled in|filled out|given|entered|recorded|specified|stated|set|available|listed)\b")
    _account_for_rest(clause)
    _refuse_what_is_not_computed(clause)
    return clause


def _account_for_rest(clause: Clause) -> None:
    """Account for what names the rows, and for words that add nothing to what is found."""
    names_of_rows(clause)
    groups(clause)
    _rates(clause)
    _whole_table(clause)
    _file_words(clause)
    clause.hows = _figures_said(clause)
    words_of_classes(clause)
    time_units(clause)
    words_beside(clause)
    noun_behind_adjective(clause)
    words_for_rows(clause)
    word_for_nameless(clause)
    relating_verbs(clause)
    acting_verbs(clause)
    said_again(clause)
    _joining_words(clause)
    _people_of_places(clause)
    if any("sold" in plain_words(m.column.name) for m in clause.mentions):
        clause.used |= {i for i in clause.free() if clause.word(i) in ("unit", "units", "pieces")}
    for mention in clause.mentions:  # "GDP per capita" beside `GDP ($ per capita)`
        if "per" in plain_words(mention.column.name):
            clause.used |= {i for i in clause.free() if clause.word(i) == "per" and i + 1 in mention.tokens}
    clause.used |= {
        i
        for i in clause.free()
        if clause.word(i) in words.ADVERBS
        and (i + 1 in clause.used or (clause.word(i + 1) in ("in", "at", "on") and i + 2 in clause.used))
    }
    _names_of(clause)


def _figures_said(clause: Clause) -> tuple[str, ...]:
    """The figures that a clause says: not the "avg" of `temp_avg`, but the "total" of `total_bill`."""
    whole = [m for m in clause.mentions if squeezed(clause.written(m.tokens)) == squeezed(m.column.name)]
    named = clause.settled | {i for mention in whole for i in mention.tokens[1:]}
    found = {name: list(re.finditer(pattern, clause.text, re.IGNORECASE)) for name, pattern in FIGURES}
    return tuple(name for name, matches in found.items() if any(not clause.within(m) <= named for m in matches))


def _joining_words(clause: Clause) -> None:
    """Account for "but" between two conditions."""
    ends_ = [sorted(min(at) for _, at in clause.places), sorted(max(at) for _, at in clause.places)]
    for i in clause.free():
        between = bool(clause.places) and ends_[1][0] < i < ends_[0][-1]
        if clause.word(i) in _BUT and between and not any(clause.word(j) in _ALL for j in range(i)):
            clause.used.add(i)


def _people_of_places(clause: Clause) -> None:
    """Account for "people" who have a figure of the place where they live: "where do people have the highest rent"."""
    measured = any(m.column.kind == "number" and not clause.is_only_noun(m) for m in clause.mentions)
    of_group = clause.which is not None and clause.which.kind == "text" and clause.which in clause.table.columns
    if measured and of_group and not of_people(clause.table) and clause.says(_ENDS):
        clause.claim_all(r"(?<=\bdo )people\b|(?<=\bdid )people\b")


def _refuse_what_is_not_computed(clause: Clause) -> None:
    """Limits at figures, figures in percent of others, and amounts in another currency."""
    of_other = len({at for _, at in clause.places}) == 2 and clause.says(r"^\W*(?:by )?how m\w+\b.*\bthan\b")
    at_average = clause.says(r"\b(?:than|above|below|over|under)[ -](?:the )?(?:average|mean|median)\b")
    check_average(clause)
    check_sides(clause)
    check_two_flags(clause)
    if at_average and not (of_other or clause.settled):
        clause.ambiguous.append("A limit at an average is not computed.")
    if clause.says(r"\bthan (?:any|all|every|each|most)\b(?! other)"):
        clause.ambiguous.append("A limit at the figures of several rows is not computed.")
    if clause.says(r"\b(?:what|which) (?:rank|place|position) (?:does|did|is|has|was)\b"):
        clause.ambiguous.append("The rank of one row is not computed.")
    if clause.says(r"\b(?:in|as) (?:an? )?(?:%|percent(?:age)?) of\b"):
        clause.ambiguous.append("A figure in percent of another one is not computed.")
    steps = {"daily": "day", "day": "day", "monthly": "month", "yearly": "year", "annual": "year", "hourly": "hour"}
    for part in {p for m in clause.mentions for p in plain_words(m.column.name)} & set(steps):
        clause.claim_all(rf"\b(?:a|per|each|every) {steps[part]}\b")
    for column in clause.measures():
        said, own_ = currency(clause.text), own_currency(column)
        if said and own_ and said != own_:
            clause.ambiguous.append(f"`{column.name}` is in {own_}, and the question says {said}.")
    if clause.measures():
        clause.claim_all(r"(?<=how many )(?:dollars|euros|pounds|rupees)\b(?= (?:more|less|higher|lower|cheaper))")
        clause.claim_all(r"\bin (?:us )?(?:dollars|euros|pounds|money)\b")


def _times_in(clause: Clause, dates: list[Column]) -> None:
    """The conditions on a column of dates."""
    for column in dates if not clause.conditions else ():
        for found in time_conditions(clause.text, column):
            at = [i for i, t in enumerate(clause.tokens) if t.start() < found.end and found.start < t.end()]
            if at and any(set(at) <= set(mention.tokens) for mention in clause.mentions):
                continue  # the "in weekend" of `stays_in_weekend_nights`
            if at and clause.word(at[0]) == "between" and _is_amount(clause, at[0]):
                break
            clause.claim(found.start, found.end)
            clause.places += [(column.name, tuple(at))] if at else []
            if found.condition not in clause.conditions:
                clause.conditions.append(found.condition)
    if clause.conditions and clause.says(_OF_TWO_MONTHS):
        clause.ambiguous.append("Two months are compared only if their years are said.")


def _is_amount(clause: Clause, at: int) -> bool:
    """Whether "between" stands behind a word for a column of numbers: "a bill between 2000 and 2020"."""
    if not clause.word(at + 1).isdigit():
        return False
    numbers = [c for c in clause.table.of_kind("number") if not is_year(c)]
    return any(alike(clause.word(at - 1), part) >= SURE for c in numbers for part in name_stems(c.name))


def _date_meant(clause: Clause) -> list[Column]:
    """The column of dates that a time is about: the one that is named, "discharged in June", else the first."""
    dates = clause.table.of_kind("date")
    of_lives = [c for c in dates if _LIVES & set(name_stems(c.name))]
    years = [c for c in clause.table.of_kind("number") if is_year(c)]
    said = [clause.word(i) for i in range(len(clause.tokens)) if clause.word(i) not in words.SILENT]
    common = {"date", "time", "day", stem("date"), stem("time")}
    named = [c for c in dates if any(alike(w, p) >= SURE for w in said for p in set(name_stems(c.name)) - common)]
    if len(named) != 1 and len(of_lives) == len(dates) and years:
        return []  # "before 2000" is about `year`, and not about `birth_date`
    dates = [c for c in dates if c not in of_lives] or dates
    if len(dates) > 1 and len(named) != 1 and any(time_conditions(clause.text, dates[0])):
        clause.notes.append(f"`{dates[0].name}` taken as the date")
    return named if len(named) == 1 else dates[:1]


def _charts_and_periods(clause: Clause) -> None:
    for name, pattern in _CHARTS:
        if clause.claim_all(pattern) and not clause.chart:
            clause.chart = name
    dates = clause.table.of_kind("date")
    if dates:
        _claim_steps(clause, dates[0])
        finest = days_apart(dates[0])
        own = [c for c in clause.table.of_kind("number") if name_stems(c.name) == ["year"] and is_year(c)]
        for name, pattern in PERIODS:
            if _is_of_pay(clause):
                continue
            if name == "year" and own and own[0] in [m.column for m in clause.mentions]:
                continue  # the column `year`
            if finest > _DAYS_OF.get(name, 6):
                continue
            free = [m for m in re.finditer(pattern, clause.text, re.IGNORECASE) if not clause.period]
            for match in free[:1]:
                tokens = {i for i, t in enumerate(clause.tokens) if t.start() < match.end() and match.start() < t.end()}
                if not tokens <= clause.used:
                    clause.period = name
                    clause.used |= tokens


def _is_of_pay(clause: Clause) -> bool:
    """Whether "yearly" or "monthly" stands before a rent or a salary: that is no group of rows."""
    found = re.search(r"\b(?:yearly|annual|monthly|weekly|daily|hourly) (\w+)\b", clause.text, re.IGNORECASE)
    return found is not None and stem(found[1].lower()) in _PAY


def _claim_steps(clause: Clause, date: Column) -> None:
    """Account for the "daily" of "the average daily high by month", where each day has one row."""
    steps = {"daily": 1, "monthly": 31, "yearly": 366, "annual": 366}
    if date.unique == clause.table.rows and clause.says(r"\b(?:by|per|each|every|which|what) (?:month|quarter|year)\b"):
        for word, days in steps.items():
            if 0.9 * days <= days_apart(date) <= 1.1 * days:
                clause.claim_all(rf"\b{word}\b")


def _names_of(clause: Clause) -> None:
    """Account for "name of" before a column, and where the rows have names; else what is asked for is not there."""
    has_names = any(c.kind == "text" and c.unique > LABELS_SHARE * clause.table.rows for c in clause.table.columns)
    for i in clause.free():
        if clause.word(i) not in ("name", "names"):
            continue
        after = i + 1 + (clause.word(i + 1) == "of")
        after += clause.word(after) in ("the", "each", "all")
        if has_names or any(after in mention.tokens for mention in clause.mentions):
            clause.used.add(i)


def _rates(clause: Clause) -> None:
    """Refuse "the return rate" where a column is called `rate` and another one says what was returned."""
    for mention in clause.mentions:
        first = min(mention.tokens)
        taken = {i for name, at in clause.places for i in at if name != mention.column.name}
        taken |= {i for m in clause.mentions for i in m.tokens}
        is_rate = mention.column.kind == "number" and (
            len(mention.tokens) == len(name_stems(mention.column.name)) == 1 and clause.word(first) in words.MEASURES
        )
        if is_rate and first - 1 in taken and clause.text[: clause.tokens[first].start()].endswith(" "):
            said = f"{clause.word(first - 1)} {clause.word(first)}"
            clause.ambiguous.append(f'"{said}" could be `{mention.column.name}` or a share of rows.')


def _whole_table(clause: Clause) -> None:
    """Account for "at the tournament", and for "of the month" where all dates are of one month."""
    for match in OF_WHOLE.finditer(clause.text):
        at = max(clause.within(match))
        if at not in clause.free() or not (
            match[1].lower() in words.WHOLES
            or stem(match[1].lower()) in name_stems(clause.table.shown.rpartition(".")[0])
            or _is_one_period(clause, match[1].lower())
        ):
            continue
        clause.used |= {i for i in clause.within(match) if not clause.word(i).isdigit()}
        clause.of_all = True
        clause.notes.append(f"the {match[1].lower()} taken as the whole table")


def _is_one_period(clause: Clause, word: str) -> bool:
    """Whether all dates of the table are in one month, or in one year."""
    dates = clause.table.of_kind("date")
    size = {"month": 7, "year": 4}.get(word, 0)
    return bool(size) and len(dates) == 1 and dates[0].low[:size] == dates[0].high[:size] and dates[0].low != ""


def _file_words(clause: Clause) -> None:
    """Words of the file's name say which table is meant."""
    for match in re.finditer(re.escape(clause.table.shown), clause.text, re.IGNORECASE):
        clause.claim(match.start(), match.end())
    named = set(name_stems(clause.table.shown.rpartition(".")[0]))
    beginnings = [part for part in named if len(part) > SHORTEST_BEGINNING]
    clause.used |= {
        i
        for i in clause.free()
        if not clause.word(i).isdigit()
        and (own := stem(clause.word(i)))
        and (
            own in named
            or (
                len(own) >= SHORTEST_BEGINNING
                and clause.word(i - 1) not in _PLACED
                and any(part.startswith(own) or part.endswith(own) for part in beginnings)
            )
        )
    }
