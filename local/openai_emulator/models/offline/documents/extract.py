"""Answer a question from passages: select the most relevant units and quote them with citations.

The answer contains only text of the passages. There is no answer when no unit reaches `MIN_SCORE`.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from local.openai_emulator.agent.conversation import Cite
from local.openai_emulator.models.offline.documents.units import Unit, units_of
from local.openai_emulator.models.offline.words import all_stems, synonyms, terms
from local.openai_emulator.search.passage import Passage

MIN_SCORE = 0.5  # the best unit needs this score, else there is no answer
NEAR_BEST_SHARE = 0.84  # other units are quoted too if they reach this share of the best score
MOST_UNITS = 4
CONTEXT_WEIGHT = 0.75  # of a word in the heading above a unit; a word in the unit itself has weight 1
SYNONYM_WEIGHT = 0.6

_ASKS_FIGURE = re.compile(
    r"\bhow (?:many|much|long|often|high|low|fast|soon|far|old|big|large)\b|percent|\brate\b|\bwhen\b"
)
_ASKS_REASON = re.compile(r"\bwhy\b|\bcauses?d?\b|\breasons?\b", re.IGNORECASE)
_REASON = re.compile(r"\b(?:because|since|due to|caused?|root cause|as a result|so that)\b", re.IGNORECASE)
_QUESTION_PARTS = re.compile(
    r"[?;]\s+|(?:,|(?<!\s))\s++and\s+(?=(?:what|who|when|where|how|which|why|is|are|does|do|did|was|were)\b)",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class QuestionTerms:
    """The terms (stems) of a question, and those that it inherits from earlier questions of the thread."""

    text: str
    own: tuple[str, ...]
    inherited: tuple[str, ...] = ()

    @classmethod
    def of(cls, question: str, *, context: str = "") -> QuestionTerms:
        own = terms(question)
        return cls(text=question, own=tuple(own), inherited=tuple(t for t in terms(context) if t not in own))

    def parts(self) -> list[QuestionTerms]:
        """The questions that the text consists of; the later ones inherit the terms of the first."""
        texts = [part for part in _QUESTION_PARTS.split(self.text.strip()) if terms(part)]
        if len(texts) < 2:
            return [self]
        first = terms(texts[0])
        return [
            QuestionTerms(
                text=text,
                own=tuple(terms(text)),
                inherited=tuple(t for t in (*(first if index else ()), *self.inherited) if t not in terms(text)),
            )
            for index, text in enumerate(texts)
        ]


@dataclass(frozen=True, kw_only=True)
class Extract:
    """An answer from documents. `text` is empty when the documents do not answer the question."""

    text: str = ""
    citations: tuple[Cite, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Scored:
    unit: Unit
    score: float


def answer(question: QuestionTerms, passages: Sequence[Passage]) -> Extract:
    """The units that answer the question, as Markdown, each followed by its citation."""
    units = _distinct(
        [unit for index, passage in enumerate(passages) for unit in units_of(passage.text, passage=index)]
    )
    if not units:
        return Extract()
    chosen: list[Unit] = []
    for part in question.parts():
        chosen += [unit for unit in best_units(part, units, passages) if unit not in chosen]
    return write_answer(chosen, passages)


def best_units(question: QuestionTerms, units: Sequence[Unit], passages: Sequence[Passage]) -> list[Unit]:
    """The most relevant units, in reading order; none if the best score is below `MIN_SCORE`."""
    scored = score(question, units, passages)
    best = max(scored, key=lambda item: item.score, default=None)
    if best is None or best.score < MIN_SCORE:
        return []
    near = [item for item in scored if item.score >= best.score * NEAR_BEST_SHARE]
    same_table = [
        i
        for i in near
        if i.unit.kind == "row" and i.unit.block == best.unit.block and i.unit.passage == best.unit.passage
    ]
    if best.unit.kind == "row" and len(same_table) > 2:
        return [item.unit for item in same_table]
    near.sort(key=lambda item: -item.score)
    return sorted((item.unit for item in near[:MOST_UNITS]), key=lambda unit: (unit.passage, units.index(unit)))


def score(question: QuestionTerms, units: Sequence[Unit], passages: Sequence[Passage]) -> list[Scored]:
    """Score each unit by the share of the question's terms that it contains, weighted by their rarity.

    0: none, 1: all; bonuses can raise the score a little above 1.
    """
    stems = [all_stems(unit.text) for unit in units]
    contexts = [all_stems(f"{unit.context} {passages[unit.passage].filename}") for unit in units]
    seen = Counter(term for own, around in zip(stems, contexts, strict=True) for term in {*own, *around})
    weights = {term: math.log(1 + len(units) / (1 + seen[term])) + 0.3 for term in (*question.own, *question.inherited)}
    weights |= {term: weights[term] * 0.5 for term in question.inherited}
    total = sum(weights.values()) or 1.0
    known = set(seen)
    scored = []
    for unit, own, around in zip(units, stems, contexts, strict=True):
        found = {term: _found(term, set(own), set(around)) for term in weights}
        value = sum(weights[term] * share for term, share in found.items()) / total
        if known & set(question.own) and question.inherited and not any(found[term] for term in question.own):
            value *= 0.3  # it matches only the earlier questions
        value += _bonus(question, unit, own) + 0.08 * passages[unit.passage].score
        scored.append(Scored(unit=unit, score=value * _fitness(unit)))
    return scored


def _found(term: str, own: set[str], around: set[str]) -> float:
    if term in own:
        return 1.0
    others = synonyms(term)
    return max(
        CONTEXT_WEIGHT if term in around else 0.0,
        SYNONYM_WEIGHT if others & own else 0.0,
        SYNONYM_WEIGHT * CONTEXT_WEIGHT if others & around else 0.0,
    )


def _bonus(question: QuestionTerms, unit: Unit, stems: list[str]) -> float:
    """Added for figures and reasons if asked for, for a matching table title, and for adjacent words in common."""
    bonus = 0.0
    if _ASKS_FIGURE.search(question.text.lower()) and re.search(r"\d", unit.text):
        bonus += 0.06
    if _ASKS_REASON.search(question.text) and _REASON.search(unit.text):
        bonus += 0.08
    if unit.kind == "row" and (title := terms(unit.title)):
        hits = sum(term in question.own or term in question.inherited for term in title) / len(title)
        bonus += 0.2 if hits > 0.6 and len(title) > 1 and any(t in question.own for t in title) else 0.0
    pairs = set(pairwise(question.own))
    together = pairs & set(pairwise(stems))
    return bonus + (0.12 * len(together) / len(pairs) if pairs else 0.0)


def _fitness(unit: Unit) -> float:
    """A factor below 1 for fragments and for very long sentences."""
    length = len(unit.text)
    if unit.kind != "row" and length < 25:
        return 0.7
    return 1.0 if length < 400 else 0.85


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
