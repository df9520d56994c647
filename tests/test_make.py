"""make.py and the Makefile: set-up on machines where something is missing, full, foreign or interrupted."""

import ast
import errno
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import make
from local.faults import clock_fault, installer_fault, os_fault
from local.paths import ROOT
from local.stack.ports import USUAL_PORTS
from tests import scheduling

Run = Callable[..., "subprocess.CompletedProcess[str]"]
ODD_NAME = "Päckchen für Jürgen & Söhne"
OLD_SYNTAX = (3, 8)
# `python`, `pip` and `node.py` as make.py calls them, without a network: each writes what it was called with, and
# pip the requirements.
FAKE_PYTHON = """#!/bin/sh
echo "$@" >> "$CALLS"
case "$*" in
  *sys.version_info*) exit ${FITS:-0} ;;
  "-m venv "*) mkdir -p "$3/bin" "$3/lib/python3.12/site-packages" && cp "$0" "$3/bin/python" ;;
  *" install "*)
    if [ -n "$PIP_SAYS" ]; then echo "$PIP_SAYS"; exit 1; fi
    for last; do :; done
    cat "$last" >> "$CALLS" ;;
  *local.stack.node*) mkdir -p .local/azurite && echo '{}' > .local/azurite/installed.json ;;
esac
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The files of set-up in a folder with an odd name, and a fake Python in `bin`."""
    folder = tmp_path / ODD_NAME
    (folder / "local").mkdir(parents=True)
    for name in ("make.py", "Makefile", "local/__init__.py", "local/faults.py", *make.TEST, make.EXTRAS):
        shutil.copy(ROOT / name, folder / name)
    (tmp_path / "bin").mkdir()
    fake = tmp_path / "bin" / "python3.12"
    fake.write_text(FAKE_PYTHON)
    fake.chmod(0o755)
    return folder


@pytest.fixture
def run(project: Path, tmp_path: Path) -> Run:
    """Runs make.py in the project, with only the fake Python on PATH."""

    def run(*arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        plain = {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin", "HOME": str(tmp_path), "CALLS": str(tmp_path / "calls")}
        command = [sys.executable, "make.py", *arguments]
        return subprocess.run(
            command, cwd=project, env={**plain, **environ}, capture_output=True, text=True, check=False
        )

    return run


def calls(project: Path) -> list[str]:
    path = project.parent / "calls"
    found = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return found


def test_a_first_start_installs_and_a_second_one_only_runs(run: Run, project: Path) -> None:
    done = run("demo", "PYTHON=python3.12")
    first = calls(project)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sum("--require-hashes" in call for call in first) == make.PIPS
    installed = [call for call in first if "==" in call]
    assert sorted(installed) == sorted(line for line in make.lines_of(ROOT / "requirements.lock") if "==" in line)
    assert any("local.stack.node" in call for call in first)
    assert first[-1] == "-m local demo"
    run("demo", PIP_SAYS="Network is unreachable")
    assert [call for call in calls(project) if "sys.version_info" not in call] == ["-m local demo"]


def test_up_without_a_network_runs_with_what_the_demo_installed(run: Run, project: Path) -> None:
    run("demo", "PYTHON=python3.12")
    done = run("up", PIP_SAYS="Failed to establish a new connection: Network is unreachable")
    assert "Warning" in done.stdout
    assert "cannot be reached" in done.stdout
    assert calls(project)[-1] == "-m local up --host local"


def test_an_interrupted_installation_is_done_again_completely(run: Run, project: Path) -> None:
    run("demo", "PYTHON=python3.12", PIP_SAYS="Interrupted")
    assert not (project / ".venv" / "installed.json").exists()
    calls(project)
    run("demo")
    installs = [call for call in calls(project) if "--require-hashes" in call]
    assert len(installs) == make.PIPS
    assert all("--ignore-installed" in install for install in installs)
    run("demo")
    assert not any("--require-hashes" in call for call in calls(project))


def test_an_environment_of_another_place_is_created_anew(run: Run, project: Path) -> None:
    run("demo", "PYTHON=python3.12")
    stamp = project / ".venv" / "installed.json"
    stamp.write_text(json.dumps({**json.loads(stamp.read_text()), "at": "/somewhere/else/.venv"}))
    calls(project)
    run("demo", "PYTHON=python3.12")
    assert any(call.startswith("-m venv") for call in calls(project))


@pytest.mark.parametrize(
    ("says", "sentence"),
    [
        (
            "ERROR: Could not install packages: [Errno 28] No space left on device",
            "The disk is full.",
        ),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate is not yet valid (_ssl.c:1006)", "Set the clock"),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate in certificate chain", "PIP_CERT"),
        ("ConnectTimeoutError: Connection to pypi.org timed out", "The package registry cannot be reached."),
        ("NewConnectionError: [Errno -3] Temporary failure in name resolution", "cannot be reached"),
        ("THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE", "not the one that the lock file names"),
        ("OSError: [Errno 30] Read-only file system", "read-only"),
        ("OSError: [Errno 13] Permission denied: '/x'", "belongs to another user"),
        ("something new", "something new"),
    ],
)
def test_what_pip_says_becomes_a_sentence(run: Run, says: str, sentence: str) -> None:
    done = run("demo", "PYTHON=python3.12", PIP_SAYS=says)
    assert done.returncode == 1
    assert sentence in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("says", "sentence"),
    [
        ("npm error code ENOSPC", "The disk is full."),
        ("npm error code ENOTFOUND", "cannot be reached"),
        ("npm error code CERT_HAS_EXPIRED", "Set the clock"),
        ("npm error code SELF_SIGNED_CERT_IN_CHAIN", "NODE_EXTRA_CA_CERTS"),
        ("npm error code EROFS", "read-only"),
        ("npm error code EACCES", "sudo chown"),
        ("The virtual environment was not created because ensurepip is not available.", "apt install python3-venv"),
    ],
)
def test_what_npm_and_venv_say_becomes_a_sentence(says: str, sentence: str) -> None:
    fault = installer_fault(says)
    assert fault is not None
    assert sentence in " ".join(fault)


