"""Compare computed figures with the limits in documents."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from local.openai_emulator.models.offline.data.ask import Plan
from local.openai_emulator.models.offline.data.kinds.base import number
from local.openai_emulator.models.offline.data.names import axis, name_stems, unit
from local.openai_emulator.models.offline.documents.extract import Extract, Writer
from local.openai_emulator.models.offline.documents.units import Unit, units_of
from local.openai_emulator.models.offline.words import all_stems, stem
from local.openai_emulator.search.passage import Passage

_LIMIT_HEADS = re.compile(r"warning|critical|limit|threshold|target|maximum|recommended|objective", re.IGNORECASE)
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
_UNIT_STEMS = frozenset(map(stem, ("ms", "percent", "seconds", "minutes", "hours", "bytes")))


@dataclass(frozen=True, kw_only=True)
class Observed:
    """A computed figure; `who` is its group, empty if the ask has no groups."""

    column: str
    value: float
    who: str = ""


def compare(plan: Plan, results: Sequence[Mapping[str, Any]], passages: Sequence[Passage]) -> Extract:
    """A table of computed averages and their limits; empty if the passages contain no limit for any of them."""
    rows = [unit for index, p in enumerate(passages) for unit in units_of(p.text, passage=index) if _is_limit(unit)]
    matches = [(seen, row) for seen in observed(plan, results) if (row := _limit_for(seen, rows))]
    if not matches:
        return Extract()
    heads = [name for name in matches[0][1].header[1:] if _LIMIT_HEADS.search(name)]
    writer = Writer()
    sources = list(dict.fromkeys(row.passage for _, row in matches))
    writer.add("Against the recommended values")
    for source in {passages[index].file_id: passages[index] for index in sources}.values():
        writer.add("", source)
    writer.add(f":\n\n| Figure | Measured | {' | '.join(heads)} | Verdict |\n|---|---|{'---|' * (len(heads) + 1)}\n")
    for seen, row in matches:
        limits = {name: cell for name, cell in zip(row.header, row.cells, strict=True) if name in heads}
        who = f" ({seen.who})" if seen.who else ""
        cells = [axis(seen.column).partition(" (")[0], number(seen.value, seen.column) + who]
        cells += [limits.get(head, "") for head in heads]
        writer.add(f"| {' | '.join((*cells, _verdict(seen.value, limits)))} |\n")
    return writer.extract()


def observed(plan: Plan, results: Sequence[Mapping[str, Any]]) -> list[Observed]:
    """The averages in the results; for groups, the highest one."""
    found: dict[str, Observed] = {}
    for ask, result in zip(plan.asks, results, strict=True):
        if ask.hows[0] not in ("mean", "median") or "trend" in result:
            continue
        for column, values in result.get("values", {}).items():
            found[column] = Observed(column=column, value=float(values[ask.hows[0]]))
        for key, values in result.get("groups", {}).items():
            for name, value in values.items():
                column = name.rpartition("|")[0]
                if column not in found or float(value) > found[column].value:
                    found[column] = Observed(column=column, value=float(value), who=f"{key}, the highest")
    return list(found.values())


def _is_limit(unit: Unit) -> bool:
    return unit.kind == "row" and any(_LIMIT_HEADS.search(name) for name in unit.header[1:])


def _limit_for(seen: Observed, rows: Sequence[Unit]) -> Unit | None:
    """The row for a column: the label contains the column's name and few other words, the cells have its unit."""
    wanted = [part for part in name_stems(seen.column) if part not in _UNIT_STEMS]
    sign = unit(seen.column).strip()
    fits = []
    for row in rows:
        label = all_stems(row.cells[0])
        if set(wanted) <= set(label) and (not sign or sign in " ".join(row.cells[1:]).split()):
            fits.append((label[: len(wanted)] != wanted, len(label) - 2 * (stem("average") in label), row))
    return min(fits, key=lambda fit: fit[:2])[2] if fits else None


def _verdict(value: float, limits: Mapping[str, str]) -> str:
    """The name of the last limit that the value exceeds, or `within the limits`."""
    broken = ""
    for name, cell in limits.items():
        if match := _NUMBER.search(cell):
            limit = float(match.group().replace(",", ""))
            if value < limit if "below" in cell.lower() else value >= limit:
                broken = name
    return f"**{broken.lower()}**" if broken else "within the limits"
