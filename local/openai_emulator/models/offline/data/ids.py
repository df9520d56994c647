"""The number of a row: `order 1477334`, `customer 7`."""

from __future__ import annotations

import re

from local.openai_emulator.models.offline.data import vocabulary as words
from local.openai_emulator.models.offline.data.ask import Condition
from local.openai_emulator.models.offline.data.clause import (
    LABELS_SHARE,
    Clause,
    is_key,
)
from local.openai_emulator.models.offline.data.limits import DOWN, LIMITING, UP
from local.openai_emulator.models.offline.data.names import name_stems
from local.openai_emulator.models.offline.data.units import (
    is_unit,
    number_of,
)
from local.openai_emulator.models.offline.words import stem

_IDS = frozenset(["id", "no", "nr", "num", "number", "code"])


def numbers_with_units(clause: Clause) -> None:
    """`2 BHK`: a number of a column of few numbers whose cells all state the unit that stands behind it."""
    for column in clause.table.of_kind("number"):
        if not (column.whole and column.values and column.unit.isalpha()):
            continue
        said = re.finditer(rf"(?<![\w.])(\d+)[ -]?{re.escape(column.unit)}\b", clause.text, re.IGNORECASE)
        found = [m for m in said if clause.is_free(m.start(), m.end())]
        compared = clause.says(r"\b(?:difference|gap|compare|compared)\b")
        befores = {clause.word(min(clause.within(m)) - 1) for m in found}
        if not found or (befores & (LIMITING | {"and"}) and not compared):
            continue
        numbers = tuple(dict.fromkeys(float(m[1]) for m in found))
        for m in found:
            clause.claim(m.start(), m.end())
            clause.places.append((column.name, tuple(sorted(clause.within(m)))))
        text = " and ".join(f"{number:.0f} {column.unit}" for number in numbers)
        value: object = numbers if len(numbers) > 1 else numbers[0]
        test = "in" if len(numbers) > 1 else "=="
        clause.conditions.append(Condition(column=column.name, test=test, value=value, words=text))


def numbers_of_rows(clause: Clause) -> None:
    """`order 1477334`: the number of a row, in the one column that identifies what is said before it."""
    for i in clause.free():
        noun = clause.word(i - 1)
        if not re.fullmatch(r"\d+", clause.word(i)) or i - 1 in clause.used or noun.endswith("s") or i == 0:
            continue
        keys = [c for c in clause.table.columns if stem(noun) in name_stems(c.name) and _IDS & set(name_stems(c.name))]
        if not keys and noun in ("number", "id", "no"):  # "employee number 100" beside `id`
            keys = [c for c in clause.table.columns if set(name_stems(c.name)) <= _IDS and is_key(c, clause.table)]
        rows = [c for c in keys if c.unique > LABELS_SHARE * clause.table.rows]
        keys = rows or [c for c in keys if is_key(c, clause.table)]
        if len(keys) != 1 or is_unit(clause.word(i + 1)) or clause.word(i + 1) in UP | DOWN | {"or", "to"}:
            continue
        number = float(clause.word(i))
        if keys[0].kind == "number" and number_of(keys[0].low) <= number <= number_of(keys[0].high):
            before = {i - 2} if noun in ("number", "id", "no") and clause.word(i - 2) not in words.SILENT else set()
            clause.used |= {i - 1, i, *before}
            clause.places.append((keys[0].name, (i,)))
            text = f"`{keys[0].name}` = {clause.word(i)}"
            clause.conditions.append(Condition(column=keys[0].name, test="==", value=number, words=text))
