"""Sentence vectors from weights that ship inside a wheel (wordllama, 256 dimensions), so nothing is downloaded."""

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

Vectors = NDArray[np.float32]  # one unit vector a row
DIMENSIONS = 256

_lock = threading.Lock()
_model: WordLlamaInference | None = None


def load() -> WordLlamaInference:
    """The model, loaded on first use (about 0.35 s); any thread may call."""
    global _model
    with _lock:
        if _model is None:
            _model = _load()
        return _model


def embed(texts: Sequence[str]) -> Vectors:
    """Unit vectors, one row a text; a text without a single known token gives zeros."""
    if not texts:
        return np.zeros((0, DIMENSIONS), dtype=np.float32)
    model = load()
    # Texts of like length share a batch: the model pads each batch to its longest text.
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    with _lock:  # one caller at a time: the threads of two would only fight for the same cores
        pooled = np.asarray(model.embed([texts[i] for i in order], norm=False), dtype=np.float32)
    vectors = np.empty_like(pooled)
    vectors[order] = pooled
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Vectors = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
    return unit


def _load() -> WordLlamaInference:
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    import wordllama  # type: ignore[import-untyped]

    root.setLevel(level)  # wordllama calls logging.basicConfig() when it is imported
    root.handlers[:] = handlers
    # Without cache_dir, load() looks for the tokenizer in the wrong folder and then asks Hugging Face.
    folder = Path(wordllama.__file__).parent
    return wordllama.WordLlama.load(cache_dir=folder, disable_download=True)
