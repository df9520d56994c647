"""Questions as they would be spelt: apostrophes that were left out, and words with one mistake."""

from __future__ import annotations

import re

from local.openai_emulator.models.offline.data import vocabulary
from local.openai_emulator.models.offline.data.table import Table
from local.openai_emulator.models.offline.words import one_edit, stem

SHORTEST_MISSPELT = 6  # letters; a shorter word has too many neighbours

_SHORTENED = re.compile(
    r"\b(what|who|where|how|that)(s)\b|\b(do|does|did|is|are|was|were|has|have|had|would|could|should)n(t)\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"(?<![\w.'’-])[A-Za-z]{6,}(?![\w.'’-])")
# Words that tell what kind of question it is; their forms are found in the text, so no stems.
_CUES = """
average median maximum minimum percentage percent proportion number different distinct missing distribution compare
compared comparison correlation correlated correlate relationship between highest lowest largest smallest greatest
biggest fewest common frequent total altogether trend change changed increase decrease outlier outliers regression
missing together higher larger smaller difference standard deviation
"""
_KNOWN = frozenset(
    {*_CUES.split(), *vocabulary.ADJECTIVES, *vocabulary.PEOPLE, *vocabulary.ROW_NOUNS, *vocabulary.SAME_WORDS}
)


def spelt(question: str, table: Table) -> str:
    """The question with apostrophes, and with each unknown word replaced by the one known word that is one edit away.

    Known are the words that tell the kind of a question, nouns for rows, and the words of the table's values.
    """
    from local.openai_emulator.search.embeddings import is_token

    question = _SHORTENED.sub(lambda m: f"{m[1]}'{m[2]}" if m[1] else f"{m[3]}n'{m[4]}", question)
    values = {word.lower() for column in table.of_kind("text") for value in column.values for word in value.split()}
    names = {word for column in table.columns for word in re.findall(r"[a-z]+", column.name.lower())}
    known = _KNOWN | {word for word in values if word.isalpha()}
    named = names | {*re.findall(r"[a-z]+", table.shown.rpartition(".")[0].lower())}
    known |= {form for name in named for form in (name, f"{name}s")}
    stems = {stem(word) for word in known}
    plain = known | vocabulary.SILENT | vocabulary.METHOD | vocabulary.OPERATIONS | vocabulary.NOT

    def replacement(match: re.Match[str]) -> str:
        word = match[0].lower()
        if word in plain or stem(word) in stems or is_token(word) or word.removesuffix("es") in plain:
            return match[0]
        pool = known - values if match[0][0].isupper() and match.start() else known  # a name may be another one's
        near = {other for other in pool if len(other) >= SHORTEST_MISSPELT and one_edit(word, other)}
        return next(iter(near)) if len(near) == 1 else match[0]

    return _WORD.sub(replacement, question)
