"""Answer a question from passages: select the most relevant units and quote them with citations.

The answer contains only text of the passages. There is no answer when no unit reaches `MIN_SCORE`, and none when so
many sections say about equally much that choosing among them would be a guess.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from local.openai_emulator.agent.conversation import Cite
from local.openai_emulator.models.offline.documents.asked import can_answer
from local.openai_emulator.models.offline.documents.mention import held
from local.openai_emulator.models.offline.documents.question import QuestionTerms
from local.openai_emulator.models.offline.documents.scoring import Scored, Section, score, section_of
from local.openai_emulator.models.offline.documents.units import Unit, units_of
from local.openai_emulator.models.offline.languages import Language
from local.openai_emulator.search.passage import Passage

MIN_SCORE = 0.55  # the best unit needs this score, else there is no answer
MIN_SCORE_BY_PAIRS = 0.6  # in languages whose words are cut into pairs of characters, which other words have, too
NEAR_BEST_SHARE = 0.78  # other units are quoted too if they reach this share of the best score
NEAR_ROW_SHARE = 0.95  # a table whose best row reaches this share of the best score is quoted as a table
MOST_UNITS = 6
EQUAL_SHARE = 0.9  # units that reach this share of the best score say about as much
MOST_SECTIONS = 10  # that say about as much as the best; if there are more, the question is too broad
FIRST_WORDS = 6  # of a unit without a heading, in place of the heading
MOST_TITLED = 3  # sections whose headings hold all that a broad question asks about; if there are more, it is too broad
NEW_WORDS_WEIGHT = 0.5  # of the share of the question's words that no unit chosen before has
SAME_SECTION_PENALTY = 0.1  # for each unit of the section that was chosen before: other sections say something else


@dataclass(frozen=True, kw_only=True)
class Extract:
    """An answer from documents. `text` is empty when the documents do not answer the question.

    `sections` are the headings of the sections that say about equally much, if these are too many; `missing` are the
    words that say what the question is about and that no passage holds.
    """

    text: str = ""
    citations: tuple[Cite, ...] = ()
    sections: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def answer(question: QuestionTerms, passages: Sequence[Passage]) -> Extract:
    """The units that answer the question, as Markdown, each followed by its citation."""
    question = question.about(passages)
    meant = [passage.filename not in question.not_meant for passage in passages]
    units = _distinct(
        [unit for at, passage in enumerate(passages) if meant[at] for unit in units_of(passage.text, passage=at)]
    )
    if not units:
        return Extract()
    chosen: list[Unit] = []
    broad: list[str] = []
    missing: list[str] = []
    for part in question.parts(passages):
        holds, unnamed = held(part, units, passages)
        missing += unnamed
        scored = score(part, units, passages)
        about = [] if unnamed else [one for one, holding in zip(scored, holds, strict=True) if holding]
        least = _least_score(part.language)
        near = near_best(about, least=least)
        equal = [one for one in near if one.score >= EQUAL_SHARE * near[0].score]
        is_broad = len(_sections(equal, passages)) > MOST_SECTIONS
        if near and near[0].defines and len(_sections(near, passages)) > MOST_SECTIONS:
            about = [one for one in near if one.defines]
        elif is_broad and (titled := _titled(part, near, units, passages)):
            about = titled
        elif is_broad:
            broad += [_heading(unit) for unit in _sections(equal, passages).values()]
            continue
        near = near_best([one for one in about if can_answer(part.text, one.unit.text)], least=least)
        chosen += [unit for unit in _chosen(near, units, passages) if unit not in chosen]
    if chosen:
        return write_answer(chosen, passages)
    return Extract(sections=tuple(dict.fromkeys(broad)), missing=tuple(dict.fromkeys(missing)))


def _least_score(language: Language) -> float:
    return MIN_SCORE if language.has_spaces else MIN_SCORE_BY_PAIRS


def _sections(scored: Sequence[Scored], passages: Sequence[Passage]) -> dict[Section, Unit]:
    """The sections of units, each with its last unit."""
    return {section_of(one.unit, passages): one.unit for one in scored}


def _heading(unit: Unit) -> str:
    """The heading above a unit, or its first words if a passage begins inside of a section."""
    return unit.context.rpartition(" / ")[2] or f"{' '.join(unit.text.split()[:FIRST_WORDS])} ..."


def _titled(
    question: QuestionTerms, near: Sequence[Scored], units: Sequence[Unit], passages: Sequence[Passage]
) -> list[Scored]:
    """The units near the best in the few sections whose own headings hold all that the question asks about."""
    content, stems = {*question.content()}, question.stems
    titled = {section_of(unit, passages) for unit in units if content <= {*stems(_own_heading(unit.context))}}
    return [one for one in near if section_of(one.unit, passages) in titled] if len(titled) <= MOST_TITLED else []


def _own_heading(context: str) -> str:
    """The heading of a section without those above it: "Hospice" of "Plan / COVERED SERVICES: Hospice"."""
    return context.rpartition(" / ")[2].rstrip(": ").rpartition(": ")[2]


def near_best(scored: Sequence[Scored], *, least: float) -> list[Scored]:
    """The units whose score is near the best, best first; none if the best score is below `least`."""
    ordered = sorted(scored, key=lambda item: -item.score)
    if not ordered or ordered[0].score < least:
        return []
    return [item for item in ordered if item.score >= ordered[0].score * NEAR_BEST_SHARE]


def _chosen(near: Sequence[Scored], units: Sequence[Unit], passages: Sequence[Passage]) -> list[Unit]:
    """The units to quote, in reading order: the rows of one table, or a few units of different sections."""
    rows = [item for item in near if item.unit.kind == "row"]
    same_table = [item.unit for item in rows if _table(item.unit) == _table(rows[0].unit)]
    if len(same_table) > 2 and rows[0].score >= NEAR_ROW_SHARE * near[0].score:
        return sorted(same_table, key=units.index)
    waiting, chosen = list(near), list[Unit]()
    taken: Counter[Section] = Counter()
    told: set[str] = set()

    def worth(one: Scored) -> float:
        new = sum(share for term, share in one.shares.items() if term not in told)
        return one.score + NEW_WORDS_WEIGHT * new - SAME_SECTION_PENALTY * taken[section_of(one.unit, passages)]

    while waiting and len(chosen) < MOST_UNITS:
        best = max(waiting, key=worth)
        waiting.remove(best)
        chosen.append(best.unit)
        taken[section_of(best.unit, passages)] += 1
        told |= best.shares.keys()
    return sorted(chosen, key=lambda unit: (unit.passage, units.index(unit)))


def _table(unit: Unit) -> tuple[int, int]:
    return unit.passage, unit.block


def _distinct(units: Sequence[Unit]) -> list[Unit]:
    """The units without duplicates and fragments, which come from the overlap of neighbouring chunks."""
    kept: dict[str, Unit] = {}
    for unit in units:
        key = re.sub(r"\W+", " ", unit.text).strip().lower()
        if key and (key not in kept or len(unit.context) > len(kept[key].context)):
            kept[key] = unit
    return [unit for key, unit in kept.items() if not any(len(key) > 40 and key in o and key != o for o in kept)]


# ---- text of the answer ------------------------------------------------------------------------------------------


class Writer:
    """Collects text and the citations at positions in it."""

    def __init__(self) -> None:
        self.text = ""
        self.citations: list[Cite] = []

    def add(self, text: str, source: Passage | None = None) -> None:
        self.text += text
        if source is not None:
            self.citations.append(Cite(position=len(self.text), file_id=source.file_id, filename=source.filename))

    def extract(self) -> Extract:
        return Extract(text=self.text.rstrip(), citations=tuple(self.citations))


def write_answer(units: Sequence[Unit], passages: Sequence[Passage]) -> Extract:
    """Units as Markdown: a sentence for a single one, bullets for several, a table for rows of one table."""
    if not units:
        return Extract()
    writer = Writer()
    if len(units) == 1 and units[0].kind == "sentence":
        writer.add(units[0].text, passages[units[0].passage])
        return writer.extract()
    files = dict.fromkeys(passages[unit.passage].filename for unit in units)
    tables = _tables(units)
    if len(tables) < len({id(unit) for unit in units}) or len(units) > 1:
        writer.add(
            f"{' and '.join(files)} {'says' if len(files) == 1 else 'say'}:\n\n" if not _all_one_table(tables) else ""
        )
    for group in tables:
        _write_group(writer, group, passages)
    return writer.extract()


def _tables(units: Sequence[Unit]) -> list[list[Unit]]:
    """Groups of adjacent rows of one table; every other unit is a group of its own."""
    groups: list[list[Unit]] = []
    for unit in units:
        last = groups[-1][-1] if groups else None
        together = last and last.kind == unit.kind == "row" and (last.passage, last.block) == (unit.passage, unit.block)
        if together and last and len(last.cells) == len(unit.cells):
            groups[-1].append(unit)
        else:
            groups.append([unit])
    return groups


def _all_one_table(groups: Sequence[Sequence[Unit]]) -> bool:
    return len(groups) == 1 and len(groups[0]) > 2


def _write_group(writer: Writer, group: Sequence[Unit], passages: Sequence[Passage]) -> None:
    first = group[0]
    if len(group) > 2 and first.header:
        title = first.title or "The values"
        writer.add(f"**{title}**", passages[first.passage])
        writer.add(f":\n\n| {' | '.join(first.header)} |\n|{'---|' * len(first.header)}\n")
        for unit in group:
            writer.add(f"| {' | '.join(cell.replace('|', '/') for cell in unit.cells)} |\n")
        writer.add("\n")
        return
    for unit in group:
        writer.add(f"- {_bullet(unit)}", passages[unit.passage])
        writer.add("\n")


def _bullet(unit: Unit) -> str:
    if unit.kind != "row" or not unit.cells:
        return unit.text
    label, _, rest = unit.text.partition(": ")
    return f"**{label}**: {rest}" if rest else label
