"""Records: compare-and-swap, and names from outside as parts of blob names."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import BlobChanged
from shared.storage.layout import KEY_MAX_CHARS, key_of
from shared.storage.records import Records, pack, unpack
from tests.fakes import InMemoryBlobs

PATHS = st.text(
    alphabet=st.one_of(st.sampled_from("./%2E~ \\é文#?"), st.characters(exclude_categories=["Cs"])), max_size=60
)


@given(PATHS, PATHS)
def test_keys_are_one_to_one(one: str, other: str) -> None:
    assert (key_of(one) == key_of(other)) == (one == other)


@given(PATHS)
def test_no_key_leaves_its_folder(path: str) -> None:
    key = key_of(path)
    assert not {".", ".."} & set(key.split("/"))
    assert key.isascii()
    assert not set(key) & set('\\?#"<>|\x00\x7f')
    assert key.count("/") == path.count("/")


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=100, max_size=1024))
def test_keys_of_long_names_are_bounded_and_differ(path: str) -> None:
    assert len(key_of(path)) <= KEY_MAX_CHARS + 65
    assert key_of(path) != key_of(path + "x")
    assert key_of(path) != key_of(path[:-1])


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("reports/a b.md", "reports/a b.md"),
        ("a/../b", "a/%2E%2E/b"),
        ("a/%2E%2E/b", "a/%252E%252E/b"),
        ("../a", "%2E%2E/a"),
        (".hidden", ".hidden"),
        ("...", "%2E%2E%2E"),
        ("ü", "%C3%BC"),
    ],
)
def test_keys_can_be_read(path: str, key: str) -> None:
    assert key_of(path) == key


@dataclass(frozen=True, kw_only=True)
class Note:
    text: str


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=200))
def test_what_is_packed_is_ascii_and_unpacked_the_same(text: str) -> None:
    packed = pack(Note(text=text))
    assert packed.isascii()
    assert unpack(packed, Note) == Note(text=text)


async def test_a_record_is_written_over_what_was_read_only() -> None:
    blobs = InMemoryBlobs()
    records = Records(blobs, Note, name=lambda id: f"notes/{id}.json", tags=lambda note: {"text": pack(note)})
    assert await records.read("a") is None
    first = await records.create("a", Note(text="1"))
    with pytest.raises(BlobChanged):
        await records.create("a", Note(text="again"))
    second = await records.replace("a", first, Note(text="2"))
    with pytest.raises(BlobChanged):
        await records.replace("a", first, Note(text="3"))
    assert await records.read("a") == second
    assert [blob.metadata async for blob in blobs.list("notes/")] == [{"text": pack(Note(text="2"))}]
    with pytest.raises(BlobChanged):
        await records.delete("a", first)
    await records.delete("a", second)
    assert blobs.names() == []
