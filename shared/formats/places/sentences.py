"""Cuts a passage into sentences and lines, the units of a quote. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

# A point after these ends no sentence: English, German, French and Spanish, in lower case and without the last point.
# Units and words such as `etc` are not among them, since they often end one.
ABBREVIATIONS = frozenset(
    """
    abb abs al anm approx aufl av bd betr bspw bzgl bzw ca cf ch d.h dept dr e.g evtl fig ggf hr hrsg i.d.r i.e
    inkl kap m.e mgr mio mrd mr mrs n.chr nos nr o.ä p.a pp prof resp rev s.o s.u sog sra st u.a u.s u.u v.a v.chr
    vgl vol vs z.b z.t zzgl
    """.split()  # noqa: SIM905
)
ENDS = re.compile(r"""[.!?…]["'”’»)\]]*(?=\s)|[。！？｡]["”’」』）]*|\n""")
OPENING = "([{\"'“‘«"
LONGEST_CHARS = 24  # of a word before a point that is looked up
ORDINAL_MAX_DIGITS = 2
# German ordinals: a number with a point after one of these words ("am 3. Mai", "der 21. Kongress"), or before a month.
BEFORE_ORDINALS = frozenset("ab am beim bis das dem den der des die im jede jeden jeder seit vom zum zur".split())  # noqa: SIM905
MONTHS = ("jan", "feb", "mär", "apr", "mai", "jun", "jul", "aug", "sep", "okt", "nov", "dez")


def sentences(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each sentence, without the white space around it. The end of a line ends one, too.

    Where it is not clear whether a point ends the sentence, after an initial or an abbreviation, it does not: the piece
    is then longer than one sentence, and never shorter.
    """
    start = 0
    for end in ENDS.finditer(text):
        if end[0] == "\n" or not end[0].startswith(".") or _ends_sentence(text, start, end.start(), end.end()):
            yield from _trimmed(text, start, end.end())
            start = end.end()
    yield from _trimmed(text, start, len(text))


def _ends_sentence(text: str, start: int, point: int, after: int) -> bool:
    """Whether the point is the end of a sentence that begins at `start`."""
    following = text[after : after + 40].lstrip(" \t")
    if following[:1].islower() or following.startswith("|"):  # within a sentence, or a row of a table
        return False
    words = text[max(start, point - LONGEST_CHARS) : point].split()
    if not words or text[point - 1].isspace():
        return True
    last = words[-1].lstrip(OPENING).lower()
    is_initial = len(last) == 1 and last.isalpha()
    is_short_number = last.isdecimal() and len(last) <= ORDINAL_MAX_DIGITS
    before = text[max(start, point - 2 * LONGEST_CHARS) : point - len(last)]
    is_ordinal = is_short_number and _makes_ordinal(before, following)
    is_number_sign = last == "no" and following[:1].isdigit()
    return not (is_initial or is_ordinal or is_number_sign or last in ABBREVIATIONS)


def _makes_ordinal(before: str, following: str) -> bool:
    """Whether a number with a point is an ordinal, or the number of a list's item, by the words around it."""
    words = before.split()
    return not words or words[-1].lower() in BEFORE_ORDINALS or following.lower().startswith(MONTHS)


def _trimmed(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    piece = text[start:end]
    if kept := piece.strip():
        begin = start + len(piece) - len(piece.lstrip())
        yield begin, begin + len(kept)
