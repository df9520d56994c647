"""Every regular expression takes time in proportion to the text, whatever the text is.

The patterns are found in the source, the hostile texts are made from the patterns: whatever comes before a repetition,
then what it repeats, many times, then something that does not match. A pattern fails when eight times the text takes
far more than eight times as long: it is compared with itself, in CPU time, so the machine's speed does not matter.
"""

from __future__ import annotations

import ast
import importlib
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import Any

import pytest

from local.paths import ROOT

FUNCTIONS = ("compile", "search", "match", "fullmatch", "sub", "subn", "split", "findall", "finditer")
ANYWHERE = frozenset({"search", "sub", "subn", "split", "findall", "finditer"})
TYPICAL = ' \n\ta1A.,-|(*"['  # tried in place of what a class of characters allows
SUFFIXES = ("", "\x00", " x")
TEXTS = 100  # for each pattern, at most
# Lengths of two texts, and how many times longer the second may take. Eight times the text takes a quadratic pattern
# 64 times as long, and an exponential one takes 64 times as long for six characters more.
LENGTHS = ((20, 26, 12), (200, 1_600, 24), (2_000, 16_000, 24))


@dataclass(frozen=True)
class Found:
    """A pattern and whether it is looked for anywhere in a text, or only at its beginning."""

    where: str
    pattern: re.Pattern[Any]
    anywhere: bool


# ---- the patterns ------------------------------------------------------------------------------------------------


class _Names(dict[str, Any]):
    """The names of a module; a local variable stands for a short word."""

    def __missing__(self, name: str) -> Any:
        if name in __builtins__:  # type: ignore[operator]
            raise KeyError(name)
        return "word"


def value_of(node: ast.expr, module: Any) -> Any:
    """The value of an expression in a module; None if it cannot be told."""
    try:
        return eval(compile(ast.Expression(node), "pattern", "eval"), {}, _Names(vars(module)))
    except Exception:
        return None


def sources() -> list[Path]:
    paths = [path for folder in ("shared", "local/openai_emulator") for path in (ROOT / folder).rglob("*.py")]
    return sorted(path for path in paths if path.stem != "__main__")


def modules() -> Iterator[tuple[Path, Any]]:
    for path in sources():
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        yield path, importlib.import_module(name)


def compiled_in(value: Any, depth: int = 3) -> Iterator[re.Pattern[Any]]:
    if isinstance(value, re.Pattern):
        yield value
    elif depth and isinstance(value, dict):
        yield from (p for item in value.items() for p in compiled_in(item, depth - 1))
    elif depth and isinstance(value, tuple | list | set | frozenset):
        yield from (p for item in value for p in compiled_in(item, depth - 1))


def looks_like_a_pattern(text: object) -> bool:
    return isinstance(text, str) and bool(re.search(r"\\[bdsw]|\[\^?[^\]]+\][*+]", text))


@cache
def patterns() -> tuple[Found, ...]:
    found: dict[tuple[Any, int], Found] = {}
    used: dict[str, set[str]] = defaultdict(set)  # name of a compiled pattern -> methods that are called
    trees = [(path, module, ast.parse(path.read_text())) for path, module in modules()]
    for _, _, tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
                used[getattr(node.value, "id", getattr(node.value, "attr", ""))].add(node.attr)

    def add(path: Path, line: object, pattern: re.Pattern[Any], *, anywhere: bool) -> None:
        key = (pattern.pattern, pattern.flags)
        anywhere = anywhere or (key in found and found[key].anywhere)
        found[key] = Found(f"{path.relative_to(ROOT)}:{line}", pattern, anywhere)

    for path, module, tree in trees:
        for name, value in vars(module).items():
            if not name.startswith("__"):
                methods = used[name] & set(FUNCTIONS)
                for pattern in compiled_in(value):
                    add(path, name, pattern, anywhere=not methods or bool(methods & ANYWHERE))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                if getattr(node.func.value, "id", "") == "re" and node.func.attr in FUNCTIONS:
                    flags = [keyword.value for keyword in node.keywords if keyword.arg == "flags"]
                    flags += node.args[{"compile": 1, "sub": 9, "subn": 9, "split": 9}.get(node.func.attr, 2) :]
                    text = value_of(node.args[0], module)
                    if isinstance(text, str | bytes):
                        flag = value_of(flags[0], module) if flags else 0
                        pattern = re.compile(text, flag if isinstance(flag, int) else 0)
                        if node.func.attr != "compile" or (pattern.pattern, pattern.flags) not in found:
                            add(path, node.lineno, pattern, anywhere=node.func.attr in {*ANYWHERE, "compile"})
            elif (
                isinstance(node, ast.Tuple) and path.stem != "tokens"
            ):  # (name, pattern); tokens.py has those of tiktoken
                for text in (item.value for item in node.elts if isinstance(item, ast.Constant)):
                    if looks_like_a_pattern(text):
                        with suppress(re.error):
                            add(path, node.lineno, re.compile(str(text), re.IGNORECASE), anywhere=True)
    return tuple(found.values())


