"""Chooses the data files of a collection that code interpreter gets for a question. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import chain

from shared.formats.words import singular
from shared.models.runs import DataFile

FEW_FILES = 3
CHOSEN_MAX = 10
# Source: https://platform.openai.com/docs/api-reference/assistants/createAssistant (tool_resources.code_interpreter)
DATA_FILES_MAX = 20


def choose(question: str, files: dict[str, Sequence[str]]) -> list[str]:
    """The paths of the files that match the question, best first.

    Up to three files are all chosen, because the model can decide what it needs. Of more, those are chosen that share
    two words with the question, or one word that no other file has.

    Args:
        files: Path -> terms of the file's data card: words of its name, columns and categories.
    """
    if len(files) <= FEW_FILES:
        return sorted(files)
    asked = {singular(word) for word in re.split(r"[\W_]+", question) if len(word) > 2}
    shared = {path: asked.intersection(terms) for path, terms in files.items()}
    files_with = Counter(chain.from_iterable(shared.values()))
    matching = [path for path, words in shared.items() if len(words) > 1 or any(files_with[w] == 1 for w in words)]
    return sorted(matching, key=lambda path: (-len(shared[path]), path))[:CHOSEN_MAX]


def within_limit(documents: Sequence[Sequence[DataFile]]) -> tuple[DataFile, ...]:
    """The files of the documents, best first, as far as one run takes them. A document comes with all of its files."""
    kept: list[DataFile] = []
    for files in documents:
        if len(kept) + len(files) <= DATA_FILES_MAX:
            kept += files
    return tuple(kept)
