"""Sixels: which terminals are asked, what they answer, and what is sent to them."""

from __future__ import annotations

import io
import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from PIL import Image

from local.commands import sixel
from local.commands.pictures import PNG, sequences

LONG_S = 300.0


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"\x1b[?62;4;6;22c", True),
        (b"\x1b[?62;4c", True),
        (b"\x1b[?62;22;4c", True),
        (b"\x1b[?62;22c", False),
        (b"\x1b[?4;22c", False),  # the first number is the kind of terminal
        (b"\x1b[?62;42;14c", False),
        (b"\x1b[?6c", False),
        (b"", False),
        (b"4;4;4c", False),
        (b"\x1b[?62;4;6", False),
    ],
)
def test_attributes(answer: bytes, expected: bool) -> None:
    assert sixel.says_sixel(answer) is expected


@contextmanager
def terminal() -> Iterator[int]:
    """A pseudo-terminal as stdin and stdout; yields its other side."""
    import pty

    master, slave = pty.openpty()
    with os.fdopen(slave, "r+b", buffering=0) as raw, pytest.MonkeyPatch.context() as patch:
        text = io.TextIOWrapper(raw, write_through=True)
        patch.setattr(sys, "stdin", text)
        patch.setattr(sys, "stdout", text)
        yield master
        text.detach()
    os.close(master)


posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals of this kind")


@posix
@pytest.mark.parametrize(("answer", "expected"), [(b"\x1b[?62;4;22c", True), (b"\x1b[?62;22c", False)])
def test_a_terminal_is_asked(answer: bytes, expected: bool) -> None:
    """What is typed behind its answer stays for the next line."""
    asked: list[bytes] = []

    def play(master: int) -> None:
        asked.append(os.read(master, len(sixel.ASK)))
        os.write(master, answer + b"next question\n")

    with terminal() as master:
        thread = threading.Thread(target=play, args=(master,))
        thread.start()
        assert sixel.is_shown(within_s=LONG_S) is expected
        thread.join()
        assert sys.stdin.readline() == "next question\n"
    assert asked == [sixel.ASK]


@posix
def test_a_terminal_that_does_not_answer_shows_none() -> None:
    with terminal() as master:
        assert sixel.is_shown(within_s=0) is False
        assert os.read(master, len(sixel.ASK)) == sixel.ASK


@posix
def test_nothing_is_asked_while_something_was_typed() -> None:
    with terminal() as master:
        os.write(master, b"typed ahead\n")
        assert sixel.is_shown(within_s=LONG_S) is False
        assert sys.stdin.readline() == "typed ahead\n"


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def decoded(text: str) -> Image.Image:
    """The picture that a terminal draws."""
    found = re.fullmatch(r'\x1bPq"1;1;(\d+);(\d+)((?:#\d+;2;\d+;\d+;\d+)*)([^\x1b]*)\x1b\\', text)
    assert found
    width, height = int(found[1]), int(found[2])
    colours = {
        int(n): tuple(round(int(value) * 255 / 100) for value in rgb)
        for n, *rgb in re.findall(r"#(\d+);2;(\d+);(\d+);(\d+)", found[3])
    }
    image = Image.new("RGB", (width, height), (1, 2, 3))
    for band, rows in enumerate(found[4].split("-")):
        for row in rows.split("$"):
            colour, drawn = re.fullmatch(r"#(\d+)(.*)", row).groups()  # type: ignore[union-attr]
            x = 0
            for count, char in re.findall(r"(?:!(\d+))?([?-~])", drawn):
                for _ in range(int(count or 1)):
                    for bit in range(6):
                        if (ord(char) - 63) >> bit & 1:
                            image.putpixel((x, 6 * band + bit), colours[int(colour)])
                    x += 1
            assert x == width
    return image


@pytest.mark.parametrize("size", [(1, 1), (7, 13), (40, 6)])
def test_the_terminal_draws_the_picture(size: tuple[int, int]) -> None:
    image = Image.new("RGBA", size, (255, 0, 0, 255))
    image.putpixel((size[0] - 1, size[1] - 1), (0, 0, 255, 255))
    image.putpixel((0, 0), (0, 0, 0, 0))  # nothing: the terminal's background is not seen, white is
    text = sixel.encoded(png(image))
    assert text
    drawn = decoded(text)
    assert drawn.size == size
    flat = Image.new("RGB", size, "white")
    flat.paste(image, mask=image.getchannel("A"))
    assert list(drawn.get_flattened_data()) == list(flat.get_flattened_data())


def test_a_large_picture_becomes_smaller() -> None:
    text = sixel.encoded(png(Image.new("L", (3000, 1500), 128)))
    assert text
    assert decoded(text).size == (640, 320)


@pytest.mark.parametrize(
    "content", [b"", PNG, PNG + b"\x00" * 40, png(Image.effect_noise((90, 90), 50))[:2000], b"GIF89a"]
)
def test_what_is_no_picture_prints_nothing(content: bytes) -> None:
    assert list(sequences(content, "sixel")) == []
