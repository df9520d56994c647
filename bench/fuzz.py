"""Thousands of invalid requests, generated from the API's OpenAPI file: `python -m bench.fuzz [--json FILE]`.

Source: https://schemathesis.readthedocs.io
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from local.client import Json
from local.paths import INSTALLED
from local.stack.stack import Options, Stack

TOOL = INSTALLED / "openapi-tools" / "bin" / "st"
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
ALWAYS_501 = "GetRunEvents"  # as described; a check takes every 5xx for a fault
EXAMPLES = 100  # per operation
WITHIN_S = 900


def fuzz(
    app_url: str,
    folder: Path,
    *arguments: str,
    checks: Sequence[str] = CHECKS,
    environ: Mapping[str, str] | None = None,
) -> tuple[Json, str]:
    """Run schemathesis against an app; return its report and its output.

    Args:
        app_url: The app's address, without a slash at the end.
        folder: Where schemathesis writes its files.
        arguments: More options of `schemathesis run`.
        checks: What each response must hold.
        environ: More variables of its environment, such as `SCHEMATHESIS_HOOKS`.

    Raises:
        SystemExit: schemathesis is not installed or wrote no report.
    """
    if not TOOL.exists():
        raise SystemExit("schemathesis is not installed yet: make .local/openapi-tools/installed")
    report = folder / "report.json"
    command: list[str | Path] = [
        TOOL,
        "run",
        f"{app_url}/api/openapi.json?version=3.1",
        "--no-color",
        "--request-timeout",
        "60",
    ]
    command += [
        "--checks",
        ",".join(checks),
        "--exclude-operation-id",
        ALWAYS_501,
        "--suppress-health-check",
        "all",
        "--report-json-path",
        report,
        *arguments,
    ]
    own = {**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", **(environ or {})}
    done = subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True, check=False, timeout=WITHIN_S)
    if not report.exists():
        raise SystemExit(done.stdout + done.stderr)
    return dict(json.loads(report.read_text())), done.stdout


def main() -> int:
    """Fuzz a new stack and print the result; return 1 if a check failed, else 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Stack(Options(data=folder / "data", logs=folder / "logs")) as stack:
            report, printed = fuzz(stack.app_url, folder, "--max-examples", str(EXAMPLES), "--seed", str(options.seed))
    failed = report["exit_code"] != 0 or not report["complete"]
    Console().print(table(report, options.seed))
    if failed:
        sys.stdout.write(printed)
    if options.json:
        options.json.write_text(json.dumps({**report, "seed": options.seed}, indent=2) + "\n")
    return int(failed)


def table(report: Json, seed: int) -> Table:
    rows = Table(title=f"Requests generated from the OpenAPI file (seed {seed})", box=box.SIMPLE)
    rows.add_column("")
    rows.add_column("n", justify="right")
    cases = report["test_cases"]
    rows.add_row("operations", str(report["operations"]["tested"]))
    rows.add_row("cases", f"{cases['generated']:,}")
    rows.add_row(
        "with a 5xx, or an answer that the OpenAPI file does not allow", str(cases["with_failures"] + cases["errored"])
    )
    rows.add_row("seconds", f"{report['running_time']:.0f}")
    return rows


if __name__ == "__main__":
    sys.exit(main())
