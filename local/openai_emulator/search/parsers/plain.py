"""Plain text, source code, Markdown and JSON, in any encoding."""

from __future__ import annotations

import codecs
import json
import re
from typing import Literal

from local.openai_emulator.search.parsers.base import Section, invalid

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, because the UTF-32 mark starts with the UTF-16 mark
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f\ufffd]")
_HEADING = re.compile(r"#{1,6}\s+(?=\S)")
_FENCE = re.compile(r"^\s{0,3}(```|~~~)")
_MAX_HIGH_SHARE = 0.3  # Western text in cp1252 is mostly ASCII; Cyrillic or Japanese bytes are mostly not
_SAMPLE_BYTES = 256 * 1024


def parse_plain(content: bytes, kind: Literal["markdown", "json", "text"]) -> list[Section]:
    text = decode(content).replace("\r\n", "\n").replace("\r", "\n")
    if kind == "markdown":
        return _markdown(text)
    return [Section(text=_indented(text) if kind == "json" else text)]


def decode(content: bytes) -> str:
    """Decode text: by byte order mark, as UTF-8, as cp1252 if most bytes are ASCII, else as charset_normalizer detects.

    Raises:
        ParseError: more than a tenth of the characters are control characters, so this is not text.
    """
    text = _decode(content).replace("\x00", " ")
    controls = len(_CONTROL.findall(text[:_SAMPLE_BYTES]))
    if controls > 0.1 * len(text[:_SAMPLE_BYTES]):
        raise invalid("This file does not contain text.")
    return text


def _decode(content: bytes) -> str:
    for mark, encoding in _BOMS:
        if content.startswith(mark):
            return content[len(mark) :].decode(encoding, errors="replace")
    nul_share = content[:_SAMPLE_BYTES].count(0) / max(len(content[:_SAMPLE_BYTES]), 1)
    if nul_share > 0.2:  # UTF-16 without a byte order mark: every second byte of Western text is zero
        return content.decode("utf-16-be" if content[0] == 0 else "utf-16-le", errors="replace")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        pass
    if _looks_western(content[:_SAMPLE_BYTES]):
        return content.decode("cp1252", errors="replace")
    return _guess(content)


def _looks_western(sample: bytes) -> bool:
    high = sum(byte >= 0x80 for byte in sample)
    return high <= _MAX_HIGH_SHARE * len(sample)


def _guess(content: bytes) -> str:
    from charset_normalizer import from_bytes

    best = from_bytes(content[:_SAMPLE_BYTES]).best()
    return content.decode(best.encoding if best else "cp1252", errors="replace")


def _indented(text: str) -> str:
    """JSON with line breaks, where chunks can start; text that is not valid JSON is returned unchanged."""
    if text.count("\n") * 200 > len(text):
        return text
    try:
        return json.dumps(json.loads(text), ensure_ascii=False, indent=1)
    except (ValueError, RecursionError):
        return text


def _markdown(text: str) -> list[Section]:
    sections: list[Section] = []
    heading: str | None = None
    lines: list[str] = []
    in_code = False
    for line in [*text.split("\n"), "# end"]:
        in_code ^= bool(_FENCE.match(line))
        marks = None if in_code else _HEADING.match(line)
        if not marks:
            lines.append(line)
            continue
        body = "\n".join(lines).strip("\n")
        if heading or body.strip():
            sections.append(Section(text=body, heading=heading))
        title = line[marks.end() :].rstrip()
        heading, lines = title.rstrip("#").rstrip() or title, []
    if in_code:  # an unclosed fence: the end mark became code
        sections.append(Section(text="\n".join(lines[:-1]).strip("\n"), heading=heading))
    return sections
