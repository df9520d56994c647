"""Answers a question from passages: picks the units that say most about it and words them with their citations.

Everything in the answer stands in a passage; nothing is made up. When no unit says enough, there is no answer.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from itertools import pairwise

from local.openai_emulator.agent.conversation import Cite
from local.openai_emulator.models.offline.documents.units import Unit, units_of
from local.openai_emulator.models.offline.words import all_stems, stem, synonyms, terms
from local.openai_emulator.search.passage import Passage

ENOUGH = 0.5  # share of a question's meaning that the best unit must carry
NEAR_BEST = 0.84  # others are told too when they reach this share of the best
MOST_UNITS = 4
CONTEXT_WEIGHT = 0.75  # a word found in the heading above a unit, against one found in it
SYNONYM_WEIGHT = 0.6

_ASKS_FIGURE = re.compile(
    r"\bhow (?:many|much|long|often|high|low|fast|soon|far|old|big|large)\b|percent|\brate\b|\bwhen\b"
)
_ASKS_REASON = re.compile(r"\bwhy\b|\bcauses?d?\b|\breasons?\b", re.IGNORECASE)
_REASON = re.compile(r"\b(?:because|since|due to|caused?|root cause|as a result|so that)\b", re.IGNORECASE)
_QUESTION_PARTS = re.compile(
    r"[?;]\s+|,?\s+and\s+(?=(?:what|who|when|where|how|which|why|is|are|does|do|did|was|were)\b)", re.IGNORECASE
)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a question is about: its own words, and those it takes over from what was said before."""

    text: str
    own: tuple[str, ...]
    taken_over: tuple[str, ...] = ()

    @classmethod
    def of(cls, question: str, *, context: str = "") -> Wanted:
        own = terms(question)
        return cls(text=question, own=tuple(own), taken_over=tuple(t for t in terms(context) if t not in own))

    def parts(self) -> list[Wanted]:
        """The questions that were asked in one breath; each leans on the words of the first."""
        texts = [part for part in _QUESTION_PARTS.split(self.text.strip()) if terms(part)]
        if len(texts) < 2:
            return [self]
        first = terms(texts[0])
        return [
            Wanted(
                text=text,
                own=tuple(terms(text)),
                taken_over=tuple(t for t in (*(first if index else ()), *self.taken_over) if t not in terms(text)),
            )
            for index, text in enumerate(texts)
        ]


