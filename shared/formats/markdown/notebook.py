"""Notebooks (IPYNB): text, code and the text of outputs, cell after cell.

Source: https://nbformat.readthedocs.io/en/latest/format_description.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO, Any

import msgspec

from shared.formats.base import failed
from shared.formats.markdown.base import Converted, count, sections, tidy
from shared.formats.markdown.html import html_markdown

COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def is_notebook(head: bytes) -> bool:
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") and (b'"cells"' in head or b'"nbformat' in head)


def notebook(content: IO[bytes]) -> Converted:
    """A notebook as Markdown.

    Raises:
        UnusableFile: it is no JSON, or has no cells.
    """
    content.seek(0)
    try:
        book = msgspec.json.decode(content.read().removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as exc:
        raise failed("damaged", "The notebook is damaged: it is no JSON.") from exc
    cells = list(_cells(book))
    language = _language(book)
    pictures = [kind for cell in cells for kind in _kinds(cell) if kind.startswith("image/")]
    lost = [f"{count(len(pictures), 'picture')} in the outputs of the notebook were not read."] if pictures else []
    return sections(tidy("\n\n".join(text for cell in cells for text in _cell(cell, language))), lost=lost)


def _cells(book: Any) -> Iterator[dict[str, Any]]:
    """The cells; up to version 3 they are in work sheets."""
    sheets = [book, *_list(_get(book, "worksheets"))]
    for sheet in sheets:
        yield from (cell for cell in _list(_get(sheet, "cells")) if isinstance(cell, dict))


def _cell(cell: dict[str, Any], language: str) -> Iterator[str]:
    source = _text(cell.get("source", cell.get("input")))
    match cell.get("cell_type"):
        case "code":
            if source.strip():
                yield _fenced(source, language)
            for output in _list(cell.get("outputs")):
                if text := _output(output).strip():
                    yield f"Output:\n\n{_fenced(text, '')}"
        case "heading":
            level = cell.get("level")
            yield "#" * (level if isinstance(level, int) and 0 < level < 7 else 1) + f" {source}"
        case _:
            yield source


def _output(output: Any) -> str:
    """The text of an output: plain, else of its HTML; for an error its traceback."""
    if lines := _list(_get(output, "traceback")):
        return COLOURS.sub("", "\n".join(map(_text, lines)))
    data = _get(output, "data") or output
    for kind in ("text/markdown", "text/plain", "text"):
        if text := _text(_get(data, kind)):
            return COLOURS.sub("", text)
    return html_markdown(_text(_get(data, "text/html") or _get(data, "html")))[0]


def _kinds(cell: dict[str, Any]) -> Iterator[str]:
    for output in _list(cell.get("outputs")):
        data = _get(output, "data")
        yield from data if isinstance(data, dict) else ()


def _language(book: Any) -> str:
    metadata = _get(book, "metadata")
    name = _get(_get(metadata, "language_info"), "name") or _get(_get(metadata, "kernelspec"), "language") or ""
    return name if isinstance(name, str) and re.fullmatch(r"[\w+#-]{1,30}", name) else ""


def _fenced(text: str, language: str) -> str:
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def _get(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    """Text is stored as a string or as a list of lines."""
    if isinstance(value, list):
        return "".join(line for line in value if isinstance(line, str))
    return value if isinstance(value, str) else ""
