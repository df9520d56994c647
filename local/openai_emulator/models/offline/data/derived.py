"""Columns that a question derives from others: a difference, a ratio, a change, a logarithm, filled gaps.

`with_derived` takes what defines them out of the question and adds them to the table's profile; `derive` computes them
in the sandbox. The rest of the question is then about a column like any other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from local.openai_emulator.models.offline.data.kinds.registry import kind_of
from local.openai_emulator.models.offline.data.table import Column, Derived, Table

if TYPE_CHECKING:
    import pandas as pd

_NEW = re.compile(
    r"\bnew (?:\w+ )?(?:columns?|features?|variables?)\b|\b(?:columns?|features?|variables?) (?:called|named)\b", re.I
)
_NAME = re.compile(r"\b(?:called|named|column|feature|variable)\s+[\"'`“](?P<name>[^\"'`”]+)[\"'`”]", re.I)
_FILL = r"(?:fill\w*|imput\w+|replac\w+)"
# How -> what says so; <A> and <B> stand for names of columns.
_WAYS: tuple[tuple[str, str], ...] = (
    (
        "fill",
        rf"\b{_FILL}\b[^.\n]{{0,80}}?\b(?P<with>mean|average|median|mode|zeros?)\b"
        r"(?: \w+){0,3}?(?: (?:of|for|in) <A>)?",
    ),
    (
        "change",
        r"\b(?:percent(?:age)?|relative) changes? (?:in|of) <A>(?: price)?(?: from (?:the )?(?:previous|prior) \w+)?"
        r"|\({1,3}<A>[^()]{0,60}\b(?:today|current|this)\b[^()]{0,60}(?:previous|yesterday|prior)[^()]{0,60}\)[^.\n]*+"
        r"|\bdaily returns?\b(?: of| in| for)? <A>(?: prices?)?",
    ),
    ("centre", r"\bsubtract\w*\s+(?:the )?(?:mean|average)(?: value)? of <A> from (?:each|every|all)[^.\n]*+"),
    ("z", r"\b(?:standardi[sz]\w+|z-score (?:normali[sz]\w+|of|for)|z-scores? of)\s+<A>"),
    ("scale", r"\bmin-?max (?:scal\w++|normali[sz]\w++)[^.\n]{0,80}?\b<A>|\bnormali[sz](?:e|ing)\s+<A>"),
    (
        "log",
        r"\b(?:natural )?log(?:arithm(?:ic)?)?(?:[- ]transform\w*)?\s+(?:(?:of|to|on)\s+)?<A>"
        r"|\btransform <A> (?:by|with|using)[^.\n]{0,80}?\blog\w*(?:[- ]transform\w*)?",
    ),
    ("root", r"\bsquare root (?:transform\w+ )?(?:(?:of|to|on)\s+)?<A>"),
    ("ratio", r"\bratio (?:of|between) <A> (?:to|and|over) <B>|\b<A> (?:/|divided by) <B>|\bdividing <A> by <B>"),
    (
        "difference",
        r"\b<A> (?:-|–|minus) <B>|\bdifference (?:between|of) <A> and <B>|\bsubtracting <B> from <A>|\b<A>(?:-|–)<B>",
    ),
    ("sum", r"\b<A> (?:\+|plus) <B>|\bsum of <A> and <B>|\badding <A> (?:and|to) <B>"),
    (
        "product",
        r"\b<A> (?:\*|×|x|times|multiplied by) <B>|\bproduct of <A> and <B>|\bmultiplying <A> (?:and|by|with) <B>",
    ),
)
_NAMED = {
    "change": "change of {0}",
    "centre": "{0} minus its mean",
    "z": "standardized {0}",
    "scale": "scaled {0}",
    "log": "log of {0}",
    "root": "square root of {0}",
    "ratio": "{0} / {1}",
    "difference": "{0} - {1}",
    "sum": "{0} + {1}",
    "product": "{0} * {1}",
}
_BETWEEN = re.compile(r"\b(?:from|between)\b.{1,30}\b(?:to|and)\b.{0,20}\d", re.IGNORECASE)
_ANNOUNCES = re.compile(r"\bfeature engineering\b|\b(?:data )?preprocessing\b", re.IGNORECASE)
_NATURAL = re.compile(r"\blog[- ]?transform\w* (?:should|is|must)\b[^.]{0,80}\b(?:natural|base e)\b", re.IGNORECASE)
_OPTIONAL = re.compile(r"\bif\b", re.IGNORECASE)  # a derivation under a condition is not taken


def derive(table: pd.DataFrame, columns: Sequence[tuple[str, str, Sequence[str], str]]) -> pd.DataFrame:
    """The table with the derived columns (name, how, of which columns, filled with what), in this order."""
    import numpy as np

    def filling(cells: Any, what: str) -> Any:
        return 0 if what == "zero" else cells.mode().iloc[0] if what == "mode" else getattr(cells, what)()

    def computed(how: str, a: Any, b: Any) -> Any:
        ways: dict[str, Any] = {
            "fill": lambda: a,
            "change": lambda: 100 * a.pct_change(fill_method=None),
            "centre": lambda: a - a.mean(),
            "z": lambda: (a - a.mean()) / a.std(ddof=0),
            "scale": lambda: (a - a.min()) / (a.max() - a.min()),
            "log": lambda: np.log(a.where(a > 0)),
            "root": lambda: np.sqrt(a.where(a >= 0)),
            "ratio": lambda: a / b.where(b != 0),
            "difference": lambda: a - b,
            "sum": lambda: a + b,
            "product": lambda: a * b,
        }
        return ways[how]()

    for name, how, of, filled in columns:
        cells = computed(how, table[of[0]].astype(float), table[of[-1]].astype(float))
        table = table.assign(**{name: cells.fillna(filling(cells, filled)) if filled else cells})
    return table


def with_derived(question: str, table: Table) -> tuple[str, Table]:
    """The question without what defines columns, and the table with these columns."""
    sentences = [s for s in re.split(r"(?<=[.?!;}])\s+|\n+", question) if s.strip()]
    found: list[Derived] = []
    kept: list[str] = []
    for sentence in sentences:
        text = sentence
        own = [] if _OPTIONAL.search(text) else list(_derivations(text, table))
        new = bool(_NEW.search(text))
        named = _NAME.search(text)
        dropped = False
        for derived, start, end in sorted(own, key=lambda entry: -entry[1]):
            whole = replace(derived, name=named["name"]) if named and derived.how != "fill" else derived
            same = next((d for d in found if (d.how, d.of) == (whole.how, whole.of)), None)
            if same is None:
                found.append(whole)
            text = f'{text[:start]}"{(same or whole).name}"{text[end:]}'
            repeated = bool(same) and kind_of(text.replace(f'"{(same or whole).name}"', "")) in ("", "describe")
            dropped = dropped or new or whole.how == "fill" or repeated
        if not dropped:
            kept.append(_referring(text, found))
    if not found:
        return question, table
    found, kept = _with_details(found, kept)
    rest = " ".join(kept)
    if not re.search(r"\b(?:\w{4,})\b", rest):
        rest = f'What are the minimum, the mean and the maximum of "{found[-1].name}"?'
    added = tuple(
        Column(name=d.name, kind="number", unique=table.rows, unit="%" if d.how == "change" else "")
        for d in found
        if d.how != "fill"
    )
    return rest, replace(table, columns=(*table.columns, *added), derived=tuple(found))


def _with_details(found: Sequence[Derived], kept: Sequence[str]) -> tuple[list[Derived], list[str]]:
    """Without the sentences that announce or detail the derived columns."""
    made, rest = list(found), []
    hows = {d.how for d in found}
    for text in kept:
        zero = re.search(r"\bratio\b", text, re.IGNORECASE) and re.search(r"\bzero\b", text, re.IGNORECASE)
        if zero and "ratio" in hows:
            made = [replace(d, filled="zero") if d.how == "ratio" else d for d in made]
        elif not _ANNOUNCES.search(text) and not ("log" in hows and _NATURAL.search(text)):
            rest.append(text)
    return made, rest


def _referring(text: str, found: Sequence[Derived]) -> str:
    """`the transformed "X" column`, `this new feature` -> the derived column."""
    made = [d for d in found if d.how != "fill"]
    if not made:
        return text
    last = f'"{made[-1].name}"'
    text = re.sub(r"\b(?:the|this|that) (?:new|derived|resulting|created) (?:feature|column|variable)s?\b", last, text)
    of = re.escape(made[-1].of[0])
    return re.sub(
        rf"\b(?:the )?(?:log-?)?(?:transformed|standardi[sz]ed|normali[sz]ed|scaled) "
        rf"[\"'`]?{of}[\"'`]?(?: (?:column|values?))?",
        last,
        text,
        flags=re.I,
    )


def _derivations(text: str, table: Table) -> Iterator[tuple[Derived, int, int]]:
    """The derivations that a sentence names, each with the place of its words."""
    numbers = sorted((c.name for c in table.of_kind("number") if len(c.name) > 1), key=len, reverse=True)
    if not numbers:
        return
    names = "|".join(map(re.escape, numbers))
    before = r"(?:the )?(?:values? (?:of|in) )?(?:the )?[\"'`“]?"
    column = rf"{before}(?<!\w)(?P<{{}}>{names})(?!\w)[\"'`”]?(?: columns?| values?)?"
    taken: list[tuple[int, int]] = []
    for how, pattern in _WAYS:
        if how == "change" and _BETWEEN.search(text):
            continue  # between two times, and not from row to row
        for match in re.finditer(_spelt(pattern, column), text, re.IGNORECASE):
            groups = match.groupdict()
            of = [v for k, v in groups.items() if v and k != "with"]
            of = [next(n for n in numbers if n.lower() == v.lower()) for v in of]
            if how == "fill" and not of:
                of = [n for n in numbers if re.search(rf"(?<!\w){re.escape(n)}(?!\w)", text, re.I)][:1]
            if not of or any(start < match.end() and match.start() < end for start, end in taken):
                continue
            taken.append((match.start(), match.end()))
            filled = {"average": "mean", "zeros": "zero"}.get(
                (groups.get("with") or "").lower(), (groups.get("with") or "").lower()
            )
            name = of[0] if how == "fill" else _NAMED[how].format(*of)
            yield Derived(name=name, how=how, of=tuple(of), filled=filled), match.start(), match.end()


def _spelt(pattern: str, column: str) -> str:
    """The pattern with the columns in place of <A> and <B>; each place gets a group of its own."""
    count = 0

    def place(match: re.Match[str]) -> str:
        nonlocal count
        count += 1
        return column.format(f"column{count}")

    return re.sub("<[AB]>", place, pattern)
