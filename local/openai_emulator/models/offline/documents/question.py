"""What a question about documents asks: its terms, spelt as the documents spell them, and the documents it names."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import permutations

from local.openai_emulator.models.offline.languages import ENGLISH, Language, language_of
from local.openai_emulator.models.offline.words import (
    SHORTEST_SPELT,
    UNSPACED,
    compounds,
    is_pair,
    one_edit,
    without_compounds,
    words,
)
from local.openai_emulator.search.passage import Passage

NAMED_SHARE = 0.5  # of the words of a file's name; a question with more of them names the file
MOST_PARTS = 10  # a text with more is taken as one question

_QUESTION_PARTS = re.compile(
    r"[?;؟]\s+|[？；]\s*(?=\w)|(?:,|(?<!\s))\s++and\s+(?=(?:what|who|when|where|how|which|why|is|are|does|do|did|was|were)\b)",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class QuestionTerms:
    """The terms (stems) of a question, and those that it inherits from earlier questions of the thread.

    `naming` are the terms that say which document is meant, `whole` those of file names that are said in full.
    `not_meant` are the files of which a sibling is meant.
    """

    text: str
    own: tuple[str, ...]
    inherited: tuple[str, ...] = ()
    naming: frozenset[str] = frozenset()
    whole: frozenset[str] = frozenset()
    not_meant: frozenset[str] = frozenset()
    language: Language = ENGLISH

    @classmethod
    def of(cls, question: str, *, context: str = "") -> QuestionTerms:
        language = language_of(question)
        own = language.terms(question)
        inherited = tuple(term for term in language.terms(context) if term not in own)
        return cls(text=question, own=tuple(own), inherited=inherited, language=language)

    def about(self, passages: Sequence[Passage]) -> QuestionTerms:
        """The question with the documents that it names, by the names of the passages' files."""
        own = self._worded(self.text, passages)
        asked = {*own}
        language = self.language
        names = {passage.filename: frozenset(_name_terms(passage.filename, language)) for passage in passages}
        bare = {filename: _bare(filename, language) for filename in names}
        named = [name for file, name in names.items() if _share(bare[file], asked) > NAMED_SHARE]
        return replace(
            self,
            own=own,
            naming=self._only_naming(frozenset().union(*named)),
            whole=frozenset().union(*(name for name in bare.values() if name <= asked)),
            not_meant=frozenset(
                other
                for (_, name), (other, others) in permutations(names.items(), 2)
                if _means_the_first(asked, name, others)
            ),
        )

    def _only_naming(self, naming: frozenset[str]) -> frozenset[str]:
        """The terms of named files without those that the question says once more, apart from the name.

        "What are the benefits of Plan Plus by the Plan Plus Benefits Details?" asks for benefits.
        """
        said = [self.language.stem(word) for word in words(self.text)]
        named = [term in naming for term in said]
        beside = [any(named[max(at - 1, 0) : at] + named[at + 1 : at + 2]) for at in range(len(said))]
        in_name = {term for term, near in zip(said, beside, strict=True) if near}
        return naming - {term for term, near in zip(said, beside, strict=True) if not near and term in in_name}

    def _worded(self, text: str, passages: Sequence[Passage]) -> tuple[str, ...]:
        """The terms of a question, or of a part of it, as the passages have them."""
        language = self.language
        held = {stem for passage in passages for stem in self.stems(passage.text)}
        apart = {word for passage in passages for word in words(without_compounds(passage.text))}
        own = language.terms(text)
        for joined, parts in compounds(text).items():
            # "in-network" and "pre-tax" are one word, "health-care plan" is three
            is_one = any(part in language.stop_words or part not in apart for part in parts)
            if is_one and (term := language.stem(joined)) in held:
                own = _as_one(own, term, {*map(language.stem, parts)} - {*language.terms(without_compounds(text))})
        return _within_words(own, held)

    def stems(self, text: str) -> list[str]:
        """The stems of a text, and those of the question's words with hyphens that the text writes apart."""
        apart = (joined for joined, parts in self._compounds.items() if parts.search(text))
        return [*self.language.all_stems(text), *map(self.language.stem, apart)]

    @cached_property
    def _compounds(self) -> dict[str, re.Pattern[str]]:
        return {
            joined: re.compile(r"\b" + r"\s+".join(map(re.escape, parts)) + r"\b", re.IGNORECASE)
            for joined, parts in compounds(self.text).items()
        }

    def content(self) -> list[str]:
        """The terms that do more than name the document; all of them if no word is left."""
        kept = [term for term in self.own if term not in self.naming]
        return kept if any(term.isalpha() for term in kept) else list(self.own)

    def without_names(self) -> str:
        """The question without the words that only name the document."""
        drop = set(self.own) - set(self.content())
        return " ".join(word for word in self.text.split() if not set(self.language.terms(word)) & drop)

    @cached_property
    def forms(self) -> dict[str, str]:
        """The words of the question by their stems."""
        return {self.language.stem(word): word for word in (*words(self.text), *compounds(self.text))}

    def parts(self, passages: Sequence[Passage] = ()) -> list[QuestionTerms]:
        """The questions that the text consists of; the later ones inherit the terms of the first."""
        texts = [part for part in _QUESTION_PARTS.split(self.text.strip()) if self.language.terms(part)]
        if not 1 < len(texts) <= MOST_PARTS:
            return [self]
        own = [self._worded(text, passages) for text in texts]
        return [
            replace(
                self,
                text=text,
                own=own[index],
                inherited=tuple(t for t in (*(own[0] if index else ()), *self.inherited) if t not in own[index]),
            )
            for index, text in enumerate(texts)
        ]