@dataclass(frozen=True, kw_only=True)
class Extract:
    """An answer out of documents. `text` is empty when they do not say."""

    text: str = ""
    citations: tuple[Cite, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Scored:
    unit: Unit
    score: float


def answer(question: Wanted, passages: Sequence[Passage]) -> Extract:
    """The units that answer the question, as Markdown with a citation behind each."""
    units = _distinct(
        [unit for index, passage in enumerate(passages) for unit in units_of(passage.text, passage=index)]
    )
    if not units:
        return Extract()
    chosen: list[Unit] = []
    for part in question.parts():
        chosen += [unit for unit in pick(part, units, passages) if unit not in chosen]
    return word(chosen, passages)


def pick(question: Wanted, units: Sequence[Unit], passages: Sequence[Passage]) -> list[Unit]:
    """The units that answer best, in reading order; none when even the best says too little."""
    scored = score(question, units, passages)
    best = max(scored, key=lambda item: item.score, default=None)
    if best is None or best.score < ENOUGH:
        return []
    near = [item for item in scored if item.score >= best.score * NEAR_BEST]
    same_table = [
        i
        for i in near
        if i.unit.kind == "row" and i.unit.block == best.unit.block and i.unit.passage == best.unit.passage
    ]
    if best.unit.kind == "row" and len(same_table) > 2:
        return [item.unit for item in same_table]
    near.sort(key=lambda item: -item.score)
    return sorted((item.unit for item in near[:MOST_UNITS]), key=lambda unit: (unit.passage, units.index(unit)))


def score(question: Wanted, units: Sequence[Unit], passages: Sequence[Passage]) -> list[Scored]:
    """How much of the question's meaning each unit carries: 0 none, 1 all; a little above for a perfect fit."""
    stems = [all_stems(unit.text) for unit in units]
    contexts = [all_stems(f"{unit.context} {passages[unit.passage].filename}") for unit in units]
    seen = Counter(term for own, around in zip(stems, contexts, strict=True) for term in {*own, *around})
    weights = {
        term: math.log(1 + len(units) / (1 + seen[term])) + 0.3 for term in (*question.own, *question.taken_over)
    }
    weights |= {term: weights[term] * 0.5 for term in question.taken_over}
    total = sum(weights.values()) or 1.0
    known = set(seen)
    scored = []
    for unit, own, around in zip(units, stems, contexts, strict=True):
        found = {term: _found(term, set(own), set(around)) for term in weights}
        value = sum(weights[term] * share for term, share in found.items()) / total
        if known & set(question.own) and question.taken_over and not any(found[term] for term in question.own):
            value *= 0.3  # it is about what was asked before, not about what is asked now
        value += _bonus(question, unit, own) + 0.08 * passages[unit.passage].score
        scored.append(Scored(unit=unit, score=value * _fitness(unit)))
    return scored


def _respelled(question: Wanted, seen: Mapping[str, int]) -> Wanted:
    """The question with its slips of the pen mended: an unknown word becomes the one it nearly is."""

    def mended(term: str) -> str:
        if len(term) < 5 or term in seen or synonyms(term) & seen.keys():
            return term
        return next(iter(get_close_matches(term, seen, n=1, cutoff=0.86)), term)

    return replace(question, own=tuple(dict.fromkeys(map(mended, question.own))))


def _found(term: str, own: set[str], around: set[str]) -> float:
    if term in own:
        return 1.0
    others = synonyms(term)
    return max(
        CONTEXT_WEIGHT if term in around else 0.0,
        SYNONYM_WEIGHT if others & own else 0.0,
        SYNONYM_WEIGHT * CONTEXT_WEIGHT if others & around else 0.0,
    )


def _bonus(question: Wanted, unit: Unit, stems: list[str]) -> float:
    """For a unit of the kind that was asked for, and for words that stand together in both."""
    bonus = 0.0
    if _ASKS_FIGURE.search(question.text.lower()) and re.search(r"\d", unit.text):
        bonus += 0.06
    if _ASKS_REASON.search(question.text) and _REASON.search(unit.text):
        bonus += 0.08
    if unit.kind == "row" and (title := terms(unit.title)):
        hits = sum(term in question.own or term in question.taken_over for term in title) / len(title)
        bonus += 0.2 if hits > 0.6 and len(title) > 1 and any(t in question.own for t in title) else 0.0
    pairs = set(pairwise(question.own))
    together = pairs & set(pairwise(stems))
    return bonus + (0.12 * len(together) / len(pairs) if pairs else 0.0)


def _fitness(unit: Unit) -> float:
    """Less than 1 for fragments and for sentences too long to be an answer."""
    length = len(unit.text)
    if unit.kind != "row" and length < 25:
        return 0.7
    return 1.0 if length < 400 else 0.85


def _distinct(units: Sequence[Unit]) -> list[Unit]:
    """Neighbouring chunks overlap: each thing said counts once, and where it is whole."""
    kept: dict[str, Unit] = {}
    for unit in units:
        key = re.sub(r"\W+", " ", unit.text).strip().lower()
        if key and (key not in kept or len(unit.context) > len(kept[key].context)):
            kept[key] = unit
    return [unit for key, unit in kept.items() if not any(len(key) > 40 and key in o and key != o for o in kept)]


# ---- wording -----------------------------------------------------------------------------------------------------


class Writer:
    """Collects text, and the citations that stand behind its parts."""

    def __init__(self) -> None:
        self.text = ""
        self.citations: list[Cite] = []

    def add(self, text: str, source: Passage | None = None) -> None:
        self.text += text
        if source is not None:
            self.citations.append(Cite(position=len(self.text), file_id=source.file_id, filename=source.filename))

    def extract(self) -> Extract:
        return Extract(text=self.text.rstrip(), citations=tuple(self.citations))


def word(units: Sequence[Unit], passages: Sequence[Passage]) -> Extract:
    """A short Markdown answer from units: a sentence for one, bullets for several, a table for a table's rows."""
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
    """Neighbouring rows of one table together, everything else by itself."""
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


def mentions(text: str, word: str) -> bool:
    """Whether a text has a form of this word."""
    return stem(word) in all_stems(text)
