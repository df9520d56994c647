"""Decide whether a question needs the documents, the data files, or both."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from local.openai_emulator.agent.conversation import Event, Prompt, Ran, Said, Searched
from local.openai_emulator.models.offline.data.kinds.overview import DESCRIBE
from local.openai_emulator.models.offline.data.kinds.registry import kind_of
from local.openai_emulator.models.offline.data.table import is_data
from local.openai_emulator.models.offline.words import terms, words

# Words that point to data files ...
_DATA_WORDS = re.compile(
    r"\b(?:analy[sz]\w+|calculat\w+|comput\w+|plot\w*|charts?|graphs?|histograms?|visuali[sz]\w+|"
    r"correlat\w+|csv|xlsx|excel|spreadsheet|"
    r"dataset|data ?set|data ?files?|data|metrics|columns?|rows|outliers?|regression|per (?:server|"
    r"day|month|hour)|by (?:server|day|month|hour)|"
    r"standard deviation|median|peak (?:usage )?hours?|busiest|trends?)\b",
    re.IGNORECASE,
)
# ... and words that point to documents.
_DOCUMENT_WORDS = re.compile(
    r"\b(?:documents?|documentation|guides?|guidelines?|manuals?|handbook|polic(?:y|ies)|procedures?|"
    r"reports?|recommend\w*|thresholds?|"
    r"according to|says?|sla|runbooks?|lessons?|root causes?|escalat\w*|contract|best practices?|"
    r"objectives?|allowed|required|why|who)\b",
    re.IGNORECASE,
)
_FOLLOW_UP = re.compile(
    r"^(?:and|but|so|also|then|what about|how about|now)\b|\b(?:it|its|that|this|those|these|they|"
    r"them|their|same|former|latter|ones?|"
    r"there|he|she|his|her)\b|\b(?:first|second|third|last|other)(?: one)?\b",
    re.IGNORECASE,
)
_ORDINALS = {"first": 0, "second": 1, "third": 2, "fourth": 3, "fifth": 4, "last": -1}
_ORDINAL = re.compile(rf"\b(?:{'|'.join(_ORDINALS)})(?: one)?\b", re.IGNORECASE)
_BULLET = re.compile(r"^[ \t]*+(?:[-*]|\d+\.)[ \t]+(.+)$|^\|([^|\n]+)\|(?!\s*-)", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Question:
    """The current question, with the questions and the answer before it in the thread."""

    text: str
    earlier: tuple[str, ...] = ()  # earlier questions, oldest first
    last_answer: str = ""
    last_was_data: bool = False
    is_follow_up: bool = False  # it refers to earlier questions or answers

    @property
    def context(self) -> str:
        """The earlier questions that this one refers to; empty if it is no follow-up."""
        if not self.is_follow_up or not self.earlier:
            return ""
        further = -2 if len(self.earlier) > 1 and _depends_on_earlier(self.earlier[-1]) else -1
        return " ".join(self.earlier[further:])

    @property
    def resolved(self) -> str:
        """The question, with "the second one" replaced by the second point of the last answer."""
        picked = _referenced_point(self.text, self.last_answer) if self.is_follow_up else ""
        return f"{_ORDINAL.sub(' ', self.text)} {picked}" if picked else self.text


@dataclass(frozen=True, kw_only=True)
class Need:
    """`data_as_fallback`: use the data files if the documents do not answer the question."""

    documents: bool = False
    data: bool = False
    data_as_fallback: bool = False


def question_of(prompt: Prompt) -> Question:
    """The current question of a thread; several user messages of one turn are one question."""
    before, now = prompt.events[: prompt.turn_starts_at], prompt.events[prompt.turn_starts_at :]
    text = "\n".join(event.text for event in now if isinstance(event, Said) and event.role == "user").strip()
    earlier = tuple(event.text for event in before if isinstance(event, Said) and event.role == "user")
    if not text and earlier:
        text, earlier = earlier[-1], earlier[:-1]
    answers = [event.text for event in before if isinstance(event, Said) and event.role == "assistant"]
    return Question(
        text=text,
        earlier=earlier,
        last_answer=answers[-1] if answers else "",
        last_was_data=_last_was_data(before),
        is_follow_up=bool(earlier) and _depends_on_earlier(text),
    )


def need_of(question: Question, prompt: Prompt) -> Need:
    """Which of the available tools the question needs."""
    tools = prompt.tools
    names = [file.filename for file in tools.data_files if is_data(file.filename)]
    computable = tools.code_interpreter and bool(names)
    if not computable:
        return Need(documents=tools.file_search)
    if not tools.file_search:
        return Need(data=True)
    text = question.text
    data = len(set(map(str.lower, _DATA_WORDS.findall(text)))) + _filename_words(text, names)
    document = len(set(map(str.lower, _DOCUMENT_WORDS.findall(text))))
    computes = kind_of(text) not in ("", DESCRIBE.name)
    if question.is_follow_up and not document and (question.last_was_data or data):
        return (
            Need(data=True)
            if question.last_was_data and (computes or data or len(words(text)) < 14)
            else _documents_or_data(computes, data)
        )
    if document and data and (computes or data > 1):
        both = bool(
            re.search(
                r"\b(?:compar\w+|against|versus|vs|within|exceed\w*|both|with (?:the|our))\b", text, re.IGNORECASE
            )
        )
        explicit = bool(
            re.search(r"\b(?:csv|data|metrics|calculat\w+|plot\w*|charts?|analy[sz]\w+)\b", text, re.IGNORECASE)
        )
        return Need(documents=True, data=both or explicit, data_as_fallback=not both)
    return Need(documents=True, data_as_fallback=True) if document else _documents_or_data(computes, data)


def _documents_or_data(computes: bool, data: int) -> Need:
    if (data and (computes or data > 1)) or data > 1:
        return Need(data=True)
    return Need(documents=True, data_as_fallback=True)


def _filename_words(text: str, filenames: Sequence[str]) -> int:
    said = set(terms(text))
    hits = [len(said & set(terms(name.rpartition(".")[0].replace("-", " ").replace("_", " ")))) for name in filenames]
    return max(hits, default=0)


def _depends_on_earlier(text: str) -> bool:
    return (bool(_FOLLOW_UP.search(text)) and len(words(text)) < 25) or len(terms(text)) < 2


def _last_was_data(events: Sequence[Event]) -> bool:
    """Whether the last tool that was used was code interpreter, not file search."""
    for event in reversed(events):
        if isinstance(event, Ran):
            return True
        if isinstance(event, Searched):
            return False
    return False


def _referenced_point(text: str, last_answer: str) -> str:
    """The point of the last answer that "the second one" refers to."""
    word = next((w for w in words(text) if w in _ORDINALS), "")
    points = [(match[1] or match[2].strip()) for match in _BULLET.finditer(last_answer)]
    points = points[1:] if last_answer.count("|---") and points else points
    try:
        return points[_ORDINALS[word]] if word and points else ""
    except IndexError:
        return ""
