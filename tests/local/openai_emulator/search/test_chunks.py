from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from local.openai_emulator.search import tokens
from local.openai_emulator.search.chunks import split
from local.openai_emulator.search.parsers import Section

SENTENCES = " ".join(f"Sentence number {n} says that pump {n} is checked." for n in range(400))
WORDS = st.sampled_from(
    ["alpha", "beta. ", "\n\n", "\n", " ", "  ", "| x | y |\n", "Ende!", "漢字です。", "🎉", "a" * 1500]
)
TEXTS = st.one_of(st.text(max_size=400), st.lists(WORDS, max_size=120).map("".join))
SECTIONS = st.lists(
    st.builds(Section, text=TEXTS, page=st.integers(1, 9) | st.none(), heading=st.none() | st.just("Title"))
)


def squeezed(text):
    return "".join(text.split())


@settings(max_examples=60, deadline=None)
@given(sections=SECTIONS)
@example(sections=[Section(text="a" * 30_000)])
@example(sections=[Section(text="🎉" * 3_000)])
def test_chunks_without_overlap_contain_the_whole_text(sections):
    chunks = split(sections, max_tokens=100, overlap_tokens=0)
    whole = "".join((section.heading or "") + section.text for section in sections)
    assert squeezed("".join(chunk.text for chunk in chunks)) == squeezed(whole)


@settings(max_examples=60, deadline=None)
@given(sections=SECTIONS)
def test_with_overlap_nothing_is_lost_and_no_chunk_is_too_long(sections):
    chunks = split(sections, max_tokens=100, overlap_tokens=50)
    rest = squeezed("".join((section.heading or "") + section.text for section in sections))
    covered = 0
    for chunk in chunks:
        assert chunk.tokens == tokens.count(chunk.text)
        assert chunk.tokens <= 100
        piece = squeezed(chunk.text)
        starts = [at for at in range(covered + 1) if rest.startswith(piece, at)]
        assert starts, "a chunk begins behind a gap"
        covered = max(covered, starts[-1] + len(piece))
    assert covered == len(rest)


def test_neighbours_share_about_the_overlap():
    chunks = split([Section(text=SENTENCES)], max_tokens=800, overlap_tokens=400)
    for left, right in pairwise(chunks):
        shared = next(n for n in range(len(right.text), 0, -1) if left.text.endswith(right.text[:n]))
        assert 200 <= tokens.count(right.text[:shared]) <= 400


def test_cuts_at_the_end_of_sentences():
    for chunk in split([Section(text=SENTENCES)], max_tokens=200, overlap_tokens=50):
        assert chunk.text.startswith("Sentence number")
        assert chunk.text.endswith("checked.")


def test_a_heading_is_in_the_chunk_of_its_text():
    sections = [Section(heading=f"Chapter {n}", text=" ".join([f"Body {n} is long."] * 12)) for n in range(30)]
    for chunk in split(sections, max_tokens=150, overlap_tokens=0):
        assert not chunk.text.splitlines()[-1].startswith("Chapter")


def test_table_rows_stay_whole():
    rows = [f"row {n} | The value. And a note. | {n}" for n in range(200)]
    for chunk in split([Section(text="\n".join(rows))], max_tokens=120, overlap_tokens=40):
        assert all(line in rows for line in chunk.text.splitlines())


def test_a_chunk_has_the_page_of_most_of_its_text():
    sections = [Section(text="Short end.", page=1), Section(text=" ".join(["The long page."] * 40), page=2)]
    assert [chunk.page for chunk in split(sections)] == [2]


def test_a_short_text_is_one_chunk_and_an_empty_one_none():
    assert [chunk.text for chunk in split([Section(text="Hello.\n")])] == ["Hello."]
    assert split([Section(text=" \n ")]) == []


def test_an_overlap_of_more_than_half_is_refused():
    with pytest.raises(ValueError, match="half"):
        split([Section(text="x")], max_tokens=100, overlap_tokens=51)


def test_millions_of_characters_on_one_line():
    text = "word and more " * 180_000
    chunks = split([Section(text=text)], max_tokens=4096, overlap_tokens=0)
    assert sum(len(squeezed(chunk.text)) for chunk in chunks) == len(squeezed(text))
