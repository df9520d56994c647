"""The result of one check, and the report of all of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from local.terminal import Terminal


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The result of one check.

    Attributes:
        name: What was checked, as the report shows it.
        detail: What the check found.
        fix: The command or step that repairs it; empty if nothing is wrong.
    """

    name: str
    detail: str
    fix: str = ""

    @property
    def ok(self) -> bool:
        return not self.fix


def report(terminal: Terminal, findings: Iterator[Finding]) -> int:
    """Print each finding as soon as it is known; return 0 if all are ok, else 1."""
    wrong = 0
    for found in findings:
        terminal.pair(found.name, f"{'ok   ' if found.ok else 'WRONG'}  {found.detail}", "" if found.ok else "red")
        if not found.ok:
            wrong += 1
            terminal.say(f"{'':26}fix: {found.fix}", style="yellow")
    terminal.say()
    terminal.say(f"{wrong} problems found; fix the first one first." if wrong else "No problems found.")
    return 1 if wrong else 0
