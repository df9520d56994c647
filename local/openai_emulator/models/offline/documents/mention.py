"""What of a question the documents have to name, so that a sibling is not quoted as if it were the answer.

"How long is the warranty of the grinder?" is not answered by the warranty of the drill. The words that say what a
question is about are its names and numbers, the nouns after a preposition ("of the grinder", "in Graz"), and the
subject ("does the library"). The bundled embeddings tell siblings (grinder and drill: about 0) from words that mean
about the same (cost and price: 0.67).
"""

from __future__ import annotations

import calendar
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from local.openai_emulator.models.offline.documents.question import QuestionTerms
from local.openai_emulator.models.offline.documents.scoring import Section, section_of
from local.openai_emulator.models.offline.documents.units import Unit
from local.openai_emulator.models.offline.languages import Language
from local.openai_emulator.models.offline.words import STOP_WORDS, compounds, stem, terms
from local.openai_emulator.search.embeddings import embed
from local.openai_emulator.search.passage import Passage

RELATED = 0.4  # the cosine from which on a word may stand for another one
HEAD_WORDS = 3  # at the beginning of a unit; they say what it is about
FEW_TERMS = 2  # a question with so few terms needs all of them in what is quoted
LONGEST_NOUN_PHRASE = 3  # words
THROUGHOUT_SHARE, FEWEST_PASSAGES = 0.75, 3  # of a document that is about a word as a whole

_DATES = frozenset(stem(name) for name in (*calendar.month_name, *calendar.day_name) if name)  # "Black Friday"
_CAPITAL = f"[{''.join(letter for letter in map(chr, range(0x530)) if letter.isupper())}]"  # Latin, Greek, Cyrillic
_NAME = re.compile(rf"(?<![.?!:]\s)(?<!^)(?<=\s)[\"'(]?({_CAPITAL}[\w’'-]*+(?: {_CAPITAL}[\w’'-]*+)*|\w*\d[\w.:,-]*)")
_DEGREES = frozenset(map(stem, ("often", "soon", "far", "fast", "big", "large", "high", "low", "old", "tall", "wide")))
_ACRONYM = re.compile(r"[A-Z]{2,5}s?")  # a word like any other: SLO, TLS
_OBJECT = re.compile(r"\b(?:of|in|at|for|from|on|with|without)\s+(?:(?:the|a|an|my|our|your|this|that)\s+)?", re.I)
_ASKED_SUBJECT = re.compile(r"\b(?:does|do|did|is|are|was|were)\s+(?:the|a|an|my|our)\s+", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Topic:
    """The stems that an answer has to hold: `names` in themselves, `nouns` also by a word that means about the same."""

    names: frozenset[str]
    nouns: frozenset[str]
    every: frozenset[str]  # all terms, if there are few

    @classmethod
    def of(cls, question: QuestionTerms) -> Topic:
        own = [term for term in question.own if term not in question.naming | _DEGREES]
        text, language = question.text, question.language
        said = [match[1] for match in _NAME.finditer(text)] if language.capitals_are_names else []
        proper = [name for name in said if not _ACRONYM.fullmatch(name) and not _DATES & {*terms(name)}]
        names = {term for name in proper for term in language.terms(name)}
        nouns = {language.stem(word) for word in compounds(text)}  # "in-network", not "out-of-network"
        if language.is_english:
            nouns |= {term for match in _OBJECT.finditer(text) for term in _phrase(text[match.end() :])[-1:]}
            nouns |= {term for match in _ASKED_SUBJECT.finditer(text) for term in _phrase(text[match.end() :])[:1]}
        return cls(
            names=frozenset(names & {*own, *question.whole}),  # "PerksPlus" is said of PerksPlus.pdf
            nouns=frozenset(nouns & set(own) - names),
            every=frozenset(own if 1 < len(own) <= FEW_TERMS else ()),
        )


def _phrase(text: str) -> list[str]:
    """The stems of the words at the beginning of a text, up to a stop word or a mark."""
    found: list[str] = []
    for match in re.finditer(r"([\w’'-]+)([^\w\s]*)", text[:80]):
        if match[1].lower() in STOP_WORDS or len(found) == LONGEST_NOUN_PHRASE:
            break
        found += terms(match[1])
        if match[2]:
            break
    return found


def held(question: QuestionTerms, units: Sequence[Unit], passages: Sequence[Passage]) -> tuple[list[bool], list[str]]:
    """For each unit whether it holds what the question is about; and the words of it that no unit holds."""
    topic = Topic.of(question)
    wanted = topic.names | topic.nouns | topic.every
    if not wanted:
        return [True] * len(units), []
    stems = question.stems
    blocks: dict[tuple[int, int], set[str]] = defaultdict(set)
    sections: dict[Section, set[str]] = defaultdict(set)
    for unit in units:
        near = stems(f"{unit.context} {unit.title} {passages[unit.passage].filename}")
        blocks[unit.passage, unit.block].update((*stems(unit.text), *near))
        sections[section_of(unit, passages)] |= blocks[unit.passage, unit.block]
    everything = set().union(*blocks.values())
    forms = question.forms
    means = {
        term: _means(forms.get(term, term), everything, question.language, related=term not in topic.names)
        for term in wanted
    }
    missing = [forms.get(term, term) for term in question.own if term in topic.names | topic.nouns and not means[term]]
    throughout = _throughout(passages, question.language)

    def holds(unit: Unit) -> bool:
        block = blocks[unit.passage, unit.block]
        section = sections[section_of(unit, passages)] if unit.context and len(topic.names) == 1 else block
        head = set(stems(" ".join(unit.text.split()[:HEAD_WORDS])))
        told = any(means[name] & head for name in topic.names)  # it is about the name: "WordStar (1978): ..."
        known = section | throughout[passages[unit.passage].filename]
        return all(means[name] & known for name in topic.names) and (
            told or all(means[term] & block for term in topic.every)
        )

    return [holds(unit) for unit in units], missing


def _throughout(passages: Sequence[Passage], language: Language) -> dict[str, set[str]]:
    """For each file, the stems that most of its passages hold: what the whole document is about."""
    found = defaultdict[str, set[str]](set)
    for filename in {passage.filename for passage in passages}:
        texts = [{*language.all_stems(passage.text)} for passage in passages if passage.filename == filename]
        times = Counter(term for text in texts for term in text)
        if len(texts) >= FEWEST_PASSAGES:
            found[filename] = {term for term, n in times.items() if n >= THROUGHOUT_SHARE * len(texts)}
    return found


def _means(word: str, known: Collection[str], language: Language, *, related: bool) -> set[str]:
    """The known stems that may stand for a word: its own, one that it begins or that begins it, a related one."""
    own = language.stem(word)
    found = {other for other in known if other == own or _begins(other, own) or _begins(own, other)}
    if related and not found and language.is_english:
        others = sorted(other for other in known if other.isalpha() and other not in STOP_WORDS)
        cosines = embed([word])[0] @ embed(others).T
        found = {others[at] for at in (cosines >= RELATED).nonzero()[0]}
    return found


def _begins(start: str, word: str) -> bool:
    return len(start) >= 3 and not start.isdigit() and word.startswith(start) and len(start) >= len(word) / 2