# ---- hostile texts -----------------------------------------------------------------------------------------------


def allowed(node: tuple[Any, Any]) -> list[str]:
    """Typical characters that a node for one character allows."""
    op, value = node
    if op is _constants.LITERAL:
        return [chr(value)]
    if op is _constants.ANY:
        return list(TYPICAL.replace("\n", ""))
    tried = TYPICAL + "".join(chr(n) for o, v in (value if op is _constants.IN else []) for n in _ends(o, v))
    return [char for char in dict.fromkeys(tried) if _allows(node, char)]


def _ends(op: Any, value: Any) -> tuple[int, ...]:
    return (value,) if op is _constants.LITERAL else tuple(value) if op is _constants.RANGE else ()


def _allows(node: tuple[Any, Any], char: str) -> bool:
    op, value = node
    if op is _constants.NOT_LITERAL:
        return ord(char) != value
    if op is not _constants.IN:
        return False
    negated = value[0][0] is _constants.NEGATE
    hits = any(
        (o is _constants.LITERAL and ord(char) == v)
        or (o is _constants.RANGE and v[0] <= ord(char) <= v[1])
        or (o is _constants.CATEGORY and re.match(CATEGORIES[v], char) is not None)
        for o, v in value
    )
    return hits != negated


CATEGORIES = {
    _constants.CATEGORY_DIGIT: r"\d",
    _constants.CATEGORY_NOT_DIGIT: r"\D",
    _constants.CATEGORY_SPACE: r"\s",
    _constants.CATEGORY_NOT_SPACE: r"\S",
    _constants.CATEGORY_WORD: r"\w",
    _constants.CATEGORY_NOT_WORD: r"\W",
}
REPEATS = (_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT)


def shortest(nodes: Any, *, pick: Callable[[list[str]], str] = lambda chars: chars[0]) -> str:
    """A short text that matches, with the first branch of each choice; lookarounds are left out."""
    text = ""
    for op, value in nodes:
        if op in (_constants.LITERAL, _constants.NOT_LITERAL, _constants.ANY, _constants.IN):
            chars = allowed((op, value))
            text += pick(chars) if chars else ""
        elif op in REPEATS:
            text += shortest(value[2], pick=pick) * value[0]
        elif op is _constants.SUBPATTERN:
            text += shortest(value[3], pick=pick)
        elif op is _constants.ATOMIC_GROUP:
            text += shortest(value, pick=pick)
        elif op is _constants.BRANCH:
            text += shortest(value[1][0], pick=pick)
    return text


def pumps(nodes: Any, before: str = "") -> Iterator[tuple[str, str]]:
    """For each repetition: a text that leads to it, and texts that it repeats."""
    for n, (op, value) in enumerate(nodes):
        lead = before + shortest(nodes[:n])
        if op in REPEATS:
            for char in TYPICAL:
                yield lead, shortest(value[2], pick=lambda chars, char=char: char if char in chars else chars[0])
            yield from pumps(value[2], lead)
        elif op is _constants.SUBPATTERN:
            yield from pumps(value[3], lead)
        elif op is _constants.ATOMIC_GROUP:
            yield from pumps(value, lead)
        elif op is _constants.BRANCH:
            for branch in value[1]:
                yield from pumps(branch, lead)
                yield before, lead[len(before) :] + shortest(branch)


