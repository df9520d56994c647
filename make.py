"""Set-up and start: `python make.py demo`. `make demo` only calls this file, so both do the same on every system.

It needs nothing but Python: with any Python 3.8 or newer it finds one that fits, creates `.venv`, installs the pinned
packages, Azurite and Node.js, and then runs the command. What is installed is recorded after it is complete, so an
interrupted set-up continues, and a later start needs no network.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from local.faults import Fault, installer_fault, os_fault

ROOT = Path(__file__).resolve().parent
WINDOWS = os.name == "nt"
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / ("Scripts/python.exe" if WINDOWS else "bin/python")
LOCAL = ROOT / ".local"
STAMP = VENV / "installed.json"  # lock file -> its hash, and where the environment was created
UNFINISHED = VENV / "unfinished"  # exists while pip runs
NAMES = ("python3.13", "python3.12", "python3.11", "python3.14", "python3", "python")
FITS = "import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))"

DEMO = ("requirements.lock",)
UP = (*DEMO, "requirements-up.lock")
EXTRAS = "requirements-extras.lock"
TEST = (*UP, "requirements-dev.lock")
PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input")
INSTALL = (*PIP, "install", "--require-hashes", "--no-deps", "--no-compile", "--progress-bar=off")
PIPS = 3  # processes that install packages
LOOKED_AT = ("Collecting ", "Processing ", "Requirement already", "Ignoring ")  # lines of pip, one per package
WENT_WELL = ("Downloading ", "Using cached ", "Installing collected", "Successfully installed")
SETUPTOOLS = ("setuptools", "setuptools-*", "pkg_resources", "_distutils_hack", "distutils-precedence.pth")
C_SOURCES = (".c", ".cpp", ".pyx")
# What the sandbox imports in each session: it cannot write compiled code itself.
COMPILED = "numpy, pandas.plotting._matplotlib, matplotlib.pyplot, matplotlib.figure, matplotlib.backends.backend_agg"
LINTED = ("ruff check --quiet", "ruff format --check --quiet", "mypy --no-error-summary")
NO_LONG = ["-m", "not long"]
FAST = ["tests/unit", "tests/contract/test_storage.py", "tests/contract/test_engine.py"]
FAST += ["-k", "not azurite and not emulator", "-m", "not aside and not tools and not long"]
FAST += ["-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"]
PARALLEL = ("-n", "3", "--dist", "loadfile", "--no-loadscope-reorder")  # more than cores: the slowest tests wait
PLATFORMS = ("win32", "darwin")
PORTABLE = ("function_app.py", "make.py", "shared", "local")
LINUX_ONLY = "local/openai_emulator/sandbox/"  # of its parts, the emulator imports on each system what runs there


class Failed(Exception):
    """The message says what is wrong, `advice` what to do."""

    def __init__(self, message: str, advice: str = "", code: int = 1) -> None:
        super().__init__(message)
        self.advice, self.code = advice, code


# ---- commands ----------------------------------------------------------------------------------------------------


def demo(options: dict[str, str]) -> int:
    """index the samples and answer three questions"""
    set_up(options, DEMO)
    return cli("demo")


def up(options: dict[str, str]) -> int:
    """start everything and keep it running until Ctrl-C (HOST=func: Core Tools; EXTRAS=1: scikit-learn and others)"""
    set_up(options, DEMO)
    try:
        set_up(options, (*UP, EXTRAS) if options.get("EXTRAS") else UP)
    except Failed as exc:  # everything else runs without them
        say(f"Warning: scipy and other packages for questions about data are missing. {exc} {exc.advice}")
    return cli("up", "--host", options.get("HOST") or "local")


def down(options: dict[str, str]) -> int:
    """stop the running stack"""
    set_up(options, DEMO)
    return cli("down")


def test(options: dict[str, str]) -> int:
    """check and test (FAST=1: without processes; ALL=1: also what takes long; RECORD=1: note what is slow)"""
    lint(options)
    if options.get("FAST"):
        return python("-m", "pytest", "-q", *FAST, check=False)
    set_up_tests(options)
    if options.get("RECORD"):
        os.environ["RECORD_SECONDS"] = "1"
    return python("-m", "pytest", "-q", *PARALLEL, *([] if options.get("ALL") else NO_LONG), check=False)


def chaos(options: dict[str, str]) -> int:
    """kill, freeze and disturb the processes at random, then check everything (SEED=7 SECONDS=600)"""
    set_up_tests(options)
    seed, seconds = options.get("SEED") or "1", options.get("SECONDS") or "600"
    say(f"Seed {seed}, {seconds} s of faults, then up to half an hour until all is right again.")
    os.environ.update(CHAOS_SEED=seed, CHAOS_SECONDS=seconds)
    python("-m", "pytest", "-q", "--tb=short", "--log-cli-level=WARNING", "tests/chaos", "-k", "random_faults")
    say(f"All held. Try another one: make chaos SEED={int(seed) + 1} SECONDS={seconds}")
    return 0


def lint(options: dict[str, str]) -> int:
    """check style, types (also for Windows and macOS) and the direction of imports"""
    set_up(options, TEST)
    foreign = {} if options.get("FAST") else {platform: foreign_types(platform) for platform in PLATFORMS}
    try:
        for tool in LINTED:
            python("-m", *tool.split())
        for platform, mypy in foreign.items():
            report_foreign_types(platform, mypy)
    finally:
        for mypy in foreign.values():
            mypy.kill()
            mypy.wait()
    quietly([script("lint-imports"), "--no-cache", "--no-logo"])
    say("Style, types and imports are clean.")
    return 0


def format(options: dict[str, str]) -> int:
    """format the code"""
    set_up(options, TEST)
    return python("-m", "ruff", "check", "--quiet", "--fix") or python("-m", "ruff", "format", "--quiet")


def bench(options: dict[str, str]) -> int:
    """measure speed and quality; results also in .local/bench (ONLY="speed host": only these)"""
    set_up_tests(options)
    return python("-m", "bench", *options.get("ONLY", "").split())


def setup(options: dict[str, str]) -> int:
    """install what all other commands need, the tools of the tests included"""
    set_up_tests(options)
    say("Everything is installed.")
    return 0


def lock(options: dict[str, str]) -> int:
    """pin the newest package versions that pyproject.toml and requirements.in allow"""
    set_up(options, DEMO)
    folder = LOCAL / "lock"
    try:
        quietly([VENV_PYTHON, "-m", "venv", folder])
        uv = folder / ("Scripts/uv.exe" if WINDOWS else "bin/uv")
        quietly([folder / VENV_PYTHON.relative_to(VENV), *PIP, "install", "uv"])
        common = ["--universal", "--python-version", "3.11", "--generate-hashes", "--quiet", "--no-header"]
        common += ["--no-emit-index-url", "--no-emit-find-links", "--no-annotate", "--upgrade"]
        for path, arguments in LOCKS.items():
            quietly([uv, "pip", "compile", *arguments, *common, "--output-file", ROOT / path])
        for path in (*UP, EXTRAS, TEST[-1]):
            earlier = [] if path in DEMO else [ROOT / name for name in (DEMO if path == UP[-1] else UP)]
            keep_additions(ROOT / path, earlier)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    say("The lock files are updated; the next command installs them.")
    return 0


def clean(options: dict[str, str]) -> int:
    """delete everything that set-up and runs created: .venv, .local with its data, caches"""
    caches = [path for room in ("shared", "local", "tests", "bench", "infra", "samples") for path in pycache(room)]
    names = (".venv", ".local", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", "__pycache__")
    for path in [*(ROOT / name for name in names), *ROOT.glob("*.egg-info"), *caches]:
        if path.is_symlink():
            path.unlink()
        elif path.exists():
            shutil.rmtree(path)
    return 0


def help(options: dict[str, str]) -> int:
    """show this list"""
    for command in COMMANDS:
        say(f"  {command.__name__:<8} {command.__doc__}")
    return 0


COMMANDS = (help, demo, up, down, test, chaos, lint, format, bench, setup, lock, clean)
_SOURCES = ["requirements.in", "pyproject.toml", "--extra", "local", "--excludes", "requirements-excluded.txt"]
_BASE = ["--constraint", "requirements.lock"]
_UP = ["--constraint", "requirements-up.lock"]
LOCKS: dict[str, list[str]] = {
    "requirements.lock": _SOURCES,
    "requirements.txt": ["requirements.in", *_BASE],  # from which Azure installs
    "requirements-up.lock": [*_SOURCES, "--extra", "up", *_BASE],
    "requirements-extras.lock": [*_SOURCES, "--extra", "up", "--extra", "extras", *_BASE, *_UP],
    "requirements-dev.lock": [*_SOURCES, "--extra", "up", "--extra", "dev", *_BASE, *_UP],
    "tests/infra/requirements.lock": ["tests/infra/requirements.in", "--overrides", "tests/infra/overrides.txt"],
    "tests/openapi/requirements.lock": ["tests/openapi/requirements.in"],
}


def pycache(room: str) -> list[Path]:
    return [path for path in (ROOT / room).rglob("__pycache__") if path.is_dir()]


# ---- running commands --------------------------------------------------------------------------------------------


def say(text: str) -> None:
    print(text, flush=True)


def start(command: list[str | Path], **options: object) -> subprocess.Popen[bytes]:
    environ = {**os.environ, "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else each of many processes would compile all that it imports
    return subprocess.Popen([str(part) for part in command], cwd=ROOT, env=environ, **options)  # type: ignore[call-overload, no-any-return]


def python(*arguments: str, check: bool = True) -> int:
    """Run the environment's Python with the terminal's input and output; return its exit code.

    Raises:
        Failed: with `check`, when it is not 0; the command has said why.
    """
    process = start([VENV_PYTHON, *arguments])
    while True:
        try:
            code = process.wait()
            break
        except KeyboardInterrupt:  # the command gets Ctrl-C, too, and ends by itself
            continue
    if code and check:
        raise Failed("", code=code if code > 0 else 128 - code)
    return code


def cli(*arguments: str) -> int:
    """Run `python -m local`, in place of this process where that is possible: signals then reach it."""
    if sys.platform == "win32":
        return python("-m", "local", *arguments, check=False)
    os.chdir(ROOT)
    return os.execv(VENV_PYTHON, [str(VENV_PYTHON), "-m", "local", *arguments])


def quietly(command: list[str | Path]) -> str:
    """Run a command and return its output.

    Raises:
        Failed: its exit code is not 0; the message has its last lines, or what they say about this machine.
    """
    process = start(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = process.communicate()[0].decode(errors="replace")
    if process.returncode:
        raise failed(output)
    return output


def failed(output: str) -> Failed:
    """The error for an installer or a check that failed with this output."""
    last = "".join(f"\n    {line}" for line in output.strip().splitlines()[-8:])
    fault = installer_fault(output)
    if fault is None:
        return Failed(f"A step of the set-up failed:{last}", "Run the command again; it continues where it stopped.")
    return Failed(fault.message, fault.advice)


def script(name: str) -> Path:
    return VENV_PYTHON.with_name(f"{name}.exe" if WINDOWS else name)


def foreign_types(platform: str) -> subprocess.Popen[bytes]:
    """Check the types as on another system: an import or call that does not exist there is an error."""
    arguments = ["--no-error-summary", "--platform", platform, "--cache-dir", f".mypy_cache/{platform}", *PORTABLE]
    return start([VENV_PYTHON, "-m", "mypy", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def report_foreign_types(platform: str, mypy: subprocess.Popen[bytes]) -> None:
    lines = mypy.communicate()[0].decode().replace("\\", "/").splitlines()
    if found := [line for line in lines if not line.startswith(LINUX_ONLY)]:
        say("\n".join(found))
        raise Failed(f"On {platform}, {len(found)} lines would fail.", "Ask `sys.platform` before them.")


# ---- set-up ------------------------------------------------------------------------------------------------------


def set_up(options: dict[str, str], locks: tuple[str, ...]) -> None:
    """Install what is missing of the virtual environment, these lock files, Azurite and Node.js.

    Raises:
        Failed: something cannot be installed.
    """
    LOCAL.mkdir(exist_ok=True)
    tempfile.TemporaryFile(dir=LOCAL).close()  # an error now has the folder's name
    if not environment_works():
        create_environment(options.get("PYTHON", ""))
    installed = read_stamp()
    missing = [name for name in locks if installed.get(name) != digest(ROOT / name)]
    azurite = None if (LOCAL / "azurite" / "installed.json").exists() else Azurite()
    try:
        if missing:
            install_packages(missing, installed)
        if azurite:
            azurite.finish()
    except BaseException:
        if azurite:
            azurite.process.terminate()
        raise


class Azurite:
    """The installation of Azurite and Node.js, which waits for the network while pip works."""

    def __init__(self) -> None:
        say("Installing Azurite, the storage emulator, from npm, and Node.js if there is none")
        self.process = start([VENV_PYTHON, "-m", "local.stack.node"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self._output = b""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self._output = self.process.stdout.read()

    def finish(self) -> None:
        self._reader.join()
        if self.process.wait():
            raise failed(self._output.decode(errors="replace"))


def environment_works() -> bool:
    """Whether `.venv` was created completely, in this place, and its Python still exists and fits."""
    stamp = read_stamp()
    if not (VENV / "created").exists() or stamp.get("at", str(VENV)) != str(VENV):
        return False
    try:
        return subprocess.call([str(VENV_PYTHON), "-c", FITS]) == 0
    except OSError:
        return False


def create_environment(wanted: str) -> None:
    """Create `.venv` anew with the first Python that fits."""
    name, found = fitting_python(wanted)
    say(f"Creating .venv with {name}")
    if VENV.exists():
        shutil.rmtree(VENV)
    output = quietly_or_output([found, "-m", "venv", VENV])
    if output:
        fault = installer_fault(output) or Fault(f"{name} cannot create a virtual environment: {output.strip()}", "")
        raise Failed(fault.message, fault.advice)
    for pattern in SETUPTOOLS:  # pip installs packages that are built already; Python 3.12 has none of these
        for path in site_packages().glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (VENV / "created").touch()


def quietly_or_output(command: list[str | Path]) -> str:
    """Run a command; return what it wrote if it failed, else nothing."""
    process = start(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = process.communicate()[0].decode(errors="replace")
    return (output.strip() or f"exit code {process.returncode}") if process.returncode else ""


def fitting_python(wanted: str) -> tuple[str, str]:
    """Name and path of a Python 3.11 to 3.14: `wanted`, one on PATH, or the one that runs this file.

    Raises:
        Failed: there is none.
    """
    for name in (wanted,) if wanted else (*NAMES, sys.executable):
        found = shutil.which(name)
        try:
            if found and subprocess.call([found, "-c", FITS], stderr=subprocess.DEVNULL) == 0:
                return name, found
        except OSError:
            continue
    what = f"PYTHON={wanted} is not one, or is not on PATH." if wanted else "None is on PATH."
    raise Failed(
        f"This needs Python 3.11, 3.12, 3.13 or 3.14. {what}",
        "Install one from https://www.python.org/downloads/ or your package manager, then run the command again.",
    )


def site_packages() -> Path:
    return VENV / "Lib" / "site-packages" if WINDOWS else next(VENV.glob("lib/python3*/site-packages"))


def install_packages(names: list[str], installed: dict[str, str]) -> None:
    """Install lock files. Packages that an interrupted installation may have left incomplete are installed again."""
    again = ["--ignore-installed"] if UNFINISHED.exists() else []
    UNFINISHED.touch()
    packages = [block for name in names for block in blocks(ROOT / name)]
    say(f"Installing {len(packages)} Python packages into .venv (about a minute)")
    install_side_by_side(packages, again)
    if "requirements.lock" in names:
        prune(site_packages())
        quietly([VENV_PYTHON, "-c", f"import {COMPILED}"])
    stamp = {**installed, "at": str(VENV), **{name: digest(ROOT / name) for name in names}}
    STAMP.write_text(json.dumps(stamp, indent=2), encoding="utf-8")
    UNFINISHED.unlink()


def install_side_by_side(packages: list[str], options: list[str]) -> None:
    """Install each share of the requirements with a pip of its own: while one waits for a download, another unpacks."""
    reading, writing = os.pipe()
    processes: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryDirectory(dir=LOCAL) as folder, os.fdopen(reading, "rb") as output:
        try:
            for number in range(min(PIPS, len(packages))):
                share = Path(folder, f"{number}.txt")
                share.write_text("".join(packages[number::PIPS]), encoding="utf-8")
                command: list[str | Path] = [VENV_PYTHON, *INSTALL, *options, "--requirement", share]
                processes.append(start(command, stdout=writing, stderr=subprocess.STDOUT))
            os.close(writing)
            said = follow_pip(output, len(packages))
            failures = [process for process in processes if process.wait()]
        except BaseException:
            for process in processes:
                process.terminate()
                process.wait()
            raise
    if failures:
        raise failed(said)


def follow_pip(output: Iterable[bytes], total: int) -> str:
    """Show how many packages pip has looked at; return what else it wrote when it ends."""
    lines, seen, shown = [], 0, 0
    for line in output:
        text = line.decode(errors="replace")
        seen += text.startswith(LOOKED_AT)
        if not text.strip().startswith((*LOOKED_AT, *WENT_WELL)):
            lines.append(text)
        if sys.stdout.isatty():
            print(f"\r  {min(seen, total)} of {total}", end="", flush=True)
        elif seen * 4 // total > shown:
            shown = seen * 4 // total
            say(f"  {min(seen, total)} of {total}")
        if text.startswith("Installing collected") and seen >= total:
            say(f"{chr(13) if sys.stdout.isatty() else ''}  all are here; unpacking them")
    return "".join(lines)


def prune(site: Path) -> None:
    """Delete what nothing imports: the tests of pandas, numpy, scipy and matplotlib, and C sources."""
    for package in ("pandas", "numpy", "scipy", "matplotlib"):
        for tests in list((site / package).rglob("tests")):
            shutil.rmtree(tests, ignore_errors=True)
    for path in site.rglob("*"):
        if path.suffix in C_SOURCES and path.is_file():
            path.unlink()


def read_stamp() -> dict[str, str]:
    try:
        return dict(json.loads(STAMP.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def digest(*paths: Path) -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def keep_additions(path: Path, earlier: list[Path]) -> None:
    """Drop from a lock file each requirement that stands in an earlier one, word for word, and comments."""
    known = {block for name in earlier for block in blocks(name)}
    added = [block for block in blocks(path) if block not in known]
    path.write_text("".join(added), encoding="utf-8")


def blocks(path: Path) -> list[str]:
    """The requirements of a lock file, each with its hashes and without comments."""
    found: list[str] = []
    for line in lines_of(path):
        if line.lstrip().startswith("#"):
            continue
        if line.startswith(" ") and found:
            found[-1] += f"{line}\n"
        elif line:
            found.append(f"{line}\n")
    return found


# ---- the tools of the tests --------------------------------------------------------------------------------------


def set_up_tests(options: dict[str, str]) -> None:
    """Install everything that tests and benchmarks need, each kind of tool into a folder of its own in `.local`."""
    set_up(options, TEST)
    for name, (what, install, inputs) in TOOLS.items():
        folder, stamp = LOCAL / name, LOCAL / name / "installed"
        wanted = digest(*(ROOT / path for path in inputs))
        if stamp.exists() and stamp.read_text() == wanted:
            continue
        say(f"Installing {what}")
        if folder.is_symlink():
            folder.unlink()
        shutil.rmtree(folder, ignore_errors=True)
        install(folder)
        stamp.write_text(wanted)


def install_runtime(folder: Path) -> None:
    quietly(
        [VENV_PYTHON, *INSTALL, "--ignore-requires-python", "--target", folder, "--requirement", "tests/runtime.txt"]
    )


def install_infra_tools(folder: Path) -> None:
    quietly([VENV_PYTHON, "-m", "venv", "--without-pip", folder])
    quietly([VENV_PYTHON, *INSTALL, "--prefix", folder, "--requirement", "tests/infra/installer.lock"])
    tool = folder / VENV_PYTHON.relative_to(VENV)
    requirements = ["--no-deps", "--require-hashes", "--requirement", "tests/infra/requirements.lock"]
    quietly([tool.with_name("uv"), "pip", "install", "--quiet", "--python", tool, *requirements])


def install_openapi_tools(folder: Path) -> None:
    quietly([VENV_PYTHON, "-m", "venv", folder])
    quietly([folder / VENV_PYTHON.relative_to(VENV), *INSTALL, "--requirement", "tests/openapi/requirements.lock"])
    quietly([VENV_PYTHON, "-m", "tests.openapi.npm_tools"])


def install_browser_tools(folder: Path) -> None:
    quietly([VENV_PYTHON, "-m", "tests.local.browser.axe"])


def install_kusto(folder: Path) -> None:
    quietly([VENV_PYTHON, "-m", "tests.infra.kusto"])


OPENAPI = ("tests/openapi/requirements.lock", "tests/openapi/npm/package-lock.json")
INFRA = ("tests/infra/requirements.lock", "tests/infra/installer.lock")
TOOLS: dict[str, tuple[str, Callable[[Path], None], tuple[str, ...]]] = {
    "runtime": ("Microsoft's Functions runtime for the tests", install_runtime, ("tests/runtime.txt",)),
    "browser-tools": (
        "axe-core, which tests the page",
        install_browser_tools,
        ("tests/local/browser/npm/package-lock.json",),
    ),
    "infra-tools": ("the tools that check infra/ (checkov, shellcheck)", install_infra_tools, INFRA),
    "kusto": ("Microsoft's language service for queries", install_kusto, ("tests/infra/npm/package-lock.json",)),
    "openapi-tools": ("the tools that check the API description", install_openapi_tools, OPENAPI),
}


def main(arguments: list[str]) -> int:
    """Run one command; return its exit code, 130 if interrupted, 2 for wrong usage."""
    names = {command.__name__: command for command in COMMANDS}
    name, *rest = arguments or ["help"]
    options = dict(part.split("=", 1) for part in rest if "=" in part)
    if name not in names or len(options) != len(rest):
        say("Usage: python make.py COMMAND [NAME=VALUE ...]")
        help({})
        return 2
    try:
        return names[name](options)
    except Failed as exc:
        if str(exc):
            say(f"Error: {exc}\n{exc.advice}")
        return exc.code
    except OSError as exc:
        fault = os_fault(exc) or Fault(str(exc), "Run the command again.")
        say(f"Error: {fault.message}\n{fault.advice}")
        return 1
    except KeyboardInterrupt:
        say("\nInterrupted. The next command continues where this one stopped.")
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
