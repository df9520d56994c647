"""Foreign text on its way to a terminal or a log: without characters that control either.

Names, documents, answers and error texts are foreign. An escape sequence could rewrite what a terminal shows, a newline
forge a line of a log, and a direction or zero-width character hide what a name says.
"""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Iterator

HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # controls, direction and zero width, surrogates, line separators
LAYOUT = "\n\t"
INDENT = "    "


def printable(text: str) -> str:
    """The text without hidden characters, for a terminal; newlines and tabs stay."""
    return text if text.isprintable() else "".join(char for char in text if char in LAYOUT or not is_hidden(char))


def one_line(text: str) -> str:
    """The text in one line, its hidden characters as escapes such as `\\n` and `\\u202e`: for names and for logs."""
    return text if text.isprintable() else "".join(map(_escaped, text))


def is_hidden(char: str) -> bool:
    """Whether a character has no glyph of its own; spaces do."""
    return unicodedata.category(char) in HIDDEN


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode() if is_hidden(char) else char


class PlainFormatter(logging.Formatter):
    """Writes a record in one line, and below it, indented, the lines of its traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """No line of a record looks like the beginning of another one, whatever text it has."""
        record.message = record.getMessage()
        if self.usesTime():
            record.asctime = self.formatTime(record, self.datefmt)
        return "\n".join([one_line(self.formatMessage(record)), *self._below(record)])

    def _below(self, record: logging.LogRecord) -> Iterator[str]:
        traceback = self.formatException(record.exc_info) if record.exc_info else ""
        for line in (*traceback.splitlines(), *(record.stack_info or "").splitlines()):
            yield f"{INDENT}{one_line(line)}"
