"""Years and months that a clause names, of columns of numbers: `in July`, `1999 and 2008`, "sold in 2010"."""

from __future__ import annotations

import calendar
import re

from local.openai_emulator.models.offline.data.ask import Condition
from local.openai_emulator.models.offline.data.clause import CHANGE, Clause, is_part_of_date, is_short_year, is_year
from local.openai_emulator.models.offline.data.likeness import SAME, alike
from local.openai_emulator.models.offline.data.names import name_stems
from local.openai_emulator.models.offline.data.table import Column


def months_in(clause: Clause) -> None:
    """`in July` in a table with a column of month numbers."""
    months = [c for c in clause.table.of_kind("number") if is_part_of_date(c) and "month" in name_stems(c.name)]
    if len(months) != 1 or clause.table.of_kind("date"):
        return
    named = {name.lower(): number for number, name in enumerate(calendar.month_name) if name}
    found = {named[clause.word(i)]: i for i in clause.free() if clause.word(i) in named}
    if found:
        clause.used |= set(found.values())
        name = months[0].name
        value: object = tuple(map(float, found)) if len(found) > 1 else float(next(iter(found)))
        text = " and ".join(calendar.month_name[number] for number in found)
        test = "in" if len(found) > 1 else "=="
        clause.conditions.append(Condition(column=name, test=test, value=value, words=f"in {text}"))


def years_meant(clause: Clause, *, short: bool = True) -> list[Column]:
    """The columns of years; of two, the one that a verb or a measure names: "sold" or `SalePrice` for `YearSold`."""
    years = [c for c in clause.table.of_kind("number") if is_year(c) or (short and is_short_year(c))]
    if len(years) < 2:
        return years
    named = [m.column for m in clause.mentions if m.column in years]
    if len(set(named)) == 1:
        return named[:1]
    said = [clause.word(i) for i in range(len(clause.tokens))]
    measures = [part for m in clause.mentions if m.column not in years for part in name_stems(m.column.name)]
    for known in (said, measures):
        told = [c for c in years if any(alike(w, p) >= SAME for w in known for p in name_stems(c.name) if p != "year")]
        if len(told) == 1:
            return told
    return years


def years_in(clause: Clause) -> None:
    """`1999 and 2008` beside a column of years: both, not what is between them."""
    years = years_meant(clause)
    match = re.search(
        r"(?<![\d.,-])(?:(between|from) )?([12]\d{3}),? (?:and|or|vs\.?|versus|with|(to)) ([12]\d{3})\b", clause.text
    )
    if match and (match[1] or match[3]) and not clause.says(CHANGE):
        return
    if match and len(years) == 1 and clause.is_free(match.start(), match.end()):
        clause.claim(match.start(), match.end())
        both = tuple(float(year) % 100 if is_short_year(years[0]) else float(year) for year in (match[2], match[4]))
        text = f"`{years[0].name}` {match[2]} and {match[4]}"
        clause.conditions.append(Condition(column=years[0].name, test="in", value=both, words=text))
