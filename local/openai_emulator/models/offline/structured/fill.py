"""Fills the fields of a schema with values that the sources state. A value that they do not state is left out.

A fact is about a field if all telling words of the field's name, or of its description, occur in the fact's label, its
headings, or its sentence, and if it has every name and number that the question has. Of several such facts the one that
shares most words with the question is quoted; if two say different things equally well, neither is. A text that denies
a value, names a bound or a change, or states several values, gives none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import Any

from local.openai_emulator.models.offline.structured import values
from local.openai_emulator.models.offline.structured.facts import Fact, Facts, Record, Source
from local.openai_emulator.models.offline.structured.schema import Field, words_of_name
from local.openai_emulator.models.offline.structured.wording import (
    after_link,
    counted,
    last_match,
    match,
    named,
    names_in,
    question_in,
    stemmed,
    stems,
    telling,
    window,
    wordings,
)
from local.openai_emulator.models.offline.words import stem, terms

_ANSWERS = stemmed("answer response result summary text message content output reply final explanation quote finding")
_SOURCES = stemmed("source file filename document citation reference cited used")
_PAGES = stemmed("page number")
_FOUND = stemmed("found answerable answered answer available is known")
_LISTED = re.compile(r"[,;]\s*+(?:(?:and|or)\s++)?|(?<!\s)\s++and\s++")
_IDENTITY = stemmed("name id identifier number code email phone title person author owner contact")
_LONGEST_NAME = 6  # words
_EQUAL = 0.02  # facts whose scores differ by less are equally good
_MOST_WORK = 100_000  # fields times facts
_COMPARED = re.compile(
    r"\b(?:more|less|fewer|over|under|above|below|than|least|most|between|before|after|since|until|without|except|not"
    r"|top|highest|lowest|largest|smallest|first|last)\b|[<>≤≥]",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class Material:
    """What an answer may be filled from. `answer`: the text that the model would give; '' if it has none."""

    question: str
    facts: Facts
    answer: str = ""
    used: Sequence[Source] = ()  # the sources that the answer quotes


@dataclass
class Filled:
    """A value with its sources; `missing`: why there is none, by field."""

    value: Any = None
    sources: list[Source] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return not self.missing


def fill(wanted: Field, material: Material) -> Filled:
    """The answer of a schema. A field that nothing states is null where the schema allows that, or left out."""
    leaves = wanted.leaves()
    if len(leaves) * len(material.facts.facts) > _MOST_WORK:
        return _none(wanted, f"{len(leaves)} fields are too many for so much text")
    return _Filler(material, shared=_shared(leaves)).any(wanted)


def _none(wanted: Field, reason: str) -> Filled:
    return Filled(missing={wanted.shown: reason})


class _Filler:
    def __init__(self, material: Material, *, shared: Mapping[str, int]) -> None:
        """`shared`: names that several fields have -> how many fields they are all in.

        The other fields that one of them is in tell which is meant.
        """
        self._material = material
        self._shared = shared
        self._question = question_in(material.question)
        self._asked = set(terms(material.question))
        self._named = names_in(self._question)
        self._stems_of_sources: dict[int, set[str]] = {}

    def any(self, wanted: Field) -> Filled:
        found = self._found(wanted)
        return Filled() if not found.ok and wanted.nullable else found

    def _found(self, wanted: Field) -> Filled:
        if wanted.kind == "object":
            return self._object(wanted)
        if wanted.kind == "array":
            return self._array(wanted)
        if wanted.kind == "choice":
            tried = [self._found(one) for one in wanted.choices]
            return next((one for one in tried if one.ok), tried[0])
        if wanted.kind == "enum" and len(wanted.options) == 1:
            return Filled(value=wanted.options[0])  # the schema leaves no choice
        if wanted.kind == "nothing":
            return _none(wanted, "its schema cannot be filled")
        return _none(wanted, _PATTERN) if "pattern" in wanted.rules else self._leaf(wanted)

    # ---- objects and arrays ------------------------------------------------------------------------------------

    def _object(self, wanted: Field) -> Filled:
        whole = Filled(value={})
        late = [one for one in wanted.fields if named(one) and named(one) <= _SOURCES]
        for one in [*(f for f in wanted.fields if f not in late), *late]:
            found = self._sources(one, whole.sources) if one in late else self.any(one)
            if found.ok:
                whole.value[one.name] = found.value
                whole.sources += found.sources
            elif one.required:
                whole.missing |= found.missing
        whole.value = {one.name: whole.value[one.name] for one in wanted.fields if one.name in whole.value}
        if not wanted.fields:
            return _none(wanted, "the schema names no fields of it")
        empty = all(_is_empty(one) for one in whole.value.values())
        if whole.ok and empty and wanted.nullable and wanted.path:
            return Filled()
        return whole

    def _sources(self, wanted: Field, used: Sequence[Source]) -> Filled:
        """The names of the files that the other values come from."""
        names = list(dict.fromkeys(one.filename for one in (*used, *self._material.used) if one.filename))
        if wanted.kind == "array" and wanted.item is not None and wanted.item.kind == "string" and names:
            return Filled(value=_bounded(wanted, names))
        if wanted.kind == "string" and names:
            return Filled(value=", ".join(names))
        return self.any(wanted)

    def _array(self, wanted: Field) -> Filled:
        item = wanted.item
        assert item is not None
        if "pattern" in item.rules:
            return _none(wanted, _PATTERN)
        found = self._records(wanted, item) if item.kind == "object" else self._list(wanted, item)
        if not found.ok:
            return found
        least, most = wanted.rules.get("minItems"), wanted.rules.get("maxItems")
        if isinstance(least, int) and len(found.value) < least:
            return _none(wanted, "fewer values were found than the schema wants")
        if isinstance(most, int) and len(found.value) > most:
            return _none(wanted, "more values were found than the schema allows")
        return found

    def _records(self, wanted: Field, item: Field) -> Filled:
        """The records that have the required fields of an item, those of the table that fits best."""
        tables: dict[tuple[int, int], list[tuple[Record, dict[str, Any]]]] = {}
        for record in self._material.facts.records:
            if (read := self._record(item, record)) is not None:
                tables.setdefault(record.table, []).append((record, read))
        if not tables:
            return _none(wanted, "no table or list with these fields was found")
        if _COMPARED.search(self._question):
            return _none(wanted, "the question compares, and records are chosen by words only")
        name = named(wanted) | set(terms(wanted.description)) | self._asked

        def rank(rows: list[tuple[Record, dict[str, Any]]]) -> tuple[float, float, int]:
            full = sum(value is not None for value in rows[0][1].values())
            context = set(stems(f"{rows[0][0].context} {rows[0][0].source.filename}"))
            return (full, len(name & context), len(rows))

        rows = self._chosen(max(tables.values(), key=rank))
        if not rows:
            return _none(wanted, "no record has all that the question names")
        kept = list({repr(value): (record, value) for record, value in rows}.values())
        return Filled(value=[value for _, value in kept], sources=[record.source for record, _ in kept])

    def _chosen(self, rows: list[tuple[Record, dict[str, Any]]]) -> list[tuple[Record, dict[str, Any]]]:
        """The rows that have the question's names, and its words that some rows have and others have not."""
        texts = [set(stems(" ".join(map(str, record.values.values())))) for record, _ in rows]
        around = [set(stems(f"{r.context} {r.source.filename} {' '.join(r.values)}")) for r, _ in rows]
        telling = {word for word in terms(self._question) if 0 < sum(word in text for text in texts) < len(rows)}
        return [
            row
            for row, text, beside in zip(rows, texts, around, strict=True)
            if telling <= text and self._named <= text | beside
        ]

    def _record(self, item: Field, record: Record) -> dict[str, Any] | None:
        """A record as an object; None if a required field is missing in it."""
        facts = [
            Fact(label=words_of_name(str(label)), value=value, source=record.source, context="", kind="json")
            for label, value in record.values.items()
        ]
        alone = _Filler(Material(question="", facts=Facts(facts=facts)), shared={})
        read: dict[str, Any] = {}
        for one in item.fields:
            found = alone.any(one)
            if found.ok:
                read[one.name] = found.value
            elif one.required:
                return None
        return read if any(not _is_empty(value) for value in read.values()) else None

    def _list(self, wanted: Field, item: Field) -> Filled:
        if named(wanted) and named(wanted) <= _SOURCES:
            names = list(dict.fromkeys(one.filename for one in self._material.used if one.filename))
            return Filled(value=names) if names else _none(wanted, "nothing is quoted from a file")
        probe = replace(item, name=wanted.name, path=wanted.path, description=wanted.description, nullable=False)
        ranked = self._ranked(probe, anything=True)
        if not ranked:
            return _none(wanted, _NOTHING)
        best_score, best = ranked[0]
        same = [best]
        if best.kind in ("item", "cell"):
            same = [f for s, f in ranked if f.block == best.block and f.label == best.label and s > best_score - 0.5]
        elif best.kind == "pair":
            same = [f for _, f in ranked if f.label == best.label and f.source == best.source]
        found: list[Any] = []
        for fact in sorted(same, key=self._material.facts.facts.index):
            found += [one for one in self._listed(probe, fact) if one not in found]
        return Filled(value=found, sources=[f.source for f in same]) if found else _none(wanted, _NOTHING)

    def _listed(self, item: Field, fact: Fact) -> list[Any]:
        if isinstance(fact.value, list):
            return [one for one in fact.value if _typed(item, one)]
        text = str(fact.value)
        if values.is_doubtful(text) and (fact.kind == "sentence" or item.kind != "string"):
            return []
        if item.kind in ("integer", "number", "enum"):
            return [value for _, value in values.candidates(item, text)]
        if fact.kind in ("item", "cell"):
            return [value for _, value in values.candidates(item, text)][:1]
        if fact.kind == "sentence":
            text = after_link(text, last_match(text, named(item))) or ""
        parts = [part.strip(" .") for part in _LISTED.split(values.plain_text(text))]
        return [value for part in parts if part for _, value in values.candidates(item, part)[:1]]

    # ---- single values -----------------------------------------------------------------------------------------

    def _leaf(self, wanted: Field) -> Filled:
        if (own := self._of_answer(wanted)) is not None:
            return own
        for rank in (0, 1):
            ranked = [(s, f) for s, f in self._ranked(wanted) if f.source.rank == rank and f.kind != "item"]
            if not ranked:
                continue
            best = [(fact, self._value(wanted, fact)) for score, fact in ranked if score > ranked[0][0] - _EQUAL]
            said = {repr(value): (fact, value) for fact, value in best}
            if len(said) > 1:
                both = " and ".join(str(value) for _, value in list(said.values())[:3])
                return _none(wanted, f"different values were found: {both}")
            fact, value = best[0]
            return Filled(value=value, sources=[fact.source])
        return _none(wanted, _NOTHING)

    def _of_answer(self, wanted: Field) -> Filled | None:
        """The fields that speak of the answer itself: its text, whether there is one, its pages."""
        name, answer = named(wanted), self._material.answer
        if not name or not name <= _ANSWERS | _FOUND | _PAGES:
            return None
        if wanted.kind == "boolean" and name <= _FOUND:
            return Filled(value=bool(answer))
        if name <= _PAGES and stem("page") in name:
            pages = [one.page for one in self._material.used if one.page is not None]
            return Filled(value=pages[0]) if pages and wanted.kind in ("integer", "number") else None
        if not name <= _ANSWERS or not answer:
            return None
        if wanted.kind in ("string", "any") and values.fits(wanted, answer):
            return Filled(value=answer, sources=list(self._material.used))
        found = values.candidates(wanted, answer) if wanted.kind in ("integer", "number", "enum") else []
        distinct = list(dict.fromkeys(value for _, value in found))
        return Filled(value=distinct[0], sources=list(self._material.used)) if len(distinct) == 1 else None

    def _ranked(self, wanted: Field, *, anything: bool = False) -> list[tuple[float, Fact]]:
        """The facts about a field that have a value for it, best first. `anything`: those without one value too."""
        scored = [(score, fact) for fact in self._material.facts.facts if (score := self._score(wanted, fact)) > 0]
        scored = [(s, f) for s, f in scored if (anything or self._value(wanted, f) is not None)]
        return sorted(scored, key=lambda one: -one[0])

    def _score(self, wanted: Field, fact: Fact) -> float:
        """0 if a fact is not about the field."""
        own = set(stems(fact.label)) if fact.label else set(stems(str(fact.value)))
        around = set(stems(f"{fact.context} {fact.row}"))
        parents = {one for part in wanted.path[:-1] for one in telling(part)}
        if self._named - own - around - set(stems(str(fact.value))):
            return 0.0
        in_common = self._shared.get(wanted.name, len(wanted.path))
        if any(telling(part) - own - around for part in wanted.path[in_common:-1] if part != "[]"):
            return 0.0
        matched = max(match(needed, own, around) for needed in wordings(wanted))
        if not matched or (not fact.label and str(fact.value).rstrip().endswith("?")):
            return 0.0
        everything = own | around | (set(stems(str(fact.value))) if fact.kind != "json" else set())
        shared = len(self._asked & everything) / len(self._asked) if self._asked else 0.0
        described = set(terms(wanted.description))
        closer = len(described & everything) / len(described) if described else 0.0
        inside = len(parents & everything) / len(parents) if parents else 0.0
        known = self._asked | described | parents | {one for needed in wordings(wanted) for one in needed}
        extra = len(own - known) / len(own) if fact.label and own else 0.3
        labelled = 0.4 if fact.label else 0.0
        return (
            matched
            + labelled
            + 0.3 * self._asked_in(fact.source)
            + 0.6 * shared
            + 0.3 * closer
            + 0.5 * inside
            - 0.4 * extra
        )

    def _asked_in(self, source: Source) -> float:
        """The share of the question's words that a source has anywhere."""
        if not self._asked:
            return 0.0
        own = self._stems_of_sources.setdefault(id(source), set(stems(f"{source.filename} {source.text}")))
        return len(self._asked & own) / len(self._asked)

    def _value(self, wanted: Field, fact: Fact) -> Any:
        """The value that a fact has for a field; None if it has none."""
        if fact.kind == "json" and not isinstance(fact.value, str):
            return fact.value if _typed(wanted, fact.value) else None
        text = str(fact.value)
        if wanted.kind == "boolean":
            if fact.label:
                return values.truth_of(text)
            return values.stated(text, telling(wanted.name))
        if values.is_doubtful(text) and (not fact.label or wanted.kind != "string" or values.is_date(wanted)):
            return None
        if fact.label:
            found = values.candidates(wanted, text)
            if len({repr(value) for _, value in found}) > 1:
                return None
            return found[0][1] if found else text if wanted.kind == "any" else None
        return self._in_sentence(wanted, text)

    def _in_sentence(self, wanted: Field, text: str) -> Any:
        subject = window(text, named(wanted))
        if wanted.kind == "string" and not (wanted.rules.get("format") or wanted.rules.get("pattern")):
            after = after_link(text, subject[1])
            found = values.candidates(wanted, after) if after else []
            whole = values.plain_text(text)
            is_name = bool(_IDENTITY & set(stems(f"{wanted.name} {wanted.description}")))
            if is_name and len(after.split()) > _LONGEST_NAME:
                found = []
            found = found or [one for one in values.candidates(wanted, text) if not is_name or one[1] != whole]
            return found[0][1] if found else None
        found = values.candidates(wanted, text)
        if len({repr(value) for _, value in found}) > 1 and wanted.kind in ("integer", "number"):
            found = counted(text, found, named(wanted))
        return found[0][1] if len({repr(value) for _, value in found}) == 1 else None


