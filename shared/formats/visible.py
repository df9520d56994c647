"""Reads HTML and tells what of it a browser shows. Pure.

Source: https://html.spec.whatwg.org/multipage/rendering.html#hidden-elements
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter
from html.parser import HTMLParser

IN_HEAD = frozenset({"title", "meta", "link", "style", "script", "base", "noscript", "template"})
UNSEEN = frozenset({"script", "style", "template", "head", "noscript"})
VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())  # noqa: SIM905
HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
BLOCKS = HEADINGS | frozenset(
    "address article aside blockquote br dd div dl dt footer header hr li main nav ol p pre section table tr ul".split()  # noqa: SIM905
)
ENDED_BY = {
    "head": frozenset[str](),
    "p": BLOCKS,
    "li": frozenset({"li"}),
    "dt": frozenset({"dt", "dd"}),
    "dd": frozenset({"dt", "dd"}),
    "tr": frozenset({"tr", "tbody", "tfoot"}),
    "td": frozenset({"td", "th", "tr"}),
    "th": frozenset({"td", "th", "tr"}),
    "option": frozenset({"option", "optgroup"}),
}
HIDING = re.compile(
    r"display:none|visibility:(?:hidden|collapse)|(?:^|;)opacity:0(?:\.0*)?(?:;|!|$)|font-size:0(?!\.?\d)"
)
SELECTOR = re.compile(r"([a-zA-Z][\w-]*)?(?:\.([\w-]+)|#([\w-]+))?")
RULES_MAX_CHARS = 1_000_000  # of style sheets that are looked at


class Visible(HTMLParser, ABC):
    """Calls `started`, `ended_tag` and `shown` for what is visible; the class that inherits from it has them.

    Left out are scripts, the head, and elements that are hidden by the attribute `hidden`, by their style, or by a rule
    of the page's own style sheet for their name, class or id. `has_hidden`: text was left out that is no code.
    """

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.has_hidden = False
        self._hidden: list[str] = []  # open elements, from the hidden one inwards
        self._open: Counter[str] = Counter()  # the same, counted
        self._by_rule = False  # the outermost one is hidden, and no script or head
        self._rules: set[tuple[str, str, str]] = set()  # name, class and id of hidden elements; "" for any
        self._style: list[str] = []  # of the style sheet that is being read
        self._left_chars = RULES_MAX_CHARS

    @abstractmethod
    def started(self, tag: str, attributes: dict[str, str | None]) -> None: ...

    @abstractmethod
    def ended_tag(self, tag: str) -> None: ...

    @abstractmethod
    def shown(self, text: str) -> None: ...

    @property
    def is_hidden(self) -> bool:
        return bool(self._hidden)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._hidden and not (len(self._hidden) == 1 and _ends(self._hidden[0], tag)):
            if tag not in VOID:
                self._hide(tag)
            return
        self._show()
        attributes = dict(attrs)
        by_rule = self._is_hidden(tag, attributes)
        if tag in VOID:
            if not by_rule:
                self.started(tag, attributes)
            return
        if tag in UNSEEN or by_rule:
            self._by_rule = tag not in UNSEEN
            self._hide(tag)
            return
        self.started(tag, attributes)

    def handle_endtag(self, tag: str) -> None:
        if tag == "style":
            self._end_style()
        if self._open[tag]:  # elements that are not closed end with the one around them
            while (ended := self._hidden.pop()) != tag:
                self._open[ended] -= 1
            self._open[tag] -= 1
            return
        if self._hidden and self._hidden[0] not in ENDED_BY:
            return
        self._show()  # the element around the hidden one ends
        self.ended_tag(tag)

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.shown(data)
        elif self._hidden[-1] == "style":
            self._style.append(data)
        elif self._by_rule and self._hidden[-1] not in UNSEEN and data.strip():
            self.has_hidden = True

    def _hide(self, tag: str) -> None:
        self._hidden.append(tag)
        self._open[tag] += 1

    def _show(self) -> None:
        self._hidden.clear()
        self._open.clear()

    def _end_style(self) -> None:
        css = "".join(self._style)[: self._left_chars]
        self._left_chars -= len(css)
        self._style.clear()
        self._rules |= hiding_rules(css)

    def _is_hidden(self, tag: str, attributes: dict[str, str | None]) -> bool:
        if "hidden" in attributes or hides(attributes.get("style") or ""):
            return True
        if not self._rules:
            return False
        name = attributes.get("id") or ""
        classes = (attributes.get("class") or "").split()
        known = {("", each, "") for each in classes} | {(tag, each, "") for each in classes}
        known |= {("", "", name), (tag, "", name)} if name else set()
        return not self._rules.isdisjoint(known | {(tag, "", "")})


def _ends(hidden: str, tag: str) -> bool:
    """Whether the start of `tag` ends an element whose end tag may be left out.

    Source: https://html.spec.whatwg.org/multipage/syntax.html#optional-tags
    """
    if hidden == "head":
        return tag not in IN_HEAD
    return tag in ENDED_BY.get(hidden, ())


def hides(style: str) -> bool:
    """Whether declarations such as `display: none` hide an element."""
    return bool(style) and bool(HIDING.search("".join(style.lower().split())))


def hiding_rules(css: str) -> set[tuple[str, str, str]]:
    """The rules of a style sheet that hide elements by name, class or id, as (name, class, id).

    Rules that hold only for some media, such as print, and selectors that need the elements around are left out.
    """
    rules: set[tuple[str, str, str]] = set()
    depth, selectors = 0, ""
    for piece in re.split(r"([{}])", _without_comments(css)):
        if piece == "{":
            depth += 1
        elif piece == "}":
            depth = max(depth - 1, 0)
        elif depth == 0:
            selectors = piece.rpartition(";")[2].strip()
        elif depth == 1 and not selectors.startswith("@") and hides(piece):
            for selector in selectors.split(","):
                found = SELECTOR.fullmatch(selector.strip())
                if found and selector.strip():
                    rules.add(((found[1] or "").lower(), found[2] or "", found[3] or ""))
    return rules


def _without_comments(css: str) -> str:
    """A style sheet without its comments; one that is not closed goes to the end."""
    before, *pieces = css.split("/*")
    return before + "".join(piece.partition("*/")[2] for piece in pieces)
