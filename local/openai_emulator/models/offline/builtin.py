"""The built-in model: answers offline, without weights, with quotes from documents and with computed figures.

It is not a language model. Rules decide which tools a question needs; it quotes documents verbatim and writes pandas
code for data files. It is stateless and deterministic: the same prompt always gives the same step.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from local.openai_emulator.agent.conversation import Cite, Event, Prompt, Ran, Said, Searched, Toolbox
from local.openai_emulator.agent.model import CallFunctions, RunCode, Say, Search, Show, Step
from local.openai_emulator.models.offline import functions
from local.openai_emulator.models.offline.comparison import compare
from local.openai_emulator.models.offline.data import answer
from local.openai_emulator.models.offline.data.ask import Plan, Refusal
from local.openai_emulator.models.offline.data.plan import plan
from local.openai_emulator.models.offline.data.program import analysis_code
from local.openai_emulator.models.offline.data.table import last_json, profile_code, read_profile, to_read
from local.openai_emulator.models.offline.documents import extract
from local.openai_emulator.models.offline.documents.question import QuestionTerms, spelt
from local.openai_emulator.models.offline.intent import Need, Question, need_of, question_of
from local.openai_emulator.models.offline.structured.answers import in_json, query_of
from local.openai_emulator.models.offline.words import joined, terms
from local.openai_emulator.search.passage import Passage

ABOUT = {"answered_by": "builtin: the offline extractive model (rules and pandas code, not a language model)"}
MOST_ATTACHED = 20  # parts of files inside messages that are read closely
CHARS_PER_TOKEN = 4  # a low estimate, for max_output_tokens
NO_TOOLS = (
    "I am the built-in offline model: I answer from documents and data files, and this question came with neither. "
    "Add documents to ask about, or connect a language model."
)


class BuiltinModel:
    """Implements `Model`; see the module."""

    name = "builtin"
    about: Mapping[str, str] = ABOUT

    async def step(self, prompt: Prompt) -> Step:
        """The next step of a turn; computed without I/O, and off the event loop, since long passages take a while."""
        return Step(move=await asyncio.to_thread(next_move, prompt))


def next_move(prompt: Prompt) -> Search | RunCode | CallFunctions | Say:
    """The next move of a turn: call a function, search, run code, or answer, in the format that the caller wants."""
    question = question_of(prompt)
    turn = prompt.events[prompt.turn_starts_at :]
    searched = [event for event in turn if isinstance(event, Searched)]
    passages = [*best_passages(searched), *attached_passages(question, prompt.events)]
    move, answered = _free_move(question, prompt, passages, searches=len(searched))
    if isinstance(move, Search) and prompt.response_format is not None:
        return Search(queries=tuple(query for query in (*move.queries, query_of(prompt.response_format)) if query))
    if not isinstance(move, Say):
        return move
    if prompt.response_format is not None:
        move = in_json(move, prompt, question.text, passages, answered=answered)
    return cut(move, prompt.max_output_tokens)


def _free_move(
    question: Question, prompt: Prompt, passages: Sequence[Passage], *, searches: int
) -> tuple[Search | RunCode | CallFunctions | Say, bool]:
    """The next move, and whether it answers the question with something quoted or computed."""
    turn = prompt.events[prompt.turn_starts_at :]
    calls = functions.next_calls(question.text, prompt.tools.functions, turn)
    if calls:
        return CallFunctions(calls=calls), False
    if said := functions.answer(question.text, prompt.tools.functions, turn):
        return Say(text=said), functions.has_outputs(turn)
    need = need_of(question, prompt)
    if not need.documents and not need.data and not passages:
        return Say(text=NO_TOOLS), False
    if need.documents and not searches:
        return Search(queries=queries(question)), False
    meant = replace(question, text=spelt(question.text, passages))
    if searches == 1 and (more := further_queries(question, meant, passages)):
        return Search(queries=more), False
    found = _from_documents(meant, passages, prompt.tools)
    if need.data or (need.data_as_fallback and not found.text):
        return _data_move(question, found, replace(need, data=True), prompt, turn)
    return _say_documents(found, question, passages), bool(found.text)


# ---- documents ---------------------------------------------------------------------------------------------------


def queries(question: Question) -> tuple[str, ...]:
    """One to three search queries: the question (a follow-up with its context), its keywords, and its parts."""
    text = " ".join(question.resolved.split())[:400]
    keywords = " ".join(terms_in_full(question.resolved))
    parts = QuestionTerms.of(text).parts()
    wanted = [f"{text} {question.context[:300]}".strip() if question.is_follow_up else text, keywords]
    wanted += [part.text for part in parts[:2]] if len(parts) > 1 else []
    return tuple(list(dict.fromkeys(query for query in wanted if query.strip()))[:3]) or (text or "overview",)


def further_queries(question: Question, meant: Question, passages: Sequence[Passage]) -> tuple[str, ...]:
    """The queries of a second search: the question as the documents spell it, and without what names a document.

    The words of a document's name stand in many of its passages, so they say little about which passage is meant.
    """
    bare = QuestionTerms.of(meant.resolved).about(passages).without_names()
    first = queries(question)
    return tuple(query for query in dict.fromkeys((bare, *queries(meant))) if query not in first)[:3]


def terms_in_full(text: str) -> list[str]:
    """The words of a text that are not stop words, unstemmed; at most 16."""
    return [word for word in text.replace("?", " ").split() if terms(word)][:16]


def attached_passages(question: Question, events: Sequence[Event]) -> list[Passage]:
    """The parts of the files inside messages that share most words with the question, in reading order."""
    asked = set(terms(f"{question.resolved} {question.context}"))
    parts = [
        Passage(file_id="", filename=file.filename, text=text, score=len(asked & set(terms(text))) / max(len(asked), 1))
        for event in events
        if isinstance(event, Said)
        for file in event.files
        for text in file.texts
    ]
    best = sorted(range(len(parts)), key=lambda place: -parts[place].score)[:MOST_ATTACHED]
    return [parts[place] for place in sorted(best)]


def _from_documents(question: Question, found: Sequence[Passage], tools: Toolbox) -> extract.Extract:
    """An answer quoted from documents. Data cards of the available data files are skipped."""
    data = [file.filename for file in tools.data_files] if tools.code_interpreter else []
    passages = [p for p in found if not any(p.filename.startswith(name) for name in data)]
    return extract.answer(QuestionTerms.of(question.resolved, context=question.context), passages)


def best_passages(searched: Sequence[Searched]) -> list[Passage]:
    """The distinct passages of all searches, best first."""
    kept: dict[tuple[str, str], Passage] = {}
    for passage in (passage for event in searched for passage in event.passages):
        key = (passage.file_id, passage.text)
        if key not in kept or passage.score > kept[key].score:
            kept[key] = passage
    return sorted(kept.values(), key=lambda passage: -passage.score)


def _say_documents(found: extract.Extract, question: Question, passages: Sequence[Passage]) -> Say:
    if found.text:
        return Say(text=found.text, citations=found.citations)
    files = list(dict.fromkeys(passage.filename for passage in passages))
    what = " ".join(terms_in_full(question.text)) or question.text
    if found.sections:
        ask = joined([f'"{heading}"' for heading in found.sections[:5]], last="or")
        return Say(
            text=f"I cannot answer this without guessing: {len(found.sections)} sections say about equally much on "
            f'"{what.strip()}". Ask about one thing in them, such as {ask}.'
        )
    where = (
        f" The closest passages, in {joined(files[:4])}, do not answer it."
        if files
        else " The search found no passage."
    )
    if found.missing:
        words = joined([f'"{word}"' for word in found.missing], last="or")
        return Say(text=f"The documents do not say anything about this: they do not mention {words}.{where}")
    return Say(text=f'The documents do not say anything about this. I searched them for "{what.strip()}".{where}')


# ---- data --------------------------------------------------------------------------------------------------------


def _data_move(
    question: Question, found: extract.Extract, need: Need, prompt: Prompt, turn: Sequence[Event]
) -> tuple[RunCode | Say, bool]:
    """Profile the files, run the analysis, run it once more in careful mode if it failed, then answer."""
    runs = [event for event in turn if isinstance(event, Ran)]
    if not runs:
        names = to_read([file.filename for file in prompt.tools.data_files])
        return RunCode(code=profile_code(names, question.text)), False
    tables = read_profile(runs[0].logs)
    what = plan(question.text, tables, earlier=question.earlier if question.is_follow_up else ())
    if what is None:
        errors = [f"{table.shown}: {table.error}" for table in tables if table.error]
        reason = "; ".join(errors) or _last_line(runs[0].logs)
        return _join(found, Say(text=f"The data files could not be read ({reason}).")), bool(found.text)
    if isinstance(what, Refusal):
        return _refused(what, question, found, turn), bool(found.text)
    if len(runs) == 1:
        return RunCode(code=analysis_code(what)), False
    if len(runs) == 2 and last_json(runs[1].logs, "results") is None:
        return RunCode(code=analysis_code(what, careful=True)), False
    say = say_results(what, runs[-1])
    if need.documents and need.data and not need.data_as_fallback:
        searched = [event for event in turn if isinstance(event, Searched)]
        found = _compared(what, runs[-1], best_passages(searched)) or found
    return _join(found, say), bool(found.text) or last_json(runs[-1].logs, "results") is not None


def _refused(what: Refusal, question: Question, found: extract.Extract, turn: Sequence[Event]) -> Say:
    """The answer from documents if there is one, else what of the question was not understood."""
    if found.text:
        return Say(text=found.text, citations=found.citations)
    searched = [event for event in turn if isinstance(event, Searched)]
    if not searched or what.understood:
        return Say(text=what.text())
    return Say(text=f"{_say_documents(found, question, best_passages(searched)).text} {what.text()}")


def _compared(what: Plan, ran: Ran, passages: Sequence[Passage]) -> extract.Extract | None:
    results = last_json(ran.logs, "results")
    if not isinstance(results, list) or len(results) != len(what.asks):
        return None
    found = compare(what, results, passages)
    return found if found.text else None


def say_results(what: Plan, ran: Ran) -> Say:
    """The answer from the results of an analysis, with its charts."""
    results = last_json(ran.logs, "results")
    if not isinstance(results, list) or len(results) != len(what.asks):
        return Say(text=f"The computation failed, so there is no answer: {_last_line(ran.logs)}.")
    text, shows = f"{answer.readings(what)}\n\n", list[Show]()
    for ask, result in zip(what.asks, results, strict=True):
        text += f"{answer.paragraph(ask, result, what)}\n\n"
        files = [file for file in ran.files if result and file.filename == result.get("chart")]
        for file in files[:1]:
            title = answer.chart_title(ask)
            start = len(text) + len(f"![{title}](")
            name = f"sandbox:/mnt/data/{file.filename}"
            text += f"![{title}]({name})\n\n"
            shows.append(Show(start=start, end=start + len(name), file=file))
    text += f"*Computed from {what.table.shown} ({_rows_used(results, what.table.rows)}).*"
    return Say(text=text, shows=tuple(shows))


def _rows_used(results: Sequence[Mapping[str, object]], rows: int) -> str:
    """`2,000 rows`; `313 of 2,000 rows` if all results are of the same ones."""
    used = {result.get("rows") for result in results}
    number = next(iter(used)) if len(used) == 1 else rows
    return f"{number:,} of {rows:,} rows" if isinstance(number, int) and number != rows else f"{rows:,} rows"


def _join(found: extract.Extract, say: Say) -> Say:
    """The answer from data, followed by the answer from documents."""
    if not found.text:
        return say
    lead = f"{say.text}\n\n**From the documents**\n\n"
    cites = tuple(replace(cite, position=cite.position + len(lead)) for cite in found.citations)
    return replace(say, text=lead + found.text, citations=(*say.citations, *cites))


def _last_line(logs: str) -> str:
    return next(
        (line.strip()[:300] for line in reversed(logs.splitlines()) if line.strip()), "the code printed nothing"
    )


# ---- limits ------------------------------------------------------------------------------------------------------


def cut(say: Say, max_output_tokens: int | None) -> Say:
    """Shorten an answer to the caller's limit, at a word boundary, without citations and charts after the cut."""
    if max_output_tokens is None or len(say.text) <= max_output_tokens * CHARS_PER_TOKEN:
        return say
    text = say.text[: max_output_tokens * CHARS_PER_TOKEN]
    text = text[: text.rfind(" ")] if " " in text else text
    citations: tuple[Cite, ...] = tuple(cite for cite in say.citations if cite.position <= len(text))
    return Say(text=text, citations=citations, shows=tuple(s for s in say.shows if s.end <= len(text)), cut_off=True)
