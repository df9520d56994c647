"""The package as Azure builds it, from requirements.txt and .funcignore: it is small, and Microsoft's runtime loads it.

Azure builds it on Python 3.12 with `pip install --target .python_packages/lib/site-packages`. The package that is
loaded here is built for the Python that runs the tests; the package that is measured is built for Azure's. The limit of
80 MB is for what the app adds to the SDKs: its own files, and all packages except the SDKs of Microsoft and OpenAI and
their dependencies.
"""

import fnmatch
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest

from local.paths import ROOT
from tests.infra import app_facts
from tests.infra.tools import BIN

RUNTIME = ROOT / ".local" / "runtime"
OWN_MB_MAX = 80
SDKS = ("azure-", "azurefunctions-", "openai")
NEVER_IN_AZURE = (
    "tests",
    "local",
    "infra",
    "bench",
    "samples",
    ".venv",
    ".local",
    ".git",
    "pyproject.toml",
    "requirements.in",
    "requirements.lock",
    ".env",
    "Makefile",
    "make.py",
    "requirements-excluded.txt",
    ".devcontainer",
)

LOAD = """
import asyncio, json, pathlib, sys
sys.path += [sys.argv[1], sys.argv[2]]
import runtime_driver
print(json.dumps(asyncio.run(runtime_driver.Runtime(pathlib.Path(sys.argv[3])).load())))
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that is deployed to Azure, with its packages."""
    folder = tmp_path_factory.mktemp("package") / "wwwroot"
    ignored = [line for line in (ROOT / ".funcignore").read_text().split() if line]
    shutil.copytree(ROOT, folder, ignore=lambda _, names: [name for name in names if any_match(name, ignored)])
    site = folder / ".python_packages" / "lib" / "site-packages"
    install(folder / "requirements.txt", site, "--python", sys.executable)
    return folder


@pytest.fixture(scope="module")
def azure_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages that Azure installs: for Python 3.12 on Linux. They may not be loadable here."""
    site = tmp_path_factory.mktemp("azure")
    platform = ("--python-version", "3.12", "--python-platform", "x86_64-unknown-linux-gnu", "--only-binary", ":all:")
    install(ROOT / "requirements.txt", site, *platform)
    return site


def install(requirements: Path, site: Path, *options: str) -> None:
    """Install the same packages as pip, but faster, and only files whose hashes stand in the file."""
    command = [BIN / "uv", "pip", "install", "--quiet", "--target", site, "--require-hashes"]
    command += ["--requirement", requirements, *options]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert result.returncode == 0, result.stderr


def any_match(name: str, patterns: list[str]) -> bool:
    return any(fnmatch.fnmatch(name, pattern.rstrip("/")) for pattern in patterns)


def site_of(package: Path) -> Path:
    return package / ".python_packages" / "lib" / "site-packages"


def load(package: Path, tmp_path: Path) -> "subprocess.CompletedProcess[str]":
    """Load the app with Microsoft's runtime, in a Python that has only the package."""
    clean = tmp_path / "clean"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(clean)], check=True, timeout=60)
    shutil.copy(ROOT / "tests/local/functions_host/runtime_driver.py", tmp_path)
    command = [str(clean / "bin" / "python"), "-c", LOAD, str(RUNTIME), str(tmp_path), str(package)]
    environ = {"PYTHONPATH": f"{site_of(package)}:{package}", "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=package, env=environ, timeout=120)


def test_the_runtime_loads_every_function_of_the_package(package: Path, tmp_path: Path) -> None:
    result = load(package, tmp_path)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout.splitlines()[-1]) == sorted(app_facts.triggers())


@pytest.mark.parametrize("missing", ["shared", ".python_packages/lib/site-packages/msgspec"])
def test_an_incomplete_package_is_not_loaded(package: Path, tmp_path: Path, missing: str) -> None:
    hidden = tmp_path / "hidden"
    shutil.move(package / missing, hidden)
    try:
        result = load(package, tmp_path)
    finally:
        shutil.move(hidden, package / missing)
    assert result.returncode != 0
    assert "ModuleNotFoundError" in result.stderr


