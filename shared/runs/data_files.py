"""DOC."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain

from shared.formats.datacards import singular

FEW_FILES = 3
CHOSEN_MAX = 10


def choose(question: str, files: dict[str, Sequence[str]]) -> list[str]:
    """The paths whose card's terms fit the question, best first.

    Few files (three or less) are all given, since the model can tell what it needs. Of many, those that share at least
    two words with the question (name, columns, categories), or one that no other file has.
    """
    if len(files) <= FEW_FILES:
        return sorted(files)
    asked = {singular(word) for word in re.split(r"[\W_]+", question) if len(word) > 2}
    shared = {path: asked.intersection(terms) for path, terms in files.items()}
    holders: dict[str, int] = {}
    for word in chain.from_iterable(shared.values()):
        holders[word] = holders.get(word, 0) + 1
    fitting = [path for path, words in shared.items() if len(words) > 1 or any(holders[word] == 1 for word in words)]
    return sorted(fitting, key=lambda path: (-len(shared[path]), path))[:CHOSEN_MAX]
