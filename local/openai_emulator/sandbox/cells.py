"""Runs inside the sandbox: what a notebook understands beyond Python. `runner.py` loads this file by its path."""

from __future__ import annotations

import ast
import contextlib
import re
import subprocess

LINE = re.compile(r"^(\s*)([!%]{1,2})(.*)$")
PIP = re.compile(r"^\s*(python3?\s+-m\s+)?(pip3?|conda|mamba|uv)\b.*\b(install|add)\b")
NO_PIP = "[Nothing can be installed here, there is no network: use the packages that are there.]"
IGNORED = ("matplotlib", "config", "load_ext", "autoreload")  # they change nothing here


def parse(code: str, cell: str) -> ast.Module:
    """Parse a cell, with lines of a notebook: `!command` runs in a shell, `%matplotlib` does nothing.

    Raises:
        SyntaxError: it is no Python either.
    """
    lines = code.splitlines()
    with contextlib.suppress(SyntaxError):
        return ast.parse(code, cell)
    return ast.parse("\n".join(map(as_python, lines)) if any(map(is_special, lines)) else code, cell)


def is_special(line: str) -> bool:
    return bool(LINE.match(line) or PIP.match(line))


def as_python(line: str) -> str:
    """A line of a notebook as a line of Python."""
    if PIP.match(line):
        return f"{line[: len(line) - len(line.lstrip())]}print({NO_PIP!r})"
    found = LINE.match(line)
    if found is None:
        return line
    indent, sign, rest = found.groups()
    words = rest.split()
    if PIP.match(rest):
        return f"{indent}print({NO_PIP!r})"
    if sign == "!":
        return f"{indent}__import__('sys').modules['cells'].shell({rest.strip()!r})"
    if words and words[0] in IGNORED:
        return f"{indent}pass"
    return f"{indent}print({f'[{sign}{rest.strip()} is not understood here: write it in Python.]'!r})"


def shell(command: str) -> None:
    """Run a command; its output goes where that of the code goes."""
    subprocess.run(command, shell=True, check=False)  # noqa: S602