def test_a_wrong_clock_is_shown() -> None:
    assert "2016-01-01" in clock_fault("2016-01-01 00:00 UTC").message


def test_no_fitting_python(run: Run) -> None:
    done = run("demo", "PYTHON=python9")
    assert done.returncode == 1
    assert "PYTHON=python9" in done.stdout
    assert "3.11" in done.stdout
    unfit = run("demo", "PYTHON=python3.12", FITS="1")
    assert "This needs Python 3.11" in unfit.stdout


@pytest.mark.parametrize("arguments", [["nonsense"], ["demo", "FAST"]])
def test_wrong_usage_lists_the_commands(run: Run, arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert "bench" in done.stdout


# ---- errors of the operating system ------------------------------------------------------------------------------


def test_a_full_disk_a_read_only_and_a_foreign_folder_are_named(tmp_path: Path) -> None:
    full = os_fault(OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "log")))
    assert full is not None
    assert "full" in full.message
    read_only = os_fault(OSError(errno.EROFS, "Read-only file system", str(tmp_path / "log")))
    assert read_only is not None
    assert "read-only" in read_only.message
    assert "Copy the project" in read_only.advice
    foreign = os_fault(PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "no" / "log")))
    assert foreign is not None
    assert f"sudo chown -R {os.getuid()} '{tmp_path}'" in foreign.advice
    assert os_fault(OSError(errno.ECHILD, "No child processes")) is None


