"""Sixel: how many terminals show a picture. They say that they do when they are asked for their attributes.

Sources: https://vt100.net/docs/vt3xx-gp/chapter14.html and https://invisible-island.net/xterm/ctlseqs/ctlseqs.html
"""

from __future__ import annotations

import io
import os
import re
import select
import sys
import time
from collections.abc import Iterator
from itertools import groupby

WIDEST_PX = 640
HIGHEST_PX = 800
LARGEST_PX = 40_000_000
COLOURS = 64
BAND_PX = 6  # one sixel is six pixels, one below the other
WITHIN_S = 2.0  # a terminal that knows the question answers at once, also over a slow line
ASK = b"\x1b[c"
ANSWER = re.compile(rb"\x1b\[\?([\d;]{1,64})c")
ANSWER_MAX_BYTES = 80
SIXEL = b"4"


def is_shown(*, within_s: float = WITHIN_S) -> bool:
    """Ask the terminal whether it shows sixels. It is not asked while something is typed that nobody has read."""
    if sys.platform == "win32":
        return False
    import termios

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    source, target = sys.stdin.fileno(), sys.stdout.fileno()
    before = termios.tcgetattr(source)
    unechoed = [*before[:3], before[3] & ~(termios.ICANON | termios.ECHO), *before[4:]]
    termios.tcsetattr(source, termios.TCSANOW, unechoed)
    try:
        if select.select([source], [], [], 0)[0]:
            return False
        os.write(target, ASK)
        return says_sixel(_answer(source, within_s))
    finally:
        termios.tcsetattr(source, termios.TCSANOW, before)


def says_sixel(answer: bytes) -> bool:
    """Whether sixels are among the attributes of a terminal; the first number is its kind."""
    found = ANSWER.search(answer)
    return found is not None and SIXEL in found[1].split(b";")[1:]


def _answer(source: int, within_s: float) -> bytes:
    answer, deadline_s = b"", time.monotonic() + within_s
    while not answer.endswith(b"c") and len(answer) < ANSWER_MAX_BYTES:
        left_s = deadline_s - time.monotonic()
        if left_s <= 0 or not select.select([source], [], [], left_s)[0]:
            break
        answer += os.read(source, 1)  # no more: what follows the answer was typed
    return answer


def encoded(picture: bytes) -> str | None:
    """A PNG as sixels, on white, at most 640 pixels wide; None when Pillow is not there or cannot read it."""
    try:
        import numpy as np
        from PIL import Image
    except ImportError:
        return None
    try:
        with Image.open(io.BytesIO(picture), formats=["PNG"]) as image:
            if image.width * image.height > LARGEST_PX:
                return None
            layer = image.convert("RGBA")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # what Pillow raises for bad files
        return None
    flat = Image.new("RGB", layer.size, "white")
    flat.paste(layer, mask=layer.getchannel("A"))
    flat.thumbnail((WIDEST_PX, HIGHEST_PX))
    few = flat.quantize(COLOURS)
    palette = few.getpalette() or []
    pixels = np.asarray(few)
    weights = 1 << np.arange(BAND_PX)
    bands = []
    for top in range(0, few.height, BAND_PX):
        band = pixels[top : top + BAND_PX]
        rows = [
            f"#{colour}{_packed((weights[: len(band)] @ (band == colour)).tolist())}"
            for colour in np.unique(band).tolist()
        ]
        bands.append("$".join(rows))  # $: back to the left; -: to the next band
    colours = "".join(f"#{n};2;{';'.join(_percent(palette[3 * n : 3 * n + 3]))}" for n in range(len(palette) // 3))
    return f'\x1bPq"1;1;{few.width};{few.height}{colours}{"-".join(bands)}\x1b\\'


def _percent(rgb: list[int]) -> Iterator[str]:
    return (str(round(value * 100 / 255)) for value in rgb)


def _packed(sixels: list[int]) -> str:
    """The characters of a row; `!` and a number stand for repetitions."""
    runs = ((chr(63 + value), len(list(same))) for value, same in groupby(sixels))
    return "".join(f"!{count}{char}" if count > 3 else char * count for char, count in runs)
