"""Sentence vectors of 256 dimensions from wordllama, whose wheel contains the weights: nothing is downloaded."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from wordllama.inference import WordLlamaInference  # type: ignore[import-untyped]

Vectors = NDArray[np.float32]  # one unit vector per row
DIMENSIONS = 256

_lock = threading.Lock()
_model: WordLlamaInference | None = None


def load() -> WordLlamaInference:
    """The model; the first call loads it (about 0.35 s). Thread-safe."""
    global _model
    with _lock:
        if _model is None:
            _model = _load()
        return _model


def embed(texts: Sequence[str]) -> Vectors:
    """One unit vector per text; zeros for a text without a known token."""
    if not texts:
        return np.zeros((0, DIMENSIONS), dtype=np.float32)
    model = load()
    texts = [text.encode(errors="replace").decode() for text in texts]  # the tokenizer refuses half of a surrogate pair
    # Sorted by length, because the model pads each batch to its longest text.
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    with _lock:  # one caller at a time: the model uses all cores
        pooled = np.asarray(model.embed([texts[i] for i in order], norm=False), dtype=np.float32)
    vectors = np.empty_like(pooled)
    vectors[order] = pooled
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Vectors = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
    return unit


def is_token(word: str) -> bool:
    """Whether the model has a token for a word: it is a common word, and no abbreviation or spelling mistake."""
    return len(load().tokenizer.encode(word, add_special_tokens=False).tokens) == 1


def _load() -> WordLlamaInference:
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    import wordllama  # type: ignore[import-untyped]

    root.setLevel(level)  # wordllama calls logging.basicConfig() when it is imported
    root.handlers[:] = handlers
    # Without cache_dir, load() does not find the tokenizer in the wheel and tries to download it from Hugging Face.
    folder = Path(wordllama.__file__).parent
    return wordllama.WordLlama.load(cache_dir=folder, disable_download=True)
