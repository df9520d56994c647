"""What goes along with a file in a vector store, and what is read out of it again."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.collections.attributes import OWN, PAIRS_MAX, Source, attributes_of, metadata_of, source_of
from shared.models.documents import Version

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
LATER = datetime(2026, 11, 23, tzinfo=UTC)
TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1)


def version(**metadata: str) -> Version:
    return Version(etag="0x1", size_bytes=1, last_modified_at=AT, kind="text", metadata=metadata)


@given(
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=1024),
    st.dictionaries(TEXT, st.text(max_size=2000), max_size=30),
)
def test_they_fit_and_carry_the_path(path: str, metadata: dict[str, str]) -> None:
    attributes = attributes_of(path, version(**metadata), since=LATER)
    assert len(attributes) <= PAIRS_MAX
    assert all(0 < len(key) <= 64 and len(str(value)) <= 512 for key, value in attributes.items())
    assert source_of(attributes) == Source(path=path, etag="0x1", last_modified_at=AT)
    assert metadata_of(attributes).keys() <= {key.lower() for key in metadata}


def test_metadata_can_be_compared_as_what_it_is() -> None:
    found = metadata_of(
        attributes_of("a.md", version(Team="hr", year="2024", rate="-0.5", draft="false", id="0042", n="1e5"), since=AT)
    )
    assert found == {"team": "hr", "year": 2024.0, "rate": -0.5, "draft": False, "id": "0042", "n": "1e5"}


@pytest.mark.parametrize("key", OWN)
def test_metadata_does_not_pass_for_ours(key: str) -> None:
    attributes = attributes_of("a.md", version(**{key: "forged", key.upper(): "forged"}), since=AT)
    assert "forged" not in attributes.values()


@pytest.mark.parametrize("attributes", [{}, {"path": 1}, {"etag": "0x1"}])
def test_foreign_files_have_no_source(attributes: dict[str, object]) -> None:
    assert source_of(attributes) is None
