"""Subtitles (WebVTT, SRT): what is said, in one section a minute, so that a quote is found again at its time.

Source: https://www.w3.org/TR/webvtt1/
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import IO

from shared.formats.markdown.base import Converted, escaped, sections
from shared.formats.tables.encoding import encoding_of

TIME = r"(?:(\d{1,3}):)?(\d{1,2}):(\d{2})[.,]\d{1,3}"
TIMING = re.compile(rf"^\s*{TIME}\s*-->\s*{TIME}")
SPEAKER = re.compile(r"<v(?:\.[^\s<>]{0,60})?\s([^<>]{0,200})>")
TAG = re.compile(r"</?[A-Za-z][^<>]*>|<\d[\d:.]*>|\{\\[^{}]*\}")  # also of styles that SRT has from other formats


def is_subtitles(head: bytes) -> bool:
    """Whether the start of a file is WebVTT or SRT."""
    text = head[:4096].decode("utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "latin-1", "replace")
    is_vtt = re.match("(?:ï»¿|\ufeff)?WEBVTT(?:[ \t\r\n]|$)", text)
    return bool(is_vtt or any(TIMING.match(line) for line in text.splitlines()[:20]))


def subtitles(content: IO[bytes]) -> Converted:
    content.seek(0)
    codec = encoding_of(content).codec
    content.seek(0)
    text = content.read().decode(codec, "replace").removeprefix("\ufeff")
    lines: list[str] = []
    minute, before, speaker = -1, "", ""
    for start, said in _cues(text.replace("\r\n", "\n").replace("\r", "\n")):
        if start // 60 > minute:
            minute = start // 60
            lines += ["", f"## {minute // 60:02}:{minute % 60:02}:00", ""]
            before = ""
        for name, words in said:
            if words == before:  # scrolling subtitles repeat the line before
                continue
            before = words
            lines.append(escaped(f"{name}: {words}" if name and name != speaker else words))
            speaker = name
    return sections("\n".join(lines))


def _cues(text: str) -> Iterator[tuple[int, list[tuple[str, str]]]]:
    """The start in seconds, and the lines with their speakers, of each cue. Notes and styles have no timing."""
    for block in re.split(r"\n[ \t]*\n", text):
        lines = block.split("\n")
        for number, line in enumerate(lines):
            if found := TIMING.match(line):
                hours, minutes, seconds = (int(part or 0) for part in found.groups()[:3])
                said = [_said(line) for line in lines[number + 1 :]]
                yield hours * 3600 + minutes * 60 + seconds, [line for line in said if line[1]]
                break


def _said(line: str) -> tuple[str, str]:
    found = SPEAKER.search(line)
    words = html.unescape(TAG.sub("", SPEAKER.sub("", line)))
    return (" ".join(html.unescape(found[1]).split()) if found else ""), " ".join(words.split())
