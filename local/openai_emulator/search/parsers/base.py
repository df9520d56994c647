"""The result and the error of every parser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ErrorCode = Literal["unsupported_file", "invalid_file"]


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of a document. `heading` precedes the text and is not repeated in `text`."""

    text: str
    page: int | None = None  # 1-based page or slide
    heading: str | None = None


class ParseError(Exception):
    """The file cannot be searched. `str()` is a sentence for the user who uploaded the file."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code: ErrorCode = code


def invalid(message: str) -> ParseError:
    return ParseError("invalid_file", message)


def unsupported(message: str) -> ParseError:
    return ParseError("unsupported_file", message)
