"""All kinds of questions about data, and which of them a text asks for. A new kind is added to `KINDS`."""

from __future__ import annotations

import re
from functools import cache

from local.openai_emulator.models.offline.data.kinds.base import Kind
from local.openai_emulator.models.offline.data.kinds.changing import CHANGE_KIND
from local.openai_emulator.models.offline.data.kinds.comparing import COMPARE
from local.openai_emulator.models.offline.data.kinds.contrast import CONTRAST
from local.openai_emulator.models.offline.data.kinds.counting import COUNT
from local.openai_emulator.models.offline.data.kinds.figures import FIGURES_KIND
from local.openai_emulator.models.offline.data.kinds.first_time import FIRST_TIME
from local.openai_emulator.models.offline.data.kinds.having import HAVING
from local.openai_emulator.models.offline.data.kinds.lookup import LOOKUP
from local.openai_emulator.models.offline.data.kinds.over_time import PEAK, TREND
from local.openai_emulator.models.offline.data.kinds.overview import DESCRIBE, MISSING
from local.openai_emulator.models.offline.data.kinds.per_group import PER_GROUP
from local.openai_emulator.models.offline.data.kinds.ranking import EXTREME, TOP
from local.openai_emulator.models.offline.data.kinds.regression import REGRESSION
from local.openai_emulator.models.offline.data.kinds.share import SHARE
from local.openai_emulator.models.offline.data.kinds.statistics import CORRELATE, DISTRIBUTION, NORMALITY, OUTLIERS

# In the order in which their cues are tried.
KINDS = (
    MISSING,
    REGRESSION,
    NORMALITY,
    CORRELATE,
    OUTLIERS,
    DISTRIBUTION,
    PEAK,
    SHARE,
    TOP,
    TREND,
    COMPARE,
    CHANGE_KIND,
    PER_GROUP,
    CONTRAST,
    FIRST_TIME,
    HAVING,
    COUNT,
    FIGURES_KIND,
    EXTREME,
    DESCRIBE,
    LOOKUP,
)
MARGIN = 0.06  # by which the nearest example must be nearer than that of any other kind
_BY_NAME = {kind.name: kind for kind in KINDS}
_CUES = tuple((kind, re.compile(kind.cues, re.IGNORECASE)) for kind in KINDS if kind.cues)


def kind_named(name: str) -> Kind:
    """The kind of an ask, by `Ask.kind`."""
    return _BY_NAME[name]


def kind_of(text: str) -> str:
    """The name of the kind whose cues a text contains; empty when it contains none."""
    return next((kind.name for kind, cues in _CUES if cues.search(text)), "")


@cache
def _examples() -> tuple[tuple[str, ...], object]:
    from local.openai_emulator.search.embeddings import embed

    # the other kinds without cues are chosen by what a clause names
    pairs = [(kind.name, example) for kind in KINDS if kind.cues or kind is LOOKUP for example in kind.examples]
    return tuple(name for name, _ in pairs), embed([example for _, example in pairs])


def nearest_kind(text: str) -> str:
    """The kind of the nearest example; empty when two kinds are about as near."""
    from local.openai_emulator.search.embeddings import embed

    kinds, vectors = _examples()
    scores = vectors @ embed([text])[0]
    best: dict[str, float] = {}
    for name, score in zip(kinds, scores, strict=True):
        best[name] = max(best.get(name, -1.0), float(score))
    (first, top), (_, second) = sorted(best.items(), key=lambda item: -item[1])[:2]
    return first if top - second >= MARGIN and top > 0.4 else ""
