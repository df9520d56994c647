"""How well each unit of the passages answers a question."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from local.openai_emulator.models.offline.documents.question import QuestionTerms
from local.openai_emulator.models.offline.documents.units import Unit
from local.openai_emulator.models.offline.words import terms, words
from local.openai_emulator.search.embeddings import embed
from local.openai_emulator.search.passage import Passage

CONTEXT_WEIGHT = 0.75  # of a word in the heading above a unit; a word in the unit itself has weight 1
SECTION_WEIGHT = 0.4  # of a word in the other units of the section
AKIN_WEIGHT = 0.6  # of a word that means about the same
AKIN = 0.55  # the cosine of two words from which on they mean about the same: "pay" and "paid", "cost" and "price"
NAMING_WEIGHT = 0.5  # of a word that names the document
INHERITED_WEIGHT = 0.5
DEFINITION_BONUS = 0.15
NEARNESS_WEIGHT = 0.4  # of the cosine of question and unit, above that of unrelated texts
UNRELATED = 0.35
BACK_SHARE = 0.8  # of the score of a sentence that points to others: "By following these tips, ..."

_ASKS_FIGURE = re.compile(
    r"\bhow (?:many|much|long|often|high|low|fast|soon|far|old|big|large)\b|percent|\brate\b|\bwhen\b"
)
_ASKS_REASON = re.compile(r"\bwhy\b|\bcauses?d?\b|\breasons?\b", re.IGNORECASE)
_REASON = re.compile(r"\b(?:because|since|due to|caused?|root cause|as a result|so that)\b", re.IGNORECASE)
_ASKS_MEANING = re.compile(
    r"\bwhat(?: is|'s| are| does)\b|\b(?:explain|define|meaning|means?|role of)\b", re.IGNORECASE
)
_BACK = re.compile(
    r"\b(?:outlined|mentioned|described|listed|tips|steps|information) (?:above|below)\b|\bfollowing these\b|"
    r"^if you have (?:any |further )*questions\b",
    re.IGNORECASE,
)
# The subject of a definition.
_SUBJECT = re.compile(r"(?:[\w ]{1,40}: )?((?:[\w'’-]+(?: \([^)]*\))? ){1,6})(?:is|are|means?|refers?)\b")

Section = tuple[str, str | int]  # the file, and the headings or the index of the passage


@dataclass(frozen=True, kw_only=True)
class Scored:
    unit: Unit
    score: float
    shares: Mapping[str, float]  # the terms in the unit itself, and their share of the question's weights
    defines: bool = False  # it says what the thing that the question asks about is


def section_of(unit: Unit, passages: Sequence[Passage]) -> Section:
    """Neighbouring chunks can have parts of one section. What has no heading is a section with its passage."""
    return passages[unit.passage].filename, unit.context or unit.passage


def score(question: QuestionTerms, units: Sequence[Unit], passages: Sequence[Passage]) -> list[Scored]:
    """Score each unit by the share of the question's terms that it contains, weighted by their rarity.

    0: none, 1: all; bonuses can raise the score a little above 1.
    """
    stems = [question.stems(unit.text) for unit in units]
    contexts = [set(question.stems(f"{unit.context} {passages[unit.passage].filename}")) for unit in units]
    sections: dict[Section, set[str]] = defaultdict(set)
    for unit, own in zip(units, stems, strict=True):
        sections[section_of(unit, passages)].update(own)
    seen = Counter(term for own, around in zip(stems, contexts, strict=True) for term in {*own, *around})
    weights = _weights(question, seen, len(units))
    content = question.content()
    akin = _akin(weights, question, {word for unit in units for word in words(f"{unit.text} {unit.context}")})
    total = sum(weights.values()) or 1.0
    scored = []
    for unit, own, around, near in zip(units, stems, contexts, _nearness(question, units), strict=True):
        section = sections[section_of(unit, passages)]
        told = {*own, *(around & question.naming)}
        found = {term: _found(term, akin[term], told, around, section) for term in weights}
        value = sum(weights[term] * share for term, share in found.items()) / total
        if seen.keys() & set(question.own) and question.inherited and not any(found[term] for term in question.own):
            value *= 0.3  # it matches only the earlier questions
        if not any(found[term] for term in content):
            value *= 0.3  # it matches only the words that name the document
        defines = _defines(question, unit, content, akin)
        value += _bonus(question, unit, own, content) + (DEFINITION_BONUS if defines else 0)
        value += near + 0.08 * passages[unit.passage].score
        shares = {term: weights[term] / total for term in weights if term in own or akin[term] & set(own)}
        scored.append(Scored(unit=unit, score=value * _fitness(unit), shares=shares, defines=defines))
    return scored


def _nearness(question: QuestionTerms, units: Sequence[Unit]) -> list[float]:
    """What the nearness of question and unit adds to the score of each unit.

    Nothing in other languages: the embeddings know little of them, and all their texts are near each other.
    """
    if not question.language.is_english:
        return [0.0] * len(units)
    cosines = embed([unit.text[:400] for unit in units]) @ embed([question.without_names()])[0]
    return [NEARNESS_WEIGHT * (float(cosine) - UNRELATED) for cosine in cosines]


def _weights(question: QuestionTerms, seen: Counter[str], n_units: int) -> dict[str, float]:
    weights = {}
    for term in (*question.own, *question.inherited):
        rarity = math.log(1 + n_units / (1 + seen[term])) + 0.3
        inherited = INHERITED_WEIGHT if term in question.inherited else 1
        weights[term] = rarity * inherited * (NAMING_WEIGHT if term in question.naming else 1)
    return weights


def _akin(asked: Iterable[str], question: QuestionTerms, known: Collection[str]) -> dict[str, set[str]]:
    """For each term of the question, the stems of the known words that mean about the same, by the embeddings."""
    language = question.language
    wanted = list(asked)
    if not language.is_english:  # the embeddings know few other words
        return {term: set() for term in wanted}
    forms = question.forms
    others = sorted(word for word in known if word not in language.stop_words and word.isalpha())
    cosines = embed([forms.get(term, term) for term in wanted]) @ embed(others).T
    return {
        term: {language.stem(others[at]) for at in (row >= AKIN).nonzero()[0]}
        for term, row in zip(wanted, cosines, strict=True)
    }


def _found(term: str, akin: set[str], own: set[str], around: set[str], section: set[str]) -> float:
    """How far a unit has a term: 1 in its own words, less in the words around it."""
    if term in own:
        return 1.0
    return max(
        CONTEXT_WEIGHT if term in around else 0.0,
        SECTION_WEIGHT if term in section else 0.0,
        AKIN_WEIGHT if akin & own else 0.0,
        AKIN_WEIGHT * CONTEXT_WEIGHT if akin & around else 0.0,
    )


def _defines(question: QuestionTerms, unit: Unit, content: Sequence[str], akin: Mapping[str, set[str]]) -> bool:
    """Whether the question asks what something is, and the unit says so of that thing: "Coinsurance is ..."."""
    subject = _SUBJECT.match(unit.text) if _ASKS_MEANING.search(question.text) else None
    told = set(terms(subject[1])) - question.naming if subject else set[str]()
    meant = {term for term in content if term in told or akin.get(term, set()) & told}
    return bool(meant) and told <= {*content, *(t for c in meant for t in akin.get(c, ()))}


def _bonus(question: QuestionTerms, unit: Unit, stems: list[str], content: Sequence[str]) -> float:
    """Added for what is asked for (figures, reasons), a table's title, and adjacent words in common."""
    bonus = 0.0
    if _ASKS_FIGURE.search(question.text.lower()) and re.search(r"\d", unit.text):
        bonus += 0.06
    if _ASKS_REASON.search(question.text) and _REASON.search(unit.text):
        bonus += 0.08
    if unit.kind == "row" and (title := terms(unit.title)):
        hits = sum(term in question.own or term in question.inherited for term in title) / len(title)
        bonus += 0.2 if hits > 0.6 and len(title) > 1 and any(t in question.own for t in title) else 0.0
    pairs = set(pairwise(content))
    together = pairs & set(pairwise(stems))
    return bonus + (0.12 * len(together) / len(pairs) if pairs else 0.0)


def _fitness(unit: Unit) -> float:
    """A factor below 1 for fragments, for very long sentences, and for sentences that only point to others."""
    length = len(unit.text)
    if unit.kind != "row" and length < 25:
        return 0.7
    return (BACK_SHARE if _BACK.search(unit.text) else 1.0) * (1.0 if length < 400 else 0.85)
