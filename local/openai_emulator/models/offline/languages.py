"""The languages of questions about documents: how words are stemmed, and which words say nothing about the topic.

A language needs a Snowball stemmer or a list of stop words (https://pypi.org/project/stop-words/). The script of a
question and its stop words tell its language. Only English has rules for nouns, synonyms and kinds of questions.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, lru_cache

import snowballstemmer  # type: ignore[import-untyped]
import stop_words  # type: ignore[import-untyped]

from local.openai_emulator.models.offline import words as english
from local.openai_emulator.models.offline.words import MOST_CACHED, UNSPACED, compounds, words

_LATIN = ("german", "french", "spanish", "italian", "portuguese", "dutch", "swedish", "danish", "norwegian", "finnish",
          "polish", "czech", "hungarian", "romanian", "turkish", "catalan", "indonesian")  # fmt: skip
# Scripts, the share of a question's letters that has to be exceeded, and languages, the default first.
# The first script that fits counts: Japanese and Korean have Chinese characters, too.
_SCRIPTS = (
    ("\u3040-\u30ff", 0.1, ("japanese",)),
    ("\uac00-\ud7af", 0.1, ("korean",)),
    ("\u3400-\u9fff\uf900-\ufaff", 0.3, ("chinese",)),
    ("\u0400-\u04ff", 0.4, ("russian", "ukrainian", "bulgarian")),
    ("\u0600-\u06ff", 0.4, ("arabic", "persian")),
    ("\u0370-\u03ff", 0.4, ("greek",)),
    ("\u0900-\u097f", 0.4, ("hindi",)),
    ("\u0590-\u05ff", 0.4, ("hebrew",)),
    ("\u0e00-\u0e7f", 0.4, ("thai",)),
)
# What the lists of stop words lack: words that ask, and endings and particles that no space sets apart.
_MORE_STOP_WORDS = {
    "arabic": "متى كم أين اين كيف لماذا ماذا ما من هل أي أية اي اية مَن الذي التي",
    "chinese": """
        什么 甚么 多少 多久 多大 多长 哪个 哪些 哪里 哪儿 哪位 哪一 为什么 为何 怎么 怎样 如何 何时 何地 是否 请问 可以
        能否 吗 呢 谁 几个 几 什麼 哪個 為什麼 怎麼 嗎 誰 幾 被称为 的 了 是 在 和 与 或 把 被
    """,
    "japanese": """
        何 なん なに いつ どこ 誰 だれ なぜ どう どの どれ どんな どのくらい どれくらい いくつ いくら ですか ますか
        でしたか ましたか のか とは は が を に で と の も へ や から まで より について ください する した して される
        された いる いた ある あった こと もの ため
    """,
    "korean": """
        무엇 무엇을 무엇이 언제 어디 어디에 어디서 누가 누구 왜 어떻게 어떤 어느 며칠 몇 얼마 얼마나 무슨
        입니까 습니까 합니까 됩니까 인가요 나요 하나요 있나요 가요
    """,
    "german": """
        wieviel wieviele wie was wer wann wo warum welche welcher welches welchen hoch teuer schwer groß lang
        kostet kosten beträgt betragen lautet lauten heißt
    """,
    "spanish": "cuánto cuánta cuántos cuántas cómo dónde cuándo qué quién quiénes cuál cuáles",
}
_PAIRED = ("chinese", "japanese", "korean", "thai")  # compared by pairs of characters
CLEAR_WEIGHT = 0.7  # of a language's stop words in a question; a word that only one language has counts 1
CLEAR_RATIO = 2  # to the weight of the English stop words
_LATIN_LETTERS = "A-Za-z\u00c0-\u024f\u1e00-\u1eff"
_ACCENTS = re.compile("[\u0300-\u036f\u064b-\u0652]")


@dataclass(frozen=True)
class Language:
    """How the words of a question and its documents are compared. `name` is that of the stemmer, if there is one."""

    name: str
    stop_words: frozenset[str] = field(repr=False)

    @property
    def is_english(self) -> bool:
        return self.name == "english"

    @property
    def has_spaces(self) -> bool:
        """Whether words are compared as such, and not by pairs of characters."""
        return self.name not in _PAIRED

    @property
    def capitals_are_names(self) -> bool:
        return self.name != "german"

    def stem(self, word: str) -> str:
        return english.stem(word) if self.is_english else _stemmer(self.name)(word)

    def terms(self, text: str) -> list[str]:
        """The distinct stems of all words that are not stop words, in order."""
        if self.is_english:
            return english.terms(text)
        kept = [word for word in words(self._without_unspaced_stop_words(text)) if word not in self.stop_words]
        whole = [word for word in kept if not (len(word) == 1 and re.match(f"[{UNSPACED}]", word))] or kept
        return list(dict.fromkeys(map(self.stem, whole)))

    def all_stems(self, text: str) -> list[str]:
        """The stems of all words, in order; then those of the words with hyphens, written as one word."""
        return [self.stem(word) for word in (*words(text), *compounds(text))]

    def _without_unspaced_stop_words(self, text: str) -> str:
        if self.has_spaces or self.name not in _MORE_STOP_WORDS:
            return text
        return _unspaced_stop_words(self.name).sub(" ", text)


ENGLISH = Language("english", english.STOP_WORDS)


def language_of(text: str) -> Language:
    """The language of a question: English if that is not clear, "other" in an unknown script."""
    n_letters = sum(map(str.isalpha, text))
    for script, least_share, names in _SCRIPTS:
        if len(re.findall(f"[{script}]", text)) > least_share * n_letters:
            return max(map(_language, names), key=lambda one: sum(word in one.stop_words for word in words(text)))
    if len(re.findall(f"[{_LATIN_LETTERS}]", text)) < 0.5 * n_letters:
        return _language("other")
    return _latin_language(text)


def _latin_language(text: str) -> Language:
    """English, if another language does not have much more of a question's stop words, and two of them.

    A word of several languages counts less. One word is enough in a question with accents: "Total fee?" is English.
    """
    languages = [ENGLISH, *map(_language, _LATIN)]
    said = set(words(text))
    using = Counter(word for language in languages for word in said if word in language.stop_words)
    weights = [sum(1 / using[word] for word in said if word in one.stop_words) for one in languages]
    best = weights.index(max(weights))
    used = sum(word in languages[best].stop_words for word in said)
    is_clear = weights[best] >= CLEAR_WEIGHT and weights[best] >= CLEAR_RATIO * weights[0]
    return languages[best] if is_clear and (used > 1 or re.search("[\u00c0-\u024f]", text)) else ENGLISH


@cache
def _language(name: str) -> Language:
    listed = stop_words.safe_get_stop_words(name)
    return Language(name, frozenset((*listed, *_MORE_STOP_WORDS.get(name, "").split())))


@cache
def _unspaced_stop_words(name: str) -> re.Pattern[str]:
    listed = () if name == "korean" else _language(name).stop_words
    removed = {
        *_MORE_STOP_WORDS[name].split(),
        *(word for word in listed if len(word) > 1),
    }  # one character is in many words
    return re.compile("|".join(map(re.escape, sorted(removed, key=len, reverse=True))))


@cache
def _stemmer(name: str) -> Callable[[str], str]:
    """Stems a word in lower case, and takes its accents away: a word is often written without them."""
    known = english.snowball(name) if name in snowballstemmer.algorithms() else None

    @lru_cache(MOST_CACHED)
    def stem(word: str) -> str:
        stemmed = (known(word.lower()) if known else "") or word.lower()  # of some words, a stemmer leaves nothing
        if stemmed.isascii():
            return stemmed
        return unicodedata.normalize("NFC", _ACCENTS.sub("", unicodedata.normalize("NFKD", stemmed)))

    return stem