def hostile(pattern: re.Pattern[Any]) -> Iterator[Callable[[int], Any]]:
    """Texts of any length that could make a pattern slow."""
    is_text = isinstance(pattern.pattern, str)
    tree = _parser.parse(pattern.pattern if is_text else pattern.pattern.decode("latin-1"), pattern.flags & ~re.UNICODE)
    whole = shortest(tree)
    shapes = dict.fromkeys((lead, pump, end) for lead, pump in pumps(tree) if pump for end in SUFFIXES)
    if whole:
        shapes |= dict.fromkeys(("", whole, end) for end in SUFFIXES)
    shapes |= dict.fromkeys(("", lead + pump, "\x00") for lead, pump in pumps(tree) if lead and pump)
    for lead, pump, end in list(shapes):

        def text(length: int, lead: str = lead, pump: str = pump, end: str = end) -> Any:
            made = lead + pump * (length // len(pump)) + end
            return made if is_text else made.encode("utf-8")

        yield text


# ---- measuring ---------------------------------------------------------------------------------------------------

STRAIGHT = Found("", re.compile("[^\\x00]*"), anywhere=False)  # one step for each character


def seconds(found: Found, text: Any, *, times: int) -> float:
    """CPU time of this thread, so that other processes do not count."""

    def once() -> float:
        start = time.thread_time()
        if found.anywhere:
            for _ in found.pattern.finditer(text):
                pass
        else:
            found.pattern.match(text)
            found.pattern.fullmatch(text)
        return time.thread_time() - start

    return min(once() for _ in range(times))


@cache
def straight(length: int) -> float:
    return max(seconds(STRAIGHT, "a" * length, times=20), 1e-7)


def is_slow(found: Found, text: Callable[[int], Any], lengths: Sequence[tuple[int, int, float]] = LENGTHS) -> bool:
    """Whether a longer text takes more than its share. A text that seems slow is measured again, and again."""
    for short, long, allowed in lengths:
        if seconds(found, text(long), times=1) < 50 * straight(long):
            continue  # no pattern that is not linear is as fast as this
        growth = float("inf")
        for times in (1, 3, 9):
            growth = min(growth, seconds(found, text(long), times=times) / seconds(found, text(short), times=times))
            if growth <= allowed:
                break
        else:
            return True
    return False


def slow_texts(found: Found) -> list[str]:
    return [ascii(text(20)) for text in islice(hostile(found.pattern), TEXTS) if is_slow(found, text)]


@pytest.mark.long
@pytest.mark.parametrize("folder", sorted({str(path.parent.relative_to(ROOT)) for path in sources()}))
def test_the_patterns_of_a_folder_are_linear(folder: str) -> None:
    found = [found for found in patterns() if str(Path(found.where).parent) == folder]
    assert {each.where: texts for each in found if (texts := slow_texts(each))} == {}


ATTACKS = [
    (r"^(?:\d+(?:\.\d+)*\.?\s+\S.*|\S.*\.{3,}.*)\s\d{1,3}$", False),
    (r"^#{1,6}\s+(.+?)\s*#*\s*$", False),
    (r"^\s*(?:[-*]|\d+\.)\s+(.+)$|^\|\s*([^|]+?)\s*\|(?!\s*-)", True),
    (r"\s+$", True),
]
SHORT_LENGTHS = ((128, 512, 8.0),)  # four times the length: 4 for a linear pattern, at least 16 for these


@pytest.mark.long
@pytest.mark.parametrize(("pattern", "anywhere"), ATTACKS, ids=[pattern for pattern, _ in ATTACKS])
def test_the_test_finds_patterns_that_are_not(pattern: str, anywhere: bool) -> None:
    found = Found("here", re.compile(pattern, re.MULTILINE), anywhere)
    assert any(is_slow(found, text, SHORT_LENGTHS) for text in islice(hostile(found.pattern), TEXTS))


def test_the_patterns_are_found() -> None:
    where = {found.where.partition(":")[0] for found in patterns()}
    assert {"shared/runs/answers.py", "local/openai_emulator/models/offline/documents/units.py"} <= where
    assert len(patterns()) > 150
