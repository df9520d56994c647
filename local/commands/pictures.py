"""Charts of answers: saved as files, and shown in terminals that can show pictures.

A terminal says in the environment what it is, or that it shows sixels when it is asked. One that only may show pictures
gets none: it would print the bytes.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from local.client import Client, Json
from local.commands import sixel
from local.errors import LocalError
from local.paths import LOCAL
from local.terminal import Terminal

Protocol = Literal["kitty", "iterm2", "sixel"]
FOLDER = LOCAL / "charts"
PNG = b"\x89PNG\r\n\x1a\n"
ENDINGS = {"image/png": ".png", "image/jpeg": ".jpg", "image/gif": ".gif", "image/webp": ".webp"}
SHOWN_MAX_BYTES = 8_000_000
CHUNK_CHARS = 4096  # the most that kitty takes in one sequence
COLUMNS = 72
ITERM2 = {"iTerm.app", "WezTerm", "mintty"}


def protocol(environ: Mapping[str, str], *, is_terminal: bool) -> Protocol | None:
    """How this terminal shows pictures; None if it does not say that it does.

    A multiplexer passes the variables of the terminal around it to its shells, but not pictures to the terminal.
    """
    term, program = environ.get("TERM", ""), environ.get("TERM_PROGRAM", "")
    if not is_terminal or "TMUX" in environ or "STY" in environ or term.startswith(("screen", "tmux", "dumb")):
        return None
    if "KITTY_WINDOW_ID" in environ or term in ("xterm-kitty", "xterm-ghostty") or program == "ghostty":
        return "kitty"
    if program in ITERM2 or environ.get("LC_TERMINAL") == "iTerm2":
        return "iterm2"
    return None


def sequences(picture: bytes, how: Protocol) -> Iterator[str]:
    """What makes a terminal show a PNG. All of it is base64, or pixels, but our own few characters.

    Sources: https://sw.kovidgoyal.net/kitty/graphics-protocol/ and https://iterm2.com/documentation-images.html
    """
    if how == "sixel":
        if (pixels := sixel.encoded(picture)) is not None:
            yield pixels
        return
    text = b64encode(picture).decode()
    if how == "iterm2":
        yield f"\x1b]1337;File=inline=1;size={len(picture)};width={COLUMNS};preserveAspectRatio=1:{text}\x07"
        return
    chunks = [text[at : at + CHUNK_CHARS] for at in range(0, len(text), CHUNK_CHARS)]
    for number, chunk in enumerate(chunks):
        first = f"a=T,f=100,q=2,c={COLUMNS}," if number == 0 else ""  # q=2: no answer, which would be read as typed
        yield f"\x1b_G{first}m={int(number < len(chunks) - 1)};{chunk}\x1b\\"


@dataclass(frozen=True)
class Charts:
    """What is done with the charts of answers.

    Args:
        folder: Gets a folder for each run.
        how: The protocol of the terminal, if it is known to show pictures.
        shows_sixels: Asks the terminal, if nothing is known; called when there is a chart to show.
    """

    folder: Path = FOLDER
    how: Protocol | None = None
    shows_sixels: Callable[[], bool] = lambda: False

    def save(self, terminal: Terminal, client: Client, run: Json) -> dict[int, Path]:
        """Write the charts of a run into the folder; return number -> file. One that cannot be had is said."""
        saved: dict[int, Path] = {}
        for chart in run.get("charts") or []:
            number = int(chart["n"])
            ending = ENDINGS.get(chart["media_type"], ".bin")  # never a name that a model chose
            path = self.folder / run["id"] / f"chart-{number}{ending}"
            try:
                content = client.chart(run["id"], number)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            except (LocalError, OSError) as exc:
                terminal.error(f"Chart {number} could not be saved: {exc}")
            else:
                saved[number] = path
        return saved

    def show(self, terminal: Terminal, saved: Mapping[int, Path]) -> None:
        """Show the saved charts, in a terminal that can."""
        pictures = [path.read_bytes() for path in saved.values()]
        shown = [each for each in pictures if each.startswith(PNG) and len(each) <= SHOWN_MAX_BYTES]
        how: Protocol | None = self.how or ("sixel" if shown and self.shows_sixels() else None)
        if how:
            for picture in shown:
                terminal.raw(sequences(picture, how))
