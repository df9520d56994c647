"""The relevance of a chunk to a query, as a score from 0 to 1 that is comparable between stores and queries.

value = 3 * (BM25 / highest possible BM25) + 2 * (cosine of the best window); score = logistic(value).

On Cranfield and Contoso this ranks at least as well as reciprocal rank fusion. Unlike a rank, the score also shows
whether any chunk is relevant: a query word that no chunk contains raises the highest possible BM25. Calibrated with
`bench/retrieval.py`: for Contoso questions that the files answer, the best score is above 0.8 in 9 of 10 cases; for
Cranfield questions asked of the Contoso files it is below 0.3 in 9 of 10 cases.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from local.openai_emulator.search.words import shortened

KEYWORD_WEIGHT, COSINE_WEIGHT = 3.0, 2.0
MIDDLE, STEEPNESS = 1.35, 3.0  # the value of score 0.5, and how fast the score rises there
NEIGHBOUR_PENALTY = 0.3  # of the value, for each better chunk that overlaps this one
_K1, _B = 2.0, 0.75  # BM25: saturation and length normalisation
# Added to the number of chunks, because in a store of three chunks the frequency of a word means nothing.
_BACKGROUND_CHUNKS = 50


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A chunk to be ranked. `cosines` has one entry per query."""

    chunk_id: int  # consecutive within a file; neighbours overlap
    file_key: int
    words: str  # the result of `words.indexable`
    cosines: Sequence[float]


@dataclass(frozen=True, kw_only=True)
class Query:
    weights: Mapping[str, float]  # of the words that some chunk contains; keys: space + shortened word
    total: float  # of the weights of all words, with those that no chunk contains

    @classmethod
    def of(cls, counts: Mapping[str, int], n_chunks: int) -> Query:
        """A query from the number of chunks that contain each word, and the number of all chunks."""
        n = n_chunks + _BACKGROUND_CHUNKS
        weights = {shortened(w): math.log(1 + (n - count + 0.5) / (count + 0.5)) for w, count in counts.items()}
        present = {shortened(word) for word, count in counts.items() if count}
        return cls(
            weights={" " + beginning: weight for beginning, weight in weights.items() if beginning in present},
            total=sum(weights.values()),
        )

    def keyword_share(self, words: str, mean_length: float) -> float:
        """The BM25 of a text, divided by its upper limit: 0 to 1. A text without words has none, and no length."""
        if not words:
            return 0.0
        damping = _K1 * (1 - _B + _B * len(words) / mean_length)
        times = ((words.count(beginning), weight) for beginning, weight in self.weights.items())
        return sum(weight * n / (n + damping) for n, weight in times) / self.total if self.total else 0.0


def rank(candidates: Sequence[Candidate], queries: Sequence[Query], *, limit: int) -> list[tuple[Candidate, float]]:
    """The best candidates with their scores (0 to 1), best first. A chunk's score is that of its best query."""
    if not candidates:
        return []
    mean_length = sum(len(candidate.words) for candidate in candidates) / len(candidates)
    values = {
        candidate.chunk_id: max(
            value(query.keyword_share(candidate.words, mean_length), cosine)
            for query, cosine in zip(queries, candidate.cosines, strict=True)
        )
        for candidate in candidates
    }
    waiting = {candidate.chunk_id: candidate for candidate in candidates}
    chosen: list[tuple[Candidate, float]] = []
    while waiting and len(chosen) < limit:
        best = max(waiting, key=lambda chunk_id: (values[chunk_id], -chunk_id))
        candidate = waiting.pop(best)
        chosen.append((candidate, score(values[best])))
        for neighbour in (best - 1, best + 1):
            if neighbour in waiting and waiting[neighbour].file_key == candidate.file_key:
                values[neighbour] -= NEIGHBOUR_PENALTY
    return chosen


def value(keyword_share: float, cosine: float) -> float:
    return KEYWORD_WEIGHT * keyword_share + COSINE_WEIGHT * cosine


def score(value: float) -> float:
    return 1 / (1 + math.exp(-STEEPNESS * (value - MIDDLE)))
