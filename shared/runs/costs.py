"""The cost of a run, from its usage and a price list. Pure.

Prices of tools: https://platform.openai.com/docs/pricing (file search per call, code interpreter per container).
"""

from __future__ import annotations

from dataclasses import dataclass

from shared.models.runs import Cost, Usage
from shared.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Prices:
    """US dollars per million tokens, per call of file search, and per session of code interpreter."""

    input: float
    cached: float
    output: float
    search: float
    session: float
    label: str

    @classmethod
    def from_settings(cls, settings: Settings) -> Prices:
        return cls(
            input=settings.price_input_usd,
            cached=settings.price_cached_usd,
            output=settings.price_output_usd,
            search=settings.price_search_usd,
            session=settings.price_session_usd,
            label=settings.price_label,
        )


def cost_of(usage: Usage, prices: Prices) -> Cost:
    """Cached input tokens have their own price; reasoning tokens are part of the output tokens."""
    uncached = max(usage.input_tokens - usage.cached_tokens, 0)
    parts = {
        "input_tokens": uncached * prices.input / 1e6,
        "cached_tokens": usage.cached_tokens * prices.cached / 1e6,
        "output_tokens": usage.output_tokens * prices.output / 1e6,
        "file_search": usage.file_search_calls * prices.search,
        "code_interpreter": usage.code_interpreter_sessions * prices.session,
    }
    parts = {name: round(usd, 6) for name, usd in parts.items() if usd}
    return Cost(usd=round(sum(parts.values()), 6), parts=parts, prices=prices.label)