def test_the_package_has_the_app_and_no_local_files(package: Path) -> None:
    names = {path.name for path in package.iterdir()}
    assert {"function_app.py", "host.json", "requirements.txt", "shared", "console"} <= names
    assert names & set(NEVER_IN_AZURE) == set()


def pinned(file: Path) -> dict[tuple[str, str], tuple[str, frozenset[str]]]:
    """Name and marker -> version and hashes."""
    found = {}
    for entry in file.read_text().replace("\\\n", " ").splitlines():
        if match := re.match(r"([\w.-]+)==(\S+)( *;.*?)?(?= +--hash|$)", entry):
            hashes = frozenset(re.findall(r"--hash=(sha256:[0-9a-f]{64})", entry))
            found[normal(match[1]), (match[3] or "").strip(" ;")] = match[2], hashes
    return found


def test_azure_installs_exactly_what_was_tested() -> None:
    """Versions and hashes are those of the lock file, and every package that the app names is there."""
    azure, tested = pinned(ROOT / "requirements.txt"), pinned(ROOT / "requirements.lock")
    lines = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if line and line[0] not in " #"]
    assert len(lines) == len(azure)
    assert all(hashes for _, hashes in azure.values())
    versions = {(name, version, hashes) for (name, _), (version, hashes) in tested.items()}
    assert {(name, version, hashes) for (name, _), (version, hashes) in azure.items()} <= versions
    ranges = (ROOT / "requirements.in").read_text().splitlines()
    named = {normal(match[0]) for line in ranges if (match := re.match(r"[\w.-]+", line))}
    assert named <= {name for name, _ in azure}


def test_a_package_with_another_hash_is_not_installed(tmp_path: Path) -> None:
    other = re.sub(r"sha256:[0-9a-f]{64}", f"sha256:{'0' * 64}", (ROOT / "requirements.txt").read_text())
    (tmp_path / "requirements.txt").write_text(other)
    with pytest.raises(AssertionError, match=r"(?i)hash"):
        install(tmp_path / "requirements.txt", tmp_path / "site", "--no-deps")


@pytest.mark.parametrize("name", [".env", ".env.production", "local.settings.json"])
def test_a_file_with_secrets_is_neither_committed_nor_deployed(name: str) -> None:
    for file in (".funcignore", ".gitignore"):
        assert any_match(name, (ROOT / file).read_text().split())


def test_what_the_app_adds_to_the_sdks_is_small(package: Path, azure_site: Path) -> None:
    site = azure_site
    installed = {normal(found.metadata["Name"]): found for found in distributions(path=[str(site)])}
    sdks = closure({name for name in installed if name.startswith(SDKS)}, installed)
    own = {name: megabytes(found) for name, found in installed.items() if name not in sdks}
    files = [path for path in package.rglob("*") if path.is_file() and site_of(package) not in path.parents]
    own["the app"] = sum(path.stat().st_size for path in files) / 1e6
    assert {"azure-functions", "azure-core", "openai"} <= sdks
    assert {"msgspec", "the app"} <= own.keys()
    assert 0 < sum(own.values()) < OWN_MB_MAX, own


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def closure(names: set[str], installed: dict[str, Distribution]) -> set[str]:
    """These packages and their installed dependencies."""
    found: set[str] = set()
    left = set(names)
    while left:
        name = left.pop()
        found.add(name)
        left |= {need for need in dependencies(installed[name]) if need in installed} - found
    return found


def dependencies(package: Distribution) -> Iterator[str]:
    for requirement in package.requires or []:
        if "extra ==" not in requirement and (match := re.match(r"[\w.-]+", requirement)):
            yield normal(match[0])


def megabytes(package: Distribution) -> float:
    paths = [Path(str(file.locate())) for file in package.files or []]
    return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6
