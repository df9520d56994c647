"""Microsoft's compiler, where it is at hand: everything builds without a warning and is formatted as it formats."""

import json
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.infra import compiler
from tests.infra.tools import INFRA, Templates

Check = Callable[[Templates], Iterator[str]]

CHECK = INFRA / "scripts" / "check-templates.sh"
# A stand-in for the compiler: `format` adds a line to topic.bicep, `build` warns of vault.bicep and of the parameters,
# if it is told so.
STUB = """#!/bin/sh
echo "$*" >> "$LOG"
case "$1 $2" in
  "format ./modules/topic.bicep") cat "$2"; [ -z "$UNFORMATTED" ] || echo "// one more" ;;
  format*) cat "$2" ;;
  "build ./modules/vault.bicep") [ -z "$WARNED" ] || echo "vault.bicep(1,1): Warning no-unused-params" >&2 ;;
  build-params*) [ -z "$WARNED_OF_PARAMS" ] || echo "main.bicepparam(1,1): Warning BCP258" >&2 ;;
esac
"""


def test_the_compiler_finds_nothing() -> None:
    if not shutil.which("bicep"):
        pytest.skip("There is no `bicep` on PATH; the GitHub workflow runs infra/scripts/check-templates.sh.")
    result = subprocess.run([CHECK], capture_output=True, text=True, check=False, timeout=600)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(
    ("planted", "code", "said"),
    [
        ({}, 0, ""),
        ({"UNFORMATTED": "1"}, 1, "topic.bicep is not formatted"),
        ({"WARNED": "1"}, 1, "no-unused-params"),
        ({"WARNED_OF_PARAMS": "1"}, 1, "BCP258"),
    ],
    ids=["clean", "format", "warning", "parameters"],
)
def test_the_script_reports_a_warning_and_another_format(
    tmp_path: Path, planted: dict[str, str], code: int, said: str
) -> None:
    bicep = tmp_path / "bicep"
    bicep.write_text(STUB)
    bicep.chmod(bicep.stat().st_mode | stat.S_IXUSR)
    environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "LOG": str(tmp_path / "log"), **planted}
    for name in ("UNFORMATTED", "WARNED", "WARNED_OF_PARAMS"):
        environ.setdefault(name, "")
    result = subprocess.run([CHECK], capture_output=True, text=True, check=False, env=environ, timeout=300)
    assert result.returncode == code
    assert said in result.stderr
    ran = (tmp_path / "log").read_text()
    for path in INFRA.rglob("*.bicep"):
        assert f"build ./{path.relative_to(INFRA)} --stdout" in ran
    assert "build-params ./main.bicepparam --stdout" in ran
    assert "format ./main.bicepparam --stdout" in ran


def test_without_bicep_it_uses_the_one_that_az_installs(tmp_path: Path) -> None:
    """`az bicep format` prints a line more than bicep, so each file would seem to be not formatted."""
    tools, config = tmp_path / "tools", tmp_path / "azure"
    tools.mkdir()
    for name in ("sh", "dirname", "find", "sort", "cmp", "cat", "mkdir", "cp", "chmod"):
        (tools / name).symlink_to(str(shutil.which(name)))
    (tmp_path / "bicep").write_text(STUB)
    az = tools / "az"
    install = f'mkdir -p "{config}/bin" && cp "{tmp_path}/bicep" "{config}/bin/bicep" && chmod +x "{config}/bin/bicep"'
    az.write_text(f'#!/bin/sh\n[ "$1 $2" = "bicep install" ] || {{ echo; exit 1; }}\n{install}\n')
    az.chmod(az.stat().st_mode | stat.S_IXUSR)
    planted = {"UNFORMATTED": "", "WARNED": "", "WARNED_OF_PARAMS": "", "LOG": str(tmp_path / "log")}
    environ = {"PATH": str(tools), "AZURE_CONFIG_DIR": str(config), **planted}
    result = subprocess.run([CHECK], capture_output=True, text=True, check=False, env=environ, timeout=300)
    assert (result.returncode, result.stderr) == (0, "")
    assert "format ./main.bicep --stdout" in (tmp_path / "log").read_text()


def test_the_rules_that_are_off_by_default_are_on() -> None:
    rules = json.loads((INFRA / "bicepconfig.json").read_text())["analyzers"]["core"]["rules"]
    on = {name for name, rule in rules.items() if rule["level"] == "error"}
    assert {"no-module-name", "use-recent-api-versions", "explicit-values-for-loc-params"} <= on
    text = (INFRA / "main.bicep").read_text()
    assert not re.search(r"^module .*\{\n  name:", text, flags=re.M), "two deployments into one group would collide"


@pytest.mark.parametrize("check", compiler.ALL, ids=lambda check: check.__name__)
def test_rules_that_can_be_known_without_the_compiler_hold(check: Check) -> None:
    assert list(check(Templates(INFRA))) == []


@pytest.mark.parametrize(
    ("path", "old", "new", "check", "said"),
    [
        (
            "modules/vault.bicep",
            "toObject(\n  settings,\n  setting => setting,\n  setting =>",
            "toObject(settings, setting => setting, setting =>",
            compiler.lines,
            "longer than 120",
        ),
        (
            "modules/vault.bicep",
            "guid(vault.id, principalId, secretsUser)",
            "guid(\n    vault.id,\n    principalId,\n    secretsUser\n  )",
            compiler.lines,
            "fits into one line",
        ),
        ("modules/app.bicep", "param vaultReferences", "param secretReferences", compiler.secrets_by_name, "secretRef"),
        ("modules/budget.bicep", compiler.EXCUSED, "", compiler.recent_versions, "budgets@2024-08-01"),
        ("modules/openai.bicep", compiler.EXCUSED, "", compiler.recent_versions, "audit is"),
        ("main.bicep", "    roles\n", "    containers\n", compiler.needless_depends_on, "depends on containers"),
    ],
)
def test_a_fault_that_the_compiler_would_report_is_found(
    tmp_path: Path, path: str, old: str, new: str, check: Check, said: str
) -> None:
    folder = tmp_path / "infra"
    shutil.copytree(INFRA, folder)
    text = (folder / path).read_text()
    assert old in text
    (folder / path).write_text(text.replace(old, new, 1))
    assert any(said in fault for fault in check(Templates(folder)))
