"""Takes out of Markdown what would act on its reader: HTML, images and links to anywhere. Pure.

Documents and models are hostile text: an image of another host tells that host who reads the answer, and what its URL
contains; a link can hide where it leads. What is left are links and images of the answer's own files.

HTML and autolinks need a `<`, inline links and images a `](`, and definitions of reference links a `]:`. Where these
stand outside code, one character becomes an entity, which is shown and never acts. What is code is decided by a parser
in which HTML, links and autolinks are off, since in the result there are none.
Source: https://spec.commonmark.org/0.31.2/
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

Edit = tuple[int, int, str]  # start, end, replacement

# Characters that a terminal obeys become one that is shown; a line break stays one.
CONTROLS = {code: "\ufffd" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\t\n\r"} | {0x0D: "\n"}
# Embeddings, overrides and isolates show text in another order than it has. The marks of direction stay.
BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
PLACE = "\x02"  # after CONTROLS, no text has it

# `](` of one of the answer's own files keeps its link: its path is percent-encoded, so it has no backtick.
OWN_LINK_END = re.compile(r'(?:[ \t]++"[^"`\n<\\|]*+")?\)')
ACTIVE = re.compile(
    r"""
    (?<!\])!?\[(?P<label>(?:[^\W\d_][^\[\]\n`]*+)?)\]               # a link or image to the web, in one line
        \([ \t]*+<?(?P<url>https?://[^\s<>()`]++)>?(?:[ \t]++"[^"\n`|]*+")?[ \t]*+\)
    | (?P<html><)
    | (?P<link>\]\()
    | (?P<definition>\]:)
    """,
    re.VERBOSE | re.IGNORECASE,
)


def inert(text: str, own: Collection[str] = ()) -> tuple[str, Callable[[int], int]]:
    """Markdown without HTML, remote images, links and controls of text direction. A second call changes nothing.

    Args:
        own: Link targets that stay: percent-encoded paths of the answer's files.

    Returns:
        The new text, and a function that converts a position in the old text to one in the new text.
    """
    text, in_order = edited(text, ((*match.span(), "") for match in BIDI.finditer(text)))
    text = text.replace("\r\n", " \n").translate(CONTROLS)  # of the same length
    found = [
        match for match in ACTIVE.finditer(text) if not _is_own(text, match, own) and not _is_after_words(text, match)
    ]
    if not found:
        return text, in_order
    in_code = _in_code(text, [match.start() for match in found])
    text, new_position = edited(text, (_edit(match) for match, code in zip(found, in_code, strict=True) if not code))
    return text, lambda position: new_position(in_order(position))


def plain(text: str) -> str:
    """Text for one line of Markdown that neither is code nor acts, such as a file name or a quote."""
    line = " ".join(BIDI.sub("", text).split()).translate(CONTROLS)
    return (
        line.replace("<", "&lt;").replace("`", "&#96;").replace("](", "]&#40;").replace("]:", "]&#58;")
    )  # fmt: skip


def label(text: str) -> str:
    """As `plain`, for the text of a link."""
    return plain(text).replace("[", "&#91;").replace("]", "&#93;")


def edited(text: str, edits: Iterable[Edit]) -> tuple[str, Callable[[int], int]]:
    """The text with replacements, which are in order and do not overlap.

    Returns:
        The new text, and a function that converts a position in the old text to one in the new text. A position inside
        a replaced piece becomes the end of its replacement.
    """
    pieces: list[str] = []
    starts, ends, new_ends = [], [], []
    end = length = 0
    for start, stop, new in edits:
        pieces += [text[end:start], new]
        length += start - end + len(new)
        end = stop
        starts.append(start)
        ends.append(stop)
        new_ends.append(length)
    pieces.append(text[end:])

    def new_position(position: int) -> int:
        n = bisect_right(starts, position - 1) - 1  # the last replacement that begins before the position
        return position if n < 0 else new_ends[n] + max(position - ends[n], 0)

    return "".join(pieces), new_position


def _is_own(text: str, match: re.Match[str], own: Collection[str]) -> bool:
    return match["link"] is not None and any(
        text.startswith(path, match.end()) and OWN_LINK_END.match(text, match.end() + len(path)) for path in own
    )


def _is_after_words(text: str, match: re.Match[str]) -> bool:
    """Whether `]:` ends the marker of a citation in a sentence, as `limits [1]:`. A definition has no words before."""
    if match["definition"] is None:
        return False
    before = text[text.rfind("\n", 0, match.start()) + 1 : match.start()]
    words, bracket, number = before.rpartition("[")
    # An escaped bracket is part of a label, which then begins further to the left: `[limits \[1]: https://...`.
    is_whole = bool(bracket) and number.isdecimal() and "[" not in words and not words.endswith("\\")
    return is_whole and any(map(str.isalpha, words))


def _edit(match: re.Match[str]) -> Edit:
    start, end = match.span()
    if match["html"]:
        return start, end, "&lt;"
    if match["link"]:
        return start, end, "]&#40;"
    if match["definition"]:
        return start, end, "]&#58;"
    shown, url = match["label"].replace("<", "&lt;"), match["url"]
    return start, end, f"{shown} ({url})" if shown and shown != url else url


def _in_code(text: str, places: Sequence[int]) -> list[bool]:
    """Whether each character is in a code span or block, for readers with tables and for those without.

    A reader without tables sees a code span where one with tables sees two cells. Where they differ, it is no code.
    """
    chars = list(text)
    for place in places:
        chars[place] = PLACE
    marked = "".join(chars)
    found = [list(_code_flags(parser.parse(marked))) for parser in _parsers()]
    if any(len(flags) != len(places) for flags in found):  # the parser drops what is nested too deep, and surplus cells
        return [False] * len(places)
    return [all(flags) for flags in zip(*found, strict=True)]


def _code_flags(tokens: Sequence[Token]) -> Iterator[bool]:
    """For each PLACE in the order of the text: whether it is in code."""
    for token in tokens:
        if token.type == "inline":
            for child in token.children or ():
                yield from [child.type == "code_inline"] * child.content.count(PLACE)
        elif token.type in ("fence", "code_block"):
            yield from [False] * token.info.count(PLACE)
            yield from [True] * token.content.count(PLACE)


@cache
def _parsers() -> tuple[MarkdownIt, ...]:
    """CommonMark with and without tables. The rest of the syntax does not decide what is code."""
    from markdown_it import MarkdownIt  # on first use: only answers need it

    off = ["html_block", "reference", "emphasis", "link", "image", "autolink", "html_inline", "entity"]
    return MarkdownIt("commonmark").disable(off), MarkdownIt("commonmark").enable("table").disable(off)
