"""Charts: lines, bars, pies, histograms, scatter plots. `draw` runs in the sandbox."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from local.openai_emulator.models.offline.data.ask import Ask
from local.openai_emulator.models.offline.data.names import axis, label
from local.openai_emulator.models.offline.data.table import Table

FIGURES = {
    "mean": "average",
    "median": "median",
    "sum": "total",
    "std": "standard deviation",
    "var": "variance",
    "min": "minimum",
    "max": "maximum",
    "nunique": "number of different values",
}
PERIODS = {
    "hour": "Hour of day",
    "weekday": "Day of the week",
    "weekend": "Part of the week",
    "day": "Day",
    "week": "Week",
    "nth week": "Week",
    "month": "Month",
    "quarter": "Quarter",
    "year": "Year",
}
WORDS_BEFORE_TIMES = re.compile(r"(?:in|on|at|from|since|until|after|before|between|during) ")


def draw(series: Any, how: Mapping[str, Any]) -> str | None:
    """Draw a chart into `/mnt/data` and return its file name; None if there is nothing to draw.

    `series` is a table with a line per column, a series of bars or slices, the values of a histogram, or the two
    columns of a scatter plot.
    """
    import matplotlib.pyplot as plt
    import pandas as pd

    if series is None or not len(series):
        return None
    fig, ax = plt.subplots(figsize=(10, 5.5))
    if how["style"] == "line":
        lines = series if isinstance(series, pd.DataFrame) else series.to_frame()
        for name in list(lines.columns)[:12]:
            ax.plot(lines.index, lines[name], label=str(name), marker="o" if len(lines) < 40 else None, markersize=3)
        if len(lines.columns) > 1:
            ax.legend(title=how["group"], loc="upper left", ncols=2)
    elif how["style"] == "pie":
        ax.pie(series.to_numpy(), labels=[str(key) for key in series.index], autopct="%.1f %%")
    elif how["style"] == "histogram":
        ax.hist(series, bins=min(40, max(8, int(len(series) ** 0.5))), color="#2a6f97", edgecolor="white")
        ax.axvline(series.median(), color="#c1121f", linestyle="--", label=f"Median {series.median():,.2f}")
        ax.legend()
    elif how["style"] == "scatter":
        ax.scatter(series.iloc[:, 0], series.iloc[:, 1], s=12, alpha=0.5, color="#2a6f97")
    else:
        bars = series.head(40)
        ax.bar([str(key) for key in bars.index], bars.to_numpy(), color="#2a6f97")
        ax.tick_params(axis="x", rotation=45 if len(bars) > 8 else 0)
    ax.set_title(how["title"])
    if how["style"] != "pie":
        ax.set_xlabel(how["x"])
        ax.set_ylabel(how["y"])
        ax.grid(alpha=0.3)
        ax.yaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")  # no "1e6" beside the axis
        if how["style"] in ("histogram", "scatter"):
            ax.xaxis.set_major_formatter(lambda value, _: f"{value:.10g}")
    fig.tight_layout()
    fig.savefig(f"/mnt/data/{how['file']}", dpi=120)
    plt.close(fig)
    return str(how["file"])


def request(ask: Ask, table: Table) -> Mapping[str, str]:
    """What `draw` needs to know about a chart."""
    measure = axis(ask.measures[0]) if ask.measures else "Rows"
    x = PERIODS[ask.period] if ask.period else axis(ask.by[0]) if ask.by else ""
    y = measure
    if ask.chart == "histogram":
        x, y = measure, "Number of rows"
    elif ask.chart == "scatter":
        x, y = measure, axis(ask.measures[1]) if len(ask.measures) > 1 else ""
    elif ask.kind == "trend":
        x = "Date"
    group = axis(ask.by[0]) if ask.by else ""
    return {"style": ask.chart, "file": filename(ask), "title": title(ask)[:110], "x": x, "y": y, "group": group}


def filename(ask: Ask) -> str:
    """`response-time-trend-by-server.png`."""
    measure = " ".join(label(name) for name in ask.measures[:2]) or "rows"
    words = [measure, "" if ask.kind in ("figures", "top", "extreme") else ask.kind]
    words += [f"by {' '.join((ask.period, *map(label, ask.by)))}" if ask.period or ask.by else ""]
    words += [condition.words for condition in ask.conditions]
    slug = re.sub(r"[^a-z0-9]+", "-", " ".join(words).lower()).strip("-")
    return f"{slug[:70].rstrip('-') or 'chart'}.png"


def title(ask: Ask) -> str:
    """`Response time by server, average`, without square brackets, which would end a Markdown image's text."""
    if ask.chart == "histogram":
        what = f"Distribution of {label(ask.measures[0])}"
    else:
        what = " and ".join(axis(name).partition(" (")[0] for name in ask.measures[:2]) or "Rows"
        groups = [PERIODS[ask.period].lower()] if ask.period else []
        groups += [label(name) for name in ask.by]
        what += f" by {' and '.join(groups)}" if groups else ""
        word = FIGURES.get(ask.hows[0], ask.hows[0])
        has_figure = ask.measures and ask.chart != "scatter" and not what.lower().startswith(word)
        what += f", {word}" if has_figure else ""
    for condition in ask.conditions:
        what += f" {condition.words}" if WORDS_BEFORE_TIMES.match(condition.words) else f", {condition.words}"
    return what.replace("[", "(").replace("]", ")")
