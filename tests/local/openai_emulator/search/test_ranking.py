import pytest

from local.openai_emulator.search.ranking import Candidate, Query, rank, score, value
from local.openai_emulator.search.words import indexable, query_words, windows

GATEWAY = "The gateway restarts when the watchdog expires."


def query(text, texts):
    words = query_words(text)
    return Query.of({w: sum(f" {w}" in indexable(t) for t in texts) for w in words}, len(texts))


def candidate(chunk_id, text, *, file_key=1, cosine=0.4):
    return Candidate(chunk_id=chunk_id, file_key=file_key, words=indexable(text), cosines=(cosine,))


def test_more_of_the_words_rank_higher():
    texts = [GATEWAY, "The gateway is grey.", "Coffee is served."]
    candidates = [candidate(10 * n, text, file_key=n) for n, text in enumerate(texts)]
    found = rank(candidates, [query("gateway watchdog", texts)], limit=3)
    assert [c.chunk_id for c, _ in found] == [0, 10, 20]
    assert found[0][1] > 0.6 > found[1][1] > found[2][1]


def test_a_query_word_that_no_chunk_contains_lowers_the_score():
    known, unknown = query("gateway", [GATEWAY]), query("gateway mongolia", [GATEWAY])
    words = indexable(GATEWAY)
    assert unknown.keyword_share(words, len(words)) < 0.6 * known.keyword_share(words, len(words))


def test_an_overlapping_neighbour_ranks_below_another_file():
    texts = [GATEWAY, GATEWAY, GATEWAY]
    candidates = [
        candidate(1, GATEWAY, cosine=0.6),
        candidate(2, GATEWAY, cosine=0.55),
        candidate(9, GATEWAY, file_key=2, cosine=0.5),
    ]
    found = rank(candidates, [query("watchdog", texts)], limit=3)
    assert [c.chunk_id for c, _ in found] == [1, 9, 2]
    assert [s for _, s in found] == sorted((s for _, s in found), reverse=True)


def test_the_score_of_a_chunk_is_that_of_its_best_query():
    queries = [query("watchdog", [GATEWAY]), query("vacation", [GATEWAY])]
    both = Candidate(chunk_id=1, file_key=1, words=indexable(GATEWAY), cosines=(0.5, 0.0))
    assert rank([both], queries, limit=1)[0][1] == rank([candidate(1, GATEWAY, cosine=0.5)], queries[:1], limit=1)[0][1]


def test_nothing_to_rank():
    assert rank([], [query("x", [])], limit=5) == []


def test_scores_are_between_0_and_1():
    assert 0 < score(value(0, -1)) < 0.05 < score(value(0.5, 0.3)) < score(value(1, 1)) < 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("What is the restart_time of Gateway-7?", ["restart", "time", "gateway", "7"]),
        ("Crème brûlée", ["creme", "brulee"]),
        ("北京大学 rocks", ["北京", "京大", "大学", "rocks"]),
        ("has the who", ["has", "the", "who"]),
        ("한국어", ["한국어"]),
        ("?!", []),
    ],
    ids=str,
)
def test_words_of_a_query(text, words):
    assert query_words(text) == words


@pytest.mark.parametrize("text", ["", "one", " lead and trail ", "word " * 1000, "漢" * 5000])
def test_windows_contain_the_whole_text(text):
    parts = windows(text)
    assert "".join(parts) == text
    assert all(len(part.split()) <= 170 for part in parts)
