"""Outlook messages are read as mails are."""

from __future__ import annotations

import io
import struct
from typing import IO

import pytest

from shared.formats.base import UnusableFile
from shared.formats.compound import Compound, DamagedCompound
from shared.formats.contents import look_inside
from shared.formats.markdown.base import Converted
from shared.formats.markdown.outlook import outlook
from shared.formats.markdown.reading import converted
from shared.formats.places import reading
from shared.formats.places.base import Reading
from tests.unit.formats.compound_files import Tree, attachment, compound, fixed, message, recipient, texts


def read(tree: Tree) -> Converted:
    return converted("msg", io.BytesIO(compound(tree)))


def test_a_message_has_its_headers_its_body_and_its_attachments() -> None:
    found = read(message())
    assert found.markdown.startswith(
        "# Umzug – neue Adresse\n\n"
        "- From: Nora Quist <nora@example.com>\n"
        "- To: Ops <ops@example.com>\n"
        "- Cc: Ben\n"
        "- Date: Mon, 03 Mar 2025 08:15:00 UTC\n"
        "- Attachments: boxes – März.csv\n\n"
        "The head office moves to Seestraße 14.\n"
    )
    assert found.markdown.count("Label your boxes.") == 200
    assert [place.name for place in found.places] == ["Umzug – neue Adresse"]
    assert "boxes – März.csv" in "".join(found.lost)


def test_a_forwarded_message_is_read_and_a_logo_is_not_named() -> None:
    inner = message(head_bytes=24, **texts({0x0037: "Boiler", 0x1000: "It costs 340 euros."}))
    outer = {
        "__attach_version1.0_#00000000": {**fixed({}, head_bytes=8), "__substg1.0_3701000D": inner},
        "__attach_version1.0_#00000001": attachment("image001.png", **texts({0x3712: "logo@1"})),
    }
    found = read(message(**outer))
    assert "## Boiler\n\n- From: Nora Quist" in found.markdown
    assert "It costs 340 euros." in found.markdown
    assert "image001" not in found.markdown + "".join(found.lost)


@pytest.mark.parametrize(
    ("page", "html"),
    [
        (65001, "340 €".encode()),
        (1252, "340 €".encode("cp1252")),
        (99999, "340 €".encode("cp1252")),
    ],
)
def test_a_message_of_before_unicode_with_an_html_body_is_decoded(page: int, html: bytes) -> None:
    tree = {
        **texts({0x0037: "Grüße", 0x0E04: "Ops; Ben"}, kind=0x001E),
        **fixed({0x3FDE0003: page}, head_bytes=32),
        "__substg1.0_10130102": b"<p>" + html + b"<p hidden>preview",
    }
    text = read(tree).markdown
    assert text == "# Grüße\n\n- To: Ops; Ben\n\n340 €\n" if page != 65001 else "340 €" in text
    assert "preview" not in text


def test_a_plain_body_that_only_points_to_the_html_is_not_taken() -> None:
    html = b"<p>" + b"The boiler costs 340 euros. " * 20
    tree = {
        **texts({0x0037: "x", 0x1000: "Open in a browser."}),
        "__substg1.0_10130102": html,
        **fixed({}, head_bytes=32),
    }
    assert "340 euros" in read(tree).markdown


def test_a_body_that_is_only_rich_text_is_named_as_not_read() -> None:
    tree = {**texts({0x0037: "Boiler"}), "__substg1.0_10090102": b"LZFu", **fixed({}, head_bytes=32)}
    assert "rich text" in "".join(read(tree).lost)


@pytest.mark.parametrize("time", [0, 2**63, 2**64 - 1])
def test_a_date_that_cannot_be_is_left_out(time: int) -> None:
    text = read({**texts({0x0037: "x"}), **fixed({0x00390040: time}, head_bytes=32)}).markdown
    assert "Date" not in text or not time


def test_the_list_of_recipients_is_bounded() -> None:
    many = {f"__recip_version1.0_#{number:08X}": recipient(1, f"P{number}", "") for number in range(600)}
    assert "P499" in read(message(**many)).markdown
    assert "P500" not in read(message(**many)).markdown


