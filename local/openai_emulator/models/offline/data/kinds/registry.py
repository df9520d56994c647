"""All kinds of questions about data, and which of them a text asks for. A new kind is added to `KINDS`."""

from __future__ import annotations

import re

from local.openai_emulator.models.offline.data.kinds.base import QuestionKind
from local.openai_emulator.models.offline.data.kinds.distributions import CORRELATE, DISTRIBUTION, NORMALITY, OUTLIERS
from local.openai_emulator.models.offline.data.kinds.over_time import PEAK, TREND
from local.openai_emulator.models.offline.data.kinds.overview import DESCRIBE, MISSING
from local.openai_emulator.models.offline.data.kinds.ranking import EXTREME, TOP
from local.openai_emulator.models.offline.data.kinds.totals import AGGREGATE, COMPARE, COUNT

# In the order in which their phrases are tried.
KINDS = (
    MISSING,
    NORMALITY,
    CORRELATE,
    OUTLIERS,
    DISTRIBUTION,
    PEAK,
    TOP,
    TREND,
    COUNT,
    COMPARE,
    AGGREGATE,
    EXTREME,
    DESCRIBE,
)
_WEAK = (COUNT, TREND, DESCRIBE)  # the kinds with weak phrases, in the order in which these are tried
_BY_NAME = {kind.name: kind for kind in KINDS}
_PATTERNS = tuple(
    (name, re.compile(phrases, re.IGNORECASE))
    for name, phrases in (
        *((kind.name, kind.phrases) for kind in KINDS if kind.phrases),
        *((kind.name, kind.weak_phrases) for kind in _WEAK),
    )
)


def kind_named(name: str) -> QuestionKind:
    """The kind of an ask, by `Ask.kind`."""
    return _BY_NAME[name]


def kind_of(text: str) -> str:
    """The name of the kind that a text asks for; empty when it asks for none."""
    return next((name for name, pattern in _PATTERNS if pattern.search(text)), "")