_NOTHING = "nothing that was found states it"
_PATTERN = "its pattern is not checked by this model"


def _typed(wanted: Field, value: Any) -> bool:
    kinds: Mapping[str, Any] = {"string": str, "boolean": bool, "integer": int, "number": (int, float)}
    if wanted.kind == "enum":
        return value in wanted.options
    if wanted.kind == "any":
        return True
    right = isinstance(value, kinds.get(wanted.kind, ())) or (
        wanted.kind == "integer" and isinstance(value, float) and value.is_integer()
    )
    return right and isinstance(value, bool) == (wanted.kind == "boolean") and values.fits(wanted, value)


def _is_empty(value: Any) -> bool:
    return value is None or value in ([], {}) or (isinstance(value, dict) and all(map(_is_empty, value.values())))


def _bounded(wanted: Field, found: list[Any]) -> list[Any]:
    """The first of equal claims, as many as the schema allows: which of them comes first says nothing."""
    most = wanted.rules.get("maxItems")
    return found[:most] if isinstance(most, int) else found


# ---- words -------------------------------------------------------------------------------------------------------


def _shared(leaves: Sequence[Field]) -> dict[str, int]:
    """Names that several fields have -> how many fields they are all in."""
    places: dict[str, list[tuple[str, ...]]] = {}
    for leaf in leaves:
        places.setdefault(leaf.name, []).append(leaf.path[:-1])
    return {name: _common(paths) for name, paths in places.items() if len(paths) > 1}


def _common(paths: Sequence[tuple[str, ...]]) -> int:
    return sum(1 for _ in takewhile(lambda parts: len(set(parts)) == 1, zip(*paths, strict=False)))
