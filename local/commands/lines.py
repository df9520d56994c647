"""What a user types in `chat`: lines with editing and a history, questions of several lines."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from local.commands.asking import readable
from local.errors import LocalError
from local.private import private_file, private_folder

try:
    import readline as _readline
except ImportError:  # Windows, whose console edits lines and keeps a history itself
    _readline = None  # type: ignore[assignment]

HISTORY_MAX_LINES = 1_000
BLOCK = '"""'
CONTINUED = "\\"
PROMPT, MORE = "you › ", "  … "


def question(read: Callable[[str], str]) -> str:
    """Read one question: a line, lines that end in a backslash and the next one, or all between two `\"\"\"`.

    Args:
        read: Shows a prompt and returns a line.

    Raises:
        EOFError: the input has ended; so has, within a question, what was typed of it.
    """
    line = read(PROMPT).strip()
    if line.startswith(BLOCK):
        return _block(line.removeprefix(BLOCK), read)
    lines = [line]
    while lines[-1].endswith(CONTINUED):
        lines[-1] = lines[-1].removesuffix(CONTINUED).rstrip()
        lines.append(_next(read, "").rstrip())
    return "\n".join(lines).strip()


def _block(first: str, read: Callable[[str], str]) -> str:
    lines = [first]
    while not lines[-1].rstrip().endswith(BLOCK):
        lines.append(_next(read, BLOCK))
    lines[-1] = lines[-1].rstrip().removesuffix(BLOCK)
    return "\n".join(lines).strip()


def _next(read: Callable[[str], str], at_end: str) -> str:
    """The next line; at the end of the input, what ends the question."""
    try:
        return read(MORE)
    except EOFError:
        return at_end


class Lines:
    """Reads lines from stdin. On a terminal they can be edited, and the history is kept in a private file.

    Args:
        history: The file; None keeps no history.
        is_quiet: Whether no prompt is shown: stdout is for programs.
    """

    def __init__(self, history: Path | None, *, is_quiet: bool = False) -> None:
        self._is_quiet = is_quiet
        is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
        self._style = ("\x01\x1b[1;32m\x02", "\x01\x1b[0m\x02") if is_terminal and _readline else ("", "")
        self._history = _opened(_readline, history) if is_terminal and history else None
        if hasattr(sys.stdin, "reconfigure"):
            sys.stdin.reconfigure(errors="replace")

    def read(self) -> str:
        """The next question, without white space around it.

        Raises:
            EOFError: the input has ended.
            KeyboardInterrupt: Ctrl-C was pressed.
        """
        return readable(question(self._line))

    def _line(self, prompt: str) -> str:
        if self._is_quiet:
            if not (line := sys.stdin.readline()):
                raise EOFError
            return line.rstrip("\n")
        before, after = self._style
        line = input(f"{before}{prompt}{after}")
        if self._history and line.strip():
            _keep(_readline, self._history)
        return line


def _opened(readline: ModuleType | None, path: Path) -> Path | None:
    """Read a history file; None if there can be none, which stops no chat."""
    if readline is None:
        return None
    try:
        private_folder(path.parent)
        readline.read_history_file(str(private_file(path)))
    except (LocalError, OSError):  # no rights, or a file of another library
        return None
    readline.set_history_length(HISTORY_MAX_LINES)
    return path


def _keep(readline: ModuleType | None, path: Path) -> None:
    """Add the last line to the file at once: the process may be killed, and another chat may write, too."""
    append = getattr(readline, "append_history_file", None)
    if append is None:
        return
    try:
        append(1, str(path))
    except OSError:
        return
