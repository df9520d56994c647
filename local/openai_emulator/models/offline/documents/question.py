"""What a question about documents asks: its terms, spelt as the documents spell them, and the documents it names."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import permutations

from local.openai_emulator.models.offline.languages import ENGLISH, Language, language_of
from local.openai_emulator.models.offline.words import UNSPACED, is_pair, words
from local.openai_emulator.search.passage import Passage

NAMED_SHARE = 0.5  # of the words of a file's name; a question with this share of them names the file
MOST_PARTS = 10  # a text with more is taken as one question
SHORTEST_SPELT = 4  # letters; shorter words have too many neighbours

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
        own = self._within_words(passages)
        asked = {*own}
        language = self.language
        names = {passage.filename: frozenset(_name_terms(passage.filename, language)) for passage in passages}
        named = [name for name in names.values() if name and len(name & asked) >= NAMED_SHARE * len(name)]
        return replace(
            self,
            own=own,
            naming=frozenset().union(*named),
            whole=frozenset().union(*(bare for name in names if (bare := _bare(name, language)) <= asked)),
            not_meant=frozenset(
                other
                for (_, name), (other, others) in permutations(names.items(), 2)
                if _means_the_first(asked, name, others)
            ),
        )

    def _within_words(self, passages: Sequence[Passage]) -> tuple[str, ...]:
        """The terms without pairs of characters that are the end of one word and the beginning of the next one.

        No passage has such a pair, but they have the pairs before and after it.
        """
        if not any(map(is_pair, self.own)):
            return self.own
        held = {stem for passage in passages for stem in self.language.all_stems(passage.text)} & {*self.own}

        def stands_between(at: int) -> bool:
            term = self.own[at]
            before = [other for other in self.own[max(at - 1, 0) : at] if is_pair(other) and other[1] == term[0]]
            after = [other for other in self.own[at + 1 : at + 2] if is_pair(other) and other[0] == term[-1]]
            return is_pair(term) and bool(before or after) and held.issuperset((*before, *after))

        return tuple(term for at, term in enumerate(self.own) if term in held or not stands_between(at))

    def content(self) -> list[str]:
        """The terms that do more than name the document; all of them if no word is left."""
        kept = [term for term in self.own if term not in self.naming]
        return kept if any(term.isalpha() for term in kept) else list(self.own)

    def without_names(self) -> str:
        """The question without the words that only name the document."""
        drop = set(self.own) - set(self.content())
        return " ".join(word for word in self.text.split() if not set(self.language.terms(word)) & drop)

    def parts(self) -> list[QuestionTerms]:
        """The questions that the text consists of; the later ones inherit the terms of the first."""
        texts = [part for part in _QUESTION_PARTS.split(self.text.strip()) if self.language.terms(part)]
        if not 1 < len(texts) <= MOST_PARTS:
            return [self]
        own = [tuple(self.language.terms(text)) for text in texts]
        return [
            replace(
                self,
                text=text,
                own=own[index],
                inherited=tuple(t for t in (*(own[0] if index else ()), *self.inherited) if t not in own[index]),
            )
            for index, text in enumerate(texts)
        ]


def spelt(question: str, passages: Sequence[Passage]) -> str:
    """The question, with each word that no passage has replaced by the one known word that is one edit away."""
    language = language_of(question)
    known = {word for passage in passages for word in words(passage.text)}
    stems = {language.stem(word) for word in known}

    def replacement(match: re.Match[str]) -> str:
        word = match[0].lower()
        if len(word) < SHORTEST_SPELT or word in known or word in language.stop_words or language.stem(word) in stems:
            return match[0]
        near = {language.stem(other): other for other in sorted(known | language.stop_words) if _one_edit(word, other)}
        return next(iter(near.values())) if len(near) == 1 else match[0]

    return re.sub(rf"[^\W\d_{UNSPACED}]+", replacement, question)


def _name_terms(filename: str, language: Language) -> list[str]:
    return language.terms(re.sub(r"[-_.]", " ", filename))


def _bare(filename: str, language: Language) -> set[str]:
    """The terms of a file's name without its extension."""
    return {*_name_terms(filename.rpartition(".")[0], language)}


def _means_the_first(asked: Collection[str], name: frozenset[str], other: frozenset[str]) -> bool:
    """Whether the question has the words that distinguish the first of two similar names, and none of the second's."""
    return bool(name & other & set(asked) and name - other and name - other <= set(asked)) and not (
        (other - name) & set(asked)
    )


def _one_edit(word: str, other: str) -> bool:
    """Whether, after the first letter, one letter is missing, or, in a longer word, another edit was made.

    The other edits: a letter too many, a wrong letter, two neighbours swapped.
    """
    same = next((at for at, (x, y) in enumerate(zip(word, other, strict=False)) if x != y), min(len(word), len(other)))
    a, b = word[same:], other[same:]
    if not same or a == b[1:]:
        return bool(same)
    return len(word) > SHORTEST_SPELT and (a[1:] in (b, b[1:]) or (a[:2] == b[1::-1] and a[2:] == b[2:]))
