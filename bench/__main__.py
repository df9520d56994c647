"""`python -m bench [NAME...]`: run all benchmarks, or the named ones; write their figures to `.local/bench/NAME.json`.

Each benchmark is a module of this folder that prints a table: `python -m bench.speed --json FILE`.
"""

import subprocess
import sys
from pathlib import Path

from local.paths import LOCAL, ROOT, shown

FIGURES = LOCAL / "bench"


def main(names: list[str]) -> int:
    """Run one benchmark after the other; return 0, 1 if one failed, 2 for an unknown name."""
    available = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if not path.stem.startswith("_"))
    if unknown := set(names) - set(available):
        sys.stderr.write(f"No benchmark {', '.join(sorted(unknown))}; there are {', '.join(available)}.\n")
        return 2
    FIGURES.mkdir(parents=True, exist_ok=True)
    failed = []
    for name in names or available:
        file = FIGURES / f"{name}.json"
        if subprocess.run(
            [sys.executable, "-m", f"bench.{name}", "--json", str(file)], cwd=ROOT, check=False
        ).returncode:
            failed.append(name)
        else:
            sys.stdout.write(f"-> {shown(file)}\n\n")
            sys.stdout.flush()
    if failed:
        sys.stderr.write(f"Failed: {', '.join(failed)}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
