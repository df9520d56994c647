"""The figures of charts in Office documents, as Markdown tables.

Source: https://ecma-international.org/publications-and-standards/standards/ecma-376/, part 1, 21.2
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from xml.etree import ElementTree

from shared.formats.packages import ANY, attribute, name_of, tree_of

POINTS_MAX = 5_000  # of one series


def chart_tables(parts: zipfile.ZipFile, part: str) -> Iterator[str]:
    """A chart's title and a table of its series, from the values that Office stored with it."""
    chart = tree_of(parts, part)
    series = [element for element in chart.iter() if name_of(element) == "ser"]
    columns = [
        (_name(each) or f"Series {number}", _points(each, "val", "yVal")) for number, each in enumerate(series, 1)
    ]
    labels: dict[int, str] = {}
    for each in series:
        labels |= {key: text for key, text in _points(each, "cat", "xVal").items() if key not in labels}
    places = sorted({key for _, points in columns for key in points} | labels.keys())
    if not any(points for _, points in columns):
        return
    rows = [["", *(name for name, _ in columns)]]
    rows += [[labels.get(key, str(key + 1)), *(points.get(key, "") for _, points in columns)] for key in places]
    title = _text(chart.find(f"{ANY}chart/{ANY}title"))
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    yield "\n".join([f"Chart: {title}" if title else "Chart:", "", lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def _name(series: ElementTree.Element) -> str:
    found = series.find(f"{ANY}tx")
    return " ".join((_text(found) or next(iter(_points(series, "tx").values()), "")).split())


def _text(element: ElementTree.Element | None) -> str:
    """The text that was typed, as against that of a cell."""
    pieces = [each.text or "" for each in element.iter() if name_of(each) == "t"] if element is not None else []
    return " ".join("".join(pieces).split())


def _points(series: ElementTree.Element, *names: str) -> dict[int, str]:
    """Position -> stored value. Labels may have several levels, the innermost of which comes first."""
    points: dict[int, list[str]] = {}
    for name in names:
        for holder in series.findall(f"{ANY}{name}"):
            code = next((each.text or "" for each in holder.iter() if name_of(each) == "formatCode"), "")
            for each in holder.iter():
                index = attribute(each, "idx")
                if name_of(each) == "pt" and index.isdecimal() and len(points) < POINTS_MAX:
                    text = " ".join((each.findtext(f"{ANY}v") or "").split())
                    points.setdefault(int(index), []).append(_shown(text, code if name != "tx" else ""))
    return {key: " / ".join(reversed(texts)) for key, texts in points.items()}


def _shown(text: str, code: str) -> str:
    """A stored number as people read it: 0.25 with the format `0%` is 25%; binary fractions are rounded."""
    try:
        number = float(text)
    except ValueError:
        return text
    if "%" in code:
        return f"{number * 100:.12g}%"
    return f"{number:.15g}" if "e" not in f"{number:.15g}" and len(text) > 15 else text
