"""The relevance of a chunk to a query, as a score from 0 to 1 that is comparable between stores and queries.

value = 3 * (BM25 / highest possible BM25) + 2 * (cosine of the best window); score = logistic(value).

Unlike a rank, the score also shows whether any chunk is relevant: a query word that no chunk contains raises the
highest possible BM25. Calibrated with `bench/retrieval.py`: for Contoso questions that the files answer, the best score
is above 0.8 in 9 of 10 cases; for Cranfield questions asked of the Contoso files it is below 0.3 in 9 of 10 cases.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

KEYWORD_WEIGHT, COSINE_WEIGHT = 3.0, 2.0
MIDDLE, STEEPNESS = 1.35, 3.0  # the value of score 0.5, and how fast the score rises there
NEIGHBOUR_PENALTY = 0.3  # of the value, for each better chunk that overlaps this one
_K1, _B = 1.8, 0.75  # BM25: saturation and length normalisation
# Added to the number of chunks, because in a store of three chunks the frequency of a word means nothing.
_BACKGROUND_CHUNKS = 50


def keyword_shares(times_of_terms: Iterable[Floats], lengths: NDArray[np.int64]) -> Floats:
    """The BM25 of each chunk, divided by its upper limit: 0 to 1.

    Args:
        times_of_terms: For each term of the query, how often each chunk has it.
        lengths: The number of characters of each chunk's words.
    """
    n_chunks = len(lengths)
    damping = _K1 * (1 - _B + _B * lengths / max(1.0, float(lengths.mean()))) if n_chunks else lengths.astype(float)
    shares, total = np.zeros(n_chunks), 0.0
    for times in times_of_terms:
        having = np.flatnonzero(times > 0)  # often few; of booleans, numpy finds them five times faster
        weight = math.log(1 + (n_chunks + _BACKGROUND_CHUNKS - len(having) + 0.5) / (len(having) + 0.5))
        total += weight
        shares[having] += weight * times[having] / (times[having] + damping[having])
    return shares / total if total else shares


def values(keyword_shares: Floats, cosines: NDArray[np.floating]) -> Floats:
    return KEYWORD_WEIGHT * keyword_shares + COSINE_WEIGHT * cosines


def score(value: float) -> float:
    return 1 / (1 + math.exp(-STEEPNESS * (value - MIDDLE)))


def pick(
    values: Floats, chunk_ids: NDArray[np.int64], file_keys: NDArray[np.int64], *, limit: int
) -> list[tuple[int, float]]:
    """The best chunks, best first: their positions in the arrays, and their scores.

    The ids are ascending. Those of a file's chunks are consecutive, and neighbours overlap: what is chosen lowers the
    value of its neighbours.
    """
    left = values.copy()
    place_of = {int(chunk_id): place for place, chunk_id in enumerate(chunk_ids)}
    chosen = []
    for _ in range(min(limit, len(left))):
        best = int(np.argmax(left))
        chosen.append((best, score(float(left[best]))))
        left[best] = -np.inf
        for neighbour in (int(chunk_ids[best]) - 1, int(chunk_ids[best]) + 1):
            place = place_of.get(neighbour)
            if place is not None and file_keys[place] == file_keys[best]:
                left[place] -= NEIGHBOUR_PENALTY
    return chosen
