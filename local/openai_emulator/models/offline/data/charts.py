"""The matplotlib code of charts: lines over time, bars, histograms, scatter plots."""

from __future__ import annotations

import re

from local.openai_emulator.models.offline.data.ask import Ask
from local.openai_emulator.models.offline.data.columns import axis, label
from local.openai_emulator.models.offline.data.profile import Table

GRAINS = {"h": "hourly", "D": "daily", "W": "weekly", "MS": "monthly", "YS": "yearly"}
_HOWS = {"mean": "average", "sum": "total", "std": "standard deviation", "count": "number"}
_PERIOD_AXIS = {
    "hour": "Hour of day",
    "weekday": "Day of the week",
    "weekend": "",
    "day": "Day",
    "week": "Week",
    "nth week": "Week",
    "month": "Month",
    "year": "Year",
}


def filename(ask: Ask) -> str:
    """`response-time-trend-by-server.png`."""
    measure = " ".join(label(name) for name in ask.measures[:2]) or "rows"
    words = [measure, "" if ask.kind in ("aggregate", "top", "extreme") else ask.kind]
    words += [f"by {ask.period or label(ask.by)}" if ask.period or ask.by else "", *(f.words for f in ask.filters)]
    slug = re.sub(r"[^a-z0-9]+", "-", " ".join(words).lower()).strip("-")
    return f"{slug[:70].rstrip('-') or 'chart'}.png"


def title(ask: Ask, *, how: str, grain: str = "") -> str:
    """`Response time by server, daily average`."""
    measure = " and ".join(axis(name).partition(" (")[0] for name in ask.measures[:2]) or "Rows"
    group = f" by {_PERIOD_AXIS[ask.period].lower() if ask.period else label(ask.by)}" if ask.by or ask.period else ""
    word = _HOWS.get(how, how)
    kind = " ".join(filter(None, (GRAINS.get(grain, ""), "" if measure.lower().startswith(word) else word)))
    where = "".join(
        f" {f.words}" if re.match(r"in |on |at |from |since |after |before |between ", f.words) else f", {f.words}"
        for f in ask.filters
    )
    return f"{measure}{group}{f', {kind}' if kind else ''}{where}"


def lines(ask: Ask, table: Table, *, grain: str, how: str) -> list[str]:
    body = [
        "for name in series.columns:",
        (
            '    ax.plot(series.index, series[name], label=str(name), linewidth=1.8, marker="o" if '
            "len(series) < 40 else None, markersize=3)"
        ),
        "ax.xaxis.set_major_formatter(mdates.ConciseDateFormatter(ax.xaxis.get_major_locator()))",
        "ax.set_ylim(bottom=0 if series.min().min() >= 0 else None)",
    ]
    if ask.by:
        body.append(f'ax.legend(title={axis(ask.by)!r}, loc="upper left", ncols=max(1, -(-len(series.columns) // 6)))')
    return _figure(ask, body, heading=title(ask, how=how, grain=grain), x="Date", y=axis(ask.measures[0]))


def bars(ask: Ask, table: Table, series: str, *, how: str) -> list[str]:
    body = [
        f"bars = {series}",
        'ax.bar([str(key) for key in bars.index], bars.to_numpy(), color="#2a6f97")',
        (
            'ax.tick_params(axis="x", rotation=45 if len(bars) > 8 and max(len(str(key)) for key in '
            "bars.index) > 3 else 0)"
        ),
    ]
    x = _PERIOD_AXIS[ask.period] if ask.period else axis(ask.by)
    return _figure(ask, body, heading=title(ask, how=how), x=x, y=axis(ask.measures[0]) if ask.measures else "Rows")


def histogram(ask: Ask) -> list[str]:
    body = [
        'ax.hist(values, bins=min(40, max(8, int(len(values) ** 0.5))), color="#2a6f97", edgecolor="white")',
        'ax.axvline(values.median(), color="#c1121f", linestyle="--", label=f"Median {values.median():,.2f}")',
        "ax.legend()",
    ]
    heading = f"Distribution of {label(ask.measures[0])}"
    return _figure(ask, body, heading=heading, x=axis(ask.measures[0]), y="Number of rows")


def scatter(ask: Ask, names: list[str]) -> list[str]:
    a, b = names[:2]
    body = [f'ax.scatter(data[{a!r}], data[{b!r}], s=12, alpha=0.5, color="#2a6f97")']
    return _figure(ask, body, heading=f"{axis(b).partition(' (')[0]} against {label(a)}", x=axis(a), y=axis(b))


def _figure(ask: Ask, body: list[str], *, heading: str, x: str, y: str) -> list[str]:
    path = f"/mnt/data/{filename(ask)}"
    return [
        "fig, ax = plt.subplots(figsize=(10, 5.5))",
        *body,
        f"ax.set_title({heading[:110]!r})",
        f"ax.set_xlabel({x!r})",
        f"ax.set_ylabel({y!r})",
        "ax.grid(alpha=0.3)",
        "fig.tight_layout()",
        f"fig.savefig({path!r}, dpi=120)",
        "plt.close(fig)",
        f"results[-1]['chart'] = {filename(ask)!r}",
    ]
