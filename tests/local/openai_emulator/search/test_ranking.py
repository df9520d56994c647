import numpy as np
import pytest

from local.openai_emulator.search.embeddings import DIMENSIONS
from local.openai_emulator.search.entries import Entries, Entry, signatures
from local.openai_emulator.search.keywords import Term, Vocabulary, postings
from local.openai_emulator.search.ranking import keyword_shares, pick, score, values
from local.openai_emulator.search.words import indexable, query_words, windows

GATEWAY = "The gateway restarts when the watchdog expires."


def entries_of(texts, vectors=None):
    made = []
    for number, text in enumerate(texts):
        part = np.ones((1, DIMENSIONS), dtype=np.float32) if vectors is None else vectors[number]
        words = indexable(text)
        made.append(Entry(chunk_id=10 * number + 3, file_key=number, length=len(words), signatures=signatures(part)))
    return Entries.of(made)


def shares(query, texts):
    """The keyword share of each text."""
    entries, vocabulary = entries_of(texts), Vocabulary()
    for entry_id, text in zip(entries.chunk_ids.tolist(), texts, strict=True):
        vocabulary.add(entry_id, indexable(text))
    terms = dict.fromkeys(map(Term.of, query_words(query)))
    return keyword_shares((entries.times(postings(vocabulary.find(term))) for term in terms), entries.lengths)


def test_more_of_the_words_rank_higher():
    both, one, none = shares("gateway watchdog", [GATEWAY, "The gateway is grey.", "Coffee is served."])
    assert both > one > none == 0


def test_a_query_word_that_no_chunk_contains_lowers_the_share():
    assert shares("gateway mongolia", [GATEWAY])[0] < 0.6 * shares("gateway", [GATEWAY])[0]


@pytest.mark.parametrize(
    ("query", "text", "found"),
    [
        ("restart", "It restarted.", True),
        ("replies", "A reply came.", True),
        ("air", "The aircraft landed.", True),
        ("7", "Hall 75 is closed.", False),
        ("75", "Hall 75 is closed.", True),
        ("it", "An item of it.", True),
        ("it", "An item.", False),
        ("北京", "北京大学", True),
    ],
)
def test_a_word_finds_those_that_begin_like_it(query, text, found):
    assert bool(shares(query, [text, "Something else."])[0]) is found


def test_postings_of_other_chunks_count_nothing():
    entries, vocabulary = entries_of([GATEWAY, GATEWAY]), Vocabulary()
    for chunk_id in (1, 3, 4, 13, 9999):
        vocabulary.add(chunk_id, " gateway gateway")
    assert entries.times(postings(vocabulary.find(Term.of("gateway")))).tolist() == [2, 2]


def test_words_that_come_later_are_found():
    vocabulary = Vocabulary()
    for number, word in enumerate(("restarts", "restart", "restarting")):
        vocabulary.add(number, f" {word}")
        assert len(postings(vocabulary.find(Term.of("restart")))) == number + 1
    assert [word for word, _ in vocabulary.rows()] == ["restart", "restarting", "restarts"]


def unit(random, shape):
    vectors = random.standard_normal(shape).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def test_estimated_cosines_are_close_and_the_better_ones_are_closer():
    random = np.random.default_rng(1)
    target = unit(random, (1, DIMENSIONS))
    vectors = [0.5 * target + 0.6 * share * unit(random, (2, DIMENSIONS)) for share in np.linspace(0.2, 2, 300)]
    vectors = [part / np.linalg.norm(part, axis=1, keepdims=True) for part in vectors]
    exact = np.array([(part @ target[0]).max() for part in vectors])
    entries = entries_of([GATEWAY] * 300, vectors)
    rough = entries.cosines(target[0]) - exact
    rows = np.arange(0, 300, 3)
    closer = entries.closer_cosines(rows, target)[:, 0] - exact[rows]
    assert np.abs(rough).max() < 0.3
    assert np.corrcoef(entries.cosines(target[0]), exact)[0, 1] > 0.9
    assert closer.std() < rough.std()


def test_entries_without_a_file_are_those_of_the_others():
    random = np.random.default_rng(2)
    vectors = [unit(random, (count, DIMENSIONS)) for count in (1, 3, 2)]
    entries = entries_of(["one", "two words", "three more words"], vectors)
    left = entries.without([1])
    assert left.chunk_ids.tolist() == [3, 23]
    for target in unit(random, (4, DIMENSIONS)):
        assert left.cosines(target).tolist() == entries.cosines(target)[[0, 2]].tolist()
    assert len(left.without([0, 2]).cosines(target)) == 0
    again = Entries.joined([left, Entries.of([])])
    assert again.cosines(target).tolist() == left.cosines(target).tolist()


def test_an_overlapping_neighbour_ranks_below_another_file():
    found = pick(np.array([1.4, 1.35, 1.3]), np.array([1, 2, 9]), np.array([1, 1, 2]), limit=3)
    assert [place for place, _ in found] == [0, 2, 1]
    assert [s for _, s in found] == sorted((s for _, s in found), reverse=True)
    apart = pick(np.array([1.4, 1.35, 1.3]), np.array([1, 2, 9]), np.array([1, 5, 2]), limit=2)
    assert [place for place, _ in apart] == [0, 1]


def test_nothing_to_rank():
    nothing = np.zeros(0, dtype=np.int64)
    assert pick(np.zeros(0), nothing, nothing, limit=5) == []
    assert keyword_shares([], nothing).tolist() == []


def test_scores_are_between_0_and_1():
    made = values(np.array([0, 0.5, 1]), np.array([-1, 0.3, 1]))
    assert 0 < score(made[0]) < 0.05 < score(made[1]) < score(made[2]) < 1


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
