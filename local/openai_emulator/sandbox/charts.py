"""Runs inside the sandbox: makes matplotlib return every figure as a PNG, and label charts in any script.

`runner.py` loads this file by its path. A figure is returned once: by `plt.show()`, at the end of a cell, or because
the code itself saved it as an image into a folder of the session.
"""

from __future__ import annotations

import filecmp
import functools
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp")
MAX_FILES = 1_000  # of /tmp that are looked at after a cell
WITHOUT_GLYPHS = ("Last Resort", ".LastResort", "Adobe Blank")  # boxes or blanks for everything
PREFERRED = ("Noto Sans", "Source Han Sans", "WenQuanYi", "IPA", "Nanum", "Free", "Unifont")  # then any other
SHOWN_CHARACTERS = 12

missing: set[str] = set()  # characters that no font has, since the last report


def set_up(folder: Callable[[], Path]) -> None:
    """Import matplotlib and replace what shows and saves figures.

    Args:
        folder: Returns where figures are saved; a session that is forked learns it late.
    """
    import matplotlib._text_helpers
    import matplotlib.figure
    import matplotlib.pyplot as plt
    import matplotlib.text

    savefig, set_text = matplotlib.figure.Figure.savefig, matplotlib.text.Text.set_text

    def savefig_and_note(self: Any, fname: Any, *args: Any, **kwargs: Any) -> None:
        savefig(self, fname, *args, **kwargs)
        if isinstance(fname, str | os.PathLike) and _is_image(os.fspath(fname), kwargs.get("format")):
            self.stale = False  # from now on, true once something has changed
            self.saved_by_user = True

    def set_text_with_fonts(self: Any, text: Any) -> None:
        set_text(self, text)
        if text is not None and not str(text).isascii() and (fonts := fonts_for(str(text))):
            families = [name for name in self.get_fontfamily() if name not in fonts]
            self.set_fontfamily([*families, *fonts])

    matplotlib.figure.Figure.savefig = savefig_and_note  # type: ignore[method-assign]
    matplotlib.figure.Figure.show = lambda self, warn=True: save_figure(self, folder())  # type: ignore[method-assign]
    matplotlib.text.Text.set_text = set_text_with_fonts  # type: ignore[method-assign,assignment]
    helpers: Any = matplotlib._text_helpers
    helpers.warn_on_missing_glyph = lambda code, _: missing.add(chr(code))
    plt.show = lambda *args, **kwargs: save_figures(folder())


def save_figures(folder: Path) -> None:
    """Save every open figure that the code did not save, and close all figures."""
    plt = sys.modules.get("matplotlib.pyplot")
    if plt is None:
        return
    try:
        for number in plt.get_fignums():
            save_figure(plt.figure(number), folder)
    finally:
        plt.close("all")


def save_figure(figure: Any, folder: Path) -> None:
    if not getattr(figure, "saved_by_user", False) or figure.stale:
        number = next(n for n in range(1, 100_000) if not (folder / f"figure-{n}.png").exists())
        figure.savefig(folder / f"figure-{number}.png", dpi=150, bbox_inches="tight")


def close_figures() -> None:
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


def _is_image(name: str, given: str | None) -> bool:
    """Whether `savefig` makes an image of this name; without an ending it makes a PNG."""
    ending = f".{given}" if given else Path(name).suffix
    return ending.lower() in ("", *IMAGES)


# ---- images elsewhere ------------------------------------------------------------------------------------------------


def bring_images(place: Path, folder: Path, *, since_ns: int) -> None:
    """Copy images that code saved at `place` since then into `folder`, whose files are returned."""
    for path in _new_images(place, since_ns):
        target, number = folder / path.name, 0
        while target.exists() and not filecmp.cmp(path, target, shallow=False):
            number += 1
            target = folder / f"{path.stem}-{number}{path.suffix}"
        if not target.exists():
            shutil.copyfile(path, target)


def _new_images(place: Path, since_ns: int) -> Iterator[Path]:
    seen = 0
    for top, folders, files in os.walk(place):
        folders[:] = [name for name in folders if name != "matplotlib"]
        for name in files:
            seen += 1
            if seen > MAX_FILES:
                return
            path = Path(top, name)
            if path.suffix.lower() in IMAGES and path.lstat().st_mtime_ns >= since_ns and not path.is_symlink():
                yield path


# ---- scripts ---------------------------------------------------------------------------------------------------------


def fonts_for(text: str) -> list[str]:
    """The font families that have the characters which the default font has not."""
    fonts = {font for character in set(text) - default_characters() if (font := font_with(character))}
    return sorted(fonts)


@functools.cache
def default_characters() -> frozenset[str]:
    import matplotlib.font_manager as fonts

    return _characters(fonts.findfont("DejaVu Sans")) | {"\n", "\t", "\r"}


@functools.cache
def font_with(character: str) -> str | None:
    """A family of this machine that has the character."""
    return next((name for name, path in _candidates() if character in _characters(path)), None)


@functools.cache
def _candidates() -> list[tuple[str, str]]:
    """Family and path of the installed fonts, in regular style, the preferred ones first."""
    import matplotlib.font_manager as fonts

    regular = [one for one in fonts.fontManager.ttflist if one.style == "normal" and one.weight in (400, "normal")]
    regular = [one for one in regular if not one.name.startswith(WITHOUT_GLYPHS)]

    def rank(name: str) -> int:
        return next((n for n, start in enumerate(PREFERRED) if name.startswith(start)), len(PREFERRED))

    return sorted({(one.name, one.fname) for one in regular}, key=lambda pair: (rank(pair[0]), pair))


@functools.lru_cache(maxsize=64)
def _characters(path: str) -> frozenset[str]:
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(map(chr, FT2Font(path).get_charmap()))
    except (OSError, RuntimeError):
        return frozenset()


def missing_sentence() -> str:
    """A sentence about the characters that charts show as boxes since the last call; '' if there are none."""
    found = sorted(missing)
    missing.clear()
    return _sentence(found) if found else ""


def _sentence(found: Iterable[str]) -> str:
    characters = list(found)
    shown = " ".join(characters[:SHOWN_CHARACTERS]) + (" ..." if len(characters) > SHOWN_CHARACTERS else "")
    return f"[No font of this machine has these characters, which charts show as boxes: {shown}]\n"
