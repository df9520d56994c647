"""Row numbers and names in words, for the notes on a table. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

RUNS_MAX = 6  # that a note names
NAME_MAX_CHARS = 40


class RowNumbers:
    """Numbers of rows, added in their order. Only the first runs of them are held, whatever their number."""

    def __init__(self, numbers: Iterable[int] = ()) -> None:
        self.clear()
        for number in numbers:
            self.add(number)

    def clear(self) -> None:
        self.count = 0
        self._held = 0  # of them in the runs
        self._runs: list[list[int]] = []  # first and last number

    def __len__(self) -> int:
        return self.count

    def add(self, number: int) -> None:
        self.count += 1
        if self._runs and number == self._runs[-1][1] + 1:
            self._runs[-1][1] = number
        elif len(self._runs) < RUNS_MAX:
            self._runs.append([number, number])
        else:
            return
        self._held += 1

    def put_first(self, number: int) -> None:
        """Add a number below all others."""
        self.count += 1
        self._held += 1
        self._runs.insert(0, [number, number])

    def words(self) -> str:
        """`row 4`, `rows 4, 6 to 9 and 12`, `rows 4, 6, 8, 10, 12, 14 and 90 more`."""
        shown = []
        for first, last in self._runs:
            shown += [str(n) for n in range(first, last + 1)] if last <= first + 1 else [f"{first} to {last}"]
        more = self.count - self._held
        shown += [f"{more:,} more"] if more else []
        listed = f"{', '.join(shown[:-1])} and {shown[-1]}" if len(shown) > 1 else "".join(shown)
        return f"row {listed}" if self.count == 1 else f"rows {listed}"

    def are(self, one: str, many: str) -> str:
        """`row 5 is a total`, `rows 5, 8 and 9 are totals`."""
        return f"{self.words()} {one if self.count == 1 else many}"


def listed(names: Sequence[str], most: int = 6) -> str:
    shown = ", ".join(name[:NAME_MAX_CHARS] for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
