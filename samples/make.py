"""Makes the demo's documents: `python samples/make.py [folder]`. The output is the same, byte for byte, every time.

The documents are about an invented company, Northlight Hosting. Their figures are consistent with one another.
"""

import sys
from pathlib import Path

from guide import build_guide
from metrics import hourly_csv, monthly_csv
from report import REPORT

HERE = Path(__file__).parent


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "server-metrics-february.csv": hourly_csv(),
        "monthly-metrics.csv": monthly_csv(),
        "q4-incident-report.md": REPORT,
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    (folder / "monitoring-guide.pdf").write_bytes(build_guide())
    for path in sorted(folder.glob("*.*")):
        if path.suffix != ".py":
            print(f"{path.stat().st_size:>9,} bytes  {path.name}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
