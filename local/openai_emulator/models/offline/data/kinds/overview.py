"""Missing values, and the description of a whole table."""

from __future__ import annotations

from local.openai_emulator.models.offline.data.ask import Ask
from local.openai_emulator.models.offline.data.columns import axis, label
from local.openai_emulator.models.offline.data.kinds.base import (
    MOST_ROWS,
    QuestionKind,
    Result,
    date_text,
    number,
)
from local.openai_emulator.models.offline.data.profile import Table
from local.openai_emulator.models.offline.words import joined


def _missing_program(ask: Ask, table: Table) -> list[str]:
    columns = f"[{list(ask.measures)!r}]" if ask.measures else ""
    return [
        f"missing = data{columns}.isna().sum().sort_values(ascending=False)",
        "print(missing.to_string())",
        'results.append({"missing": {str(key): int(n) for key, n in missing.items()}, "rows": len(data)})',
    ]


def _missing_sentence(ask: Ask, result: Result, table: Table) -> str:
    missing = {key: n for key, n in result["missing"].items() if n}
    of = f" in {joined(map(label, ask.measures))}" if ask.measures else f" in {table.filename}"
    if not missing:
        return f"No values are missing{of} ({result['rows']:,} rows)."
    lines = [f"- {key}: **{n:,}** ({100 * n / result['rows']:.1f} %)" for key, n in list(missing.items())[:MOST_ROWS]]
    return (
        f"Values are missing in {len(missing)} column{'s' if len(missing) > 1 else ''} ({result['rows']:,} rows):\n\n"
        + "\n".join(lines)
    )


def _describe_program(ask: Ask, table: Table) -> list[str]:
    names = [c.name for c in table.of_kind("number")][:12]
    return [
        f"table = data[{names!r}].agg(['mean', 'min', 'max'])" if names else "table = data.head(0)",
        "print(table.round(4).to_string())",
        'results.append({"describe": table.to_dict(), "rows": len(data)})',
    ]


def _describe_sentence(ask: Ask, result: Result, table: Table) -> str:
    lines = [
        f"| {axis(name).replace('|', '/')} | {number(values['mean'])} | {number(values['min'])} | "
        f"{number(values['max'])} |"
        for name, values in result["describe"].items()
    ]
    text = f"{table.filename} has {table.rows:,} rows and {len(table.columns)} columns"
    if dates := table.of_kind("date"):
        text += f", from {date_text(dates[0].low)} to {date_text(dates[0].high)}"
    groups = [f"{label(c.name)} ({', '.join(c.values[:8])})" for c in table.of_kind("text") if 0 < len(c.values) <= 12]
    text += f". Groups: {'; '.join(groups)}." if groups else "."
    return text + (
        "\n\n| Column | Average | Minimum | Maximum |\n|---|---:|---:|---:|\n" + "\n".join(lines) if lines else ""
    )


MISSING = QuestionKind(
    name="missing",
    phrases=r"\bmissing\b|\bnulls?\b|\bnan\b|\bempty (?:values|cells)",
    program=_missing_program,
    sentence=_missing_sentence,
    needs_measure=False,
    joins_itself=True,
)
DESCRIBE = QuestionKind(
    name="describe",
    weak_phrases=(
        r"\bsummar\w+|\bdescribe\b|\boverview\b|\banaly[sz]\w+|\bstatistics\b|\bwhat(?:'s| is) in\b|\bwhich columns\b"
    ),
    program=_describe_program,
    sentence=_describe_sentence,
    needs_measure=False,
)
