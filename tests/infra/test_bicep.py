"""Microsoft's compiler, where it is at hand: everything builds without a warning and is formatted as it formats."""

import json
import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from tests.infra.tools import INFRA

CHECK = INFRA / "scripts" / "check-templates.sh"
# A stand-in for the compiler: `format` adds a line to topic.bicep, `build` warns of vault.bicep, if it is told so.
STUB = """#!/bin/sh
echo "$*" >> "$LOG"
case "$1 $2" in
  "format ./modules/topic.bicep") cat "$2"; [ -z "$UNFORMATTED" ] || echo "// one more" ;;
  format*) cat "$2" ;;
  "build ./modules/vault.bicep") [ -z "$WARNED" ] || echo "vault.bicep(1,1): Warning no-unused-params" >&2 ;;
esac
"""


def test_the_compiler_finds_nothing() -> None:
    if not shutil.which("bicep"):
        pytest.skip("There is no `bicep` on PATH; the GitHub workflow runs infra/scripts/check-templates.sh.")
    result = subprocess.run([CHECK], capture_output=True, text=True, check=False, timeout=600)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(
    ("planted", "code", "said"),
    [({}, 0, ""), ({"UNFORMATTED": "1"}, 1, "topic.bicep is not formatted"), ({"WARNED": "1"}, 1, "no-unused-params")],
    ids=["clean", "format", "warning"],
)
def test_the_script_reports_a_warning_and_another_format(
    tmp_path: Path, planted: dict[str, str], code: int, said: str
) -> None:
    bicep = tmp_path / "bicep"
    bicep.write_text(STUB)
    bicep.chmod(bicep.stat().st_mode | stat.S_IXUSR)
    environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "LOG": str(tmp_path / "log"), **planted}
    for name in ("UNFORMATTED", "WARNED"):
        environ.setdefault(name, "")
    result = subprocess.run([CHECK], capture_output=True, text=True, check=False, env=environ, timeout=300)
    assert result.returncode == code
    assert said in result.stderr
    ran = (tmp_path / "log").read_text()
    for path in INFRA.rglob("*.bicep"):
        assert f"build ./{path.relative_to(INFRA)} --stdout" in ran
    assert "build-params main.bicepparam" in ran


def test_the_rules_that_are_off_by_default_are_on() -> None:
    rules = json.loads((INFRA / "bicepconfig.json").read_text())["analyzers"]["core"]["rules"]
    on = {name for name, rule in rules.items() if rule["level"] == "error"}
    assert {"no-module-name", "use-recent-api-versions", "explicit-values-for-loc-params"} <= on
    text = (INFRA / "main.bicep").read_text()
    assert not re.search(r"^module .*\{\n  name:", text, flags=re.M), "two deployments into one group would collide"


def test_lines_are_no_longer_than_the_formatter_makes_them() -> None:
    """It breaks calls, arrays and objects at 120 characters, but neither strings nor comments."""
    for path in INFRA.rglob("*.bicep"):
        for line in path.read_text().splitlines():
            assert len(line) <= 120 or "'" in line or line.lstrip().startswith("//"), f"{path.name}: {line}"
            assert not re.search(r"= \[for |: \[for ", line), f"{path.name}: {line}"