def test_the_owner_of_a_foreign_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    fault = os_fault(PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "log")))
    assert fault is not None
    assert f"{tmp_path} belongs to {tmp_path.owner()}" in fault.message


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder in which even root cannot write")
@pytest.mark.parametrize("command", ["up", "demo"])
def test_a_state_folder_that_cannot_be_written_is_named(plain_environ: dict[str, str], command: str) -> None:
    environ = {**plain_environ, "LOCAL_STATE": "/sys/kernel/state"}
    line = [sys.executable, "-m", "local", command]
    done = subprocess.run(line, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "/sys/kernel/state" in done.stdout
    assert "cannot be written" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder in which even root cannot write")
def test_an_unexpected_error_is_shown_when_its_traceback_cannot_be_written(plain_environ: dict[str, str]) -> None:
    code = "import sys, local.__main__ as m; m._run_command = lambda *_: 1 / 0; sys.exit(m.main(['status']))"
    environ = {**plain_environ, "LOCAL_STATE": "/sys/kernel/state"}
    line = [sys.executable, "-c", code]
    done = subprocess.run(line, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Unexpected error: ZeroDivisionError" in done.stdout
    assert done.stderr == ""


# ---- files -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["make.py", "local/faults.py", "local/__init__.py"])
def test_set_up_starts_with_an_old_python(name: str) -> None:
    tree = ast.parse((ROOT / name).read_text(), feature_version=OLD_SYNTAX)
    imported = {
        alias.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    } | {(node.module or "").split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported <= {*sys.stdlib_module_names, "local"}


def test_each_command_is_a_target_of_make() -> None:
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), flags=re.M)
    assert sorted(targets) == sorted(command.__name__ for command in make.COMMANDS)


def test_make_hands_its_variables_on(project: Path, tmp_path: Path) -> None:
    command = ["make", "--dry-run", "up", "HOST=func", "ONLY=speed host", "FAST=1"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert "make.py up" in done.stdout.replace("\\\n", "")
    assert "HOST='func' ONLY='speed host' FAST='1'" in done.stdout


def pins(name: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in (ROOT / name).read_text().splitlines():
        if match := re.match(r"([a-z0-9.-]+)==(\S+)", line):
            found.setdefault(match[1], []).append(match[2])
    return found


@pytest.mark.parametrize("name", [*make.TEST, make.EXTRAS])
def test_each_lock_file_has_hashes_and_no_hosts(name: str) -> None:
    text = (ROOT / name).read_text()
    assert "://" not in text
    assert len(re.findall(r"==.*\\\n    --hash=sha256:", text)) == sum(len(of) for of in pins(name).values())


def test_the_lock_files_agree_on_versions() -> None:
    base = pins("requirements.lock")
    for name in (*make.TEST[1:], make.EXTRAS):
        for package, versions in pins(name).items():
            assert set(versions) <= set(base.get(package, versions)), package


def test_the_demo_does_not_install_what_only_tests_and_other_commands_need() -> None:
    demo, rest = pins("requirements.lock"), {*pins("requirements-up.lock"), *pins("requirements-dev.lock")}
    assert {"scipy", "mypy", "ruff", "pytest", "hypothesis", "pandas-stubs"} <= rest
    assert not {"scipy", "mypy", "ruff", "pytest", "hypothesis", "pandas-stubs", "hf-xet"} & demo.keys()


def test_a_lock_file_keeps_only_its_additions(tmp_path: Path) -> None:
    first, second = tmp_path / "a.lock", tmp_path / "b.lock"
    first.write_text(
        "a==1 \\\n    --hash=sha256:1\n    # via b\nc==1 ; sys_platform == 'win32' \\\n    --hash=sha256:3\n"
    )
    second.write_text("a==1 \\\n    --hash=sha256:1\nb==2 \\\n    --hash=sha256:2\nc==1 \\\n    --hash=sha256:3\n")
    make.keep_additions(second, [first])
    assert second.read_text() == "b==2 \\\n    --hash=sha256:2\nc==1 \\\n    --hash=sha256:3\n"


def test_azurite_is_installed_without_telemetry_and_sql_drivers() -> None:
    packages = json.loads((ROOT / "local/stack/npm/package-lock.json").read_text())["packages"]
    names = {name.rpartition("node_modules/")[2] for name, of in packages.items() if not of.get("link")}
    assert "azurite" in names
    assert not {"applicationinsights", "mysql2", "tedious"} & names
    assert all(of.get("integrity") or of.get("link") or name in ("", "absent") for name, of in packages.items())


def test_the_dev_container_opens_the_usual_ports() -> None:
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    assert ":3.12" in container["image"]
    assert container["postCreateCommand"] == "python3 make.py setup"
    assert set(container["forwardPorts"]) == set(USUAL_PORTS.values())


def test_the_recorded_files_exist() -> None:
    assert [path for path in scheduling.SECONDS if not (ROOT / path).exists()] == []