def _as_one(own: Sequence[str], term: str, parts: Collection[str]) -> list[str]:
    """The terms with one term for a word with hyphens, in place of those of its parts."""
    at = next((at for at, other in enumerate(own) if other in parts), len(own))
    return [*own[:at], term, *(other for other in own[at:] if other not in parts)]


def _within_words(own: Sequence[str], held: Collection[str]) -> tuple[str, ...]:
    """The terms without pairs of characters that are the end of one word and the beginning of the next one.

    No passage has such a pair, but they have the pairs before and after it.
    """

    def stands_between(at: int) -> bool:
        term = own[at]
        before = [other for other in own[max(at - 1, 0) : at] if is_pair(other) and other[1] == term[0]]
        after = [other for other in own[at + 1 : at + 2] if is_pair(other) and other[0] == term[-1]]
        return is_pair(term) and bool(before or after) and all(other in held for other in (*before, *after))

    return tuple(term for at, term in enumerate(own) if term in held or not stands_between(at))


def spelt(question: str, passages: Sequence[Passage]) -> str:
    """The question, with each word that no passage has replaced by the one known word that is one edit away."""
    language = language_of(question)
    known = {word for passage in passages for word in words(passage.text)}
    stems = {language.stem(word) for word in known}

    def replacement(match: re.Match[str]) -> str:
        word = match[0].lower()
        if len(word) < SHORTEST_SPELT or word in known or word in language.stop_words or language.stem(word) in stems:
            return match[0]
        near = {language.stem(other): other for other in sorted(known | language.stop_words) if one_edit(word, other)}
        return next(iter(near.values())) if len(near) == 1 else match[0]

    return re.sub(rf"[^\W\d_{UNSPACED}]+", replacement, question)


def _name_terms(filename: str, language: Language) -> list[str]:
    return language.terms(re.sub(r"[-_.]", " ", filename))


def _bare(filename: str, language: Language) -> set[str]:
    """The terms of a file's name without its extension."""
    return {*_name_terms(filename.rpartition(".")[0], language)}


def _share(name: Collection[str], asked: Collection[str]) -> float:
    return sum(term in asked for term in name) / max(len(name), 1)


def _means_the_first(asked: Collection[str], name: frozenset[str], other: frozenset[str]) -> bool:
    """Whether the question has the words that distinguish the first of two similar names, and none of the second's."""
    return bool(name & other & set(asked) and name - other and name - other <= set(asked)) and not (
        (other - name) & set(asked)
    )