def test_the_content_decides_that_it_is_a_message() -> None:
    content = compound(message())
    assert look_inside("a.msg", io.BytesIO(content)).ending == "msg"
    found = look_inside("a.txt", io.BytesIO(content))
    assert (found.ending, found.notice and found.notice.code) == ("msg", "type_mismatch")
    assert look_inside("a.doc", io.BytesIO(compound({"WordDocument": b"\xec\xa5" + bytes(5_000)}))).ending == "doc"


# ---- compound files ----------------------------------------------------------------------------------------------


def test_streams_of_any_size_are_read_whole() -> None:
    sizes = (0, 1, 64, 4_095, 4_096, 99_999, 17_000_000)  # the last one needs two lists of sectors
    tree = {str(size): bytes(range(256)) * (size // 256) + bytes(size % 256) for size in sizes}
    file = Compound(io.BytesIO(compound({**tree, "folder": {"inner": b"x"}})))
    entries = file.children(file.root)
    assert {name: file.read(entries[name]) for name in tree} == tree
    assert file.read(file.children(entries["folder"])["inner"]) == b"x"


def with_number(content: bytes, place: int, number: int) -> bytes:
    return content[:place] + struct.pack("<I", number) + content[place + 4 :]


def test_a_chain_that_bites_its_tail_ends() -> None:
    content = compound({"a": bytes(9_000)})
    (sectors,) = struct.unpack_from("<I", content, 76)  # of the table of sectors
    table = 512 * (sectors + 1)
    (directory,) = struct.unpack_from("<I", content, 48)
    with pytest.raises(DamagedCompound):
        Compound(io.BytesIO(with_number(content, table + 4 * directory, directory)))
    entry = 512 * (directory + 1) + 128
    tail = with_number(content, entry + 68, 1)  # the entry is its own neighbour
    file = Compound(io.BytesIO(tail))
    assert list(file.children(file.root)) == ["a"]


@pytest.mark.parametrize("place", [30, 48, 60, 76])
def test_a_damaged_header_is_refused(place: int) -> None:
    content = compound(message())
    with pytest.raises(UnusableFile, match="damaged"):
        converted("msg", io.BytesIO(with_number(content, place, 0xFFFFFFF0)))


# ---- files that point to themselves ------------------------------------------------------------------------------


def test_a_message_that_is_forwarded_within_itself_is_damaged() -> None:
    """Without a limit, three such attachments are 6,561 messages, and ten never end."""
    inner = message(head_bytes=24)
    own = {
        f"__attach_version1.0_#{n:08X}": {**fixed({}, head_bytes=8), "__substg1.0_3701000D": inner} for n in range(10)
    }
    content = bytearray(compound(message(**own)))
    root = content.index("Root Entry".encode("utf-16-le"))
    child = content[root + 76 : root + 80]
    name, at = "__substg1.0_3701000D".encode("utf-16-le"), 0
    while (at := content.find(name, at + 1)) >= 0:
        content[at + 76 : at + 80] = child
    with pytest.raises(DamagedCompound, match=r"contain one another|share their bytes"):
        outlook(io.BytesIO(content))


def test_a_chain_that_is_longer_than_the_file_is_damaged() -> None:
    content = bytearray(compound(message()))
    content[64:68] = b"\xff\xff\xff\xff"  # how many sectors the table of small sectors has
    with pytest.raises(DamagedCompound, match="more sectors than the file"):
        Compound(io.BytesIO(content))


def test_small_messages_are_read_apart_too(monkeypatch: pytest.MonkeyPatch) -> None:
    apart: list[str] = []

    def noted(ending: str, content: IO[bytes]) -> Reading:
        apart.append(ending)
        return reading.read(ending, content)

    monkeypatch.setattr(reading, "read_apart", noted)
    small = compound({**texts({0x0037: "Hi", 0x1000: "Hello"}), **fixed({}, head_bytes=32)})
    assert len(small) <= reading.AT_ONCE_BYTES
    reading.reading_of("msg", io.BytesIO(small))
    assert apart == ["msg"]
